"""GMRES for several systems at once, against dense solves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qdiff.sim.hybrid import krylov

Reals = NDArray[np.float64]
RNG = np.random.default_rng(11)


def contraction(size: int, radius: float, seed: int = 0) -> Reals:
    matrix = np.random.default_rng(seed).normal(size=(size, size))
    return matrix * (radius / np.abs(np.linalg.eigvals(matrix)).max())


class Counting:
    """T given by one matrix for each system; keeps what it was applied to."""

    def __init__(self, *matrices: Reals) -> None:
        self.matrices = matrices
        self.seen: list[Reals] = []

    def __call__(self, x: Reals) -> Reals:
        self.seen.append(x.copy())
        return np.stack([m @ row for m, row in zip(self.matrices, x, strict=True)])


@pytest.mark.parametrize("size", [1, 4, 40, 120])
@pytest.mark.parametrize("radius", [0.1, 0.9, 0.999])
def test_one_system(size: int, radius: float) -> None:
    matrix, b = contraction(size, radius), RNG.normal(size=(1, size))
    apply = Counting(matrix)
    found = krylov.gmres(apply, b)
    assert found.accepted
    assert found.applications == len(apply.seen)
    expected = np.linalg.solve(np.eye(size) - matrix, b[0])
    np.testing.assert_allclose(found.x[0], expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())
    residual = b[0] - found.x[0] + matrix @ found.x[0]
    assert abs(np.linalg.norm(residual) / np.linalg.norm(b) - found.residuals[0]) < 1e-14


def test_several_systems_keep_their_own_pace() -> None:
    """One is solved at once, one is zero, one needs as many steps as it has eigenvalues, one is large."""
    slow = contraction(30, 0.99, seed=3)
    apply = Counting(np.zeros((30, 30)), slow, slow, 0.5 * np.eye(30), contraction(30, 0.9, seed=4))
    b = RNG.normal(size=(5, 30)) * np.array([1.0, 0.0, 1e-6, 1.0, 1e6])[:, None]
    found = krylov.gmres(apply, b)
    assert found.accepted
    assert not found.x[1].any()
    for matrix, right, x in zip(apply.matrices, b, found.x, strict=True):
        expected = np.linalg.solve(np.eye(30) - matrix, right)
        np.testing.assert_allclose(x, expected, rtol=1e-6, atol=1e-8 * np.abs(right).max())
    # Masked systems are applied to zeros: the first three columns of each step tell.
    later = [x for x in apply.seen[2:-1] if not x[0].any()]
    assert len(later) >= 10
    assert all(not x[3].any() for x in later)


def test_as_many_columns_as_in_one_system() -> None:
    matrix = contraction(12, 0.95, seed=5)
    b = RNG.normal(size=(12, 12))
    found = krylov.gmres(lambda x: x @ matrix.T, b)
    np.testing.assert_allclose(found.x.T, np.linalg.solve(np.eye(12) - matrix, b.T), rtol=1e-7, atol=1e-8)


def test_zero_needs_no_application() -> None:
    def never(x: Reals) -> Reals:
        raise AssertionError("applied")

    found = krylov.gmres(never, np.zeros((2, 5)))
    assert found.accepted
    assert not found.x.any()
    assert found.applications == 0


def test_a_singular_consistent_system_gives_the_minimal_solution() -> None:
    """Σ Tⁿ b: what stays for ever, but is not in b, is not made up."""
    trap = np.diag([1.0, 0.5, 0.25])
    found = krylov.gmres(lambda x: x @ trap, np.array([[0.0, 1.0, 3.0]]))
    assert found.accepted
    np.testing.assert_allclose(found.x, [[0.0, 2.0, 4.0]], atol=1e-12)
    rotation = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    mixed = np.zeros((5, 5))
    mixed[:2, :2], mixed[2:, 2:] = rotation @ rotation, contraction(3, 0.8, seed=6)
    basis = np.linalg.qr(np.random.default_rng(8).normal(size=(5, 5)))[0]
    turned = basis @ mixed @ basis.T
    b = basis @ np.array([0.0, 0.0, 1.0, -1.0, 2.0])
    expected = np.zeros(5)
    for n in range(500):
        expected = expected + np.linalg.matrix_power(turned, n) @ b
    np.testing.assert_allclose(krylov.gmres(lambda x: x @ turned.T, b[None]).x[0], expected, atol=1e-9)


def test_a_singular_inconsistent_system_is_not_accepted() -> None:
    trap = np.diag([1.0, 0.5, 0.7])
    found = krylov.gmres(lambda x: x @ trap, np.array([[1.0, 1.0, -2.0]]))
    assert not found.accepted
    assert found.residuals[0] > 0.1


def test_one_of_several_may_be_inconsistent() -> None:
    trap = np.diag([1.0, 0.5, 0.7])
    found = krylov.gmres(lambda x: x @ trap, np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.5], [0.0, 0.0, 2.0]]))
    assert not found.accepted
    assert (found.residuals[[0, 2]] <= krylov.TOLERANCE).all()
    np.testing.assert_allclose(found.x[[0, 2]], [[0, 2, 1 / 0.3], [0, 0, 2 / 0.3]], atol=1e-10)


@pytest.mark.parametrize("basis", [5, 10, 40])
def test_restarts(basis: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(krylov, "BASIS", basis)
    monkeypatch.setattr(krylov, "GROWTH", 3)
    matrix, b = contraction(60, 0.4, seed=9), RNG.normal(size=(2, 60))
    found = krylov.gmres(lambda x: x @ matrix.T, b)
    assert found.accepted
    np.testing.assert_allclose(found.x.T, np.linalg.solve(np.eye(60) - matrix, b.T), atol=1e-7)


def test_a_system_that_does_not_get_better_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shift around a ring has no solution for a right-hand side with a mean; nothing runs for ever."""
    monkeypatch.setattr(krylov, "STAGNATION", 10)
    ring = np.roll(np.eye(200), 1, axis=0)
    apply = Counting(ring)
    found = krylov.gmres(apply, np.eye(200)[:1])
    assert not found.accepted
    assert len(apply.seen) <= krylov.CYCLES * (krylov.BASIS + 1)


def test_a_wrong_solution_shows_in_its_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(krylov, "_back_substituted", lambda triangle, right: 1.001 * right)
    matrix, b = contraction(10, 0.9), RNG.normal(size=(1, 10))
    assert not krylov.gmres(lambda x: x @ matrix.T, b).accepted
