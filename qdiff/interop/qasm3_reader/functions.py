"""Built-in constants and functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qdiff.errors import QdiffError
from qdiff.interop import values
from qdiff.interop.qasm3_reader import arithmetic, convert
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.scope import Angle, Bits, Real, Value
from qdiff.interop.values import Whole
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.text.syntax import Fault

if TYPE_CHECKING:
    from qdiff.interop.qasm3_reader.classical import Evaluator

_TAU = ex.multiply(ex.number(2), ex.Pi())
_EULER = ex.Call("exp", ex.ONE)
CONSTANTS: dict[str, Expr] = {
    "pi": ex.Pi(), "π": ex.Pi(), "tau": _TAU, "τ": _TAU, "euler": _EULER, "ℇ": _EULER,
}  # fmt: skip
_REAL = {
    "sin": "sin", "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan",
    "exp": "exp", "log": "log", "sqrt": "sqrt",
}  # fmt: skip
_OTHERS = {"mod": 2, "pow": 2, "floor": 1, "ceiling": 1, "popcount": 1, "rotl": 2, "rotr": 2}


def is_function(name: str) -> bool:
    """Whether there is a built-in function of this name."""
    return name in _REAL or name in _OTHERS


def call(node: sx.Call, arguments: list[Value], at: Evaluator) -> Value:
    """The value of a built-in function.

    Raises:
        Fault, QdiffError: the arguments do not fit.
    """
    name, wanted = node.name.text, _OTHERS.get(node.name.text, 1)
    if len(arguments) != wanted:
        plural = "argument" if wanted == 1 else "arguments"
        raise Fault(f"`{name}` has {wanted} {plural}, got {len(arguments)}.", node.pos)
    first = arguments[0]
    if name in _REAL:
        return Real(ex.Call(_REAL[name], at.as_real(first, node.arguments[0].pos)))
    if name in ("floor", "ceiling"):
        number = convert.constant_real(Real(at.as_real(first, node.arguments[0].pos)))
        if number is None:
            raise QdiffError(f"`{name}` is of constants only.")
        return Real(ex.number(math.floor(number) if name == "floor" else math.ceil(number)))
    if name == "popcount":
        bits = _bits(first, name).bits
        return Whole(values.folded(ex.add(*bits)), None, True)
    if name in ("rotl", "rotr"):
        distance = values.constant(at.as_whole(arguments[1], node.arguments[1].pos).expr)
        if distance is None:
            raise QdiffError(f"the distance of `{name}` is a constant.")
        return _turned(first, distance if name == "rotl" else -distance, name)
    return arithmetic.binary("%" if name == "mod" else "**", first, arguments[1], at)


def _bits(value: Value, name: str) -> Bits:
    if isinstance(value, Angle):
        value = value.steps
    if isinstance(value, Bits):
        return value
    if isinstance(value, Whole) and value.width is not None and not value.signed:
        return Bits(tuple(values.bit_of(value.expr, i) for i in range(value.width)))
    raise QdiffError(f"`{name}` is of registers of bits and of `uint[n]`.")


def _turned(value: Value, distance: int, name: str) -> Value:
    bits = _bits(value, name).bits
    by = distance % len(bits)
    found = Bits((*bits[len(bits) - by :], *bits[: len(bits) - by]))
    if isinstance(value, Bits):
        return found
    whole = convert.of_bits(found)
    return Angle(whole) if isinstance(value, Angle) else whole
