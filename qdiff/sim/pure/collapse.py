"""What a measurement or a reset makes of one node: how likely its outcomes are, and the states that are left.

A projection K gives (K ψ, K ψ̇_1, …, K ψ̇_V). What K ψ̇ has along K ψ is taken off it, and all together get
norm 1 again, whether K ψ is 0 or not: an outcome that only a derivative reaches is one like any other.
"""

from __future__ import annotations

import math

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.pure.graph import Node

NOTHING = 1e-30  # outcomes less likely are rounding; leaving one out moves a state by 1e-15


class Collapse:
    """Projections of states with V tangents.

    Args:
        along: V.
    """

    def __init__(self, along: int) -> None:
        from qdiff.sim.pure import kernels

        self.kernels = kernels
        self.along = along

    def importances(self, node: Node, qubits: tuple[int, ...]) -> tuple[Floats, Floats]:
        """Return ‖K_u ψ‖², and ‖K_u ψ‖² + Σ_v ‖K_u ψ̇_v‖², for every outcome u."""
        places = np.array(qubits, dtype=np.int64)
        weights = np.zeros(1 << len(qubits))
        self.kernels.weights(node.psi[0], places, weights)
        importance = weights.copy()
        for tangent in node.tangents[0]:
            self.kernels.weights(tangent, places, importance)
        return weights, importance

    def project(self, node: Node, psi: Floats, mask: int, value: int, onto: int) -> Floats:
        """Write K ψ into `psi`, K = |onto><value| on the qubits of `mask`; return all K ψ̇."""
        self.kernels.collapse(node.psi[0], psi[0], mask, value, onto, 1.0)
        if not self.along:
            return node.tangents
        tangents = np.empty_like(node.tangents)
        for before, after in zip(node.tangents[0], tangents[0], strict=True):
            self.kernels.collapse(before, after, mask, value, onto, 1.0)
        return tangents

    def normalise(self, psi: Floats, tangents: Floats, square: float) -> tuple[list[complex], float]:
        """Give (ψ, ψ̇_1, …, ψ̇_V) norm 1, every ψ̇ orthogonal to ψ, in place.

        Args:
            square: ‖ψ‖² before.

        Returns:
            What was taken off every ψ̇, in units of ψ, and the norm.
        """
        alpha = [0j] * self.along
        whole = square
        for v, tangent in enumerate(tangents[0]):
            if square > NOTHING:
                alpha[v] = complex(self.kernels.dot(psi[0], tangent)) / square
                self.kernels.add(psi[0], tangent, -alpha[v])
            whole += float(self.kernels.dot(tangent, tangent).real)
        scale = math.sqrt(whole)
        psi *= 1 / scale
        if self.along:
            tangents *= 1 / scale
        return alpha, scale
