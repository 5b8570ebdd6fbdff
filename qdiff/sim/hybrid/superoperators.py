"""Traces as real matrices on Hermitian coordinates, all traces of one shape at once.

With y the coordinates of X (see `coordinates`), those of V X V† are y S,

    S[kl, ij] = Re V_ik V*_jl + Im V_il V*_jk;

masks multiply single coordinates, tosses all of them, and resets move them; a noise channel adds up a
few matrices, weighted by its factors (`channel_maps`). States and observables at
a vertex are arrays (P, C, D²), C = K·n columns: K states, each with n moments (see `counted`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np

from qdiff.sim.channel_maps import applied
from qdiff.sim.hybrid.coordinates import Reals, basis, encode
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.shapes import Places, Shape
from qdiff.sim.hybrid.traces import BRANCHES, CHANNEL, LEAF, MASK, RESET, TOSS, UNITARY, Maps, Stack
from qdiff.sim.hybrid.unitaries import Unitaries

TOGETHER = 1 << 10  # runs of gates whose matrices are made at a time
MATRICES = (UNITARY, RESET, CHANNEL)  # what is not diagonal


def conjugation(v: Stack) -> Reals:
    """Return S of X → V X V† for V (..., D, D), (..., D², D²)."""
    d = v.shape[-1]
    columns = v.swapaxes(-1, -2)
    products = columns[..., :, None, :, None] * columns.conj()[..., None, :, None, :]
    found = np.empty(products.shape)  # rows of S next to each other
    np.add(products.real, products.imag.swapaxes(-4, -3), out=found)
    return found.reshape(*v.shape[:-2], d * d, d * d)


class MatrixSteps:
    """Multiplies with the matrices of traces."""

    def __init__(self, graph: Graph, maps: Maps, unitaries: Unitaries, dimension: int) -> None:
        self.graph = graph
        self.maps = maps
        self.unitaries = unitaries
        self.dimension = dimension
        self.masks = [mask.reshape(-1) for mask in maps.masks]
        self._noise: dict[int, Reals] = {}
        self._leaves: dict[int, list[Reals]] = {}
        self._by_leaf: dict[int, tuple[list[Reals], list[Reals]]] = {}

    @cached_property
    def basis(self) -> Stack:
        """The matrices whose coordinates are the unit vectors, (1, D², D, D)."""
        return basis(self.dimension)[None]

    @cached_property
    def runs(self) -> Reals:
        """The matrices of all runs of gates, (P, runs, D², D²)."""
        matrices, size = self.unitaries.matrices, self.dimension**2
        result = np.empty((*matrices.shape[:2], size, size))
        for first in range(0, matrices.shape[1], TOGETHER):
            result[:, first : first + TOGETHER] = conjugation(matrices[:, first : first + TOGETHER])
        return result

    def noise(self, order: int = 0) -> Reals:
        """The matrices of all noise channels, (P, channels, D², D²), or see `ChannelMaps.factors`."""
        if order not in self._noise:
            w, c = self.maps.noise.all_factors(order)
            factors = np.concatenate([w.reshape(*c.shape, 4), c[..., None]], axis=-1)
            result = np.empty((*c.shape, self.dimension**2, self.dimension**2))
            for qubit in {channel.qubit for channel in self.maps.channels}:
                members = [i for i, channel in enumerate(self.maps.channels) if channel.qubit == qubit]
                result[:, members] = np.tensordot(factors[:, members], self._unit_maps(qubit), axes=1)
            self._noise[order] = result
        return self._noise[order]

    def _unit_maps(self, qubit: int) -> Reals:
        """The maps of one factor 1, the others 0: W_00, W_01, W_10, W_11, c, (5, D², D²)."""
        units = np.eye(5)
        found = [applied(self.basis[0], qubit, (u[:4].reshape(2, 2), np.array(u[4]))) for u in units]
        return encode(np.stack(found))

    # --- one vertex ---

    def forward(self, trace: int, y: Reals, skipped: Collection[int] = ()) -> Sequence[Reals | None]:
        """Return what states (P, C, D²) are at each leaf; a matrix has nothing to skip."""
        return [y @ matrix for matrix in self._both(trace)[0]]

    def backward(
        self, trace: int, leaves: Sequence[Reals | None], skipped: Collection[int] = ()
    ) -> Reals | None:
        """Return the observables (P, C, D²) at the start from those at the leaves; None is zero."""
        result: Reals | None = None
        for leaf, adjoint in zip(leaves, self._both(trace)[1], strict=True):
            if leaf is not None:
                part = leaf @ adjoint
                result = part if result is None else result + part
        return result

    def by_leaf(self, trace: int) -> list[Reals]:
        """The matrices to each leaf, (P or 1, D², D²)."""
        return self._both(trace)[0]

    def _both(self, trace: int) -> tuple[list[Reals], list[Reals]]:
        if trace not in self._by_leaf:
            shape, slot = self.graph.shape_of[trace]
            matrices = [leaf[:, slot] for leaf in self.leaves(shape)]
            self._by_leaf[trace] = matrices, [matrix.swapaxes(1, 2) for matrix in matrices]
        return self._by_leaf[trace]

    # --- all traces of a shape ---

    def leaves(self, shape: int) -> list[Reals]:
        """The matrices of all traces of a shape to each leaf, (P or 1, traces, D², D²)."""
        if shape not in self._leaves:
            self._leaves[shape] = self._multiplied(self.graph.shapes[shape])
        return self._leaves[shape]

    def _multiplied(self, shape: Shape) -> list[Reals]:
        """Multiply out all paths; up to the first run or reset a path is diagonal, (P, traces, 1, D²)."""
        size = self.dimension**2
        registers: dict[int, tuple[Reals, bool]] = {0: (np.ones((1, 1, 1, size)), True)}
        leaves: list[Reals] = []
        for (code, src, dst, arg), numbers in zip(shape.ops, shape.numbers, strict=True):
            x, diagonal = registers[src]
            if code == LEAF:
                full = x * np.eye(size) if diagonal else x
                if full.shape[1] < len(shape.traces):
                    full = np.repeat(full, len(shape.traces), axis=1)
                leaves.append(full)
            elif code in BRANCHES:
                registers[dst] = self.apply(code, arg, numbers, x), diagonal
            elif code in MATRICES:
                matrix = self._matrix(code, arg, numbers)
                registers[src] = x.swapaxes(-1, -2) * matrix if diagonal else x @ matrix, False
        return leaves

    def apply(self, code: int, arg: int, numbers: Places, y: Reals) -> Reals:
        """One operation on states (P, lanes, J, D²)."""
        if code in MATRICES:
            return np.asarray(y @ self._matrix(code, arg, numbers))
        if code == MASK:
            return y * self.masks[arg]
        return y * self._probability(code, numbers)

    def apply_adjoint(self, code: int, arg: int, numbers: Places, a: Reals) -> Reals:
        """One operation on observables (P, lanes, J, D²), from after it to before it."""
        if code in MATRICES:
            return np.asarray(a @ self._matrix(code, arg, numbers).swapaxes(-1, -2))
        return self.apply(code, arg, numbers, a)

    def _matrix(self, code: int, arg: int, numbers: Places) -> Reals:
        """Of runs or channels, (P, lanes, D², D²), or of a reset, (D², D²)."""
        if code == RESET:
            return self.maps.resets[arg].coordinates
        return self.runs[:, numbers] if code == UNITARY else self.noise()[:, numbers]

    def _probability(self, code: int, numbers: Places) -> Reals:
        p = self.maps.probabilities[:, numbers, None, None]
        return p if code == TOSS else 1.0 - p
