"""The series of derivative bounds against closed forms and against Taylor series in many digits."""

from __future__ import annotations

import math

import mpmath
import pytest

from qdiff.errors import QdiffError
from qdiff.sim.majorants import DerivativeBounds, OccurrenceBounds

mp = mpmath.MPContext()
mp.dps = 40


def affine_bounds(norm: float, expected: float, to_come: float, frequency: float) -> DerivativeBounds:
    """Angles affine in θ: y = e^{Ωx} - 1 with one frequency Ω."""
    return DerivativeBounds(norm, OccurrenceBounds(expected, to_come), gates=(frequency,))


def test_one_gate() -> None:
    """f = cos θ: every derivative is at most 1, and the difference has the bias sinh(h)/h - 1 at most."""
    bounds = affine_bounds(norm=1, expected=1, to_come=0, frequency=1)
    assert [bounds.order(m) for m in range(1, 30)] == pytest.approx([1] * 29)
    assert bounds.radius == math.inf
    for h in (1e-3, 0.1, 1.0, 10.0):
        exact = mp.sinh(h) / mp.mpf(h) - 1
        assert exact <= bounds.shift_bias(h) <= float(exact) * (1 + 1e-9)


def test_first_and_second_order() -> None:
    bounds = affine_bounds(norm=3, expected=2.5, to_come=4, frequency=0.5)
    assert bounds.first == pytest.approx(3 * 2.5 * 0.5)
    assert bounds.second == pytest.approx(3 * 0.5**2 * 2.5 * (1 + 2 * 4))


@pytest.mark.parametrize(
    ("gates", "flips", "to_come"),
    [
        ((1.0,), (), 3.0),
        ((0.7, 0.4), (), 2.0),
        ((0.5, 0.0, 1.2), (), 0.0),
        ((), (2.0,), 5.0),
        ((), (2.0, 1.0), 0.3),
    ],
)
def test_against_taylor_series(gates: tuple[float, ...], flips: tuple[float, ...], to_come: float) -> None:
    bounds = DerivativeBounds(2.0, OccurrenceBounds(1.5, to_come), gates, flips)

    def series(x: mpmath.mpf) -> mpmath.mpf:
        u = sum(c * x**m / mp.factorial(m) for m, c in enumerate(gates or flips, start=1))
        y = mp.expm1(u) if gates else u
        return 3 * y / (1 - to_come * y)

    coefficients = mp.taylor(series, 0, 10)
    for m in range(1, 11):
        exact = coefficients[m] * mp.factorial(m)
        assert exact <= bounds.order(m) <= float(exact) * (1 + 1e-9)
    if to_come:
        assert 0 < 1 / series(mp.mpf(bounds.radius)) < 1e-8
    radius = min(bounds.radius, 1.0)
    for h in (0.01 * radius, 0.3 * radius, 0.9 * radius):
        exact = (series(mp.mpf(h)) - series(-mp.mpf(h))) / (2 * mp.mpf(h)) - coefficients[1]
        assert exact <= bounds.shift_bias(h) <= float(exact) * 1.01


def test_gates_and_flips_together() -> None:
    """Coefficient by coefficient the larger one."""
    both = DerivativeBounds(1.0, OccurrenceBounds(1.0, 0.0), gates=(1.0, 3.0), flips=(2.0,))
    assert both.first == pytest.approx(2)
    assert both.second == pytest.approx(4)  # of e^u: 3 + 1²
    assert 0 < both.shift_bias(0.1) < math.inf
    close = DerivativeBounds(1.0, OccurrenceBounds(1.0, 2.0), gates=(1.0,), flips=(2.0,))
    assert close.radius == pytest.approx(math.log(1.5) / 2)


def test_beyond_the_radius() -> None:
    bounds = affine_bounds(norm=1, expected=1, to_come=2, frequency=1)
    assert bounds.radius == pytest.approx(math.log(1.5))
    assert math.isfinite(bounds.shift_bias(0.999 * bounds.radius))
    assert bounds.shift_bias(bounds.radius) == math.inf


def test_nothing_is_proved_where_runs_may_go_on() -> None:
    bounds = affine_bounds(norm=1, expected=2, to_come=math.inf, frequency=1)
    assert bounds.first == pytest.approx(2)
    assert bounds.second == math.inf
    assert bounds.radius == 0
    assert bounds.shift_bias(1e-9) == math.inf


def test_unknown_orders() -> None:
    bounds = DerivativeBounds(1.0, OccurrenceBounds(1.0, 0.0), (1.0, 2.0), complete=False)
    assert bounds.second == pytest.approx(3)
    assert bounds.order(3) == math.inf
    assert bounds.shift_bias(0.1) == math.inf
    unbounded = DerivativeBounds(1.0, OccurrenceBounds(1.0, 0.0), (1.0, math.inf))
    assert unbounded.first == pytest.approx(1)
    assert unbounded.second == unbounded.shift_bias(0.1) == math.inf


def test_what_is_never_met_or_never_seen() -> None:
    for norm, expected in ((0.0, 5.0), (1.0, 0.0), (math.inf, 0.0)):
        bounds = affine_bounds(norm, expected, math.inf, 1.0)
        assert bounds.first == bounds.second == bounds.shift_bias(0.1) == 0
    still = DerivativeBounds(1.0, OccurrenceBounds(1.0, 3.0))
    assert still.first == still.order(5) == still.shift_bias(7.0) == 0
    assert affine_bounds(math.inf, 1.0, 0.0, 1.0).first == math.inf


def test_huge_numbers_are_inf() -> None:
    assert affine_bounds(1.0, 1.0, 0.0, 1e6).shift_bias(100.0) == math.inf
    assert affine_bounds(1.0, 1.0, 1e200, 1e10).order(60) == math.inf


def test_orders_and_steps_that_are_none() -> None:
    bounds = affine_bounds(1, 1, 0, 1)
    with pytest.raises(QdiffError, match=r"^A derivative has an order of 1 or more, not 0\.$"):
        bounds.order(0)
    for h in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(QdiffError, match=r"^The step of a difference is a positive number, not"):
            bounds.shift_bias(h)
