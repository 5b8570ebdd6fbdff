"""Runs of the unchanged program at both sides of some parameters: what differences of values are made of.

    plus_i = o of shot i at θ + δ,     minus_i = o of shot i at θ - δ

A shot's outcome depends on (seed, i) only, so with one seed for both sides it has the same random numbers on
both: as long as its choices come out alike, the two agree. Backends that take inputs by shot tell shots
apart; others may give a number of equal shots. Terms of observables that are measured in different bases form
groups with runs of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import BackendError
from qdiff.estimators.groups import Group, readout_of, shared_groups, values_of
from qdiff.estimators.problem import Problem
from qdiff.estimators.problem_text import ProblemText
from qdiff.lang.tree import Program
from qdiff.sim.protocol import Job, Outcomes, Prepared, Readout
from qdiff.sim.registry import require

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK = 2**16
"""Pairs a block: their rows are in memory together."""
KEPT = 16
"""Problems that a worker keeps."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Runs to make at both sides of some points.

    Attributes:
        group: of terms that are read.
        shifts: float (K, d), δ by the parameters that are differentiated.
        numbers: int64 (K,), pairs of runs with each; all have the indices first, first + 1, …
        seeds: of the two sides.
    """

    group: int
    shifts: Floats
    numbers: Ints
    first: int
    seeds: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Sides:
    """What pairs of runs gave.

    Attributes:
        plus, minus: float (n, m), of every observable; 0 where a run aborted or was cut.
        cut: how many runs of both sides were cut.
        note: of the backend.
    """

    plus: Floats
    minus: Floats
    cut: int
    note: str


class ShiftedRuns:
    """The runs of one program on one backend.

    Attributes:
        groups: which terms are read together; each run reads one group.
        paired: whether shots with one seed and index have the same random numbers.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.groups: tuple[Group, ...] = shared_groups(problem.observables) or ((),)
        self.paired = problem.backend.capabilities.inputs_by_shot
        self._prepared: list[tuple[Prepared, Program]] = []
        for group in self.groups:
            readout, program = readout_of(group), problem.program
            if problem.readout_errors:
                program = problem.readout_errors.read(program, readout.qubits, readout.bases)
                readout = Readout(readout.qubits)
            require(problem.backend, program, readout)
            self._prepared.append((problem.backend.prepare(program, readout), program))

    def run(self, blocks: Iterable[Pairs]) -> Iterator[Sides]:
        """Make runs, in the order of the blocks, on the problem's executor if it has one.

        Raises:
            QdiffError: an executor, and a backend that is known by no name.
        """
        if self.problem.executor is None:
            yield from map(self.sides, blocks)
        else:
            from qdiff.estimators.parallel.executors import in_order

            text = ProblemText.of(self.problem)
            yield from in_order(_sides_of, ((text, block) for block in blocks), self.problem.executor)

    def sides(self, block: Pairs) -> Sides:
        """Make runs here."""
        prepared, program = self._prepared[block.group]
        firsts = block.first + np.cumsum(block.numbers) - block.numbers
        jobs = [
            Job(prepared, self._at(sign * shift), number, seed, first=first)
            for sign, seed in zip((1, -1), block.seeds, strict=True)
            for shift, number, first in zip(
                block.shifts, block.numbers.tolist(), firsts.tolist(), strict=True
            )
        ]
        outcomes = self.problem.backend.run(jobs)
        values = [self._read(block, program, prepared.readout, each) for each in outcomes]
        half = len(values) // 2
        return Sides(
            np.concatenate(values[:half]),
            np.concatenate(values[half:]),
            int(sum(each.weights @ each.cut for each in outcomes)),
            "; ".join(dict.fromkeys(each.note for each in outcomes if each.note)),
        )

    def _at(self, shift: Floats) -> dict[str, float]:
        """The parameters, some of them shifted."""
        params = dict(self.problem.params)
        for name, step in zip(self.problem.wrt, shift.tolist(), strict=True):
            params[name] += step
        return params

    def _read(self, block: Pairs, program: Program, readout: Readout, outcomes: Outcomes) -> Floats:
        values = values_of(
            self.groups[block.group], len(self.problem.observables), program, readout, outcomes
        )
        if outcomes.counts is None:
            return values
        if self.paired and block.seeds[0] == block.seeds[1]:
            raise BackendError(
                f"Backend `{self.problem.backend.name}` takes inputs by shot, but hands back rows that stand "
                "for several shots: which of them have the same random numbers is not known."
            )
        return np.repeat(values, outcomes.counts, axis=0)


def blocks(group: int, shifts: Floats, numbers: Ints, seeds: tuple[int, int]) -> Iterator[Pairs]:
    """Cut the pairs of one group into blocks.

    Args:
        shifts: float (K, d). numbers: int64 (K,), of any size.
    """
    start = first = 0
    while start < len(numbers):
        if numbers[start] > BLOCK:
            for begun in range(0, int(numbers[start]), BLOCK):
                size = min(BLOCK, int(numbers[start]) - begun)
                yield Pairs(group, shifts[start : start + 1], np.array([size]), first + begun, seeds)
            end = start + 1
        else:
            total = np.cumsum(numbers[start : start + BLOCK])
            end = start + int(np.searchsorted(total, BLOCK, side="right"))
            yield Pairs(group, shifts[start:end], numbers[start:end], first, seeds)
        first += int(numbers[start:end].sum())
        start = end


@lru_cache(maxsize=KEPT)
def _rebuilt(text: ProblemText) -> ShiftedRuns:
    """The same runs in a worker."""
    return ShiftedRuns(text.rebuilt())


def _sides_of(task: tuple[ProblemText, Pairs]) -> Sides:
    text, block = task
    return _rebuilt(text).sides(block)
