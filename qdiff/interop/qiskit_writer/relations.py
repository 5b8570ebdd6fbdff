"""Comparisons of real expressions as comparisons of integer expressions, or of counters with integers.

    a c + b < 0 with real a, b            c < k, or c >= k
    Σ a_i e_i + b < 0, a_i small dyadic   Σ n_i e_i < k with integers n_i, k
    anything else                         which of the few stores that there are make it true

e_i are counters and integer expressions of them. Thresholds are found with the evaluator that runs programs,
so that rounding falls out as it does there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from qdiff.errors import EvaluationError
from qdiff.interop.explicit import Inexpressible
from qdiff.interop.explicit.ranges import MOST_STORES, Ranges
from qdiff.lang import expr as ex
from qdiff.lang.conditions import conjunction, disjunction
from qdiff.lang.expr import Expr
from qdiff.lang.running import COMPARE
from qdiff.lang.tree import Compare, Condition

LARGEST_SCALE = 2**16
MOST_ROUNDING = 3  # integers on each side of a threshold that are tried
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}

Affine: TypeAlias = tuple[dict[Expr, Fraction], Fraction]


@dataclass(frozen=True)
class Relation:
    """left operator right, both integer expressions without parameters; `right` a number where it can be."""

    left: Expr
    operator: str
    right: Expr


def relation(compare: Compare, ranges: Ranges, values: Mapping[str, float]) -> Relation | Condition | bool:
    """Return a comparison as a relation of integers, a condition made of simpler ones, or its constant value.

    Raises:
        Inexpressible: a parameter has no value; what is compared cannot be brought to integers.
    """
    for name in sorted(compare.left.parameters() | compare.right.parameters()):
        if name not in values:
            raise Inexpressible(
                f"the parameter `{name}` is compared, so it needs a value: pass params, or program.bind(...)"
            )
    match compare:  # by far the most, so it is quick
        case Compare(left=ex.Counter(), right=ex.Number(value=int())):
            return _decided(Relation(compare.left, compare.operator, compare.right), ranges)
    names = sorted(compare.left.counters() | compare.right.counters())
    holds = _truth(compare, values)
    if not names:
        return holds({})
    affine = _affine(ex.add(compare.left, ex.negate(compare.right)), values)
    if affine is not None:
        terms, constant = affine
        if not terms:
            return bool(COMPARE[compare.operator](constant.numerator, 0))
        if len(names) == len(terms) == 1 and isinstance(next(iter(terms)), ex.Counter):
            ((counter, slope),) = terms.items()
            found = _threshold(counter, -constant / slope, compare.operator, holds, ranges)
        else:
            found = _scaled(terms, constant, compare.operator)
        if found is not None:
            return found if isinstance(found, bool) else _decided(found, ranges)
    return _enumerated(compare, names, holds, ranges)


def _truth(compare: Compare, values: Mapping[str, float]) -> Callable[[Mapping[str, int]], bool]:
    def holds(store: Mapping[str, int]) -> bool:
        try:
            left, right = (side.evaluate(values, store) for side in (compare.left, compare.right))
        except EvaluationError as error:
            raise Inexpressible(str(error).rstrip("."), compare.pos) from None
        return bool(COMPARE[compare.operator](left, right))

    return holds


def _affine(expr: Expr, values: Mapping[str, float]) -> Affine | None:
    """An expression as Σ a_i e_i + b; None where it is none."""

    def combine(node: Expr, x: list[Affine | None]) -> Affine | None:
        if not node.counters():
            try:
                return {}, Fraction(node.evaluate(values))
            except EvaluationError as error:
                raise Inexpressible(str(error).rstrip("."), node.place()) from None
        match node:
            case ex.Counter():
                return {node: Fraction(1)}, Fraction(0)
            case ex.IntegerQuotient() | ex.Modulo():
                return {node: Fraction(1)}, Fraction(0)
            case ex.Negate():
                return None if x[0] is None else _times(x[0], Fraction(-1))
            case ex.Sum():
                total: Affine = ({}, Fraction(0))
                for term in x:
                    if term is None:
                        return None
                    total = _plus(total, term)
                return total
            case ex.Product(factors=factors):
                return _product(node, factors, x, values)
            case _:
                return None

    return expr.fold(combine)


def _product(
    node: ex.Product, factors: tuple[Expr, ...], x: list[Affine | None], values: Mapping[str, float]
) -> Affine | None:
    scale, varying = Fraction(1), []
    for factor, value in zip(factors, x, strict=True):
        if factor.counters():
            varying.append(value)
        elif isinstance(factor, ex.Reciprocal):
            scale /= Fraction(factor.operand.evaluate(values))
        else:
            assert value is not None
            scale *= value[1]
    if len(varying) == 1:
        return None if varying[0] is None else _times(varying[0], scale)
    return ({node: Fraction(1)}, Fraction(0)) if is_integer(node) else None


def is_integer(expr: Expr) -> bool:
    """Whether an expression is made of integers and counters by `+ - * div mod` only."""
    kinds = ex.Counter | ex.Sum | ex.Product | ex.Negate | ex.IntegerQuotient | ex.Modulo
    return all(
        isinstance(node, kinds) or (isinstance(node, ex.Number) and isinstance(node.value, int))
        for node in expr.walk()
    )


def _plus(one: Affine, other: Affine) -> Affine:
    terms = dict(one[0])
    for atom, factor in other[0].items():
        terms[atom] = terms.get(atom, Fraction(0)) + factor
    return {atom: factor for atom, factor in terms.items() if factor}, one[1] + other[1]


def _times(one: Affine, factor: Fraction) -> Affine:
    if not factor:
        return {}, Fraction(0)
    return {atom: factor * value for atom, value in one[0].items()}, factor * one[1]


def _threshold(
    counter: Expr,
    pivot: Fraction,
    operator: str,
    holds: Callable[[Mapping[str, int]], bool],
    ranges: Ranges,
) -> Relation | bool | None:
    """The integers on one side of a pivot, or the one that equals it."""
    assert isinstance(counter, ex.Counter)
    least, most = ranges.of(counter)
    nearest = math.floor(pivot)
    window = [
        (k, holds({counter.name: k})) for k in range(nearest - MOST_ROUNDING, nearest + MOST_ROUNDING + 1)
    ]
    if operator in ("=", "!="):
        equal = [k for k, truth in window if truth is (operator == "=")]
        if len(equal) > 1:
            return None
        if not equal or not least <= equal[0] <= most:
            return operator == "!="
        return Relation(counter, operator, ex.number(equal[0]))
    first = window[0][1]
    changed = next((k for k, truth in window if truth is not first), None)
    if changed is None or window[-1][1] is first:
        return None
    return Relation(counter, "<" if first else ">=", ex.number(changed))


def _scaled(terms: dict[Expr, Fraction], constant: Fraction, operator: str) -> Relation | bool | None:
    """Multiplied by a common denominator; positive terms on the left, negative ones on the right."""
    scale = math.lcm(*(factor.denominator for factor in terms.values()))
    if scale > LARGEST_SCALE or (scale > 1 and scale & (scale - 1)):
        return None  # floating-point arithmetic might round it
    if all(factor < 0 for factor in terms.values()):
        terms = {atom: -factor for atom, factor in terms.items()}
        constant, operator = -constant, _TURNED[operator]
    bound = -constant * scale
    whole = math.floor(bound)
    if bound != whole:
        if operator in ("=", "!="):
            return operator == "!="
        operator = "<=" if operator in ("<", "<=") else ">"
    left: list[Expr] = []
    right: list[Expr] = []
    for atom, factor in terms.items():
        times = int(abs(factor * scale))
        (left if factor > 0 else right).append(ex.multiply(ex.number(times), atom))
    (right if whole > 0 or not right else left).append(ex.number(whole if whole > 0 or not right else -whole))
    return Relation(ex.add(*left), operator, ex.add(*right))


def _decided(found: Relation, ranges: Ranges) -> Relation | bool:
    """A relation, or its value where that is always the same."""
    if not isinstance(found.right, ex.Number | ex.Negate) or found.right.counters():
        return found
    bound = found.right.value if isinstance(found.right, ex.Number) else found.right.evaluate()
    least, most = ranges.of(found.left)
    match found.operator:
        case "<" | ">=" if most < bound or least >= bound:
            return (most < bound) is (found.operator == "<")
        case "<=" | ">" if most <= bound or least > bound:
            return (most <= bound) is (found.operator == "<=")
        case "=" | "!=" if bound < least or bound > most:
            return found.operator == "!="
    return found


def _enumerated(
    compare: Compare, names: list[str], holds: Callable[[Mapping[str, int]], bool], ranges: Ranges
) -> Condition | bool:
    """Which of the stores make it true."""
    found = [ranges.stores(side) for side in (compare.left, compare.right)]
    if None in found:
        raise Inexpressible(
            f"`{compare.left} {compare.operator} {compare.right}` cannot be brought to integers, and"
            f" {', '.join(f'`{name}`' for name in names)} may have more than {MOST_STORES} values"
        )
    every = [
        one | other
        for one in found[0] or ()
        for other in found[1] or ()
        if all(one[name] == other[name] for name in one.keys() & other.keys())
    ]
    true = [store for store in every if holds(store)]
    if not true or len(true) == len(every):
        return bool(true)
    return disjunction(
        [
            conjunction([Compare(ex.Counter(name), "=", ex.number(value)) for name, value in store.items()])
            for store in true
        ]
    )
