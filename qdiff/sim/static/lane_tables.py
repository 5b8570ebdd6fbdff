"""A line of a small register as tables for compiled code, and what is asked of it as further ones.

See `turns` for what gates become, and `lane_kernels` for the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.exact import Floats
from qdiff.sim.flow import SmallGate
from qdiff.sim.generators import effective_generator
from qdiff.sim.pure.operators import Masks
from qdiff.sim.static.angles import Angles, Plain, sparse
from qdiff.sim.static.turns import Dense, Frame, Negation, Operation, Turn, lowered, realified

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Question:
    """What is asked of a line: observables, and derivatives by the parameters of `angles`.

    Attributes:
        asked, weights: see `lane_kernels`. observables: how many. columns: of derivatives, 0 for values only.
        per_lane: numbers that a lane takes in the space of the kernel.
    """

    angles: Angles
    asked: Ints
    weights: Floats
    observables: int
    columns: int
    per_lane: int


class Tables:
    """A line as tables.

    Attributes:
        table, numbers: see `lane_kernels`. bytes: of both. components: 2D. operations: how many.
        rows, every: how many turns depend on parameters; constant ones included.
        given, size: how many numbers of matrices that depend on parameters, and rows of the largest matrix.
    """

    def __init__(self, angles: Angles) -> None:
        self.angles = angles
        line, gates = angles.line, angles.expressions.flow.gates
        self.components = 2 << line.qubits
        self._entries: list[Ints] = []
        self._filled = 0
        self._rows: dict[tuple[int, float], int] = {}  # (instance, scale) of an angle that varies
        self._constants: dict[tuple[float, float], int] = {}
        self._fixed_at: dict[bytes, int] = {}  # the numbers of a constant dense matrix → where they begin
        self._place_of: dict[int, int] = {}  # instance of a dense gate that varies → where its matrix begins
        self.given = 0
        self.size = 1
        self.table, self.numbers = self._packed(self._lower(gates))
        self.bytes = self.table.nbytes + self.numbers.nbytes

    # --- Tables ---------------------------------------------------------------------------------------

    def _lower(self, gates: Sequence[SmallGate]) -> list[tuple[int, ...]]:
        line = self.angles.line
        number = {instance: n for n, instance in enumerate(line.instances.instances)}
        frame = Frame.still(self.components)
        known: dict[tuple[object, ...], tuple[list[tuple[Operation, int, int]], Frame]] = {}
        result: list[tuple[int, ...]] = []
        for gate, row in line.path.gates:
            small = gates[gate]
            alike = id(small.record), small.expression < 0, small.targets, small.controls, small.angle
            key = *alike, frame.key
            if key not in known:
                operations, after = lowered(small, frame)
                known[key] = [(operation, *self._place(operation)) for operation in operations], after
            found, frame = known[key]
            result += [self._row(*each, number[gate, row]) for each in found]
        self.frame = frame
        return result

    def _place(self, operation: Operation) -> tuple[int, int]:
        """Append the components of an operation; return where they are."""
        match operation:
            case Turn(planes=components) | Negation(components=components) | Dense(places=components):
                flat = np.ascontiguousarray(components, dtype=np.int32).ravel()
        self._entries.append(flat)
        start, self._filled = self._filled, self._filled + len(flat)
        return start, self._filled

    def _row(self, operation: Operation, start: int, stop: int, instance: int) -> tuple[int, ...]:
        """An operation as a row of the table; rows of constants are counted from -1 down."""
        from qdiff.sim.static.lane_kernels import MATRIX, NEGATE, TURN

        match operation:
            case Turn(scale=scale, constant=pair):
                if pair is None:
                    row = self._rows.setdefault((instance, scale), len(self._rows))
                    return TURN, start, stop, row, 0, 0, 0
                constant = self._constants.setdefault(pair, len(self._constants))
                return TURN, start, stop, -1 - constant, 0, 0, 0
            case Negation():
                return NEGATE, start, stop, 0, 0, 0, 0
            case Dense(places=places, constant=matrix):
                size = places.shape[1]
                self.size = max(self.size, size)
                if matrix is not None:
                    at = self._fixed_at.setdefault(matrix.tobytes(), sum(map(len, self._fixed_at)) // 8)
                    return MATRIX, start, stop, -1, size, at, 0
                if instance not in self._place_of:
                    self._place_of[instance] = self.given
                    self.given += 2 * size * size
                row = self._rows.setdefault((instance, 0.5), len(self._rows))
                return MATRIX, start, stop, row, size, self._place_of[instance], 1

    def _packed(self, operations: list[tuple[int, ...]]) -> tuple[Ints, Floats]:
        from qdiff.sim.static import lane_kernels as k

        scaled: list[Plain] = [
            tuple((j, factor * scale) for j, factor in self.angles.plain[instance])
            for instance, scale in self._rows
        ]
        starts, columns, factors, shifts = sparse(scaled)
        rows, entries = len(scaled), len(columns)
        first_constant = rows + entries
        self.operations = len(operations)
        ops = np.array(operations, dtype=np.int32).reshape(len(operations), k.COLUMNS)
        first = k.HEAD + len(starts) + entries
        ops[:, [k.START, k.STOP]] += first + ops.size
        turns, constant = ops[:, k.KIND] == k.TURN, ops[:, k.ROW] < 0
        ops[turns & constant, k.ROW] = rows - 1 - ops[turns & constant, k.ROW]
        ops[(ops[:, k.KIND] == k.MATRIX) & constant, k.AT] += first_constant + 2 * len(self._constants)
        head = np.zeros(k.HEAD, dtype=np.int32)
        head[[k.COMPONENTS, k.OPERATIONS, k.FIRST_OPERATION]] = self.components, len(ops), first
        head[[k.ROWS, k.STARTS]] = rows, k.HEAD
        head[[k.CONSTANTS, k.FIRST_CONSTANT]] = len(self._constants), first_constant
        head[[k.GIVEN, k.LARGEST_SIZE]] = self.given, self.size
        self.rows, self._inputs = rows, columns
        self._starts = starts
        self.every = rows + len(self._constants)
        table = np.concatenate([head, starts, columns, ops.ravel(), *self._entries]).astype(np.int32)
        numbers = np.concatenate(
            [
                shifts,
                factors,
                np.array(list(self._constants)).reshape(-1),
                *map(np.frombuffer, self._fixed_at),
            ]
        )
        self._entries = []
        return table, numbers

    # --- Questions ------------------------------------------------------------------------------------

    def question(self, angles: Angles, masks: Sequence[Masks], gradients: bool) -> Question:
        """Prepare what is asked: expectations of observables, and derivatives by the `wrt` of angles."""
        from qdiff.sim.static import lane_kernels as k

        columns = angles.columns if gradients else np.full(angles.inputs, -1, dtype=np.int64)
        used = columns[self._inputs] >= 0
        wanted = np.array(
            [used[a:b].any() for a, b in zip(self._starts[:-1], self._starts[1:], strict=True)], dtype=bool
        )
        head = np.zeros(k.ASKED_HEAD, dtype=np.int32)
        begins, sources, weights, filled = [], [], [], 0
        for mask in masks:
            starts, found, numbers = self._operator(mask)
            begins.append(starts + filled)
            sources.append(found)
            weights.append(numbers)
            filled += len(found)
        parts = [head, wanted, columns, *begins, *sources]
        places = np.cumsum([len(part) for part in parts])
        head[[k.OBSERVABLES, k.GRADIENTS]] = len(masks), gradients
        head[[k.WANTED, k.COLUMNS_OF, k.OPERATORS]] = places[:3]
        head[k.SOURCES] = places[2 + len(masks)]
        asked = np.concatenate(parts).astype(np.int32)
        width = angles.width if gradients else 0
        states, slopes = self.components * (1 + len(masks)), self.rows * len(masks)
        per_lane = states + 2 * self.every + slopes + self.given + self.size
        return Question(angles, asked, np.concatenate([*weights, np.empty(0)]), len(masks), width, per_lane)

    def _operator(self, mask: Masks) -> tuple[Ints, Ints, Floats]:
        """An observable as a sparse real matrix on components where they lie at the end."""
        dimension = self.components // 2
        index = np.arange(dimension)
        rows, columns, entries = [], [], []
        for flip in sorted(set(mask.flips.tolist())):
            numbers = np.zeros(dimension, dtype=np.complex128)
            for j in np.flatnonzero(mask.flips == flip):
                signs = 1.0 - 2.0 * (np.bitwise_count(index & mask.signs[j]) & 1)
                numbers += mask.coefficients[j] * np.where((index & mask.kept[j]) == mask.ones[j], signs, 0.0)
            source = index ^ flip
            for part, shift in ((numbers.real, 0), (numbers.imag, dimension)):
                sign = -1.0 if shift else 1.0
                # i (x + iy) = -y + ix
                rows += [index, index + dimension]
                columns += [source + shift, source + (dimension - shift)]
                entries += [sign * part, part]
        if not rows:
            return np.zeros(self.components + 1, dtype=np.int32), np.empty(0, dtype=np.int32), np.empty(0)
        row, column, entry = np.concatenate(rows), np.concatenate(columns), np.concatenate(entries)
        used = entry != 0
        row, column, entry = row[used], column[used], entry[used]
        entry = entry * self.frame.signs[row] * self.frame.signs[column]
        row, column = self.frame.places[row], self.frame.places[column]
        order = np.argsort(row, kind="stable")
        starts = np.searchsorted(row[order], np.arange(self.components + 1))
        return starts.astype(np.int32), column[order], entry[order]

    # --- Matrices -------------------------------------------------------------------------------------

    def matrices(self, angles: Angles, parameters: Floats) -> Floats:
        """Return matrices and generators of dense gates that depend on parameters, (P, given)."""
        result = np.empty((len(parameters), self.given))
        if not self.given:
            return result
        found = angles.at(parameters)
        gates, instances = self.angles.expressions.flow.gates, self.angles.line.instances.instances
        for instance, start in self._place_of.items():
            record, each = gates[instances[instance][0]].record, found[:, instance]
            matrix, generator = record.matrix(each), effective_generator(record, each)
            size = 4 * matrix.shape[-1] ** 2
            result[:, start : start + size] = realified(matrix).reshape(-1, size)
            result[:, start + size : start + 2 * size] = realified(-1j * generator).reshape(-1, size)
        return result
