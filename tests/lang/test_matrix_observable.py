"""Observables given as matrices: what is accepted, what is refused, and their Pauli terms."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import qdiff as qd
from qdiff.errors import QdiffError, ResourceError
from qdiff.lang import matrix_observable
from qdiff.lang.matrix_observable import MatrixObservable, in_letters
from qdiff.lang.pauli_algebra import matrix as letters_matrix

RNG = np.random.default_rng(7)
PROGRAM = qd.parse("qubit: a, b, c  para: t, u  Ry(t)[a]; CNOT[a, b]; Rx(u)[c]; CNOT[c, b]; Rz(t*u)[b]")
MEASURED = qd.parse("qubit: a, b  para: t  Ry(t)[a]; if M[a] = 1 then Ry(t)[b] fi")
PARAMS = [0.7, -0.4]


def hermitian(size: int, *, real: bool = False) -> Any:
    numbers = RNG.normal(size=(size, size)) + (0 if real else 1j) * RNG.normal(size=(size, size))
    return numbers + numbers.conj().T


def dense(observable: qd.Observable, names: tuple[str, ...]) -> Any:
    parts = observable.coefficients({})
    return sum(
        (value * letters_matrix(part, names) for part, value in parts.items()),
        np.zeros((1 << len(names),) * 2),
    )


def expected(matrix: Any) -> float:
    return float(np.trace(matrix @ qd.state(PROGRAM, PARAMS).density_matrix()).real)


# --- What is accepted -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        np.asarray,
        sparse.csr_array,
        sparse.csc_matrix,
        sparse.coo_array,
        sparse.lil_matrix,
        sparse.dok_array,
        sparse.dia_matrix,
        sparse.bsr_array,
    ],
)
def test_all_formats(made: Any) -> None:
    full = hermitian(8)
    f = qd.expectation(PROGRAM, made(full))
    assert f(PARAMS) == pytest.approx(expected(full), abs=1e-12)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float32, np.float64, np.complex64])
def test_all_numbers(dtype: Any) -> None:
    full = np.diag([1, 0, 1, 1, 0, 0, 1, 1]).astype(dtype)
    assert qd.expectation(PROGRAM, sparse.csr_array(full))(PARAMS) == pytest.approx(expected(full), abs=1e-12)


def test_entries_given_twice_are_added_as_scipy_does() -> None:
    rows, columns, values = [0, 0, 1, 1], [1, 1, 0, 0], [1.0, 2.0, 1.5, 1.5]
    made = MatrixObservable(sparse.coo_array((values, (rows, columns)), shape=(2, 2)), "a")
    assert made.matrix.toarray().tolist() == [[0, 3], [3, 0]]
    unsorted = sparse.csr_array((np.array(values), np.array([1, 1, 0, 0]), np.array([0, 2, 4])), shape=(2, 2))
    assert MatrixObservable(unsorted, "a") == made
    assert unsorted.nnz == 4  # the caller's matrix is left as it is


def test_qubits_say_where_the_bits_of_row_numbers_are() -> None:
    full = np.diag([0.0, 1, 2, 3])  # 1 for the first, 2 for the second
    f = qd.expectation(PROGRAM, full, qubits=["c", "a"])
    letters = qd.expectation(PROGRAM, "P1[c] + 2*P1[a]")
    assert f(PARAMS) == pytest.approx(letters(PARAMS), abs=1e-14)
    assert f.grad(PARAMS) == pytest.approx(letters.grad(PARAMS), abs=1e-14)
    assert qd.observable(full, qubits=["c", "a"]) == f.observable


@pytest.mark.parametrize("engine", ["pure-state", "hybrid", "branching"])
def test_values_derivatives_and_batches_by_every_engine(engine: str) -> None:
    full = hermitian(4)
    letters = MatrixObservable(full, ["c", "b"]).expanded
    mine = qd.expectation(PROGRAM, sparse.csr_array(full), qubits=["c", "b"], engine=engine)
    other = qd.expectation(PROGRAM, letters, engine="hybrid")
    batch = RNG.normal(size=(3, 2))
    assert mine.value_and_grad(PARAMS)[1] == pytest.approx(other.grad(PARAMS), abs=1e-12)
    assert mine.hessian(PARAMS) == pytest.approx(other.hessian(PARAMS), abs=1e-12)
    assert mine.variance(PARAMS) == pytest.approx(other.variance(PARAMS), abs=1e-12)
    assert mine.batch_value_and_grad(batch)[1] == pytest.approx(
        other.batch_value_and_grad(batch)[1], abs=1e-12
    )
    assert abs(mine(PARAMS) - other(PARAMS)) <= 1e-13 + mine.analyze(PARAMS).error_bound


def test_several_observables_and_shots() -> None:
    full = hermitian(2, real=True)
    f = qd.expectation(PROGRAM, [full, np.eye(2)], qubits=["b"])
    assert f(PARAMS)[1] == pytest.approx(1)
    estimate = qd.expectation(PROGRAM, full, qubits=["b"]).estimate(PARAMS, shots=2000, seed=3)
    assert abs(estimate.value - f(PARAMS)[0]) < 5 * estimate.stderr


def test_programs_that_measure_take_the_pauli_terms() -> None:
    full = hermitian(4)
    f = qd.expectation(MEASURED, full)
    assert f([0.4]) == pytest.approx(qd.expectation(MEASURED, f.observable.expanded)([0.4]), abs=1e-13)


# --- Pauli terms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("names", [("a",), ("b", "a"), ("d[10]", "d[2]", "q")])
def test_terms_are_the_matrix(names: tuple[str, ...], real: bool) -> None:
    full = hermitian(1 << len(names), real=real)
    found = MatrixObservable(full, names)
    assert dense(found.expanded, names) == pytest.approx(full, abs=1e-14)
    assert found.expanded.is_hermitian
    assert all(value.imag == 0 for value in found.expanded.coefficients({}).values())
    assert found.terms == found.expanded.terms
    assert (found + qd.Z(names[0])).terms == (found.expanded + qd.Z(names[0])).terms
    assert in_letters(found) == found.expanded
    assert in_letters(found.expanded) is found.expanded


def test_a_sum_of_pauli_terms_is_found_again() -> None:
    names = tuple("abcdefghij")
    terms = sum((qd.Z(p) * qd.Z(q) for p, q in pairwise(names)), start=0.5 * qd.Y("a"))
    terms = terms + sum((0.25 * qd.X(q) for q in names), start=2 * qd.X("b") * qd.Y("c"))
    parts = terms.coefficients({}).items()
    full = sum(value * sparse.csr_array(letters_matrix(part, names)) for part, value in parts)
    assert MatrixObservable(full, names).expanded == terms


def test_the_zero_matrix() -> None:
    nothing = MatrixObservable(sparse.csr_array((4, 4)), ("a", "b"))
    assert nothing.expanded == qd.observable("0")
    assert nothing.norm_bound({}) == 0
    assert qd.expectation(PROGRAM, nothing)(PARAMS) == 0


def test_what_would_be_too_many_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_observable, "MOST_WORK", 16)
    full = hermitian(8)
    with pytest.raises(ResourceError) as error:
        MatrixObservable(full, tuple("abc")).expanded  # noqa: B018 (asking for it raises)
    assert str(error.value) == (
        "The observable `matrix on a, b, c (8 × 8, 64 entries)` is no short sum of Pauli terms. As a "
        "matrix it has exact values and derivatives after programs that never measure, reset or flip; for "
        "others, and for shots, give Pauli terms: a SparsePauliOp, qd.Z, …"
    )
    f = qd.expectation(PROGRAM, full)
    assert f.engines.choice.name == "pure-state"
    with pytest.raises(QdiffError) as error:
        qd.expectation(PROGRAM, full, engine="hybrid")(PARAMS)
    assert str(error.value) == (
        "The hybrid engine cannot answer for this program: an observable is a matrix that is no short sum of "
        "Pauli terms. Engines that can: pure-state."
    )
    with pytest.raises(ResourceError, match="for shots, give Pauli terms"):
        f.estimate(PARAMS, shots=100, seed=0)


def test_many_terms_of_few_flips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_observable, "LARGEST_TERMS", 7)
    full = np.diag(RNG.normal(size=8))
    with pytest.raises(ResourceError, match=r"no short sum of Pauli terms\. As a matrix it has exact values"):
        MatrixObservable(full, tuple("abc")).expanded  # noqa: B018
    assert qd.expectation(PROGRAM, full).engines.choice.name == "pure-state"


def test_no_engine_for_a_matrix_after_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_observable, "MOST_WORK", 8)
    with pytest.raises(QdiffError) as error:
        qd.expectation(MEASURED, hermitian(4))([0.1])
    assert str(error.value) == (
        "The observable `matrix on a, b (4 × 4, 16 entries)` is no short sum of Pauli terms. "
        f"{matrix_observable.WHAT_SERVES}"
    )


# --- As a value -----------------------------------------------------------------------------------


def test_powers_are_products_of_matrices() -> None:
    full = hermitian(4)
    found = MatrixObservable(full, tuple("ab"))
    square = found**2
    assert isinstance(square, MatrixObservable)
    assert square.matrix.toarray() == pytest.approx(full @ full, abs=1e-12)
    assert (found**3).matrix.toarray() == pytest.approx(full @ full @ full, abs=1e-11)
    assert found**1 == found
    assert found**0 == qd.observable("1")
    with pytest.raises(QdiffError, match=r"exponent of an observable is a whole number from 0, not 0\.5"):
        found**0.5


def test_what_is_known_without_terms() -> None:
    full = np.array([[1, -2j], [2j, 0.5]])
    found = MatrixObservable(np.kron(np.eye(16), full), ["e", "d[1]", "c", "b", "a"])
    assert found.qubits == ("a", "b", "c", "d[1]", "e")
    assert (found.counters, found.functions, found.read) == ((), frozenset(), frozenset())
    assert (found.degree, found.is_hermitian, found.norm_bound({})) == (0, True, 3.0)
    assert str(found) == "matrix on e, d[1], c, b, … (32 × 32, 64 entries)"
    assert repr(found) == "MatrixObservable('matrix on e, d[1], c, b, … (32 × 32, 64 entries)')"
    assert str(MatrixObservable(np.diag([0, 1]), "q")) == "matrix on q (2 × 2, 1 entry)"
    assert "_parts" not in found.__dict__
    with pytest.raises(AttributeError, match="An observable is immutable"):
        found.matrix = None


def test_equal_matrices_are_equal_observables() -> None:
    full = hermitian(4)
    found = MatrixObservable(full, tuple("ab"))
    same = MatrixObservable(sparse.csc_array(full), tuple("ab"))
    assert found == same
    assert hash(found) == hash(same)
    assert found != MatrixObservable(full, tuple("ba"))
    assert found != MatrixObservable(2 * full, tuple("ab"))
    assert found != found.expanded
    assert found.expanded != found


# --- What is refused ------------------------------------------------------------------------------

TWO = (
    "The matrix is {}; on 2 qubits (a, b) it is 4 × 4. Say which qubits it acts on: qubits=[…], the first "
    "for the least significant bit."
)
ONE_SIDED = (
    "The matrix is not Hermitian, its expectation is not real: entry [0, {0}] is {1}, entry [{0}, 0] is {2}. "
    "Its Hermitian part is (M + M.conj().T) / 2."
)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.eye(3), TWO.format("3 × 3")),
        (sparse.csr_array((4, 8)), TWO.format("4 × 8")),
        (np.full((4, 4), "x"), "The entries of the matrix are numbers, not <U1."),
        (np.full((4, 4), None), "The entries of the matrix are numbers, not object."),
        (
            np.diag([1, 2, np.nan, 3]),
            "The entry [2, 2] of the matrix is no finite number: nan.",
        ),
        (
            sparse.csr_array(np.diag([1, np.inf, 0, 3])),
            "The entry [1, 1] of the matrix is no finite number: inf.",
        ),
        (np.diag([1.0, 1, 1, 1]) + np.diag([0.5, 0, 0], 1), ONE_SIDED.format(1, 0.5, 0.0)),
        (1j * np.eye(4), ONE_SIDED.format(0, 1j, 1j)),
    ],
)
def test_bad_matrices(given: Any, message: str) -> None:
    with pytest.raises(QdiffError) as error:
        qd.expectation(MEASURED, given)
    assert str(error.value) == message


def test_what_rounding_makes_of_a_hermitian_matrix_is_accepted() -> None:
    full = hermitian(4)
    full[0, 1] += 1e-13
    assert MatrixObservable(full, tuple("ab")).is_hermitian


def test_broken_arrays_of_a_sparse_matrix() -> None:
    broken = sparse.csr_array(np.eye(2))
    broken.indices[1] = 5
    with pytest.raises(QdiffError, match="The sparse matrix is broken: "):
        MatrixObservable(broken, "a")


def test_qubits_of_a_matrix() -> None:
    with pytest.raises(QdiffError) as error:
        qd.observable(np.eye(2))
    assert str(error.value) == 'Say which qubits the matrix acts on: qd.observable(matrix, qubits=["q", …]).'
    with pytest.raises(QdiffError, match="The matrix is 8 × 8; on 2 qubits"):
        qd.expectation(PROGRAM, np.eye(8), qubits=["a", "b"])
    with pytest.raises(QdiffError, match="The qubit `a` is named twice in qubits="):
        MatrixObservable(np.eye(4), ["a", "a"])
    with pytest.raises(QdiffError, match=r"names the qubit `d`, which is not declared\. Declared: a, b, c"):
        qd.expectation(PROGRAM, np.eye(2), qubits=["d"])
    with pytest.raises(QdiffError, match="is no name of a qubit"):
        MatrixObservable(np.eye(2), ["1"])


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (np.zeros(4), "ndarray with 1 axes"),
        ([[1]], "list"),
        (sparse.coo_array([1.0]), "coo_array with 1 axes"),
    ],
)
def test_what_is_no_matrix(given: Any, what: str) -> None:
    with pytest.raises(QdiffError) as error:
        MatrixObservable(given, "a")
    assert str(error.value) == (
        f"A matrix of an observable is a scipy.sparse matrix or a NumPy array with two axes, not {what}."
    )


@pytest.mark.parametrize("size", [2e307, 1.7e308, 1e-308])
def test_the_largest_and_smallest_numbers_have_pauli_terms(size: float) -> None:
    program = qd.parse("qubit: q[4] para: t Ry(t)[q[0]]")
    found = qd.expectation(program, np.diag([size, -size] * 8)).observable
    assert isinstance(found, MatrixObservable)
    assert found.expanded.coefficients({}) == {(("q[0]", "Z"),): pytest.approx(size)}
