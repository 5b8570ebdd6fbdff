"""Sharing out whole numbers of shots: they add up, nobody has too few, and weights are followed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdiff.estimators.shares import shared_out


@st.composite
def asked(draw: st.DrawFn) -> tuple[int, list[float], list[int]]:
    """Shots, weights, and what each gets at least."""
    weights = draw(st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), min_size=1, max_size=12))
    least = draw(st.lists(st.integers(0, 9), min_size=len(weights), max_size=len(weights)))
    return sum(least) + draw(st.integers(0, 10**6)), weights, least


def level(shots: int, weights: np.ndarray, least: np.ndarray) -> np.ndarray:
    """max(least, λ · weight), with the λ for which they add up, by bisection."""
    low, high = 0.0, 1.0
    while np.maximum(least, high * weights).sum() < shots:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        enough = np.maximum(least, middle * weights).sum() >= shots
        low, high = (low, middle) if enough else (middle, high)
    return np.maximum(least, high * weights)


@given(asked())
def test_they_add_up_and_follow_the_weights(case: tuple[int, list[float], list[int]]) -> None:
    shots, weights, least = case
    found = shared_out(shots, weights, least)
    assert found.dtype == np.int64
    assert found.sum() == shots
    assert np.all(found >= least)
    if any(weights):
        deserved = level(shots, np.array(weights), np.array(least))
        if shots > sum(least):
            assert np.all(np.abs(found - deserved) < 1 + 1e-6 * shots)


@given(asked())
def test_only_proportions_count(case: tuple[int, list[float], list[int]]) -> None:
    shots, weights, least = case
    twice = [2.0**40 * weight for weight in weights]
    assert shared_out(shots, weights, least).tolist() == shared_out(shots, twice, least).tolist()


def test_the_best_of_all_allocations() -> None:
    """Σ s²/n is least where n follows s: against all allocations of a few shots."""
    deviations, shots = np.array([1.0, 3.0, 0.4]), 17
    found = shared_out(shots, deviations)
    every = [n for n in itertools.product(range(2, shots), repeat=3) if sum(n) == shots]
    best = min((deviations**2 / n).sum() for n in map(np.array, every))
    assert (deviations**2 / found).sum() <= 1.02 * best


@pytest.mark.parametrize(
    ("shots", "weights", "least", "expected"),
    [
        (10, [1.0, 1.0, 3.0], 2, [2, 2, 6]),
        (11, [1.0, 1.0, 3.0], 2, [2, 2, 7]),
        (10, [0.0, 1.0], 0, [0, 10]),
        (10, [0.0, 1.0], 2, [2, 8]),
        (10, [0.0, 0.0], 2, [5, 5]),  # nothing is known
        (11, [0.0, 0.0, 0.0], 2, [4, 4, 3]),
        (6, [5.0, 1.0, 1.0], 2, [2, 2, 2]),
        (20, [1.0, 1.0], [2, 15], [5, 15]),
        (20, [1.0, 1.0], np.array([2, 8]), [10, 10]),
        (100, [1.0, 0.0], [0, 60], [40, 60]),
        (12, [0.0, 0.0], [8, 2], [8, 4]),
        (7, [1e-300, 2e-300], 0, [2, 5]),
        (7, [3.0], 2, [7]),
        (0, [1.0, 2.0], 0, [0, 0]),
    ],
)
def test_examples(shots: int, weights: list[float], least: int | list[int], expected: list[int]) -> None:
    assert shared_out(shots, weights, least).tolist() == expected


def test_two_are_the_least_where_nothing_is_said() -> None:
    assert shared_out(10**6, [1.0, 0.0, 1e-12]).tolist() == [999_996, 2, 2]
