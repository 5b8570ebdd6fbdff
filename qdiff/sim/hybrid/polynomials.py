"""Bounds of expressions by polynomials in the largest |counter|, where counters may grow without limit.

    |e(θ, σ)| ≤ Σ_d a_d vᵈ        for every store σ with |σ(c)| ≤ v

Where an interval tells that a part is bounded whatever the counters are (1/(1 + c²), sin c), that counts;
sums and products of such bounds make the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import zip_longest

import numpy as np

from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.sim.intervals import Interval, interval

Polynomial = list[float]  # a_0, a_1, …, none of them negative


def polynomial_bound(expression: Expr, parameters: Mapping[str, float]) -> Polynomial | None:
    """Return a_0, a_1, …; None where no such bound is known."""

    def combine(node: Expr, parts: list[Polynomial | None]) -> Polynomial | None:
        if isinstance(node, ex.Counter):
            return [0.0, 1.0]
        range_ = interval(node, parameters, {})
        largest = max(abs(end) for end in range_)
        if math.isfinite(largest):
            return [largest]
        return _combined(node, parts, parameters)

    return expression.fold(combine)


def _combined(
    node: Expr, parts: list[Polynomial | None], parameters: Mapping[str, float]
) -> Polynomial | None:
    match node, parts:
        case ex.Sum(), _ if (known := _all(parts)) is not None:
            return [math.fsum(column) for column in zip_longest(*known, fillvalue=0.0)]
        case ex.Product(), _ if (known := _all(parts)) is not None:
            result = [1.0]
            for part in known:
                result = _product(result, part)
            return result
        case ((ex.Negate() | ex.Call(function="abs")), [part]):
            return part
        case ex.Power(exponent=ex.Number(value=value)), [base, _] if base is not None and value >= 0:
            result = [1.0]
            for _ in range(math.ceil(value)):
                result = _product(result, base)
            return result if value == int(value) else _plus_one(result)  # |x|^e ≤ 1 + |x|^⌈e⌉
        case ex.Call(function="sqrt"), [part] if part is not None:
            return _plus_one(part)
        case ex.Call(function="log", argument=argument), [part] if part is not None:
            return _logarithm(interval(argument, parameters, {}), part)
        case ex.IntegerQuotient(right=ex.Number(value=value)), [part, _] if part is not None and value:
            return _plus_one(part)  # rounded down
        case ex.Modulo(), [_, part]:
            return part  # it is smaller than the modulus
        case _:
            return None


def _logarithm(argument: Interval, part: Polynomial) -> Polynomial | None:
    """|log x| ≤ |log(lowest)| + x where x is at least the lowest."""
    if argument[0] <= 0:
        return None
    return [part[0] + abs(math.log(argument[0])), *part[1:]]


def _all(parts: list[Polynomial | None]) -> list[Polynomial] | None:
    known = [part for part in parts if part is not None]
    return known if len(known) == len(parts) else None


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    return [float(x) for x in np.convolve(a, b)]


def _plus_one(a: Polynomial) -> Polynomial:
    return [a[0] + 1.0, *a[1:]]
