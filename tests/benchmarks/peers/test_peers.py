"""What peers are given is the program; how they answer, and what happens when one is not there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_close

import qdiff as qd
from benchmarks import shots, workloads
from benchmarks.contests import Contest, contests
from benchmarks.figures import Figure, NotRun
from benchmarks.peers import aer, ask, qsharp, serve
from benchmarks.peers.ask import Peer
from benchmarks.peers.loop import Loop, Matrix, Operation
from benchmarks.peers.lower import lower
from benchmarks.workloads import ROOT, Workload


def kraus(loop: Loop, resets: bool, run: tuple[Operation, ...]) -> list[list[Matrix]]:
    """The maps of a stretch, each by its Kraus operators: one map for each reset, or one unitary."""
    if not resets:
        return [[loop.unitary(run)]]
    ones = [np.arange(2**loop.qubits) >> step.target & 1 for step in run]
    flips = [loop.matrix(Operation("x", step.target)) for step in run]
    return [[np.diag(1.0 - one), flip @ np.diag(one)] for one, flip in zip(ones, flips, strict=True)]


def mean_of_the_counter(loop: Loop, passes: int = 400) -> float:
    """The mean of c by density matrices, pass after pass."""
    size = 2**loop.qubits
    guard = np.diag(1.0 - (np.arange(size) >> loop.guard & 1))
    body = [step for resets, run in loop.stretches() for step in kraus(loop, resets, run)]
    start = guard @ loop.unitary(loop.start)[:, :1]
    rho, mean = start @ start.conj().T, 0.0
    for c in range(1, passes + 1):
        before = rho.trace().real
        for operators in [*body, [guard]]:
            rho = np.sum([k @ rho @ k.conj().T for k in operators], axis=0)
        mean += min(c, loop.most) * (before - rho.trace().real)
    return mean


@pytest.mark.parametrize("contest", contests(), ids=lambda contest: contest.workload.name)
def test_peers_are_given_the_program(contest: Contest) -> None:
    assert_close(mean_of_the_counter(contest.loop), contest.exact)
    assert Loop.from_json(contest.loop.to_json()) == contest.loop


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("qubit: q H[q]", r"peers run gates followed by `while M\[q\] = 0 do … od`"),
        ("qubit: q while M[q] = 0 do H[q] od", r"the loop should count its passes once"),
        ("qubit: q para: n count: c T[q]; while M[q] = 0 do H[q]; if c < n then c++ fi od", r"peers have no"),
        ("qubit: q para: n count: c while M[q] = 0 do H[q]; if c > n then c++ fi od", r"peers count as"),
    ],
)
def test_other_programs_are_refused(text: str, message: str) -> None:
    program = qd.parse(text)
    with pytest.raises(ValueError, match=message):
        lower(Workload("another", program, dict.fromkeys(program.parameters, 3.0), "c"))


@pytest.mark.parametrize("peer", ask.PEERS)
def test_a_missing_peer_is_not_run(peer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A folder in front of all others, whose modules say that they are not installed.
    for name in ("qiskit_aer", "qdk", "catalyst", "qulacs"):
        raises = f"raise ModuleNotFoundError({name!r}, name={name!r})"
        (tmp_path / f"{name}.py").write_text(raises, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    contest = contests()[0]
    row = Figure("÷", "", None, lambda: shots.beside_peer(contest, peer, sys.executable, 5)).row()
    module = {"aer": "qiskit_aer", "qsharp": "qdk"}.get(peer, peer)
    assert row == f"| ÷ |  | not run | `{module}` is not installed |"


def test_a_peer_that_crashes_is_not_run(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(NotRun, match=r"^its process ended with status 3$"):
        Peer.start("aer", contests()[0].loop, threads=1, python=str(python))


PRETENDER = """
import time
from benchmarks.peers.serve import serve
def way(loop, threads):
    print("chatter")
    def run(shots, seed):
        time.sleep(0.02 * shots)
        return 3 * shots, 9 * shots + seed
    return run
def broken(loop, threads):
    raise RuntimeError("no loops")
serve(lambda: ("1.2", {"way": way, "broken": broken}))
"""


def test_a_peer_answers_in_its_own_process(tmp_path: Path) -> None:
    python = tmp_path / "python"
    script = tmp_path / "pretender.py"
    script.write_text(PRETENDER, encoding="utf-8")
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "{script}"\n', encoding="utf-8"
    )
    python.chmod(0o755)
    with Peer.start("aer", contests()[0].loop, threads=1, python=str(python)) as peer:
        assert (peer.version, peer.settings) == ("1.2", "way")
        assert peer.tried["broken"] == "fails: no loops"
        answer = peer.run(shots=10, seed=5)
    assert (answer.shots, answer.sum, answer.squares) == (10, 30, 95)
    assert answer.memory_mib > 1
    assert peer.process.returncode is not None


def test_no_way_to_run_is_said() -> None:
    def broken(loop: Loop, threads: int) -> serve.Run:
        raise RuntimeError("no loops")

    with pytest.raises(RuntimeError, match=r"no way to run the loop works: \{'one': 'fails: no loops'\}"):
        serve.fastest({"one": broken}, contests()[0].loop, 1)


def test_totals() -> None:
    assert serve.totals([(2, 3), (5, 1)]) == (11, 37)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Operation("reset", 1), "Reset(q[1]);"),
        (Operation("h", 0), "H(q[0]);"),
        (Operation("rx", 0, (), 0.5), "Rx(0.5, q[0]);"),
        (Operation("x", 1, (0,)), "CNOT(q[0], q[1]);"),
        (Operation("x", 2, (0, 1)), "CCNOT(q[0], q[1], q[2]);"),
        (Operation("z", 3, (0, 1, 2)), "Controlled Z([q[0], q[1], q[2]], q[3]);"),
        (Operation("rz", 1, (0,), 0.5), "Controlled Rz([q[0]], (0.5, q[1]));"),
        (
            Operation("ry", 1, (0,), 0.5),
            "Ry(0.25, q[1]); CNOT(q[0], q[1]); Ry(-0.25, q[1]); CNOT(q[0], q[1]);",
        ),
    ],
)
def test_statements_in_q_sharp(step: Operation, text: str) -> None:
    assert qsharp.statement(step) == text


def test_the_program_in_q_sharp() -> None:
    loop = Loop(1, (Operation("h", 0),), (Operation("reset", 0), Operation("h", 0)), 0, 3)
    assert qsharp.text(loop).splitlines() == [
        "operation Loop() : Int {",
        "use q = Qubit[1];",
        "mutable c = 0;",
        "H(q[0]);",
        "while M(q[0]) == Zero {",
        "Reset(q[0]);",
        "H(q[0]);",
        "if c < 3 { set c += 1; }",
        "}",
        "ResetAll(q);",
        "return c;",
        "}",
    ]


@pytest.mark.parametrize("whole", [True, False])
def test_the_circuit_for_aer_counts_and_loops(whole: bool) -> None:
    for workload, bits in ((workloads.amplitude_amplification(), 7), (workloads.quantum_walk(), 4)):
        circuit = aer.circuit(lower(workload), whole=whole)
        assert [register.size for register in circuit.cregs] == [1, bits]
        loop = circuit.data[-1].operation
        assert loop.name == "while_loop"
        counted = loop.blocks[0].count_ops()
        assert counted["store"] == bits
        assert counted.get("unitary", 0) == (
            len([1 for r, _ in lower(workload).stretches() if not r]) * whole
        )


def test_the_counter_of_aer_is_read_from_its_bits() -> None:
    assert [aer.counter(4, bits) for bits in ("0000", "0011", "1111")] == [0, 2, 4]
    # Seven bits count to 41 in the lower six; the highest says that they ran over.
    assert [aer.counter(41, bits) for bits in ("0000101", "0111111", "1000001")] == [5, 41, 41]
