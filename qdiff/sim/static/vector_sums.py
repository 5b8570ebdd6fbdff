"""Sums over a block of amplitudes with permuted neighbours, as explicit SIMD vectors.

    add_products:   y_j += c t_j x_{start + (j ^ flip)}
    add_signed:     y_j += c (-1)^{|j & signs|} x_{start + (j ^ flip)}

for the real and for the imaginary part of y at once. A vector has eight numbers: flips of the lowest three
bits are a permutation inside of a vector, others say where the vector comes from. Numba's own vectoriser
makes vectors of neither. x may be float32; everything else is float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

cgutils: Any = _cgutils
Reals = NDArray[Any]  # float64 or float32
Floats = NDArray[np.float64]

LANES = 8

_I32, _I64, _DOUBLE = ir.IntType(32), ir.IntType(64), ir.DoubleType()
_VECTOR, _BITS = ir.VectorType(_DOUBLE, LANES), ir.VectorType(_I64, LANES)
_INDEX, _NUMBER = types.int64, types.float64


class _Arrays:
    """The data of arrays among the arguments of an intrinsic, read and written as vectors of float64."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.builder, self.types, self.arguments = context, builder, signature.args, arguments

    def _pointer(self, argument: int, place: Any) -> tuple[Any, int]:
        make = self.context.make_array(self.types[argument])
        data = make(self.context, self.builder, self.arguments[argument]).data
        vector = ir.VectorType(data.type.pointee, LANES)
        pointer = self.builder.bitcast(self.builder.gep(data, [place]), vector.as_pointer())
        return pointer, self.types[argument].dtype.bitwidth // 8

    def load(self, argument: int, place: Any) -> Any:
        pointer, align = self._pointer(argument, place)
        found = self.builder.load(pointer)
        found.align = align
        return found if found.type == _VECTOR else self.builder.fpext(found, _VECTOR)

    def store(self, value: Any, argument: int, place: Any) -> None:
        pointer, align = self._pointer(argument, place)
        self.builder.store(value, pointer).align = align

    def everywhere(self, value: Any, vector: Any) -> Any:
        """A value in all lanes of a vector."""
        first = self.builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_I32, 0))
        return self.permuted(first, [0] * LANES)

    def permuted(self, x: Any, order: list[int]) -> Any:
        mask = ir.Constant(ir.VectorType(_I32, LANES), [ir.Constant(_I32, i) for i in order])
        return self.builder.shuffle_vector(x, ir.Constant(x.type, ir.Undefined), mask)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """x y + z."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.fma.v{LANES}f64")
        return self.builder.call(function, [x, y, z])


class _Signs:
    """(-1)^{|j & signs|} for vectors of places j."""

    def __init__(self, arrays: _Arrays, signs: Any) -> None:
        self.arrays, self.builder, self.signs = arrays, arrays.builder, signs
        pattern = ir.Constant(_BITS, ir.Undefined)
        for lane in range(LANES):
            bit = self._sign_bit(ir.Constant(_I64, lane))
            pattern = self.builder.insert_element(pattern, bit, ir.Constant(_I32, lane))
        self.pattern = pattern

    def _sign_bit(self, place: Any) -> Any:
        """The highest bit set where an odd number of bits of place & signs is."""
        count = self.builder.ctpop(self.builder.and_(place, self.signs))
        return self.builder.shl(count, ir.Constant(_I64, 63))

    def times(self, factor: Any, place: Any) -> Any:
        """The factor with the signs of a vector at a place."""
        bits = self.arrays.everywhere(self._sign_bit(place), _BITS)
        bits = self.builder.xor(self.builder.xor(bits, self.pattern), self.builder.bitcast(factor, _BITS))
        return self.builder.bitcast(bits, _VECTOR)


def _sums(tabled: bool) -> Callable[..., Any]:
    """What writes `add_products`, or without a table `add_signed`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = _Arrays(context, builder, signature, arguments)
        x = 2 + tabled  # places of arguments: the sums, the table, x, then numbers
        size, start, flip = arguments[x + 2 : x + 5]
        factors = [arrays.everywhere(arguments[x + 5 + part], _VECTOR) for part in range(2)]
        signs = None if tabled else _Signs(arrays, arguments[x + 7])
        lanes = ir.Constant(_I64, LANES - 1)
        inside, across = builder.and_(flip, lanes), builder.and_(flip, builder.not_(lanes))
        end = builder.append_basic_block("end")
        ways = builder.switch(inside, end)
        for flipped in range(LANES):
            way = builder.append_basic_block("way")
            ways.add_case(ir.Constant(_I64, flipped), way)
            builder.position_at_end(way)
            steps = ir.Constant(_I64, 0), size, ir.Constant(_I64, LANES)
            with cgutils.for_range_slice(builder, *steps, _I64) as (place, _):
                source = builder.add(start, builder.xor(place, across))
                order = [lane ^ flipped for lane in range(LANES)]
                table = arrays.load(2, place) if tabled else None
                for part, factor in enumerate(factors):
                    found = arrays.permuted(arrays.load(x + part, source), order)
                    if table is not None:
                        found = builder.fmul(table, found)
                    weight = signs.times(factor, place) if signs else factor
                    arrays.store(arrays.fma(weight, found, arrays.load(part, place)), part, place)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return generate


def _add_products(
    _: Any, yr: Any, yi: Any, t: Any, xr: Any, xi: Any, size: Any, start: Any, flip: Any, cr: Any, ci: Any
) -> Any:
    return types.void(yr, yi, t, xr, xi, _INDEX, _INDEX, _INDEX, _NUMBER, _NUMBER), _sums(tabled=True)


def _add_signed(
    _: Any, yr: Any, yi: Any, xr: Any, xi: Any, size: Any, start: Any, flip: Any, cr: Any, ci: Any, s: Any
) -> Any:
    numbers = _INDEX, _INDEX, _INDEX, _NUMBER, _NUMBER, _INDEX
    return types.void(yr, yi, xr, xi, *numbers), _sums(tabled=False)


add_products = cast(
    Callable[[Floats, Floats, Floats, Reals, Reals, int, int, int, float, float], None],
    intrinsic(_add_products),
)
"""add_products(yr, yi, t, xr, xi, size, start, flip, cr, ci): size is a multiple of eight, flip below it."""
add_signed = cast(
    Callable[[Floats, Floats, Reals, Reals, int, int, int, float, float, int], None], intrinsic(_add_signed)
)
"""add_signed(yr, yi, xr, xi, size, start, flip, cr, ci, signs): likewise."""
