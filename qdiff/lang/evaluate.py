"""Numbers from expressions, one at a time: exact where the operands are integers.

The engines evaluate all angles of a program at once with a compiled tape (`qdiff.sim.tape`);
this evaluator serves comparisons, counters, constant expressions, and says what went wrong where.
Operations go from left to right; a quotient is rounded once, so that c/49 = 1 where c = 49.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from qdiff.errors import EvaluationError, QdiffError, listed
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.logpower import LARGEST_INDEX, delta_problem, hazard

Value: TypeAlias = float | int

LARGEST_BITS = 1024  # an integer with more bits is no floating-point number


class ValueFailure(EvaluationError):
    """An expression without a value, with the node that failed (for its position)."""

    def __init__(self, message: str, node: Expr) -> None:
        super().__init__(message)
        self.message = message
        self.node = node


@dataclass(frozen=True, slots=True)
class _Inverse:
    """1 / divisor, kept so that a product can divide by it."""

    divisor: Value


def evaluate(expr: Expr, parameters: Mapping[str, float], counters: Mapping[str, int]) -> Value:
    """Return the value of `expr`; see `Expr.evaluate`."""
    return _plain(expr.fold(lambda node, operands: _value(node, operands, parameters, counters)), expr)


def _value(
    node: Expr,
    operands: list[Value | _Inverse],
    parameters: Mapping[str, float],
    counters: Mapping[str, int],
) -> Value | _Inverse:
    try:
        match node:
            case ex.Product():
                result = _product(operands)
            case ex.Reciprocal():
                divisor = _plain(operands[0], node)
                if divisor == 0:
                    raise ZeroDivisionError
                return _Inverse(divisor)
            case _:
                result = _operation(node, [_plain(x, node) for x in operands], parameters, counters)
        return _finite(result, node)
    except ZeroDivisionError:
        raise ValueFailure(f"`{node}` divides by zero.", node) from None
    except (ValueError, OverflowError):
        shown = listed(_shown(x) for x in operands)
        raise ValueFailure(f"`{node}` has no finite real value (operands: {shown}).", node) from None


def _operation(
    node: Expr, x: list[Value], parameters: Mapping[str, float], counters: Mapping[str, int]
) -> Value:
    match node:
        case ex.Number(value=value):
            return value
        case ex.Pi():
            return math.pi
        case ex.Parameter(name=name):
            return _named(name, parameters, "parameter")
        case ex.Counter(name=name):
            return int(_named(name, counters, "counter"))
        case ex.ParameterElement(array=array, size=size):
            if not 0 <= x[0] < size:
                raise ValueFailure(f"the index of `{node}` is {x[0]}, outside 0 .. {size - 1}.", node)
            return _named(f"{array}[{int(x[0])}]", parameters, "parameter")
        case ex.Sum():
            total = x[0]
            for term in x[1:]:  # not `sum`, which compensates rounding from Python 3.12 on
                total += term
            return total
        case ex.Negate():
            return -x[0]
        case ex.Power():
            return _power(x[0], x[1])
        case ex.Call(function=function):
            return abs(x[0]) if function == "abs" else float(getattr(math, function)(x[0]))
        case ex.IntegerQuotient():
            return x[0] // x[1]
        case ex.Modulo():
            return x[0] % x[1]
        case ex.LogPowerHazard():
            return _hazard(node, x[0], x[1])
        case ex.Indicator(value=value):
            return 1 if x[0] == value else 0
        case _:
            raise AssertionError(f"unknown expression {type(node).__name__}")


def _hazard(node: Expr, index: Value, delta: Value) -> float:
    if not 1 <= index <= LARGEST_INDEX or index != int(index):
        raise ValueFailure(f"`{node}` needs an integer from 1 to 2^63 - 1, got {_shown(index)}.", node)
    problem = delta_problem(delta)
    if problem:
        raise ValueFailure(f"`{node}`: {problem}", node)
    return float(hazard(float(index), float(delta)))


def _product(factors: list[Value | _Inverse]) -> Value:
    result: Value = 1
    for factor in factors:
        result = result / factor.divisor if isinstance(factor, _Inverse) else result * factor
        if isinstance(result, int) and result.bit_length() > LARGEST_BITS:
            raise OverflowError
    return result


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        # The value has more bits than this: where it fits into a float, it is exact.
        if (abs(base).bit_length() - 1) * exponent < LARGEST_BITS:
            return int(base**exponent)
        raise OverflowError
    return math.pow(base, exponent)  # raises where ** would turn complex


def _plain(value: Value | _Inverse, node: Expr) -> Value:
    return _finite(1 / value.divisor, node) if isinstance(value, _Inverse) else value


def _finite(value: Value, node: Expr) -> Value:
    if isinstance(value, int):
        if value.bit_length() > LARGEST_BITS:
            raise ValueFailure(f"`{node}` is too large a number.", node)
    elif not math.isfinite(value):
        raise ValueFailure(f"`{node}` is {value}, not a finite real number.", node)
    return value


def _named(name: str, values: Mapping[str, float], kind: str) -> Value:
    try:
        value = values[name]
    except KeyError:
        raise QdiffError(f"The {kind} `{name}` has no value.") from None
    return value if isinstance(value, int) else float(value)  # numpy's scalars warn instead of raising


def _shown(value: Value | _Inverse) -> str:
    if isinstance(value, _Inverse):
        return f"1/{_shown(value.divisor)}"
    return repr(value).removesuffix(".0")
