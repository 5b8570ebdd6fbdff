"""The same estimate many times, with different seeds: how far it spreads, and what it said of that itself."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

import qdiff as qd
from benchmarks.workloads import Workload
from qdiff.estimators.method import Estimator
from qdiff.lang.parameters import resolve
from qdiff.sim.machine.backend import TrajectoryBackend

Floats = NDArray[np.float64]

LEVEL = 0.95
CHUNK = 20
"""Repetitions that a process makes at a time."""


@dataclass(frozen=True)
class Subject:
    """What is estimated, in text and numbers: processes rebuild it."""

    name: str
    program: str
    params: tuple[tuple[str, float], ...]
    observable: str
    wrt: tuple[str, ...]

    @classmethod
    def of(cls, workload: Workload, *wrt: str) -> Subject:
        """A workload and the parameters to differentiate by."""
        params = tuple(resolve(workload.program, workload.params).items())
        return cls(workload.name, str(workload.program), params, workload.observable, wrt)

    def objective(self) -> qd.Objective:
        """The same objective for equal subjects: what it has computed is kept."""
        return _objective(self)

    def exact(self) -> Floats:
        """float (d,)."""
        return np.asarray(self.objective().grad(dict(self.params), list(self.wrt)))


@lru_cache(maxsize=64)
def _objective(subject: Subject) -> qd.Objective:
    return qd.expectation(qd.parse(subject.program), subject.observable)


@dataclass(frozen=True, eq=False)
class Repetitions:
    """R estimates of d derivatives.

    Attributes:
        value, stderr, low, high, degrees: float (R, d).
        bias_bound: float (R, d).
        shots: int64 (R,), spent.
        reasons: not to trust the intervals, "" where they are trusted.
    """

    value: Floats
    stderr: Floats
    low: Floats
    high: Floats
    degrees: Floats
    bias_bound: Floats
    shots: NDArray[np.int64]
    reasons: tuple[str, ...]

    @property
    def number(self) -> int:
        """R."""
        return len(self.value)

    @property
    def variance(self) -> Floats:
        """float (d,), per shot spent: the spread of the estimates, times their shots."""
        return np.asarray(self.value.var(axis=0, ddof=1) * self.shots.mean())

    @property
    def variance_error(self) -> Floats:
        """float (d,), the standard error of `variance`."""
        around = self.value - self.value.mean(axis=0)
        squares = (around**2).mean(axis=0)
        spread = np.maximum((around**4).mean(axis=0) - squares**2, 0.0)
        return np.asarray(np.sqrt(spread / self.number) * self.shots.mean())

    @property
    def claimed(self) -> Floats:
        """float (d,), the mean of what the estimates say of their variance, per shot spent."""
        return np.asarray((self.stderr**2 * self.shots[:, None]).mean(axis=0))

    @property
    def claimed_error(self) -> Floats:
        """float (d,), the standard error of `claimed`."""
        said = self.stderr**2 * self.shots[:, None]
        return np.asarray(said.std(axis=0, ddof=1) / np.sqrt(self.number))

    def away(self, exact: Floats) -> Floats:
        """float (d,), how many standard errors the mean is away from the exact derivative."""
        error = self.value.std(axis=0, ddof=1) / np.sqrt(self.number)
        apart = np.abs(self.value.mean(axis=0) - exact)
        return np.where(error > 0, apart / np.where(error > 0, error, 1.0), np.where(apart > 0, np.inf, 0.0))

    def error(self, exact: Floats) -> Floats:
        """float (d,), the root mean square of value - exact."""
        return np.asarray(np.sqrt(((self.value - exact) ** 2).mean(axis=0)))

    @property
    def skewness(self) -> Floats:
        """float (d,), of the estimates."""
        around = self.value - self.value.mean(axis=0)
        scale = around.std(axis=0)
        return np.asarray((around**3).mean(axis=0) / np.where(scale > 0, scale, 1.0) ** 3)


@dataclass(frozen=True)
class _Task:
    subject: Subject
    estimator: str | Estimator
    shots: int
    seeds: range


def repeated(
    subject: Subject,
    estimator: str | Estimator,
    shots: int,
    repetitions: int,
    executor: Executor | None = None,
    first_seed: int = 0,
) -> Repetitions:
    """Estimate again and again, with the seeds first_seed, first_seed + 1, …

    Args:
        executor: where that is done, None: here.

    Raises:
        QdiffError: as of `estimate_grad`.
    """
    end = first_seed + repetitions
    tasks = [
        _Task(subject, estimator, shots, range(begin, min(begin + CHUNK, end)))
        for begin in range(first_seed, end, CHUNK)
    ]
    return _joined(list(map(_done, tasks) if executor is None else executor.map(_done, tasks)))


def _done(task: _Task) -> Repetitions:
    subject, backend = task.subject, TrajectoryBackend(threads=1)
    objective, params = subject.objective(), dict(subject.params)
    found = []
    for seed in task.seeds:
        found.append(
            objective.estimate_grad(
                params,
                list(subject.wrt),
                shots=task.shots,
                seed=seed,
                estimator=task.estimator,
                backend=backend,
            )
        )
    bounds = [each.interval(LEVEL) for each in found]
    size = len(subject.wrt)
    return Repetitions(
        np.stack([each.value for each in found]),
        np.stack([each.stderr for each in found]),
        np.stack([low for low, _ in bounds]),
        np.stack([high for _, high in bounds]),
        np.stack([np.broadcast_to(each.degrees, size) for each in found]),
        np.stack([np.broadcast_to(each.bias_bound, size) for each in found]),
        np.array([each.shots for each in found]),
        tuple([each.reason for each in found]),
    )


def _joined(parts: Sequence[Repetitions]) -> Repetitions:
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("value", "stderr", "low", "high", "degrees", "bias_bound", "shots")
    }
    return Repetitions(**arrays, reasons=tuple([reason for part in parts for reason in part.reasons]))
