"""Moments of strata against NumPy, stratum by stratum, however they are merged."""

from __future__ import annotations

import math
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdiff.estimators.moments import Moments
from qdiff.estimators.strata import StrataMoments


def by_hand(rows: np.ndarray, stratum: np.ndarray, strata: int) -> StrataMoments:
    number = np.array([np.sum(stratum == h) for h in range(strata)])
    parts = [rows[stratum == h] for h in range(strata)]
    empty = np.zeros((1, rows.shape[1]))
    around = [part - part.mean(axis=0) if len(part) else empty for part in parts]
    return StrataMoments(
        number,
        np.array([part.mean(axis=0) if len(part) else empty[0] for part in parts]),
        np.array([a.T @ a for a in around]),
        np.array([(a**3).sum(axis=0) for a in around]),
    )


def assert_same(found: StrataMoments, right: StrataMoments, tolerance: float = 1e-10) -> None:
    assert found.number.tolist() == right.number.tolist()
    for name in ("mean", "scatter", "third"):
        one, other = getattr(found, name), getattr(right, name)
        assert one.shape == other.shape
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=name)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, list[int]]:
    """Rows, their strata, how many strata there are, and where blocks end."""
    number, columns, strata = draw(st.integers(0, 40)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    rows = random.normal(size=(number, columns)) ** 3 + draw(st.sampled_from([0.0, 5.0]))
    ends = draw(st.lists(st.integers(0, number), max_size=6))
    return rows, random.integers(0, strata, number), strata, sorted(ends)


@given(tables())
def test_any_blocks_give_the_moments_of_all_rows(
    case: tuple[np.ndarray, np.ndarray, int, list[int]],
) -> None:
    rows, stratum, strata, ends = case
    right = by_hand(rows, stratum, strata)
    assert_same(StrataMoments.of(rows, stratum, strata), right)
    parts = [
        StrataMoments.of(some, of, strata)
        for some, of in zip(np.split(rows, ends), np.split(stratum, ends), strict=True)
    ]
    none = StrataMoments.none(strata, rows.shape[1])
    assert_same(reduce(add, parts, none), right)
    assert_same(reduce(add, reversed(parts)), right)
    # Two and two, the sums then added.
    pairs = [reduce(add, parts[i : i + 2]) for i in range(0, len(parts), 2)]
    assert_same(reduce(add, pairs), right)


@given(tables())
def test_of_each_mean(case: tuple[np.ndarray, np.ndarray, int, list[int]]) -> None:
    rows, stratum, strata, _ = case
    found = StrataMoments.of(rows, stratum, strata)
    for h in range(strata):
        part = rows[stratum == h]
        n = len(part)
        covariance = np.atleast_2d(np.cov(part.T)) / n if n > 1 else 0.0
        np.testing.assert_allclose(found.covariance_of_mean[h], covariance, atol=1e-10)
        third = ((part - part.mean(axis=0)) ** 3).sum(axis=0) / (n * (n - 1) * (n - 2)) if n > 2 else 0.0
        np.testing.assert_allclose(found.third_of_mean[h], third, atol=1e-10)


def test_third_moments_of_means_are_unbiased() -> None:
    """Means of n exponential numbers have the third central moment 2/n²: estimated from few, on average."""
    random, n, strata = np.random.default_rng(2), 5, 40_000
    rows = random.exponential(size=(n * strata, 1))
    found = StrataMoments.of(rows, np.arange(strata).repeat(n), strata).third_of_mean[:, 0]
    assert abs(found.mean() - 2 / n**2) < 4.5 * found.std() / math.sqrt(strata)
    variances = StrataMoments.of(rows, np.arange(strata).repeat(n), strata).covariance_of_mean[:, 0, 0]
    assert abs(variances.mean() - 1 / n) < 4.5 * variances.std() / math.sqrt(strata)


def test_far_away_means_keep_their_digits() -> None:
    random = np.random.default_rng(3)
    small = np.round(random.exponential(size=(5000, 2)) * 2**20) / 2**20  # 1e9 + small is a float
    stratum = random.integers(0, 3, 5000)
    far = small + np.array([1e9, -1e9])
    right = by_hand(small, stratum, 3)
    whole = StrataMoments.of(far, stratum, 3)
    blocks = np.array_split(np.arange(5000), 7)
    merged = reduce(add, [StrataMoments.of(far[b], stratum[b], 3) for b in blocks])
    for found in (whole, merged):
        np.testing.assert_allclose(found.scatter, right.scatter, rtol=1e-6)
        np.testing.assert_allclose(found.third, right.third, rtol=1e-5)
        np.testing.assert_allclose(found.mean, right.mean + np.array([1e9, -1e9]), rtol=1e-15)
    squares = (far**2).sum(axis=0) - far.sum(axis=0) ** 2 / len(far)
    assert np.any(np.abs(squares - np.var(small, axis=0) * 5000) > 100)  # what the formula of school gives


@given(st.floats(-1e9, 1e9), st.integers(1, 300), st.integers(1, 300))
def test_rows_that_are_alike_have_no_spread_at_all(value: float, n: int, more: int) -> None:
    """To the last bit: that is how they are noticed."""
    some, others = (
        StrataMoments.of(np.full((size, 1), value), np.zeros(size, dtype=np.int64), 1) for size in (n, more)
    )
    for found in (some, some + others):
        assert found.mean[0, 0] == value
        assert found.scatter[0, 0, 0] == found.covariance_of_mean[0, 0, 0] == 0
        assert abs(found.third[0, 0]) <= 1e-35 * abs(value) ** 3


def test_one_stratum_is_what_plain_moments_are() -> None:
    rows = np.random.default_rng(4).normal(size=(1000, 3))
    found, plain = StrataMoments.of(rows, np.zeros(1000, dtype=np.int64), 1), Moments.of(rows)
    np.testing.assert_allclose(found.mean[0], plain.mean)
    np.testing.assert_allclose(found.covariance_of_mean[0], plain.covariance / 1000)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows(n: int) -> None:
    found = StrataMoments.of(np.arange(2.0 * n).reshape(n, 2), np.zeros(n, dtype=np.int64), 2)
    assert found.number.tolist() == [n, 0]
    assert np.all(found.third_of_mean == 0)
    assert np.all(
        found.covariance_of_mean == (np.stack([np.ones((2, 2)), np.zeros((2, 2))]) if n == 2 else 0)
    )
