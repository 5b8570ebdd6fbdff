"""Occurrence laws: masses and tails against each other and closed forms, draws against masses."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chi2

from qdiff.errors import QdiffError
from qdiff.estimators.occurrence_laws import (
    LARGEST_CUT,
    LISTED,
    Geometric,
    LogPower,
    Mixture,
    OccurrenceLaw,
    Zipf,
)

LAWS = {
    "log-power": LogPower(),
    "log-power 1": LogPower(1.0),
    "geometric": Geometric(0.2),
    "rare geometric": Geometric(1e-4),
    "zipf": Zipf(1.5),
    "mixture": Mixture((0.0, 3.0, 1.0), LogPower(), 0.25),
}


@pytest.mark.parametrize("name", LAWS)
def test_masses_are_differences_of_tails(name: str) -> None:
    law = LAWS[name]
    k = np.concatenate([np.arange(1.0, 300), [4095, 4096, 4097, 10.0**6]])
    assert law.tail(np.array([1.0]))[0] == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(law.tail(k) - law.tail(k + 1), law.mass(k), rtol=1e-7, atol=1e-14)


def test_closed_forms() -> None:
    k = np.array([1.0, 2, 7])
    logarithm = np.log(k + math.e)
    np.testing.assert_allclose(LogPower().mass(k), 1 / (4.791206906872 * k * logarithm**1.25), rtol=1e-12)
    np.testing.assert_allclose(Geometric(0.25).mass(k), [0.25, 0.1875, 0.25 * 0.75**6], rtol=1e-14)
    np.testing.assert_allclose(Zipf(2.0).mass(k), 6 / math.pi**2 / k**2, rtol=1e-14)
    mixture = Mixture((1.0, 3.0), Geometric(0.5), 0.1)
    np.testing.assert_allclose(mixture.mass(k), [0.9 / 4 + 0.05, 2.7 / 4 + 0.025, 0.1 * 0.5**7], rtol=1e-14)


def p_value(law: OccurrenceLaw, drawn: np.ndarray, cut: int) -> float:
    """χ² of draws in bins: each of the first occurrences, the rest up to the cut in two, never."""
    edges = [1, 2, 3, 4, 6, 10, 30, 300, 3000, 10**5, cut + 1]
    tails = law.tail(np.array([float(e) for e in edges]))
    expected = np.append(tails[:-1] - tails[1:], tails[-1]) * len(drawn)
    found = np.array([np.sum((drawn >= a) & (drawn < b)) for a, b in pairwise(edges)])
    found = np.append(found, np.sum(drawn == 0))
    kept = expected > 5
    rest, seen = expected[~kept].sum(), found[~kept].sum()
    statistic = ((found - expected)[kept] ** 2 / expected[kept]).sum() + (seen - rest) ** 2 / max(rest, 1)
    return float(chi2.sf(statistic, kept.sum()))


@pytest.mark.parametrize("name", LAWS)
def test_draws_have_the_law(name: str) -> None:
    law, cut = LAWS[name], 10**7
    drawn = law.draw(np.random.default_rng(3).random(200_000), cut)
    assert drawn.min() >= 0
    assert drawn.max() <= cut
    assert 1e-4 < p_value(law, drawn, cut) < 1 - 1e-4
    other = Zipf(1.6) if name == "zipf" else Zipf(1.5)
    assert p_value(other, drawn, cut) < 1e-9  # the test sees another law


@pytest.mark.parametrize("name", [name for name in LAWS if name != "mixture"])
def test_draws_invert_the_tail(name: str) -> None:
    """K = max{k : P(K ≥ k) ≥ w}, listed or searched for; a mixture draws from its two laws."""
    law = LAWS[name]
    for cut in (1, 5, LISTED - 1, LISTED, 10**9, LARGEST_CUT):
        uniform = np.array([0.0, 0.3, 0.7, 0.9, 0.999, 1 - 2**-53])
        w = 1 - uniform
        drawn = law.draw(uniform, cut).astype(float)
        reached = np.where(drawn == 0, float(cut + 1), drawn)
        assert (law.tail(reached) >= w - 1e-15).all()
        beyond = drawn > 0
        assert (law.tail(reached[beyond] + 1) < w[beyond]).all()


def test_never_is_as_probable_as_the_tail() -> None:
    drawn = LogPower().draw(np.random.default_rng(5).random(100_000), 10**6)
    never = float(LogPower().tail(np.array([10.0**6 + 1]))[0])
    assert 0.42 < never < 0.44
    assert abs(np.mean(drawn == 0) - never) < 4 * math.sqrt(never * (1 - never) / 100_000)


@pytest.mark.parametrize("cut", [0, -1, 2**53 + 1, 1.5, True])
def test_bad_cuts(cut: object) -> None:
    with pytest.raises(QdiffError) as caught:
        Geometric().draw(np.array([0.5]), cut)  # type: ignore[arg-type]
    assert str(caught.value) == f"The cut of an occurrence law is an integer from 1 to 2^53, got {cut!r}."


def test_bad_shapes() -> None:
    for hazard in (0.0, 1.0, -0.1, math.nan):
        with pytest.raises(QdiffError, match=r"^The geometric law needs a hazard above 0 and below 1, got "):
            Geometric(hazard)
    for power in (1.0, 0.5, math.inf, math.nan):
        with pytest.raises(QdiffError, match=r"^Zipf's law needs a finite power above 1, got "):
            Zipf(power)
    with pytest.raises(QdiffError, match="δ of a log-power law"):
        LogPower(0.0)
    for weights in ((), (0.0, 0.0), (1.0, -1.0), (math.nan,), (math.inf, 1.0)):
        with pytest.raises(
            QdiffError, match=r"^The weights of a mixture are finite, not negative, and not all 0\.$"
        ):
            Mixture(weights)
    for share in (0.0, 1.1, math.nan):
        with pytest.raises(
            QdiffError, match=r"^The floor of a mixture needs a share above 0 and at most 1, "
        ):
            Mixture((1.0,), share=share)
