"""Solving x = b + T x for a loop: dense, sparse, or by iteration.

T maps what the heads of a loop hold to what arrives there after one sweep. A small T is built
and factorised. Where many combinations of program point and counters on few qubits form one loop (a
walk on a counter), the equations of all of them are one sparse system. Everything else is left to
GMRES, which from zero finds the minimal solution, also where a part that is not reached is singular.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError

Vector = NDArray[np.complex128]
Apply = Callable[[Vector], Vector]

KRYLOV_TOLERANCE = 1e-12
KRYLOV_ACCEPTED = 1e-9  # relative residual that is still good enough where the tolerance is not reached
KRYLOV_BASIS = 120
KRYLOV_CYCLES = 10
DENSE_UP_TO = 64
SPARSE_DIMENSION_UP_TO = 4


class LoopSystem(Protocol):
    """Solves x = b + T x, or with `adjoint` x = b + T† x; None where it cannot."""

    def solve(self, b: Vector, *, adjoint: bool) -> Vector | None:
        """Return x."""


class DenseSystem:
    """T as a matrix."""

    def __init__(self, matrix: Vector) -> None:
        self.equations = np.eye(len(matrix)) - matrix

    def solve(self, b: Vector, *, adjoint: bool) -> Vector | None:
        """Return x, or None where the equations are singular."""
        try:
            return np.asarray(np.linalg.solve(self.equations.conj().T if adjoint else self.equations, b))
        except np.linalg.LinAlgError:
            return None


class SparseSystem:
    """The equations of all vertices of a loop; b and x are their entries `head_rows`."""

    def __init__(self, rows: Any, columns: Any, entries: Vector, size: int, head_rows: Any) -> None:
        from scipy.sparse import coo_array, eye_array
        from scipy.sparse.linalg import splu

        steps = coo_array((entries, (rows, columns)), shape=(size, size))
        self.head_rows = head_rows
        self.size = size
        try:
            self.factors = splu((eye_array(size) - steps).tocsc())
        except RuntimeError:  # exactly singular
            self.factors = None

    def solve(self, b: Vector, *, adjoint: bool) -> Vector | None:
        """Return x, or None where the equations are singular."""
        if self.factors is None:
            return None
        right = np.zeros(self.size, dtype=complex)
        right[self.head_rows] = b
        return np.asarray(self.factors.solve(right, "H" if adjoint else "N")[self.head_rows])


def solve_krylov(apply: Apply, b: Vector) -> Vector:
    """Return the minimal solution of x = b + T x by GMRES from zero, `apply` being T.

    Raises:
        EvaluationError: no solution is found, because (almost) none exists: some of what enters the
            loop never leaves it.
    """
    from scipy.sparse.linalg import LinearOperator, gmres

    scale = float(np.linalg.norm(b))
    if scale == 0.0:
        return np.zeros_like(b)
    system = LinearOperator((len(b), len(b)), matvec=lambda x: x - apply(x), dtype=complex)
    x, _ = gmres(
        system, b, rtol=KRYLOV_TOLERANCE, atol=0.0, restart=min(KRYLOV_BASIS, len(b)), maxiter=KRYLOV_CYCLES
    )
    residual = float(np.linalg.norm(b - system.matvec(x)))
    if not residual <= KRYLOV_ACCEPTED * scale:
        raise EvaluationError(
            f"A loop could not be solved: after at most {KRYLOV_CYCLES} × {KRYLOV_BASIS} applications the "
            f"relative residual is {residual / scale:.1e}. It does not end with probability 1 at these "
            "parameters, or takes too many passes on average."
        )
    return np.asarray(x)
