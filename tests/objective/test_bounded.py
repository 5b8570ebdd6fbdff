"""Bounded numbers: the true result is always within the bound."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdiff.objective.bounded import Bounded

numbers = st.floats(-1e3, 1e3)
errors = st.one_of(st.just(0.0), st.floats(1e-9, 10))
parts = st.floats(-1, 1)
OPERATIONS = (operator.add, operator.sub, operator.mul, operator.truediv)


def holds(operation: Callable[[Any, Any], Any], a: Bounded, b: Bounded, u: float, v: float) -> bool:
    """Whether the bound covers the exact result at a point of both intervals."""
    x = Fraction(a.value) + Fraction(u) * Fraction(a.error)
    y = Fraction(b.value) + Fraction(v) * Fraction(b.error)
    found = operation(a, b)
    if math.isinf(found.error):
        return operation is operator.truediv and abs(b.value) <= b.error
    # The bound is computed in floating point itself: a few units in its last place.
    return abs(operation(x, y) - Fraction(found.value)) <= Fraction(found.error) * Fraction(1 + 2**-48)


@given(numbers, errors, numbers, errors, parts, parts, st.sampled_from(OPERATIONS))
def test_bounds_hold(
    a: float, e: float, b: float, d: float, u: float, v: float, operation: Callable[[Any, Any], Any]
) -> None:
    left, right = Bounded(a, e), Bounded(b, d)
    if operation is operator.truediv and Fraction(b) + Fraction(v) * Fraction(d) == 0:
        assert operation(left, right).error == math.inf
        return
    assert holds(operation, left, right, u, v)


class Forgetful(Bounded):
    """Broken: forgets the product of the errors."""

    def __mul__(self, other: Any) -> Bounded:
        return Bounded(
            self.value * other.value, abs(self.value) * other.error + abs(other.value) * self.error
        )


def test_a_bound_that_does_not_hold_is_caught() -> None:
    assert holds(operator.mul, Bounded(1, 1), Bounded(1, 1), 1, 1)
    assert not holds(operator.mul, Forgetful(1, 1), Forgetful(1, 1), 1, 1)


def test_numbers_without_error_mix_in() -> None:
    x = Bounded(3.0, 0.5)
    for found, value in ((2 * x, 6), (x * 2, 6), (1 + x, 4), (1 - x, -2), (6 / x, 2), (x / 2, 1.5), (-x, -3)):
        assert found.value == pytest.approx(value)
        assert found.error >= 0.1


def test_where_nothing_is_known() -> None:
    unknown = Bounded(1.0, math.inf)
    assert (unknown + 1).error == math.inf
    assert (unknown * 0).error == math.inf  # 0 · inf
    assert (1 / Bounded(0.5, 0.5)).error == math.inf
    assert math.isnan((1 / Bounded(0.0)).value)
