"""Loops over planes of components as explicit SIMD vectors: a number of every lane, or one alone.

Each exists for one lane and for `LANES`, a vector; both do the same arithmetic in the same order, so that a
set of parameters gives the same bits in a batch and alone. Component k of the state that begins at `at` is
the `count` numbers from at + k·count on.
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

from qdiff.sim.static.vector_sizes import LANES
from qdiff.sim.static.vectors import DOUBLE, I64, Vectors, cgutils

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_INDEX = types.int64


class _Writer(Vectors):
    """Writes instructions on components, `count` numbers each."""

    def __init__(self, count: int, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        super().__init__(context, builder, signature, arguments, DOUBLE, count)

    def integer(self, data: Any, index: Any) -> Any:
        return self.b.sext(self.b.load(self.b.gep(data, [index])), I64)

    def place(self, at: Any, component: Any) -> Any:
        """Where a component begins."""
        return self.b.add(at, self.b.mul(component, ir.Constant(I64, self.count)))

    @contextmanager
    def steps(self, start: Any, stop: Any, step: int = 1) -> Iterator[Any]:
        with cgutils.for_range_slice(self.b, start, stop, ir.Constant(I64, step), inc=True) as (index, _):
            yield index

    def turned(self, x: Any, y: Any, c: Any, s: Any) -> tuple[Any, Any]:
        """(c x - s y, s x + c y)."""
        return self.fma(self.b.fneg(s), y, self.b.fmul(c, x)), self.fma(s, x, self.b.fmul(c, y))


def _turn(count: int, back: bool) -> Any:
    def typed(_: Any, space: Any, table: Any, at: Any, start: Any, stop: Any, c: Any, s: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            w = _Writer(count, context, builder, signature, arguments)
            data, planes = w.data(0), w.data(1)
            cosine, sine = w.load(data, arguments[5]), w.load(data, arguments[6])
            with w.steps(arguments[3], arguments[4], 2) as i:
                found = [w.integer(planes, i), w.integer(planes, builder.add(i, ir.Constant(I64, 1)))]
                u, v = [w.place(arguments[2], component) for component in found]
                u, v = (v, u) if back else (u, v)
                x, y = w.turned(w.load(data, u), w.load(data, v), cosine, sine)
                w.store(x, data, u)
                w.store(y, data, v)
            return context.get_dummy_value()

        return types.void(space, table, *[_INDEX] * 5), generate

    return intrinsic(typed)


def _slope(count: int) -> Any:
    def typed(_: Any, space: Any, table: Any, psi: Any, lam: Any, start: Any, stop: Any, to: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            w = _Writer(count, context, builder, signature, arguments)
            data, planes = w.data(0), w.data(1)
            sums = w.sums(2)
            with w.steps(arguments[4], arguments[5], 2) as i:
                found = [w.integer(planes, i), w.integer(planes, builder.add(i, ir.Constant(I64, 1)))]
                for total, (p, q) in zip(sums, ((1, 0), (0, 1)), strict=True):
                    x = w.load(data, w.place(arguments[3], found[p]))
                    y = w.load(data, w.place(arguments[2], found[q]))
                    builder.store(w.fma(x, y, builder.load(total)), total)
            slope = builder.fsub(builder.load(sums[0]), builder.load(sums[1]))
            w.store(builder.fadd(w.load(data, arguments[6]), slope), data, arguments[6])
            return context.get_dummy_value()

        return types.void(space, table, *[_INDEX] * 5), generate

    return intrinsic(typed)


def _undo(count: int) -> Any:
    def typed(
        _: Any, space: Any, table: Any, psi: Any, lam: Any, start: Any, stop: Any, c: Any, s: Any, to: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            w = _Writer(count, context, builder, signature, arguments)
            data, planes = w.data(0), w.data(1)
            cosine, sine = w.load(data, arguments[6]), w.load(data, arguments[7])
            sums = w.sums(2)
            with w.steps(arguments[4], arguments[5], 2) as i:
                found = [w.integer(planes, i), w.integer(planes, builder.add(i, ir.Constant(I64, 1)))]
                mine, other = [[w.place(at, component) for component in found] for at in arguments[2:4]]
                (x, y), (p, q) = [[w.load(data, place) for place in places] for places in (mine, other)]
                for total, left, right in ((sums[0], q, x), (sums[1], p, y)):
                    builder.store(w.fma(left, right, builder.load(total)), total)
                for (u, v), places in (((x, y), mine), ((p, q), other)):
                    second, first = w.turned(v, u, cosine, sine)
                    w.store(first, data, places[0])
                    w.store(second, data, places[1])
            slope = builder.fsub(builder.load(sums[0]), builder.load(sums[1]))
            w.store(builder.fadd(w.load(data, arguments[8]), slope), data, arguments[8])
            return context.get_dummy_value()

        return types.void(space, table, *[_INDEX] * 7), generate

    return intrinsic(typed)


def _observe(count: int) -> Any:
    def typed(
        _: Any, space: Any, asked: Any, weights: Any, to: Any, begins: Any, sources: Any, n: Any, at: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            w = _Writer(count, context, builder, signature, arguments)
            data, table, numbers = w.data(0), w.data(1), w.data(2)
            zero = ir.Constant(I64, 0)
            (value,) = w.sums(1)
            with w.steps(zero, arguments[6]) as i:
                begin = builder.add(arguments[4], i)
                first = w.integer(table, begin)
                last = w.integer(table, builder.add(begin, ir.Constant(I64, 1)))
                (total,) = w.sums(1)
                with w.steps(first, last) as e:
                    source = w.integer(table, builder.add(arguments[5], e))
                    x = w.load(data, w.place(zero, source))
                    builder.store(w.fma(w.number(numbers, e), x, builder.load(total)), total)
                found = builder.load(total)
                w.store(found, data, w.place(arguments[3], i))
                own = w.load(data, w.place(zero, i))
                builder.store(w.fma(found, own, builder.load(value)), value)
            w.store(builder.load(value), data, arguments[7])
            return context.get_dummy_value()

        return types.void(space, asked, weights, *[_INDEX] * 5), generate

    return intrinsic(typed)


turn_one = cast(Callable[[Floats, Ints, int, int, int, int, int], None], _turn(1, back=False))
turn = cast(Callable[[Floats, Ints, int, int, int, int, int], None], _turn(LANES, back=False))
"""turn(space, table, at, start, stop, c, s): turn the planes table[start:stop] of a state; cos φ is at c."""
turn_one_back = cast(Callable[[Floats, Ints, int, int, int, int, int], None], _turn(1, back=True))
turn_back = cast(Callable[[Floats, Ints, int, int, int, int, int], None], _turn(LANES, back=True))
slope_one = cast(Callable[[Floats, Ints, int, int, int, int, int], None], _slope(1))
slope = cast(Callable[[Floats, Ints, int, int, int, int, int], None], _slope(LANES))
"""slope(space, table, psi, lam, start, stop, to): add Σ (λ_v ψ_u - λ_u ψ_v) over planes to `to`."""
undo_one = cast(Callable[[Floats, Ints, int, int, int, int, int, int, int], None], _undo(1))
undo = cast(Callable[[Floats, Ints, int, int, int, int, int, int, int], None], _undo(LANES))
"""undo(space, table, psi, lam, start, stop, c, s, to): `slope`, and then `turn_back` of both, in one pass."""
observe_one = cast(Callable[[Floats, Ints, Floats, int, int, int, int, int], None], _observe(1))
observe = cast(Callable[[Floats, Ints, Floats, int, int, int, int, int], None], _observe(LANES))
"""observe(space, asked, weights, to, begins, sources, rows, value): a sparse matrix times the state at 0, and
the product of both; row i has the entries from asked[begins + i] on, entry e column asked[sources + e]."""
