"""The two ways of solving x = b + T x."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.errors import EvaluationError
from qdiff.sim.hybrid import linear

RNG = np.random.default_rng(3)


def contraction(size: int, radius: float) -> np.ndarray:
    matrix = RNG.normal(size=(size, size)) + 1j * RNG.normal(size=(size, size))
    return matrix * (radius / np.abs(np.linalg.eigvals(matrix)).max())


@pytest.mark.parametrize("size", [1, 4, 40])
@pytest.mark.parametrize("radius", [0.1, 0.9, 0.999])
def test_both_solve_the_equation(size: int, radius: float) -> None:
    matrix, b = contraction(size, radius), RNG.normal(size=size) + 0j
    dense = linear.DenseSystem(matrix).solve(b, adjoint=False)
    assert dense is not None
    np.testing.assert_allclose(dense, b + matrix @ dense, atol=1e-9)
    backwards = linear.DenseSystem(matrix).solve(b, adjoint=True)
    assert backwards is not None
    np.testing.assert_allclose(backwards, b + matrix.conj().T @ backwards, atol=1e-9)
    iterated = linear.solve_krylov(lambda x: matrix @ x, b)
    np.testing.assert_allclose(iterated, dense, rtol=1e-6, atol=1e-7)


def test_zero_needs_no_iteration() -> None:
    def never(x: np.ndarray) -> np.ndarray:
        raise AssertionError("applied")

    np.testing.assert_array_equal(linear.solve_krylov(never, np.zeros(5, dtype=complex)), np.zeros(5))


def test_a_singular_system_is_left_to_the_iteration() -> None:
    trap = np.diag([1.0, 0.5]).astype(complex)
    b = np.array([0.0, 1.0], dtype=complex)
    assert linear.DenseSystem(trap).solve(b, adjoint=False) is None
    rows = np.arange(2)
    assert linear.SparseSystem(rows, rows, np.diag(trap), 2, rows).solve(b, adjoint=False) is None
    np.testing.assert_allclose(linear.solve_krylov(lambda x: trap @ x, b), [0.0, 2.0])


def test_a_system_without_solution_is_refused() -> None:
    trap = np.diag([1.0, 0.5]).astype(complex)
    with pytest.raises(EvaluationError, match="does not end with probability 1 at these parameters"):
        linear.solve_krylov(lambda x: trap @ x, np.array([1.0, 1.0], dtype=complex))


def test_a_sparse_system_gives_what_the_heads_hold() -> None:
    # 0 → 1 → 2 → 0, head 0, with factors 0.5, 0.8, 0.9: x = b / (1 - 0.36).
    system = linear.SparseSystem([1, 2, 0], [0, 1, 2], np.array([0.5, 0.8, 0.9j]), 3, np.array([0]))
    forward = system.solve(np.array([2.0 + 0j]), adjoint=False)
    backward = system.solve(np.array([2.0 + 0j]), adjoint=True)
    np.testing.assert_allclose(forward, [2 / (1 - 0.36j)])
    np.testing.assert_allclose(backward, [2 / (1 + 0.36j)])
