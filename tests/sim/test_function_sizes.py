"""How large functions of counters are, and how far rounding may move them."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.function_sizes import largest_value, magnitude, rounding


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2*[site = 1]", 1.0),
        ("[site = 1]*sin(k)^3*cos(k)", 1.0),
        ("atan(k)", math.pi / 2),
        ("logpower_hazard(k, 1)", math.inf),
        ("1/k", math.inf),
        ("exp(k)", math.inf),
        ("1/(1 + k^2)", 1.0),
    ],
)
def test_a_bound_for_all_stores(text: str, expected: float) -> None:
    (term,) = parse_observable(text).terms
    assert largest_value(term.functions) == pytest.approx(expected)


def test_the_magnitude_looks_past_selections() -> None:
    """On the way to the end nothing is selected yet, and one of several selections will be."""
    observable = parse_observable("8*[site = 1]*0.5^k - 4*[site = 2]*0.5^k + c*[site = 2]")
    assert magnitude(observable, {"site": 0, "k": 1, "c": 3}) == 4
    assert magnitude(observable, {"site": 0, "k": 1, "c": -9}) == 9
    assert magnitude(parse_observable("3*Z[q] + c"), {"c": 2}) == 5
    assert magnitude(parse_observable("3/k"), {"k": 0}) == 3  # no value here: left out
    assert magnitude(parse_observable("k^1000*exp(k)"), {"k": 500}) == math.inf


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 5))
def test_rounding_is_bounded(k: int, m: int, c: int) -> None:
    observable = parse_observable("3*c*[site = 1]/k/(m + 0.5)")
    store = {"k": k, "m": m, "c": c, "site": 1}
    exact = Fraction(3 * c) / k / (m + Fraction(1, 2))
    found = observable.coefficients(store).get((), 0j).real
    bound = rounding(observable, store)
    assert abs(Fraction(found) - exact) <= bound <= 1e-14 * max(1, c)
    assert rounding(observable, store | {"site": 0}) == 0


def test_what_is_too_steep_has_no_bound() -> None:
    assert rounding(parse_observable("1/sin(pi*k)"), {"k": 1}) == math.inf
    assert rounding(parse_observable("c^2*Z[q]"), {"c": 3}) == 0
