"""Observables from Qiskit's SparsePauliOp and Pauli."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import assert_close
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator, Pauli, SparsePauliOp, random_hermitian

from qdiff.errors import QdiffError
from qdiff.lang.observable import Observable, X, Y, Z, constant
from qdiff.lang.pauli_algebra import matrix
from qdiff.lang.qiskit_observable import from_sparse_pauli_op


def dense(observable: Observable, qubits: tuple[str, ...]) -> Any:
    return sum(value * matrix(part, qubits) for part, value in observable.coefficients({}).items())


def test_the_rightmost_letter_acts_on_the_first_qubit() -> None:
    o = from_sparse_pauli_op(SparsePauliOp(["XYZ", "IIX"], [0.5, -2]), ("a", "b", "c"))
    assert o == 0.5 * Z("a") * Y("b") * X("c") - 2 * X("a")


def test_like_terms_are_merged() -> None:
    op = SparsePauliOp(["ZI", "ZI", "IX", "II"], [1, 2, 0, 0.5])
    assert from_sparse_pauli_op(op, ["q", "r"]) == 3 * Z("r") + 0.5


def test_names_in_any_order_and_coefficients_that_are_not_finite() -> None:
    names = "q[10]", "q[2]", "a"
    assert from_sparse_pauli_op(SparsePauliOp("ZYX"), names) == X("q[10]") * Y("q[2]") * Z("a")
    with pytest.raises(QdiffError, match="A coefficient of an observable is a finite number, not "):
        from_sparse_pauli_op(SparsePauliOp(["Z"], [float("nan")]), "q")
    with pytest.raises(QdiffError, match="became too large for a floating-point number"):
        from_sparse_pauli_op(SparsePauliOp(["Z", "Z"], [1e308, 1e308]), "q")
    with pytest.raises(QdiffError, match="is no name of a qubit"):
        from_sparse_pauli_op(SparsePauliOp("Z"), ("1",))


def test_paulis_with_their_phase() -> None:
    assert from_sparse_pauli_op(Pauli("XZ"), ("q", "r")) == Z("q") * X("r")
    assert from_sparse_pauli_op(Pauli("-iXY"), ("q", "r")) == -1j * Y("q") * X("r")
    assert from_sparse_pauli_op(Pauli("I"), "q") == constant(1)


def test_the_matrix_is_that_of_qiskit() -> None:
    operator = random_hermitian(8, seed=5)
    names = ("q", "data[1]", "data[0]")
    o = from_sparse_pauli_op(SparsePauliOp.from_operator(operator), names)
    assert o.is_hermitian
    assert_close(dense(o, names), operator.data, 1e-12)


def test_coefficients_bound_to_numbers_are_numbers() -> None:
    t = Parameter("t")
    op = SparsePauliOp(["Z", "X"], np.array([t, 2 * t + 1]))
    assert from_sparse_pauli_op(op.assign_parameters({t: 0.25}), "q") == 0.25 * Z("q") + 1.5 * X("q")


@pytest.mark.parametrize(
    ("op", "qubits", "message"),
    [
        (
            SparsePauliOp(["ZZ"]),
            ("q",),
            "The operator acts on 2 qubits, but 1 are named: q. "
            'Name one qubit for each, as in qubits=["q", "r"], the first for the rightmost letter.',
        ),
        (
            Pauli("Z"),
            (),
            "The operator acts on 1 qubits, but 0 are named: none. "
            'Name one qubit for each, as in qubits=["q", "r"], the first for the rightmost letter.',
        ),
        (Pauli("ZZ"), ("q", "q"), "The qubit `q` is named twice in qubits=."),
        (
            SparsePauliOp(["Z", "X"], np.array([Parameter("b"), Parameter("a")])),
            ("q",),
            "The coefficients hold free parameters: a, b. "
            "Give them values first: op.assign_parameters({...}).",
        ),
        (
            Operator(np.eye(2)),
            ("q",),
            "Expected a qiskit.quantum_info.SparsePauliOp or Pauli, got Operator. "
            "Other operators: SparsePauliOp.from_operator(op).",
        ),
        (
            "Z",
            ("q",),
            "Expected a qiskit.quantum_info.SparsePauliOp or Pauli, got str. "
            "Other operators: SparsePauliOp.from_operator(op).",
        ),
        (
            Pauli("Z"),
            ("q r",),
            '\'q r\' is no name of a qubit. Names look like "q", or "data[2]" in an array.',
        ),
        (
            SparsePauliOp(["Z"], [np.nan]),
            ("q",),
            "A coefficient of an observable is a finite number, not (nan+nanj).",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused(op: Any, qubits: tuple[str, ...], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        from_sparse_pauli_op(op, qubits)
    assert str(caught.value) == message
