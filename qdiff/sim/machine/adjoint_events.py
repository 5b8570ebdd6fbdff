"""Random events: what outcomes of a run say beyond their probabilities, in sums whose mean is 0.

    S_lk = Σ_events of lane l  h_k(n) · (1[the outcome is that of lane l] - p)

p is the outcome's probability given all that came before, and n how many events of this instruction the run
had before, so whatever h is, S has mean 0 and knows the run: a baseline of a run may be any combination of
the S. The h_k are hats on `KNOTS`, 1 at knot k and 0 at the others, linear between (and on, behind the last
two): with coefficients β the sums give every event the weight β(n), a line from knot to knot.

A *lane* is one outcome of one instruction: 1 of a flip, a reset, a measured qubit; in general all outcomes
but those that lead where most do, at most `MOST_TOLD`. Of a channel it is the first Kraus operator. Programs
with very many of them share lanes among neighbours.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from qdiff.sim.machine import code as c
from qdiff.sim.machine.code import Floats, Ints
from qdiff.sim.machine.compiled import cell, inlined, inner, item
from qdiff.sim.protocol import Surprises

KNOTS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64])
"""Numbers of earlier events."""
MOST_TOLD = 3
"""Lanes of one instruction."""
MOST_LANES, MOST_SUMS = 16, 64
"""Of a program."""
CERTAIN = 1e-12
"""Outcomes whose probability is that close to 1 are no events."""


class Events(NamedTuple):
    """Which sums there are, and room for them.

    Attributes:
        lanes: (instructions, 3) first row of `told`, end of rows, which of the visits.
        told: (…, 3) an outcome, where the sums of its lane begin, which of the visits.
        knots: (K,). steps: (1,) up to there knot n is n.
        below: (last knot + 1,) the knot at or below n, but the last; beyond: (last knot + 1,) how
            far n is from there to the next knot.
        visits: (V,) how many uncertain events of an instruction this run had; most: (V,) in any run.
        sums: (lanes K, shots or more). origin: (1,) the shot in row 0.
    """

    lanes: Ints
    told: Ints
    knots: Ints
    steps: Ints
    below: Ints
    beyond: Floats
    visits: Ints
    most: Ints
    sums: Floats
    origin: Ints


def events_of(plan: c.Lowered) -> Events:
    """The events of a plan, without room for the sums of any row."""
    outcomes = [_told(plan, row) for row in plan.code.instructions.tolist()]
    total = sum(map(len, outcomes))
    number = min(total, MOST_LANES)
    knots = _knots(MOST_SUMS // max(number, 1))
    lanes: list[tuple[int, int, int]] = []
    told: list[tuple[int, int, int]] = []
    for of_instruction in outcomes:
        first = len(told)
        counter = first * number // max(total, 1)
        for outcome in of_instruction:
            told.append((outcome, len(told) * number // total * len(knots), counter))
        lanes.append((first, len(told), counter))
    counted = np.arange(knots[-1] + 1)
    below = np.minimum(np.searchsorted(knots, counted, side="right") - 1, len(knots) - 2)
    return Events(
        np.array(lanes, dtype=np.int64).reshape(-1, 3),
        np.array(told, dtype=np.int64).reshape(-1, 3),
        knots,
        np.array([np.flatnonzero(knots == np.arange(len(knots)))[-1]]),
        below,
        (counted - knots[below]) / (knots[below + 1] - knots[below]),
        np.zeros(number, dtype=np.int64),
        np.zeros(number, dtype=np.int64),
        np.zeros((number * len(knots), 0)),
        np.zeros(1, dtype=np.int64),
    )


def room_for(events: Events, shots: int) -> Floats:
    """Room for the sums of so many shots, one column each; what is never written takes no memory.

    The sums of one shot are written together: they must not all lie as far apart as a power of two.
    """
    return np.zeros((len(events.sums), shots + 8 if shots % 64 == 0 else shots))


def of_thread(events: Events, sums: Floats) -> Events:
    """The same events for one thread, with room that threads share."""
    visits, most, origin = map(np.zeros_like, (events.visits, events.most, events.origin))
    return events._replace(visits=visits, most=most, sums=sums, origin=origin)


def written(events: Events) -> list[int]:
    """The sums that some run may have added to."""
    most = np.maximum(events.most, events.visits)
    found = set()
    for _, begin, counter in events.told.tolist():
        knots = np.searchsorted(events.knots, most[counter] - 1) + 1 if most[counter] else 0
        found |= set(range(begin, begin + min(int(knots), len(events.knots))))
    return sorted(found)


def surprises_of(events: Events, sums: Floats, met: Ints, shots: int) -> Surprises:
    """Return the sums of so many shots, without those that nothing was ever added to."""
    columns = np.flatnonzero(met)
    some = slice(columns[0], columns[-1] + 1) if len(columns) else slice(0, 0)
    kinds, knots = np.divmod(np.arange(len(sums)), len(events.knots))
    return Surprises(sums[some, :shots].T, kinds[some], events.knots[knots[some]])


def _knots(number: int) -> Ints:
    """At most so many of the knots, the first half as they are, the others spread over the rest."""
    close = min(number, len(KNOTS)) // 2
    far = np.linspace(close, len(KNOTS) - 1, min(number, len(KNOTS)) - close).round().astype(np.int64)
    return np.asarray(KNOTS[np.concatenate([np.arange(close), far])])


def _told(plan: c.Lowered, row: list[int]) -> list[int]:
    """The outcomes of an instruction that have lanes."""
    match row[c.OP]:
        case c.TOSS:
            return [1]
        case c.CHANNEL:
            return [0]
        case c.RECORD:
            return list(range(1, min(1 << row[c.B], MOST_TOLD + 1)))
        case c.MEASURE:
            targets = plan.code.targets[row[c.C] : row[c.C] + (1 << row[c.B])].tolist()
            common = Counter(targets)
            most = max(targets, key=lambda target: common[target])
            return [v for v, target in enumerate(targets) if target != most][:MOST_TOLD]
    return []


@inner
def begin_run(events: Events) -> None:
    """A run begins: it has had no events."""
    visits, most = events.visits, events.most
    for i in range(visits.size):
        most[i] = max(most[i], visits[i])
        visits[i] = 0


@inlined
def tell(events: Events, pc: int, row: int, cumulated: Floats, base: int, number: int, outcome: int) -> None:
    """Add an event to the sums of a run; its outcome had the cumulated weights from `base` on.

    (They add up to 1 but for rounding, by which all is multiplied: the mean is 0 without a division.)
    """
    first = cell(events.lanes, pc, 0, 3)
    if first < cell(events.lanes, pc, 1, 3):
        total = item(cumulated, base + number - 1)
        own = item(cumulated, base + outcome) - (item(cumulated, base + outcome - 1) if outcome else 0.0)
        if total - own > CERTAIN:
            if number == 2 and item(events.visits, cell(events.lanes, pc, 2, 3)) <= item(events.steps, 0):
                counter = cell(events.lanes, pc, 2, 3)
                n = item(events.visits, counter)
                events.visits[counter] = n + 1
                surprise = total - own if outcome == cell(events.told, first, 0, 3) else own - total
                at, shot = cell(events.told, first, 1, 3) + n, item(events.origin, 0) + row
                events.sums[at, shot] += surprise
            else:
                _tell_all(events, pc, row, cumulated, base, outcome, total)


@inner
def _tell_all(
    events: Events, pc: int, row: int, cumulated: Floats, base: int, outcome: int, total: float
) -> None:
    lanes, told, visits = events.lanes, events.told, events.visits
    counter = lanes[pc, 2]
    n = visits[counter]
    visits[counter] = n + 1
    for i in range(lanes[pc, 0], lanes[pc, 1]):
        v = told[i, 0]
        weight = cumulated[base + v] - (cumulated[base + v - 1] if v else 0.0)
        _add(events, told[i, 1], n, row, (total if outcome == v else 0.0) - weight)


@inner
def tell_flip(events: Events, pc: int, row: int, p: float, outcome: float) -> None:
    """Add a flip, which is true with probability p."""
    if CERTAIN < p < 1 - CERTAIN:
        counter = events.lanes[pc, 2]
        n = events.visits[counter]
        events.visits[counter] = n + 1
        _add(events, events.told[events.lanes[pc, 0], 1], n, row, outcome - p)


@inner
def _add(events: Events, begin: int, n: int, row: int, surprise: float) -> None:
    """Share an event out between two knots."""
    knots, below, beyond, sums = events.knots, events.below, events.beyond, events.sums
    last, shot = below.size - 1, events.origin[0] + row
    k = below[min(n, last)]
    share = beyond[n] if n <= last else (n - knots[k]) / (knots[k + 1] - knots[k])
    sums[begin + k, shot] += (1.0 - share) * surprise
    sums[begin + k + 1, shot] += share * surprise
