"""Streaming moments against NumPy and against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdiff.errors import QdiffError
from qdiff.estimators.moments import Moments


@given(
    st.integers(1, 40),
    st.integers(1, 4),
    st.lists(st.integers(0, 40), max_size=5),
    st.sampled_from([0.0, 1.0, -1e6, 1e9]),
    st.integers(0, 100),
)
def test_blocks_add_up(rows: int, columns: int, cuts: list[int], offset: float, seed: int) -> None:
    z = offset + np.random.default_rng(seed).normal(size=(rows, columns))
    blocks = [Moments.of(block) for block in np.split(z, sorted(min(cut, rows) for cut in cuts))]
    found = reduce(Moments.__add__, blocks, Moments.none(columns))
    assert found.number == rows
    np.testing.assert_allclose(found.mean, z.mean(axis=0), rtol=1e-14, atol=1e-14)
    around = z - z.mean(axis=0)
    tolerance = 1e-12 + 4 * rows * abs(offset) * 2.3e-16  # rows themselves are rounded
    np.testing.assert_allclose(found.scatter, around.T @ around, rtol=1e-9, atol=tolerance)


def test_rows_far_from_zero() -> None:
    """Where sums of squares lose every digit."""
    rows = np.array([[1e9 + 4], [1e9 + 7], [1e9 + 13], [1e9 + 16]])
    found = Moments.of(rows[:1]) + Moments.of(rows[1:3]) + Moments.of(rows[3:])
    exact = [Fraction(int(row)) for row in rows[:, 0]]
    mean = sum(exact) / 4
    assert found.mean[0] == float(mean)
    assert found.covariance[0, 0] == float(sum((z - mean) ** 2 for z in exact) / 3) == 30
    naive = (np.sum(rows**2) - 4 * rows.mean() ** 2) / 3
    assert abs(naive - 30) > 1  # the test sees the difference


def test_equal_rows_have_no_variance() -> None:
    found = Moments.of(np.full((1000, 2), 0.1)) + Moments.of(np.full((3, 2), 0.1))
    assert found.scatter.tolist() == [[0, 0], [0, 0]]
    assert found.mean.tolist() == [0.1, 0.1]


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows(rows: int) -> None:
    with pytest.raises(QdiffError) as caught:
        _ = Moments.of(np.zeros((rows, 2))).covariance
    assert str(caught.value) == f"A covariance needs at least two rows, got {rows}."
