"""Stacks: sums, columns, and where things go."""

from __future__ import annotations

import numpy as np

from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.stacks import added, product_sum, side_by_side, split

RNG = np.random.default_rng(5)


def test_none_is_zero() -> None:
    one, other = np.ones(2), np.full(2, 3.0)
    assert added(None, one) is one
    assert added(one, None) is one
    assert added(None, None) is None
    assert added(one, other).tolist() == [4, 4]
    assert one.tolist() == [1, 1]


def test_vertices_side_by_side() -> None:
    field = Field(5, (2, 3, 4), {v: RNG.normal(size=(2, 3, 4)) for v in range(5)})
    found = side_by_side(field, [3, 1])
    np.testing.assert_array_equal(found, np.concatenate([field[3], field[1]], axis=1))
    lanes = side_by_side(field, np.array([[3, 1], [0, 4]]))
    assert lanes.shape == (2, 2, 6, 4)
    np.testing.assert_array_equal(lanes[:, 0], found)
    np.testing.assert_array_equal(lanes[:, 1], np.concatenate([field[0], field[4]], axis=1))


def test_columns_are_split_along_an_axis() -> None:
    a = RNG.normal(size=(2, 6, 4, 4))
    assert split(a, 3).shape == (2, 3, 2, 4, 4)
    np.testing.assert_array_equal(split(a, 3)[:, 1, 0], a[:, 2])
    assert split(a.reshape(2, 6, 16), 3, axis=-2).shape == (2, 3, 2, 16)


def test_a_sum_of_products() -> None:
    x = RNG.normal(size=(2, 3, 4, 4)) + 1j * RNG.normal(size=(2, 3, 4, 4))
    a = RNG.normal(size=(2, 5, 3, 4, 4)) + 1j * RNG.normal(size=(2, 5, 3, 4, 4))
    np.testing.assert_allclose(product_sum(x, a), np.einsum("pjab,pkjbc->pkac", x, a), atol=1e-13)
