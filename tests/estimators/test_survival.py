"""How runs go on: hazards against brute force on censored data."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.estimators.survival import ASSUMED, survival


def censored(random: np.random.Generator, number: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """What runs tell whose occurrence K is replaced: how many they executed, and whether they came to K."""
    lengths = random.geometric(1 - rate, number) - 1
    k = random.integers(1, 12, number)
    return np.minimum(lengths, k), lengths >= k


# --- Kaplan and Meier --------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 4, 30])
def test_hazards_are_counted_run_by_run(most: int) -> None:
    executed, reached = censored(np.random.default_rng(1), 500, 0.8)
    found = survival(executed, reached, most, 0.3)
    risk, falls = np.zeros(most), np.zeros(most)
    for n, came in zip(executed.tolist(), reached.tolist(), strict=True):
        for k in range(1, most + 1):
            if k <= n:
                risk[k - 1] += 1  # it went on to k
            elif k == n + 1 and not came:
                risk[k - 1] += 1  # it might have, and did not
                falls[k - 1] += 1
    np.testing.assert_array_equal(found.risk, risk)
    np.testing.assert_array_equal(found.falls, falls)
    assert found.late == 0.3


def test_without_censoring_they_are_shares_of_runs() -> None:
    lengths = np.random.default_rng(2).poisson(3.0, 4000)
    found = survival(lengths, np.zeros(4000, dtype=bool), 8, 0.5)
    at_least = np.array([(lengths >= k).sum() for k in range(10)])
    np.testing.assert_array_equal(found.risk, at_least[:8])
    np.testing.assert_array_equal(found.falls, at_least[:8] - at_least[1:9])
    np.testing.assert_allclose(np.cumprod(1 - found.falls / found.risk), at_least[1:9] / 4000)


def test_what_runs_reach_is_estimated_from_censored_runs() -> None:
    """P(N ≥ k) = r^k, though most runs are followed to their occurrence only."""
    rate, number = 0.8, 40_000
    executed, reached = censored(np.random.default_rng(3), number, rate)
    found = survival(executed, reached, 11, 1 - rate)
    hazards = found.falls / found.risk
    error = np.sqrt(rate * (1 - rate) / found.risk)
    assert np.all(np.abs(hazards - (1 - rate)) < 4.5 * error)
    spread = rate ** np.arange(1, 12) * np.sqrt(np.cumsum((1 - rate) / rate / found.risk))  # Greenwood
    assert np.all(np.abs(found.reach - rate ** np.arange(1, 12)) < 4.5 * spread)


def test_late_occurrences_have_the_common_hazard() -> None:
    found = survival(np.array([1, 2, 2]), np.zeros(3, dtype=bool), 6, 0.25)
    assert found.risk.tolist() == [3, 3, 2, 0, 0, 0]
    assert found.falls.tolist() == [0, 1, 2, 0, 0, 0]
    hazard = (found.falls + ASSUMED * 0.25) / (found.risk + ASSUMED)
    assert hazard[3:].tolist() == [0.25] * 3
    np.testing.assert_allclose(found.reach, np.cumprod(1 - hazard))


def test_nothing_is_out_of_reach() -> None:
    found = survival(np.full(10**6, 3), np.zeros(10**6, dtype=bool), 20, 1.0)
    assert np.all(found.reach > 0)
    assert found.reach[3] < 2e-3


def test_runs_are_joined() -> None:
    executed, reached = censored(np.random.default_rng(4), 300, 0.7)
    one = survival(executed[:100], reached[:100], 9, 0.1)
    other = survival(executed[100:], reached[100:], 9, 0.9)
    joined, whole = one.joined(other), survival(executed, reached, 9, 0.1)
    np.testing.assert_array_equal(joined.risk, whole.risk)
    np.testing.assert_array_equal(joined.falls, whole.falls)
    assert joined.late == 0.1


def test_without_runs() -> None:
    nothing = survival(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool), 3, 0.5)
    assert nothing.risk.tolist() == nothing.falls.tolist() == [0, 0, 0]
    np.testing.assert_allclose(nothing.reach, [0.5, 0.25, 0.125])
