"""Linear functions of the counters before an occurrence: found where they pay, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.estimators.history import PAYS, RUNS_PER_COUNTER, Fit, fitted

MOST = 6


def some_runs(seed: int, number: int, noise: float) -> tuple[np.ndarray, ...]:
    """o = 10 k + 2 c - 3 d + noise, and another observable that is noise; c and d grow with k."""
    random = np.random.default_rng(seed)
    k = random.integers(1, MOST + 1, number)
    history = np.stack([k + random.poisson(2.0, number), random.integers(0, 5, number)], axis=1).astype(float)
    linear = 10.0 * k + history @ [2.0, -3.0]
    values = np.stack([linear + noise * random.normal(size=number), random.normal(size=number)], axis=1)
    weights = random.choice([0.5, -0.25, 0.0], number)
    return k, weights, values, history


def assert_none(found: Fit, most: int = MOST, observables: int = 2) -> None:
    assert found.slopes.shape == (0, observables)
    assert found.centres.shape == (most, 0)
    assert found.unexplained.tolist() == [1.0] * observables


def test_a_linear_dependence_is_found() -> None:
    k, weights, values, history = some_runs(1, 5000, 0.0)
    found = fitted(k, weights, values, history, MOST)
    np.testing.assert_allclose(found.slopes, [[2, 0], [-3, 0]], atol=1e-9)
    assert found.unexplained[0] < 1e-9
    assert found.unexplained[1] == 1
    for place in range(MOST):
        own = (k == place + 1) & (weights != 0)
        mean = np.average(history[own], axis=0, weights=weights[own] ** 2)
        np.testing.assert_allclose(found.centres[place], mean)


def test_a_noisy_one_is_found_within_its_error() -> None:
    k, weights, values, history = some_runs(2, 20_000, 4.0)
    found = fitted(k, weights, values, history, MOST)
    error = 4.0 / np.sqrt((weights != 0).sum()) / history.std(axis=0) * 1.3
    assert np.all(np.abs(found.slopes[:, 0] - [2, -3]) < 4.5 * error)
    explained = 4 * 2.0 + 9 * 2.0  # the variances of c and d at an occurrence
    assert found.unexplained[0] == pytest.approx(16 / (16 + explained), rel=0.1)


def test_what_is_left_is_the_variance_at_fresh_runs() -> None:
    k, weights, values, history = some_runs(3, 4000, 4.0)
    found = fitted(k, weights, values, history, MOST)
    k, weights, values, history = some_runs(4, 40_000, 4.0)
    left = values[:, 0] - (history - found.centres[k - 1]) @ found.slopes[:, 0]

    def variance(x: np.ndarray) -> float:
        return float(np.mean([x[k == place].var() for place in range(1, MOST + 1)]))

    assert variance(left) / variance(values[:, 0]) == pytest.approx(found.unexplained[0], rel=0.1)


def test_centres_take_nothing_from_the_mean_of_an_occurrence() -> None:
    """What is subtracted has mean 0 at every occurrence: constants stay those of the occurrence."""
    k, weights, values, history = some_runs(5, 5000, 1.0)
    found = fitted(k, weights, values, history, MOST)
    taken = (history - found.centres[k - 1]) @ found.slopes
    for place in range(1, MOST + 1):
        own = k == place
        np.testing.assert_allclose(np.average(taken[own], axis=0, weights=weights[own] ** 2), 0, atol=1e-10)


def test_noise_does_not_pay() -> None:
    """From as few runs as are looked at it hardly ever seems to."""
    for number, most in ((1000, 0), (2 * RUNS_PER_COUNTER, 4)):
        seeming = 0
        for seed in range(60):
            random = np.random.default_rng(seed)
            k = random.integers(1, MOST + 1, number)
            history, values = random.normal(size=(number, 2)), random.normal(size=(number, 1))
            found = fitted(k, np.ones(number), values, history, MOST)
            if not found.slopes.size:
                assert_none(found, MOST, 1)
            seeming += found.slopes.size > 0
        assert seeming <= most


def test_little_does_not_pay() -> None:
    random, number = np.random.default_rng(6), 50_000
    history = random.normal(size=(number, 1))
    for explained in (0.7 * PAYS, 1.3 * PAYS):
        values = history * np.sqrt(explained / (1 - explained)) + random.normal(size=(number, 1))
        found = fitted(np.ones(number, dtype=np.int64), np.ones(number), values, history, 3)
        if explained < PAYS:
            assert_none(found, 3, 1)
        else:
            assert found.unexplained[0] == pytest.approx(1 - explained, rel=0.02)


def test_differences_between_occurrences_explain_nothing() -> None:
    """A counter that says k only, and an outcome that depends on k only: constants do that."""
    k = np.arange(600) % MOST + 1
    values = k[:, None] * 2.0 + np.random.default_rng(7).normal(size=(600, 1))
    assert_none(fitted(k, np.ones(600), values, k[:, None].astype(float), MOST), MOST, 1)


def test_constant_counters_are_passed_over() -> None:
    k, weights, values, history = some_runs(8, 5000, 0.0)
    constant = np.hstack([np.full((5000, 1), 7.0), history])
    found = fitted(k, weights, values, constant, MOST)
    np.testing.assert_allclose(found.slopes[:, 0], [0, 2, -3], atol=1e-9)
    assert_none(fitted(k, weights, values, np.full((5000, 2), 3.0), MOST))


def test_counters_that_say_the_same_share_a_slope() -> None:
    k, weights, values, history = some_runs(9, 5000, 0.0)
    found = fitted(k, weights, values, history[:, [0, 0, 1]], MOST)
    np.testing.assert_allclose(found.slopes[:, 0], [1, 1, -3], atol=1e-9)


def test_only_runs_that_came_to_their_occurrence_say_something() -> None:
    k, weights, values, history = some_runs(10, 5000, 0.0)
    values[weights == 0] = 1e6
    late = k > MOST - 1
    values[late] = -1e6
    found = fitted(k, weights, values, history, MOST - 1)
    np.testing.assert_allclose(found.slopes[:, 0], [2, -3], atol=1e-9)
    assert found.centres.shape == (MOST - 1, 2)


def test_few_runs_say_nothing() -> None:
    k, weights, values, history = some_runs(11, 2 * RUNS_PER_COUNTER, 0.0)
    reached = weights != 0
    assert reached.sum() < 2 * RUNS_PER_COUNTER
    assert_none(fitted(k, weights, values, history, MOST))
    assert fitted(k, np.ones(len(k)), values, history, MOST).slopes.size
    # Hardly more runs than occurrences: nothing is left to tell a slope from.
    alone = np.arange(1, len(k) + 1)
    assert_none(fitted(alone, np.ones(len(k)), values, history, len(k)), len(k))


def test_without_runs_or_without_counters() -> None:
    k, weights, values, history = some_runs(12, 500, 0.0)
    assert_none(fitted(k, weights, values, np.zeros((500, 0)), MOST))
    assert_none(fitted(k[:0], weights[:0], values[:0], history[:0], MOST))
    assert_none(fitted(k, np.zeros(500), values, history, MOST))


def test_outcomes_that_are_alike() -> None:
    k, weights, values, history = some_runs(13, 500, 0.0)
    assert_none(fitted(k, weights, np.ones_like(values), history, MOST))


def test_unseen_occurrences_have_the_centre_before() -> None:
    k, weights, values, history = some_runs(14, 5000, 0.0)
    seen = (k == 2) | (k == 3)
    found = fitted(k[seen], weights[seen], values[seen], history[seen], MOST)
    assert np.all(found.centres[3:] == found.centres[2])
    assert np.all(found.centres[1] != found.centres[2])
    assert np.all(found.centres[0] == 0)  # there is none before
