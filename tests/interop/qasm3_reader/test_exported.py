"""What Qiskit's exporter writes means the same as the circuit that it is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helpers import assert_close
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import Clbit, Parameter
from qiskit.circuit.classical import expr, types

import qdiff as qd
from qdiff.interop.qasm3_reader import from_qasm3
from qdiff.interop.qiskit_reader.circuit import from_qiskit

THETA = Parameter("θ")


def branches() -> QuantumCircuit:
    q, c = QuantumRegister(3, "q"), ClassicalRegister(2, "c")
    circuit = QuantumCircuit(q, c)
    circuit.ry(THETA, 0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((c, 3)) as otherwise:
        circuit.rx(2 * THETA, 2)
    with otherwise:
        circuit.h(2)
    with circuit.if_test(expr.logic_not(c[0])):
        circuit.x(2)
        circuit.barrier()
    with circuit.if_test(expr.less(expr.bit_and(c, 2), 2)):
        circuit.rz(0.3, 2)
        circuit.h(2)
    return circuit


def loops() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 1)
    circuit.ry(THETA, 0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.ry(THETA / 2, 0)
        circuit.measure(0, 0)
    with circuit.for_loop(range(1, 6, 2)) as i:
        circuit.rx(i * 0.1, 1)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.reset(0)
            circuit.ry(THETA, 0)
            circuit.measure(0, 0)
            circuit.break_loop()
        circuit.x(1)
    return circuit


def switches() -> QuantumCircuit:
    q, c = QuantumRegister(2, "q"), ClassicalRegister(2, "c")
    circuit = QuantumCircuit(q, c)
    circuit.ry(THETA, 0)
    circuit.h(1)
    circuit.measure(q, c)
    with circuit.switch(c) as case:
        with case(0, 1):
            circuit.ry(0.4, 0)
        with case(2):
            circuit.ry(0.9, 1)
        with case(case.DEFAULT):
            circuit.h(q)
    return circuit


def variables() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    count = circuit.add_var("count", expr.lift(1, types.Uint(3)))
    done = circuit.add_var("done", False)
    with circuit.while_loop(expr.logic_and(expr.logic_not(done), expr.less(count, 7))):
        circuit.ry(THETA, 0)
        circuit.measure(0, 0)
        circuit.store(done, expr.lift(circuit.clbits[0]))
        circuit.store(count, expr.add(count, 1))
    with circuit.if_test(expr.equal(expr.bit_xor(count, 5), 6)):
        circuit.h(0)
    return circuit


def gates() -> QuantumCircuit:
    inner = QuantumCircuit(2, name="pair", global_phase=0.3)
    inner.h(0)
    inner.rzz(THETA, 0, 1)
    inner.u(0.1, 0.2, 0.3, 1)
    circuit = QuantumCircuit(3)
    circuit.h([0, 1, 2])
    circuit.append(inner.to_gate(), [2, 0])
    circuit.rxx(0.4, 0, 1)
    circuit.sxdg(2)
    circuit.iswap(1, 2)
    circuit.crx(THETA, 0, 2)
    circuit.cswap(0, 1, 2)
    circuit.mcx([0, 1], 2)
    return circuit


def loose_bits() -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(1, "input"), [Clbit()])
    circuit.ry(THETA, 0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], True)):
        circuit.h(0)
    return circuit


@pytest.mark.parametrize("build", [branches, loops, switches, variables, gates, loose_bits])
def test_exported_circuits(build: Callable[[], QuantumCircuit]) -> None:
    circuit = build()
    program, expected = from_qasm3(qasm3.dumps(circuit)), from_qiskit(circuit)
    assert len(program.qubits) == len(expected.qubits)
    for kind in "XZ":
        for mine, theirs in zip(program.qubits, expected.qubits, strict=True):
            f = qd.expectation(program, f"{kind}[{mine}]")
            g = qd.expectation(expected, f"{kind}[{theirs}]")
            assert_close(f(dict.fromkeys(program.parameters, 0.7)), g({"θ": 0.7}))
            assert_close(f.grad(dict.fromkeys(program.parameters, 0.7)), g.grad({"θ": 0.7}))
