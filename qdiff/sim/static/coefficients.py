"""Matrices of the gates of a line at their angles, in compiled code where they are rotations.

With an involution G a rotation is exp(-i a G/2) = cos(a/2) - i sin(a/2) G; other gates ask their record.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.exact import Floats
from qdiff.sim.pure.matrices import Instances
from qdiff.sim.static.group_matrices import rotations

Complexes = NDArray[np.complex128]


class Coefficients:
    """The table of coefficients of a line's instances; see `pure.matrices`."""

    def __init__(self, instances: Instances) -> None:
        self.instances = instances
        rotated: list[int] = []
        generators: list[Complexes] = []
        sizes: list[int] = []
        self._others: list[int] = []
        for name, members in instances.by_record.items():
            record = instances.records[name]
            generator = record.generator
            plain = record.drift is None and record.targets <= 2
            if plain and generator is not None and _is_involution(generator):
                rotated += members
                sizes += [len(generator)] * len(members)
                row = np.zeros(16, dtype=np.complex128)
                row[: generator.size] = generator.ravel()
                generators += [row] * len(members)
            else:
                self._others += members
        self._rotated = np.array(rotated, dtype=np.int64)
        self._generators = np.array(generators, dtype=np.complex128).reshape(len(rotated), 16)
        self._sizes = np.array(sizes, dtype=np.int64)

    def at(self, angles: Floats) -> Complexes:
        """Return the table, (N, E), at angles (N,)."""
        table = self.instances.constants.copy()
        rotations(self._rotated, self._sizes, self._generators, angles, table)
        if self._others:
            table[self._others] = self.instances.coefficients(angles[None], self._others)[0]
        return table


def _is_involution(generator: Complexes) -> bool:
    return bool(np.array_equal(generator @ generator, np.eye(len(generator))))
