"""Quantities: their first and second derivatives are those of their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st

from qdiff.errors import EvaluationError
from qdiff.lang.observable import count
from qdiff.lang.text.observable_text import parse_observable
from qdiff.objective.quantities import (
    ConditionalMean,
    ConditionalVariance,
    Mean,
    Quantity,
    Variance,
)

O = count("c")  # noqa: E741
ALL = [Mean(O), Variance(O), ConditionalMean(O), ConditionalVariance(O)]
points = st.lists(st.floats(0.3, 2), min_size=3, max_size=3)
STEP = 1e-4


def check(quantity: Quantity, point: Sequence[float]) -> None:
    """Assert that differences of values are the first derivatives, and of those the second."""
    m = list(point[: len(quantity.observables)])
    second = quantity.second(m)
    assert all(i <= j for i, j in second)
    for i in range(len(m)):
        ahead, behind = ([*m[:i], m[i] + step, *m[i + 1 :]] for step in (STEP, -STEP))
        slope = (quantity.value(ahead) - quantity.value(behind)) / (2 * STEP)
        assert_close(quantity.first(m)[i], slope, 1e-5)
        for j in range(len(m)):
            bend = (quantity.first(ahead)[j] - quantity.first(behind)[j]) / (2 * STEP)
            assert_close(second.get((min(i, j), max(i, j)), 0.0), bend, 1e-5)


@pytest.mark.parametrize("quantity", ALL, ids=lambda quantity: quantity.text)
@given(point=points)
def test_derivatives_are_differences(quantity: Quantity, point: list[float]) -> None:
    check(quantity, point)


class WrongSign(ConditionalMean):
    """Broken: a second derivative has the wrong sign."""

    def second(self, m: Sequence[Any]) -> Mapping[tuple[int, int], Any]:
        return {place: -entry for place, entry in super().second(m).items()}


def test_a_wrong_derivative_is_caught() -> None:
    with pytest.raises(AssertionError, match="is not close to"):
        check(WrongSign(O), [1.0, 0.5])


def test_names() -> None:
    assert [quantity.text for quantity in ALL] == ["c", "Var(c)", "E(c | end)", "Var(c | end)"]


def test_squares_are_those_of_operators() -> None:
    _, square = Variance(parse_observable("X[q] + 2*Z[q] + c")).observables
    assert str(square) == str(parse_observable("X[q]+2*Z[q]+c") ** 2)
    assert square.coefficients({"c": 3})[()] == 5 + 9  # X and Z anticommute


@pytest.mark.parametrize("quantity", [ConditionalMean(O), ConditionalVariance(O)])
def test_nothing_to_condition_on(quantity: Quantity) -> None:
    fine = [np.array([0.0, 0.1])] * (len(quantity.observables) - 1)
    quantity.require([*fine, np.array([0.5, 1e-9])])
    with pytest.raises(EvaluationError) as caught:
        quantity.require([*fine, np.array([0.5, 1e-15])])
    assert str(caught.value) == (
        "There is nothing to condition on: at these parameters a run ends with probability 1e-15."
    )
