"""Parts of a round that add up: against the moments of their runs, computed at once."""

from __future__ import annotations

import numpy as np

from qdiff.estimators.strata import StrataMoments
from qdiff.estimators.tally import Tally


def strata(random: np.random.Generator, columns: int) -> tuple[StrataMoments, list[np.ndarray]]:
    rows = [random.exponential(h + 1, size=(n, columns)) for h, n in enumerate((5, 30, 200))]
    stratum = np.arange(3).repeat([5, 30, 200])
    return StrataMoments.of(np.concatenate(rows), stratum, 3), rows


def test_parts_of_different_places() -> None:
    random, tally = np.random.default_rng(1), Tally(4)
    expected, covariance, thirds = np.zeros(4), np.zeros((4, 4)), np.zeros(4)
    over, under = np.zeros(4), np.zeros(4)
    for at in ([0, 2], [2, 3], [0, 2]):
        moments, rows = strata(random, 2)
        tally.add(moments, at)
        for x in rows:
            expected[at] += x.mean(axis=0)
            own = np.cov(x.T) / len(x)
            covariance[np.ix_(at, at)] += own
            thirds[at] += ((x - x.mean(axis=0)) ** 3).sum(axis=0) / (len(x) * (len(x) - 1) * (len(x) - 2))
            over[at] += np.diag(own)
            under[at] += np.diag(own) ** 2 / (len(x) - 1)
    tally.heard(3, "hot")
    tally.heard(0, "")
    tally.heard(2, "hot")
    found = tally.round(700, ["first"], learned="much")
    np.testing.assert_allclose(found.value, expected)
    np.testing.assert_allclose(found.covariance, covariance)
    np.testing.assert_allclose(found.third, thirds)
    np.testing.assert_allclose(found.degrees[[0, 2, 3]], over[[0, 2, 3]] ** 2 / under[[0, 2, 3]])
    assert found.degrees[1] == np.inf
    assert (found.shots, found.cut, found.notes, found.learned) == (700, 5, ("first", "hot"), "much")


def test_one_sum_at_several_places() -> None:
    moments, rows = strata(np.random.default_rng(2), 1)
    tally = Tally(3)
    tally.add(moments, (0, 2), np.array([[2.0, -0.5]]))
    found = tally.round(235)
    total, variance = sum(float(x.mean()) for x in rows), sum(float(x.var(ddof=1)) / len(x) for x in rows)
    np.testing.assert_allclose(found.value, [2 * total, 0, -0.5 * total])
    factors = np.array([2.0, 0.0, -0.5])
    np.testing.assert_allclose(found.covariance, variance * np.outer(factors, factors))
    np.testing.assert_allclose(found.third, factors**3 * moments.third_of_mean.sum())
    alone = Tally(1)
    alone.add(moments, [0])
    np.testing.assert_allclose(found.degrees[[0, 2]], alone.round(235).degrees[0])


def test_nothing_was_added() -> None:
    found = Tally(2).round(0)
    assert found.value.tolist() == [0, 0]
    assert np.isinf(found.degrees).all()
