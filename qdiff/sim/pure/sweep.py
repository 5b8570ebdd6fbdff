"""Backward over the merged graph: one sweep gives the value and every derivative.

With A the observable pulled back to a node, λ = Aψ is all that is needed there, and it is the same for
all histories that the node stands for. From the end,

    end:       λ = Oψ                        gate:      λ ← U†λ,  adding w Im <λ|G|ψ> before
    split:     λ = Σ_v K_v† c_v λ_v          flip:      λ = p λ_t + (1-p) λ_f,  adding w (h_t - h_f)

with h = Re <ψ|λ>. Along every direction λ̇ is carried as well, and what is added has the derivative
ẇ Im <λ|G|ψ> + w Im (<λ̇|G|ψ> + <λ|G|ψ̇>), and for a flip ẇ (h_t - h_f) + w (ḣ_t - ḣ_f), where
ḣ = Re (<ψ̇|λ> + <ψ|λ̇>). Nodes are done in the reverse of the order in which they were followed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.flow import END
from qdiff.sim.pure.frontier import Frontier
from qdiff.sim.pure.graph import Coin, Edge, Node, Place, Store
from qdiff.sim.pure.operators import Masks


@dataclass
class Slopes:
    """Values (k,), derivatives by every expression, (k,) each, and theirs along directions, (k, V) each."""

    values: Floats
    first: dict[Place, Floats] = field(default_factory=dict)
    moved: dict[Place, Floats] = field(default_factory=dict)


@dataclass
class _Pulled:
    """λ of every observable, (1, K, 2, D), λ̇ along directions, (1, K, V, 2, D), and who still asks."""

    states: Floats
    tangents: Floats
    asked: int


class Sweep:
    """One way back for some observables."""

    def __init__(self, frontier: Frontier, masks: Callable[[Store], Sequence[Masks]], width: int) -> None:
        from qdiff.sim.pure import kernels

        self.kernels = kernels
        self.frontier = frontier
        self.masks = masks
        self.width = width
        self.along = frontier.along
        self.found = Slopes(np.zeros(width))
        self.pulled: dict[int, _Pulled] = {}
        self.asked: dict[int, int] = {}
        for node in frontier.nodes:
            for edge in _edges(node):
                self.asked[id(edge.child)] = self.asked.get(id(edge.child), 0) + 1

    def run(self) -> Slopes:
        """Go from the ends to the start."""
        for node in reversed(self.frontier.nodes):
            here = self._at_end_of(node)
            if here is not None:
                self._undo_gates(node, here)
                here.asked = self.asked.get(id(node), 0)
                if here.asked:
                    self.pulled[id(node)] = here
        return self.found

    def _at_end_of(self, node: Node) -> _Pulled | None:
        """λ just before a node splits or ends; None where nothing comes back."""
        if node.point == END and not node.edges:
            return self._observed(node)
        if node.coin is not None:
            return self._tossed(node, node.coin)
        parts = [(edge, back) for edge in node.edges if (back := self._back(edge)) is not None]
        if not parts:
            return None
        here = self._empty(node)
        for edge, back in parts:
            for k in range(self.width):
                self._expand(edge, back.states[0, k], here.states[0, k], edge.c)
                for v in range(self.along):
                    self._expand(edge, back.tangents[0, k, v], here.tangents[0, k, v], edge.c)
                    if edge.alpha and edge.alpha[v]:
                        self._expand(edge, back.states[0, k], here.tangents[0, k, v], edge.c * edge.alpha[v])
        return here

    def _expand(self, edge: Edge, x: Floats, y: Floats, c: complex) -> None:
        self.kernels.add_expanded(x, y, edge.mask, edge.value, edge.onto, complex(c))

    def _empty(self, node: Node) -> _Pulled:
        shape = node.psi.shape[1:]
        tangents = np.zeros((1, self.width, self.along, *shape))
        return _Pulled(np.zeros((1, self.width, *shape)), tangents, 0)

    def _back(self, edge: Edge | None) -> _Pulled | None:
        """λ of a child; it is forgotten when nobody else asks for it."""
        if edge is None:
            return None
        back = self.pulled.get(id(edge.child))
        if back is not None:
            back.asked -= 1
            if not back.asked:
                del self.pulled[id(edge.child)]
        return back

    def _observed(self, node: Node) -> _Pulled:
        here = self._empty(node)
        for k, mask in enumerate(self.masks(node.store)):
            mask.add_to(node.psi[0], here.states[0, k])
            value = float(self.kernels.dot(node.psi[0], here.states[0, k]).real)
            self.found.values[k] += node.weight * value
            for v in range(self.along):
                mask.add_to(node.tangents[0, v], here.tangents[0, k, v])
        return here

    def _tossed(self, node: Node, coin: Coin) -> _Pulled:
        here = self._empty(node)
        first = self.found.first.setdefault(coin.place, np.zeros(self.width))
        moved = self.found.moved.setdefault(coin.place, np.zeros((self.width, self.along)))
        kernels, psi = self.kernels, node.psi[0]
        for edge, sign, chance in ((coin.heads, 1, coin.p), (coin.tails, -1, 1 - coin.p)):
            back = self._back(edge)
            if edge is None or back is None:
                continue
            for k in range(self.width):
                mine = edge.c * complex(kernels.dot(psi, back.states[0, k]))
                first[k] += sign * node.weight * mine.real
                kernels.add(back.states[0, k], here.states[0, k], complex(chance * edge.c))
                for v in range(self.along):
                    change = edge.c * (
                        complex(kernels.dot(node.tangents[0, v], back.states[0, k]))
                        + complex(kernels.dot(psi, back.tangents[0, k, v]))
                    )
                    moved[k, v] += sign * (node.rates[v] * mine.real + node.weight * change.real)
                    kernels.add(back.tangents[0, k, v], here.tangents[0, k, v], complex(chance * edge.c))
                    slope = complex(sign * coin.rates[v] * edge.c)
                    kernels.add(back.states[0, k], here.tangents[0, k, v], slope)
        return here

    def _undo_gates(self, node: Node, here: _Pulled) -> None:
        segment = node.segment
        if segment is None:
            return
        numbers = self.frontier.matrices.at(segment)
        count = len(segment.instances.instances)
        by_angle = np.zeros((1, self.width, count))
        by_angle_tangents = np.zeros((1, self.width, self.along, count))
        self.kernels.backward(
            node.psi.copy(),
            node.tangents.copy(),
            here.states,
            here.tangents,
            *segment.plan.table,
            numbers.adjoints,
            numbers.slopes,
            *segment.plan.generators,
            numbers.wanted,
            by_angle,
            by_angle_tangents,
        )
        for i in np.flatnonzero(numbers.wanted).tolist():
            place = (int(segment.instances.expressions[i]), segment.instances.instances[i][1])
            first = self.found.first.setdefault(place, np.zeros(self.width))
            first += node.weight * by_angle[0, :, i]
            if self.along:
                moved = self.found.moved.setdefault(place, np.zeros((self.width, self.along)))
                moved += np.outer(by_angle[0, :, i], node.rates) + node.weight * by_angle_tangents[0, :, :, i]


def _edges(node: Node) -> list[Edge]:
    if node.coin is None:
        return node.edges
    return [edge for edge in (node.coin.heads, node.coin.tails) if edge is not None]
