"""Runs side by side: the first instruction of the program at which runs wait is carried out for all of them.

Runs that stand at the same instruction are a *party*: their states are the rows of one array. An instruction
is taken when nothing before it is left to do (`merged.order`), so runs of a loop that leave it early wait for
those that go round again, and all go on together. A party is split where its runs go different ways, and
joined with those that wait where it comes to. Ended runs leave it: nothing is computed for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdiff.errors import QdiffError
from qdiff.sim.arrays.control import RUNNING, Runs, advance
from qdiff.sim.arrays.primitives import AMPLITUDE_BYTES, Array, ArrayLibrary, Ints
from qdiff.sim.arrays.steps import Failure, Steps
from qdiff.sim.machine import code as c
from qdiff.sim.machine import tables as k
from qdiff.sim.machine.running import BUDGET, Request, answer
from qdiff.sim.merged.order import ranks

ROOM = 4
"""States of a run at most: where it waits, where it goes on, and what an operation needs besides."""
AMPLITUDES, LARGE_AMPLITUDES = 2**18, 2**26
"""Of all runs that go side by side: as many as stay near a processor, or keep a GPU busy."""


@dataclass(frozen=True, eq=False)
class Party:
    """Runs that stand at one instruction.

    Attributes:
        rows: which they are. states: theirs, and others behind them where the library wants few shapes.
    """

    rows: Ints
    states: Array


def together(library: ArrayLibrary, qubits: int, memory: int) -> int:
    """How many runs go side by side."""
    fitting = memory // (ROOM * AMPLITUDE_BYTES[library.dtype] << qubits)
    useful = (AMPLITUDES if library.device == "cpu" else LARGE_AMPLITUDES) >> qubits
    return max(1, min(fitting, max(useful, 1)))


class Lockstep:
    """Some runs of one request, side by side.

    Args:
        request: of these runs alone: `first` is the index of the first.
    """

    def __init__(self, request: Request, library: ArrayLibrary, results: k.Results, order: Ints) -> None:
        plan, shots = request.plan, request.shots
        self.request, self.library, self.results, self.order = request, library, results, order
        self.runs = Runs(
            pcs=np.full(shots, plan.entry, dtype=np.int64),
            steps=np.zeros(shots, dtype=np.int64),
            draws=np.zeros(shots, dtype=np.int64),
            status=np.full(shots, RUNNING, dtype=np.int64),
            stores=np.zeros((shots, len(plan.counters)), dtype=np.int64),
        )
        for i, name in enumerate(plan.counters):
            self.runs.stores[:, i] = request.inputs.get(name, 0)
        self.steps = Steps(request, library, self.runs, results)
        self.waiting: dict[int, list[Party]] = {}
        self.failed: tuple[int, QdiffError] | None = None

    def run(self) -> None:
        """Run to the end.

        Raises:
            EvaluationError: something has no value when it runs: of the run with the least index.
        """
        everyone = np.arange(self.request.shots)
        self._go_on(Party(everyone, self._chosen(self.steps.start(1), np.zeros_like(everyone))))
        while self.waiting:
            pc = min(self.waiting, key=lambda at: int(self.order[at]))
            party = self._joined(self.waiting.pop(pc))
            if party is None:
                continue
            try:
                states = self.steps.carry_out(pc, party.rows, party.states)
            except Failure as failure:
                self._fail(int(party.rows.min()) if failure.row is None else failure.row, failure.problem)
                self._wait(pc, party)
                continue
            self._go_on(Party(party.rows, states))
        if self.failed is not None:
            raise self.failed[1]
        self.results.status[:] = self.runs.status
        self.results.counters[:] = self.runs.stores[:, : self.results.counters.shape[1]]

    def _go_on(self, party: Party) -> None:
        """Let the runs of a party come to where their states are needed next."""
        self._advance(party.rows)
        status, pcs = self.runs.status[party.rows], self.runs.pcs[party.rows]
        for pc in np.unique(pcs[status == RUNNING]).tolist():
            index = np.flatnonzero((status == RUNNING) & (pcs == pc))
            all_of = len(index) == len(party.rows)
            self._wait(pc, party if all_of else Party(party.rows[index], self._chosen(party.states, index)))

    def _wait(self, pc: int, party: Party) -> None:
        self.waiting.setdefault(pc, []).append(party)

    def _joined(self, parties: list[Party]) -> Party | None:
        """All runs of some parties, but those behind one that failed."""
        rows = np.concatenate([party.rows for party in parties])
        states = self.library.join([party.states for party in parties])
        starts = np.cumsum([0, *(party.states.shape[0] for party in parties)])[:-1]
        index = np.concatenate(
            [start + np.arange(len(party.rows)) for start, party in zip(starts, parties, strict=True)]
        )
        if self.failed is not None and (rows >= self.failed[0]).any():
            left = rows < self.failed[0]
            rows, index = rows[left], index[left]
            return Party(rows, self._chosen(states, index)) if len(rows) else None
        if len(parties) > 1 and self.library.fixed_shapes:
            states = self._chosen(states, index)
        return Party(rows, states)

    def _chosen(self, states: Array, index: Ints) -> Array:
        """Rows of states; where the library wants few shapes as many as a power of two."""
        if self.library.fixed_shapes:
            index = np.concatenate(
                [index, np.repeat(index[:1], (1 << (len(index) - 1).bit_length()) - len(index))]
            )
        return self.library.rows(states, index)

    def _advance(self, rows: Ints) -> None:
        """`control.advance` for some runs; what it asks for is answered."""
        request, work = self.request, self.steps.work
        work.context[k.ROW] = work.context[k.GIVEN] = 0
        while True:
            work.context[k.BUDGET] = BUDGET  # an interrupt is heard when it returns
            reason = advance(
                request.plan.code,
                self.steps.bound,
                work,
                self.steps.parts,
                self.runs,
                rows,
                np.uint64(request.seed),
                np.uint64(request.first),
                request.step_limit,
            )
            if reason == k.FINISHED:
                return
            if reason == k.ASK:
                try:
                    answer(request.plan, self.steps.bound, work)
                    work.context[k.GIVEN] = 1
                except QdiffError as problem:
                    row = int(rows[work.context[k.ROW]])
                    self._fail(row, problem)
                    self.runs.status[row] = k.ENDED
                    work.context[k.ROW] += 1

    def _fail(self, row: int, problem: QdiffError) -> None:
        """Remember the error of the run with the least index; runs behind it need not go on."""
        if self.failed is None or row < self.failed[0]:
            self.failed = row, problem


def order_of(plan: c.Lowered) -> Ints:
    """In which order instructions are taken; read-outs as they come."""
    return ranks(plan.code, plan.entry)
