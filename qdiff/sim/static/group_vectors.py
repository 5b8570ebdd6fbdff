"""Loops over amplitudes as SIMD vectors: what a group of gates on three qubits does to a large state.

A state is two arrays, real and imaginary parts. The lowest bits of an index (`lane_bits`) tell the lanes
of a vector apart: no group acts on them (`exchange` brings qubits there and back). A group acts on bits
b0 < b1 < b2; the place of its local state s = 4 s2 + 2 s1 + s0 is base + s0·2^b0 + s1·2^b1 + s2·2^b2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from qdiff.sim.static.group_sizes import GROUP_QUBITS, LOCAL
from qdiff.sim.static.vector_sizes import VECTOR_BYTES
from qdiff.sim.static.vectors import DOUBLE, FLOAT, I64, Vectors, cgutils

Reals = NDArray[Any]

NUMBERS = 2 * LOCAL * LOCAL
"""Of a matrix of a group: real and imaginary part of each entry, row by row."""
PRODUCT_NUMBERS = 8 * GROUP_QUBITS + 2 * LOCAL
"""Of a product: three matrices, and a phase for each local state."""
PHASES, BACK, ANGLES = 1 << GROUP_QUBITS, 2 << GROUP_QUBITS, 4 << GROUP_QUBITS
"""What `product` does besides the matrices on the qubits of bits 0, 1 and 2; ANGLES: some phases are those of
gates with angles."""
ROWS = 4  # of a matrix at a time: so many chains of additions keep both arithmetic units busy
TILE_ROWS, TILE_COLUMNS = 4, 2  # of a transition matrix at a time: its sums stay in registers


def lane_bits(dtype: Any) -> int:
    """How many low bits of an index tell lanes apart: 3 of float64, 4 of float32."""
    return int(VECTOR_BYTES // np.dtype(dtype).itemsize).bit_length() - 1


class _Writer(Vectors):
    """Writes instructions on amplitudes whose lowest bits are lanes."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        element = str(signature.args[0].dtype)
        self.bits = lane_bits(element)
        number = FLOAT if element == "float32" else DOUBLE
        super().__init__(context, builder, signature, arguments, number, 1 << self.bits)

    def entry(self, data: Any, place: int) -> Any:
        """A number of an array in all lanes."""
        return self.number(data, ir.Constant(I64, place))

    def places(self, base: Any, strides: list[Any]) -> list[Any]:
        """Where the local states are."""
        found = [base]
        for stride in strides:
            found += [self.b.add(place, stride) for place in found]
        return found

    @contextmanager
    def chunks(self, count: Any, strides: list[Any]) -> Iterator[Any]:
        """A loop over all bases: bits are inserted where the group acts, above those of the lanes."""
        with cgutils.for_range(self.b, count) as loop:
            base = self.b.shl(loop.index, ir.Constant(I64, self.bits))
            for stride in strides:
                low = self.b.sub(stride, ir.Constant(I64, 1))
                high = self.b.and_(base, self.b.not_(low))
                base = self.b.or_(self.b.shl(high, ir.Constant(I64, 1)), self.b.and_(base, low))
            yield base

    def listed(self, base: Any, argument: int) -> list[Any]:
        """Where the local states are whose places beyond the base an array says."""
        offsets = self.data(argument)
        return [
            self.b.add(base, self.b.load(self.b.gep(offsets, [ir.Constant(I64, s)]))) for s in range(LOCAL)
        ]

    def strides(self, first: int) -> list[Any]:
        """2^b0, 2^b1, 2^b2, which three arguments are."""
        return [self.arguments[first + i] for i in range(GROUP_QUBITS)]


_INDEX = types.int64


def _act(typing_context: Any, re: Any, im: Any, count: Any, s0: Any, s1: Any, s2: Any, matrix: Any) -> Any:
    """x ← M x on all bases."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        real, imaginary, m = w.data(0), w.data(1), w.data(6)
        with w.chunks(arguments[2], w.strides(3)) as base:
            places = w.places(base, w.strides(3))
            x = [(w.load(real, place), w.load(imaginary, place)) for place in places]
            for first in range(0, LOCAL, ROWS):
                rows = range(first, first + ROWS)
                sums: dict[int, tuple[Any, Any]] = {}
                for t, (a, b) in enumerate(x):
                    for s in rows:
                        p = w.entry(m, 2 * (s * LOCAL + t))
                        if t:
                            sums[s] = w.fma(p, a, sums[s][0]), w.fma(p, b, sums[s][1])
                        else:
                            sums[s] = builder.fmul(p, a), builder.fmul(p, b)
                    for s in rows:
                        q = w.entry(m, 2 * (s * LOCAL + t) + 1)
                        sums[s] = w.fma(builder.fneg(q), b, sums[s][0]), w.fma(q, a, sums[s][1])
                for s in rows:
                    w.store(sums[s][0], real, places[s])
                    w.store(sums[s][1], imaginary, places[s])
        return context.get_dummy_value()

    return types.void(re, im, _INDEX, _INDEX, _INDEX, _INDEX, matrix), generate


def _product(
    typing_context: Any,
    re: Any,
    im: Any,
    count: Any,
    s0: Any,
    s1: Any,
    s2: Any,
    places: Any,
    what: Any,
    n: Any,
) -> Any:
    """x ← (phases, permutation) (A2 ⊗ A1 ⊗ A0) x, or the inverse order, on all bases."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        real, imaginary, numbers = w.data(0), w.data(1), w.data(8)
        what = arguments[7]
        x = [
            (cgutils.alloca_once(builder, w.kind), cgutils.alloca_once(builder, w.kind)) for _ in range(LOCAL)
        ]

        def on(bit: int) -> Any:
            return builder.icmp_unsigned("!=", builder.and_(what, ir.Constant(I64, bit)), ir.Constant(I64, 0))

        def phases() -> None:
            with builder.if_then(on(PHASES)):
                for s, (a, b) in enumerate(x):
                    p, q = (w.entry(numbers, 8 * GROUP_QUBITS + 2 * s + i) for i in range(2))
                    u, v = builder.load(a), builder.load(b)
                    builder.store(w.fma(builder.fneg(q), v, builder.fmul(p, u)), a)
                    builder.store(w.fma(q, u, builder.fmul(p, v)), b)

        with w.chunks(arguments[2], w.strides(3)) as base:
            own, other = w.places(base, w.strides(3)), w.listed(base, 6)
            back = on(BACK)
            for s, (a, b) in enumerate(x):
                place = builder.select(back, other[s], own[s])
                builder.store(w.load(real, place), a)
                builder.store(w.load(imaginary, place), b)
            with builder.if_then(back):
                phases()
            for bit in range(GROUP_QUBITS):
                with builder.if_then(on(1 << bit)):
                    m = [[w.entry(numbers, 8 * bit + 2 * k + i) for i in range(2)] for k in range(4)]
                    for s in range(LOCAL):
                        if s >> bit & 1:
                            continue
                        pair = x[s], x[s | 1 << bit]
                        (a, b), (c, d) = [(builder.load(p), builder.load(q)) for p, q in pair]
                        for row in range(2):
                            (p, q), (r, t) = m[2 * row], m[2 * row + 1]
                            u = w.fma(builder.fneg(q), b, builder.fmul(p, a))
                            v = w.fma(q, a, builder.fmul(p, b))
                            u = w.fma(builder.fneg(t), d, w.fma(r, c, u))
                            v = w.fma(t, c, w.fma(r, d, v))
                            builder.store(u, pair[row][0])
                            builder.store(v, pair[row][1])
            with builder.if_then(builder.not_(back)):
                phases()
            for s, (a, b) in enumerate(x):
                place = builder.select(back, own[s], other[s])
                w.store(builder.load(a), real, place)
                w.store(builder.load(b), imaginary, place)
        return context.get_dummy_value()

    return types.void(re, im, *[_INDEX] * 4, places, _INDEX, n), generate


def _diagonal(
    typing_context: Any,
    xr: Any,
    xi: Any,
    yr: Any,
    yi: Any,
    count: Any,
    s0: Any,
    s1: Any,
    s2: Any,
    places: Any,
    result: Any,
) -> Any:
    """d_s += Im T_ss, local state s at base + places[s]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        data, into = [w.data(i) for i in range(4)], w.data(9)
        sums = w.sums(LOCAL)
        with w.chunks(arguments[4], w.strides(5)) as base:
            for total, place in zip(sums, w.listed(base, 8), strict=True):
                a, b, c, d = (w.load(part, place) for part in data)
                found = w.fma(b, c, builder.load(total))
                builder.store(w.fma(builder.fneg(a), d, found), total)
        for s, total in enumerate(sums):
            w.add_total(total, into, s)
        return context.get_dummy_value()

    return types.void(xr, xi, yr, yi, *[_INDEX] * 4, places, result), generate


def _differences(
    typing_context: Any,
    xr: Any,
    xi: Any,
    yr: Any,
    yi: Any,
    count: Any,
    stride: Any,
    result: Any,
) -> Any:
    """Of one bit: z += Im T00 - Im T11, and u += T01 - conj T10, T = Tr_rest |x><y|."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        data, into, stride = [w.data(i) for i in range(4)], w.data(6), arguments[5]
        sums = w.sums(6)
        with w.chunks(arguments[4], [stride]) as base:
            places = base, builder.add(base, stride)
            (a, b, c, d), (e, f, g, h) = [[w.load(part, place) for part in data] for place in places]
            # x = a + ib, e + if; y = c + id, g + ih
            terms = [
                [(b, c), (builder.fneg(a), d)],
                [(f, g), (builder.fneg(e), h)],
                [(a, g), (b, h)],
                [(e, c), (f, d)],
                [(b, g), (builder.fneg(a), h)],
                [(e, d), (builder.fneg(f), c)],
            ]
            for place, pairs in zip(sums, terms, strict=True):
                total = builder.load(place)
                for left, right in pairs:
                    total = w.fma(left, right, total)
                builder.store(total, place)
        for i in range(3):
            total = builder.fsub(builder.load(sums[2 * i]), builder.load(sums[2 * i + 1]))
            at = builder.gep(into, [ir.Constant(I64, i)])
            builder.store(builder.fadd(builder.load(at), w.total(total)), at)
        return context.get_dummy_value()

    return types.void(xr, xi, yr, yi, _INDEX, _INDEX, result), generate


def _transition(
    typing_context: Any,
    xr: Any,
    xi: Any,
    yr: Any,
    yi: Any,
    count: Any,
    s0: Any,
    s1: Any,
    s2: Any,
    result: Any,
) -> Any:
    """T += Tr_rest |x><y|."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        data, into = [w.data(i) for i in range(4)], w.data(8)
        for row in range(0, LOCAL, TILE_ROWS):
            for column in range(0, LOCAL, TILE_COLUMNS):
                tile = [
                    (s, t) for s in range(row, row + TILE_ROWS) for t in range(column, column + TILE_COLUMNS)
                ]
                found = w.sums(2 * len(tile))
                sums = {(s, t): found[2 * i : 2 * i + 2] for i, (s, t) in enumerate(tile)}
                with w.chunks(arguments[4], w.strides(5)) as base:
                    places = w.places(base, w.strides(5))
                    x = {s: (w.load(data[0], places[s]), w.load(data[1], places[s])) for s, _ in tile}
                    y = {t: (w.load(data[2], places[t]), w.load(data[3], places[t])) for _, t in tile}
                    for s, t in tile:
                        (a, b), (c, d) = x[s], y[t]
                        re, im = (builder.load(place) for place in sums[s, t])
                        builder.store(w.fma(b, d, w.fma(a, c, re)), sums[s, t][0])
                        builder.store(w.fma(builder.fneg(a), d, w.fma(b, c, im)), sums[s, t][1])
                for (s, t), places in sums.items():
                    for part, place in enumerate(places):
                        w.add_total(place, into, 2 * (s * LOCAL + t) + part)
        return context.get_dummy_value()

    return types.void(xr, xi, yr, yi, *[_INDEX] * 4, result), generate


def _exchange(typing_context: Any, x: Any, lane: Any, low: Any, high: Any) -> Any:
    """Of two vectors, at `low` and `high`, exchange the bit that tells them apart and a lane bit."""
    bit = 1 << lane.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        data = w.data(0)
        width = w.count
        if bit >= width:  # float64 has a lane bit less
            return context.get_dummy_value()
        p, q = w.load(data, arguments[2]), w.load(data, arguments[3])
        first = [width + (i ^ bit) if i & bit else i for i in range(width)]
        second = [width + i if i & bit else i | bit for i in range(width)]
        w.store(w.shuffled(p, q, first), data, arguments[2])
        w.store(w.shuffled(p, q, second), data, arguments[3])
        return context.get_dummy_value()

    return types.void(x, lane, _INDEX, _INDEX), generate


act = cast(Callable[[Reals, Reals, int, int, int, int, Reals], None], intrinsic(_act))
"""act(re, im, count, 2^b0, 2^b1, 2^b2, matrix): x ← M x, on `count` bases."""
transition = cast(
    Callable[[Reals, Reals, Reals, Reals, int, int, int, int, Reals], None], intrinsic(_transition)
)
"""transition(xr, xi, yr, yi, count, 2^b0, 2^b1, 2^b2, T): T[s, t] += Σ x_s conj(y_t) over all bases."""
product = cast(
    Callable[[Reals, Reals, int, int, int, int, NDArray[np.int64], int, Reals], None], intrinsic(_product)
)
"""product(re, im, count, 2^b0, 2^b1, 2^b2, places, what, numbers): matrices on single qubits, then phases,
then local state s moves to base + places[s]; with BACK it comes from there, then phases, then matrices."""
diagonal = cast(
    Callable[[Reals, Reals, Reals, Reals, int, int, int, int, NDArray[np.int64], Reals], None],
    intrinsic(_diagonal),
)
"""diagonal(xr, xi, yr, yi, count, 2^b0, 2^b1, 2^b2, places, d): d[s] += Im T_ss."""
differences = cast(Callable[[Reals, Reals, Reals, Reals, int, int, Reals], None], intrinsic(_differences))
"""differences(xr, xi, yr, yi, count, 2^b, (z, Re u, Im u)): z += Im T00 - Im T11, u += T01 - conj T10."""
exchange = cast(Callable[[Reals, int, int, int], None], intrinsic(prefer_literal=True)(_exchange))
"""exchange(x, lane bit, low, high)."""
