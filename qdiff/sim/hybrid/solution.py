"""A solved program: visit states at P sets of parameters, with all that they were computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.observable import Observable
from qdiff.sim.exact import Floats
from qdiff.sim.hybrid.angles import Numbers
from qdiff.sim.hybrid.coordinates import decode
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.sweeps import States
from qdiff.sim.hybrid.traces import Maps, Stack
from qdiff.sim.hybrid.unitaries import Unitaries


@dataclass(frozen=True)
class Solution:
    """Visit states of one program.

    Attributes:
        states: at every vertex that is reached, (P, n, D²).
        residuals: at the heads of loops, (P, n, D²).
        lost: mass that fell into traps, (P,). caught: the states, at heads of loops, (P, 1, D²).
        memory: bytes, as estimated beforehand.
        endless: vertices that were not followed, from which no run ends.
    """

    observables: tuple[Observable, ...]
    graph: Graph
    numbers: Numbers
    unitaries: Unitaries
    maps: Maps
    solver: Solver
    states: Field
    residuals: States
    lost: Floats
    caught: States
    memory: int
    endless: tuple[int, ...] = ()

    @property
    def frontier(self) -> list[int]:
        """Vertices that were not followed and from which runs may end."""
        return [v for v in self.graph.frontier if v not in self.endless]

    def mass(self, vertices: Sequence[int] | NDArray[np.int64]) -> Floats:
        """Total probability at some vertices, (P,)."""
        return mass(self.states, vertices, self.solver)

    def masses(self) -> dict[int, Stack]:
        """The states without the other moments, (P, 1, D, D)."""
        return {v: decode(y[:, :1], self.solver.dimension) for v, y in self.states.items()}

    def store(self, vertex: int) -> dict[str, int]:
        """The values of the program's counters at a vertex."""
        names = self.numbers.source.flow.program.counters
        return dict(zip(names, self.graph.stores[vertex], strict=False))


def mass(states: Field, vertices: Sequence[int] | NDArray[np.int64], solver: Solver) -> Floats:
    """Total probability at some vertices, (P,)."""
    found = states.array[np.asarray(vertices, dtype=np.int64), :, 0, :: solver.dimension + 1]
    return np.asarray(found.sum(axis=(0, 2)))
