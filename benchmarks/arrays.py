"""`python -m benchmarks.arrays`: time and share of the bandwidth on arrays of any library; a table.

    OMP_NUM_THREADS=1 python -m benchmarks.arrays [--library numpy] [--device cpu] [--dtype complex128]
                                                  [--qubits 20] [--layers 4] [--shots 10000] [--repeat 5]
    python -m benchmarks.arrays --library torch --device cuda --qubits 28

The bandwidth is that of copying one state, read and written, or of reading two, whichever is larger. Of an
operation the bytes that it must move are counted, so that about 100 % is as fast as memory is; copying is not
always the fastest way through it (109 % was measured). Libraries: `pip install 'qdiff[arrays]'` and torch,
jax or cupy.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import qdiff as qd
from benchmarks import workloads
from benchmarks.figures import Figure, Found, amount, median_seconds
from qdiff.lang.parameters import resolve
from qdiff.sim.arrays.engine import ArrayEngine
from qdiff.sim.arrays.libraries import open_library
from qdiff.sim.arrays.operators import operators_of
from qdiff.sim.arrays.primitives import AMPLITUDE_BYTES, ArrayLibrary
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Backend, Job, Readout
from qdiff.sim.pure.operators import Masks

MEMORY = 1 << 37
"""Bytes that the engine may take: the library refuses what does not fit on its device."""

PERMUTED = 24
"""Qubits up to which a permutation is measured: it is checked and brought to the device each time."""


@dataclass(frozen=True)
class Asked:
    """What is measured: a library with its options, and sizes."""

    library: str
    device: str | None
    dtype: str
    qubits: int
    layers: int
    shots: int
    repeat: int

    def opened(self) -> ArrayLibrary:
        """The library."""
        return open_library(self.library, self.device, self.dtype)


def finished(library: ArrayLibrary) -> Callable[[Any], object]:
    """What waits until a library has computed an array."""
    if library.name == "jax":
        return lambda array: array.block_until_ready()
    if library.device == "cpu":
        return lambda array: None
    device = importlib.import_module(library.name)
    if library.name == "torch":
        return lambda array: device.cuda.synchronize()
    return lambda array: device.cuda.get_current_stream().synchronize()


class Primitives:
    """Operations on one state, timed."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.library = asked.opened()
        self.wait = finished(self.library)
        # No amplitude is 0: a processor may be quicker, or much slower, where many are.
        hadamard = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
        self.state = self.library.zeros(1, asked.qubits)
        for q in range(asked.qubits):
            self.state = self.library.apply_matrix(self.state, hadamard, (q,))
        self.bytes = AMPLITUDE_BYTES[asked.dtype] << asked.qubits
        self.other = self.library.copy(self.state)
        copied = self.seconds(lambda: self.library.copy(self.state))
        read = self.seconds(lambda: (self.library.inner(self.state, self.other), self.state)[1])
        self.rate = 2 * self.bytes / min(copied, read)

    def seconds(self, action: Callable[[], Any]) -> float:
        """The median time of an operation that returns arrays of the library."""
        return median_seconds(lambda: self.wait(action()), self.asked.repeat)

    def figure(self, name: str, states: float, action: Callable[[], Any]) -> Figure:
        """An operation that must move so many states' bytes."""

        def measure() -> Found:
            seconds = self.seconds(action)
            return Found(1e3 * seconds, f"{states * self.bytes / seconds / self.rate:.0%} of the bandwidth")

        return Figure(name, "ms", None, measure)


def figures(asked: Asked) -> Iterator[Figure]:
    """All rows."""
    yield from primitive_figures(asked)
    yield from engine_figures(asked)
    yield from shot_figures(asked)


def primitive_figures(asked: Asked) -> Iterator[Figure]:
    """The bandwidth, and each operation."""
    p, n, rng = Primitives(asked), asked.qubits, np.random.default_rng(1)
    library, x, y = p.library, p.state, p.other
    yield Figure(f"a state of {n} qubits: bandwidth", "B/s", None, lambda: p.rate)

    def unitary(size: int) -> Any:
        found = np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))[0]
        return library.constant(found)

    middle = n // 2
    places: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "a matrix on the first qubit": ((0,), ()),
        "a matrix on a qubit in the middle": ((middle,), ()),
        "a matrix on four neighbours in the middle": (tuple(range(middle, middle + 4)), ()),
        "a matrix on the first four qubits": ((0, 1, 2, 3), ()),
        "a matrix on the first and the last qubit": ((0, n - 1), ()),
    }
    for name, (targets, controls) in places.items():
        matrix = unitary(1 << len(targets))
        yield p.figure(
            name,
            2,
            lambda m=matrix, t=targets, c=controls: library.apply_matrix(x, m, t, c),  # type: ignore[misc]
        )
    flip = library.constant(np.array([[0, 1], [1, 0]]))
    yield p.figure(
        "CNOT from the first to the last qubit", 2, lambda: library.apply_matrix(x, flip, (n - 1,), (0,))
    )
    phases = library.constant(np.exp(1j * rng.normal(size=4)))
    yield p.figure("a diagonal on two qubits", 2, lambda: library.apply_diagonal(x, phases, (1, middle)))
    if n <= PERMUTED:
        source = np.arange(1 << n) ^ (1 << (n - 1) | 1)
        yield p.figure("basis states permuted", 2.5, lambda: library.permute(x, source))
    yield p.figure("probabilities of a qubit", 1, lambda: library.probabilities(x, (middle,)))
    yield p.figure("projection and norm", 3, lambda: library.project(x, (middle,), np.zeros(1, dtype=int))[0])
    yield p.figure("inner product", 2, lambda: (library.inner(x, y), x)[1])
    window = tuple(range(middle, middle + 4))
    yield p.figure("transition matrix of four neighbours", 2, lambda: library.transitions(x, y, window))
    program = workloads.layered_ansatz(n, 1)
    observable = qd.observable(program.observable)
    operators = operators_of(Masks.of(observable, {}, program.program.qubits), n)
    yield p.figure("Σ ZZ + Σ X applied", 2, lambda: library.apply_operators(x, operators))


def engine_figures(asked: Asked) -> Iterator[Figure]:
    """Value and gradient of the ansatz."""
    workload = workloads.layered_ansatz(asked.qubits, asked.layers)
    options: dict[str, Any] = {"library": asked.library, "device": asked.device, "dtype": asked.dtype}
    engine = ArrayEngine(workload.program, **options, max_memory=MEMORY)
    f = workload.objective(engine=engine)

    def timed(action: Callable[[], object]) -> Found:
        seconds = 1e3 * median_seconds(action, max(1, asked.repeat // 2))
        return Found(seconds, engine.name)

    yield Figure(f"{workload.name}: value", "ms", None, lambda: timed(lambda: f(workload.params)))
    yield Figure(
        f"{workload.name}: value + all derivatives",
        "ms",
        None,
        lambda: timed(lambda: f.value_and_grad(workload.params)),
    )


def shot_figures(asked: Asked) -> Iterator[Figure]:
    """Shots of a loop on six qubits, side by side and one after the other."""
    loop = workloads.seeded_loop(qubits=6, gates=20, parameters=8, radius=0.9)
    arrays = qd.ArrayBackend(library=asked.library, device=asked.device, dtype=asked.dtype)
    params = resolve(loop.program, loop.params)
    readout = Readout(loop.program.qubits)

    def rate(backend: Backend, repeat: int) -> float:
        prepared = backend.prepare(loop.program, readout)
        job = Job(prepared, params, asked.shots, 1)
        return asked.shots / median_seconds(lambda: backend.run([job]), repeat)

    def measure() -> Found:
        mine = rate(arrays, max(1, asked.repeat // 2))
        theirs = rate(TrajectoryBackend(threads=1), max(1, asked.repeat // 2))
        return Found(mine, f"trajectories, one thread: {amount(theirs, 'shots/s')}")

    yield Figure(f"{loop.name}: {asked.shots} shots side by side", "shots/s", None, measure)


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arrays", description=__doc__)
    parser.add_argument("--library", default="numpy", help="numpy, numba, torch, jax or cupy")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, …")
    parser.add_argument("--dtype", default="complex128", help="complex128 or complex64")
    parser.add_argument("--qubits", type=int, default=20, help="of one state (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=4, help="of the ansatz (default: %(default)s)")
    parser.add_argument("--shots", type=int, default=10_000, help="of the loop (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=5, help="of each time (default: %(default)s)")
    asked = Asked(**vars(parser.parse_args(arguments)))
    begun = time.perf_counter()
    print(f"{platform.machine()}, {asked.library} on {asked.device or 'cpu'}, {asked.dtype}")
    print("| what | goal | measured | |\n|---|---|---|---|")
    for figure in figures(asked):
        print(figure.row(), flush=True)
    print(f"({time.perf_counter() - begun:.0f} s)")


if __name__ == "__main__":
    main()
