"""Shots a second, alone and beside other simulators: a table of `python -m benchmarks.simulators`.

A peer has as many threads as qdiff. A time counts only where the mean of its shots is within five standard
errors of the exact one.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import qdiff as qd
from benchmarks import random_device, workloads
from benchmarks.contests import Contest, beside, contests, rates, sample
from benchmarks.figures import Figure, Found, amount, median_quotient, median_seconds
from benchmarks.peers.ask import PEERS, Peer
from benchmarks.processes import first_calls, printed
from benchmarks.workloads import Workload
from qdiff.lang.parameters import resolve
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Job

MILLION, BILLION = 10**6, 10**9


def trajectory_figures(repeat: int, python: str) -> Iterator[Figure]:
    """Trajectories on one thread, the kernels by hand, and the peers."""
    for contest in contests():
        name = contest.workload.name

        def rate(contest: Contest = contest) -> float:
            return statistics.median(rates(contest.qdiff, contest.exact, repeat))

        yield Figure(f"{name}: trajectories, one thread", "shots/s", contest.goal, rate, at_least=True)
        by_hand = partial(beside_kernel, contest, repeat)
        yield Figure(f"{name}: ÷ a kernel written by hand", "", contest.share, by_hand, at_least=True)
        for peer, title in PEERS.items():
            measure = partial(beside_peer, contest, peer, python, repeat)
            yield Figure(f"{name}: ÷ {title}", "", None, measure)


def beside_kernel(contest: Contest, repeat: int) -> Found:
    """qdiff's rate ÷ that of the kernel."""
    found = beside(contest.qdiff, contest.by_hand, contest.exact, repeat)
    return Found(found.quotient, f"the kernel: {amount(found.rate, 'shots/s')}")


def beside_peer(contest: Contest, name: str, python: str, repeat: int) -> Found:
    """qdiff's rate ÷ that of a peer."""
    with Peer.start(name, contest.loop, threads=1, python=python) as peer:
        found = beside(contest.qdiff, peer.run, contest.exact, repeat)
        title = f"{PEERS[name]} {peer.version}"
        for way, tried in peer.tried.items():
            text = amount(tried, "shots/s") if isinstance(tried, float) else tried
            print(f"  ({title}, {way}: {text})", file=sys.stderr)
        parts = (
            f"{title}, {peer.settings}: {amount(found.rate, 'shots/s')}",
            f"compiled in {amount(peer.compile_s, 's')}",
            amount(found.last.memory_mib, "MiB"),
        )
        return Found(found.quotient, ", ".join(parts))


def merged_figures(repeat: int) -> Iterator[Figure]:
    """Shots that come to equal states."""
    for contest, goal in zip(contests(), (10, 50), strict=True):
        million, billion = (partial(contest.sample, n, 1, "merged") for n in (MILLION, BILLION))

        def milliseconds(million: Callable[[], object] = million) -> float:
            return 1e3 * median_seconds(million, repeat)

        name = contest.workload.name
        yield Figure(f"{name}: 10⁶ merged shots", "ms", goal, milliseconds)
        quotient = partial(median_quotient, billion, million, repeat)
        yield Figure(f"{name}: 10⁹ merged shots ÷ 10⁶", "", 2, quotient)


def all_derivatives(workload: Workload, shots: int, seed: int) -> object:
    """The trajectory adjoint: values, slopes and scores by all parameters of so many shots, on one thread."""
    program, backend = workload.program, TrajectoryBackend(threads=1)
    prepared = backend.prepare_gradient(program, (qd.observable(workload.observable),), program.trainable)
    return backend.run_gradients([Job(prepared, resolve(program, workload.params), shots, seed)])


def adjoint_figures(repeat: int) -> Iterator[Figure]:
    """All derivatives beside plain trajectories of as many shots."""
    for workload, shots in (
        (workloads.amplitude_amplification(), 200_000),
        (workloads.quantum_walk(), 10_000),
        (workloads.seeded_loop(qubits=6, radius=0.9), 2000),
    ):
        count = len(workload.program.trainable)
        quotient = partial(
            median_quotient,
            partial(all_derivatives, workload, shots, 1),
            partial(sample, workload, shots, 1),
            repeat,
        )
        name = f"{workload.name}: trajectory adjoint, {count} parameters ÷ plain trajectories"
        yield Figure(name, "", 4, quotient)


FIRST = """
import time
import qdiff as qd
program = qd.load("casestudies/amplitude_amplification/program.qprog")
params = {{"t": 1.4342, "a": 0.2003348423231196, "n": 40}}
begun = time.perf_counter()
import numba
imported = time.perf_counter()
qd.sample(program, params, shots=1000, seed=1, backend="{backend}")
print(time.perf_counter() - begun, imported - begun)
"""

MEMORY = """
from benchmarks import workloads
from benchmarks.contests import sample
from benchmarks.peers.serve import peak_mib
sample(workloads.{call}, {shots}, 1, "{backend}", {threads})
print(peak_mib())
"""


def process_figures(repeat: int) -> Iterator[Figure]:
    """First calls, without and with compiled code on the disk, each in a new process."""
    for backend in ("trajectory", "merged"):
        installed, later = first_calls(FIRST.format(backend=backend), repeat)
        yield Figure(f"first call after installation, {backend}: compiles its code", "s", 10, installed)
        yield Figure(f"first call of a later process, {backend}: after import", "s", 0.3, later)


WIDE = "seeded_loop(qubits=20, radius=0.9, fresh=2, measured=2)"
NARROW = "amplitude_amplification()"


def large_figures() -> Iterator[Figure]:
    """A register of twenty qubits, and the memory of many shots."""
    wide = workloads.seeded_loop(qubits=20, radius=0.9, fresh=2, measured=2)

    def seconds() -> float:
        sample(wide, 1, 1, "trajectory", 2)  # compiles
        begun = time.perf_counter()
        sample(wide, 100, 1, "trajectory", 2)
        return time.perf_counter() - begun

    yield Figure(f"{wide.name}: 100 shots, two threads", "s", 60, seconds)
    for name, call, backend, shots, threads in (
        (f"{wide.name}: 4 shots, two threads", WIDE, "trajectory", 4, 2),
        ("amplitude amplification: 10⁶ shots", NARROW, "trajectory", MILLION, 1),
        ("amplitude amplification: 10⁶ merged shots", NARROW, "merged", MILLION, 1),
        ("amplitude amplification: 10⁹ merged shots", NARROW, "merged", BILLION, 1),
    ):
        script = MEMORY.format(call=call, backend=backend, shots=shots, threads=threads)

        def memory(script: str = script, threads: int = threads) -> float:
            return printed(script, threads)[0]

        yield Figure(f"{name}: memory of the process", "MiB", None, memory)


def random_device_figures() -> Iterator[Figure]:
    """What the rate of Aer depends on."""

    def microseconds() -> Found:
        drawn = random_device.microseconds()
        return Found(drawn, f"Aer draws twice for every shot, with a seed too: {2 * drawn:.3g} µs of each")

    yield Figure("`std::random_device`: one draw", "µs", None, microseconds)


def figures(repeat: int, python: str) -> Iterator[Figure]:
    """The rows of the table; `python` is one that has the peers."""
    yield from random_device_figures()
    yield from trajectory_figures(repeat, python)
    yield from merged_figures(repeat)
    yield from adjoint_figures(repeat)
    yield from large_figures()
    yield from process_figures(repeat)
