"""Runs of gates as matrices, and derivatives by the angles inside them.

With P_i the product of the pieces of a run (see `runs`) up to and including the i-th, a rotation
exp(-i a G/2), and the generator (with a drift: the effective generator K(a), see `generators`) carried
back to where the run starts,

    B_i = P_i† G P_i,     ∂f/∂a_i = Im tr(B_i M),     M = R A,

R the state and A the observable just before the run. Along a direction in which the angles change by
ȧ the run changes as V̇ = V Ω, Ω = -(i/2) Σ_i ȧ_i B_i.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.hybrid.embeddings import Embedding
from qdiff.sim.hybrid.generators import Generators
from qdiff.sim.hybrid.runs import Matrix, Piece, Runs


class Unitaries:
    """The runs of one graph at given angles.

    Args:
        angles: (P, G) of all rotated instances, in radians.

    Attributes:
        runs: V_u, (P or 1, 1, D, D) each; adjoints: V_u†.
    """

    def __init__(self, source: Runs, angles: Floats) -> None:
        self.source = source
        self.small = source.small(angles)
        self.generators = Generators(
            source.records, source.rotated_rows, source.drifting, angles, source.dimension
        )
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
