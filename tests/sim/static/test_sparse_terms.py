"""Sparse matrices on some qubits of a register: against dense matrices on all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sim.static.checks import random_state

from qdiff.errors import QdiffError
from qdiff.lang.matrix_observable import MatrixObservable
from qdiff.lang.observable import X, Z
from qdiff.sim.static.grouped_terms import GroupedTerms
from qdiff.sim.static.operators import operator_of
from qdiff.sim.static.sparse_terms import SparseTerms


def random_matrix(rng: np.random.Generator, bits: int, *, real: bool, density: float = 0.3) -> Any:
    size = 1 << bits
    numbers = rng.normal(size=(size, size)) + (0 if real else 1j) * rng.normal(size=(size, size))
    numbers = numbers * (rng.random((size, size)) < density)
    return sparse.csr_array(numbers + numbers.conj().T)


def expected(matrix: Any, places: tuple[int, ...], psi: NDArray[Any]) -> NDArray[np.complex128]:
    """The axes that the matrix acts on in front, as its row numbers."""
    qubits = psi.shape[1].bit_length() - 1
    axes = [qubits - 1 - place for place in reversed(places)]
    cube = np.moveaxis((psi[0] + 1j * psi[1]).reshape((2,) * qubits), axes, range(len(axes)))
    shape = cube.shape
    result = (matrix @ cube.reshape(1 << len(places), -1)).reshape(shape)
    return np.moveaxis(result, range(len(axes)), axes).reshape(-1)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize(
    ("qubits", "places"),
    [(1, (0,)), (3, (0, 1, 2)), (4, (2, 0, 3, 1)), (5, (3,)), (6, (4, 1)), (9, (8, 0, 3)), (13, (12, 2, 7))],
)
def test_some_qubits_of_a_register(qubits: int, places: tuple[int, ...], real: bool) -> None:
    rng = np.random.default_rng([qubits, len(places), real])
    matrix, psi = random_matrix(rng, len(places), real=real), random_state(rng, qubits)
    terms = SparseTerms(matrix, places, qubits)
    out = np.full_like(psi, np.nan)
    value = terms.apply(psi, out)
    wanted = expected(matrix, places, psi)
    assert out[0] + 1j * out[1] == pytest.approx(wanted, abs=1e-14 * terms.absolute)
    assert value == pytest.approx(np.vdot(psi[0] + 1j * psi[1], wanted).real, abs=1e-14 * terms.absolute)
    assert terms.expectation(psi) == value


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(1)
    psi = random_state(rng, 15)
    terms = SparseTerms(random_matrix(rng, 3, real=False), (14, 5, 0), 15)
    out, again = np.empty_like(psi), np.empty_like(psi)
    value = terms.apply(psi, out)
    for threads in (2, 3, 100):
        assert terms.apply(psi, again, threads) == value == terms.expectation(psi, threads)
        assert (again == out).all()


def test_float32_states_are_summed_in_double_precision() -> None:
    rng = np.random.default_rng(2)
    psi = random_state(rng, 8).astype(np.float32)
    terms = SparseTerms(random_matrix(rng, 8, real=False), tuple(range(8)), 8)
    out = np.empty_like(psi)
    value = terms.apply(psi, out)
    wanted = expected(terms.matrix, terms.places, psi.astype(float))
    assert out[0] + 1j * out[1] == pytest.approx(wanted, abs=1e-7 * terms.absolute)  # rounded once
    exact = np.vdot(psi[0].astype(float) + 1j * psi[1], wanted).real
    assert value == pytest.approx(exact, abs=1e-14 * terms.absolute)


def test_permuted_qubits() -> None:
    rng = np.random.default_rng(3)
    matrix, psi = random_matrix(rng, 2, real=False), random_state(rng, 4)
    moved = SparseTerms(matrix, (3, 1), 4).moved([2, 0, 3, 1])
    assert moved.places == (1, 0)
    out = np.empty_like(psi)
    moved.apply(psi, out)
    assert out[0] + 1j * out[1] == pytest.approx(expected(matrix, (1, 0), psi), abs=1e-14)


def test_sizes_for_error_bounds() -> None:
    terms = SparseTerms(sparse.csr_array(np.array([[1.0, -2j], [2j, 0]])), (0,), 1)
    assert (terms.absolute, terms.terms) == (3.0, 2)
    nothing = SparseTerms(sparse.csr_array((2, 2)), (1,), 2)
    assert (nothing.absolute, nothing.terms) == (0.0, 0)
    psi = random_state(np.random.default_rng(0), 2)
    assert nothing.expectation(psi) == 0


def test_arrays_that_are_no_states_are_refused() -> None:
    terms = SparseTerms(sparse.csr_array(np.eye(2)), (0,), 2)
    with pytest.raises(QdiffError, match=r"A state of 2 qubits is .* got float64 \(2, 2\)"):
        terms.expectation(np.zeros((2, 2)))
    psi = np.zeros((2, 4))
    with pytest.raises(QdiffError, match="needs an array of its own"):
        terms.apply(psi, psi)


def test_observables_become_what_is_applied_fastest() -> None:
    names = "a", "b", "c"
    found = operator_of(MatrixObservable(np.diag([1.0, 2, 3, 4]), ["c", "a"]), {}, names)
    assert isinstance(found, SparseTerms)
    assert (found.places, found.qubits) == ((2, 0), 3)
    terms = operator_of(X("a") + Z("b") * Z("c"), {}, names)
    assert isinstance(terms, GroupedTerms)
    assert (terms.terms, terms.qubits) == (2, 3)
