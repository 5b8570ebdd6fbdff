"""How many of the shots come to each row, leaf and ending of a frontier: drawn, and followed to the end.

All shots that start from one entry are shared out at once, (n_1, …, n_r) ~ Multinomial(n; p_1, …, p_r): the
same as splitting the number of shots at every outcome on the way, n_true ~ Binomial(n, p), and adding up
where the ways end. The shots of a leaf start anew there, as those of the first entry did. The numbers for the
i-th entry come from Philox with key (seed, 1) and counter (0, 0, i, first shot), and depend on nothing
else; trajectories, whose key is (seed, 0), never draw them.

A leaf may hold histories of different lengths; shots that go on from there count the least number of steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdiff.sim.machine import tables as t
from qdiff.sim.machine.code import Floats, Ints
from qdiff.sim.merged.frontier import Entry, Found, Frontier, TooManyStates

STREAM = 1
LEAF_EFFORT = 30_000
"""What it takes to draw for one entry, and to start from a leaf, in the unit of `running.BUDGET` (10 ns)."""
LEAST_AHEAD = 8
"""How many times the effort of a trajectory it takes at least to follow a shot, as others are expected."""
SMALL_EFFORT = 300_000
"""Nothing is gained by trajectories where so much is enough."""


@dataclass(frozen=True, eq=False)
class Ends:
    """Where shots ended: unique rows.

    Attributes:
        status, bits: (R,). stores: (R, counters). values: (R, operators) expectations. counts: (R,).
    """

    status: Ints
    bits: Ints
    stores: Ints
    values: Floats
    counts: Ints


def shared(frontier: Frontier, shots: int, seed: int, first: int) -> Ends:
    """Return where all shots end.

    Raises:
        TooManyStates: trajectories cost less, whatever the seed.
        EvaluationError: something has no value when it runs.
    """
    if frontier.too_large:
        raise TooManyStates(frontier.too_large)
    parts: list[Ends] = []
    waiting = [(frontier.start, shots)]
    number = 0
    while waiting:
        entry, many = waiting.pop()
        found = frontier.expand(entry, many, float(SMALL_EFFORT) if number == 0 else np.inf)
        if number == 0:
            _refuse(frontier, found, shots)
        key, counter = np.array([seed, STREAM], np.uint64), np.array([0, 0, number, first], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key, counter=counter))
        masses = np.concatenate([found.masses, found.kept_masses])
        drawn = rng.multinomial(many, masses / masses.sum())
        rows = np.flatnonzero(drawn[: len(found.masses)])
        parts.append(_rows(found, rows, drawn[rows]))
        for kept, share in zip(found.kept, drawn[len(found.masses) :], strict=True):
            if share and frontier.is_ending(kept):
                parts.append(_read(frontier, frontier.entry(kept), int(share), rng))
            elif share:
                waiting.append((frontier.entry(kept), int(share)))
        number += 1
    return _united(parts)


def _refuse(frontier: Frontier, found: Found, shots: int) -> None:
    """Compare what is left to do with what trajectories would cost."""
    expected = found.kept_masses * shots
    ending = np.array([frontier.is_ending(kept) for kept in found.kept], dtype=bool)
    leaves = expected[~ending]
    # Many leaves will hardly meet again: in the end each shot is on its own. Few may be the one way on.
    starts = np.minimum(leaves, 1).sum() if 2 * ending.sum() > len(ending) else leaves.sum()
    # A leaf is followed as the start was, but for one shot: entries are then at most so many at a time.
    ahead = max(
        LEAST_AHEAD * found.alone, min(found.effort, frontier.branches / frontier.worth * found.alone)
    )
    effort = starts * (LEAF_EFFORT + ahead)
    effort += np.minimum(expected[ending], 1).sum() * LEAF_EFFORT
    if effort > max(found.alone * shots, SMALL_EFFORT):
        left = 1 - found.masses.sum()
        raise TooManyStates(
            f"{len(found.masses) + len(found.kept)} states were followed, and {left:.1%} of the shots "
            "would still go on to others"
        )


def _rows(found: Found, rows: Ints, counts: Ints) -> Ends:
    return Ends(found.status[rows], found.bits[rows], found.stores[rows], found.values[rows], counts)


def _read(frontier: Frontier, entry: Entry, shots: int, rng: np.random.Generator) -> Ends:
    """Draw the bits of shots that ended in one state."""
    plan = frontier.plan
    _, a, b, *_ = plan.code.instructions[entry.pc]
    qubits = plan.code.qubits[a : a + b]
    index = np.arange(entry.state.shape[1])
    outcome = sum((index >> int(q) & 1) << j for j, q in enumerate(qubits))
    cumulated = np.cumsum(np.bincount(outcome, (entry.state**2).sum(0), 1 << int(b)))
    drawn = np.searchsorted(cumulated, rng.random(shots) * cumulated[-1], side="right")
    bits, counts = np.unique(np.minimum(drawn, len(cumulated) - 1), return_counts=True)
    counters = len(plan.program.counters)
    return Ends(
        np.full(len(bits), t.ENDED),
        bits,
        np.tile(entry.store[:counters], (len(bits), 1)),
        np.tile(entry.ends, (len(bits), 1)),
        counts,
    )


def _united(parts: list[Ends]) -> Ends:
    """One row for each end, sorted."""
    keys = np.concatenate([np.column_stack([p.status, p.stores, p.bits]) for p in parts])
    values = np.concatenate([p.values for p in parts])
    counts = np.concatenate([p.counts for p in parts])
    columns = np.column_stack([keys, values.view(np.int64)])  # equal floats have equal bits
    _, first, which = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    together = np.zeros(len(first), dtype=np.int64)
    np.add.at(together, which.reshape(-1), counts)
    return Ends(keys[first, 0], keys[first, -1], keys[first, 1:-1], values[first], together)
