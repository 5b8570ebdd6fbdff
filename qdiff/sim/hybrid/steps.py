"""One vertex forwards or backwards, in Hermitian coordinates: through its trace, or as a matrix.

States and observables at a vertex are arrays (P, C, D²), C = K·n columns: K states, each with n moments
(see `counted`). On few qubits the maps of a trace are built once as real matrices, (D², leaves · D²),
which costs D² runs of the trace and pays where a loop or several vertices repeat it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np

from qdiff.sim.hybrid.coordinates import Reals, basis, decode, encode
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.supports import Ints, occupied
from qdiff.sim.hybrid.traces import (
    BRANCHES,
    END,
    LEAF,
    MARK,
    RESET,
    TOSS,
    TOSS_NOT,
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
            elif code in BRANCHES or code == RESET:
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
            self._occupied[trace] = occupied(ops, self.maps.masks, self.maps.resets, self.dimension)
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


class MatrixSteps:
    """Multiplies with the matrix of a trace."""

    def __init__(self, graph: Graph, maps: Maps, dimension: int) -> None:
        self.graph = graph
        self.maps = maps
        self.dimension = dimension
        self.basis = basis(dimension)[None]
        self._matrices: dict[int, tuple[Reals, Reals]] = {}
        self._kept: dict[int, dict[int, Stack]] = {}

    def forward(self, trace: int, y: Reals, skipped: Collection[int] = ()) -> Sequence[Reals | None]:
        """Return what states (P, C, D²) are at each leaf; a matrix has nothing to skip."""
        size = self.dimension**2
        leaves = y @ self.matrix(trace)
        return [leaves[:, :, i : i + size] for i in range(0, leaves.shape[2], size)]

    def backward(
        self, trace: int, leaves: Sequence[Reals | None], skipped: Collection[int] = ()
    ) -> Reals | None:
        """Return the observables (P, C, D²) at the start from those at the leaves; None is zero."""
        size = self.dimension**2
        adjoint = self._both(trace)[1]
        parts = [leaf for leaf in leaves if leaf is not None]
        if not parts:
            return None
        if len(parts) == len(leaves):
            return np.asarray(
                np.concatenate(parts, axis=2) @ adjoint if len(parts) > 1 else parts[0] @ adjoint
            )
        result: Reals | None = None
        for i, leaf in enumerate(leaves):
            if leaf is not None:
                part = leaf @ adjoint[:, i * size : (i + 1) * size]
                result = part if result is None else result + part
        return result

    def matrix(self, trace: int) -> Reals:
        """The matrix that takes a row vector of a state to those of all leaves, (P, D², leaves · D²)."""
        return self._both(trace)[0]

    def by_leaf(self, trace: int) -> list[Reals]:
        """The matrices to each leaf, (P, D², D²)."""
        size = self.dimension**2
        matrix = self.matrix(trace)
        return [matrix[:, :, i : i + size] for i in range(0, matrix.shape[2], size)]

    def kept(self, trace: int) -> dict[int, Stack]:
        """What the basis is before every operation that a derivative depends on, (P, D², D, D)."""
        self._both(trace)
        return self._kept[trace]

    def _both(self, trace: int) -> tuple[Reals, Reals]:
        if trace not in self._matrices:
            kept: dict[int, Stack] = {}
            ops = self.graph.traces[trace].ops

            def forwards(i: int, x: Stack) -> None:
                code, _, _, arg = ops[i]
                if code in (TOSS, TOSS_NOT) or (code == UNITARY and self.graph.runs.varying[arg]):
                    kept[i] = x

            leaves = self.maps.forward(ops, self.basis, forwards)
            self._kept[trace] = kept
            coordinates = [encode(leaf) for leaf in leaves]
            rows = max(len(c) for c in coordinates)
            if any(len(c) < rows for c in coordinates):  # a leaf that no parameter reaches
                coordinates = [np.broadcast_to(c, (rows, *c.shape[1:])) for c in coordinates]
            matrix = np.concatenate(coordinates, axis=2)
            self._matrices[trace] = matrix, np.ascontiguousarray(matrix.swapaxes(1, 2))
        return self._matrices[trace]


def steps_for(graph: Graph, maps: Maps, unitaries: Unitaries, dimension: int) -> Steps:
    """Return the cheaper kind for a dimension."""
    if dimension <= LARGEST_DIMENSION:
        return MatrixSteps(graph, maps, dimension)
    return OperationSteps(graph, maps, unitaries, dimension)
