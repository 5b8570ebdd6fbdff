"""Intervals contain what they must, with some counters known and others not."""

from __future__ import annotations

import math

import pytest
from expressions import POINT, C, deep, expressions, integer_expressions
from hypothesis import given
from hypothesis import strategies as st

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Call, Counter, Expr, Number, Parameter, Power, add, divide, multiply, negate
from qdiff.sim.intervals import EVERYTHING, growth, interval

M = Counter("m[0]")


@given(expressions, st.integers(-20, 20), st.integers(-20, 20), st.booleans())
def test_values_are_inside(expression: Expr, c: int, m: int, known: bool) -> None:
    lower, upper = interval(expression, POINT, {"m[0]": m} if known else {})
    try:
        value = expression.evaluate(POINT, {"c": c, "m[0]": m})
    except EvaluationError:
        return
    assert lower <= value <= upper


@given(integer_expressions, st.integers(-50, 50), st.integers(-50, 50), st.booleans())
def test_growth_bounds_magnitudes(expression: Expr, c: int, m: int, known: bool) -> None:
    scale, rest = growth(expression, {"m[0]": m} if known else {})
    if math.isinf(scale):
        return
    try:
        value = expression.evaluate({}, {"c": c, "m[0]": m})
    except EvaluationError:
        return
    assert abs(value) <= scale * max(abs(c), abs(m)) + rest


def test_deep_expressions_take_linear_time() -> None:
    lower, upper = interval(deep(), POINT, {})
    assert lower <= deep().evaluate(POINT) <= upper
    assert lower == pytest.approx(upper)
    assert math.isfinite(interval(deep(add(Parameter("t"), Call("sin", C))), POINT, {})[0])


turned = multiply(Parameter("t"), C)


@pytest.mark.parametrize(
    ("expression", "lower", "upper"),
    [
        (add(Number(0.6), multiply(Number(0.2), Call("sin", turned))), 0.4, 0.8),
        (add(Number(0.6), multiply(Number(0.2), negate(Call("cos", turned)))), 0.4, 0.8),
        (Call("sin", multiply(Number(0.1), Call("cos", turned))), -0.1, 0.1),
        (ex.ParameterElement("w", 3, ex.Modulo(C, Number(3))), -0.4, 2.1),
        (Parameter("t"), 0.3, 0.3),
        (add(Parameter("t"), M), 7.3, 7.3),
        (ex.Modulo(C, Number(4)), 0, 3),
        (Power(C, Number(2)), 0, math.inf),
        (Power(Call("sin", turned), Number(2)), 0, 1),
        (Power(Call("sin", turned), Number(3)), -1, 1),
        (divide(Number(1), add(Number(2), Call("sin", turned))), 1 / 3, 1),
        (divide(Number(1), Call("sin", turned)), *EVERYTHING),
        (Call("exp", C), 0, math.inf),
        (Call("exp", Call("sin", C)), math.exp(-1), math.exp(1)),
        (Call("atan", C), -math.pi / 2, math.pi / 2),
        (Call("abs", Call("sin", C)), 0, 1),
        (Call("sqrt", add(Number(1), Power(C, Number(2)))), 1, math.inf),
        (Call("log", C), *EVERYTHING),
        (Call("tan", C), *EVERYTHING),
        (add(C, negate(C)), *EVERYTHING),
        (divide(Number(1), Number(0)), *EVERYTHING),
        (ex.Indicator(C, 2), 0, 1),
    ],
    ids=str,
)
def test_intervals(expression: Expr, lower: float, upper: float) -> None:
    found = interval(expression, POINT, {"m[0]": 7})
    assert found == pytest.approx((lower, upper), abs=1e-11)


@pytest.mark.parametrize(
    ("expression", "scale", "rest"),
    [
        (add(C, Number(2)), 1, 2),
        (add(C, negate(Number(3))), 1, 3),
        (add(C, M), 1, 7),
        (multiply(Number(2), C), 2, 0),
        (multiply(C, C), math.inf, math.inf),
        (ex.Modulo(add(C, Number(1)), Number(4)), 0, 4),
        (ex.Modulo(Number(1), C), math.inf, math.inf),
        (ex.IntegerQuotient(C, Number(2)), 0.5, 1),
        (ex.IntegerQuotient(C, Number(0)), math.inf, math.inf),
        (ex.IntegerQuotient(M, Number(0)), math.inf, math.inf),
        (Number(5), 0, 5),
        (add(M, negate(Number(9))), 0, 2),
    ],
    ids=str,
)
def test_growth(expression: Expr, scale: float, rest: float) -> None:
    assert growth(expression, {"m[0]": 7}) == (scale, rest)
