"""One vertex forwards or backwards: through its trace, or through the trace's matrix.

The matrix of a trace maps a state, as a vector of D² entries, to the states at all its leaves. It
costs D² runs of the trace and pays where many vertices share the trace or a loop repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.linear import SparseSystem
from qdiff.sim.hybrid.schedule import Stage
from qdiff.sim.hybrid.traces import Maps, Stack

LARGEST_DIMENSION = 4
WORTHWHILE = 4  # vertices that share a trace


class Transfer:
    """The maps between vertices of one graph at one set of parameters."""

    def __init__(self, graph: Graph, maps: Maps, dimension: int) -> None:
        self.graph = graph
        self.maps = maps
        self.dimension = dimension
        self._matrices: dict[int, tuple[Stack, Stack]] = {}  # trace → matrix and its adjoint
        if dimension <= LARGEST_DIMENSION:
            uses = np.bincount([t for t in graph.trace if t >= 0], minlength=len(graph.traces))
            for trace in np.flatnonzero(uses >= WORTHWHILE):
                self._matrices[int(trace)] = self._matrix(int(trace))

    def forward(self, vertex: int, state: Stack) -> Sequence[Stack]:
        """Return what a stack of states, (B, D, D), is at each target."""
        trace = self.graph.trace[vertex]
        if trace not in self._matrices:
            return self.maps.forward(self.graph.traces[trace], state)
        matrix, _ = self._matrices[trace]
        d = self.dimension
        leaves: NDArray[np.complex128] = state.reshape(-1, d * d) @ matrix.T
        return leaves.reshape(len(state), -1, d, d).swapaxes(0, 1)  # type: ignore[return-value]

    def backward(self, vertex: int, leaves: Sequence[Stack | None]) -> Stack | None:
        """Return the observable at the vertex, (1, D, D), from those at its targets (None is zero)."""
        trace = self.graph.trace[vertex]
        if trace not in self._matrices:
            return self.maps.backward(self.graph.traces[trace], leaves)
        _, adjoint = self._matrices[trace]
        d = self.dimension
        stacked = np.zeros((len(leaves), d * d), dtype=complex)
        for i, leaf in enumerate(leaves):
            if leaf is not None:
                stacked[i] = leaf.ravel()
        return np.asarray((adjoint @ stacked.ravel()).reshape(1, d, d))

    def equations(self, stage: Stage) -> SparseSystem:
        """Return the equations of all vertices of a loop: an entry for each step inside it."""
        size = self.dimension**2
        place = {vertex: size * i for i, vertex in enumerate(stage.order)}
        block_rows, block_columns = (index.ravel() for index in np.indices((size, size)))
        rows, columns, entries = [], [], []
        for vertex in stage.order:
            trace = self.graph.trace[vertex]
            if trace not in self._matrices:
                self._matrices[trace] = self._matrix(trace)
            blocks = self._matrices[trace][0].reshape(-1, size * size)
            for block, target in zip(blocks, self.graph.targets[vertex], strict=True):
                if target in place:
                    rows.append(place[target] + block_rows)
                    columns.append(place[vertex] + block_columns)
                    entries.append(block)
        heads = np.concatenate([place[head] + np.arange(size) for head in stage.heads])
        return SparseSystem(
            np.concatenate(rows), np.concatenate(columns), np.concatenate(entries), size * len(place), heads
        )

    def _matrix(self, trace: int) -> tuple[Stack, Stack]:
        """(leaves · D², D²) and its conjugate transpose."""
        d = self.dimension
        basis = np.eye(d * d, dtype=complex).reshape(d * d, d, d)
        leaves = self.maps.forward(self.graph.traces[trace], basis)
        columns = np.array(leaves).reshape(len(leaves), d * d, d * d)  # leaf, input, output
        matrix = np.ascontiguousarray(columns.swapaxes(1, 2)).reshape(-1, d * d)
        return matrix, np.ascontiguousarray(matrix.conj().T)
