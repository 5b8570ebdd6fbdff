"""A layout as tables of numbers: what compiled sweeps read, and what their matrices are made of.

A *member* is a gate of a dense group or of a factor of a product, a row of a table:

    INSTANCE    TARGETS    T0    T1    T2    CONTROLS    GENERATOR    END

its place in the table of coefficients (`pure.matrices`), how many targets it has and where they and the
controls (a bit mask) are within the group, and where the entries of its generator begin and end; a generator
that is not a constant stands behind the matrix, and GENERATOR is -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.flow import SmallGate
from qdiff.sim.pure.plan import FIELDS, FIELDS_END, FIRST, MANY, SECOND, entries_of_generator, is_many, placed
from qdiff.sim.static.group_kernels import DENSE, EXCHANGE, PRODUCT, STEP_WIDTH, WIDE
from qdiff.sim.static.group_matrices import MEMBER_WIDTH
from qdiff.sim.static.group_sizes import GROUP_QUBITS, LOCAL
from qdiff.sim.static.group_vectors import ANGLES, PHASES
from qdiff.sim.static.layout import Exchange, Group, Layout, Sweep, Wide, laid_out
from qdiff.sim.static.schedule import Gate, factors_of

Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class SweepTables:
    """A sweep: local `bits` of blocks that begin at `bases`; `offsets` of runs of `run` neighbours.

    Attributes:
        steps: (S, STEP_WIDTH); their numbers count from the first of `groups`.
        groups: which dense groups, products and wide gates of the line are here.
    """

    bits: int
    bases: Ints
    offsets: Ints
    run: int
    steps: Ints
    groups: tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class GroupTables:
    """All of a line.

    Attributes:
        bits: of an index. places: the bit of each qubit at the end.
        members: (M, MEMBER_WIDTH); those of dense group g from dense[g] to dense[g + 1], those of qubit i of
            product g from factors[3 g + i] to factors[3 g + i + 1].
        rows, columns, values: entries of generators.
        moves: (products, LOCAL), where local states go; phases: (products, LOCAL), those of fixed gates.
        diagonals: (M', 2 + LOCAL) diagonal gates at angles among the permutations, those of product g from
            diagonal_starts[g] to diagonal_starts[g + 1]: the instance, the size of its matrix, and for each
            local state at the beginning which entry of the diagonal is its phase, or -1.
        eigenvalues: (M', LOCAL), of the generator, its entries at these places.
        wide_ops, low, width, local: where wide gates act; wide: (W,) their instances.
    """

    bits: int
    places: tuple[int, ...]
    sweeps: tuple[SweepTables, ...]
    members: Ints
    dense: Ints
    factors: Ints
    rows: Ints
    columns: Ints
    values: Complexes
    moves: Ints
    phases: Complexes
    diagonals: Ints
    diagonal_starts: Ints
    eigenvalues: NDArray[np.float64]
    wide_ops: Ints
    low: Ints
    width: Ints
    local: Ints
    wide: Ints


def group_tables(
    sequence: Sequence[tuple[SmallGate, int]], qubits: int, lane_bits: int, block_bits: int
) -> GroupTables:
    """Return the tables of gates with the numbers of their instances, the first applied first."""
    sequence = [(gate, i) for gate, i in sequence if gate.record.name != "I"]
    known: dict[int, Gate] = {}
    gates = [known.setdefault(id(gate), _scheduled(gate)) for gate, _ in sequence]
    return _Writer(sequence, gates).written(laid_out(gates, qubits, lane_bits, block_bits))


def _scheduled(gate: SmallGate) -> Gate:
    qubits = frozenset([*gate.targets, *_bits(gate.controls)])
    if gate.expression >= 0:
        generator = gate.record.generator
        if generator is None or gate.record.drift is not None or len(qubits) > GROUP_QUBITS:
            return Gate(qubits)
        return Gate(qubits, permutes=not (generator - np.diag(np.diag(generator))).any())
    return Gate(qubits, permutes=bool((np.count_nonzero(gate.constant(), axis=0) == 1).all()))


def _bits(mask: int) -> list[int]:
    return [q for q in range(mask.bit_length()) if mask >> q & 1]


class _Writer:
    """Writes the tables of a layout."""

    def __init__(self, sequence: Sequence[tuple[SmallGate, int]], gates: Sequence[Gate]) -> None:
        self.sequence = sequence
        self.gates = gates
        self.members: list[tuple[int, ...]] = []
        self.dense_members: list[list[tuple[int, ...]]] = []
        self.factor_members: list[list[tuple[int, ...]]] = []
        self.entries: list[tuple[int, int, complex]] = []
        self.generators: dict[int, tuple[int, int]] = {}
        self.first = 0, 0, 0
        self.moves: list[list[int]] = []
        self.phases: list[list[complex]] = []
        self.diagonals: list[list[int]] = []
        self.diagonal_starts = [0]
        self.eigenvalues: list[list[float]] = []
        self.ops: list[tuple[int, ...]] = []
        self.fields: list[tuple[int, int]] = []
        self.local: list[int] = []
        self.wide: list[int] = []

    def written(self, layout: Layout) -> GroupTables:
        sweeps = tuple(self.sweep(sweep, layout.bits) for sweep in layout.sweeps)
        lists = [*self.dense_members, *self.factor_members]
        starts = np.cumsum([0, *map(len, lists)])
        members = [row for some in lists for row in some]
        return GroupTables(
            bits=layout.bits,
            places=layout.places,
            sweeps=sweeps,
            members=np.array(members, dtype=np.int64).reshape(len(members), MEMBER_WIDTH),
            dense=np.array(starts[: len(self.dense_members) + 1], dtype=np.int64),
            factors=np.array(starts[len(self.dense_members) :], dtype=np.int64),
            rows=np.array([a for a, _, _ in self.entries], dtype=np.int64),
            columns=np.array([b for _, b, _ in self.entries], dtype=np.int64),
            values=np.array([g for _, _, g in self.entries], dtype=np.complex128),
            moves=np.array(self.moves, dtype=np.int64).reshape(len(self.moves), LOCAL),
            phases=np.array(self.phases, dtype=np.complex128).reshape(len(self.phases), LOCAL),
            diagonals=np.array(self.diagonals, dtype=np.int64).reshape(len(self.diagonals), 2 + LOCAL),
            diagonal_starts=np.array(self.diagonal_starts, dtype=np.int64),
            eigenvalues=np.array(self.eigenvalues, dtype=np.float64).reshape(len(self.eigenvalues), LOCAL),
            wide_ops=np.array(self.ops, dtype=np.int64).reshape(len(self.ops), 9),
            low=np.array([(1 << position) - 1 for position, _ in self.fields], dtype=np.int64),
            width=np.array([width for _, width in self.fields], dtype=np.int64),
            local=np.array(self.local, dtype=np.int64),
            wide=np.array(self.wide, dtype=np.int64),
        )

    def sweep(self, sweep: Sweep, bits: int) -> SweepTables:
        rows: list[tuple[int, ...]] = []
        self.first = len(self.dense_members), len(self.moves), len(self.ops)
        for step in sweep.steps:
            match step:
                case Exchange(lane, other):
                    rows.append((EXCHANGE, lane, 1 << other, 0, 0, 0))
                case Group():
                    rows.append(self.group(step))
                case Wide():
                    rows.append((WIDE, 0, 0, 0, self.wide_gate(step, len(sweep.bits)), 0))
        others = [bit for bit in range(bits) if bit not in sweep.bits]
        run = next((i for i, bit in enumerate(sweep.bits) if bit != i), len(sweep.bits))
        return SweepTables(
            bits=len(sweep.bits),
            bases=_spread(others),
            offsets=_spread(sweep.bits[run:]),
            run=1 << run,
            steps=np.array(rows, dtype=np.int64).reshape(len(rows), STEP_WIDTH),
            groups=(
                slice(self.first[0], len(self.dense_members)),
                slice(self.first[1], len(self.moves)),
                slice(self.first[2], len(self.ops)),
            ),
        )

    # --- groups ---

    def group(self, step: Group) -> tuple[int, ...]:
        where = [1 << bit for bit in step.bits]
        if not step.part.product:
            self.dense_members.append([self.member(g, step.position) for g in step.part.gates])
            return (DENSE, *where, len(self.dense_members) - 1 - self.first[0], 0)
        factors: list[list[tuple[int, ...]]] = [[], [], []]
        state, phase = list(range(LOCAL)), [1.0 + 0j] * LOCAL
        first = factors_of(step.part, self.gates)
        for g in step.part.gates:
            gate, instance = self.sequence[g]
            if g in first:
                factors[step.position[gate.targets[0]]].append(self.member(g, {gate.targets[0]: 0}))
            elif gate.expression >= 0:
                entries = [_diagonal_entry(gate, s, step.position) for s in state]
                assert gate.record.generator is not None  # a diagonal one, see `_scheduled`
                eigenvalues = np.diag(gate.record.generator).real
                self.diagonals.append([instance, len(eigenvalues), *entries])
                self.eigenvalues.append([float(eigenvalues[e]) if e >= 0 else 0.0 for e in entries])
            else:
                for s in range(LOCAL):
                    state[s], turned = _moved(gate, state[s], step.position)
                    phase[s] *= turned
        self.factor_members += factors
        self.moves.append([sum(w for i, w in enumerate(where) if s >> i & 1) for s in state])
        self.phases.append(phase)
        flags = sum(1 << i for i, members in enumerate(factors) if members)
        angles = len(self.diagonals) > self.diagonal_starts[-1]
        self.diagonal_starts.append(len(self.diagonals))
        flags |= ANGLES if angles else 0
        flags |= PHASES if angles or any(p != 1 for p in phase) else 0
        return (PRODUCT, *where, len(self.moves) - 1 - self.first[1], flags)

    def member(self, g: int, position: dict[int, int]) -> tuple[int, ...]:
        gate, instance = self.sequence[g]
        targets = [position[q] for q in gate.targets]
        controls = sum(1 << position[q] for q in _bits(gate.controls))
        places = (targets + [0] * GROUP_QUBITS)[:GROUP_QUBITS]
        return (instance, len(targets), *places, controls, *self.generator(gate))

    def generator(self, gate: SmallGate) -> tuple[int, int]:
        """Where the entries of a generator begin and end."""
        if is_many(gate.record):
            return -1, -1
        if id(gate) not in self.generators:
            start = len(self.entries)
            self.entries += entries_of_generator(gate)
            self.generators[id(gate)] = start, len(self.entries)
        return self.generators[id(gate)]

    # --- wide gates ---

    def wide_gate(self, step: Wide, bits: int) -> int:
        gate, instance = self.sequence[step.gate]
        controls = sum(1 << step.place[q] for q in _bits(gate.controls))
        layout = placed(MANY, [step.place[q] for q in gate.targets], controls, bits)
        row = list(layout.row)
        row[FIELDS], row[FIELDS_END] = len(self.fields), len(self.fields) + len(layout.fields)
        row[FIRST], row[SECOND] = len(self.local), len(layout.places)
        self.fields += layout.fields
        self.local += layout.places
        self.ops.append(tuple(row))
        self.wide.append(instance)
        return len(self.ops) - 1 - self.first[2]


def _diagonal_entry(gate: SmallGate, state: int, position: dict[int, int]) -> int:
    """Which entry of its diagonal a gate multiplies a local state by; -1 where controls are 0."""
    if any(not state >> position[q] & 1 for q in _bits(gate.controls)):
        return -1
    return sum((state >> position[q] & 1) << i for i, q in enumerate(gate.targets))


def _moved(gate: SmallGate, state: int, position: dict[int, int]) -> tuple[int, complex]:
    """Where a permutation with phases takes a local state, and its phase."""
    if any(not state >> position[q] & 1 for q in _bits(gate.controls)):
        return state, 1.0
    matrix = gate.constant()
    column = sum((state >> position[q] & 1) << i for i, q in enumerate(gate.targets))
    row = int(np.flatnonzero(matrix[:, column])[0])
    for i, q in enumerate(gate.targets):
        state = state & ~(1 << position[q]) | (row >> i & 1) << position[q]
    return state, complex(matrix[row, column])


def _spread(bits: Sequence[int]) -> Ints:
    """All sums of 2^bit over some of the bits, ascending where the bits are."""
    found = np.zeros(1, dtype=np.int64)
    for bit in bits:
        found = np.concatenate([found, found + (1 << bit)])
    return found
