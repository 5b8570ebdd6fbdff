"""Runs of gates as matrices, and derivatives by the angles inside them.

A run is a product of *pieces*: gates with an angle, and what stands between two of them multiplied
out once and for all. With P_i the product of the pieces up to and including the i-th, a rotation
exp(-i a G/2), and the generator (with a drift: the effective generator K(a), see `generators`) carried
back to where the run starts,

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

from qdiff.sim.exact import Floats
from qdiff.sim.flow import Flow, SmallGate
from qdiff.sim.hybrid.embeddings import Embedding
from qdiff.sim.hybrid.generators import Generators
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

    def at(self, angles: Floats) -> Unitaries:
        """Return the matrices for the angles (P, G) of all rotated instances, in radians."""
        half = angles[:, :, None, None] / 2
        identities, paulis = self.paulis
        small = np.cos(half) * identities - 1j * np.sin(half) * paulis
        for members in self.by_record.values():
            entry = self.records[members[0]]
            if not entry.pauli:
                size = 1 << entry.targets
                small[:, members, :size, :size] = entry.matrix(angles[:, members])
        generators = Generators(self.records, self.rotated_rows, self.drifting, angles, self.dimension)
        return Unitaries(self, small, generators)

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


class Unitaries:
    """The runs of one graph at given angles.

    Attributes:
        runs: V_u, (P or 1, 1, D, D) each; adjoints: V_u†.
    """

    def __init__(self, source: Runs, small: Matrix, generators: Generators) -> None:
        self.source = source
        self.generators = generators
        self.small = small
        self._carried: dict[int, Matrix] = {}
        if source.scatter is None:
            self.runs = [self._multiply(pieces)[:, None] for pieces in source.pieces]
            self.adjoints = [run.conj().swapaxes(-1, -2) for run in self.runs]
            return
        adjoints = self.matrices.conj().swapaxes(-1, -2)
        self.runs = [self.matrices[:, run, None] for run in range(len(source.runs))]
        self.adjoints = [adjoints[:, run, None] for run in range(len(source.runs))]

    @cached_property
    def matrices(self) -> Matrix:
        """V_u of all runs, (P, runs, D, D); where gates are full matrices, multiplied out together."""
        if self.source.scatter is None:
            shape = (len(self.small), 1, self.source.dimension, self.source.dimension)
            runs = [np.broadcast_to(run, shape) for run in self.runs]
            return np.concatenate([np.empty((shape[0], 0, *shape[2:]), dtype=complex), *runs], axis=1)
        return self.source.sequences.whole(self.partial)

    @cached_property
    def partial(self) -> list[Matrix]:
        """Products up to each piece of all runs (see `Sequences`), where gates are full matrices."""
        small, to = self.small, self.source.scatter
        assert to is not None
        full = np.empty((len(small), *to.matrices.shape), dtype=complex)
        full[:] = to.matrices
        entries = small.reshape(*small.shape[:2], self.source.largest**2)
        full[:, to.gate, to.row, to.column] = entries[:, to.gate, to.entry]
        return self.source.sequences.partial(full)

    def _multiply(self, pieces: Sequence[Piece]) -> Matrix:
        result: Matrix | None = None
        for piece in pieces:
            if piece.constant is not None:
                result = piece.constant if result is None else piece.constant @ result
            else:
                result = self._left(piece.instance, self._start() if result is None else result)
        assert result is not None, "a run has at least one gate"
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
        if self.source.scatter is not None:
            firsts = self.source.all_rotations.firsts
            return self.all_carried[:, firsts[run] : firsts[run + 1]]
        if run not in self._carried:
            self._carried[run] = self._carry(run)
        return self._carried[run]

    @cached_property
    def all_carried(self) -> Matrix:
        """B_i of the rotations of all runs, run after run, (P, rotations, D, D)."""
        rotations = self.source.all_rotations
        if self.source.scatter is None:
            shape = (len(self.small), 0, self.source.dimension, self.source.dimension)
            some = [run for run, varying in enumerate(self.source.varying) if varying]
            found = [np.empty(shape, dtype=complex), *(self.carried(run) for run in some)]
            return np.concatenate(found, axis=1)
        prefix = np.concatenate(self.partial, axis=1)[:, self.source.rotated_products]
        constant = self.source.embedded_generators[rotations.instances]
        generators = self.generators.with_drifts(constant, rotations.instances)
        return np.asarray(prefix.conj().swapaxes(-1, -2) @ (generators @ prefix))

    def _carry(self, run: int) -> Matrix:
        found = []
        prefix = self._start()
        for piece in self.source.pieces[run]:
            if piece.constant is not None:
                prefix = piece.constant @ prefix
                continue
            prefix = self._left(piece.instance, prefix)
            embedding, _ = self._gate(piece.instance)
            turned = embedding.embedded(self.generators.of(piece.instance), prefix)
            found.append(prefix.conj().swapaxes(-1, -2) @ turned)
        return np.stack(found, axis=1)

    def bent(self, run: int, i: int) -> Matrix | None:
        """Return P_i† (dK/da) P_i of the i-th rotation of a run, (P, D, D); None for a constant generator."""
        slope = self.generators.slope(int(self.source.rotations[run][i]))
        if slope is None:
            return None
        prefix, met = self._start(), -1
        for piece in self.source.pieces[run]:
            met += piece.constant is None
            prefix = self._left(piece.instance, prefix) if piece.constant is None else piece.constant @ prefix
            if met == i:
                break
        return np.asarray(prefix.conj().swapaxes(-1, -2) @ slope @ prefix)

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

    def angle_gradients(self, products: Sequence[Matrix | None] | Matrix, columns: int) -> Floats:
        """Return ∂f/∂angle of every rotated instance, (P, k, G).

        Args:
            products: M = R A just before each run, (P, k, D, D), None for 0; or of all (P, runs, k, D, D).
            columns: k.
        """
        if isinstance(products, np.ndarray):
            return self._gradients_of_all(products)
        rows, count = self.small.shape[:2]
        result = np.zeros((count, rows, columns))
        for run, m in enumerate(products):
            if m is None:
                continue
            if self.source.scatter is not None:
                b = self.carried(run)
                flat = b.swapaxes(-1, -2).reshape(*b.shape[:2], -1)
                found = (flat @ m.reshape(*m.shape[:2], -1).swapaxes(-1, -2)).imag  # (P, rotations, k)
                np.add.at(result, self.source.rotations[run], found.swapaxes(0, 1))
            else:
                self._sweep(run, m, result)
        return np.asarray(result.transpose(1, 2, 0))

    def _gradients_of_all(self, products: Matrix) -> Floats:
        """Return ∂f/∂angle of every rotated instance, (P, k, G), from M of all runs, (P, runs, k, D, D)."""
        rotations = self.source.all_rotations
        b = self.all_carried.swapaxes(-1, -2)
        columns = products.shape[2]
        result = np.zeros((self.small.shape[1], len(products), columns))
        for k in range(columns):
            found = (b * products[:, rotations.runs, k]).imag.sum(axis=(-2, -1))
            np.add.at(result[..., k], rotations.instances, found.T)
        return result.transpose(1, 2, 0)

    def _sweep(self, run: int, m: Matrix, result: Floats) -> None:
        """Im tr(G P_i M P_i†) with P_i M P_i† carried along, only rows and columns that a gate touches."""
        carried = [m[:, c].copy() for c in range(m.shape[1])]
        for piece in self.source.pieces[run]:
            if piece.constant is not None:
                adjoint = piece.constant.conj().swapaxes(-1, -2)
                carried = [piece.constant @ x @ adjoint for x in carried]
                continue
            embedding, small = self._gate(piece.instance)
            generator = self.generators.of(piece.instance)
            for c, x in enumerate(carried):
                embedding.apply(small, x)
                embedding.apply_right(small.conj().swapaxes(-1, -2), x)
                result[piece.instance, :, c] += embedding.overlap(generator, x).imag
