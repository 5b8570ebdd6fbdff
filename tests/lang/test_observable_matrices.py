"""Matrices and matrix-free application of operator parts."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_close

from qdiff.errors import QdiffError, ResourceError
from qdiff.lang.pauli_algebra import LETTERS, Operators, apply, diagonal, letter_product, matrix

QUBITS = ("q", "r", "s")
ZERO, ONE = np.array([1, 0]), np.array([0, 1])


def test_the_first_qubit_is_the_lowest_bit() -> None:
    # |s r q> = |0 0 1> is the integer 1.
    assert np.array_equal(np.diag(matrix((("q", "P1"),), QUBITS)).real, [0, 1] * 4)
    assert np.array_equal(np.diag(matrix((("s", "P1"),), QUBITS)).real, [0] * 4 + [1] * 4)
    assert np.array_equal(matrix((("q", "X"),), QUBITS)[1], np.eye(8)[0])


def test_matrices_are_those_of_qiskit() -> None:
    from qiskit.quantum_info import Pauli

    part = (("q", "X"), ("r", "Y"), ("s", "Z"))
    assert_close(matrix(part, QUBITS), Pauli("ZYX").to_matrix(), 1e-15)
    assert_close(matrix((("r", "Y"),), QUBITS), Pauli("IYI").to_matrix(), 1e-15)
    assert_close(matrix((), QUBITS), np.eye(8), 1e-15)
    assert matrix((), ()).shape == (1, 1)


def test_projectors_project() -> None:
    assert_close(matrix((("q", "P0"),), ("q",)), np.outer(ZERO, ZERO), 1e-15)
    assert_close(matrix((("q", "P1"),), ("q",)), np.outer(ONE, ONE), 1e-15)


@pytest.mark.parametrize(
    "letters", [(), ("X",), ("Y", "P1"), ("P0", "Z"), ("X", "Y", "Z"), ("P1", "X", "P0")]
)
def test_application_is_multiplication_with_the_matrix(letters: tuple[str, ...]) -> None:
    rng = np.random.default_rng(7)
    psi = rng.normal(size=(2, 3, 8)) + 1j * rng.normal(size=(2, 3, 8))
    before = psi.copy()
    for names in (QUBITS, QUBITS[::-1]):
        part: Operators = tuple(zip(names, letters, strict=False))
        expected = np.einsum("ij,abj->abi", matrix(part, QUBITS), psi)
        result = apply(part, psi, QUBITS)
        assert_close(result, expected, 1e-14)
        result += 1
        assert np.array_equal(psi, before)


def test_diagonals() -> None:
    part = (("q", "Z"), ("s", "P1"))
    assert_close(np.diag(diagonal(part, QUBITS)), matrix(part, QUBITS), 1e-15)
    assert diagonal((), ()).tolist() == [1.0]


def test_products_of_letters_are_one_letter_where_they_can_be() -> None:
    assert letter_product("Z", "P1") == ((-1, "P1"),)
    assert letter_product("X", "X") == ((1, "I"),)
    assert letter_product("P0", "P1") == ()
    assert letter_product("Y", "P0") == ((0.5j, "X"), (0.5, "Y"))
    assert max(len(letter_product(a, b)) for a in LETTERS for b in LETTERS) == 2


def test_a_qubit_outside_the_register_is_an_error() -> None:
    message = (
        "The observable acts on `data[3]`, which is no qubit of the program. "
        "Qubits: data[0], data[1]. Did you mean `data[1]`?"
    )
    part = (("data[3]", "Z"),)
    names = ("data[0]", "data[1]")
    for call in (
        lambda: matrix(part, names),
        lambda: diagonal(part, names),
        lambda: apply(part, np.ones(4), names),
    ):
        with pytest.raises(QdiffError) as caught:
            call()
        assert str(caught.value) == message


def test_a_large_register_is_refused_before_anything_is_built() -> None:
    with pytest.raises(ResourceError) as caught:
        matrix((), [f"q[{i}]" for i in range(30)])
    assert str(caught.value) == (
        "The matrix of an observable on 30 qubits would take 17179869184 GiB; "
        "matrices are built for at most 12 qubits."
    )
