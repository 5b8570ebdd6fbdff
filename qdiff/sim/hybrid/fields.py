"""What is known at every vertex of a graph: one array, and which vertices have anything.

A vertex that no run reaches, or that observes nothing, is absent, which stands for zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from types import MappingProxyType

import numpy as np

from qdiff.sim.hybrid.coordinates import Reals


class Field(MutableMapping[int, Reals]):
    """Vertex → (P, C, D²), as one array.

    Attributes:
        array: (vertices, P, C, D²), 0 where nothing is known.
    """

    def __init__(
        self, vertices: int, shape: tuple[int, int, int], given: Mapping[int, Reals] = MappingProxyType({})
    ) -> None:
        self.array = np.zeros((vertices, *shape))
        self._known = bytearray(vertices)
        if isinstance(given, Field):
            self.array[:] = given.array
            self._known[:] = given._known
            return
        for vertex, y in given.items():
            self[vertex] = y

    @property
    def columns(self) -> int:
        """C."""
        return int(self.array.shape[2])

    def mark(self, vertices: Iterable[int]) -> None:
        """Say that the array was filled in at some vertices."""
        for vertex in vertices:
            self._known[vertex] = 1

    def get(self, vertex: int, default: Reals | None = None) -> Reals | None:  # type: ignore[override]
        """What is known at a vertex; `default` where it is absent."""
        return self.array[vertex] if self._known[vertex] else default

    def __getitem__(self, vertex: int) -> Reals:
        if not self._known[vertex]:
            raise KeyError(vertex)
        return np.asarray(self.array[vertex])

    def __setitem__(self, vertex: int, y: Reals) -> None:
        self.array[vertex] = y
        self._known[vertex] = 1

    def __delitem__(self, vertex: int) -> None:
        self.array[vertex] = 0.0
        self._known[vertex] = 0

    def __contains__(self, vertex: object) -> bool:
        return isinstance(vertex, int) and bool(self._known[vertex])

    def __iter__(self) -> Iterator[int]:
        return (v for v, known in enumerate(self._known) if known)

    def __len__(self) -> int:
        return sum(self._known)
