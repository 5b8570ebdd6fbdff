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
from numba.extending import intrinsic
from numpy.typing import NDArray

from qdiff.sim.static.vector_sizes import LANES
from qdiff.sim.static.vectors import DOUBLE, I32, I64, Vectors, cgutils

Reals = NDArray[Any]  # float64 or float32
Floats = NDArray[np.float64]

_VECTOR, _BITS = ir.VectorType(DOUBLE, LANES), ir.VectorType(I64, LANES)
_INDEX, _NUMBER = types.int64, types.float64


class _Signs:
    """(-1)^{|j & signs|} for vectors of places j."""

    def __init__(self, vectors: Vectors, signs: Any) -> None:
        self.vectors, self.builder, self.signs = vectors, vectors.b, signs
        pattern = ir.Constant(_BITS, ir.Undefined)
        for lane in range(LANES):
            bit = self._sign_bit(ir.Constant(I64, lane))
            pattern = self.builder.insert_element(pattern, bit, ir.Constant(I32, lane))
        self.pattern = pattern

    def _sign_bit(self, place: Any) -> Any:
        """The highest bit set where an odd number of bits of place & signs is."""
        count = self.builder.ctpop(self.builder.and_(place, self.signs))
        return self.builder.shl(count, ir.Constant(I64, 63))

    def times(self, factor: Any, place: Any) -> Any:
        """The factor with the signs of a vector at a place."""
        bits = self.vectors.everywhere(self._sign_bit(place))
        bits = self.builder.xor(self.builder.xor(bits, self.pattern), self.builder.bitcast(factor, _BITS))
        return self.builder.bitcast(bits, _VECTOR)


def _sums(tabled: bool) -> Callable[..., Any]:
    """What writes `add_products`, or without a table `add_signed`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = Vectors(context, builder, signature, arguments, DOUBLE, LANES)
        x = 2 + tabled  # places of arguments: the sums, the table, x, then numbers
        size, start, flip = arguments[x + 2 : x + 5]
        factors = [w.everywhere(arguments[x + 5 + part]) for part in range(2)]
        signs = None if tabled else _Signs(w, arguments[x + 7])
        lanes = ir.Constant(I64, LANES - 1)
        inside, across = builder.and_(flip, lanes), builder.and_(flip, builder.not_(lanes))
        end = builder.append_basic_block("end")
        ways = builder.switch(inside, end)
        for flipped in range(LANES):
            way = builder.append_basic_block("way")
            ways.add_case(ir.Constant(I64, flipped), way)
            builder.position_at_end(way)
            steps = ir.Constant(I64, 0), size, ir.Constant(I64, LANES)
            with cgutils.for_range_slice(builder, *steps, I64) as (place, _):
                source = builder.add(start, builder.xor(place, across))
                order = [lane ^ flipped for lane in range(LANES)]
                table = w.load(w.data(2), place) if tabled else None
                for part, factor in enumerate(factors):
                    loaded = w.load(w.data(x + part), source)
                    found = w.shuffled(loaded, loaded, order)
                    if table is not None:
                        found = builder.fmul(table, found)
                    weight = signs.times(factor, place) if signs else factor
                    w.store(w.fma(weight, found, w.load(w.data(part), place)), w.data(part), place)
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
