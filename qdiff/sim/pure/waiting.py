"""Entries of the frontier that wait, where equal ones become one.

Fingerprints find candidates without comparing all pairs; what merges is then compared in full, up to
a phase, and the distance is kept for the bound: η moves expectations by at most 2 ‖O‖ w η.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from qdiff.sim.pure.graph import Node, Store

MERGE_DISTANCE = 1e-12
GRID = 1e-7  # of fingerprints: far above rounding, far below what differs


class Waiting:
    """A queue, the entry that is furthest behind in the program first.

    Lowering builds a program from its end, so the largest point is the furthest behind; the head of a
    loop comes before its body, so a pass ends before the next begins, and all passes before what follows.

    Args:
        along: how many tangents nodes carry.
    """

    def __init__(self, along: int) -> None:
        from qdiff.sim.pure import kernels

        self.kernels = kernels
        self.along = along
        self.merged = 0.0
        self._heap: list[tuple[int, int, Node]] = []
        self._places: dict[tuple[int, Store], dict[int, list[Node]]] = {}
        self._arrivals = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    def __iter__(self) -> Iterator[Node]:
        return (node for _, _, node in self._heap)

    def arrive(self, child: Node) -> tuple[Node, complex]:
        """Let a node wait; return the node it became and the phase: its state = phase · that one's."""
        child.fingerprint = math.floor(float(self.kernels.fingerprint(child.psi[0])) / GRID)
        buckets = self._places.setdefault((child.point, child.store), {})
        for near in (child.fingerprint, child.fingerprint - 1, child.fingerprint + 1):
            for other in buckets.get(near, ()):
                phase, distance = self._compare(child, other)
                if distance <= MERGE_DISTANCE:
                    other.weight += child.weight
                    if self.along:
                        other.rates = other.rates + child.rates
                    other.carried += child.carried
                    other.carried_twice += child.carried_twice
                    other.drift = max(other.drift, child.drift)
                    self.merged += (child.weight + child.perturbed) * distance
                    return other, phase
        self._arrivals += 1
        heapq.heappush(self._heap, (-child.point, self._arrivals, child))
        buckets.setdefault(child.fingerprint, []).append(child)
        return child, 1 + 0j

    def pop(self) -> Node:
        """Return the next node."""
        _, _, node = heapq.heappop(self._heap)
        buckets = self._places[node.point, node.store]
        buckets[node.fingerprint].remove(node)
        if not buckets[node.fingerprint]:
            del buckets[node.fingerprint]
            if not buckets:
                del self._places[node.point, node.store]
        return node

    def _compare(self, child: Node, other: Node) -> tuple[complex, float]:
        """The phase between two nodes, and how far apart they are then, relative to their size.

        With tangents, (ψ, ψ̇) has norm 1 behind a measurement only: gates make ψ̇ grow.
        """
        dot, distance = self.kernels.dot, self.kernels.distance
        overlap = complex(dot(other.psi[0], child.psi[0]))
        square = 1.0
        if self.along:
            square = float(dot(other.psi[0], other.psi[0]).real)
            for theirs, mine in zip(other.tangents[0], child.tangents[0], strict=True):
                overlap += complex(dot(theirs, mine))
                square += float(dot(theirs, theirs).real)
        size = abs(overlap)
        if abs(size - square) > GRID * square:
            return 1 + 0j, math.inf
        phase = overlap / size
        apart = float(distance(child.psi[0], other.psi[0], phase))
        if self.along:
            for theirs, mine in zip(other.tangents[0], child.tangents[0], strict=True):
                apart += float(distance(mine, theirs, phase))
        return phase, apart / math.sqrt(square)
