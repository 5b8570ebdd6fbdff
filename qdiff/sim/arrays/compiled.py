"""States in compiled loops: the same operations in Numba, with the kernels of `qdiff.sim.pure`.

States are float (B, 2, D), real and imaginary parts apart, in double or single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.sim.arrays import loops
from qdiff.sim.arrays.operators import Operators
from qdiff.sim.arrays.primitives import (
    Complexes,
    Floats,
    Ints,
    checked_alike,
    checked_contiguous,
    checked_matrix,
    checked_numbers,
    checked_permutation,
    checked_places,
    checked_register,
    checked_states,
)
from qdiff.sim.arrays.standard import REAL
from qdiff.sim.pure import kernels
from qdiff.sim.pure.plan import ENTRIES, FIELDS_END, FIRST, GENERAL, GENERAL2, MANY, SECOND, placed


class CompiledLibrary:
    """States in memory, worked on by compiled loops; see `primitives.ArrayLibrary`.

    Args:
        dtype: "complex128" or "complex64".
    """

    name = "numba"
    device = "cpu"
    fixed_shapes = False

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.real = np.dtype(REAL[dtype])

    # --- States -----------------------------------------------------------------------------------

    def zeros(self, rows: int, qubits: int) -> Floats:
        """See `ArrayLibrary`."""
        states = np.zeros((rows, 2, 1 << qubits), dtype=self.real)
        states[:, 0, 0] = 1.0
        return states

    def from_numpy(self, states: NDArray[np.complexfloating[Any, Any]]) -> Floats:
        """See `ArrayLibrary`."""
        checked_states(states.shape)
        return np.stack([states.real, states.imag], axis=1).astype(self.real)

    def to_numpy(self, array: NDArray[Any]) -> NDArray[Any]:
        """See `ArrayLibrary`."""
        if array.ndim != 3 or np.iscomplexobj(array):
            return array
        return (array[:, 0] + 1j * array[:, 1]).astype(self.dtype)

    def constant(self, array: NDArray[Any]) -> Complexes:
        """See `ArrayLibrary`."""
        return np.ascontiguousarray(array, dtype=np.complex128)

    def copy(self, states: Floats) -> Floats:
        """See `ArrayLibrary`."""
        self._qubits(states, anyhow=True)
        return states.copy(order="C")

    def rows(self, states: Floats, index: Ints) -> Floats:
        """See `ArrayLibrary`."""
        self._qubits(states)
        return np.take(states, index, axis=0)

    def join(self, parts: Sequence[Floats]) -> Floats:
        """See `ArrayLibrary`."""
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def scale(self, states: Floats, factors: Floats) -> Floats:
        """See `ArrayLibrary`."""
        self._qubits(states)
        checked_numbers("factors", factors, len(states))
        return np.asarray(states * factors.astype(self.real)[:, None, None])

    def add(self, states: Floats, others: Floats) -> Floats:
        """See `ArrayLibrary`."""
        self._alike(states, others)
        return states + others

    # --- Gates ------------------------------------------------------------------------------------

    def apply_matrix(
        self, states: Floats, matrix: Complexes, targets: Sequence[int], controls: Sequence[int] = ()
    ) -> Floats:
        """See `ArrayLibrary`."""
        n = self._qubits(states)
        checked_places(n, targets, controls)
        checked_matrix(np.shape(matrix), len(states), len(targets))
        table = _table(n, tuple(targets), sum(1 << q for q in controls))
        size = 4 ** len(targets)
        coefficients = np.zeros((len(states), 1, max(size, ENTRIES)), dtype=np.complex128)
        coefficients[:, 0, :size] = np.reshape(matrix, (-1, size))
        result = states.copy()
        none, still = np.zeros((len(states), 0, *states.shape[1:]), self.real), np.zeros((len(states), 0, 1))
        kernels.forward(result, none, *table, coefficients, still, *_NO_GENERATOR)
        return result

    def apply_diagonal(self, states: Floats, diagonal: Complexes, qubits: Sequence[int]) -> Floats:
        """See `ArrayLibrary`."""
        checked_places(self._qubits(states), qubits)
        checked_matrix(np.shape(diagonal), len(states), len(qubits), "diagonal")
        result = np.empty_like(states)
        table = self.constant(np.atleast_2d(diagonal))
        loops.multiplied(states, np.array(qubits, dtype=np.int64), table, result)
        return result

    def permute(self, states: Floats, source: Ints, phases: Complexes | None = None) -> Floats:
        """See `ArrayLibrary`."""
        n = self._qubits(states)
        checked_permutation(source, n)
        moved = np.take(states, source, axis=2)
        return moved if phases is None else self.apply_diagonal(moved, phases, range(n))

    # --- Outcomes -----------------------------------------------------------------------------------

    def probabilities(self, states: Floats, qubits: Sequence[int]) -> Floats:
        """See `ArrayLibrary`."""
        checked_places(self._qubits(states), qubits)
        result = np.zeros((len(states), 1 << len(qubits)))
        loops.weighed(states, np.array(qubits, dtype=np.int64), result)
        return result

    def project(self, states: Floats, qubits: Sequence[int], outcomes: Ints) -> tuple[Floats, Floats]:
        """See `ArrayLibrary`."""
        checked_numbers("outcomes", outcomes, len(states))
        only = np.zeros((len(states), 1 << len(qubits)))
        only[np.arange(len(states)), outcomes] = 1.0
        kept = self.apply_diagonal(states, self.constant(only), qubits)
        return kept, self.inner(kept, kept).real

    def inner(self, bras: Floats, kets: Floats) -> Complexes:
        """See `ArrayLibrary`."""
        self._alike(bras, kets)
        result = np.empty(len(bras), dtype=np.complex128)
        loops.dots(bras, kets, result)
        return result

    def sample(self, weights: Floats, uniform: Floats) -> Ints:
        """See `ArrayLibrary`."""
        checked_numbers("uniform", uniform, len(weights))
        cumulated = np.cumsum(weights, axis=1)
        total = cumulated[:, -1:]
        below = np.sum(cumulated <= uniform[:, None] * total, axis=1)
        return np.asarray(np.minimum(below, np.sum(cumulated < total, axis=1)))

    # --- Observables --------------------------------------------------------------------------------

    def apply_operators(self, states: Floats, operators: Operators) -> Floats:
        """See `ArrayLibrary`."""
        checked_register(self._qubits(states), operators)
        result, m = np.zeros_like(states), operators.masks
        loops.operated(states, result, m.flips, m.signs, m.kept, m.ones, m.coefficients)
        return result

    def expectations(self, states: Floats, operators: Sequence[Operators]) -> Floats:
        """See `ArrayLibrary`."""
        found = [self.inner(states, self.apply_operators(states, operator)).real for operator in operators]
        return np.array(found).reshape(len(operators), len(states)).T.copy()

    def transitions(
        self, kets: Floats, bras: Floats, targets: Sequence[int], controls: Sequence[int] = ()
    ) -> Complexes:
        """See `ArrayLibrary`."""
        n = self._alike(kets, bras)
        checked_places(n, targets, controls)
        size = 1 << len(targets)
        result = np.zeros((len(kets), size, size), dtype=np.complex128)
        places = placed(MANY, targets, 0, n).places
        where = np.array(targets, dtype=np.int64), np.array(places, dtype=np.int64)
        loops.traced(kets, bras, *where, sum(1 << q for q in controls), result)
        return result

    # --- What is handed in --------------------------------------------------------------------------

    def _qubits(self, states: object, anyhow: bool = False) -> int:
        """Check states and return the number of qubits."""
        if not isinstance(states, np.ndarray):
            kind = f"{type(states).__module__}.{type(states).__qualname__}"
            raise QdiffError(
                f"States of numba are NumPy arrays (rows, 2, 2^n) of {self.real.name}, got {kind}. Make them "
                "with `from_numpy`."
            )
        if states.dtype != self.real or states.ndim != 3 or states.shape[1] != 2:
            raise QdiffError(
                f"States of numba are {self.real.name} (rows, 2, 2^n), real and imaginary parts apart; got "
                f"{states.dtype} {states.shape}. Make them with `from_numpy`."
            )
        checked_contiguous(anyhow or states.flags.c_contiguous)
        return checked_states((len(states), states.shape[2]))

    def _alike(self, states: Floats, others: Floats) -> int:
        qubits = self._qubits(states)
        self._qubits(others)
        checked_alike(states.shape, others.shape)
        return qubits


_NO_GENERATOR = (
    np.zeros(2, dtype=np.int64),
    np.zeros(0, dtype=np.int64),
    np.zeros(0, dtype=np.int64),
    np.zeros(0, dtype=np.complex128),
)
_LOOPS = {1: GENERAL, 2: GENERAL2}


@lru_cache(maxsize=256)
def _table(qubits: int, targets: tuple[int, ...], controls: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """A plan of one gate; see `pure.plan.Plan.table`."""
    layout = placed(_LOOPS.get(len(targets), MANY), targets, controls, qubits)
    row = list(layout.row)
    row[FIELDS_END] = len(layout.fields)
    if layout.places:
        row[FIRST], row[SECOND] = 0, len(layout.places)
    return (
        np.array([row], dtype=np.int64),
        np.array([(1 << position) - 1 for position, _ in layout.fields], dtype=np.int64),
        np.array([width for _, width in layout.fields], dtype=np.int64),
        np.array(layout.places, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
    )
