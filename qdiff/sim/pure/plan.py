"""Flat plans: a sequence of gates as tables of numbers, so that one call of a kernel runs them all.

A gate is a row of `ops` (columns `KIND` … `COUNT`). Its indices are runs of one stride: where the lowest
bit that it fixes is high, runs of neighbours below it; else the longest gap between fixed bits. The
matrix of a gate is found by its *number*, the place in a table of coefficients, so that a plan does
not depend on angles.

A gate on three targets or more, or with a drift, is of the kind `MANY`: `places` says where the
amplitudes of its local states are, and behind its matrix the table holds its generator K and dK/da.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.gates import GateRecord, is_gate
from qdiff.sim.flow import SmallGate

Complexes = NDArray[np.complex128]
Ints = NDArray[np.int64]

NEIGHBOURS = 16  # runs of neighbours are preferred from this length on
FEW = 4
SAMPLE = 0.7123  # an angle at which no entry of a rotation vanishes by chance
DIAGONAL, PHASE, FLIP, ANTIDIAGONAL, REAL, GENERAL, DIAGONAL2, EXCHANGE, GENERAL2, MANY = range(10)
"""What a gate does to the amplitudes where its targets differ: the kind of loop that applies it."""
KIND, FIRST, SECOND, CONTROLS, FIELDS, FIELDS_END, OUTER, STRIDE, COUNT = range(9)
"""Columns of `Plan.ops`: the kind, strides of the targets, and where the gate acts.

Of a gate of the kind `MANY` instead of the strides: where its places begin, and how many they are.
"""
ENTRIES = 16  # numbers kept for a matrix on one or two targets, row by row


@dataclass(frozen=True)
class Layout:
    """Where a small gate acts and what it is; `fields` are (position, width) of bits left out of a base."""

    row: tuple[int, ...]
    fields: tuple[tuple[int, int], ...]
    generator: tuple[tuple[int, int, complex], ...]
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A sequence of M gates; see `kernels.forward` for the arrays."""

    ops: Ints
    low: Ints
    width: Ints
    places: Ints
    numbers: Ints
    starts: Ints
    rows: Ints
    columns: Ints
    values: Complexes

    @property
    def table(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """The arguments that say where the gates act."""
        return self.ops, self.low, self.width, self.places, self.numbers

    @property
    def generators(self) -> tuple[Ints, Ints, Ints, Complexes]:
        """The arguments that say what the generators are."""
        return self.starts, self.rows, self.columns, self.values


class Layouts:
    """The layouts of a program's gates, found once each."""

    def __init__(self, gates: Sequence[SmallGate], qubits: int) -> None:
        self.gates = gates
        self.qubits = qubits
        self.known: dict[int, Layout] = {}

    def plan(self, sequence: Sequence[tuple[int, int]]) -> Plan:
        """Return the plan of gates (index of the gate, number of its matrix), the first applied first."""
        ops: list[tuple[int, ...]] = []
        fields: list[tuple[int, int]] = []
        places: list[int] = []
        numbers: list[int] = []
        generator: list[tuple[int, int, complex]] = []
        starts = [0]
        for gate, number in sequence:
            if self.gates[gate].record.name == "I":
                continue
            layout = self._layout(gate)
            row = list(layout.row)
            row[FIELDS], row[FIELDS_END] = len(fields), len(fields) + len(layout.fields)
            if layout.places:
                row[FIRST], row[SECOND] = len(places), len(layout.places)
                places.extend(layout.places)
            ops.append(tuple(row))
            fields.extend(layout.fields)
            numbers.append(number)
            generator.extend(layout.generator)
            starts.append(len(generator))
        return Plan(
            ops=np.array(ops, dtype=np.int64).reshape(len(ops), 9),
            low=np.array([(1 << position) - 1 for position, _ in fields], dtype=np.int64),
            width=np.array([width for _, width in fields], dtype=np.int64),
            places=np.array(places, dtype=np.int64),
            numbers=np.array(numbers, dtype=np.int64),
            starts=np.array(starts, dtype=np.int64),
            rows=np.array([a for a, _, _ in generator], dtype=np.int64),
            columns=np.array([b for _, b, _ in generator], dtype=np.int64),
            values=np.array([g for _, _, g in generator], dtype=np.complex128),
        )

    def _layout(self, index: int) -> Layout:
        if index not in self.known:
            gate = self.gates[index]
            which = kind(gate.record)
            where = placed(which, gate.targets, gate.controls, self.qubits)
            entries = () if which == MANY else entries_of_generator(gate)
            self.known[index] = replace(where, generator=entries)
        return self.known[index]


def placed(kind: int, targets: Sequence[int], controls: int, qubits: int, *, near: bool = False) -> Layout:
    """Return where a gate of a kind acts on a register.

    Args:
        controls: a bit mask.
        near: whether its runs stay near, for states that are larger than caches.
    """
    fixed = sorted([*targets, *(q for q in range(qubits) if controls >> q & 1)])
    position, width = _near_run(fixed, qubits) if near else _run(fixed, qubits)
    fields = [(q, 1) for q in fixed]
    if width:
        fields = sorted([*fields, (position, width)])
    strides = [1 << q for q in targets]
    where = (1 << (qubits - len(fixed) - width), 1 << position, 1 << width)
    local = range(1 << len(strides)) if kind == MANY else ()
    places = tuple(sum(s for bit, s in enumerate(strides) if a >> bit & 1) for a in local)
    return Layout((kind, strides[0], strides[-1], controls, 0, 0, *where), tuple(fields), (), places)


def _run(fixed: Sequence[int], qubits: int) -> tuple[int, int]:
    """The free bits over which a run goes: (lowest of them, how many)."""
    if 1 << fixed[0] >= NEIGHBOURS:
        return 0, fixed[0]
    edges = [-1, *fixed, qubits]
    gaps = [(above - below - 1, below + 1) for below, above in pairwise(edges)]
    width, position = max(gaps, key=lambda gap: (gap[0], -gap[1]))
    return position, width


def _near_run(fixed: Sequence[int], qubits: int) -> tuple[int, int]:
    """The lowest free bits over which a run of `FEW` or more goes, so that memory is swept once."""
    edges = [-1, *fixed, qubits]
    gaps = [(below + 1, above - below - 1) for below, above in pairwise(edges)]
    return next((gap for gap in gaps if 1 << gap[1] >= FEW), max(gaps, key=lambda gap: gap[1]))


def entries_of_generator(gate: SmallGate) -> tuple[tuple[int, int, complex], ...]:
    """The entries of the generator that are not zero, where the gate has an angle that varies."""
    generator = gate.record.generator
    if gate.expression < 0 or generator is None:
        return ()
    return tuple(
        (int(a), int(b), complex(generator[a, b])) for a, b in zip(*np.nonzero(generator), strict=True)
    )


def is_many(record: GateRecord) -> bool:
    """Whether a gate is of the kind `MANY`: its table holds its generator, too."""
    return record.targets > 2 or record.drift is not None


def kind(record: GateRecord) -> int:
    """The kind of loop that applies a gate; a function of the record, not of an angle."""
    if is_many(record):
        return MANY
    if record.generator is not None and not is_gate(record.name):
        return _declared_kind(record.generator)
    matrix = record.fixed if record.fixed is not None else record.matrix(SAMPLE)
    used = matrix != 0
    if record.targets == 1:
        if not (used[0, 1] or used[1, 0]):
            unchanged = matrix[0, 0] == 1
            return PHASE if unchanged else DIAGONAL
        if not (used[0, 0] or used[1, 1]):
            return FLIP if matrix[0, 1] == matrix[1, 0] == 1 else ANTIDIAGONAL
        return GENERAL if np.any(matrix.imag) else REAL
    if not np.any(used & ~np.eye(4, dtype=bool)):
        return DIAGONAL2
    exchange = np.eye(4, dtype=complex)
    exchange[1:3, 1:3] = [[0, matrix[1, 2]], [matrix[1, 2], 0]]
    return EXCHANGE if np.array_equal(matrix, exchange) else GENERAL2


def _declared_kind(generator: Complexes) -> int:
    """The kind of a declared rotation on one or two targets, whatever its angle is."""
    if not np.any(generator - np.diag(np.diag(generator))):
        return DIAGONAL if len(generator) == 2 else DIAGONAL2
    if len(generator) > 2:
        return GENERAL2
    return GENERAL if np.any(generator.real) else REAL


def entries(gate: SmallGate) -> int:
    """How many numbers the table holds for a gate."""
    if not is_many(gate.record):
        return ENTRIES
    matrices = 1 if gate.expression < 0 else 3
    return matrices << 2 * gate.record.targets


def padded(matrices: Complexes, entries: int = ENTRIES) -> Complexes:
    """Return matrices (…, s, s) as rows of a table of coefficients, (…, entries)."""
    size = matrices.shape[-1] ** 2
    result = np.zeros((*matrices.shape[:-2], entries), dtype=np.complex128)
    result[..., :size] = matrices.reshape(*matrices.shape[:-2], size)
    return result
