"""One vertex forwards or backwards, in Hermitian coordinates: through its trace, or as a matrix.

States and observables at a vertex are arrays (P, C, D²), C = K·n columns: K states, each with n moments
(see `counted`). On few qubits the maps of a trace are real matrices (`superoperators`), made for all
traces of one shape at once, which pays where a loop or several vertices repeat it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np

from qdiff.sim.hybrid.coordinates import Reals, decode, encode
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.superoperators import MatrixSteps
from qdiff.sim.hybrid.supports import Ints, occupied
from qdiff.sim.hybrid.traces import (
    BRANCHES,
    CHANNEL,
    END,
    LEAF,
    MARK,
    RESET,
    UNITARY,
    Maps,
    Stack,
)
from qdiff.sim.hybrid.unitaries import Unitaries

LARGEST_DIMENSION = 4


Steps: TypeAlias = "OperationSteps | MatrixSteps"


class OperationSteps:
    """Runs the operations of a trace, on the part of the basis that is occupied."""

    def __init__(self, graph: Graph, maps: Maps, unitaries: Unitaries, dimension: int) -> None:
        self.graph = graph
        self.maps = maps
        self.unitaries = unitaries
        self.dimension = dimension
        self._occupied: dict[int, list[Ints | None]] = {}
        self._columns: dict[tuple[int, bytes], tuple[Stack, Stack]] = {}

    def forward(self, trace: int, y: Reals, skipped: Collection[int] = ()) -> Sequence[Reals | None]:
        """Return what states (P, C, D²) are at each leaf; None where operations on the way are skipped."""
        registers = {0: decode(y, self.dimension)}
        leaves: list[Reals | None] = []
        for i, ((code, src, dst, arg), part) in enumerate(
            zip(self.graph.traces[trace].ops, self.occupied(trace), strict=True)
        ):
            if i in skipped:
                if code == LEAF:
                    leaves.append(None)
                continue
            x = registers[src]
            if code == LEAF:
                leaves.append(encode(x))
            elif code == UNITARY:
                registers[src] = self.moved(arg, x, part)
            elif code in BRANCHES or code in (RESET, CHANNEL):
                registers[dst if code in BRANCHES else src] = self.maps.apply(code, arg, x)
        return leaves

    def backward(
        self, trace: int, leaves: Sequence[Reals | None], skipped: Collection[int] = ()
    ) -> Reals | None:
        """Return the observables (P, C, D²) at the start from those at the leaves; None is zero."""
        ops, occupied = self.graph.traces[trace].ops, self.occupied(trace)
        registers: dict[int, Stack | None] = {}
        for i in range(len(ops) - 1, -1, -1):
            code, src, dst, arg = ops[i]
            if code == LEAF:
                leaf = leaves[arg]
                registers[src] = None if leaf is None else decode(leaf, self.dimension)
                continue
            if code == END:
                registers[src] = None
                continue
            a = registers[dst if code in BRANCHES else src]
            if a is None or code == MARK or i in skipped:
                continue
            if code == UNITARY:
                registers[src] = self.pulled(arg, a, occupied[i])
                continue
            before = self.maps.apply_adjoint(code, arg, a)
            other = registers[src] if code in BRANCHES else None
            registers[src] = before if other is None else other + before
        start = registers[0]
        return None if start is None else encode(start)

    def occupied(self, trace: int) -> list[Ints | None]:
        """The basis states that runs of a trace act on; None is all."""
        if trace not in self._occupied:
            ops = self.graph.traces[trace].ops
            self._occupied[trace] = occupied(
                ops, self.maps.masks, self.maps.resets, self.dimension, self.maps.channels
            )
        return self._occupied[trace]

    def conjugate(self, run: int, x: Stack, adjoint: bool) -> Stack:
        """Return V x V†, or V† x V, for Hermitian x (P, C, D, D)."""
        if self.unitaries.source.lengths[run] <= longest_by_gates(self.dimension):
            return self.unitaries.by_gates(run, x, adjoint)
        v, h = self.maps.unitaries[run], self.maps.adjoints[run]
        return np.asarray(h @ x @ v if adjoint else v @ x @ h)

    def moved(self, run: int, x: Stack, part: Ints | None) -> Stack:
        """Return V x V† for Hermitian x (P, C, D, D) that occupies part of the basis."""
        if part is None or self.unitaries.source.lengths[run] <= longest_by_gates(self.dimension):
            return self.conjugate(run, x, False)
        columns, rows = self.columns(run, part)
        return np.asarray(columns @ x[..., part[:, None], part] @ rows)

    def pulled(self, run: int, a: Stack, part: Ints | None) -> Stack:
        """Return V† a V for Hermitian a (P, C, D, D), no more of it than part of the basis."""
        if part is None or self.unitaries.source.lengths[run] <= longest_by_gates(self.dimension):
            return self.conjugate(run, a, True)
        columns, rows = self.columns(run, part)
        result = np.zeros(np.broadcast_shapes(a.shape, (*columns.shape[:-2], 1, 1)), dtype=complex)
        result[..., part[:, None], part] = rows @ a @ columns
        return result

    def columns(self, run: int, part: Ints) -> tuple[Stack, Stack]:
        """The columns of V on part of the basis, and their adjoint."""
        key = (run, part.tobytes())
        if key not in self._columns:
            columns = np.ascontiguousarray(self.maps.unitaries[run][..., part])
            self._columns[key] = columns, np.ascontiguousarray(columns.conj().swapaxes(-1, -2))
        return self._columns[key]


def longest_by_gates(dimension: int) -> int:
    """The longest run for which gate after gate is cheaper than two products of full matrices."""
    return dimension // 64


def steps_for(graph: Graph, maps: Maps, unitaries: Unitaries, dimension: int) -> Steps:
    """Return the cheaper kind for a dimension."""
    if dimension <= LARGEST_DIMENSION:
        return MatrixSteps(graph, maps, unitaries, dimension)
    return OperationSteps(graph, maps, unitaries, dimension)
