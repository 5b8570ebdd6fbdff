"""Where small gates act in a larger space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.flow import SmallGate

Matrix = NDArray[np.complex128]
Ints = NDArray[np.int64]


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
