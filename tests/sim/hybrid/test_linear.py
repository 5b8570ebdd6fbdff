"""Dense and sparse systems x = b + x T, forwards and backwards, and the proof that all mass leaves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qdiff.sim.hybrid.coordinates import basis, encode, identity
from qdiff.sim.hybrid.linear import DenseSystem, SparseSystem

Reals = NDArray[np.float64]
RNG = np.random.default_rng(3)


def contraction(rows: int, size: int, radius: float) -> Reals:
    matrix = RNG.normal(size=(rows, size, size))
    return matrix * (radius / np.abs(np.linalg.eigvals(matrix)).max(axis=1))[:, None, None]


def sparse(matrix: Reals, heads: NDArray[np.int64] | None = None) -> SparseSystem:
    """Row vectors times matrices (P, N, N), as a sparse system."""
    size = matrix.shape[-1]
    rows, columns = (index.ravel() for index in np.indices((size, size)))
    return SparseSystem(
        rows, columns, matrix.reshape(len(matrix), -1), size, np.arange(size) if heads is None else heads
    )


@pytest.mark.parametrize("size", [1, 4, 40])
@pytest.mark.parametrize("radius", [0.1, 0.9, 0.999])
def test_both_solve_the_equations(size: int, radius: float) -> None:
    matrix, b = contraction(3, size, radius), RNG.normal(size=(3, 2, size))
    for system in (DenseSystem(matrix), sparse(matrix)):
        x = system.solve(b, adjoint=False)
        np.testing.assert_allclose(x, b + x @ matrix, atol=1e-9 * np.abs(x).max())
        y = system.solve(b, adjoint=True)
        np.testing.assert_allclose(y, b + y @ matrix.swapaxes(1, 2), atol=1e-9 * np.abs(y).max())


def test_one_row_for_several_right_hand_sides() -> None:
    matrix = contraction(1, 5, 0.8)
    b = RNG.normal(size=(1, 7, 5))
    x = DenseSystem(matrix).solve(b, adjoint=False)
    np.testing.assert_allclose(x[0], b[0] @ np.linalg.inv(np.eye(5) - matrix[0]), atol=1e-10)


def test_a_singular_row_leaves_the_others_alone() -> None:
    matrix = np.stack([np.diag([1.0, 0.5]), np.diag([0.25, 0.5])])
    b = np.ones((2, 1, 2))
    for system in (DenseSystem(matrix), sparse(matrix)):
        with np.errstate(all="ignore"):
            x = system.solve(b, adjoint=False)
        assert not np.isfinite(x[0]).all()
        np.testing.assert_allclose(x[1, 0], [4 / 3, 2.0])


def test_a_sparse_system_gives_what_the_heads_hold() -> None:
    # 0 → 1 → 2 → 0, head 0, with factors 0.5, 0.8, 0.9: x = b / (1 - 0.36).
    system = SparseSystem([0, 1, 2], [1, 2, 0], np.array([[0.5, 0.8, 0.9]]), 3, np.array([0]))
    for adjoint in (False, True):
        np.testing.assert_allclose(system.solve(np.array([[[2.0]]]), adjoint=adjoint), [[[2 / 0.64]]])
    # The way matters where the head is another one and something is lost on the way.
    both = SparseSystem([0, 1, 0], [1, 0, 0], np.array([[0.5, 0.8, 0.1]]), 2, np.array([0, 1]))
    matrix = np.array([[0.1, 0.5], [0.8, 0.0]])
    for adjoint, used in ((False, matrix), (True, matrix.T)):
        b = np.array([[1.0, 2.0]])
        np.testing.assert_allclose(
            both.solve(b[None], adjoint=adjoint)[0], b @ np.linalg.inv(np.eye(2) - used)
        )


def kraus(*operators: NDArray[np.complex128]) -> Reals:
    """Σ K X K† as a matrix on row vectors, (1, D², D²)."""
    d = len(operators[0])
    images = [sum((k @ x @ k.conj().T for k in operators), np.zeros((d, d))) for x in basis(d)]
    return np.stack([encode(x) for x in images])[None]


def test_transient_is_proved_where_everything_leaves() -> None:
    c, s = np.cos(0.4), np.sin(0.4)
    rotation = np.array([[c, -s], [s, c]], dtype=complex)
    keep = np.diag([0.0, 1.0]).astype(complex)
    leaving, staying = kraus(rotation @ keep), kraus(keep)
    loses_little = kraus(np.sqrt(1 - 1e-14) * keep)
    for matrix, expected in ((leaving, True), (staying, False), (loses_little, False)):
        for system in (DenseSystem(matrix), sparse(matrix)):
            assert system.transient(identity(2)).tolist() == [expected]
    together = np.concatenate([staying, leaving, leaving])
    for system in (DenseSystem(together), sparse(together)):
        assert system.transient(identity(2)).tolist() == [False, True, True]


def test_a_bad_inverse_proves_nothing() -> None:
    system = DenseSystem(kraus(0.5 * np.eye(2, dtype=complex)))
    assert system.transient(identity(2)).all()
    system.inverse = 0.1 * np.eye(4)[None]
    assert not system.transient(identity(2)).any()


def test_several_heads_are_proved_together() -> None:
    block = np.zeros((1, 8, 8))
    block[0, :4, 4:] = kraus(np.eye(2, dtype=complex))[0]  # head 0 leads to head 1 …
    assert DenseSystem(block).transient(identity(2)).all()
    block[0, 4:, :4] = kraus(np.eye(2, dtype=complex))[0]  # … and head 1 back
    assert not DenseSystem(block).transient(identity(2)).any()
