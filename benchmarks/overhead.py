"""How long an estimator's own Python takes: its time, less that of the backend's runs.

A backend that times itself stands in for the default one, on one thread, so that nothing overlaps.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.repetitions import Subject
from qdiff.estimators.method import Estimator
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Gradients, Job, Outcomes

SHARE = 0.1
LEAST_MS = 5.0


class TimedBackend(TrajectoryBackend):
    """The default backend on one thread; adds up how long its runs take.

    Attributes:
        seconds: of all runs so far.
    """

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.seconds = 0.0

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        """See `Backend.run`."""
        begun = time.perf_counter()
        found = super().run(jobs)
        self.seconds += time.perf_counter() - begun
        return found

    def run_gradients(self, jobs: Sequence[Job]) -> list[Gradients]:
        """See `TangentBackend.run_gradients`."""
        begun = time.perf_counter()
        found = super().run_gradients(jobs)
        self.seconds += time.perf_counter() - begun
        return found


@dataclass(frozen=True)
class Overhead:
    """Times of an estimate, in ms; medians.

    Attributes:
        runs: inside the backend. own: everything else.
    """

    runs: float
    own: float

    @property
    def goal(self) -> float:
        """A tenth of the runs or 5 ms, whichever is larger."""
        return max(SHARE * self.runs, LEAST_MS)


def overhead(subject: Subject, estimator: Estimator, shots: int, repeat: int) -> Overhead:
    """Time warm estimates, each with a seed of its own."""
    objective, params, wrt = subject.objective(), dict(subject.params), list(subject.wrt)
    runs, own = [], []
    for seed in range(repeat + 1):
        backend = TimedBackend()
        begun = time.perf_counter()
        objective.estimate_grad(params, wrt, shots=shots, seed=seed, estimator=estimator, backend=backend)
        total = time.perf_counter() - begun
        runs.append(1e3 * backend.seconds)
        own.append(1e3 * (total - backend.seconds))
    return Overhead(statistics.median(runs[1:]), statistics.median(own[1:]))
