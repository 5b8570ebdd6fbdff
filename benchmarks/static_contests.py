"""Value and gradient of a circuit by qdiff and by a peer, timed one beside the other on one core.

    quotient = median of (time of a peer's call ÷ time of qdiff's call right after it)

A peer runs in a process of its own. Every way that it knows is held against qdiff at all points, value and
gradient, before it is timed; the fastest right one is what counts, and its answers are held again each run.
"""

from __future__ import annotations

import importlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import NotRun, amount
from benchmarks.peers.process import Process, launched
from benchmarks.peers.static.circuit import Circuit
from benchmarks.peers.static.lower import lower
from benchmarks.workloads import Workload

Floats = NDArray[np.float64]

PEERS = {"jax": "JAX", "catalyst": "Catalyst", "lightning": "PennyLane-Lightning", "qulacs": "Qulacs"}
ONE_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
CLOSE = 1e-8
POINTS = 3
RUN_SECONDS = 0.3  # what a timed run takes at least, or one call
TRIALS = 3  # runs of a way, of which the fastest counts when ways are compared
SLOW_SECONDS = 0.3  # a call that takes longer is repeated five times


@dataclass(frozen=True)
class Answer:
    """The last of some calls: seconds of one call, value and gradient at which of the points."""

    seconds: float
    point: int
    value: object
    gradient: object
    memory_mib: float = 0.0


Runner = Callable[[int], Answer]  # calls


@dataclass(frozen=True)
class Contest:
    """A circuit, and how fast its value and gradient should be.

    Attributes:
        goal: ms a call, on one thread.
        sets: of parameters in one call.
    """

    workload: Workload
    goal: float | None = None
    sets: int = 1
    options: Mapping[str, object] = field(default_factory=lambda: {"threads": 1})

    @property
    def name(self) -> str:
        """The circuit, and how many sets of parameters."""
        return self.workload.name + (f", {self.sets} sets" if self.sets > 1 else "")

    @cached_property
    def circuit(self) -> Circuit:
        """What peers run."""
        return lower(self.workload)

    @cached_property
    def points(self) -> Floats:
        """float (K, d) or (K, sets, d): where to evaluate, in turn."""
        size = (POINTS, self.sets, self.circuit.parameters)
        points = np.random.default_rng(1).uniform(-np.pi, np.pi, size)
        return points if self.sets > 1 else points[:, 0]

    @cached_property
    def call(self) -> Callable[[Floats], tuple[Any, Any]]:
        """qdiff's value and gradient."""
        objective = self.workload.objective(**self.options)
        return objective.batch_value_and_grad if self.sets > 1 else objective.value_and_grad

    @cached_property
    def expected(self) -> list[tuple[Any, Any]]:
        """qdiff's answers at all points."""
        return [self.call(point) for point in self.points]

    def qdiff(self, calls: int) -> Answer:
        """Timed calls of qdiff, each at the next point."""
        call, points = self.call, list(self.points)
        begun = time.perf_counter()
        for i in range(calls):
            answer = call(points[i % POINTS])
        seconds = time.perf_counter() - begun
        return Answer(seconds / calls, (calls - 1) % POINTS, *answer)

    def hold(self, point: int, value: object, gradient: object) -> None:
        """Compare an answer with qdiff's.

        Raises:
            NotRun: it is another one.
        """
        expected, slopes = self.expected[point]
        off, turned = _distance(value, expected), _distance(gradient, slopes)
        if not (off <= CLOSE and turned <= CLOSE):
            raise NotRun(f"WRONG: value off by {off:.2g}, gradient by {turned:.2g}")


def _distance(actual: object, expected: object) -> float:
    a, e = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    return float(np.abs(a - e).max()) if a.size == e.size and a.size else float("inf")


@dataclass
class StaticPeer(Process):
    """A running peer with one way to compute.

    Attributes:
        seconds: of a warm call, about.
    """

    contest: Contest
    way: str
    version: str = ""
    compile_s: float = 0.0
    seconds: float = 0.0

    @classmethod
    def start(cls, name: str, way: str, contest: Contest, python: str) -> StaticPeer:
        """Start a process, let it compile, and hold its answers at all points.

        Raises:
            NotRun: it is not installed, fails or is wrong.
        """
        module = f"benchmarks.peers.static.{name}"
        peer = cls(launched(module, python=python, threads=1, **ONE_THREAD), contest, way)
        try:
            first = peer.ask(circuit=contest.circuit.to_json(), points=contest.points.tolist(), way=way)
            if "fails" in first:
                raise NotRun(f"fails: {first['fails']}")
            for point in range(POINTS):
                contest.hold(point, first["values"][point], first["gradients"][point])
        except BaseException:
            peer.stop()
            raise
        peer.version, peer.compile_s, peer.seconds = (
            first[key] for key in ("version", "compile_s", "seconds")
        )
        if peer.seconds < SLOW_SECONDS:  # three calls tell little of a fast one
            calls = max(1, int(RUN_SECONDS / peer.seconds))
            peer.seconds = min(peer.run(calls).seconds for _ in range(TRIALS))
        return peer

    def run(self, calls: int) -> Answer:
        """Time so many calls."""
        found = self.ask(calls=calls)
        return Answer(**{**found, "seconds": found["seconds"] / calls})


def ways(name: str, contest: Contest) -> list[str]:
    """The names of the ways that a peer has for a contest."""
    module = importlib.import_module(f"benchmarks.peers.static.{name}")
    return list(module.BATCH if contest.sets > 1 else module.WAYS)


def fastest(name: str, contest: Contest, python: str) -> tuple[StaticPeer, dict[str, str]]:
    """Try every way; return the fastest right one, running, and what each of them gave.

    Raises:
        NotRun: none is right; the reasons of all.
    """
    tried: dict[str, str] = {}
    best: StaticPeer | None = None
    for way in ways(name, contest):
        try:
            peer = StaticPeer.start(name, way, contest, python)
        except NotRun as reason:
            tried[way] = str(reason)
            if "is not installed" in tried[way]:
                break
            continue
        tried[way] = f"{amount(1e3 * peer.seconds, 'ms')}, compiled in {amount(peer.compile_s, 's')}"
        if best is None or peer.seconds < best.seconds:
            best, peer = peer, best or peer
        if peer is not best:
            peer.stop()
    if best is None:
        reasons = list(dict.fromkeys(tried.values()))
        raise NotRun("; ".join(reasons) or "it has no way to compute this")
    return best, tried


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this thread, and the processes that it starts, on one core; on Linux."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def enough(run: Runner) -> int:
    """How many calls take at least `RUN_SECONDS`, after a call that is not counted."""
    run(1)
    calls = 1
    while (taken := run(calls).seconds * calls) < RUN_SECONDS:
        calls *= 2 if taken > RUN_SECONDS / 8 else 8
    return calls


def repeats(seconds: float, repeat: int) -> int:
    """How often to time: five times where a call is slow."""
    return min(repeat, 5) if seconds > SLOW_SECONDS else repeat


@dataclass(frozen=True)
class Comparison:
    """The median of the quotients of times, the other's ÷ mine, the other's median, and its last answer."""

    quotient: float
    seconds: float
    last: Answer


def beside(contest: Contest, other: Runner, repeat: int) -> Comparison:
    """Time a peer and qdiff in turn, every answer held.

    Raises:
        NotRun: the peer is wrong.
    """
    mine, others = enough(contest.qdiff), enough(other)
    quotients: list[float] = []
    found: list[float] = []
    while len(found) < repeats(found[0] if found else 0.0, repeat):
        last = other(others)
        contest.hold(last.point, last.value, last.gradient)
        found.append(last.seconds)
        quotients.append(last.seconds / contest.qdiff(mine).seconds)
    return Comparison(statistics.median(quotients), statistics.median(found), last)
