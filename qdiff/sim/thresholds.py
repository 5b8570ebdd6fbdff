"""Which values of counters a program tells apart: hints for a `Partition`, read off its text.

Points where a comparison of one counter changes its answer, constants that are assigned; and a modulus
that the divisors of `mod` and `div`, factors and steps of assignments have in common. What is missed
makes a proof fail, never wrong. (Widening with thresholds: Blanchet et al., "A static analyzer for large
safety-critical software", 2003.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang import tree as t
from qdiff.lang.expr import Expr
from qdiff.lang.running import COMPARE
from qdiff.sim import flow as fl
from qdiff.sim.flow import Flow
from qdiff.sim.partitions import Partition

ALWAYS = (-1, 0, 1)
MOST_POINTS = 15
LARGEST_MODULUS = 60
SEARCHED = 40  # values of either sign at which a comparison that is not linear is looked at
MOST_VALUES = 16  # of an assigned counter that are told apart


def partition(flow: Flow, parameters: Mapping[str, float]) -> Partition:
    """Return the partition for a program at these values of its compared parameters."""
    points = dict.fromkeys(ALWAYS)
    factors: dict[int, None] = {}
    for instruction in flow.instructions:
        match instruction:
            case fl.Decide(condition=condition):
                points.update(dict.fromkeys(_changes(condition, parameters)))
                factors.update(dict.fromkeys((*_divisors(condition.left), *_divisors(condition.right))))
            case fl.Set(value=value):
                if not value.counters():
                    points.update(dict.fromkeys(_constant(value, {}, {})))
                else:
                    factors.update(dict.fromkeys(_numbers(value)))
            case fl.Toss(expression=expression) | fl.ChannelBits(expression=expression):
                factors.update(dict.fromkeys(_divisors(flow.expressions[expression])))
            case _:
                pass
    nearest = sorted(points, key=abs)[:MOST_POINTS]
    return Partition(tuple(sorted(nearest)), _modulus(factors), MOST_VALUES)


def _modulus(factors: Mapping[int, None]) -> int:
    found = 1
    for factor in sorted(factors):
        common = math.lcm(found, factor)
        if common <= LARGEST_MODULUS:
            found = common
    return found


def _changes(condition: t.Compare, parameters: Mapping[str, float]) -> list[int]:
    """Values of the one counter of a comparison next to which its answer changes."""
    names = condition.left.counters() | condition.right.counters()
    if len(names) != 1:
        return []
    (name,) = names

    def holds(value: int) -> bool | None:
        sides = [side.evaluate(parameters, {name: value}) for side in (condition.left, condition.right)]
        return COMPARE[condition.operator](*sides)

    def difference(value: int) -> float:
        left, right = (side.evaluate(parameters, {name: value}) for side in (condition.left, condition.right))
        return float(left - right)

    try:
        first, second, third = (difference(value) for value in (0, 1, 2))
        slope = second - first
        if slope and abs(third - second - slope) < 1e-9 * abs(slope) and abs(first / slope) < 2**52:
            root = -first / slope
            return [math.floor(root), math.ceil(root)]
    except EvaluationError:
        pass
    found: list[int] = []
    before: bool | None = None
    for value in range(-SEARCHED, SEARCHED + 1):
        try:
            now = holds(value)
        except EvaluationError:
            now = None
        if value > -SEARCHED and now != before:
            found += [value - 1, value]
        before = now
    return found if len(found) <= MOST_POINTS else []


def _constant(
    expression: Expr, parameters: Mapping[str, float], counters: Mapping[str, int]
) -> Iterator[int]:
    try:
        yield int(expression.evaluate(parameters, counters))
    except EvaluationError:
        return


def _divisors(expression: Expr) -> Iterator[int]:
    """Numbers by which something is divided with a remainder."""
    for node in expression.walk():
        if isinstance(node, ex.Modulo | ex.IntegerQuotient):
            yield from _numbers(node.right)


def _numbers(expression: Expr) -> Iterator[int]:
    for node in expression.walk():
        if isinstance(node, ex.Number) and isinstance(node.value, int) and node.value > 1:
            yield node.value
