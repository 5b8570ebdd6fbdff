"""Sums over all visits: what the gradient and the analysis need from a solved graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.traces import Maps, Stack
from qdiff.sim.hybrid.unitaries import Runs

Floats = NDArray[np.float64]

CHUNK = 1 << 22  # matrix entries handled at a time


@dataclass(frozen=True)
class Correlations:
    """Expected executions, and correlations of states with observables.

    Attributes:
        runs, tosses: expected executions of every run of gates and of every toss.
        marks: {2l: guard evaluations of loop l, 2l + 1: its passes}.
        operations: expected number of operations of the engine (bounds its rounding).
        products: for every run that contains a rotated gate, Σ R A just after it, (D, D); else None.
        by_toss: for every toss, tr(A_true R - A_false R).
    """

    runs: Floats
    tosses: Floats
    marks: dict[int, float]
    operations: float
    products: list[Stack | None]
    by_toss: Floats

    def gates(self, runs: Runs) -> Floats:
        """Expected executions of every rotated gate instance."""
        result = np.zeros(len(runs.rotated))
        for pieces, executed in zip(runs.pieces, self.runs, strict=True):
            for piece in pieces:
                if piece.constant is None:
                    result[piece.instance] += executed
        return result


def correlate(
    graph: Graph, maps: Maps, states: dict[int, Stack], observables: dict[int, Stack] | None, dimension: int
) -> Correlations:
    """Go once more through all vertices, those that share a trace together."""
    sums = _Sums(graph, maps, dimension)
    members: dict[int, list[int]] = {}
    for vertex in graph.followed:
        if vertex in states:
            members.setdefault(graph.trace[vertex], []).append(vertex)
    for trace, vertices in members.items():
        step = max(1, CHUNK // (dimension**2 * len(graph.traces[trace])))
        for first in range(0, len(vertices), step):
            sums.add(trace, vertices[first : first + step], states, observables)
    return Correlations(sums.runs, sums.tosses, sums.marks, sums.operations, sums.products, sums.by_toss)


class _Sums:
    def __init__(self, graph: Graph, maps: Maps, dimension: int) -> None:
        self.graph = graph
        self.maps = maps
        self.dimension = dimension
        self.runs = np.zeros(len(graph.runs.pieces))
        self.tosses = np.zeros(len(graph.tosses))
        self.by_toss = np.zeros(len(graph.tosses))
        self.marks: dict[int, float] = {}
        self.operations = 0.0
        self.products: list[Stack | None] = [None] * len(graph.runs.pieces)

    def add(
        self, trace: int, vertices: list[int], states: dict[int, Stack], observables: dict[int, Stack] | None
    ) -> None:
        """Add what happens in one trace, over some of the vertices that have it."""
        ops = self.graph.traces[trace]
        kept: dict[int, Stack] = {}

        def forwards(i: int, x: Stack) -> None:
            code, _, _, arg = ops[i]
            mass = float(np.einsum("bii->", x).real)
            self.operations += mass
            if code == traces.UNITARY:
                self.runs[arg] += mass
                if self.graph.runs.varying[arg]:
                    kept[i] = x
            elif code in (traces.TOSS, traces.TOSS_NOT):
                self.tosses[arg] += mass if code == traces.TOSS else 0.0
                kept[i] = x
            elif code == traces.MARK:
                self.marks[arg] = self.marks.get(arg, 0.0) + mass

        def backwards(i: int, a: Stack) -> None:
            code, _, _, arg = ops[i]
            if code == traces.UNITARY and i in kept:
                d = self.dimension
                # Σ_b R_b A_b as one product: rows of all R side by side, all A on top of each other.
                product = kept[i].transpose(1, 0, 2).reshape(d, -1) @ a.reshape(-1, d)
                before = self.products[arg]
                self.products[arg] = product if before is None else before + product
            elif code in (traces.TOSS, traces.TOSS_NOT):
                overlap = float(np.einsum("bij,bji->", a, kept[i]).real)
                self.by_toss[arg] += overlap if code == traces.TOSS else -overlap

        self.maps.forward(ops, np.concatenate([states[v] for v in vertices]), forwards)
        if observables is not None:
            leaves = [
                self._stacked([self.graph.targets[v][leaf] for v in vertices], observables)
                for leaf in range(len(self.graph.targets[vertices[0]]))
            ]
            self.maps.backward(ops, leaves, backwards)

    def _stacked(self, vertices: list[int], observables: dict[int, Stack]) -> Stack | None:
        if not any(v in observables for v in vertices):
            return None
        zero = np.zeros((1, self.dimension, self.dimension), dtype=complex)
        return np.concatenate([observables.get(v, zero) for v in vertices])
