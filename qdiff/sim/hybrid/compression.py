"""Fewer unknowns for a loop whose passes end by preparing qubits.

Where every way back to a head ends with resets and then one run of gates U, what arrives there is
J(z) = U embed(z) U† with z on the qubits that are not reset. With T = J J† T, J an isometry,

    x = b + T x:    z = J†T b + J†T J z,    x = b + J z
    A = b + T†A:    w = J† b + J†T†J w,     A = b + T†J w

are equations for 4 times fewer unknowns with each such qubit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.coordinates import Reals, decode, encode
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.schedule import Stage
from qdiff.sim.hybrid.traces import Maps, Stack

Conjugate = Callable[[int, Stack, bool], Stack]


@dataclass(frozen=True)
class Arrival:
    """What arrives at a head: on `kept` basis states, then changed by a run (-1: none), operation `at`."""

    kept: NDArray[np.int64]
    run: int
    at: int

    def same(self, other: Arrival) -> bool:
        """Whether both are the same map."""
        return self.run == other.run and np.array_equal(self.kept, other.kept)


class Compression:
    """The maps J and J† for the heads of one loop.

    Attributes:
        tails: by trace the operations U at the end of the ways back, which `expand` does in their place.
    """

    def __init__(
        self,
        arrivals: list[Arrival],
        dimension: int,
        conjugate: Conjugate,
        tails: dict[int, frozenset[int]],
    ) -> None:
        self.arrivals = arrivals
        self.dimension = dimension
        self.conjugate = conjugate
        self.tails = tails

    @classmethod
    def of(
        cls, graph: Graph, stage: Stage, maps: Maps, conjugate: Conjugate, longest: int
    ) -> Compression | None:
        """Return the compression of a loop; None where nothing is gained.

        Args:
            conjugate: (run, x, adjoint) → U x U† or U† x U; longest: run for which that is cheap.
        """
        found: dict[int, Arrival] = {}
        tails: dict[int, frozenset[int]] = {}
        for v in stage.order:
            trace = graph.trace[v]
            mine: set[int] = set()
            for leaf, target in enumerate(graph.targets[v]):
                if target not in stage.heads:
                    continue
                arrival = _arrival(graph.traces[trace].ops, leaf, maps, graph, longest)
                if arrival is None or not found.setdefault(target, arrival).same(arrival):
                    return None
                if arrival.at >= 0:
                    mine.add(arrival.at)
            if tails.setdefault(trace, frozenset(mine)) != mine:
                return None  # a trace whose leaves are ways back for some of its vertices only
        arrivals = [found[head] for head in stage.heads]
        return cls(arrivals, graph.runs.dimension, conjugate, tails)

    def expand(self, z: Reals) -> Reals:
        """J: (P, C, Σ K²) to (P, C, heads·D²)."""
        return self._wider(z, tails=True)

    def embedded(self, z: Reals) -> Reals:
        """z on the kept basis states, without the runs U."""
        return self._wider(z, tails=False)

    def _wider(self, z: Reals, *, tails: bool) -> Reals:
        d = self.dimension
        result = np.empty((*z.shape[:2], len(self.arrivals), d * d))
        at = 0
        for i, arrival in enumerate(self.arrivals):
            k = len(arrival.kept)
            x = np.zeros((*z.shape[:2], d, d), dtype=complex)
            x[..., arrival.kept[:, None], arrival.kept] = decode(z[:, :, at : at + k * k], k)
            at += k * k
            if arrival.run >= 0 and tails:
                x = self.conjugate(arrival.run, x, False)
            result[:, :, i] = encode(x)
        return result.reshape(*z.shape[:2], -1)

    def compress(self, y: Reals, *, bare: bool = False) -> Reals:
        """J†: (P, C, heads·D²) to (P, C, Σ K²); `bare`: of what a sweep without tails brings."""
        d = self.dimension
        parts = []
        for i, arrival in enumerate(self.arrivals):
            x = decode(y[:, :, i * d * d : (i + 1) * d * d], d)
            if arrival.run >= 0 and not bare:
                x = self.conjugate(arrival.run, x, True)
            parts.append(encode(x[..., arrival.kept[:, None], arrival.kept]))
        return np.concatenate(parts, axis=2)


def _arrival(ops: tuple[traces.Op, ...], leaf: int, maps: Maps, graph: Graph, longest: int) -> Arrival | None:
    end = next(i for i, (code, _, _, arg) in enumerate(ops) if code == traces.LEAF and arg == leaf)
    run = at = -1
    for i in range(end - 1, -1, -1):
        code, _, _, arg = ops[i]
        if code == traces.MARK:
            continue
        if code == traces.UNITARY and run < 0 and graph.runs.lengths[arg] <= longest:
            run, at = arg, i
            continue
        return Arrival(maps.resets[arg].kept, run, at) if code == traces.RESET else None
    return None
