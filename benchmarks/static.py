"""Circuits that never measure, alone and beside others: a table of `python -m benchmarks.simulators`.

Value and full gradient of four layers of Ry, Rz and a chain of CNOT with Σ ZᵢZᵢ₊₁ + Σ Xᵢ observed, warm. A
peer runs on the same core as qdiff; a wrong value or gradient is not timed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.figures import Figure, Found, amount
from benchmarks.processes import first_calls, printed
from benchmarks.static_contests import (
    PEERS,
    Contest,
    beside,
    enough,
    fastest,
    one_core,
    repeats,
)
from benchmarks.workloads import layered_ansatz

GOALS = {4: 0.05, 8: 0.2, 12: 0.9, 16: 12, 20: 400}  # qubits: ms
SETS, SETS_GOAL = 1000, 4
STATE_MIB = 16 * 2**22 / 2**20  # a state of 22 qubits


def contests() -> list[Contest]:
    """One set of parameters on registers of five sizes, and many sets on the smallest."""
    one = [Contest(layered_ansatz(qubits), goal) for qubits, goal in GOALS.items()]
    return [*one, Contest(layered_ansatz(4), SETS_GOAL, SETS)]


def contest_figures(repeat: int, python: str) -> Iterator[Figure]:
    """qdiff's times on one core, and the peers' beside them."""
    for contest in contests():
        yield Figure(f"{contest.name}: value + gradient", "ms", contest.goal, partial(alone, contest, repeat))
        for peer, title in PEERS.items():
            measure = partial(beside_peer, contest, peer, python, repeat)
            yield Figure(f"{contest.name}: {title} ÷ qdiff", "", 1, measure, at_least=True)


def alone(contest: Contest, repeat: int) -> Found:
    """qdiff's ms a call."""
    with one_core():
        calls = enough(contest.qdiff)
        times = [contest.qdiff(calls).seconds for _ in range(max(5, repeat))]
    chosen = contest.workload.objective(**contest.options).engines.chosen.name
    return Found(1e3 * statistics.median(times), f"engine {chosen}")


def beside_peer(contest: Contest, name: str, python: str, repeat: int) -> Found:
    """A peer's time ÷ qdiff's."""
    with one_core():
        best, tried = fastest(name, contest, python)
        with best as peer:
            title = f"{PEERS[name]} {peer.version}"
            for way, text in tried.items():
                print(f"  ({contest.name}: {title}, {way}: {text})", file=sys.stderr)
            found = beside(contest, peer.run, repeat)
    wrong = [f"{way} is {text}" for way, text in tried.items() if text.startswith("WRONG")]
    parts = (
        f"{title}, {peer.way}: {amount(1e3 * found.seconds, 'ms')}",
        f"compiled in {amount(peer.compile_s, 's')}",
        amount(found.last.memory_mib, "MiB"),
        *wrong,
    )
    return Found(found.quotient, ", ".join(parts))


def precision_figures(repeat: int) -> Iterator[Figure]:
    """complex64 beside complex128: times, and how far its answers are away."""
    for qubits in GOALS:
        contest = Contest(layered_ansatz(qubits))
        single = Contest(contest.workload, options={"threads": 1, "dtype": "complex64"})
        measure = partial(single_beside_double, single, contest, repeat)
        yield Figure(f"{contest.name}: time of complex64 ÷ complex128", "", None, measure)


def single_beside_double(single: Contest, double: Contest, repeat: int) -> Found:
    """The quotient of times; the largest errors of value and gradient ÷ the norm of the gradient."""
    with one_core():
        quotient, ms = in_turn(single, double, repeat)
    value = gradient = 0.0
    for (near, turned), (exact, slopes) in zip(single.expected, double.expected, strict=True):
        norm = np.linalg.norm(slopes)
        value = max(value, float(abs(near - exact) / norm))
        gradient = max(gradient, float(np.linalg.norm(turned - slopes) / norm))
    return Found(quotient, f"{amount(ms, 'ms')}; errors: value {value:.1e}, gradient {gradient:.1e}")


def in_turn(one: Contest, other: Contest, repeat: int) -> tuple[float, float]:
    """The median of the quotients of two times taken one after the other, and the first's ms a call."""
    calls, others = enough(one.qdiff), enough(other.qdiff)
    times, quotients = [], []
    for _ in range(max(5, repeats(one.qdiff(1).seconds, repeat))):
        times.append(one.qdiff(calls).seconds)
        quotients.append(times[-1] / other.qdiff(others).seconds)
    return statistics.median(quotients), 1e3 * statistics.median(times)


def thread_figures(repeat: int) -> Iterator[Figure]:
    """Two threads beside one."""
    for qubits in (14, 16, 18, 20):
        one = Contest(layered_ansatz(qubits))
        two = Contest(one.workload, options={"threads": 2})

        def quotient(one: Contest = one, two: Contest = two) -> Found:
            found, ms = in_turn(two, one, repeat)
            return Found(found, f"two: {amount(ms, 'ms')}")

        yield Figure(f"{one.name}: time of two threads ÷ one", "", None, quotient)


MEMORY = """
from benchmarks.peers.serve import peak_mib
from benchmarks.workloads import layered_ansatz
workload = layered_ansatz({qubits})
workload.objective(threads=1){call}(workload.params)
print(peak_mib())
"""


def memory_figures() -> Iterator[Figure]:
    """What a new process needs at most."""

    def value() -> float:
        return printed(MEMORY.format(qubits=24, call=""))[0] / 2**10

    def adjoint() -> Found:
        large, small = (
            printed(MEMORY.format(qubits=qubits, call=".value_and_grad"))[0] for qubits in (22, 12)
        )
        note = f"{large:.0f} MiB; at 12 qubits {small:.0f} MiB"
        return Found((large - small) / STATE_MIB, note)

    yield Figure("ansatz, 24 qubits: memory of a process that computes the value", "GiB", 1.5, value)
    yield Figure("ansatz, 22 qubits: memory of the gradient beyond the process", "state vectors", 3, adjoint)


FIRST = """
import time
from benchmarks.workloads import layered_ansatz
workload = layered_ansatz({qubits})
begun = time.perf_counter()
import numba
imported = time.perf_counter()
workload.objective(threads=1).value_and_grad(workload.params)
print(time.perf_counter() - begun, imported - begun)
"""


def process_figures(repeat: int) -> Iterator[Figure]:
    """First calls, without and with compiled code on the disk, each in a new process."""
    for qubits in (4, 16):
        installed, later = first_calls(FIRST.format(qubits=qubits), repeat)
        yield Figure(f"ansatz, {qubits} qubits: first call after installation", "s", None, installed)
        yield Figure(f"ansatz, {qubits} qubits: first call of a later process", "s", None, later)


def figures(repeat: int, python: str) -> Iterator[Figure]:
    """The rows of the table; `python` is one that has the peers."""
    yield from contest_figures(repeat, python)
    yield from precision_figures(repeat)
    yield from thread_figures(repeat)
    yield from memory_figures()
    yield from process_figures(repeat)
