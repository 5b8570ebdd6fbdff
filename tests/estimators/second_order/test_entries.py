"""Which entries a result holds: put together they are the Hessian, or its product with a vector."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.estimators.second_order.entries import Entry, entries_of_hessian, entries_of_product

WRT = ("a", "b", "c")
HESSIAN = np.array([[1.0, 2.0, 4.0], [2.0, 8.0, 16.0], [4.0, 16.0, 32.0]])


def put_together(entries: tuple[Entry, ...], size: int) -> np.ndarray:
    found = np.zeros(size)
    for entry in entries:
        a, b = (WRT.index(name) for name in entry.wrt)
        assert a <= b
        for place, factor in entry.places:
            found[place] += factor * HESSIAN[a, b]
    return found


def test_a_hessian() -> None:
    entries = entries_of_hessian(WRT)
    np.testing.assert_array_equal(put_together(entries, 9).reshape(3, 3), HESSIAN)
    assert [entry.wrt for entry in entries] == [
        ("a", "a"), ("a", "b"), ("a", "c"), ("b", "b"), ("b", "c"), ("c", "c"),
    ]  # fmt: skip
    assert entries[1].weight == pytest.approx(np.sqrt(2))  # it stands twice
    assert entries[0].weight == 1


@pytest.mark.parametrize(
    ("v", "number"),
    [([0.5, -3.0, 2.0], 6), ([0.0, 2.0, 0.0], 3), ([1.0, 0.0, 1.0], 5), ([0.0, 0.0, 0.0], 0)],
)
def test_a_product(v: list[float], number: int) -> None:
    entries = entries_of_product(WRT, v)
    np.testing.assert_allclose(put_together(entries, 3), HESSIAN @ v)
    assert len(entries) == number  # what v does not take has no runs
    assert all(factor != 0 for entry in entries for _, factor in entry.places)


def test_the_weight_of_an_entry_of_a_product() -> None:
    [_, both, *_] = entries_of_product(WRT, [3.0, 4.0, 0.0])
    assert (both.wrt, both.weight) == (("a", "b"), 5)
