"""A loop with one way back, solved on the smallest part of the basis that it passes through.

With the pass cut where the state occupies the smallest part of the basis, T = B A, A up to the cut,

    x = b + T x:     z = A b + A B z,       x = b + B z,
    y = b + T†y:     w = B†b + (A B)†w,     y = b + A†w,

and A B is put together (see `links`) across the head of the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid import krylov, traces
from qdiff.sim.hybrid.coordinates import Reals, identity
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.linear import DenseSystem
from qdiff.sim.hybrid.links import Pass, occupied_after, put_together, way
from qdiff.sim.hybrid.schedule import Stage
from qdiff.sim.hybrid.traces import Maps

CHUNK = 1 << 20  # matrix entries handled at a time


class Kraus:
    """T = B A of one loop.

    Attributes:
        before, after, around: A, B, and A B on the part at the cut.
        leaf: where the way back leaves the trace.
        unknowns: real numbers at the cut.
    """

    def __init__(self, before: Pass, after: Pass, around: Pass, leaf: int) -> None:
        self.before = before
        self.after = after
        self.around = around
        self.leaf = leaf
        self.unknowns = before.sizes[1] ** 2

    @classmethod
    def of(cls, graph: Graph, stage: Stage, maps: Maps, dimension: int) -> Kraus | None:
        """Return the operators of a loop; None where it has several ways back, or nothing is gained."""
        if len(stage.order) > 1:
            return None
        (vertex,) = stage.order
        back = [leaf for leaf, target in enumerate(graph.targets[vertex]) if target == vertex]
        if len(back) > 1:
            return None
        steps = way(graph.traces[graph.trace[vertex]].ops, back[0])
        everything = np.arange(dimension)
        occupied = occupied_after(steps, maps, everything, everything)
        # Of parts of the same size the one after a reset: it ends a link anyway.
        cut = min(
            range(len(steps)),
            key=lambda i: (len(occupied[i]), steps[i][0] != traces.RESET, -i),
            default=-1,
        )
        if cut < 0 or len(occupied[cut]) in (0, dimension):  # 0: no run comes back this way
            return None
        small, first, last = occupied[cut], steps[: cut + 1], steps[cut + 1 :]
        if any(not len(part) for part in occupied_after([*last, *first], maps, everything, small)):
            return None  # no run comes back twice
        return cls(
            put_together(first, maps, everything, everything, small),
            put_together(last, maps, everything, small, everything),
            put_together([*last, *first], maps, everything, small, small),
            back[0],
        )

    def narrowed(self, b: Reals, *, adjoint: bool) -> Reals:
        """A b, or B†b: from (P, C, D²) to (P, C, unknowns)."""
        return self.after.backward(b) if adjoint else self.before.forward(b)

    def turned(self, z: Reals, *, adjoint: bool) -> Reals:
        """A B z, or its adjoint."""
        return self.around.backward(z) if adjoint else self.around.forward(z)

    def widened(self, z: Reals, *, adjoint: bool) -> Reals:
        """B z, or A†z: from (P, C, unknowns) to (P, C, D²)."""
        return self.before.backward(z) if adjoint else self.after.forward(z)


class KrausSystem:
    """The equations at the cut of a loop as matrices: see `linear.LoopSystem`.

    Args:
        factor: by which one pass multiplies the moment that is solved for.
    """

    def __init__(self, kraus: Kraus, rows: int, factor: float) -> None:
        self.kraus = kraus
        self.factor = factor
        units = np.broadcast_to(np.eye(kraus.unknowns), (rows, kraus.unknowns, kraus.unknowns))
        step = max(1, CHUNK // (rows * kraus.before.sizes[0] ** 2))
        some = [
            kraus.turned(units[:, first : first + step], adjoint=False)
            for first in range(0, kraus.unknowns, step)
        ]
        self.dense = DenseSystem(factor * np.concatenate(some, axis=1))

    def solve(self, b: Reals, *, adjoint: bool) -> Reals:
        """Return x."""
        z = self.dense.solve(self.kraus.narrowed(b, adjoint=adjoint), adjoint=adjoint)
        return np.asarray(b + self.factor * self.kraus.widened(z, adjoint=adjoint))

    def transient(self, one: Reals) -> NDArray[np.bool_]:
        """Return for each of the P rows whether everything leaves: what stays passes through the cut."""
        return self.dense.transient(identity(self.kraus.before.sizes[1]))


def iterated(
    kraus: Kraus, factor: float, b: Reals, count: Callable[[], None], *, adjoint: bool
) -> krylov.Solved:
    """Solve x = b + T x at the cut of a loop by iteration; `count` is called for every pass."""
    start = kraus.narrowed(b, adjoint=adjoint)
    count()  # to the cut and from there

    def turn(z: Reals) -> Reals:
        count()
        return factor * kraus.turned(z.reshape(start.shape), adjoint=adjoint).reshape(z.shape)

    solved = krylov.gmres(turn, start.reshape(-1, start.shape[-1]))
    widened = kraus.widened(solved.x.reshape(start.shape), adjoint=adjoint)
    return replace(solved, x=b + factor * widened)
