"""`python -m benchmarks`: measure the table of README.md, one thread, warm, medians.

    OMP_NUM_THREADS=1 python -m benchmarks [--repeat 15] [--only TEXT]

Each row states its goal. Times are of this process; import and first-call times of new ones.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import qdiff as qd
from benchmarks import workloads
from benchmarks.workloads import Workload
from qdiff.lang.parameters import resolve
from qdiff.sim.hybrid.engine import HybridEngine


@dataclass(frozen=True)
class Figure:
    """One figure of the table: what it is, its goal, how it is measured (in the same unit)."""

    name: str
    unit: str
    goal: float
    measure: Callable[[], float]

    def row(self) -> str:
        """Measure and return the row of the table."""
        measured = self.measure()
        verdict = "met" if measured <= self.goal else "MISSED"
        goal, found = (f"{number:.3g} {self.unit}".rstrip() for number in (self.goal, measured))
        return f"| {self.name} | {goal} | {found} | {verdict} |"


def median_seconds(action: Callable[[], object], repeat: int) -> float:
    """Return the median time of an action, after one run that is not counted."""
    action()
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def exact_figures(repeat: int) -> Iterator[Figure]:
    """Values and gradients of the exact engine."""

    def value(workload: Workload) -> float:
        f = workload.objective()
        return 1e3 * median_seconds(lambda: f(workload.params), repeat)

    def gradient(workload: Workload) -> float:
        f = workload.objective()
        return 1e3 * median_seconds(lambda: f.value_and_grad(workload.params), repeat)

    for workload, goal, what in (
        (workloads.amplitude_amplification(), 3, "value + both derivatives"),
        (workloads.quantum_walk(), 20, "value + both derivatives"),
        (workloads.repeat_until_success(), 1, "value"),
        (workloads.repeat_until_success(), 3, "value + all 11 derivatives"),
        (workloads.seeded_loop(), 500, "value + 20 derivatives"),
    ):
        measure = value if what == "value" else gradient
        yield Figure(f"{workload.name}: {what}", "ms", goal, lambda m=measure, w=workload: m(w))  # type: ignore[misc]


def krylov_figures() -> Iterator[Figure]:
    """Applications of a loop that one solve takes."""
    for fresh in (4, 1):
        for radius, goal in ((0.9, 15), (0.99, 25), (0.999, 40)):
            workload = workloads.seeded_loop(radius=radius, fresh=fresh)
            yield Figure(
                f"{workload.name}: Krylov applications",
                "",
                goal,
                lambda w=workload: applications(w),  # type: ignore[misc]
            )


def applications(workload: Workload) -> int:
    """Return the larger number of applications of the forward and the backward solve."""
    observable = qd.observable(workload.observable)
    engine = HybridEngine(workload.program)
    params = resolve(workload.program, workload.params)
    solution = engine.solve(params, observable, workload.program.trainable)
    forward = solution.solver.applications
    engine.pull_back(solution, observable)
    return max(forward, solution.solver.applications - forward)


def text_figures(repeat: int) -> Iterator[Figure]:
    """Parsing."""
    text = workloads.flat_text()
    yield Figure(
        "parsing 10 000 statements", "s", 3, lambda: median_seconds(lambda: qd.parse(text), min(repeat, 5))
    )


FIRST = """
import time
begun = time.perf_counter()
import qdiff as qd
imported = time.perf_counter()
program = qd.load("casestudies/amplitude_amplification/program.qprog")
f = qd.expectation(program, "c * P1[r] / 10")
f.value_and_grad({"t": 1.4342, "a": 0.2003348423231196, "n": 40})
print(imported - begun, time.perf_counter() - imported)
"""


def process_figures(repeat: int) -> Iterator[Figure]:
    """Import and first call, each time in a new process."""

    def median(column: int) -> float:
        command = [sys.executable, "-c", FIRST]
        lines = [
            subprocess.run(command, check=True, capture_output=True, text=True, cwd=workloads.ROOT).stdout
            for _ in range(1 + max(5, repeat // 2))
        ]
        return statistics.median(float(line.split()[column]) for line in lines[1:])

    yield Figure("import qdiff", "s", 0.7, lambda: median(0))
    yield Figure("first value + gradient after import", "s", 0.3, lambda: median(1))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--repeat", type=int, default=15, help="timed runs of each row (15)")
    parser.add_argument("--only", default="", help="only rows whose name contains this text")
    options = parser.parse_args()
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    machine = f"Python {platform.python_version()}, {platform.machine()}, OMP_NUM_THREADS={threads}"
    print(f"qdiff {qd.__version__}, {machine}\n")
    print("| what | goal | measured | |\n|---|---|---|---|")
    for figures in (
        exact_figures(options.repeat),
        krylov_figures(),
        text_figures(options.repeat),
        process_figures(options.repeat),
    ):
        for figure in figures:
            if options.only in figure.name:
                print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
