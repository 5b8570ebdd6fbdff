"""Traces: what happens between two meeting points, as linear maps on stacks of matrices.

A trace is the tree of outcomes from one meeting point to the next ones, listed as operations on
numbered registers, each of which holds a stack of matrices (P, C, D, D), P rows of parameters and C
columns that are all treated alike:

    UNITARY src _ u     register ← V_u register V_u†
    MASK    src dst m   dst ← the part of src that a set of outcomes keeps
    RESET   src _ bits  the qubits of the bit mask ← |0>
    TOSS    src dst t   dst ← p_t src;  TOSS_NOT: dst ← (1 - p_t) src
    MARK    src _ k     count the trace of src
    LEAF    src _ s     the run goes on at the s-th target
    END     src         all branches out of src have been listed

Read forwards it moves states on, read backwards it pulls observables back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Stack = NDArray[np.complex128]
Op = tuple[int, int, int, int]

UNITARY, MASK, RESET, TOSS, TOSS_NOT, MARK, LEAF, END = range(8)
BRANCHES = (MASK, TOSS, TOSS_NOT)


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

    def forward(self, x: Stack) -> Stack:
        """Return the stack with the qubits set to |0>."""
        lead = x.shape[:-2]
        part, size = x, self.dimension
        for qubit in self.qubits:
            low = 1 << qubit
            split = part.reshape(*lead, size // (2 * low), 2, low, size // (2 * low), 2, low)
            part = split[..., :, 0, :, :, 0, :] + split[..., :, 1, :, :, 1, :]
            size //= 2
            part = part.reshape(*lead, size, size)
        result = np.zeros_like(x)
        result[..., self.kept[:, None], self.kept] = part
        return result

    def backward(self, a: Stack) -> Stack:
        """Return Σ_b |b><0| a |0><b|."""
        lead = a.shape[:-2]
        part: Stack = a[..., self.kept[:, None], self.kept]
        size = len(self.kept)
        for qubit in reversed(self.qubits):
            low = 1 << qubit
            split = part.reshape(*lead, size // low, low, size // low, low)
            wider = np.zeros((*lead, size // low, 2, low, size // low, 2, low), dtype=a.dtype)
            wider[..., :, 0, :, :, 0, :] = split
            wider[..., :, 1, :, :, 1, :] = split
            size *= 2
            part = wider.reshape(*lead, size, size)
        return part


@dataclass(frozen=True)
class Maps:
    """The numbers behind the operations of the traces of one graph.

    Attributes:
        unitaries, adjoints: V_u and V_u† of every run of gates, (P or 1, 1, D, D).
        masks: for every set of outcomes the entries it keeps, (D, D).
        resets: by bit mask.
        probabilities: of every toss, (P, T).
    """

    unitaries: Sequence[Stack]
    adjoints: Sequence[Stack]
    masks: Sequence[NDArray[np.float64]]
    resets: dict[int, ResetMap]
    probabilities: NDArray[np.float64]

    def forward(
        self, ops: Sequence[Op], x: Stack, visit: Callable[[int, Stack], None] | None = None
    ) -> list[Stack]:
        """Return what reaches each leaf; `visit(i, x)` sees the source register before operation i."""
        registers: dict[int, Stack] = {0: x}
        leaves: list[Stack] = []
        for i, (code, src, dst, arg) in enumerate(ops):
            x = registers[src]
            if visit is not None:
                visit(i, x)
            if code == LEAF:
                leaves.append(x)
            elif code in BRANCHES or code in (UNITARY, RESET):
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
        return np.asarray(x * self.probability(code, arg))

    def apply_adjoint(self, code: int, arg: int, a: Stack) -> Stack:
        """One operation on an observable, from after it to before it."""
        if code == UNITARY:
            return np.asarray(self.adjoints[arg] @ a @ self.unitaries[arg])
        if code == RESET:
            return self.resets[arg].backward(a)
        return self.apply(code, arg, a)  # masks and probabilities are real and diagonal

    def backward(
        self,
        ops: Sequence[Op],
        leaves: Sequence[Stack | None],
        visit: Callable[[int, Stack, Stack], None] | None = None,
    ) -> Stack | None:
        """Return what the leaves' observables are at the start; None stands for zero.

        `visit(i, after, before)` sees the observable on both sides of operation i: `after` in the
        register it leads to, `before` what this operation alone pulls back.
        """
        registers: dict[int, Stack | None] = {}
        for i in range(len(ops) - 1, -1, -1):
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
        return registers[0]

    def probability(self, code: int, toss: int) -> NDArray[np.float64]:
        """The probability of one side of a toss, (P, 1, 1, 1)."""
        p = self.probabilities[:, toss, None, None, None]
        return p if code == TOSS else 1.0 - p


def added(one: Stack | None, other: Stack | None) -> Stack | None:
    """The sum of two stacks; None is zero."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def mask(qubits: Sequence[int], kept: frozenset[int], dimension: int) -> NDArray[np.float64]:
    """Return 1 at the entries whose row and column agree on an outcome in `kept`, else 0, (D, D)."""
    states = np.arange(dimension)
    outcome = np.zeros(dimension, dtype=np.int64)
    for bit, qubit in enumerate(qubits):
        outcome |= ((states >> qubit) & 1) << bit
    keeps = np.isin(outcome, list(kept))
    return np.asarray((outcome[:, None] == outcome) & keeps[:, None], dtype=float)
