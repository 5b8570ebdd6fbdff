"""Products of many sequences at once are the products one by one."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.sim.hybrid.products import Sequences

RNG = np.random.default_rng(5)


def matrices(count: int, rows: int = 2) -> np.ndarray:
    return RNG.normal(size=(rows, count, 3, 3)) + 1j * RNG.normal(size=(rows, count, 3, 3))


@pytest.mark.parametrize("sequences", [[[0]], [[2, 1], [0], [1, 1, 3], [3, 0]], [[0, 1, 2], [3, 2, 1]]])
def test_whole_and_partial_products(sequences: list[list[int]]) -> None:
    table = matrices(4)
    found = Sequences.of(sequences)
    partial = found.partial(table)
    whole = found.whole(partial)
    side_by_side = np.concatenate(partial, axis=1)
    assert whole.shape == (2, len(sequences), 3, 3)
    for s, sequence in enumerate(sequences):
        expected = np.broadcast_to(np.eye(3), (2, 3, 3))
        for i, place in enumerate(sequence):
            expected = table[:, place] @ expected
            np.testing.assert_allclose(side_by_side[:, found.place(s, i)], expected, atol=1e-12)
        np.testing.assert_allclose(whole[:, s], expected, atol=1e-12)


def test_nothing_to_multiply() -> None:
    found = Sequences.of([])
    assert found.whole(found.partial(matrices(0))).shape == (2, 0, 3, 3)
