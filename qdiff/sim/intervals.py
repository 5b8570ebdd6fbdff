"""What an expression may be where some counters are unknown: an interval, or a bound of growth.

    interval:  lower ≤ e(θ, σ) ≤ upper               for every store σ that agrees with what is known
    growth:    |e(σ)| ≤ scale · max_c |σ(c)| + rest  (integer expressions)

Interval arithmetic, rounded outwards by 1e-13 of the magnitude at every operation; where nothing
is known, or a value need not exist, the interval is the whole line. (Moore, "Interval Analysis", 1966.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr

Interval: TypeAlias = tuple[float, float]

EVERYTHING: Interval = (-math.inf, math.inf)
OUTWARDS = 1e-13

_INCREASING = {"atan": math.atan, "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "asin": math.asin}
_RANGES: dict[str, Interval] = {
    "sin": (-1, 1),
    "cos": (-1, 1),
    "asin": (-math.pi / 2, math.pi / 2),
    "acos": (0, math.pi),
    "atan": (-math.pi / 2, math.pi / 2),
    "exp": (0, math.inf),
    "sqrt": (0, math.inf),
    "abs": (0, math.inf),
}


def interval(
    expression: Expr,
    parameters: Mapping[str, float],
    known: Mapping[str, int],
    ranges: Mapping[str, Interval] | None = None,
) -> Interval:
    """Return bounds of an expression; a counter that is not `known` may have any value in its range.

    Args:
        parameters: element name → value; known: counter → value; ranges: everything where left out.
    """
    inside = ranges or {}

    def value(node: Expr) -> Interval:
        try:
            exact = float(node.evaluate(parameters, known))
        except (EvaluationError, OverflowError):
            return EVERYTHING
        return _outwards((exact, exact), node, [])

    def combined(node: Expr, operands: list[Interval]) -> Interval:
        return _outwards(_interval(node, operands, parameters, inside), node, operands)

    return _over_unknown(expression, known, value, combined)


def growth(expression: Expr, known: Mapping[str, int]) -> tuple[float, float]:
    """Return (scale, rest) with |e| ≤ scale · m + rest, m the largest |counter|; inf where unproved."""

    def value(node: Expr) -> tuple[float, float]:
        try:
            return 0.0, float(abs(node.evaluate({}, known)))
        except (EvaluationError, OverflowError):
            return math.inf, math.inf

    return _over_unknown(expression, known, value, _growth)


def _over_unknown(
    expression: Expr,
    known: Mapping[str, int],
    value: Callable[[Expr], Interval],
    combined: Callable[[Expr, list[Interval]], Interval],
) -> Interval:
    """Fold over what reads unknown counters; the largest parts that read none have a `value`."""

    def combine(node: Expr, operands: list[Interval | None]) -> Interval | None:
        if not (
            (isinstance(node, ex.Counter) and node.name not in known) or any(x is not None for x in operands)
        ):
            return None
        pairs = zip(node.children(), operands, strict=True)
        return combined(node, [value(child) if x is None else x for child, x in pairs])

    found = expression.fold(combine)
    return value(expression) if found is None else found


def _interval(
    node: Expr, x: list[Interval], parameters: Mapping[str, float], ranges: Mapping[str, Interval]
) -> Interval:
    match node:
        case ex.Counter(name=name):
            return ranges.get(name, EVERYTHING)
        case ex.ParameterElement(array=array, size=size):
            elements = [parameters[f"{array}[{i}]"] for i in range(size)]
            return min(elements), max(elements)
        case ex.Sum():
            return sum(lower for lower, _ in x), sum(upper for _, upper in x)
        case ex.Negate():
            return -x[0][1], -x[0][0]
        case ex.Product():
            result = x[0]
            for factor in x[1:]:
                result = _product(result, factor)
            return result
        case ex.Reciprocal():
            lower, upper = x[0]
            return (1 / upper, 1 / lower) if lower > 0 or upper < 0 else EVERYTHING
        case ex.Power(exponent=ex.Number(value=int() as power)):
            return _power(x[0], power)
        case ex.Call(function=function):
            return _call(function, x[0])
        case ex.Modulo(right=ex.Number(value=modulus)) if modulus > 0:
            return 0.0, modulus - 1.0
        case ex.Indicator():
            return 0.0, 1.0
        case _:
            return EVERYTHING


def _outwards(found: Interval, node: Expr, operands: list[Interval]) -> Interval:
    lower, upper = found
    if math.isnan(lower) or math.isnan(upper):
        return EVERYTHING
    sizes = [abs(end) for end in found]
    if isinstance(node, ex.Sum | ex.Call):  # the result may be small though its operands are not
        sizes += [abs(end) for operand in operands for end in operand]
    slack = OUTWARDS * max((size for size in sizes if math.isfinite(size)), default=0.0)
    return lower - slack, upper + slack


def _product(a: Interval, b: Interval) -> Interval:
    # 0 · inf is 0 here: an end of inf means "any large number".
    ends = [0.0 if 0 in (left, right) else left * right for left in a for right in b]
    return min(ends), max(ends)


def _power(base: Interval, power: int) -> Interval:
    if any(math.isinf(end) for end in base):
        return (0.0, math.inf) if power % 2 == 0 else EVERYTHING
    try:
        ends = [end**power for end in base]
    except OverflowError:
        return EVERYTHING
    lowest = 0.0 if power % 2 == 0 and base[0] < 0 < base[1] else min(ends)
    return lowest, max(ends)


def _call(function: str, argument: Interval) -> Interval:
    lower, upper = _RANGES.get(function, EVERYTHING)
    if function in ("sin", "cos"):
        # |sin x - sin y| ≤ |x - y|: from the middle, half the width each way.
        middle, half = (argument[0] + argument[1]) / 2, (argument[1] - argument[0]) / 2
        if math.isfinite(half):
            value = math.sin(middle) if function == "sin" else math.cos(middle)
            return max(lower, value - half), min(upper, value + half)
    elif function == "abs":
        return max(0.0, argument[0], -argument[1]), max(-argument[0], argument[1])
    elif function in _INCREASING:
        try:
            found = [_INCREASING[function](end) if math.isfinite(end) else math.nan for end in argument]
        except (ValueError, OverflowError):
            return lower, upper
        return (
            lower if math.isnan(found[0]) else found[0],
            upper if math.isnan(found[1]) else found[1],
        )
    return lower, upper


def _growth(node: Expr, x: list[tuple[float, float]]) -> tuple[float, float]:
    match node:
        case ex.Counter():
            return 1.0, 0.0
        case ex.Sum():
            return sum(scale for scale, _ in x), sum(rest for _, rest in x)
        case ex.Negate():
            return x[0]
        case ex.Product():
            return _grown_product(x)
        case ex.Modulo() if x[1][0] == 0:
            return 0.0, x[1][1]
        case ex.IntegerQuotient(right=ex.Number()) if x[1][1] >= 1:
            # Rounded down: |a div b| ≤ |a| / |b| + 1.
            return x[0][0] / x[1][1], x[0][1] / x[1][1] + 1
        case _:
            return math.inf, math.inf


def _grown_product(x: list[tuple[float, float]]) -> tuple[float, float]:
    scale, rest = x[0]
    for other_scale, other_rest in x[1:]:
        if scale and other_scale:
            return math.inf, math.inf
        scale, rest = scale * other_rest + other_scale * rest, rest * other_rest
    return scale, rest
