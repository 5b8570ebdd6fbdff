"""Qiskit's gates, each against its own matrix, alone and under controls, where the global phase matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from interop.random_circuits import standard_gates
from qiskit.circuit import (
    AnnotatedOperation,
    ControlModifier,
    Gate,
    InverseModifier,
    Parameter,
    PowerModifier,
    QuantumCircuit,
)
from qiskit.circuit.library import (
    CUGate,
    DiagonalGate,
    ECRGate,
    GlobalPhaseGate,
    MCMTGate,
    MCPhaseGate,
    MCXGate,
    PauliEvolutionGate,
    PauliGate,
    PermutationGate,
    QFTGate,
    RXGate,
    RYGate,
    RZZGate,
    SGate,
    UGate,
    UnitaryGate,
    XGate,
    XXPlusYYGate,
    iSwapGate,
)
from qiskit.quantum_info import (
    Clifford,
    Operator,
    SparsePauliOp,
    Statevector,
    random_clifford,
    random_unitary,
)

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.interop.qiskit_reader import gates

T = Parameter("θ")
VALUE = 0.7


def check(operation: Any, qubits: int) -> None:
    """A state that a gate has acted on, against Qiskit's."""
    circuit = QuantumCircuit(qubits)
    for q in range(qubits):
        circuit.ry(0.3 + q, q)
        circuit.rz(0.7 * q + 0.2, q)
    for q in range(qubits - 1):
        circuit.cx(q, q + 1)
    circuit.append(operation, range(qubits))
    program = qd.from_qiskit(circuit)
    params = {T: VALUE} if program.parameters else {}
    found = qd.state(program, params).density_matrix()
    expected = Statevector(circuit.assign_parameters(params)).data
    assert np.vdot(expected, found @ expected).real == pytest.approx(1, abs=1e-12)


def with_values(gate: Any) -> Any:
    gate = gate.to_mutable()
    gate.params = [0.4 + 0.3 * i for i, _ in enumerate(gate.params)]
    return gate


@pytest.mark.parametrize("gate", standard_gates(), ids=lambda gate: gate.name)
def test_standard_gates_and_their_controlled_forms(gate: Any) -> None:
    one = with_values(gate)
    check(one, one.num_qubits)
    check(one.control(1, annotated=False), one.num_qubits + 1)
    check(one.control(1, ctrl_state=0, annotated=False), one.num_qubits + 1)
    check(AnnotatedOperation(one, [InverseModifier(), ControlModifier(1)]), one.num_qubits + 1)


def composed(phase: float) -> Any:
    circuit = QuantumCircuit(2, global_phase=phase)
    circuit.h(0)
    circuit.cx(0, 1)
    return circuit.to_gate()


OTHERS = {
    "two controls, one of them open": (RYGate(0.3).control(2, ctrl_state=1, annotated=False), 3),
    "annotated controls": (RYGate(0.3).control(2, ctrl_state=1, annotated=True), 3),
    "cu, open": (CUGate(1, 2, 3, 4, ctrl_state=0), 2),
    "cu, controlled": (CUGate(1, 2, 3, 4).control(1, annotated=False), 3),
    "many controls": (MCXGate(3, ctrl_state=2), 4),
    "phase with many controls": (MCPhaseGate(0.3, 3), 4),
    "unitary": (UnitaryGate(random_unitary(4, seed=1)), 2),
    "unitary, controlled": (UnitaryGate(random_unitary(4, seed=1)).control(1, annotated=False), 3),
    "QFT": (QFTGate(3), 3),
    "Pauli": (PauliGate("XYZ").control(1, annotated=False), 4),
    "diagonal": (DiagonalGate([1, 1j, -1, -1j]), 2),
    "permutation": (PermutationGate([2, 0, 1]), 3),
    "evolution": (PauliEvolutionGate(SparsePauliOp(["XX", "ZZ"], [0.3, 0.5]), time=T), 2),
    "phase": (GlobalPhaseGate(0.3).control(1, annotated=False), 1),
    "a definition with a phase": (composed(0.7), 2),
    "a definition with a phase, controlled": (composed(0.7).control(1, annotated=False), 3),
    "parameter": (RZZGate(2 * T + 1).control(1, annotated=False), 3),
    "root of S": (AnnotatedOperation(SGate(), [PowerModifier(0.5)]), 1),
    "root of X": (XGate().power(0.3, annotated=False), 1),
    "root of ECR": (AnnotatedOperation(ECRGate(), [PowerModifier(0.3)]), 2),
    "all modifiers": (
        AnnotatedOperation(RXGate(T), [PowerModifier(0.5), InverseModifier(), ControlModifier(1)]),
        2,
    ),
    "negative power": (AnnotatedOperation(UGate(1, 2, 3), [PowerModifier(-2), ControlModifier(1, 0)]), 2),
    "inverse of a unitary": (
        AnnotatedOperation(UnitaryGate(random_unitary(4, seed=2)), [InverseModifier(), ControlModifier(1)]),
        3,
    ),
    "inverse of iSWAP": (AnnotatedOperation(iSwapGate(), [InverseModifier(), ControlModifier(1)]), 3),
    "XX + YY, twice controlled": (XXPlusYYGate(0.3, 0.4).control(2, annotated=False), 4),
}


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")  # of Qiskit
@pytest.mark.parametrize(("operation", "qubits"), OTHERS.values(), ids=OTHERS.keys())
def test_other_gates(operation: Any, qubits: int) -> None:
    check(operation, qubits)


def test_a_wrong_phase_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from qdiff.interop.qiskit_reader.gates import GateReader

    monkeypatch.setattr(GateReader, "phase", lambda self, value, controls: iter(()))
    with pytest.raises(AssertionError):
        check(composed(0.7).control(1, annotated=False), 3)


def test_equal_matrices_are_declared_once() -> None:
    circuit = QuantumCircuit(2)
    for _ in range(3):
        circuit.append(UnitaryGate(random_unitary(4, seed=1), label="my gate"), [0, 1])
    circuit.append(UnitaryGate(random_unitary(2, seed=1), label="my gate"), [0])
    program = qd.from_qiskit(circuit)
    assert [declaration.name for declaration in program.gate_declarations] == ["my_gate", "my_gate_2"]
    matrix = np.array(program.gate_declarations[0].matrix)
    np.testing.assert_array_equal(matrix, Operator(random_unitary(4, seed=1)).data)
    assert qd.parse(str(program)) == program


def test_initialize_resets_first() -> None:
    circuit = QuantumCircuit(2)
    circuit.h([0, 1])
    circuit.initialize([0, 0, 1, 0])
    found = qd.expectation(qd.from_qiskit(circuit), "P0[q[0]]*P1[q[1]]")
    assert found({}) == pytest.approx(1)


def test_barriers_and_delays_are_nothing() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.barrier()
    circuit.delay(100, 0)
    circuit.x(0)
    assert str(qd.from_qiskit(circuit)) == "qubit: q[1]\ncount: c[1]\nX[q[0]]\n"


NOTHING = "cannot be expressed: it has no definition and no matrix."


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (Gate("opaque", 1, []), f"Instruction 0, `opaque`, {NOTHING}"),
        (Gate("rx", 1, [0.3]), f"Instruction 0, `rx`, {NOTHING}"),
        (
            AnnotatedOperation(XGate(), [PowerModifier(2**40)]),
            "its power 1099511627776 is more than 1000000 gates",
        ),
    ],
)
def test_gates_that_cannot_be_read(gate: Any, message: str) -> None:
    circuit = QuantumCircuit(1)
    circuit.append(gate, [0])
    with pytest.raises(QdiffError) as caught:
        qd.from_qiskit(circuit)
    assert message in str(caught.value)


def named(name: str, phase: float = 0.0) -> QuantumCircuit:
    circuit = QuantumCircuit(1, name=name, global_phase=phase)
    circuit.x(0)
    return circuit


@pytest.mark.parametrize("name", ["barrier", "delay", "measure", "reset", "x_o0", "global_phase", "unitary"])
def test_a_gate_of_a_user_may_have_any_name(name: str) -> None:
    for operation in (named(name).to_gate(), named(name).to_instruction()):
        circuit = QuantumCircuit(1, 1)
        circuit.append(operation, [0])
        for drop in (False, True):
            program = qd.from_qiskit(circuit, drop_final_measurements=drop)
            assert qd.expectation(program, "Z[q[0]]")({}) == pytest.approx(-1)


def test_an_instruction_called_measure_is_no_measurement_at_the_end() -> None:
    inner = QuantumCircuit(1, 1, name="measure")
    inner.x(0)
    inner.measure(0, 0)
    circuit = QuantumCircuit(1, 1)
    circuit.append(inner.to_instruction(), [0], [0])
    for drop in (False, True):
        program = qd.from_qiskit(circuit, drop_final_measurements=drop)
        assert qd.expectation(program, "c[0]*P1[q[0]]")({}) == pytest.approx(1)


def test_controls_of_several_targets() -> None:
    check(MCMTGate(XGate(), 2, 2), 4)


def test_operations_that_become_instructions() -> None:
    check(Clifford(random_clifford(2, seed=3)), 2)


@pytest.mark.parametrize("power", [float("inf"), float("nan"), T])
def test_powers_that_are_no_numbers(power: Any) -> None:
    circuit = QuantumCircuit(1)
    circuit.append(AnnotatedOperation(XGate(), [PowerModifier(power)]), [0])
    with pytest.raises(QdiffError, match=r"Instruction 0, `annotated`.*its power is .*, not a finite number"):
        qd.from_qiskit(circuit)


def test_definitions_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "MOST_GATES", 1000)
    circuit = QuantumCircuit(1)
    circuit.x(0)
    for _ in range(3):
        larger = QuantumCircuit(1)
        for _ in range(12):
            larger.append(circuit.to_gate(), [0])
        circuit = larger
    with pytest.raises(QdiffError, match="more than 1000 gates once definitions are written out"):
        qd.from_qiskit(circuit)


def test_a_definition_with_a_parameter_of_its_own() -> None:
    class Odd(Gate):
        def _define(self) -> None:
            self.definition = QuantumCircuit(1)
            self.definition.rx(Parameter("hidden"), 0)

    circuit = QuantumCircuit(1)
    circuit.append(Odd("odd", 1, []), [0])
    with pytest.raises(QdiffError, match="its parameter `hidden` is none of the circuit"):
        qd.from_qiskit(circuit)
