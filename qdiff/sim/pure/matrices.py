"""Matrices of gate instances as numbers: all of one gate at once, for all sets of parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.exact import Floats
from qdiff.sim.flow import SmallGate
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.plan import ENTRIES, padded

Complexes = NDArray[np.complex128]

_TRANSPOSED = {
    targets: np.array(
        [column * size + row for row in range(size) for column in range(size)]
        + list(range(size * size, ENTRIES))
    )
    for targets, size in ((1, 2), (2, 4))
}


class Instances:
    """A list of gate instances: (index of the gate, row of counters)."""

    def __init__(self, gates: Sequence[SmallGate], instances: Sequence[tuple[int, int]]) -> None:
        self.instances = list(instances)
        self.expressions = np.array([gates[g].expression for g, _ in instances], dtype=np.int64)
        self.transposed = np.array(
            [_TRANSPOSED[gates[g].record.targets] for g, _ in instances], dtype=np.int64
        )
        self.transposed = self.transposed.reshape(len(instances), ENTRIES)
        self.constants = np.zeros((len(instances), ENTRIES), dtype=np.complex128)
        self.by_record: dict[str, list[int]] = {}
        self.by_row: dict[int, list[int]] = {}
        fixed: dict[int, Complexes] = {}
        for i, (g, row) in enumerate(instances):
            gate = gates[g]
            if gate.expression < 0:
                if g not in fixed:
                    fixed[g] = padded(gate.constant())
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
        """Return the table of coefficients, (P, N, 16)."""
        angles = self.angles(numbers)
        result = np.broadcast_to(self.constants, (len(angles), *self.constants.shape)).copy()
        for name, members in self.by_record.items():
            result[:, members] = padded(self.records[name].matrix(angles[:, members]))
        return result

    def adjoints(self, coefficients: Complexes) -> Complexes:
        """Return the table of the inverse gates, (P, N, 16)."""
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
