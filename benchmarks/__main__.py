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
from collections.abc import Iterator
from dataclasses import dataclass

import qdiff as qd
from benchmarks import workloads
from benchmarks.figures import Figure, median_quotient, median_seconds
from benchmarks.workloads import Workload
from qdiff.lang.parameters import resolve
from qdiff.sim.hybrid.engine import HybridEngine


@dataclass(frozen=True)
class Timer:
    """Times of one workload, in ms."""

    workload: Workload
    repeat: int

    def value(self) -> float:
        """f(params)."""
        f = self.workload.objective()
        return 1e3 * median_seconds(lambda: f(self.workload.params), self.repeat)

    def gradient(self) -> float:
        """f.value_and_grad(params)."""
        f = self.workload.objective()
        return 1e3 * median_seconds(lambda: f.value_and_grad(self.workload.params), self.repeat)

    def hessian(self) -> float:
        """f.hessian(params)."""
        f = self.workload.objective()
        return 1e3 * median_seconds(lambda: f.hessian(self.workload.params), self.repeat)

    def quotient(self) -> float:
        """Gradient ÷ value, each call beside the other."""
        f, params = self.workload.objective(), self.workload.params
        return median_quotient(lambda: f.value_and_grad(params), lambda: f(params), self.repeat)


def exact_figures(repeat: int) -> Iterator[Figure]:
    """Values, gradients and Hessians of the exact engines."""
    few = max(5, repeat // 4)
    amplification, walk = workloads.amplitude_amplification(), workloads.quantum_walk()
    repeated, loop = workloads.repeat_until_success(), workloads.seeded_loop(qubits=8)
    branching, ansatz = workloads.branching_circuit(), workloads.static_ansatz()
    for workload, what, goal, measure in (
        (amplification, "value + both derivatives", 1, Timer(amplification, repeat).gradient),
        (walk, "value + both derivatives", 12, Timer(walk, repeat).gradient),
        (walk, "Hessian", 40, Timer(walk, few).hessian),
        (repeated, "value", 1, Timer(repeated, repeat).value),
        (repeated, "value + all 11 derivatives", 3, Timer(repeated, repeat).gradient),
        (loop, "value + 20 derivatives", 5000, Timer(loop, 5).gradient),
        (branching, "value + all derivatives", 3000, Timer(branching, few).gradient),
        (ansatz, "value + all derivatives", 150, Timer(ansatz, few).gradient),
    ):
        yield Figure(f"{workload.name}: {what}", "ms", goal, measure)
    yield Figure(
        f"{loop.name}: memory of the process", "GiB", 1, lambda: peak_memory("seeded_loop(qubits=8)")
    )

    def counted() -> float:
        one, other = workloads.counted_walk(counted=True), workloads.counted_walk(counted=False)
        f, g = one.objective(), other.objective()
        return median_quotient(
            lambda: f.value_and_grad(one.params), lambda: g.value_and_grad(other.params), repeat
        )

    yield Figure("walk with an unbounded counted counter ÷ without: value + gradient", "", 2.5, counted)


def quotient_figures(repeat: int) -> Iterator[Figure]:
    """Gradient ÷ value, from 1 to 1000 parameters."""
    few = max(5, repeat // 4)
    subjects = [
        workloads.amplitude_amplification(),
        workloads.quantum_walk(),
        workloads.repeat_until_success(),
    ]
    for count in (1, 10, 100, 1000):
        for qubits in (2, 6):
            subjects.append(workloads.seeded_loop(qubits=qubits, gates=max(30, count), parameters=count))
    subjects += [workloads.static_ansatz(4, layers) for layers in (1, 25, 250)]
    subjects += [workloads.static_ansatz(10, layers) for layers in (1, 10, 100)]
    subjects += [workloads.branching_circuit(10, 4, count) for count in (10, 100, 1000)]
    for workload in subjects:
        count = len(workload.program.trainable)
        name = f"{workload.name}, {count} parameters: gradient ÷ value"
        yield Figure(name, "", 4, Timer(workload, few).quotient)


MEMORY = """
from benchmarks import workloads
from benchmarks.peers.serve import peak_mib
workload = workloads.{call}
workload.objective().value_and_grad(workload.params)
print(peak_mib() / 2**10)
"""


def peak_memory(call: str) -> float:
    """Return the largest memory of a new process that computes value and gradient, in GiB."""
    command = [sys.executable, "-c", MEMORY.format(call=call)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, cwd=workloads.ROOT)
    return float(run.stdout)


def krylov_figures() -> Iterator[Figure]:
    """Applications of a loop that one solve takes."""
    for qubits, fresh in ((9, 4), (6, 1)):  # with fewer unknowns at the cut a loop is solved densely
        for radius, goal in ((0.9, 15), (0.99, 25), (0.999, 40)):
            workload = workloads.seeded_loop(qubits=qubits, radius=radius, fresh=fresh)
            yield Figure(
                f"{workload.name}: Krylov applications",
                "",
                goal,
                lambda w=workload: applications(w),  # type: ignore[misc]
            )


def applications(workload: Workload) -> int:
    """Return the larger number of applications of the forward and the backward solve."""
    engine = HybridEngine(workload.program)
    params = resolve(workload.program, workload.params)
    solution = engine.solve([params], [qd.observable(workload.observable)], workload.program.trainable)
    loops = solution.solver.loops
    forward = loops.applications
    engine.pull_back(solution)
    return max(forward, loops.applications - forward)


def text_figures(repeat: int) -> Iterator[Figure]:
    """Parsing and differentiating texts."""
    text, times = workloads.flat_text(), min(repeat, 5)
    yield Figure("parsing 10 000 statements", "s", 3, lambda: median_seconds(lambda: qd.parse(text), times))
    program = qd.parse(text)
    yield Figure(
        "differentiating 10 000 statements: 3257 sites",
        "s",
        1,
        lambda: median_seconds(lambda: qd.differentiate(program, "u"), times),
    )
    layers = workloads.layered_text()
    yield Figure(
        "additive derivative of a circuit on 36 qubits with bounded loops: read, counted, printed",
        "s",
        10,
        lambda: median_seconds(lambda: str(qd.additive(qd.parse(layers), "t")), times),
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
        quotient_figures(options.repeat),
        krylov_figures(),
        text_figures(options.repeat),
        process_figures(options.repeat),
    ):
        for figure in figures:
            if options.only in figure.name:
                print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
