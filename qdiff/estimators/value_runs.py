"""Runs of a program as it is: moments of what they read, a group of terms and a batch of shots at a time.

Outcomes are summed up as they come, so the number of shots is not limited by memory. Backends that tell
shots apart run them in batches of a fixed size, in the order of their numbers, so that the result is the same
whoever runs which; others, which may sum up equal shots, run all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.groups import Group, readout_of, shared_groups, values_of
from qdiff.estimators.moments import Moments
from qdiff.estimators.problem import Problem
from qdiff.estimators.problem_text import ProblemText
from qdiff.lang.tree import Program
from qdiff.sim.protocol import Job, Outcomes, Prepared, Readout
from qdiff.sim.registry import require
from qdiff.sim.seeds import derived_seed

Floats = NDArray[np.float64]

BATCH = 2**16
"""Shots whose rows are in memory together."""
KEPT = 16
"""Problems that a worker keeps."""


@dataclass(frozen=True)
class Part:
    """Shots of one group: first … first + number - 1."""

    group: int
    number: int
    seed: int
    first: int


@dataclass(frozen=True, eq=False)
class Summary:
    """What shots of one group gave.

    Attributes:
        moments: of o (m,), over all shots, 0 where a run aborted or was cut.
        low, high: float (m,), between which o was, 0 included.
        cut: how many runs were cut. note: of the backend.
    """

    moments: Moments
    low: Floats
    high: Floats
    cut: int
    note: str

    @classmethod
    def of(cls, values: Floats, outcomes: Outcomes) -> Summary:
        """Of rows (n, m)."""
        weights, shots = outcomes.weights, outcomes.shots
        around = values - values[0]  # equal values have exactly this mean and no scatter
        mean = weights @ around / shots
        around = around - mean
        return cls(
            Moments(shots, values[0] + mean, (weights * around.T) @ around),
            np.minimum(values.min(axis=0), 0.0),
            np.maximum(values.max(axis=0), 0.0),
            int(weights @ outcomes.cut),
            outcomes.note,
        )

    def __add__(self, other: Summary) -> Summary:
        """Of the shots of both."""
        return Summary(
            self.moments + other.moments,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.cut + other.cut,
            "; ".join(dict.fromkeys(filter(None, [self.note, other.note]))),
        )


class ValueRuns:
    """The runs of a program on a backend.

    Attributes:
        groups: which terms are read together; each run reads one group.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.groups: tuple[Group, ...] = shared_groups(problem.observables) or ((),)
        prepared: list[tuple[Program, Readout]] = []
        for group in self.groups:
            readout, program = readout_of(group), problem.program
            if problem.readout_errors:
                program = problem.readout_errors.read(program, readout.qubits, readout.bases)
                readout = Readout(readout.qubits)
            require(problem.backend, program, readout)
            prepared.append((program, readout))
        self._prepared: list[Prepared] = [problem.backend.prepare(*each) for each in prepared]

    def run(self, shots: Sequence[int], seed: int) -> list[Summary]:
        """Run each group so often, on the problem's executor if it has one.

        Args:
            seed: group g runs with a seed derived from it and g.
        """
        told_apart = self.problem.backend.capabilities.inputs_by_shot
        batches = _batches(shots, seed, BATCH if told_apart else None)
        found: dict[int, Summary] = {}
        for batch, summaries in self._results(batches):
            for part, summary in zip(batch, summaries, strict=True):
                found[part.group] = found[part.group] + summary if part.group in found else summary
        return [found[group] for group in range(len(self.groups))]

    def summaries(self, batch: Sequence[Part]) -> list[Summary]:
        """Run a batch here."""
        problem = self.problem
        jobs = [
            Job(self._prepared[part.group], problem.params, part.number, part.seed, first=part.first)
            for part in batch
        ]
        return [
            Summary.of(self._values(part.group, outcomes), outcomes)
            for part, outcomes in zip(batch, problem.backend.run(jobs), strict=True)
        ]

    def _values(self, group: int, outcomes: Outcomes) -> Floats:
        prepared, number = self._prepared[group], len(self.problem.observables)
        return values_of(self.groups[group], number, prepared.program, prepared.readout, outcomes)

    def _results(
        self, batches: Iterable[tuple[Part, ...]]
    ) -> Iterator[tuple[tuple[Part, ...], list[Summary]]]:
        if self.problem.executor is None:
            yield from ((batch, self.summaries(batch)) for batch in batches)
        else:
            from qdiff.estimators.parallel.executors import in_order

            text, sent = ProblemText.of(self.problem), list(batches)
            tasks = ((text, batch) for batch in sent)
            yield from zip(sent, in_order(_summaries_of, tasks, self.problem.executor), strict=True)


def _batches(shots: Sequence[int], seed: int, size: int | None) -> Iterator[tuple[Part, ...]]:
    """Cut the shots of all groups into batches; None: one batch."""
    batch: list[Part] = []
    free = size
    for group, number in enumerate(shots):
        own, first = derived_seed(seed, group), 0
        while first < number:
            taken = number - first if free is None else min(number - first, free)
            batch.append(Part(group, taken, own, first))
            first += taken
            if free is not None:
                free -= taken
                if not free:
                    yield tuple(batch)
                    batch, free = [], size
    if batch:
        yield tuple(batch)


@lru_cache(maxsize=KEPT)
def _rebuilt(text: ProblemText) -> ValueRuns:
    """The same runs in a worker."""
    return ValueRuns(text.rebuilt())


def _summaries_of(task: tuple[ProblemText, tuple[Part, ...]]) -> list[Summary]:
    text, batch = task
    return _rebuilt(text).summaries(batch)
