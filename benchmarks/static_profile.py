"""`python -m benchmarks.static_profile`: where the time of value and gradient goes, small and large register.

    OMP_NUM_THREADS=1 python -m benchmarks.static_profile [--small 4] [--large 20] [--calls 2000]

On the small register it is overhead: Python's own time by layer of the package, from a profile scaled to the
time of unobserved calls, and the time inside compiled functions. On the large one it is work: forward,
observable and backward, beside two limits measured here: copying the state, and the multiply-adds of a matrix
product.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qdiff as qd
from benchmarks import machine
from benchmarks.figures import amount, median_seconds
from benchmarks.workloads import ROOT, Workload, layered_ansatz

LAYERS = (  # of the package: the first folder or file that a path begins with
    ("qdiff/lang/parameter", "reading parameters"),
    ("qdiff/lang/running", "reading parameters"),
    ("qdiff/lang", "expressions"),
    ("qdiff/objective", "objective"),
    ("qdiff/sim/static", "engine"),
    ("qdiff/sim", "engine, shared parts"),
)
REPEAT = 5
COMPILED, OTHER = "compiled functions", "other"
UNFUSED_ROTATION = 8  # multiply-adds of float64 for each amplitude of a complex 2×2 matrix, at most


@dataclass
class Kernel:
    """Calls of one compiled function from Python."""

    calls: int = 0
    seconds: float = 0.0


@contextmanager
def watched() -> Iterator[dict[str, Kernel]]:
    """Time every call of a compiled function from Python, by its name."""
    from numba.core.registry import CPUDispatcher

    found: dict[str, Kernel] = defaultdict(Kernel)
    dispatcher: Any = CPUDispatcher  # calls itself by a slot of C, which an attribute of the class covers
    inside = dispatcher.__call__

    def compiled(self: Any, *args: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        try:
            return inside(self, *args, **options)
        finally:
            kernel = found[self.py_func.__name__]
            kernel.seconds += time.perf_counter() - begun
            kernel.calls += 1

    dispatcher.__call__ = compiled
    try:
        yield found
    finally:
        del dispatcher.__call__


def layer(file: str, name: str) -> str:
    """The layer that a function belongs to."""
    if name == "compiled" and Path(file) == Path(__file__):
        return COMPILED
    path = file.removeprefix(f"{ROOT}/")
    return next((title for start, title in LAYERS if path.startswith(start)), OTHER)


def by_layer(profile: cProfile.Profile, calls: int) -> dict[str, float]:
    """Seconds a call spent in each layer itself; what built-in functions take is their caller's."""
    found: dict[str, float] = defaultdict(float)
    statistics: Any = pstats.Stats(profile)
    for (file, _, name), (_, _, own, _, callers) in statistics.stats.items():
        if file != "~" or not callers:
            found[layer(file, name)] += own / calls
            continue
        for (caller, _, calling), (_, _, part, _) in callers.items():
            found[layer(caller, calling)] += part / calls
    return dict(found)


def overhead(workload: Workload, calls: int) -> list[str]:
    """The rows of a small register."""
    f, w = workload.objective(threads=1), workload.params["w"]
    whole = median_seconds(lambda: f.value_and_grad(w), REPEAT, calls)
    with watched() as kernels:
        for _ in range(calls):
            f.value_and_grad(w)
    inside = sum(kernel.seconds for kernel in kernels.values()) / calls
    profile = cProfile.Profile()
    with watched():
        profile.enable()
        for _ in range(calls):
            f.value_and_grad(w)
        profile.disable()
    shares = by_layer(profile, calls)
    shares.pop(COMPILED, None)
    scale = (whole - inside) / sum(shares.values())
    parts = {COMPILED: inside, **{title: scale * part for title, part in shares.items()}}
    rows = [f"{workload.name}: {amount(1e6 * whole, 'µs')} a call, engine {f.engines.chosen.name}"]
    for title, part in sorted(parts.items(), key=lambda item: -item[1]):
        rows.append(f"  {title:28s} {1e6 * part:8.2f} µs  {100 * part / whole:5.1f} %")
    for name, kernel in sorted(kernels.items(), key=lambda item: -item[1].seconds):
        rows.append(
            f"    compiled {name:28s} {1e6 * kernel.seconds / calls:8.2f} µs, {kernel.calls / calls:g} calls"
        )
    return rows


def work(workload: Workload) -> list[str]:
    """The rows of a large register."""
    program, w = workload.program, workload.params["w"]
    qubits = len(program.qubits)
    state = 16 << qubits  # bytes
    f = workload.objective(threads=1)
    plain = qd.expectation(program, f"Z[{program.qubits[0]}]", threads=1)
    cheap, value, whole = (
        median_seconds(call, REPEAT) for call in (lambda: plain(w), lambda: f(w), lambda: f.value_and_grad(w))
    )
    copy, rate = 2 * state / machine.copy_rate(state), machine.multiply_adds()
    rotations = sum(len(gate.angles) for gate in program.body if hasattr(gate, "angles"))
    gates = len(program.body)
    unfused = UNFUSED_ROTATION * rotations * (1 << qubits) / rate
    rows = [
        f"{workload.name}: {amount(1e3 * whole, 'ms')} a call, engine {f.engines.chosen.name}",
        f"  copying the state: {amount(1e3 * copy, 'ms')} ({2 * state / copy / 1e9:.3g} GB/s); "
        f"multiply-adds: {rate / 1e9:.3g} G/s",
        f"  gate by gate, one state: {gates} passes through memory {1e3 * gates * copy:.0f} ms, "
        f"arithmetic of {rotations} rotations {1e3 * unfused:.0f} ms; a gradient has three: ψ, back ψ and λ",
    ]
    for title, part in (
        ("forward (with one Z)", cheap),
        ("observable", value - cheap),
        ("backward, all derivatives", whole - value),
    ):
        share = f"{1e3 * part:8.1f} ms  {100 * part / whole:5.1f} %"
        rows.append(f"  {title:28s} {share}  {part / copy:6.1f} copies of the state")
    with watched() as kernels:
        f.value_and_grad(w)
    for name, kernel in sorted(kernels.items(), key=lambda item: -item[1].seconds):
        if kernel.seconds > 0.005 * whole:
            rows.append(
                f"    compiled {name:28s} {1e3 * kernel.seconds:8.1f} ms, {kernel.calls} calls, "
                f"{kernel.seconds / copy:.1f} copies"
            )
    return rows


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.static_profile", description=__doc__)
    parser.add_argument("--small", type=int, default=4, help="qubits of the small register (4)")
    parser.add_argument("--large", type=int, default=20, help="qubits of the large register (20)")
    parser.add_argument("--calls", type=int, default=2000, help="of the small register (2000)")
    options = parser.parse_args()
    print("\n".join(overhead(layered_ansatz(options.small), options.calls)), flush=True)
    print("\n".join(work(layered_ansatz(options.large))))


if __name__ == "__main__":
    main()
