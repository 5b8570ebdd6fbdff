"""Different rows, counted or sorted: as NumPy finds them."""

from __future__ import annotations

import numpy as np
import pytest
from amounts import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from qdiff.sim.distinct_rows import FEW, distinct_rows

ENDS = [-(2**63), 2**63 - 1, 0, 1, -1, 7, 1000]


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    columns = draw(st.integers(1, 4))
    numbers = draw(st.sampled_from([st.integers(-2, 3), st.sampled_from(ENDS), st.integers(0, 300)]))
    rows = draw(st.lists(st.lists(numbers, min_size=columns, max_size=columns), max_size=30))
    return np.array(rows, dtype=np.int64).reshape(len(rows), columns)


@settings(max_examples=examples(150))
@given(tables())
def test_as_numpy_finds_them(rows: np.ndarray) -> None:
    found, which = distinct_rows(rows)
    expected, inverse = np.unique(rows, axis=0, return_inverse=True)
    assert found.dtype == np.int64
    assert found.tolist() == expected.tolist()
    assert which.tolist() == inverse.reshape(-1).tolist()


@pytest.mark.parametrize("columns", [0, 2])
def test_no_rows_or_no_columns(columns: int) -> None:
    for rows in (0, 3):
        found, which = distinct_rows(np.zeros((rows, columns), dtype=np.int64))
        assert (len(found), len(which)) == (min(rows, 1), rows)


def test_many_that_could_be() -> None:
    random = np.random.default_rng(1)
    rows = random.integers(0, 3 * FEW, size=(1000, 1))
    found, which = distinct_rows(rows)
    assert np.array_equal(found[which], rows)
    assert np.all(np.diff(found[:, 0]) > 0)
