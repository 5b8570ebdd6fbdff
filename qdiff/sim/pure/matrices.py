"""Matrices of gate instances as numbers: all of one gate at once, for all sets of parameters."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.declared_gates import LARGEST_DECLARED
from qdiff.sim.exact import Floats
from qdiff.sim.flow import SmallGate
from qdiff.sim.generators import effective_generator, generator_slope
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.plan import ENTRIES, entries, is_many, padded

Complexes = NDArray[np.complex128]


class Instances:
    """A list of gate instances: (index of the gate, row of counters).

    Attributes:
        entries: numbers of the table for each: E.
    """

    def __init__(self, gates: Sequence[SmallGate], instances: Sequence[tuple[int, int]]) -> None:
        self.instances = list(instances)
        self.expressions = np.array([gates[g].expression for g, _ in instances], dtype=np.int64)
        self.entries = max([ENTRIES, *(entries(gates[g]) for g in {g for g, _ in instances})])
        orders = {targets: transposed(targets, self.entries) for targets in range(1, LARGEST_DECLARED + 1)}
        self.transposed = np.array([orders[gates[g].record.targets] for g, _ in instances], dtype=np.int64)
        self.transposed = self.transposed.reshape(len(instances), self.entries)
        self.constants = np.zeros((len(instances), self.entries), dtype=np.complex128)
        self.by_record: dict[str, list[int]] = {}
        self.by_row: dict[int, list[int]] = {}
        fixed: dict[int, Complexes] = {}
        for i, (g, row) in enumerate(instances):
            gate = gates[g]
            if gate.expression < 0:
                if g not in fixed:
                    fixed[g] = padded(gate.constant(), self.entries)
                self.constants[i] = fixed[g]
            else:
                self.by_record.setdefault(gate.record.name, []).append(i)
                self.by_row.setdefault(row, []).append(i)
        self.records = {gates[g].record.name: gates[g].record for g, _ in instances}

    def angles(self, numbers: Numbers) -> Floats:
        """Return the angle of every instance, (P, N), in radians; 0 where there is none."""
        result = np.zeros((len(numbers.parameters), len(self.instances)))
        for row, members in self.by_row.items():
            found = numbers.at(row)[self.expressions[members]].T
            result[:, members] = np.where(np.isfinite(found), found, 0.0)
        return result

    def at(self, numbers: Numbers) -> Complexes:
        """Return the table of coefficients, (P, N, E)."""
        return self.coefficients(self.angles(numbers))

    def coefficients(self, angles: Floats, only: Collection[int] | None = None) -> Complexes:
        """Return the table of coefficients at angles (P, N), (P, N, E), or some of its columns."""
        result = np.broadcast_to(self.constants, (len(angles), *self.constants.shape)).copy()
        for name, members in self.by_record.items():
            if only is not None and members[0] not in only:
                continue
            record, found = self.records[name], angles[:, members]
            result[:, members] = padded(record.matrix(found), self.entries)
            if is_many(record):
                size = 4**record.targets
                generator = effective_generator(record, found)
                result[:, members, size : 2 * size] = generator.reshape(*generator.shape[:-2], size)
                if record.drift is not None:
                    slope = generator_slope(record, found).reshape(*found.shape, size)
                    result[:, members, 2 * size : 3 * size] = slope
        return result if only is None else result[:, list(only)]

    def adjoints(self, coefficients: Complexes) -> Complexes:
        """Return the table of the inverse gates, (P, N, E); generators, Hermitian, stay as they are."""
        order = np.broadcast_to(self.transposed, coefficients.shape)
        return np.conj(np.take_along_axis(coefficients, order, axis=2))

    def wanted(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Return whether the derivative by the angle of an instance is asked for, (N,)."""
        e = self.expressions
        varying = e >= 0
        return varying & numbers.source.wanted[np.maximum(e, 0)] if varying.any() else varying

    def slopes(self, numbers: Numbers, directions: Floats) -> Floats:
        """Return the derivative of every angle along directions (V, d), (1, V, N); P is 1."""
        result = np.zeros((1, len(directions), len(self.instances)))
        known: dict[tuple[int, int], Floats] = {}
        for i, (_, row) in enumerate(self.instances):
            e = int(self.expressions[i])
            if e >= 0:
                if (e, row) not in known:
                    known[e, row] = numbers.along(e, row, directions)
                result[0, :, i] = known[e, row]
        return result


def transposed(targets: int, entries: int = ENTRIES) -> list[int]:
    """The order of a row of the table in which every matrix on so many targets is transposed."""
    size = 1 << targets
    if size * size > entries:
        return list(range(entries))  # no gate here is as large
    order = [column * size + row for row in range(size) for column in range(size)]
    return [start + i for start in range(0, entries, size * size) for i in order]
