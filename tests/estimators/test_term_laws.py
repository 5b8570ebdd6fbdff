"""Laws of terms: shares of the coefficients, masses that sum to 1, and draws that follow them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2

import qdiff as qd
from qdiff.estimators.term_laws import OddSquares, TermLaw

ROOT = math.sqrt(2)
LAWS = {
    "two": TermLaw((0.3, 0.7), 0.0),
    "one": TermLaw((1.0,), 0.0),
    "with a gap": TermLaw((0.5, 0.0, 0.25, 0.25), 0.0),
    "all integers": TermLaw((), 1.0),
    "both": TermLaw((0.25, 0.75), 0.5),
}


def law_of(text: str, at: dict[str, float], rule: str = "shift") -> TermLaw:
    return TermLaw.of(qd.differentiate(qd.parse(text), "t", rule).sites, at)


# --- Masses and draws ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAWS)
def test_masses_sum_to_one(name: str) -> None:
    law, j = LAWS[name], np.arange(-200_000, 200_000)
    mass = law.mass(j)
    assert np.all(mass >= 0)
    assert mass.sum() == pytest.approx(1, abs=2e-6 if law.unlisted else 1e-12)


def test_masses_of_all_integers_fall_as_those_of_riesz() -> None:
    """4/(π² (2j+1)²)"""
    j = np.array([-3, -2, -1, 0, 1, 2, 10**6])
    np.testing.assert_allclose(LAWS["all integers"].mass(j), 4 / math.pi**2 / (2.0 * j + 1) ** 2)
    np.testing.assert_allclose(
        LAWS["both"].mass(j)[[0, 3, 4]], 2 / math.pi**2 / (2.0 * j[[0, 3, 4]] + 1) ** 2 + [0, 0.125, 0.375]
    )


def test_tails_of_odd_squares() -> None:
    k, law = np.arange(1.0, 2000), OddSquares()
    assert law.tail(np.array([1.0]))[0] == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(law.tail(k) - law.tail(k + 1), law.mass(k), rtol=1e-7)


@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_law(name: str) -> None:
    law, number = LAWS[name], 200_000
    drawn = law.draw(np.random.default_rng(1), number)
    assert drawn.dtype == np.int64
    assert np.all(law.mass(drawn) > 0)
    j = np.arange(-20, 21)
    expected = law.mass(j) * number
    found = np.array([np.sum(drawn == one) for one in j])
    if law.unlisted:  # beyond, on both sides
        beyond = law.mass(np.arange(21, 400_000)).sum(), law.mass(np.arange(-400_000, -20)).sum()
        expected = np.append(expected, np.array(beyond) * number)
        found = np.append(found, [np.sum(drawn > 20), np.sum(drawn < -20)])
    possible = expected > 0
    assert found.sum() == number
    freedom = possible.sum() - 1
    if freedom:
        statistic = ((found - expected)[possible] ** 2 / expected[possible]).sum()
        assert 1e-4 < chi2.sf(statistic, freedom) < 1 - 1e-4


def test_draws_repeat_with_their_seed() -> None:
    for law in LAWS.values():
        one, other = (law.draw(np.random.default_rng(2), 50) for _ in range(2))
        assert one.tolist() == other.tolist()


# --- Laws of sites ---------------------------------------------------------------------------------------


def test_shares_are_those_of_the_coefficients() -> None:
    assert law_of("qubit: q para: t Ry(t)[q]", {}) == TermLaw((0.5, 0.5), 0.0)
    near, far = (ROOT + 1) / (4 * ROOT), (ROOT - 1) / (4 * ROOT)
    law = law_of("qubit: q, r para: t C_Ry(t)[q][r]", {})
    np.testing.assert_allclose(law.shares, [near, near, far, far])
    # Sites are added: as often as they stand in the text, whatever the slope.
    law = law_of(
        "qubit: q, r para: t Ry(t)[q]; Rx(3*t)[r]; C_Ry(t)[q][r]; if flip(t) then X[q] fi", {"t": 0.5}
    )
    total = np.array([1 + 1 + near, 1 + 1 + near, far, far])
    np.testing.assert_allclose(law.shares, total / total.sum())


def test_shares_of_a_paper_rule() -> None:
    law = law_of("qubit: q, r para: t C_Ry(t)[q][r]", {}, "shift-paper")
    sizes = np.array([0.5, 0.5, (ROOT - 1) / 4, (ROOT - 1) / 4])
    np.testing.assert_allclose(sorted(law.shares), sorted(sizes / sizes.sum()))


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_shares_that_depend_on_a_parameter(t: float) -> None:
    """Of damp(γ): 1, ½ + 1/(4s), |½ - 1/(4s)| with s = √(1 - γ)."""
    law = law_of("qubit: q para: t X[q]; damp(t)[q]", {"t": t})
    s = math.sqrt(1 - t)
    sizes = np.array([1, 0.5 + 0.25 / s, abs(0.5 - 0.25 / s)])
    np.testing.assert_allclose(law.shares, sizes / sizes.sum())


def test_a_term_that_one_site_does_without_is_drawn_for_another() -> None:
    """At γ = 3/4 the third term of damp has the coefficient 0; that of t/2 has not."""
    at = {"t": 0.75}
    assert law_of("qubit: q para: t X[q]; damp(t)[q]", at).shares[2] == pytest.approx(0, abs=1e-15)
    for text in ("damp(t)[q]; damp(t/2)[q]", "damp(t/2)[q]; damp(t)[q]"):
        law = law_of(f"qubit: q para: t X[q]; {text}", at)
        s = math.sqrt(1 - 0.375)
        sizes = np.array([2, 1.5 + 0.25 / s, abs(0.5 - 0.25 / s)])
        np.testing.assert_allclose(law.shares, sizes / sizes.sum())


def test_where_sizes_are_not_known_they_count_alike() -> None:
    reads_counter = "qubit: q para: t count: c X[q]; damp(t/(c + 2))[q]"
    assert law_of(reads_counter, {"t": 0.5}).shares == (1 / 3, 1 / 3, 1 / 3)
    assert law_of("qubit: q para: t X[q]; damp(t)[q]", {"t": 1.0}).shares == (1 / 3, 1 / 3, 1 / 3)  # 1/s


def test_rules_with_a_term_for_every_integer() -> None:
    assert law_of("qubit: q para: t Ry(t)[q]", {}, "riesz") == TermLaw((), 1.0)
    law = law_of("qubit: q para: t Ry(t)[q]; if flip(t) then X[q] fi", {"t": 0.5}, "riesz")
    assert law == TermLaw((0.5, 0.5), 0.5)
