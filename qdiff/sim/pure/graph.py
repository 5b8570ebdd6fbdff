"""The merged graph of branches: nodes that stand for equal histories, and what leads from one to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.pure.course import Segment

Floats = NDArray[np.float64]
Store = tuple[int, ...]
Place = tuple[int, int]

NO_STATE: Floats = np.empty((1, 0, 0))
"""In place of a state that is not needed any more."""


@dataclass(frozen=True)
class Edge:
    """To a child, with  K ψ = c (ψ'),  K ψ̇ = c (ψ̇' + α ψ')  for the child's (ψ', ψ̇').

    K is |onto><value| on the qubits of `mask`; 1 where the mask is 0.
    """

    child: Node
    c: complex
    alpha: float | complex = 0.0
    mask: int = 0
    value: int = 0
    onto: int = 0


@dataclass(frozen=True)
class Coin:
    """A flip: expression and row of its probability, p, and its derivative along the direction."""

    place: Place
    p: float
    rate: float
    heads: Edge | None
    tails: Edge | None


@dataclass(eq=False)
class Node:
    """One entry of the frontier, later a node of the graph.

    Attributes:
        psi: (1, 2, D), at the end of the segment once that is run; tangent: (1, T, 2, D), T 0 or 1.
        weight, rate: w and ẇ. carried: mass that derivatives of flips bring here; carried_twice: that
            second derivatives bring, where a direction is followed.
        drift: largest sum of gate errors on the way here.
        segment: gates to run before anything else happens; edges or coin: what does.
        mark: of its fingerprint while it waits.
    """

    point: int
    store: Store
    psi: Floats
    tangent: Floats
    weight: float
    rate: float
    carried: float
    drift: float = 0.0
    segment: Segment | None = None
    edges: list[Edge] = field(default_factory=list)
    coin: Coin | None = None
    mark: int = 0
    carried_twice: float = 0.0

    @property
    def perturbed(self) -> float:
        """Mass that derivatives bring here, of all orders that are asked for."""
        return self.carried + self.carried_twice + abs(self.rate)
