"""What every exact engine answers, whatever it computes with.

An engine is made for one program, `Engine(program, max_memory)`, and keeps what it has prepared.
Parameter values are mappings from element names ("t", "w[0]") to floats, all of them given and
finite; `rows` are several of them, with equal values of compared parameters or not.

Names of shapes: P rows, k observables, d parameters in `wrt`, V directions, D = 2ⁿ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis

Floats: TypeAlias = NDArray[np.float64]
Parameters: TypeAlias = Mapping[str, float]
Store: TypeAlias = tuple[int, ...]

DEFAULT_MEMORY = 4 << 30
NEGLIGIBLE_MASS = 1e-12  # less mass than this on a failing path is rounding, not an outcome
_FROM_SHOTS = "estimate from shots: f.estimate(params, shots=…), --shots on the command line."
OR_FROM_SHOTS = f", or {_FROM_SHOTS}"
FROM_SHOTS_IF_IT_ENDS = f". If the program ends at all, {_FROM_SHOTS}"
"""Advice of errors: what exact engines cannot do runs may."""


@dataclass(frozen=True)
class Curvature:
    """Second-order derivatives at one set of parameters.

    Attributes:
        values: (k,); gradients: (k, d); products: (k, V, d), the Hessian of each observable times
            each direction.
    """

    values: Floats
    gradients: Floats
    products: Floats


def directional(values: Floats, gradients: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """Return what `ExactEngine.tangents` does, from values (1, k) and all derivatives (1, k, d)."""
    return values[0], gradients[0] @ np.asarray(directions, dtype=float).T


@dataclass(frozen=True)
class Mixture:
    """An unnormalised mixed state: Σ |ψ><ψ| over `vectors` (m, D), or `matrix` (D, D)."""

    vectors: NDArray[np.complex128] | None = None
    matrix: NDArray[np.complex128] | None = None

    @property
    def probability(self) -> float:
        """The trace."""
        if self.matrix is not None:
            return float(np.trace(self.matrix).real)
        assert self.vectors is not None
        return float(np.vdot(self.vectors, self.vectors).real)

    def density_matrix(self) -> NDArray[np.complex128]:
        """Return the unnormalised density matrix, (D, D)."""
        if self.matrix is not None:
            return self.matrix
        assert self.vectors is not None
        return np.asarray(self.vectors.T @ self.vectors.conj())


class ExactEngine(Protocol):
    """Values and derivatives of the expectations of several observables, exactly.

    All methods raise EvaluationError (something has no value where a run comes, a derivative does
    not exist, mass that neither ends nor can be followed) and ResourceError (too large for
    `max_memory`, before anything of that size is allocated).
    """

    name: str
    program: Program
    max_memory: int

    def values(self, rows: Sequence[Parameters], observables: Sequence[Observable]) -> Floats:
        """Return the expectations, (P, k)."""

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives by `wrt`, (P, k, d)."""

    def tangents(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (k,), and their derivatives along `directions` (V, d), (k, V)."""

    def curvature(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> Curvature:
        """Return expectations, derivatives, and Hessians times `directions`, (V, d)."""

    def state(self, parameters: Parameters) -> dict[Store, Mixture]:
        """Return the final state by store (values of `program.counters`), aborted runs left out."""

    def analyze(
        self, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        """Return what is known of the program and of the accuracy of value and derivatives.

        Args:
            bounds: whether the bounds of errors are wanted; if not, they may be inf.
        """
