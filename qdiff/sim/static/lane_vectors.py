"""Loops over planes of components as explicit SIMD vectors: a number of every lane, or one alone.

Each exists for one lane and for `LANES`, a vector; both do the same arithmetic in the same order, so that a
set of parameters gives the same bits in a batch and alone. Component k of the state that begins at `at` is
the `count` numbers from at + k·count on. On a processor with shorter vectors LLVM splits them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

cgutils: Any = _cgutils
Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

LANES = 8

_I64, _DOUBLE, _INDEX = ir.IntType(64), ir.DoubleType(), types.int64


class _Writer:
    """Writes instructions on `count` numbers at a time: of a vector, or of a scalar for one."""

    def __init__(self, count: int, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.count, self.b = count, builder
        self.kind = _DOUBLE if count == 1 else ir.VectorType(_DOUBLE, count)
        self.arguments = arguments

        def data(argument: int) -> Any:
            return context.make_array(signature.args[argument])(context, builder, arguments[argument]).data

        self.data = data

    def integer(self, data: Any, index: Any) -> Any:
        return self.b.sext(self.b.load(self.b.gep(data, [index])), _I64)

    def place(self, at: Any, component: Any) -> Any:
        """Where a component begins."""
        return self.b.add(at, self.b.mul(component, ir.Constant(_I64, self.count)))

    def load(self, data: Any, index: Any) -> Any:
        found = self.b.load(self.b.bitcast(self.b.gep(data, [index]), self.kind.as_pointer()))
        found.align = 8
        return found

    def store(self, value: Any, data: Any, index: Any) -> None:
        self.b.store(value, self.b.bitcast(self.b.gep(data, [index]), self.kind.as_pointer())).align = 8

    def number(self, data: Any, index: Any) -> Any:
        """One number for all lanes."""
        one = self.b.load(self.b.gep(data, [index]))
        if self.count == 1:
            return one
        nothing, integer = ir.Constant(self.kind, ir.Undefined), ir.IntType(32)
        first = self.b.insert_element(nothing, one, ir.Constant(integer, 0))
        zeros = ir.Constant(ir.VectorType(integer, self.count), [ir.Constant(integer, 0)] * self.count)
        return self.b.shuffle_vector(first, nothing, zeros)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """x y + z."""
        name = "llvm.fma.f64" if self.count == 1 else f"llvm.fma.v{self.count}f64"
        function = cgutils.get_or_insert_function(
            self.b.module, ir.FunctionType(self.kind, [self.kind] * 3), name
        )
        return self.b.call(function, [x, y, z])

    def variables(self, number: int) -> list[Any]:
        """Sums, 0 at first."""
        zero = ir.Constant(_DOUBLE, 0.0)
        start = zero if self.count == 1 else ir.Constant(self.kind, [zero] * self.count)
        found = [cgutils.alloca_once(self.b, self.kind) for _ in range(number)]
        for place in found:
            self.b.store(start, place)
        return found

    @contextmanager
    def steps(self, start: Any, stop: Any, step: int = 1) -> Iterator[Any]:
        with cgutils.for_range_slice(self.b, start, stop, ir.Constant(_I64, step), inc=True) as (index, _):
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
                found = [w.integer(planes, i), w.integer(planes, builder.add(i, ir.Constant(_I64, 1)))]
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
            sums = w.variables(2)
            with w.steps(arguments[4], arguments[5], 2) as i:
                found = [w.integer(planes, i), w.integer(planes, builder.add(i, ir.Constant(_I64, 1)))]
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
            sums = w.variables(2)
            with w.steps(arguments[4], arguments[5], 2) as i:
                found = [w.integer(planes, i), w.integer(planes, builder.add(i, ir.Constant(_I64, 1)))]
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
            zero = ir.Constant(_I64, 0)
            (value,) = w.variables(1)
            with w.steps(zero, arguments[6]) as i:
                begin = builder.add(arguments[4], i)
                first = w.integer(table, begin)
                last = w.integer(table, builder.add(begin, ir.Constant(_I64, 1)))
                (total,) = w.variables(1)
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
