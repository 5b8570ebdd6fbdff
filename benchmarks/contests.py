"""Two ways to run the same shots, timed one beside the other, each held against the exact mean."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import qdiff as qd
from benchmarks import workloads
from benchmarks.figures import NotRun
from benchmarks.peers.loop import Loop
from benchmarks.peers.lower import lower
from benchmarks.workloads import Workload

RUN_SECONDS = 0.5  # what a timed run takes at least
STANDARD_ERRORS = 5


@dataclass(frozen=True)
class Answer:
    """One run: its time, and the sum and the sum of squares of the counter over the shots."""

    shots: int
    seconds: float
    sum: int
    squares: int
    memory_mib: float = 0.0


Runner = Callable[[int, int], Answer]  # shots, seed
Kernel = Callable[[int, int], tuple[int, int]]  # shots, seed -> sum, squares


@dataclass(frozen=True)
class Contest:
    """A workload whose counter `c` is sampled.

    Attributes:
        goal: shots/s of trajectories on one thread.
        kernel: the same written by hand.
        share: the goal as a part of the kernel's rate; None where there is no such goal.
    """

    workload: Workload
    goal: float
    kernel: Kernel
    share: float | None

    @cached_property
    def exact(self) -> float:
        """The mean of the counter, computed."""
        return float(qd.expectation(self.workload.program, "c")(self.workload.params))

    @cached_property
    def loop(self) -> Loop:
        """What peers run."""
        return lower(self.workload)

    def sample(self, shots: int, seed: int, backend: str = "trajectory", threads: int = 1) -> qd.Samples:
        """qdiff's shots."""
        return sample(self.workload, shots, seed, backend, threads)

    def qdiff(self, shots: int, seed: int) -> Answer:
        """A timed run of trajectories on one thread."""
        begun = time.perf_counter()
        samples = self.sample(shots, seed)
        seconds = time.perf_counter() - begun
        c = samples.counters["c"]
        return Answer(shots, seconds, int(c.sum()), int((c * c).sum()))

    def by_hand(self, shots: int, seed: int) -> Answer:
        """A timed run of the kernel."""
        begun = time.perf_counter()
        total, squares = self.kernel(shots, seed)
        return Answer(shots, time.perf_counter() - begun, total, squares)


def sample(
    workload: Workload, shots: int, seed: int, backend: str = "trajectory", threads: int = 1
) -> qd.Samples:
    """Shots of a workload; merged ones always run on one thread."""
    apart = threads if backend == "trajectory" else None
    return qd.sample(
        workload.program, workload.params, shots=shots, seed=seed, backend=backend, threads=apart
    )


def contests() -> tuple[Contest, Contest]:
    """Amplitude amplification and the walk."""
    from benchmarks import kernels

    one, walk = workloads.amplitude_amplification(), workloads.quantum_walk()
    loop, steps = lower(walk), kernels.walk_steps(lower(walk))
    t, a = (float(str(one.params[name])) for name in ("t", "a"))
    most = lower(one).most
    return (
        Contest(one, 2.5e6, lambda shots, seed: kernels.amplification(shots, seed, t, a, most), 0.2),
        Contest(
            walk, 3e4, lambda shots, seed: kernels.walk(shots, seed, 1 << loop.guard, loop.most, *steps), None
        ),
    )


def deviation(answer: Answer, exact: float) -> float:
    """How many standard errors the mean is away from the exact one; infinite where all shots are equal."""
    mean = answer.sum / answer.shots
    error = math.sqrt(max(0.0, answer.squares / answer.shots - mean**2) / answer.shots)
    if error == 0:
        return 0.0 if mean == exact else math.inf
    return abs(mean - exact) / error


def checked(answer: Answer, exact: float) -> float:
    """Shots/s of a run whose mean is right.

    Raises:
        NotRun: it is not.
    """
    away = deviation(answer, exact)
    if away > STANDARD_ERRORS:
        mean = answer.sum / answer.shots
        raise NotRun(f"WRONG: mean {mean:.6g} is {away:.1f} standard errors from the exact {exact:.6g}")
    return answer.shots / answer.seconds


def enough(run: Runner) -> int:
    """A number of shots that take at least `RUN_SECONDS`, twice: once may be a machine that stood still.

    A first run, which may compile, does not count.
    """
    run(1, 0)
    shots = 1
    while True:
        taken = run(shots, 0).seconds
        if taken >= RUN_SECONDS:
            taken = min(taken, run(shots, 0).seconds)
        if taken >= RUN_SECONDS:
            return shots
        shots *= 2 if taken > RUN_SECONDS / 8 else 8


def rates(run: Runner, exact: float, repeat: int) -> list[float]:
    """Shots/s of so many runs, each checked."""
    shots = enough(run)
    return [checked(run(shots, 1 + i), exact) for i in range(repeat)]


@dataclass(frozen=True)
class Comparison:
    """The median of the quotients of rates, mine ÷ the other's, its median rate, and its last run."""

    quotient: float
    rate: float
    last: Answer


def beside(mine: Runner, other: Runner, exact: float, repeat: int) -> Comparison:
    """Time two runners in turn, every run checked."""
    shots, others = enough(mine), enough(other)
    quotients, found = [], []
    for i in range(repeat):
        last = other(others, 1 + i)
        found.append(checked(last, exact))
        quotients.append(checked(mine(shots, 1 + i), exact) / found[-1])
    return Comparison(statistics.median(quotients), statistics.median(found), last)
