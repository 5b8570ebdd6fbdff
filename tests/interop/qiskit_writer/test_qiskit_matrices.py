"""Circuits without measurements, in Qiskit's own eyes: the state that qdiff computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from interop.gate_programs import VALUES, declared_gates, every_gate, prepared
from qiskit.quantum_info import Operator
from strategies import programs

import qdiff as qd
from qdiff.interop.qiskit_writer import to_qiskit
from qdiff.lang import tree
from qdiff.lang.walk import statements


def overlap(program: tree.Program, circuit: Any, given_values: dict[str, float]) -> float:
    """⟨ψ|ρ|ψ⟩ of Qiskit's state ψ, its first column, and qdiff's."""
    bound = circuit.assign_parameters({p: given_values[p.name] for p in circuit.parameters})
    psi = Operator(bound).data[:, 0]
    found = qd.state(program, given_values)[()]
    return float((psi.conj() @ found.density_matrix() @ psi).real)


@pytest.mark.parametrize("text", every_gate())
def test_every_gate_with_every_number_of_controls(text: str) -> None:
    program = prepared(text)
    assert abs(overlap(program, to_qiskit(program), VALUES) - 1) < 1e-12


@pytest.mark.parametrize(("text", "declaration"), declared_gates())
def test_declared_gates(text: str, declaration: str) -> None:
    program = prepared(text, declaration)
    assert abs(overlap(program, to_qiskit(program), VALUES) - 1) < 1e-10


def test_a_wrong_gate_is_told_apart() -> None:
    program, other = prepared("C_U(t, 0.1, 0.2)[q[0]][q[1]]"), prepared("C_U(t, 0.1, 0.4)[q[0]][q[1]]")
    assert overlap(program, to_qiskit(other), VALUES) < 1 - 1e-6


@settings(max_examples=40)
@given(programs(unbounded=False, counters=False, noise=(), declared=True))
def test_random_circuits(program: tree.Program) -> None:
    gates = tuple(s for s in statements(program.body) if isinstance(s, tree.Gate))
    straight = tree.Program(
        program.qubit_registers,
        program.parameter_registers,
        (),
        gates,
        gate_declarations=program.gate_declarations,
    )
    given_values = {name: 0.3 + 0.2 * i for i, name in enumerate(program.parameters)}
    try:
        circuit = to_qiskit(straight)
    except qd.QdiffError:
        assume(any(gate.generator for gate in program.gate_declarations))
        circuit = to_qiskit(straight, given_values)
    assert abs(overlap(straight, circuit, given_values) - 1) < 1e-9


def test_parameters_can_be_numbers() -> None:
    program = prepared("Ry(t + w[1])[q[0]]")
    assert {p.name for p in to_qiskit(program).parameters} == {"t", "w[1]"}
    assert {p.name for p in to_qiskit(program, {"t": 0.3}).parameters} == {"w[1]"}
    circuit = to_qiskit(program, {"t": 0.3, "w": [1, 2]})
    assert not circuit.parameters
    assert np.isclose(next(i for i in circuit.data if i.operation.name == "ry").operation.params[0], 2.3)
    with pytest.raises(qd.QdiffError, match=r"`s` is not a parameter"):
        to_qiskit(program, {"s": 1.0})
