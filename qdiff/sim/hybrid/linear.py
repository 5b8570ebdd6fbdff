"""Solving x = b + T x for a loop: dense, sparse, or by iteration.

T maps what the heads of a loop hold to what arrives there after one sweep, all as row vectors:
x = b + x T, backwards x = b + x Tᵀ. A small T is built and inverted. Where many combinations of
program point and counters on few qubits form one loop (a walk on a counter), the equations of all of
them are one sparse system. Everything else is left to `krylov`.

A system is *transient* where everything leaves: then V = I + Tᵀ V, the expected number of visits from
each state, exists. A V with V - Tᵀ V ≥ I/2 proves it: a state with T X = X would give 0 = tr(X (V - TᵀV)).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid.coordinates import Reals

DENSE_UP_TO = 256
PROVED = 0.5  # of the identity that may be missing in V - Tᵀ V
MOST_VISITS = 1e12  # beyond, rounding hides what is missing


class LoopSystem(Protocol):
    """Solves x = b + x T for right-hand sides (P, K, N)."""

    def solve(self, b: Reals, *, adjoint: bool) -> Reals:
        """Return x."""

    def transient(self, one: Reals) -> NDArray[np.bool_]:
        """Return for each of the P rows whether everything leaves, proved as above; `one` is I, (D²,)."""


class DenseSystem:
    """T as matrices, (P, N, N)."""

    def __init__(self, matrix: Reals) -> None:
        self.equations = np.eye(matrix.shape[-1]) - matrix
        self.inverse = _inverse(self.equations)

    def solve(self, b: Reals, *, adjoint: bool) -> Reals:
        """Return x; one step of refinement makes up for the rounding of the inverse."""
        inverse, equations = self.inverse, self.equations
        if adjoint:
            inverse, equations = inverse.swapaxes(1, 2), equations.swapaxes(1, 2)
        x = b @ inverse
        return np.asarray(x + (b - x @ equations) @ inverse)

    def transient(self, one: Reals) -> NDArray[np.bool_]:
        """Return for each of the P rows whether everything leaves, proved as above; `one` is I, (D²,)."""
        heads = self.equations.shape[-1] // len(one)
        everywhere = np.tile(one, heads) if heads > 1 else one
        inverse, equations = self.inverse.swapaxes(1, 2), self.equations.swapaxes(1, 2)
        with np.errstate(all="ignore"):
            v = everywhere @ inverse  # (P, N): any v that is good enough proves it
            missing = _missing(v, equations, everywhere)
            if not (_squares(missing) <= PROVED**2).all():
                v = v - (missing[:, None] @ inverse)[:, 0]
                missing = _missing(v, equations, everywhere)
            return np.asarray((_squares(missing) <= PROVED**2) & (np.abs(v).max(axis=1) <= MOST_VISITS))


def _missing(v: Reals, equations: Reals, everywhere: Reals) -> Reals:
    return np.asarray((v[:, None] @ equations)[:, 0] - everywhere)


def _squares(rows: Reals) -> Reals:
    return np.asarray(np.einsum("pi,pi->p", rows, rows))


def _inverse(equations: Reals) -> Reals:
    try:
        return np.asarray(np.linalg.inv(equations))
    except np.linalg.LinAlgError:  # one of them is exactly singular: the others still count
        result = np.full_like(equations, np.nan)
        for i, matrix in enumerate(equations):
            try:
                result[i] = np.linalg.inv(matrix)
            except np.linalg.LinAlgError:
                continue
        return result


class SparseSystem:
    """The equations of all vertices of a loop; b and x are their entries `heads`.

    Args:
        rows, columns: places of the entries, from and to; entries: (P, entries).
        size: number of equations; heads: (N,) those of the heads.
    """

    def __init__(self, rows: Any, columns: Any, entries: Reals, size: int, heads: NDArray[np.int64]) -> None:
        from scipy.sparse import coo_array, eye_array
        from scipy.sparse.linalg import splu

        self.heads = heads
        self.size = size
        self.factors = []
        self.steps = []
        for values in entries:
            # For column vectors: the transposed of x = b + x T.
            steps = coo_array((values, (columns, rows)), shape=(size, size)).tocsc()
            self.steps.append(steps)
            try:
                self.factors.append(splu((eye_array(size) - steps).tocsc()))
            except RuntimeError:  # exactly singular
                self.factors.append(None)

    def solve(self, b: Reals, *, adjoint: bool) -> Reals:
        """Return x; nan where the equations are singular."""
        result = np.full(b.shape, np.nan)
        for p, factors in enumerate(self.factors):
            if factors is not None:
                right = np.zeros((self.size, b.shape[1]))
                right[self.heads] = b[p].T
                result[p] = factors.solve(right, "T" if adjoint else "N")[self.heads].T
        return result

    def transient(self, one: Reals) -> NDArray[np.bool_]:
        """Return for each of the P rows whether everything leaves, proved as above; `one` is I, (D²,)."""
        everywhere = np.tile(one, self.size // len(one))
        proved = np.zeros(len(self.factors), dtype=bool)
        for p, (factors, steps) in enumerate(zip(self.factors, self.steps, strict=True)):
            if factors is not None:
                v = factors.solve(everywhere, "T")
                with np.errstate(all="ignore"):
                    missing = np.linalg.norm(v - steps.T @ v - everywhere)
                    proved[p] = missing <= PROVED and np.abs(v).max() <= MOST_VISITS
        return proved
