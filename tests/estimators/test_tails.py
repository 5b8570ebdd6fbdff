"""How far to go to the better of two estimates: moments of blends, and what heavy tails forbid."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.estimators.tails import LARGEST_SKEWNESS, LEAST_DEGREES, STEPS, Tails

RUNS = 20_000
RANDOM = np.random.default_rng(8)


def shares(*pairs: tuple[np.ndarray, np.ndarray], runs: int = RUNS) -> np.ndarray:
    """α for some pairs of estimates, in two portions."""
    x, y = (np.stack(each) for each in zip(*pairs, strict=True))
    tails = Tails(len(pairs))
    half = x.shape[1] // 3
    tails.add(x[:, :half], y[:, :half])
    tails.add(x[:, half:], y[:, half:])
    return tails.share(runs)


def test_moments_are_those_of_all_blends() -> None:
    x, y = RANDOM.normal(size=(2, 3, 400))
    tails = Tails(3)
    tails.add(x, y)
    for k in (2, 3, 4):
        expected = [np.mean(((1 - a) * x + a * y) ** k, axis=1) for a in STEPS]
        np.testing.assert_allclose(tails._moments(k), expected, atol=1e-12)


def test_light_tails_allow_the_better_estimate() -> None:
    noise, quiet, loud = RANDOM.normal(size=(3, RUNS)) * [[1], [0.01], [3]]
    assert shares((noise, quiet), (noise, loud)).tolist() == [1.0, 0.0]


def test_a_blend_may_be_better_than_both() -> None:
    x, y = RANDOM.normal(size=(2, RUNS))
    assert shares((x, y)).tolist() == [0.5]


def test_rare_large_values_hold_it_back() -> None:
    """y is 0 but for one run in a thousand: its variance is 200 times less, and hardly known."""
    x = RANDOM.normal(size=RUNS)
    y = np.where(RANDOM.random(RUNS) < 0.001, RANDOM.normal(size=RUNS) * 2.2, 0.0)
    [share] = shares((x, y))
    assert 0.5 < share < 1
    blend = (1 - share) * x + share * y
    kurtosis = np.mean(blend**4) / np.mean(blend**2) ** 2
    assert 2 * RUNS / (kurtosis - 1) >= LEAST_DEGREES
    further = STEPS[np.flatnonzero(share == STEPS)[0] + 1]
    beyond = (1 - further) * x + further * y
    assert 2 * RUNS / (np.mean(beyond**4) / np.mean(beyond**2) ** 2 - 1) < LEAST_DEGREES


def test_skewness_holds_it_back() -> None:
    x, y = RANDOM.normal(size=RUNS), 0.1 * (RANDOM.exponential(size=RUNS) ** 2 - 2)
    runs = 10_000
    skewness = np.mean(y**3) / np.mean(y**2) ** 1.5 / np.sqrt(runs)
    assert skewness > LARGEST_SKEWNESS
    assert 0 < shares((x, y), runs=runs)[0] < shares((x, y), runs=10**7)[0]


@pytest.mark.parametrize("scale", [1e-150, 1e-300, 0.0])
def test_estimates_that_do_not_vary(scale: float) -> None:
    x, zero = scale * RANDOM.normal(size=RUNS), np.zeros(RUNS)
    assert 0 <= shares((x, zero))[0] <= 1


def test_few_of_many_derivatives_are_looked_at() -> None:
    assert Tails(1).looked_at == 2**12
    assert Tails(3).looked_at == 2**13 // 3
    assert Tails(1000).looked_at == 2**11
