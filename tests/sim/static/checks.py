"""What tests of several modules of large registers need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.static.schedule import Gate


def random_state(rng: np.random.Generator, qubits: int) -> NDArray[np.float64]:
    """Real and imaginary parts of a state, (2, D)."""
    psi = rng.normal(size=(2, 1 << qubits))
    return np.asarray(psi / np.linalg.norm(psi))


def check_order(order: Sequence[int], gates: Sequence[Gate]) -> None:
    """All gates come once, on every qubit in the order of the program."""
    assert sorted(order) == list(range(len(gates)))
    last: dict[int, int] = {}
    for g in order:
        for q in gates[g].qubits:
            assert last.get(q, -1) < g
            last[q] = g
