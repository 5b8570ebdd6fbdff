"""The merged graph of branches: nodes that stand for equal histories, and what leads from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.pure.segments import Segment

Store = tuple[int, ...]
Place = tuple[int, int]

NO_STATE: Floats = np.empty((1, 0, 0))
"""In place of a state that is not needed any more."""


@dataclass(frozen=True)
class Edge:
    """To a child, with  K ψ = c (ψ'),  K ψ̇_v = c (ψ̇_v' + α_v ψ')  for the child's (ψ', ψ̇').

    K is |onto><value| on the qubits of `mask`; 1 where the mask is 0.
    """

    child: Node
    c: complex
    alpha: Sequence[complex] = ()
    mask: int = 0
    value: int = 0
    onto: int = 0


@dataclass(frozen=True)
class Coin:
    """A flip: expression and row of its probability, p, and its derivatives along the directions, (V,)."""

    place: Place
    p: float
    rates: Floats
    heads: Edge | None
    tails: Edge | None


@dataclass(eq=False)
class Node:
    """One entry of the frontier, later a node of the graph.

    Attributes:
        psi: (1, 2, D), at the end of the segment once that is run; tangents: (1, V, 2, D).
        weight, rates: w and ẇ, (V,). carried: mass that derivatives of flips bring here; carried_twice: that
            second derivatives bring, where directions are followed.
        drift: largest sum of gate errors on the way here.
        segment: gates to run before anything else happens; edges or coin: what does.
        fingerprint: while it waits, see `waiting`.
    """

    point: int
    store: Store
    psi: Floats
    tangents: Floats
    weight: float
    rates: Floats
    carried: float
    drift: float = 0.0
    segment: Segment | None = None
    edges: list[Edge] = field(default_factory=list)
    coin: Coin | None = None
    fingerprint: int = 0
    carried_twice: float = 0.0

    @property
    def perturbed(self) -> float:
        """Mass that derivatives bring here, of all orders that are asked for."""
        steepest = float(np.abs(self.rates).max()) if len(self.rates) else 0.0
        return self.carried + self.carried_twice + steepest
