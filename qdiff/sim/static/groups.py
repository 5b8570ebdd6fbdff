"""States of many amplitudes: groups of gates on three qubits, block by block, forward and back.

    ψ forward; λ = Oψ; both back, and at every group Tr_rest |ψ><λ|, a transition density matrix, from which
    the derivatives of all its gates follow (`group_matrices`).

Two states of memory for one observable, and a buffer a thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.exact import Floats
from qdiff.sim.generators import effective_generator
from qdiff.sim.static import group_kernels, group_matrices
from qdiff.sim.static.buffers import BufferPool
from qdiff.sim.static.group_kernels import Blocks, Found, Steps, WideGates
from qdiff.sim.static.group_sizes import BLOCK_BITS, GROUP_QUBITS, LOCAL
from qdiff.sim.static.group_tables import GroupTables, SweepTables, group_tables
from qdiff.sim.static.group_vectors import BACK, NUMBERS, PRODUCT_NUMBERS, lane_bits
from qdiff.sim.static.line import Line
from qdiff.sim.static.operators import Operator
from qdiff.sim.static.threads import over_ranges

Ints = NDArray[np.int64]
Reals = NDArray[Any]
Complexes = NDArray[np.complex128]

CHUNKS = 16
"""Into so many parts the blocks of a sweep are cut, whatever the number of threads: sums have one order."""
PAD = 32
"""Numbers behind the real parts of a buffer: without them real and imaginary parts of all local states may
fall into one set of the cache."""


@dataclass(frozen=True, eq=False)
class Bound:
    """The numbers of all groups at one set of parameters, and of their inverses."""

    coefficients: Complexes
    matrices: Reals
    inverses: Reals
    products: Reals
    back: Reals
    wide: Complexes
    wide_back: Complexes

    @property
    def forth(self) -> tuple[Reals, Reals, Complexes]:
        """What steps are done with."""
        return self.matrices, self.products, self.wide

    @property
    def undo(self) -> tuple[Reals, Reals, Complexes]:
        """What they are undone with."""
        return self.inverses, self.back, self.wide_back


class Groups:
    """A line, laid out in groups.

    Args:
        dtype: float64 or float32, of the parts of amplitudes.
    """

    def __init__(self, line: Line, dtype: Any = np.float64, block_bits: int = BLOCK_BITS) -> None:
        self.line = line
        self.dtype = np.dtype(dtype)
        self.lane_bits = lane_bits(self.dtype)
        numbers = {instance: i for i, instance in enumerate(line.instances.instances)}
        self.gates = line.flow.gates
        sequence = [(self.gates[g], numbers[g, row]) for g, row in line.path.gates]
        self.tables: GroupTables = group_tables(sequence, line.qubits, self.lane_bits, block_bits)
        wide = [self.gates[line.instances.instances[i][0]] for i in self.tables.wide]
        self.sizes = [4**gate.record.targets for gate in wide]

        self._local_states = math.isqrt(max(self.sizes, default=1))  # of a wide gate
        self._nothing_asked = np.zeros(len(self.tables.wide), dtype=np.bool_)
        self._shape = 2, 1 << self.tables.bits
        self._no_states = np.empty((0, *self._shape), self.dtype)
        self._buffers = BufferPool(self.dtype)
        self._undone = [_backward(swept.steps) for swept in self.tables.sweeps]

    @property
    def bits(self) -> int:
        """Of the index of a state: at least one for each qubit."""
        return self.tables.bits

    @property
    def places(self) -> tuple[int, ...]:
        """The bit of every qubit in final states."""
        return self.tables.places

    @property
    def steps(self) -> int:
        """How many groups and wide gates are applied."""
        return len(self.tables.dense) - 1 + len(self.tables.phases) + len(self.tables.wide)

    def bound(self, coefficients: Complexes, angles: Floats) -> Bound:
        """Return the numbers at one set of parameters.

        Args:
            coefficients: (N, E). angles: (N,).
        """
        t = self.tables
        dense, products = len(t.dense) - 1, len(t.phases)
        made = Bound(
            coefficients,
            np.empty((dense, NUMBERS), self.dtype),
            np.empty((dense, NUMBERS), self.dtype),
            np.empty((products, PRODUCT_NUMBERS), self.dtype),
            np.empty((products, PRODUCT_NUMBERS), self.dtype),
            *self._wide(coefficients, angles),
        )
        group_matrices.bind(
            t.members, t.dense, t.factors, t.phases, t.diagonals, t.diagonal_starts, coefficients,
            made.matrices, made.inverses, made.products, made.back, _scratch(),
        )  # fmt: skip
        return made

    def _wide(self, coefficients: Complexes, angles: Floats) -> tuple[Complexes, Complexes]:
        """Matrices of wide gates, or of their inverses, and behind each its generator."""
        largest = max(self.sizes, default=1)
        forth = np.zeros((len(self.sizes), 2 * largest), dtype=np.complex128)
        back = forth.copy()
        for w, (i, size) in enumerate(zip(self.tables.wide, self.sizes, strict=True)):
            gate, matrix = self.gates[self.line.instances.instances[i][0]], coefficients[i, :size]
            rows = math.isqrt(size)
            forth[w, :size], back[w, :size] = matrix, matrix.reshape(rows, rows).conj().T.ravel()
            if gate.expression >= 0:
                generator = effective_generator(gate.record, float(angles[i]))
                back[w, size : 2 * size] = generator.ravel()
        return forth, back

    # --- states ---

    def run(self, bound: Bound, psi: Reals, threads: int = 1) -> None:
        """Write the final state, (2, D), qubits at `places`."""
        psi[:] = 0.0
        psi[0, 0] = 1.0
        for swept in self.tables.sweeps:
            self._over_blocks(swept, swept.steps, psi, self._no_states, bound.forth, threads)

    def values(self, bound: Bound, operators: Sequence[Operator], threads: int = 1) -> Floats:
        """Return the expectations, (K,)."""
        with self._buffers.buffer((1, *self._shape)) as states:
            psi = states[0]
            self.run(bound, psi, threads)
            return np.array([operator.expectation(psi, threads) for operator in operators])

    def gradients(
        self,
        bound: Bound,
        operators: Sequence[Operator],
        wanted: NDArray[np.bool_],
        threads: int = 1,
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (K,), and Im <λ|G|ψ> of every instance, (K, N)."""
        with self._buffers.buffer((1 + len(operators), *self._shape)) as states:
            return self._pulled_back(bound, operators, wanted, threads, states[0], states[1:])

    def _pulled_back(
        self,
        bound: Bound,
        operators: Sequence[Operator],
        wanted: NDArray[np.bool_],
        threads: int,
        psi: Reals,
        pulled: Reals,
    ) -> tuple[Floats, Floats]:
        self.run(bound, psi, threads)
        t, width = self.tables, len(operators)
        values = np.array([operator.apply(psi, pulled[k], threads) for k, operator in enumerate(operators)])
        found = _sums(len(t.dense) - 1, len(t.phases), len(t.wide), width)
        for swept, steps in zip(reversed(t.sweeps), reversed(self._undone), strict=True):
            parts = self._over_blocks(swept, steps, psi, pulled, bound.undo, threads, wanted[t.wide])
            dense, products, wide = swept.groups
            for total, part, where in zip(found, parts, (dense, products, products, wide), strict=True):
                total[where] = part
        slopes = np.zeros((width, len(wanted)))
        group_matrices.collect(
            t.members, t.dense, t.factors, t.rows, t.columns, t.values,
            t.diagonals, t.diagonal_starts, t.eigenvalues, bound.coefficients,
            wanted, found.transitions, found.differences, found.local_overlaps, slopes, _scratch(),
        )  # fmt: skip
        for w, i in enumerate(t.wide):
            slopes[:, i] += found.overlaps[w]
        return values, slopes

    # --- blocks ---

    def _over_blocks(
        self,
        swept: SweepTables,
        steps: Ints,
        psi: Reals,
        pulled: Reals,
        numbers: tuple[Reals, Reals, Complexes],
        threads: int,
        asked: NDArray[np.bool_] | None = None,
    ) -> list[Floats]:
        """Do the steps of a sweep, or undo them, on all blocks; return what derivatives are found from.

        Args:
            asked: whether derivatives by wide gates are; None where nothing is undone.
        """
        t, chunks = self.tables, min(CHUNKS, len(swept.bases))
        edges = [len(swept.bases) * i // chunks for i in range(chunks + 1)]
        dense, products, wide = swept.groups
        sums = _sums(*(some.stop - some.start for some in swept.groups), len(pulled), chunks)
        back = asked is not None
        wanted = self._nothing_asked[wide] if asked is None else asked[wide]
        work = Steps(steps, numbers[0][dense], numbers[1][products], t.moves[products])

        def some(first: int, last: int) -> None:
            shape = 1 + len(pulled), 2, (1 << swept.bits) + PAD
            with self._buffers.buffer(shape) as buffer:
                on_blocks(first, last, buffer)

        def on_blocks(first: int, last: int, buffer: Reals) -> None:
            scratch = np.empty(self._local_states, dtype=np.complex128)
            gates = WideGates(t.wide_ops[wide], t.low, t.width, t.local, numbers[2][wide], scratch, wanted)
            for chunk in range(first, last):
                bases = swept.bases[edges[chunk] : edges[chunk + 1]]
                blocks = Blocks(bases, swept.offsets, swept.run, swept.bits, self.lane_bits)
                found = Found(*(total[chunk] for total in sums))
                group_kernels.sweep(psi, pulled, buffer, back, blocks, work, gates, found)

        over_ranges(some, chunks, threads)
        if not back:
            return []
        if chunks == 1:
            return [total[0] for total in sums]
        return [total.sum(axis=0) for total in sums]  # in one order, whatever the threads


def _sums(dense: int, products: int, wide: int, width: int, *chunks: int) -> Found:
    """Zeros for what derivatives are found from."""
    return Found(
        np.zeros((*chunks, dense, width, NUMBERS)),
        np.zeros((*chunks, products, width, GROUP_QUBITS, 3)),
        np.zeros((*chunks, products, width, LOCAL)),
        np.zeros((*chunks, wide, width)),
    )


def _backward(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """The steps of a sweep that is undone."""
    undone = steps.copy()
    undone[steps[:, group_kernels.WHAT] == group_kernels.PRODUCT, group_kernels.FLAGS] |= BACK
    return undone


def _scratch() -> Floats:
    """For `group_matrices`; threads have their own."""
    return np.empty((3, 2, LOCAL, LOCAL))
