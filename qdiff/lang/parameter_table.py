"""Several sets of parameter values as one array: read as a whole, and still a sequence of mappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class ParameterTable(Sequence[Mapping[str, float]]):
    """B sets of finite values for all parameters of a program.

    Engines that can take the array itself; to others it is a sequence of mappings from names to numbers,
    which are made when the first of them is asked for.

    Args:
        names: of all parameters, array elements as "w[0]".
        values: (B, N), contiguous, nobody else's.
    """

    def __init__(self, names: tuple[str, ...], values: Floats) -> None:
        self.names = names
        self.values = values

    @classmethod
    def of(cls, names: tuple[str, ...], rows: Sequence[Mapping[str, float]]) -> ParameterTable:
        """Return rows as a table; a table stays as it is."""
        if isinstance(rows, cls):
            return rows
        values = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
        return cls(names, values.reshape(len(rows), len(names)))

    @cached_property
    def _rows(self) -> list[dict[str, float]]:
        return [dict(zip(self.names, row, strict=True)) for row in self.values.tolist()]

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, float]: ...

    @overload
    def __getitem__(self, place: slice) -> ParameterTable: ...

    def __getitem__(self, place: int | slice) -> Mapping[str, float] | ParameterTable:
        if isinstance(place, slice):
            return ParameterTable(self.names, self.values[place])
        return self._rows[place]

    def take(self, places: Iterable[int]) -> ParameterTable:
        """Return some of the rows."""
        return ParameterTable(self.names, self.values[list(places)])
