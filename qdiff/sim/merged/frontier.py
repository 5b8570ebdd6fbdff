"""The distinct states of a program with their probabilities, from one entry on.

    entry      an instruction, a store, a pure state, and its mass: the probability to come there
    row        an end: aborted, cut or neither, store, bits of the read-out, expectations; its probability
    leaf       an entry that is not followed, as hardly a shot is expected there
    ending     an entry at a read-out with more outcomes than shots: its shots draw their bits

Entries with equal instruction and store whose states are equal up to a phase and a distance η of 1e-12 are
one; that moves a probability by at most 2 · mass · η. Probabilities of rows, leaves and endings add up to 1.
Nothing is drawn here: what is found depends on the program, its parameters and the number of shots.
`expansion` does the work; this module gives it room, and answers where an instruction needs a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qdiff.errors import QdiffError, ResourceError
from qdiff.sim.machine import code as c
from qdiff.sim.machine import tables as t
from qdiff.sim.machine.binding import scratch
from qdiff.sim.machine.code import Floats, Ints
from qdiff.sim.machine.parts import addresses_of
from qdiff.sim.machine.running import BUDGET, answer
from qdiff.sim.merged import entries as e
from qdiff.sim.merged import expansion as k
from qdiff.sim.merged.order import ranks
from qdiff.sim.sizes import size_text

LEAST_WORTH, WORTH_PER_AMPLITUDE = 2.0**-6, 2.0**-14
"""An entry that fewer shots are expected to come to is a leaf: a draw costs less than to follow it."""
LISTED = 1024
"""Outcomes of a read-out that become rows in any case."""
SURE = 40.0
"""Where so many shots are expected, none comes with probability e^-40."""
ALL = 1 - 1e-9
FIRST_BYTES = 2**22
FIRST_ENTRIES, LEAST_ENTRIES, MOST_ENTRIES = 1024, 4, 2**20
FIRST_ROWS = 1024
GROWTH = 4


@dataclass(frozen=True, eq=False)
class Entry:
    """Where shots go on.

    Attributes:
        pc: the instruction. store: (counters,). state: (2, D). ends: (operators,) expectations.
        steps: the least number of steps of the histories that led here.
    """

    pc: int
    store: Ints
    state: Floats
    ends: Floats
    steps: int


@dataclass(frozen=True, eq=False)
class Found:
    """What shots may come to.

    Attributes:
        status, bits: (R,). stores: (R, counters of the program). values: (R, operators). masses: (R,).
        kept: leaves and endings, with their masses; their arrays live until the next expansion.
        ready: everything was followed that is worth it, as far as there was room.
        effort: what was done, in the unit of `running.BUDGET`. alone: what a trajectory does to come as far.
        apart: Σ mass · distance of what has merged.
    """

    status: Ints
    bits: Ints
    stores: Ints
    values: Floats
    masses: Floats
    kept: Ints
    kept_masses: Floats
    ready: bool
    effort: float
    alone: float
    apart: float


class TooManyStates(Exception):
    """Shots share too little for merging to pay."""


class Frontier:
    """Expands entries of one bound plan.

    Args:
        inputs: start values of counters by name.
        room: bytes for entries and rows.
        tolerance: the largest distance of states that merge.
    """

    def __init__(
        self,
        plan: c.Lowered,
        bound: t.Bound,
        inputs: Mapping[str, int],
        step_limit: int,
        room: int,
        tolerance: float = e.MERGE_DISTANCE,
    ) -> None:
        self.plan = plan
        self.bound = bound
        self.step_limit = step_limit
        self.tolerance = tolerance
        self.parts = addresses_of(plan)
        self.ranks = ranks(plan.code, plan.entry)
        self.branches = _branches(plan)
        self.worth = min(max(LEAST_WORTH, WORTH_PER_AMPLITUDE * 2**plan.qubits), 1.0)
        dimension, operators = 1 << plan.qubits, len(plan.operators)
        counters = len(plan.counters)
        self.start = Entry(
            plan.entry,
            np.array([inputs.get(name, 0) for name in plan.counters], dtype=np.int64),
            np.zeros((2, dimension)),
            np.zeros(operators),
            0,
        )
        self.start.state[0, 0] = 1.0
        self.bytes_per_entry = 16 * dimension + 8 * (counters + operators + 12)
        self.bytes_per_row = 8 * (len(plan.program.counters) + operators + 6)
        self.most_entries = min(room // 2 // self.bytes_per_entry, MOST_ENTRIES)
        self.most_rows = room // 4 // self.bytes_per_row
        self.work = scratch(plan)._replace(context=np.zeros(e.CONTEXT, dtype=np.int64))
        first = max(self.branches + 2, min(FIRST_ENTRIES, FIRST_BYTES // (16 * dimension)), LEAST_ENTRIES)
        self.first_entries = min(first, max(self.most_entries, LEAST_ENTRIES))
        self.entries = self._new_entries(self.first_entries)
        self.rows = self._new_rows(FIRST_ROWS)

    @property
    def too_large(self) -> str:
        """Why the states of one instruction's outcomes do not fit, or ""."""
        if self.most_entries >= self.branches + 2:
            return ""
        needed = self.branches + 2
        return f"{needed} states need {size_text(needed * self.bytes_per_entry)} of memory"

    # --- The run ----------------------------------------------------------------------------------

    def expand(self, root: Entry, shots: int, most_effort: float = np.inf) -> Found:
        """Follow an entry as far as it is worth it for so many shots.

        Args:
            most_effort: stop when so much was done, and more than half of what trajectories would have done.

        Raises:
            TooManyStates: it had to stop at an instruction with more outcomes than shots.
            EvaluationError: something has no value where shots come for sure.
        """
        ready = self._expand(root, shots, most_effort, by_steps=False)
        if ready is None:
            # Histories of different lengths have merged, and the step limit lies between them.
            ready = self._expand(root, shots, most_effort, by_steps=True)
            assert ready is not None
        context, entries = self.work.context, self.entries
        kept = entries.slots[: context[e.KEPT], e.SET_ASIDE]
        kept = np.concatenate([kept, entries.slots[: context[e.HEAPED], e.WAITING]])
        keys, numbers = self.rows.keys[: context[e.ROWS]], self.rows.numbers[: context[e.ROWS]]
        return Found(
            keys[:, e.STATUS],
            keys[:, e.BITS],
            keys[:, e.ROW_STORE :],
            numbers[:, 1:],
            numbers[:, 0],
            kept,
            entries.numbers[kept, 0],
            ready,
            *entries.sums.tolist(),
        )

    def entry(self, kept: int) -> Entry:
        """A copy of an entry that was kept."""
        slot = self.entries.slots[kept]
        return Entry(
            int(slot[e.AT]),
            slot[e.STORE :].copy(),
            self.entries.states[kept].copy(),
            self.entries.numbers[kept, 1:].copy(),
            int(slot[e.SHORTEST]),
        )

    def is_ending(self, kept: int) -> bool:
        """Whether an entry that was kept is at a read-out."""
        return bool(self.plan.code.instructions[self.entries.slots[kept, e.AT], c.OP] == c.READ)

    def _expand(self, root: Entry, shots: int, most_effort: float, *, by_steps: bool) -> bool | None:
        """Run the loop until it has finished (True) or must not go on (False); None: it must know steps."""
        context = self.work.context
        self._begin(root)
        while True:
            context[t.BUDGET] = min(BUDGET, most_effort)
            reason = k.expand(
                self.plan.code,
                self.bound,
                self.work,
                self.entries,
                self.rows,
                float(shots),
                self.step_limit,
                by_steps,
                self.worth,
                LISTED,
                self.branches,
                most_effort,
                self.tolerance,
                self.parts,
            )
            match reason:
                case t.FINISHED:
                    return True
                case t.PAUSED:  # an interrupt is heard here
                    self._refuse_outcomes(shots, most_effort)
                case t.ASK:
                    self._answer(shots)
                case k.FULL:
                    if not self._more_entries():
                        return False
                case k.CROWDED:
                    self._more_rows()
                case k.AMBIGUOUS:
                    return None
                case _:
                    assert reason == k.COSTLY
                    return False

    def _refuse_outcomes(self, shots: int, most_effort: float) -> None:
        """Stop among the outcomes of an entry: each runs on to the next instruction with outcomes."""
        context, sums = self.work.context, self.entries.sums
        parent, done = context[e.PARENT], int(context[e.OUTCOME])
        if parent < 0 or sums[e.EFFORT] <= max(most_effort, shots * sums[e.ALONE] / 2):
            return
        expected = shots * float(self.entries.numbers[parent, 0])
        if done > expected:
            raise TooManyStates(
                f"{context[e.NUMBER]} outcomes of one instruction would be followed; shots expected there: "
                f"{expected:.3g}"
            )

    def _begin(self, root: Entry) -> None:
        size, context = self.first_entries, self.work.context
        if len(self.entries.slots) > size:  # large tables are slow to clear
            self.entries = self._new_entries(size)
        if len(self.rows.keys) > FIRST_ROWS:
            self.rows = self._new_rows(FIRST_ROWS)
        entries = self.entries
        entries.heads[:], self.rows.heads[:], entries.sums[:], context[:] = -1, -1, 0.0, 0
        entries.slots[:, e.SPARE] = np.arange(size - 1, -1, -1)
        entries.states[0], self.work.store[:] = root.state, root.store
        entries.numbers[0, 0], entries.numbers[0, 1:] = 1.0, root.ends
        entries.slots[0, [e.AT, e.SHORTEST, e.LONGEST]] = root.pc, root.steps, root.steps
        context[e.UNUSED], context[e.PARENT] = size - 1, -1

    def _answer(self, shots: int) -> None:
        """Give the loop a number; what has none is an error where shots come for sure, else it is kept."""
        context, entries = self.work.context, self.entries
        child = int(context[e.CHILD])
        current = int(context[e.PARENT]) if child < 0 else child
        try:
            answer(self.plan, self.bound, self.work)
        except QdiffError:
            mass = float(entries.numbers[current, 0])
            if mass > ALL or mass * shots > SURE:
                raise
            entries.slots[current, e.STORE :] = self.work.store
            entries.slots[context[e.KEPT], e.SET_ASIDE] = current
            context[e.KEPT] += 1
            context[e.PARENT if child < 0 else e.CHILD] = -1
        else:
            context[t.GIVEN] = 1

    # --- Room -------------------------------------------------------------------------------------

    def _new_entries(self, size: int) -> e.Entries:
        return e.Entries(
            states=np.empty((size, 2, 1 << self.plan.qubits)),
            slots=np.zeros((size, e.STORE + len(self.plan.counters)), dtype=np.int64),
            numbers=np.zeros((size, 1 + len(self.plan.operators))),
            heads=np.full(_power(size), -1, dtype=np.int64),
            ranks=self.ranks,
            sums=np.zeros(3),
        )

    def _more_entries(self) -> bool:
        """Make room for more entries; False where there is none."""
        old, size, context = self.entries, len(self.entries.slots), self.work.context
        larger = min(GROWTH * size, self.most_entries)
        if larger <= size:
            return False
        new = self.entries = self._new_entries(larger)
        new.states[:size], new.slots[:size], new.numbers[:size] = old.states, old.slots, old.numbers
        new.sums[:] = old.sums
        unused = context[e.UNUSED]
        new.slots[unused : unused + larger - size, e.SPARE] = np.arange(larger - 1, size - 1, -1)
        context[e.UNUSED] += larger - size
        waiting = new.slots[: context[e.HEAPED], e.WAITING]
        new.slots[waiting, e.LINK] = _chained(new.slots[waiting, e.HASH], new.heads, waiting)
        return True

    def _new_rows(self, size: int) -> e.Rows:
        return e.Rows(
            keys=np.zeros((size, e.ROW_STORE + len(self.plan.program.counters)), dtype=np.int64),
            numbers=np.zeros((size, 1 + len(self.plan.operators))),
            heads=np.full(_power(size), -1, dtype=np.int64),
        )

    def _more_rows(self) -> None:
        old, size = self.rows, len(self.rows.keys)
        if GROWTH * size > self.most_rows:
            raise ResourceError(
                f"Merged shots end in more than {size} different ways, which need more than "
                f"{size_text(self.most_rows * self.bytes_per_row)} of memory. Use fewer shots, or raise "
                "the limit: MergedBackend(memory_limit=...)."
            )
        new = self.rows = self._new_rows(GROWTH * size)
        new.keys[:size], new.numbers[:size] = old.keys, old.numbers
        new.keys[:size, e.ROW_LINK] = _chained(new.keys[:size, e.ROW_HASH], new.heads, np.arange(size))


def _branches(plan: c.Lowered) -> int:
    """The most outcomes of an instruction, the read-out left out."""
    rows = plan.code.instructions
    measured = rows[(rows[:, c.OP] == c.MEASURE) | (rows[:, c.OP] == c.RECORD), c.B]
    return int(max(c.KRAUS, *(1 << measured), 2))


def _power(size: int) -> int:
    """The size of a hash table: a power of two."""
    return 1 << (2 * size - 1).bit_length()


def _chained(hashes: Ints, heads: Ints, items: Ints) -> Ints:
    """Put items into the chains of a hash table; return the item that follows each, -1 at the end."""
    bucket = hashes & (len(heads) - 1)
    order = np.argsort(bucket, kind="stable")
    following = np.full(len(items), -1, dtype=np.int64)
    same = bucket[order][1:] == bucket[order][:-1]
    following[order[1:][same]] = items[order[:-1][same]]
    heads[bucket[order]] = items[order]
    return following
