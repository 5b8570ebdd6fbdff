"""What an expression may be where some counters are unknown: an interval, or a bound of growth.

    interval:  lower ≤ e(θ, σ) ≤ upper               for every store σ that agrees with what is known
    possible:  the same, and e(σ) ≡ r (mod m) where it is an integer
    growth:    |e(σ)| ≤ scale · max_c |σ(c)| + rest  (integer expressions)

Interval arithmetic, rounded outwards by 1e-13 of the magnitude at every operation, and an integer
inwards to the next that its congruence allows; where nothing is known, or a value need not exist, the
interval is the whole line. (Moore, "Interval Analysis", 1966; congruences: `congruences`.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.sim.congruences import Congruence, combined_congruence

T = TypeVar("T")

Interval: TypeAlias = tuple[float, float]

EVERYTHING: Interval = (-math.inf, math.inf)
OUTWARDS = 1e-13
EXACT = 2.0**52  # integers up to here, and their neighbours, are floating-point numbers

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


@dataclass(frozen=True, slots=True)
class Possible:
    """What an expression may be: a number from `least` to `most`; of an integer also its congruence."""

    least: float
    most: float
    congruence: Congruence | None = None


def exactly(value: int) -> Possible:
    """One integer."""
    return Possible(value, value, (value, 0))


def interval(expression: Expr, parameters: Mapping[str, float], known: Mapping[str, int]) -> Interval:
    """Return bounds of an expression; a counter that is not `known` may have any value.

    Args:
        parameters: element name → value; known: counter → value.
    """
    found = possible(expression, parameters, known, {})
    return found.least, found.most


def possible(
    expression: Expr,
    parameters: Mapping[str, float],
    known: Mapping[str, int],
    others: Mapping[str, Possible],
) -> Possible:
    """Return what an expression may be; a counter that is not `known` may be what `others` says.

    There is no value between the two ends where no store agrees with all that is known.
    """

    def value(node: Expr) -> Possible:
        try:
            exact = node.evaluate(parameters, known)
            ends = float(exact), float(exact)
        except (EvaluationError, OverflowError):
            return Possible(*EVERYTHING)
        return _rounded(ends, (exact, 0) if isinstance(exact, int) else None, node, [])

    def combined(node: Expr, operands: list[Possible]) -> Possible:
        if isinstance(node, ex.Counter):
            return others.get(node.name, Possible(*EVERYTHING, (0, 1)))
        found = _interval(node, [(x.least, x.most) for x in operands], parameters)
        congruence = combined_congruence(node, [x.congruence for x in operands])
        return _rounded(found, congruence, node, operands)

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
    value: Callable[[Expr], T],
    combined: Callable[[Expr, list[T]], T],
) -> T:
    """Fold over what reads unknown counters; the largest parts that read none have a `value`."""

    def combine(node: Expr, operands: list[T | None]) -> T | None:
        if not (
            (isinstance(node, ex.Counter) and node.name not in known) or any(x is not None for x in operands)
        ):
            return None
        pairs = zip(node.children(), operands, strict=True)
        return combined(node, [value(child) if x is None else x for child, x in pairs])

    found = expression.fold(combine)
    return value(expression) if found is None else found


def _interval(node: Expr, x: list[Interval], parameters: Mapping[str, float]) -> Interval:
    match node:
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
            lower, upper = x[0]
            return (lower, upper) if lower >= 0 and upper < modulus else (0.0, modulus - 1.0)
        case ex.IntegerQuotient(right=ex.Number(value=divisor)) if divisor > 0:
            lower, upper = (end // divisor if math.isfinite(end) else end for end in x[0])
            return lower, upper
        case ex.Indicator():
            return 0.0, 1.0
        case ex.LogPowerHazard() if x[0][0] > 0:  # an integer, so 1 or more
            return 0.0, 1.0
        case _:
            return EVERYTHING


def _rounded(
    found: Interval, congruence: Congruence | None, node: Expr, operands: list[Possible]
) -> Possible:
    lower, upper = _outwards(found, node, operands)
    if congruence is None:
        return Possible(lower, upper)
    residue, modulus = congruence
    if modulus:
        lower, upper = inwards((lower, upper), congruence)
    elif abs(residue) < EXACT:
        lower = upper = float(residue)
    return Possible(lower, upper, congruence)


def inwards(found: Interval, congruence: Congruence) -> Interval:
    """The least and the largest integer ≡ r (mod m), m > 0, in an interval; in the wrong order if none is."""
    lower, upper = found
    residue, modulus = congruence
    if math.isfinite(lower) and abs(lower) < EXACT:
        least = math.ceil(lower)
        lower = float(least + (residue - least) % modulus)
    if math.isfinite(upper) and abs(upper) < EXACT:
        most = math.floor(upper)
        upper = float(most - (most - residue) % modulus)
    return lower, upper


def _outwards(found: Interval, node: Expr, operands: list[Possible]) -> Interval:
    lower, upper = found
    if math.isnan(lower) or math.isnan(upper):
        return EVERYTHING
    sizes = [abs(end) for end in found]
    if isinstance(node, ex.Sum | ex.Call):  # the result may be small though its operands are not
        sizes += [abs(end) for operand in operands for end in (operand.least, operand.most)]
    slack = OUTWARDS * max((size for size in sizes if math.isfinite(size)), default=0.0)
    return lower - slack, upper + slack


def _product(a: Interval, b: Interval) -> Interval:
    # 0 · inf is 0 here: an end of inf means "any large number".
    ends = [0.0 if 0 in (left, right) else left * right for left in a for right in b]
    return min(ends), max(ends)


def _power(base: Interval, power: int) -> Interval:
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
