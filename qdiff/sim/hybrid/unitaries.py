"""Runs of gates as matrices, and derivatives by the angles inside them.

A run is a product of *pieces*: gates with an angle, and what stands between two of them multiplied
out once and for all. The derivative of f by the angle of a gate exp(-i a G/2) is Im tr(G M), where
M = R A is state times observable just after it; before the gate it is V† M V.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.flow import Flow, SmallGate

Matrix = NDArray[np.complex128]
Ints = NDArray[np.int64]

# Up to this dimension a gate is multiplied as a full matrix, beyond it only the rows it touches.
FULL_UP_TO = 64


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
        """x ← (gate) x, in place."""
        block = x[self.rows]
        x[self.rows] = (small @ block.reshape(len(self.rows), -1)).reshape(block.shape)

    def overlap(self, small: Matrix, m: Matrix) -> complex:
        """Return the trace of (small on these places) times m."""
        blocks = m[self.rows[None, :, :], self.rows[:, None, :]].sum(axis=2)
        return complex((small * blocks).sum())


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
        self.generators = [_generator(gates[i]) for i in rotated]
        self.by_record: dict[str, list[int]] = {}
        for k, record in enumerate(self.records):
            self.by_record.setdefault(record.name, []).append(k)
        self.pieces = [self._pieces(run, gates) for run in runs]
        self.varying = [any(piece.instance >= 0 for piece in pieces) for pieces in self.pieces]
        self.scatter = self._scatter_indices() if dimension <= FULL_UP_TO else None

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
                    constant = np.eye(self.dimension, dtype=complex)
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

    def at(self, angles: NDArray[np.float64]) -> Unitaries:
        """Return the matrices for the angle of every rotated instance, in radians."""
        small = np.zeros((len(self.rotated), 4, 4), dtype=complex)
        for members in self.by_record.values():
            size = 1 << self.records[members[0]].targets
            small[members, :size, :size] = self.records[members[0]].matrix(angles[members])
        return Unitaries(self, small)


class Unitaries:
    """The runs of one graph at given angles.

    Attributes:
        runs: V_u, (D, D) each; adjoints: V_u†.
    """

    def __init__(self, source: Runs, small: Matrix) -> None:
        self.source = source
        self.small = small
        self.full: Matrix | None = None
        if source.scatter is not None:
            to = source.scatter
            self.full = to.identities.copy()
            self.full[to.gate, to.row, to.column] = small.reshape(-1, 16)[to.gate, to.entry]
            self.full_adjoint = self.full.conj().transpose(0, 2, 1)
        self.runs = [self._multiply(pieces) for pieces in source.pieces]
        self.adjoints = [run.conj().T for run in self.runs]

    def _multiply(self, pieces: Sequence[Piece]) -> Matrix:
        result: Matrix | None = None
        for piece in pieces:
            if piece.constant is not None:
                result = piece.constant if result is None else piece.constant @ result
            else:
                result = self._left(piece.instance, result)
        assert result is not None, "a run has at least one gate"
        return result

    def _gate(self, k: int) -> tuple[Embedding, Matrix]:
        embedding = self.source.embeddings[self.source.rotated[k]]
        size = len(embedding.rows)
        return embedding, self.small[k, :size, :size]

    def _left(self, k: int, x: Matrix | None) -> Matrix:
        """V x for one gate; None stands for the identity."""
        if self.full is not None:
            return np.asarray(self.full[k] if x is None else self.full[k] @ x)
        embedding, small = self._gate(k)
        x = np.eye(self.source.dimension, dtype=complex) if x is None else x.copy()
        embedding.apply(small, x)
        return x

    def _back(self, k: int, m: Matrix) -> Matrix:
        """V† m V for one gate."""
        if self.full is not None:
            return np.asarray(self.full_adjoint[k] @ m @ self.full[k])
        embedding, small = self._gate(k)
        m = m.copy()
        embedding.apply(small.conj().T, m)
        embedding.apply(small.T, m.T)  # m V = (Vᵀ mᵀ)ᵀ, in place on the transposed view
        return m

    def injection(self, run: int, state: Matrix, slopes: NDArray[np.float64]) -> Matrix | None:
        """Return Σ slope · ½ (R + K R K) over the rotated gates of a run, R its state after the run.

        K is the generator of a gate carried to the end of the run; None stands for zero.
        """
        result: Matrix | None = None
        for instance, k in self._carried_generators(run):
            if slopes[instance]:
                part = 0.5 * slopes[instance] * (state + k @ state @ k)
                result = part if result is None else result + part
        return result

    def _carried_generators(self, run: int) -> list[tuple[int, Matrix]]:
        found: list[tuple[int, Matrix]] = []
        after = np.eye(self.source.dimension, dtype=complex)  # the product of the pieces behind
        for piece in reversed(self.source.pieces[run]):
            if piece.constant is not None:
                after = after @ piece.constant
                continue
            embedding, _ = self._gate(piece.instance)
            generator = np.zeros_like(after)
            rows = embedding.rows
            generator[rows[:, None, :], rows[None, :, :]] = self.source.generators[piece.instance][:, :, None]
            found.append((piece.instance, after @ generator @ after.conj().T))
            after = after @ self._left(piece.instance, None)
        return found

    def angle_gradients(self, products: Sequence[Matrix | None]) -> NDArray[np.float64]:
        """Return ∂f/∂angle of every rotated instance from M = R A just after each run (None is 0)."""
        result = np.zeros(len(self.source.rotated))
        for pieces, m in zip(self.source.pieces, products, strict=True):
            if m is None:
                continue
            for i in range(len(pieces) - 1, -1, -1):
                piece = pieces[i]
                if piece.constant is not None:
                    m = piece.constant.conj().T @ m @ piece.constant
                    continue
                embedding, _ = self._gate(piece.instance)
                result[piece.instance] += embedding.overlap(self.source.generators[piece.instance], m).imag
                if i:
                    m = self._back(piece.instance, m)
        return result


def _generator(gate: SmallGate) -> Matrix:
    assert gate.record.generator is not None
    return gate.record.generator
