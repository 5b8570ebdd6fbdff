"""OpenQASM files go in, OpenQASM and drawings of Qiskit circuits come out."""

from __future__ import annotations

import pytest
from cli.programs import AT

import qdiff as qd

QASM = """OPENQASM 3.0;
include "stdgates.inc";
input float theta;
qubit[2] q;
bit c;
ry(theta) q[0];
c = measure q[0];
while (c) { crx(theta / 2) q[0], q[1]; ry(theta) q[0]; c = measure q[0]; }
"""
OLD = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'


@pytest.fixture
def circuits(folder):
    (folder / "loop.qasm").write_text(QASM)
    (folder / "old.qasm").write_text(OLD)
    (folder / "bad.qasm").write_text("OPENQASM 3.0;\nqubit q;\nhh q;\n")
    return folder


def test_a_file_of_openqasm_is_a_program(done, circuits):
    found = done("grad", "loop.qasm", "-O", "Z[q[1]]", "-p", "theta=0.8", "--json").data
    f = qd.expectation(qd.from_qasm3(QASM), "Z[q[1]]")
    assert found["value"] == f({"theta": 0.8})
    assert found["grad"] == {"theta": f.grad({"theta": 0.8})[0]}
    assert done("value", "old.qasm", "-O", "Z[q[0]]*Z[q[1]]", "--json").data["value"] == pytest.approx(1)


def test_programs_as_openqasm(done, circuits):
    text = done("show", "walk.qprog", "--format", "qasm3").out
    assert text == qd.load("walk.qprog").to_qasm3()
    assert text.startswith("OPENQASM 3")
    (circuits / "again.qasm").write_text(text)
    value = done("value", "walk.qprog", "-O", "c", *AT, "--json").data["value"]
    there = ("-p", "t_=1.4", "-p", "w_0=0.1", "-p", "w_1=0.2")  # `t` is a gate in OpenQASM
    again = done("value", "again.qasm", "-O", "c*(1 - aborted)", *there, "--json").data["value"]
    assert again == pytest.approx(value, abs=1e-9)


def test_programs_as_drawings(done, circuits):
    shown = done("show", "loop.qasm", "--format", "qiskit").out
    assert "While" in shown
    assert done("show", "loop.qasm", "--format", "qiskit", "--json").data["format"] == "qiskit"


def test_what_is_wrong_is_said_with_its_place(refused, circuits):
    assert refused("check", "bad.qasm").startswith("bad.qasm:3:1: ")
