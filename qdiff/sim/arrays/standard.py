"""States in any library of the Python array API standard: one code for NumPy, PyTorch, JAX and CuPy.

A register is viewed as a few axes, one for each stretch of qubits that an operation treats alike:

    (B, 2^n)  →  (B, high, 2^k, low)        targets that are neighbours: one batched matrix product
    (B, 2^n)  →  (B, free, 2, free, 2, …)   others: the targets are moved to the end, and back

Large arrays are handled in pieces where the library can write into an array, so that an operation takes
little room besides what it reads and what it returns.
Source: Python array API standard 2024.12, https://data-apis.org/array-api/2024.12
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.sim.arrays.operators import Operators
from qdiff.sim.arrays.primitives import (
    Array,
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

FEW = 8
"""Matrix products over fewer columns than this cost more than bringing the targets to the end."""
PIECE, LARGE_PIECE = 2**16, 2**24
"""Amplitudes of a piece: on a processor it stays in the cache, on a GPU it is a kernel worth its launch."""
REAL = {"complex128": "float64", "complex64": "float32"}


class StandardLibrary:
    """An array namespace on a device; see `primitives.ArrayLibrary` for what it offers.

    Args:
        name: what messages call it. namespace: of the array API standard.
        place: the device as the library wants it; None where it has no choice.
        to_host: makes a NumPy array of one of the library's.
        writes: whether arrays can be written into; if not, `array.at[…].set(…)` returns a changed one.
    """

    def __init__(
        self,
        name: str,
        namespace: Any,
        device: str,
        dtype: str,
        *,
        place: object = None,
        to_host: Callable[[Any], NDArray[Any]] = np.asarray,
        writes: bool = True,
        matmul: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.name, self.device, self.dtype = name, device, dtype
        self.fixed_shapes = not writes
        self.xp = namespace
        self.place = {} if place is None else {"device": place}
        self.writes = writes
        self.complex = getattr(namespace, dtype)
        self.real = getattr(namespace, REAL[dtype])
        self.matmul = matmul or namespace.matmul
        self.piece = PIECE if device == "cpu" else LARGE_PIECE
        self._to_host = to_host
        self._kind = type(namespace.zeros((1, 1), dtype=self.complex, **self.place))

    # --- States -----------------------------------------------------------------------------------

    def zeros(self, rows: int, qubits: int) -> Array:
        """See `ArrayLibrary`."""
        found = self.xp.zeros((rows, 1 << qubits), dtype=self.complex, **self.place)
        return self._put(found, (slice(None), 0), self.xp.ones((rows,), dtype=self.complex, **self.place))

    def from_numpy(self, states: NDArray[np.complexfloating[Any, Any]]) -> Array:
        """See `ArrayLibrary`."""
        checked_states(states.shape)
        return self.constant(states)

    def to_numpy(self, array: Array) -> NDArray[Any]:
        """See `ArrayLibrary`."""
        return self._to_host(array)

    def constant(self, array: NDArray[Any]) -> Array:
        """See `ArrayLibrary`."""
        # A copy: libraries may share the memory of what they are given.
        own = np.array(array, dtype=self.dtype, order="C")
        return self.xp.asarray(own, dtype=self.complex, **self.place)

    def copy(self, states: Array) -> Array:
        """See `ArrayLibrary`."""
        self._qubits(states, anyhow=True)
        return self.xp.take(states, self._whole(np.arange(states.shape[0])), axis=0)

    def rows(self, states: Array, index: Ints) -> Array:
        """See `ArrayLibrary`."""
        self._qubits(states)
        return self.xp.take(states, self._whole(index), axis=0)

    def join(self, parts: Sequence[Array]) -> Array:
        """See `ArrayLibrary`."""
        return parts[0] if len(parts) == 1 else self.xp.concat(list(parts), axis=0)

    def scale(self, states: Array, factors: Floats) -> Array:
        """See `ArrayLibrary`."""
        self._qubits(states)
        checked_numbers("factors", factors, states.shape[0])
        return states * self.constant(factors)[:, None]

    def add(self, states: Array, others: Array) -> Array:
        """See `ArrayLibrary`."""
        self._alike(states, others)
        return states + others

    # --- Gates ------------------------------------------------------------------------------------

    def apply_matrix(
        self, states: Array, matrix: Array, targets: Sequence[int], controls: Sequence[int] = ()
    ) -> Array:
        """See `ArrayLibrary`."""
        n, rows = self._qubits(states), states.shape[0]
        checked_places(n, targets, controls)
        m = self._matrix(matrix, rows, targets)
        low, k = min(targets), len(targets)
        if controls or max(targets) - low + 1 > k or (1 < 1 << low < FEW and n > k):
            return self._scattered(states, m, sorted(targets), sorted(controls), n)
        if low == 0:
            x = self.xp.reshape(states, (rows, -1, 1 << k))
            return self.xp.reshape(self.matmul(x, self.xp.matrix_transpose(m)), states.shape)
        if m.ndim == 2:
            x = self.xp.reshape(states, (-1, 1 << k, 1 << low))
        else:
            x, m = self.xp.reshape(states, (rows, -1, 1 << k, 1 << low)), m[:, None, :, :]
        return self.xp.reshape(self.matmul(m, x), states.shape)

    def apply_diagonal(self, states: Array, diagonal: Array, qubits: Sequence[int]) -> Array:
        """See `ArrayLibrary`."""
        n, rows = self._qubits(states), states.shape[0]
        checked_places(n, qubits)
        d = self._constant(diagonal)
        checked_matrix(d.shape, rows, len(qubits), "diagonal")
        d = self._sorted(self.xp.reshape(d, (-1, *[2] * len(qubits))), qubits, first=1)
        view, axes = split(n, tuple(sorted(qubits)))
        shape = [2 if axis in axes else 1 for axis in range(1, len(view) + 1)]
        x = self.xp.reshape(states, (rows, *view)) * self.xp.reshape(d, (d.shape[0], *shape))
        return self.xp.reshape(x, states.shape)

    def permute(self, states: Array, source: Ints, phases: Array | None = None) -> Array:
        """See `ArrayLibrary`."""
        checked_permutation(source, self._qubits(states))
        moved = self.xp.take(states, self._whole(source), axis=1)
        return moved if phases is None else moved * self._constant(phases)

    def _matrix(self, matrix: Array, rows: int, targets: Sequence[int]) -> Array:
        """A matrix on ascending targets."""
        m, k = self._constant(matrix), len(targets)
        checked_matrix(m.shape, rows, k)
        if list(targets) == sorted(targets):
            return m
        halves = self.xp.reshape(m, (-1, *[2] * (2 * k)))
        halves = self._sorted(self._sorted(halves, targets, first=1), targets, first=1 + k)
        return self.xp.reshape(halves, m.shape)

    def _scattered(self, states: Array, m: Array, targets: list[int], controls: list[int], n: int) -> Array:
        """Apply a matrix on any targets: they are moved to the end, a piece at a time."""
        xp, rows, size = self.xp, states.shape[0], 1 << len(targets)
        many = m.ndim == 3
        flat = xp.matrix_transpose(m)
        if not self.writes:
            where, order, back = moved(n, tuple(targets), tuple(controls))
            x = xp.reshape(states, (rows, *split(n, tuple(sorted([*targets, *controls])))[0]))
            part = xp.permute_dims(x[where], order)
            done = self.matmul(xp.reshape(part, (rows, -1, size)), flat)
            done = xp.permute_dims(xp.reshape(done, part.shape), back)
            return xp.reshape(x.at[where].set(done), states.shape)
        result = self.copy(states) if controls else xp.empty_like(states)
        for part, write in self._pieces(states, targets, controls, n, result):
            mine = flat[part.rows, :, :] if many else flat
            done = self.matmul(xp.reshape(part.values, (part.values.shape[0], -1, size)), mine)
            write(xp.reshape(done, part.values.shape))
        return result

    def _pieces(
        self, states: Array, targets: list[int], controls: list[int], n: int, result: Array | None = None
    ) -> Iterator[tuple[Piece, Callable[[Array], None]]]:
        """Pieces of states where all controls are 1, the targets last; and what writes one into a result."""
        xp = self.xp
        view, _ = split(n, tuple(sorted([*targets, *controls])))
        where, order, back = moved(n, tuple(targets), tuple(controls))
        shape = (states.shape[0], *view)
        x = xp.reshape(states, shape)
        into = None if result is None else xp.reshape(result, shape)
        free = [
            axis
            for axis, index in enumerate(where)
            if index != 1 and axis not in _targets(n, targets, controls)
        ]
        longest = max(free, key=lambda axis: shape[axis])
        each = max(1, shape[longest] * self.piece * 2 ** len(controls) // (states.shape[0] << n))
        for start in range(0, shape[longest], each):
            index = list(where)
            index[longest] = slice(start, min(start + each, shape[longest]))

            def write(values: Array, index: tuple[int | slice, ...] = tuple(index)) -> None:
                assert into is not None
                into[index] = xp.permute_dims(values, back)

            yield (
                Piece(xp.permute_dims(x[tuple(index)], order), index[0] if longest == 0 else slice(None)),
                write,
            )

    # --- Outcomes -----------------------------------------------------------------------------------

    def probabilities(self, states: Array, qubits: Sequence[int]) -> Array:
        """See `ArrayLibrary`."""
        n, rows, xp = self._qubits(states), states.shape[0], self.xp
        checked_places(n, qubits)
        view, axes = split(n, tuple(sorted(qubits)))
        re, im = xp.real(states), xp.imag(states)
        weights = xp.reshape(re * re + im * im, (rows, *view))
        free = tuple(axis for axis in range(1, len(view) + 1) if axis not in axes)
        weights = xp.reshape(xp.sum(weights, axis=free), (rows, *[2] * len(qubits)))
        return xp.reshape(self._listed(weights, qubits), (rows, -1))

    def project(self, states: Array, qubits: Sequence[int], outcomes: Ints) -> tuple[Array, Array]:
        """See `ArrayLibrary`."""
        rows = states.shape[0]
        checked_numbers("outcomes", outcomes, rows)
        only = np.zeros((rows, 1 << len(qubits)))
        only[np.arange(rows), outcomes] = 1.0
        kept = self.apply_diagonal(states, self.constant(only), qubits)
        return kept, self.xp.real(self.xp.vecdot(kept, kept, axis=-1))

    def inner(self, bras: Array, kets: Array) -> Complexes:
        """See `ArrayLibrary`."""
        self._alike(bras, kets)
        found: Complexes = self._to_host(self.xp.vecdot(bras, kets, axis=-1)).astype(np.complex128)
        return found

    def sample(self, weights: Array, uniform: Floats) -> Ints:
        """See `ArrayLibrary`."""
        xp = self.xp
        checked_numbers("uniform", uniform, weights.shape[0])
        cumulated = xp.cumulative_sum(weights, axis=1)
        total = cumulated[:, -1:]
        threshold = (
            xp.asarray(uniform.astype(REAL[self.dtype]), dtype=self.real, **self.place)[:, None] * total
        )
        # Rounding may bring the threshold up to the total: then the last outcome that has a weight.
        below, short = xp.astype(cumulated <= threshold, xp.int32), xp.astype(cumulated < total, xp.int32)
        found: Ints = self._to_host(xp.minimum(xp.sum(below, axis=1), xp.sum(short, axis=1))).astype(np.int64)
        return found

    # --- Observables --------------------------------------------------------------------------------

    def apply_operators(self, states: Array, operators: Operators) -> Array:
        """See `ArrayLibrary`."""
        checked_register(self._qubits(states), operators)
        result = self._flipped(states, operators) if operators.flipped else self.xp.zeros_like(states)
        for targets, matrix in operators.windows:
            result = self._added(result, self.apply_matrix(states, matrix, targets))
        return result

    def _flipped(self, states: Array, operators: Operators) -> Array:
        """The terms outside windows."""
        xp, rows = self.xp, states.shape[0]
        tables = [(f.flip, self.constant(f.high), self.constant(f.low)) for f in operators.flipped]
        high, low = tables[0][1].shape[0], tables[0][2].shape[1]
        x = xp.reshape(states, (rows, high, low))
        each = max(1, self.piece // (rows * low)) if self.writes else high
        result = xp.empty_like(x) if self.writes else None
        for start in range(0, high, each):
            part: Array = None
            for flip, left, right in tables:
                source = np.arange(start, min(start + each, high)) ^ (flip // low)
                moved = x[:, start : min(start + each, high), :]
                if flip >= low:
                    moved = xp.take(x, self._whole(source), axis=1)
                if flip % low:
                    moved = xp.take(moved, self._whole(np.arange(low) ^ (flip % low)), axis=2)
                moved = moved * self.matmul(left[start : min(start + each, high), :], right)
                part = moved if part is None else self._added(part, moved)
            if result is None:
                return xp.reshape(part, states.shape)
            result[:, start : min(start + each, high), :] = part
        return xp.reshape(result, states.shape)

    def expectations(self, states: Array, operators: Sequence[Operators]) -> Floats:
        """See `ArrayLibrary`."""
        found = np.zeros((states.shape[0], len(operators)))
        for k, operator in enumerate(operators):
            found[:, k] = self.inner(states, self.apply_operators(states, operator)).real
        return found

    def transitions(
        self, kets: Array, bras: Array, targets: Sequence[int], controls: Sequence[int] = ()
    ) -> Array:
        """See `ArrayLibrary`."""
        n = self._alike(kets, bras)
        checked_places(n, targets, controls)
        xp, rows, size = self.xp, kets.shape[0], 1 << len(targets)
        ascending = sorted(targets)
        parts: list[Array] = []
        if not self.writes:
            where, order, _ = moved(n, tuple(ascending), tuple(sorted(controls)))
            view, _ = split(n, tuple(sorted([*targets, *controls])))
            x, y = (xp.permute_dims(xp.reshape(z, (rows, *view))[where], order) for z in (kets, bras))
            parts.append(self._traced(x, y, size))
        else:
            by_rows: dict[int, Array] = {}
            both = zip(
                self._pieces(kets, ascending, sorted(controls), n),
                self._pieces(bras, ascending, sorted(controls), n),
                strict=True,
            )
            for (ket, _), (bra, _) in both:
                start = ket.rows.start or 0
                found = self._traced(ket.values, bra.values, size)
                by_rows[start] = found if start not in by_rows else by_rows[start] + found
            parts = [by_rows[start] for start in sorted(by_rows)]
        result = self.join(parts)
        if list(targets) == ascending:
            return result
        halves = xp.reshape(result, (rows, *[2] * (2 * len(targets))))
        halves = self._listed(self._listed(halves, targets, first=1), targets, first=1 + len(targets))
        return xp.reshape(halves, (rows, size, size))

    def _traced(self, x: Array, y: Array, size: int) -> Array:
        """Σ x_a conj(y_b) over all but the rows and the last axis."""
        xp = self.xp
        x, y = (xp.reshape(z, (z.shape[0], -1, size)) for z in (x, y))
        return self.matmul(xp.matrix_transpose(x), xp.conj(y))

    # --- What is small ------------------------------------------------------------------------------

    def _sorted(self, array: Array, qubits: Sequence[int], first: int) -> Array:
        """Bring axes of listed qubits, the first listed last, into the order of the register."""
        return self._ordered(
            array, [len(qubits) - 1 - i for i in sorted(range(len(qubits)), key=lambda i: -qubits[i])], first
        )

    def _listed(self, array: Array, qubits: Sequence[int], first: int = 1) -> Array:
        """The way back from `_sorted`."""
        descending = sorted(qubits, reverse=True)
        return self._ordered(array, [descending.index(q) for q in reversed(qubits)], first)

    def _ordered(self, array: Array, order: list[int], first: int) -> Array:
        if order == sorted(order):
            return array
        axes = [*range(first), *(first + i for i in order), *range(first + len(order), array.ndim)]
        return self.xp.permute_dims(array, axes)

    def _constant(self, array: Array) -> Array:
        return (
            array if isinstance(array, self._kind) and array.dtype == self.complex else self.constant(array)
        )

    def _whole(self, index: Ints) -> Array:
        """Indices on the device."""
        return self.xp.asarray(np.array(index, dtype=np.int64), **self.place)

    def _added(self, x: Array, y: Array) -> Array:
        """x + y, where x is nobody else's."""
        if not self.writes:
            return x + y
        x += y
        return x

    def _put(self, array: Array, index: tuple[int | slice, ...], values: Array) -> Array:
        if not self.writes:
            return array.at[index].set(values)
        array[index] = values
        return array

    # --- What is handed in --------------------------------------------------------------------------

    def _qubits(self, states: Array, anyhow: bool = False) -> int:
        """Check states and return the number of qubits."""
        if not isinstance(states, self._kind):
            raise QdiffError(
                f"States of {self.name} are arrays of {self._kind.__module__}.{self._kind.__qualname__}, got "
                f"{type(states).__module__}.{type(states).__qualname__}. Make them with `from_numpy`."
            )
        if states.dtype != self.complex:
            raise QdiffError(
                f"States of this library are {self.dtype}, got {states.dtype}. Convert them, or open the "
                "library with the dtype that they have."
            )
        qubits = checked_states(states.shape)
        checked_contiguous(anyhow or contiguous(states))
        return qubits

    def _alike(self, states: Array, others: Array) -> int:
        """Check two arrays of states of one shape; return the number of qubits."""
        qubits = self._qubits(states)
        self._qubits(others)
        checked_alike(states.shape, others.shape)
        return qubits


class Piece:
    """Some of the amplitudes, the targets last, and which rows they are of."""

    def __init__(self, values: Array, rows: int | slice) -> None:
        self.values = values
        self.rows = rows if isinstance(rows, slice) else slice(rows, rows + 1)


def contiguous(array: Any) -> bool:
    """Whether an array lies in memory row after row, as far as its library says."""
    tested = getattr(array, "is_contiguous", None)
    if tested is not None:
        return bool(tested())
    flags = getattr(array, "flags", None)
    return flags is None or bool(flags.c_contiguous)


@lru_cache(maxsize=1024)
def split(qubits: int, places: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of a register behind the axis of rows, with an axis for each of some ascending places.

    Returns:
        the shape, and at which axes (counted with that of the rows) the places are, the highest first.
    """
    shape: list[int] = []
    above = qubits
    for place in reversed(places):
        shape += [1 << (above - place - 1), 2]
        above = place
    return (*shape, 1 << above), tuple(2 + 2 * i for i in range(len(places)))


def _targets(qubits: int, targets: Sequence[int], controls: Sequence[int]) -> set[int]:
    """The axes of targets in `split`."""
    places = sorted([*targets, *controls])
    _, axes = split(qubits, tuple(places))
    return {axis for axis, place in zip(axes, reversed(places), strict=True) if place in targets}


@lru_cache(maxsize=1024)
def moved(
    qubits: int, targets: tuple[int, ...], controls: tuple[int, ...]
) -> tuple[tuple[int | slice, ...], tuple[int, ...], tuple[int, ...]]:
    """How ascending targets come to the end where all controls are 1.

    Returns:
        an index into the view of `split`, the order of the axes that are left, and the way back.
    """
    places = sorted([*targets, *controls])
    view, axes = split(qubits, tuple(places))
    of_axis = dict(zip(axes, reversed(places), strict=True))
    where: list[int | slice] = [
        1 if of_axis.get(a) in controls else slice(None) for a in range(len(view) + 1)
    ]
    left = [a for a in range(len(view) + 1) if where[a] != 1]
    order = [i for i, a in enumerate(left) if a not in of_axis] + [
        i for i, a in enumerate(left) if a in of_axis
    ]
    return tuple(where), tuple(order), tuple(int(i) for i in np.argsort(order))
