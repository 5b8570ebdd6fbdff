"""Four floats side by side, for compiled functions: one instruction of the processor handles all of them.

A *pair of waves* keeps the amplitudes a and b of two states at a basis state as (Re a, Re b, Im a, Im b), so
a complex number times both is two multiplications:

    m z = Re m · z + Im m · (i z),     i z = (-Im a, -Im b, Re a, Re b)

LLVM takes two or four instructions where the processor's registers are shorter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic, models, register_model

cgutils: Any = _cgutils
FOUR = ir.VectorType(ir.DoubleType(), 4)
_WORD = ir.IntType(32)


class Lanes(types.Type):
    """Numba's type of four floats."""

    def __init__(self) -> None:
        super().__init__(name="lanes")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, declared: Lanes) -> None:
        super().__init__(manager, declared, FOUR)  # type: ignore[no-untyped-call]


_LANES = Lanes()


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any, kind: Any) -> Any:
    """Where a float of an array begins, counted through all of its numbers, as a pointer to `kind`."""
    data = context.make_array(array_type)(context, builder, value=array).data
    data = builder.bitcast(data, ir.DoubleType().as_pointer())
    return builder.bitcast(builder.gep(data, [index]), kind.as_pointer())


def _at_row(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    index = builder.mul(row, ir.Constant(row.type, 4))
    return _address(context, builder, array_type, array, index, FOUR)


def _load(typing_context: Any, rows: Any, row: Any) -> Any:
    """Row `row` of an array (…, 4)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = builder.load(_at_row(context, builder, signature.args[0], *arguments))
        found.align = 8
        return found

    return _LANES(rows, types.intp), generate


def _store(typing_context: Any, rows: Any, row: Any, lanes: Any) -> Any:
    """Write row `row` of an array (…, 4)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _at_row(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], place).align = 8
        return context.get_dummy_value()

    return types.void(rows, types.intp, _LANES), generate


def _number(typing_context: Any, array: Any, index: Any) -> Any:
    """Float `index` of a contiguous array, counted through all of its numbers; of a complex one both parts
    count."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index = arguments
        return builder.load(_address(context, builder, signature.args[0], array, index, ir.DoubleType()))

    return types.float64(array, types.intp), generate


def _splat(typing_context: Any, number: Any) -> Any:
    """A number in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = builder.insert_element(ir.Constant(FOUR, ir.Undefined), arguments[0], ir.Constant(_WORD, 0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_WORD, 4), [0] * 4))

    return _LANES(types.float64), generate


def _times_i(typing_context: Any, z: Any) -> Any:
    """i z for a pair of waves."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        order = ir.Constant(ir.VectorType(_WORD, 4), [2, 3, 4, 5])
        return builder.shuffle_vector(builder.fneg(arguments[0]), arguments[0], order)

    return _LANES(_LANES), generate


def _times(typing_context: Any, x: Any, y: Any) -> Any:
    """The products in each lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments)

    return _LANES(_LANES, _LANES), generate


def _plus_product(typing_context: Any, s: Any, x: Any, y: Any) -> Any:
    """s + x y in each lane, rounded once where the processor does so."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(FOUR, [FOUR] * 3)
        fused = cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v4f64")
        s, x, y = arguments
        return builder.call(fused, [x, y, s])

    return _LANES(_LANES, _LANES, _LANES), generate


load = cast(Callable[[Any, Any], Any], intrinsic(_load))
store = cast(Callable[[Any, Any, Any], None], intrinsic(_store))
number = cast(Callable[[Any, Any], float], intrinsic(_number))
splat = cast(Callable[[float], Any], intrinsic(_splat))
times = cast(Callable[[Any, Any], Any], intrinsic(_times))
times_i = cast(Callable[[Any], Any], intrinsic(_times_i))
plus_product = cast(Callable[[Any, Any, Any], Any], intrinsic(_plus_product))
