"""Classical memory of Qiskit circuits: places beyond a register, loop variables, long expressions."""

from __future__ import annotations

import pytest
from qiskit.circuit import ClassicalRegister, Parameter, ParameterVector, QuantumCircuit, QuantumRegister
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import UnitaryGate

import qdiff as qd
from qdiff.errors import QdiffError


def number(width: int, value: int = 3) -> tuple[QuantumCircuit, expr.Var]:
    circuit = QuantumCircuit(1, 3)
    return circuit, circuit.add_var("n", expr.lift(value, types.Uint(width)))


@pytest.mark.parametrize("where", ["variable", "register"])
def test_places_beyond_the_end(where: str) -> None:
    circuit, n = number(3)
    target = n if where == "variable" else expr.lift(circuit.cregs[0])
    circuit.store(expr.index(target, 5), expr.lift(True))
    with pytest.raises(QdiffError, match=r"Instruction 1, `store`, .*: it stores at bit 5 of 3"):
        qd.from_qiskit(circuit)
    circuit, n = number(3)
    target = n if where == "variable" else expr.lift(circuit.cregs[0])
    with circuit.if_test(expr.index(target, 3)):
        circuit.x(0)
    with pytest.raises(QdiffError, match=r"Instruction 1, `if_else`, .*: it reads bit 3 of 3"):
        qd.from_qiskit(circuit)


@pytest.mark.parametrize("indices", [range(0, -4, -1), range(-30_000, 0), [4, 5, -1]])
def test_a_loop_variable_keeps_to_its_width(indices: range) -> None:
    circuit = QuantumCircuit(1)
    k = expr.Var.new("k", types.Uint(2))
    with circuit.for_loop(indices, k):
        circuit.id(0)
    program = qd.from_qiskit(circuit)
    assert qd.expectation(program, "k")({}) == indices[-1] % 4


def test_comparisons_of_bits_as_numbers() -> None:
    circuit = QuantumCircuit(1, 3)
    less = expr.less(expr.shift_right(circuit.cregs[0], 1), 2)
    v = circuit.add_var("v", expr.cast(less, types.Uint(3)))
    with circuit.switch(expr.equal(expr.bit_and(circuit.cregs[0], 3), 0)) as case, case(True):
        circuit.store(v, expr.add(v, expr.lift(4, types.Uint(3))))
    assert qd.expectation(qd.from_qiskit(circuit), "v")({}) == 5


def test_long_expressions_stay_small() -> None:
    circuit, n = number(32)
    found, bits = expr.less(n, 3), expr.lift(n)
    for i in range(40):
        found = expr.bit_xor(found, expr.less(n, i % 15))
        bits = expr.bit_xor(bits, expr.lift(i, types.Uint(32)))
    circuit.store(n, bits)
    with circuit.if_test(found):
        circuit.x(0)
    program = qd.from_qiskit(circuit)
    assert len(str(program)) < 200_000
    expected = 3
    for i in range(40):
        expected ^= i
    truth = sum(expected < i % 15 for i in range(40)) % 2 ^ (expected < 3)
    assert qd.expectation(program, ["n", "P1[q[0]]"])({}).tolist() == [expected, truth]


def test_an_empty_loop_of_many_passes() -> None:
    circuit = QuantumCircuit(1)
    circuit.for_loop(range(10**9), None, QuantumCircuit(1), [0], [])
    assert "while k < 1000000000 do" in str(qd.from_qiskit(circuit))
    circuit.for_loop(list(range(2 * 10**6)), None, QuantumCircuit(1), [0], [])
    with pytest.raises(QdiffError, match="more than 1000000 instructions once unrolled"):
        qd.from_qiskit(circuit)


def test_a_parameter_keeps_its_name_beside_other_things_of_that_name() -> None:
    a, theta = Parameter("a"), Parameter("θ")
    circuit = QuantumCircuit(QuantumRegister(1, "q"), ClassicalRegister(1, "a"), ClassicalRegister(1, "θ"))
    circuit.ry(a + 2 * theta, 0)
    circuit.append(UnitaryGate([[1, 0], [0, 1]], label="θ"), [0])
    circuit.add_var("θ", expr.lift(True))
    f = qd.expectation(qd.from_qiskit(circuit), "X[q[0]]")
    assert f({a: 0.1, theta: 0.3}) == f({"a": 0.1, "θ": 0.3}) == f([0.1, 0.3])


def test_a_name_that_another_parameter_had_is_not_given_away() -> None:
    first, second = Parameter("a b"), Parameter("a_b")
    circuit = QuantumCircuit(1)
    circuit.ry(first + 2 * second, 0)
    program = qd.from_qiskit(circuit)
    assert program.parameters == ("a_b_2", "a_b")
    f = qd.expectation(program, "Z[q[0]]")
    result = qd.minimize(f, {first: 0.1, second: 1.0}, steps=3)
    assert f(result.params) == pytest.approx(result.value)
    assert f.grad([0.1, 1.0], wrt="a_b") == pytest.approx(2 * f.grad([0.1, 1.0], wrt="a b"))


def test_vectors_of_one_name() -> None:
    short, long = ParameterVector("v", 1), ParameterVector("v", 3)
    circuit = QuantumCircuit(1)
    circuit.rx(short[0] + 2 * long[1], 0)
    f = qd.expectation(qd.from_qiskit(circuit), "Z[q[0]]")
    assert f({short[0]: 0.3, long[1]: 0.2}) == pytest.approx(f([0.3, 0.2]))


def test_two_measurements_at_the_end_of_one_qubit() -> None:
    circuit = QuantumCircuit(1, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    circuit.measure(0, 1)
    circuit.delay(10, 0)
    program = qd.from_qiskit(circuit, drop_final_measurements=True)
    assert qd.expectation(program, "X[q[0]]")({}) == pytest.approx(1)
