"""The effective generators K of rotated gate instances, as matrices (see `sim.generators`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.gates import GateRecord
from qdiff.sim.generators import effective_generator, generator_slope

Matrix = NDArray[np.complex128]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Generators:
    """The effective generators of rotated gate instances at P sets of angles.

    Args:
        records: of every instance. rows: the basis states that each acts on, by local state. drifting: the
            instances with a drift. angles: (P, G). dimension: of the register.
    """

    def __init__(
        self,
        records: Sequence[GateRecord],
        rows: Sequence[Ints],
        drifting: frozenset[int],
        angles: Floats,
        dimension: int,
    ) -> None:
        self.records = records
        self.rows = rows
        self.angles = angles
        self.dimension = dimension
        self.drifting = drifting
        self._known: dict[int, Matrix] = {}

    def of(self, k: int) -> Matrix:
        """K of an instance, (d, d) or, with a drift, (P, d, d)."""
        if k not in self._known:
            self._known[k] = effective_generator(self.records[k], self.angles[:, k])
        return self._known[k]

    def slope(self, k: int) -> Matrix | None:
        """dK/da of an instance on the whole register, (P, D, D); None where it is 0."""
        if k not in self.drifting:
            return None
        return self._embedded(k, generator_slope(self.records[k], self.angles[:, k]))

    def with_drifts(self, embedded: Matrix, instances: Ints) -> Matrix:
        """Return full generators of instances (n, D, D), with those of drifting gates as (P, n, D, D)."""
        if not self.drifting or not self.drifting.intersection(instances.tolist()):
            return embedded
        result = np.repeat(embedded[None], len(self.angles), axis=0)
        for i, k in enumerate(instances.tolist()):
            if k in self.drifting:
                result[:, i] = self._embedded(k, self.of(k))
        return result

    def _embedded(self, k: int, small: Matrix) -> Matrix:
        result = np.zeros((len(small), self.dimension, self.dimension), dtype=complex)
        rows = self.rows[k]
        result[:, rows[:, None, :], rows[None, :, :]] = small[:, :, :, None]
        return result
