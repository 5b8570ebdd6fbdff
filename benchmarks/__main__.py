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
from qdiff.sim.hybrid.engine import HybridEngine


@dataclass(frozen=True)
class Row:
    """One measured figure: its goal, and what was measured, in the same unit."""

    name: str
    unit: str
    goal: float
    measured: float

    def __str__(self) -> str:
        verdict = "met" if self.measured <= self.goal else "MISSED"
        return f"| {self.name} | {self.goal:g} {self.unit} | {self.measured:.3g} {self.unit} | {verdict} |"


def median_seconds(action: Callable[[], object], repeat: int) -> float:
    """Return the median time of an action, after one run that is not counted."""
    action()
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def engine_rows(repeat: int) -> Iterator[Row]:
    """Values and gradients of the exact engine."""

    def gradient(workload: Workload, goal: float, what: str = "value + gradient") -> Row:
        f = workload.objective()
        seconds = median_seconds(lambda: f.value_and_grad(workload.params), repeat)
        return Row(f"{workload.name}: {what}", "ms", goal, 1e3 * seconds)

    amplification = workloads.amplitude_amplification()
    yield gradient(amplification, 3, "value + both derivatives")
    yield gradient(workloads.quantum_walk(), 20, "value + both derivatives")
    success = workloads.repeat_until_success()
    f = success.objective()
    yield Row(f"{success.name}: value", "ms", 1, 1e3 * median_seconds(lambda: f(success.params), repeat))
    yield gradient(success, 3, "value + all 11 derivatives")
    yield gradient(workloads.seeded_loop(), 500, "value + 20 derivatives")


def krylov_rows() -> Iterator[Row]:
    """Applications of a loop that one solve takes: the larger of the forward and the backward one."""
    for fresh in (4, 1):
        for radius, goal in ((0.9, 15), (0.99, 25), (0.999, 40)):
            workload = workloads.seeded_loop(radius=radius, fresh=fresh)
            yield Row(f"{workload.name}: Krylov applications", "", goal, applications(workload))


def applications(workload: Workload) -> int:
    """Return the larger number of applications of the forward and the backward solve."""
    f = workload.objective()
    engine = HybridEngine(workload.program)
    params = {f"w[{i}]": float(v) for i, v in enumerate(workload.params["w"])}  # type: ignore[arg-type, var-annotated]
    solution = engine.solve(params, f.observable, workload.program.trainable)
    forward = solution.solver.applications
    engine.pull_back(solution, f.observable)
    return max(forward, solution.solver.applications - forward)


def text_rows(repeat: int) -> Iterator[Row]:
    """Parsing."""
    text = workloads.flat_text()
    yield Row("parsing 10 000 statements", "s", 3, median_seconds(lambda: qd.parse(text), min(repeat, 5)))


FIRST = """
import time
begun = time.perf_counter()
import qdiff as qd
imported = time.perf_counter()
from benchmarks.workloads import ROOT
import math
p = qd.load(ROOT / "casestudies/amplitude_amplification/program.qprog")
qd.expectation(p, "c * P1[r] / 10").value_and_grad({"t": 1.4342, "a": 2 * math.asin(0.1), "n": 40})
print(imported - begun, time.perf_counter() - imported)
"""


def process_rows(repeat: int) -> Iterator[Row]:
    """Import and first call, each time in a new process."""
    lines = [
        subprocess.run(
            [sys.executable, "-c", FIRST], check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(max(5, repeat // 2))
    ]
    yield Row("import qdiff", "s", 0.7, statistics.median(float(line[0]) for line in lines))
    yield Row(
        "first value + gradient after import", "s", 0.3, statistics.median(float(line[1]) for line in lines)
    )


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
    suites = (
        lambda: engine_rows(options.repeat),
        krylov_rows,
        lambda: text_rows(options.repeat),
        lambda: process_rows(options.repeat),
    )
    for suite in suites:
        for row in suite():
            if options.only in row.name:
                print(row, flush=True)


if __name__ == "__main__":
    main()
