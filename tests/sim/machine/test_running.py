"""The same results for any threads, chunks and trees; interrupts; errors of the first shot that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sim.machine.plain_sampler import PlainSampler
from sim.machine.sampled import ALL, assert_same, executed, sampled

import qdiff
from qdiff.errors import EvaluationError
from qdiff.lang.observable import X, Z
from qdiff.lang.text.parser import parse
from qdiff.sim.machine import running
from qdiff.sim.protocol import Readout

MIXED = [
    "loop with a counter",
    "and, or, not",
    "channels",
    "aborts and a bounded loop",
    "flips, an angle that counts",
]


def same(found: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", ALL)
def test_the_tree_changes_no_result(name: str) -> None:
    program, params = ALL[name]
    shots = 40 if "walk" in name else 300
    readout = Readout(program.qubits[:1], "", (X(program.qubits[0]),))
    expected = executed(program, params, shots, 9, tree_bytes=0, readout=readout)
    state = 16 << len(program.qubits)
    for room in (state, 5 * state, 50 * state, running.TREE_BYTES):
        assert same(executed(program, params, shots, 9, tree_bytes=room, readout=readout), expected)


@pytest.mark.parametrize("name", MIXED)
def test_threads_change_no_result(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 37)
    program, params = ALL[name]
    expected = executed(
        program, params, 700, 2**64 - 1, first=2**64 - 400
    )  # indices wrap as the seed does not
    for threads in (2, 16):
        assert same(executed(program, params, 700, 2**64 - 1, first=2**64 - 400, threads=threads), expected)


@pytest.mark.parametrize("name", MIXED)
def test_pieces_are_the_whole(name: str) -> None:
    program, params = ALL[name]
    whole = executed(program, params, 120, 5, first=7)
    for first, shots in ((107, 20), (7, 1), (8, 77), (85, 22)):  # in any order, of any size
        part = executed(program, params, shots, 5, first=first, threads=2)
        assert same(part, tuple(array[first - 7 : first - 7 + shots] for array in whole))
    assert not same(executed(program, params, 120, 6, first=7), whole)


def test_a_pause_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled loop returns after every few instructions, also just after it was given a number."""
    expected = {name: executed(*ALL[name], 60, 3) for name in MIXED}
    for budget in (1, 2, 7):
        monkeypatch.setattr(running, "BUDGET", budget)
        for name in MIXED:
            assert same(executed(*ALL[name], 60, 3), expected[name])


def test_inputs_of_a_family() -> None:
    """Derivative programs count down k and branch on j, which are start values of counters."""
    program = parse(
        "qubit: q\npara: t\ncount: k, j\nRy(t)[q];\n"
        "while M[q] = 1 do k := k - 1; if k = 0 then if j = 1 then X[q] else Ry(t*j)[q] fi fi; Ry(t)[q] od"
    )
    by_shot = {"k": np.arange(100) % 4, "j": 2 - np.arange(100) % 3}
    for inputs in ({"k": 2, "j": 1}, {"k": 3, "j": -2}, {"j": 5}, by_shot, {**by_shot, "j": 1}):
        found, expected = (
            sampled(program, {"t": 1.3}, 100, 4, inputs=inputs, backend=backend)
            for backend in (None, PlainSampler())
        )
        assert_same(found, expected)


def test_a_loop_of_a_million_passes_keeps_its_norm() -> None:
    """Turned by an angle and its opposite, with a measurement that always gives 0: nothing is lost or won."""
    program = parse(
        "qubit: q, r\npara: t\ncount: c\nH[q];\n"
        "while c < 1000000 do Ry(t)[q]; Rx(t)[q]; damp(0)[q]; if M[r] = 1 then abort fi;\n"
        "Rx(-t)[q]; Ry(-t)[q]; c++ od"
    )
    plan_readout = Readout((), "", (X("q"), Z("q")))
    for tree_bytes in (0, running.TREE_BYTES):
        counters, _, status, expectations = executed(
            program, {"t": 0.77}, 1, readout=plan_readout, step_limit=10**8, tree_bytes=tree_bytes
        )
        assert (counters.tolist(), status.tolist()) == ([[10**6]], [0])
        np.testing.assert_allclose(expectations, [[1, 0]], atol=1e-9)


# --- Errors and interrupts ------------------------------------------------------------------------

RARELY_WRONG = parse(
    "qubit: q\npara: t\ncount: c, d\nwhile c < 12 and flip(0.75) do c++ od;\n"
    "if c = 12 then Ry(t/(c - 12))[q] fi;\nif c = 11 then d := 9223372036854775807; d++ fi"
)


@pytest.mark.parametrize("seed", range(6))
def test_the_error_is_that_of_the_first_shot_that_fails(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 5)
    with pytest.raises(EvaluationError) as caught:
        sampled(RARELY_WRONG, {"t": 1.0}, 400, seed, backend=PlainSampler())
    expected = str(caught.value)
    for threads in (1, 2, 16):
        with pytest.raises(EvaluationError) as caught:
            executed(RARELY_WRONG, {"t": 1.0}, 400, seed, threads=threads)
        assert str(caught.value) == expected


SCRIPT = """
import sys
from qdiff.lang.text.parser import parse
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Job, Readout

def prepared(backend, text):
    program = parse(text)
    return backend.prepare(program, Readout(program.qubits))
for threads in map(int, sys.argv[1:]):
    backend = TrajectoryBackend(threads=threads, step_limit=10**15)
    backend.run([Job(prepared(backend, "qubit: q\\nH[q]"), {}, 9, 1)])  # compiled
    text = "qubit: q[2]\\ncount: c\\nH[q[0]]; while c < 1000000000000 do c++; Rx(c)[q[0]] od"
    endless = Job(prepared(backend, text), {}, 3, 1)
    print("running", flush=True)
    try:
        backend.run([endless])
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_interrupts_are_heard() -> None:
    threads = [str(number) for number in (1, 2) if number <= len(os.sched_getaffinity(0))]
    environment = {**os.environ, "PYTHONPATH": str(Path(qdiff.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *threads], env=environment, text=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in threads:
            assert process.stdout.readline() == "running\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
        assert process.wait() == 0
