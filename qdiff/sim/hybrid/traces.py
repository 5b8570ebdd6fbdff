"""Traces: what happens between two meeting points, as linear maps on stacks of matrices.

A trace is the tree of outcomes from one meeting point to the next ones, listed as operations on
numbered registers, each of which holds a stack of matrices (B, D, D):

    UNITARY src _ u     register ← V_u register V_u†
    MASK    src dst m   dst ← the part of src that a set of outcomes keeps
    RESET   src _ bits  the qubits of the bit mask ← |0>
    TOSS    src dst t   dst ← p_t src;  TOSS_NOT: dst ← (1 - p_t) src
    MARK    src _ k     count the trace of src
    LEAF    src _ s     the run goes on at the s-th target
    END     src         all branches out of src have been listed

Read forwards it moves states on, read backwards it pulls observables back. The maps are linear, so
the matrices need not be Hermitian (basis elements, Krylov vectors).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Stack = NDArray[np.complex128]
Op = tuple[int, int, int, int]

UNITARY, MASK, RESET, TOSS, TOSS_NOT, MARK, LEAF, END = range(8)


@dataclass(frozen=True)
class ResetMap:
    """Σ_b |0><b| X |b><0| on some qubits.

    Attributes:
        kept: the basis states with zeros on those qubits, (K,).
        rows: `kept` with each pattern b put on them, (2^qubits, K).
    """

    dimension: int
    kept: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def on(cls, bits: int, dimension: int) -> ResetMap:
        """Return the map for the qubits of a bit mask."""
        states = np.arange(dimension)
        kept = states[states & bits == 0]
        patterns = states[states & ~bits == 0]
        return cls(dimension, kept, patterns[:, None] | kept)

    def forward(self, x: Stack) -> Stack:
        """Return the stack with the qubits set to |0>."""
        result = np.zeros_like(x)
        parts = x[:, self.rows[:, :, None], self.rows[:, None, :]]
        result[:, self.kept[:, None], self.kept] = parts.sum(axis=1)
        return result

    def backward(self, a: Stack) -> Stack:
        """Return Σ_b |b><0| a |0><b|."""
        result = np.zeros_like(a)
        result[:, self.rows[:, :, None], self.rows[:, None, :]] = a[:, None, self.kept[:, None], self.kept]
        return result


@dataclass(frozen=True)
class Maps:
    """The numbers behind the operations of the traces of one graph.

    Attributes:
        unitaries, adjoints: V_u and V_u† of every run of gates.
        masks: for every set of outcomes the entries it keeps, (D, D).
        resets: by bit mask.
        probabilities: of every toss.
    """

    unitaries: Sequence[Stack]
    adjoints: Sequence[Stack]
    masks: Sequence[NDArray[np.float64]]
    resets: dict[int, ResetMap]
    probabilities: NDArray[np.float64]

    def forward(
        self, ops: Sequence[Op], x: Stack, visit: Callable[[int, Stack], None] | None = None
    ) -> list[Stack]:
        """Return what reaches each leaf; `visit(i, x)` sees the source register after operation i."""
        registers: dict[int, Stack] = {0: x}
        leaves: list[Stack] = []
        for i, (code, src, dst, arg) in enumerate(ops):
            x = registers[src]
            match code:
                case _ if code == UNITARY:
                    x = registers[src] = self.unitaries[arg] @ x @ self.adjoints[arg]
                case _ if code == MASK:
                    registers[dst] = x * self.masks[arg]
                case _ if code == RESET:
                    x = registers[src] = self.resets[arg].forward(x)
                case _ if code in (TOSS, TOSS_NOT):
                    registers[dst] = x * self.probability(code, arg)
                case _ if code == LEAF:
                    leaves.append(x)
            if visit is not None:
                visit(i, x)
        return leaves

    def backward(
        self,
        ops: Sequence[Op],
        leaves: Sequence[Stack | None],
        visit: Callable[[int, Stack], None] | None = None,
    ) -> Stack | None:
        """Return what the leaves' observables are at the start; None stands for zero.

        `visit(i, a)` sees the observable just after operation i: in the source register, or for a
        branch in the register it leads to.
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
            branch = code in (MASK, TOSS, TOSS_NOT)
            a = registers[dst if branch else src]
            if a is None:
                continue
            if visit is not None:
                visit(i, a)
            if code == UNITARY:
                registers[src] = self.adjoints[arg] @ a @ self.unitaries[arg]
            elif code == RESET:
                registers[src] = self.resets[arg].backward(a)
            elif branch:
                a = a * (self.masks[arg] if code == MASK else self.probability(code, arg))
                before = registers[src]
                registers[src] = a if before is None else before + a
        return registers[0]

    def probability(self, code: int, toss: int) -> float:
        """The probability of one side of a toss."""
        p = float(self.probabilities[toss])
        return p if code == TOSS else 1.0 - p


def mask(qubits: Sequence[int], kept: frozenset[int], dimension: int) -> NDArray[np.float64]:
    """Return 1 at the entries whose row and column agree on an outcome in `kept`, else 0, (D, D)."""
    states = np.arange(dimension)
    outcome = np.zeros(dimension, dtype=np.int64)
    for bit, qubit in enumerate(qubits):
        outcome |= ((states >> qubit) & 1) << bit
    keeps = np.isin(outcome, list(kept))
    return np.asarray((outcome[:, None] == outcome) & keeps[:, None], dtype=float)
