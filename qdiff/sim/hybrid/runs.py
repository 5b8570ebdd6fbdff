"""Runs of gates without numbers: what they are made of, and where their matrices go.

A run is a product of *pieces*: gates with an angle, and what stands between two of them multiplied
out once and for all. Made once for a graph; `unitaries` puts in the angles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.exact import Floats
from qdiff.sim.flow import Flow, SmallGate
from qdiff.sim.hybrid.embeddings import Embedding
from qdiff.sim.hybrid.products import Sequences

Matrix = NDArray[np.complex128]
Ints = NDArray[np.int64]

# Up to this dimension a gate is multiplied as a full matrix, beyond it only the rows it touches.
FULL_UP_TO = 16


@dataclass(frozen=True)
class Scatter:
    """How to write all small matrices into full ones at once.

    full = matrices; full[gate, row, column] = small.reshape(-1, s²)[gate, entry]

    Attributes:
        matrices: identities, (G, D, D), and behind them the constant pieces of all runs.
    """

    matrices: Matrix
    gate: Ints
    row: Ints
    column: Ints
    entry: Ints


@dataclass(frozen=True)
class Rotations:
    """The rotations of all runs, run after run.

    Attributes:
        instances: the rotated gate instance of each; runs: the run that it is in.
        firsts: the first of every run, and the end.
    """

    instances: Ints
    runs: Ints
    firsts: Ints


@dataclass(frozen=True)
class Piece:
    """A rotated gate instance, or (instance -1) a constant matrix."""

    instance: int
    constant: Matrix | None = None


class Runs:
    """The runs of one graph, without numbers.

    Args:
        instances: gate and row of counters of every gate instance; runs: the instances of each run.
    """

    def __init__(
        self, flow: Flow, instances: Sequence[tuple[int, int]], runs: Sequence[Sequence[int]], dimension: int
    ) -> None:
        self.dimension = dimension
        gates = [flow.gates[g] for g, _ in instances]
        places: dict[SmallGate, Embedding] = {}
        self.embeddings = [
            places[gate] if gate in places else places.setdefault(gate, Embedding.of(gate, dimension))
            for gate in gates
        ]
        rotated = [i for i, gate in enumerate(gates) if gate.expression >= 0]
        self.rotated = np.array(rotated, dtype=np.int64)
        self.expressions = np.array([gates[i].expression for i in rotated], dtype=np.int64)
        self.rows = np.array([instances[i][1] for i in rotated], dtype=np.int64)
        self.position = {instance: k for k, instance in enumerate(rotated)}
        self.records = [gates[i].record for i in rotated]
        self.by_record: dict[str, list[int]] = {}
        for k, record in enumerate(self.records):
            self.by_record.setdefault(record.name, []).append(k)
        self.largest = max([4, *(1 << record.targets for record in self.records)])  # of small matrices
        self.gates = gates
        self.runs = [tuple(run) for run in runs]
        self.lengths = [len(run) for run in runs]
        self.rotations = [
            np.array([self.position[i] for i in run if i in self.position], dtype=np.int64) for run in runs
        ]
        self.piece_counts = [self._piece_count(run) for run in runs]
        self.varying = [len(rotations) > 0 for rotations in self.rotations]

    @cached_property
    def pieces(self) -> list[list[Piece]]:
        """The pieces of every run: matrices of full size, made when they are first asked for."""
        return [self._pieces(run, self.gates) for run in self.runs]

    @cached_property
    def scatter(self) -> Scatter | None:
        """Where small matrices go in full ones; None where gates are applied by rows."""
        return self._scatter_indices() if self.dimension <= FULL_UP_TO else None

    @cached_property
    def sequences(self) -> Sequences:
        """The pieces of every run by their place in `Scatter.matrices`."""
        constant = len(self.rotated)
        found: list[list[int]] = []
        for pieces in self.pieces:
            found.append([])
            for piece in pieces:
                found[-1].append(piece.instance if piece.constant is None else constant)
                constant += piece.constant is not None
        return Sequences.of(found)

    @cached_property
    def all_rotations(self) -> Rotations:
        """The rotations of all runs."""
        counts = [len(rotations) for rotations in self.rotations]
        return Rotations(
            np.concatenate([np.empty(0, dtype=np.int64), *self.rotations]),
            np.repeat(np.arange(len(counts)), counts),
            np.cumsum([0, *counts]),
        )

    @cached_property
    def rotated_products(self) -> Ints:
        """Where the product up to each rotation is among those of `sequences`."""
        places = [
            self.sequences.place(run, i)
            for run, pieces in enumerate(self.pieces)
            for i, piece in enumerate(pieces)
            if piece.constant is None
        ]
        return np.array(places, dtype=np.int64)

    def _piece_count(self, run: Sequence[int]) -> int:
        """How many pieces a run has: its rotations, and what is constant between them."""
        rotated = [i in self.position for i in run]
        starts = sum(not here and (at == 0 or rotated[at - 1]) for at, here in enumerate(rotated))
        return sum(rotated) + starts

    @cached_property
    def frequencies(self) -> Floats:
        """‖∂𝓔/∂a‖ of every rotated instance: the largest difference of eigenvalues of G/2."""
        return np.array([self.gates[i].frequency for i in self.rotated])

    def _pieces(self, run: Sequence[int], gates: Sequence[SmallGate]) -> list[Piece]:
        pieces: list[Piece] = []
        constant: Matrix | None = None
        for i in run:
            if i in self.position:
                if constant is not None:
                    pieces.append(Piece(-1, constant))
                    constant = None
                pieces.append(Piece(self.position[i]))
            else:
                if constant is None:
                    constant = np.eye(self.dimension, dtype=complex)[None]
                self.embeddings[i].apply(gates[i].constant(), constant)
        if constant is not None:
            pieces.append(Piece(-1, constant))
        return pieces

    def _scatter_indices(self) -> Scatter:
        """Where the entries of all small matrices go in matrices of full size."""
        parts: list[Ints] = []
        for k, instance in enumerate(self.rotated):
            rows = self.embeddings[instance].rows
            size, width = rows.shape
            a, b = np.indices((size, size)).reshape(2, -1)
            entry = (self.largest * a + b)[:, None] + 0 * rows[a]
            part = np.stack([np.full((size * size, width), k), rows[a], rows[b], entry])
            parts.append(part.reshape(4, -1))
        gate, row, column, entry = (
            np.concatenate(parts, axis=1) if parts else np.empty((4, 0), dtype=np.int64)
        )
        identities = np.zeros((len(self.rotated), self.dimension, self.dimension), dtype=complex)
        identities[:] = np.eye(self.dimension)
        constants = [p.constant for pieces in self.pieces for p in pieces if p.constant is not None]
        return Scatter(np.concatenate([identities, *constants]), gate, row, column, entry)

    def generator(self, k: int) -> Matrix:
        """The generator G of a rotated instance on its places."""
        generator = self.records[k].generator
        assert generator is not None
        return generator

    @cached_property
    def embedded_generators(self) -> Matrix:
        """The generators of all rotated instances as full matrices, (G, D, D)."""
        result = np.zeros((len(self.rotated), self.dimension, self.dimension), dtype=complex)
        for k, instance in enumerate(self.rotated):
            rows = self.embeddings[instance].rows
            result[k, rows[:, None, :], rows[None, :, :]] = self.generator(k)[:, :, None]
        return result

    def small(self, angles: Floats) -> Matrix:
        """Return the matrices (P, G, s, s) of all rotated instances for their angles (P, G), in radians."""
        half = angles[:, :, None, None] / 2
        identities, paulis = self.paulis
        small = np.cos(half) * identities - 1j * np.sin(half) * paulis
        for members in self.by_record.values():
            entry = self.records[members[0]]
            if not entry.pauli:
                size = 1 << entry.targets
                small[:, members, :size, :size] = entry.matrix(angles[:, members])
        return small

    @cached_property
    def rotated_rows(self) -> list[Ints]:
        """The basis states that each rotated instance acts on, by local state."""
        return [self.embeddings[instance].rows for instance in self.rotated]

    @cached_property
    def drifting(self) -> frozenset[int]:
        """The rotated instances with a drift."""
        return frozenset(k for k, record in enumerate(self.records) if record.drift is not None)

    @cached_property
    def paulis(self) -> tuple[Floats, Matrix]:
        """1 and G, (G, s, s), of the rotated instances whose G is a product of Pauli matrices."""
        identities = np.zeros((len(self.records), self.largest, self.largest))
        generators = np.zeros((len(self.records), self.largest, self.largest), dtype=complex)
        for k, entry in enumerate(self.records):
            if entry.pauli and entry.generator is not None:
                size = 1 << entry.targets
                identities[k, :size, :size] = np.eye(size)
                generators[k, :size, :size] = entry.generator
        return identities, generators
