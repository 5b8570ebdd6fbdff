"""Runs of gates as matrices, and derivatives by the angles inside them.

A run is a product of *pieces*: gates with an angle, and what stands between two of them multiplied
out once and for all. With P_i the product of the pieces up to and including the i-th, a rotation
exp(-i a G/2), and the generator carried back to where the run starts,

    B_i = P_i† G P_i,     ∂f/∂a_i = Im tr(B_i M),     M = R A,

R the state and A the observable just before the run. Along a direction in which the angles change by
ȧ the run changes as V̇ = V Ω, Ω = -(i/2) Σ_i ȧ_i B_i.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.flow import Flow, SmallGate

Matrix = NDArray[np.complex128]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Up to this dimension a gate is multiplied as a full matrix, beyond it only the rows it touches.
FULL_UP_TO = 16


@dataclass(frozen=True)
class Embedding:
    """Where a small gate acts: `rows[a]` are the basis states with local state a and all controls 1."""

    rows: Ints

    @classmethod
    def of(cls, gate: SmallGate, dimension: int) -> Embedding:
        """Return the places of a gate in a space of some dimension."""
        states = np.arange(dimension)
        targets = sum(1 << q for q in gate.targets)
        base = states[(states & targets == 0) & (states & gate.controls == gate.controls)]
        local = [
            sum(1 << q for bit, q in enumerate(gate.targets) if a >> bit & 1)
            for a in range(1 << len(gate.targets))
        ]
        return cls(np.array([base | pattern for pattern in local], dtype=np.int64))

    def apply(self, small: Matrix, x: Matrix) -> None:
        """x ← (gate) x, in place; small (P, s, s) or (s, s), x (P, D, columns)."""
        block = x[:, self.rows]
        x[:, self.rows] = (small @ block.reshape(len(x), len(self.rows), -1)).reshape(block.shape)

    def times(self, small: Matrix, x: Matrix) -> Matrix:
        """Return (gate) x for x (P, C, D, D), small (P or 1, 1, s, s) or (s, s)."""
        size, width = self.rows.shape
        lead = x.shape[:-2]
        result = x.copy()
        block = np.take(x, self.rows.ravel(), axis=-2).reshape(*lead, size, -1)
        result[..., self.rows.ravel(), :] = (small @ block).reshape(*lead, size * width, -1)
        return result

    def embedded(self, small: Matrix, x: Matrix) -> Matrix:
        """Return (small on these places, 0 elsewhere) x, x (P, D, columns)."""
        result = np.zeros_like(x)
        block = x[:, self.rows]
        result[:, self.rows] = (small @ block.reshape(len(x), len(self.rows), -1)).reshape(block.shape)
        return result

    def apply_right(self, small: Matrix, x: Matrix) -> None:
        """x ← x (gate), in place; small (P, s, s) or (s, s), x (P, rows, D)."""
        size, width = self.rows.shape
        columns = self.rows.T.ravel()  # the local states of one place next to each other
        block = np.take(x, columns, axis=2).reshape(*x.shape[:2], width, size)
        gate = small if small.ndim == 2 else small[:, None]
        x[:, :, columns] = (block @ gate).reshape(*x.shape[:2], -1)

    def overlap(self, small: Matrix, m: Matrix) -> Matrix:
        """Return tr((small on these places) m), (P,), for m (P, D, D)."""
        blocks = m[:, self.rows[None, :, :], self.rows[:, None, :]].sum(axis=3)  # [a, b] = Σ m[b, a]
        return np.asarray((small * blocks).sum(axis=(1, 2)))


@dataclass(frozen=True)
class Scatter:
    """How to write all small matrices into full ones at once.

    full = identities; full[gate, row, column] = small.reshape(-1, 16)[gate, entry]
    """

    identities: Matrix
    gate: Ints
    row: Ints
    column: Ints
    entry: Ints


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

    def _piece_count(self, run: Sequence[int]) -> int:
        """How many pieces a run has: its rotations, and what is constant between them."""
        rotated = [i in self.position for i in run]
        starts = sum(not here and (at == 0 or rotated[at - 1]) for at, here in enumerate(rotated))
        return sum(rotated) + starts

    @cached_property
    def frequencies(self) -> Floats:
        """‖∂𝓔/∂a‖ of every rotated instance: the largest difference of eigenvalues of G/2."""
        found = []
        for k, record in enumerate(self.records):
            spectrum = record.spectrum / 2
            controlled = len(self.embeddings[self.rotated[k]].rows[0]) << record.targets < self.dimension
            low, high = float(spectrum[0]), float(spectrum[-1])
            found.append(max(high, 0.0) - min(low, 0.0) if controlled else high - low)
        return np.array(found)

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
            part = np.stack(
                [np.full((size * size, width), k), rows[a], rows[b], (4 * a + b)[:, None] + 0 * rows[a]]
            )
            parts.append(part.reshape(4, -1))
        gate, row, column, entry = (
            np.concatenate(parts, axis=1) if parts else np.empty((4, 0), dtype=np.int64)
        )
        identities = np.zeros((len(self.rotated), self.dimension, self.dimension), dtype=complex)
        identities[:] = np.eye(self.dimension)
        return Scatter(identities, gate, row, column, entry)

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

    def at(self, angles: Floats) -> Unitaries:
        """Return the matrices for the angles (P, G) of all rotated instances, in radians."""
        small = np.zeros((len(angles), len(self.rotated), 4, 4), dtype=complex)
        for members in self.by_record.values():
            size = 1 << self.records[members[0]].targets
            small[:, members, :size, :size] = self.records[members[0]].matrix(angles[:, members])
        return Unitaries(self, small)


class Unitaries:
    """The runs of one graph at given angles.

    Attributes:
        runs: V_u, (P or 1, 1, D, D) each; adjoints: V_u†.
    """

    def __init__(self, source: Runs, small: Matrix) -> None:
        self.source = source
        self.small = small
        self.full: Matrix | None = None
        if source.scatter is not None:
            to = source.scatter
            full = np.empty((len(small), *to.identities.shape), dtype=complex)
            full[:] = to.identities
            full[:, to.gate, to.row, to.column] = small.reshape(*small.shape[:2], 16)[:, to.gate, to.entry]
            self.full = full
        self.prefixes: list[list[Matrix]] = []  # up to each rotated piece, where gates are full matrices
        self.runs = [self._multiply(pieces)[:, None] for pieces in source.pieces]
        self.adjoints = [run.conj().swapaxes(-1, -2) for run in self.runs]
        self._carried: dict[int, Matrix] = {}

    def _multiply(self, pieces: Sequence[Piece]) -> Matrix:
        result: Matrix | None = None
        prefixes: list[Matrix] = []
        for piece in pieces:
            if piece.constant is not None:
                result = piece.constant if result is None else piece.constant @ result
            elif self.full is not None:
                gate = self.full[:, piece.instance]
                result = gate if result is None else gate @ result
                prefixes.append(result)
            else:
                result = self._left(piece.instance, self._start() if result is None else result)
        assert result is not None, "a run has at least one gate"
        self.prefixes.append(prefixes)
        return result

    def _start(self) -> Matrix:
        return np.eye(self.source.dimension, dtype=complex)[None]

    def _gate(self, k: int) -> tuple[Embedding, Matrix]:
        embedding = self.source.embeddings[self.source.rotated[k]]
        size = len(embedding.rows)
        return embedding, self.small[:, k, :size, :size]

    def _left(self, k: int, x: Matrix) -> Matrix:
        """V x for one gate, x (P or 1, D, columns)."""
        embedding, small = self._gate(k)
        result = np.repeat(x, len(small), axis=0) if len(x) < len(small) else x.copy()
        embedding.apply(small, result)
        return result

    def by_gates(self, run: int, x: Matrix, adjoint: bool) -> Matrix:
        """Return V x V†, or V† x V, for Hermitian x (P, C, D, D), gate after gate."""
        source = self.source
        result: Matrix = x
        for i in reversed(source.runs[run]) if adjoint else source.runs[run]:
            embedding = source.embeddings[i]
            if i in source.position:
                small = self._gate(source.position[i])[1][:, None]
            else:
                small = source.gates[i].constant()
            if adjoint:
                small = small.conj().swapaxes(-1, -2)
            # g x g† = g (g x)†, as x is Hermitian.
            result = embedding.times(small, embedding.times(small, result).conj().swapaxes(-1, -2))
        return result

    def carried(self, run: int) -> Matrix:
        """Return B_i of every rotation of a run, (P, rotations, D, D)."""
        if run not in self._carried:
            self._carried[run] = self._carry(run)
        return self._carried[run]

    def _carry(self, run: int) -> Matrix:
        if self.full is not None:
            prefix = np.stack(np.broadcast_arrays(*self.prefixes[run]), axis=1)
            generators = self.source.embedded_generators[self.source.rotations[run]]
            return np.asarray(prefix.conj().swapaxes(-1, -2) @ (generators @ prefix))
        found = []
        prefix = self._start()
        for piece in self.source.pieces[run]:
            if piece.constant is not None:
                prefix = piece.constant @ prefix
                continue
            prefix = self._left(piece.instance, prefix)
            embedding, _ = self._gate(piece.instance)
            turned = embedding.embedded(self.source.generator(piece.instance), prefix)
            found.append(prefix.conj().swapaxes(-1, -2) @ turned)
        return np.stack(found, axis=1)

    def injection(self, run: int, state: Matrix, slopes: Floats) -> Matrix | None:
        """Return Σ slope · ½ (R + B R B) over the rotations of a run, R (P, C, D, D) the state before it.

        Args:
            slopes: (P, G) of all rotated instances.

        Returns:
            (P, C, D, D), or None for zero.
        """
        result: Matrix | None = None
        for i, instance in enumerate(self.source.rotations[run]):
            if slopes[:, instance].any():
                b = self.carried(run)[:, i, None]
                part = 0.5 * slopes[:, instance, None, None, None] * (state + b @ state @ b)
                result = part if result is None else result + part
        return result

    def angle_gradients(self, products: Sequence[Matrix | None], columns: int) -> Floats:
        """Return ∂f/∂angle of every rotated instance, (P, k, G).

        Args:
            products: M = R A just before each run, (P, k, D, D); None is 0.
            columns: k.
        """
        rows, count = self.small.shape[:2]
        result = np.zeros((count, rows, columns))
        for run, m in enumerate(products):
            if m is None:
                continue
            if self.full is not None:
                b = self.carried(run)
                flat = b.swapaxes(-1, -2).reshape(*b.shape[:2], -1)
                found = (flat @ m.reshape(*m.shape[:2], -1).swapaxes(-1, -2)).imag  # (P, rotations, k)
                np.add.at(result, self.source.rotations[run], found.swapaxes(0, 1))
            else:
                self._sweep(run, m, result)
        return np.asarray(result.transpose(1, 2, 0))

    def _sweep(self, run: int, m: Matrix, result: Floats) -> None:
        """Im tr(G P_i M P_i†) with P_i M P_i† carried along, only rows and columns that a gate touches."""
        carried = [m[:, c].copy() for c in range(m.shape[1])]
        for piece in self.source.pieces[run]:
            if piece.constant is not None:
                adjoint = piece.constant.conj().swapaxes(-1, -2)
                carried = [piece.constant @ x @ adjoint for x in carried]
                continue
            embedding, small = self._gate(piece.instance)
            generator = self.source.generator(piece.instance)
            for c, x in enumerate(carried):
                embedding.apply(small, x)
                embedding.apply_right(small.conj().swapaxes(-1, -2), x)
                result[piece.instance, :, c] += embedding.overlap(generator, x).imag
