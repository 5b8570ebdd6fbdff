"""Traces: what happens between two meeting points, as linear maps on stacks of matrices.

A trace is the tree of outcomes from one meeting point to the next ones, listed as operations on
numbered registers, each of which holds a stack of matrices (P, C, D, D), P rows of parameters and C
columns that are all treated alike:

    UNITARY src _ u     register ← V_u register V_u†
    MASK    src dst m   dst ← the part of src that a set of outcomes keeps
    RESET   src _ bits  the qubits of the bit mask ← |0>
    TOSS    src dst t   dst ← p_t src;  TOSS_NOT: dst ← (1 - p_t) src
    CHANNEL src _ c     register ← 𝓔_c(register), a noise channel with the probability of its toss
    MARK    src _ k     count the trace of src
    LEAF    src _ s     the run goes on at the s-th target
    END     src         all branches out of src have been listed

Read forwards it moves states on, read backwards it pulls observables back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid.channels import Channel, ChannelMaps

Stack = NDArray[np.complex128]
Op = tuple[int, int, int, int]

UNITARY, MASK, RESET, TOSS, TOSS_NOT, CHANNEL, MARK, LEAF, END = range(9)
BRANCHES = (MASK, TOSS, TOSS_NOT)
TOSSED = (TOSS, TOSS_NOT, CHANNEL)  # what depends on a probability


@dataclass(frozen=True)
class ResetMap:
    """Σ_b |0><b| X |b><0| on some qubits.

    Attributes:
        qubits: highest first.
        kept: the basis states with zeros on those qubits, (K,).
    """

    dimension: int
    qubits: tuple[int, ...]
    kept: NDArray[np.int64]

    @classmethod
    def on(cls, bits: int, dimension: int) -> ResetMap:
        """Return the map for the qubits of a bit mask."""
        states = np.arange(dimension)
        qubits = tuple(q for q in reversed(range(dimension.bit_length())) if bits >> q & 1)
        return cls(dimension, qubits, states[states & bits == 0])

    @cached_property
    def blocks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of every entry that counts, (B, K, 1) and (B, 1, K): both of the same b."""
        states = np.arange(self.dimension)
        cleared = states & ~sum(1 << qubit for qubit in self.qubits)
        rows = np.flatnonzero(cleared == 0)[:, None] | self.kept
        return rows[:, :, None], rows[:, None, :]

    @cached_property
    def coordinates(self) -> NDArray[np.float64]:
        """The map on Hermitian coordinates, (D², D²): its coefficients are real, X and Xᵀ move alike."""
        size = self.dimension**2
        entries = np.eye(size, dtype=complex).reshape(size, self.dimension, self.dimension)
        return np.ascontiguousarray(self.forward(entries).real).reshape(size, size)

    def forward(self, x: Stack) -> Stack:
        """Return the stack with the qubits set to |0>."""
        result = np.zeros_like(x)
        result[..., self.kept[:, None], self.kept] = x[..., *self.blocks].sum(axis=-3)
        return result

    def backward(self, a: Stack) -> Stack:
        """Return Σ_b |b><0| a |0><b|."""
        result = np.zeros_like(a)
        result[..., *self.blocks] = a[..., None, self.kept[:, None], self.kept]
        return result


@dataclass(frozen=True)
class Maps:
    """The numbers behind the operations of the traces of one graph.

    Attributes:
        unitaries, adjoints: V_u and V_u† of every run of gates, (P or 1, 1, D, D).
        masks: for every set of outcomes the entries it keeps, (D, D).
        resets: by bit mask.
        probabilities: of every toss, (P, T). channels: the noise channels.
    """

    unitaries: Sequence[Stack]
    adjoints: Sequence[Stack]
    masks: Sequence[NDArray[np.float64]]
    resets: dict[int, ResetMap]
    probabilities: NDArray[np.float64]
    channels: Sequence[Channel] = ()

    @cached_property
    def noise(self) -> ChannelMaps:
        """The channels with their probabilities."""
        return ChannelMaps(self.channels, self.probabilities)

    def forward(
        self,
        ops: Sequence[Op],
        x: Stack,
        visit: Callable[[int, Stack], None] | None = None,
        last: int = -1,
    ) -> list[Stack]:
        """Return what reaches each leaf; `visit(i, x)` sees the source register before operation i.

        Args:
            last: the operation that is visited last, if what comes after it is not wanted.
        """
        registers: dict[int, Stack] = {0: x}
        leaves: list[Stack] = []
        for i, (code, src, dst, arg) in enumerate(ops):
            x = registers[src]
            if visit is not None:
                visit(i, x)
            if i == last:
                break
            if code == LEAF:
                leaves.append(x)
            elif code in BRANCHES or code in (UNITARY, RESET, CHANNEL):
                registers[dst if code in BRANCHES else src] = self.apply(code, arg, x)
        return leaves

    def apply(self, code: int, arg: int, x: Stack) -> Stack:
        """One operation on a state."""
        if code == UNITARY:
            return np.asarray(self.unitaries[arg] @ x @ self.adjoints[arg])
        if code == MASK:
            return np.asarray(x * self.masks[arg])
        if code == RESET:
            return self.resets[arg].forward(x)
        if code == CHANNEL:
            return self.noise.forward(arg, x)
        return np.asarray(x * self.probability(code, arg))

    def apply_adjoint(self, code: int, arg: int, a: Stack) -> Stack:
        """One operation on an observable, from after it to before it."""
        if code == UNITARY:
            return np.asarray(self.adjoints[arg] @ a @ self.unitaries[arg])
        if code == RESET:
            return self.resets[arg].backward(a)
        if code == CHANNEL:
            return self.noise.backward(arg, a)
        return self.apply(code, arg, a)  # masks and probabilities are real and diagonal

    def backward(
        self,
        ops: Sequence[Op],
        leaves: Sequence[Stack | None],
        visit: Callable[[int, Stack, Stack], None] | None = None,
        first: int = 0,
    ) -> Stack | None:
        """Return what the leaves' observables are at the start; None stands for zero.

        `visit(i, after, before)` sees the observable on both sides of operation i: `after` in the
        register it leads to, `before` what this operation alone pulls back. Nothing is done before
        operation `first`, and nothing returned if that is not the start.
        """
        registers: dict[int, Stack | None] = {}
        for i in range(len(ops) - 1, first - 1, -1):
            code, src, dst, arg = ops[i]
            if code == LEAF:
                registers[src] = leaves[arg]
                continue
            if code == END:
                registers[src] = None
                continue
            after = registers[dst if code in BRANCHES else src]
            if after is None:
                continue
            before = after if code == MARK else self.apply_adjoint(code, arg, after)
            if visit is not None:
                visit(i, after, before)
            if code in BRANCHES:
                other = registers[src]
                registers[src] = before if other is None else other + before
            else:
                registers[src] = before
        return None if first else registers[0]

    def probability(self, code: int, toss: int) -> NDArray[np.float64]:
        """The probability of one side of a toss, (P, 1, 1, 1)."""
        p = self.probabilities[:, toss, None, None, None]
        return p if code == TOSS else 1.0 - p


def mask(qubits: Sequence[int], kept: frozenset[int], dimension: int) -> NDArray[np.float64]:
    """Return 1 at the entries whose row and column agree on an outcome in `kept`, else 0, (D, D)."""
    states = np.arange(dimension)
    outcome = np.zeros(dimension, dtype=np.int64)
    for bit, qubit in enumerate(qubits):
        outcome |= ((states >> qubit) & 1) << bit
    keeps = np.isin(outcome, list(kept))
    return np.asarray((outcome[:, None] == outcome) & keeps[:, None], dtype=float)
