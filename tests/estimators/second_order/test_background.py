"""What unmodified runs tell, against closed forms of runs that go on with a constant chance r.

P(N ≥ m) = r^m,     E[N | N ≥ m] = m + r/(1-r),     Var(N | N ≥ m) = r/(1-r)²
"""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.estimators.second_order.background import LEAST_NOISE, Background, learned_from, unknown

RUNS = 40_000


def lengths(rate: float, number: int = RUNS) -> np.ndarray:
    return np.random.default_rng(3).geometric(1 - rate, number) - 1


def off(found: Background, rate: float, runs: int, upto: int = 8) -> np.ndarray:
    """By how many standard errors P(N ≥ m) is off, of the occurrences to which many runs came."""
    exact = rate ** np.arange(1, upto + 1)
    return (found.reach[:upto] - exact) / np.sqrt(exact * (1 - exact) / runs)


@pytest.mark.parametrize("rate", [0.3, 0.6, 0.9])
def test_geometric_lengths(rate: float) -> None:
    n = lengths(rate)
    found = learned_from(n, n.astype(float), 1.0)
    assert np.all(np.abs(off(found, rate, RUNS)) < 4.5)
    assert found.late == pytest.approx(1 - rate, abs=0.05)
    assert found.most > n.max()
    assert found.reach[-1] < 1e-5  # told apart until hardly a run comes
    m = np.arange(1, 7)
    mean, variance = m + rate / (1 - rate), rate / (1 - rate) ** 2
    error = np.sqrt(variance / (RUNS * rate**m))
    assert np.all(np.abs(found.mean[:6] - mean) < 4.5 * error)
    np.testing.assert_allclose(found.noise[:4], variance, rtol=0.2)
    # Where no run came, both go on as before.
    assert found.reach[-1] / found.reach[-2] == pytest.approx(1 - found.late)
    assert found.mean[n.max() + 1] == pytest.approx(n.max() + 2 + rate / (1 - rate), rel=0.15)


def test_replaced_runs_tell_how_far_they_went() -> None:
    """Runs seen up to a drawn occurrence: those that came to it say nothing of what follows."""
    rate, n = 0.7, lengths(0.7)
    until = np.random.default_rng(4).integers(1, 10, RUNS)
    start = unknown(12, 2.0)
    found = start.joined(np.minimum(n, until), n < until)
    assert np.all(np.abs(off(found, rate, RUNS // 4, 6)) < 4.5)
    wrong = start.joined(np.minimum(n, until), np.ones(RUNS, dtype=bool))  # as if they had all ended
    assert np.max(np.abs(off(wrong, rate, RUNS // 4, 6))) > 10
    np.testing.assert_array_equal(found.noise, np.full(12, 4.0))


def test_runs_that_read_always_the_same() -> None:
    found = learned_from(lengths(0.5, 500), np.full(500, 3.0), 10.0)
    np.testing.assert_allclose(found.mean, 3.0)
    np.testing.assert_allclose(found.noise, (10 * LEAST_NOISE) ** 2)


def test_runs_without_an_occurrence() -> None:
    values = np.array([1.0, 3.0] * 50)
    found = learned_from(np.zeros(100, dtype=np.int64), values, 1.0)
    np.testing.assert_allclose(found.mean, 2.0)
    np.testing.assert_allclose(found.noise, 1.0)
    assert 0 < found.reach[0] < 0.01


def test_runs_of_one_length() -> None:
    found = learned_from(np.full(1000, 3), np.ones(1000), 1.0)
    np.testing.assert_allclose(found.reach[:3], 1, atol=1e-3)
    assert found.reach[3] < 0.01


def test_before_any_run_occurrences_are_reached() -> None:
    found = unknown(5, 3.0)
    assert found.most == 5
    assert np.all(found.reach > 0.99)
    assert found.noise.tolist() == [9] * 5
