"""Derivatives against central differences, against SymPy, and where they do not exist."""

from __future__ import annotations

import math

import pytest
from expressions import EVERY_KIND, POINT, STORE, C, S, T, W, deep, expressions
from helpers import assert_close
from hypothesis import assume, given
from hypothesis import strategies as st

from qdiff.errors import EvaluationError
from qdiff.lang.expr import (
    ONE,
    ZERO,
    Call,
    Expr,
    Number,
    Parameter,
    ParameterElement,
    Power,
    add,
    divide,
    multiply,
    negate,
    number,
)

STEP = 1e-3


def central_difference(expr: Expr, name: str) -> float:
    """Return the derivative at POINT from five points, with an error of the order STEP^4."""

    def at(offset: float) -> float:
        return expr.evaluate(POINT | {name: POINT[name] + offset * STEP}, STORE)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * STEP)


@pytest.mark.parametrize("name", ["t", "s", "w[0]", "w[2]"])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_derivative_is_the_limit_of_differences(kind: str, name: str) -> None:
    expr = EVERY_KIND[kind]
    actual = expr.diff(name).evaluate(POINT, STORE)
    scale = max(1.0, abs(expr.evaluate(POINT, STORE)))
    assert_close(actual / scale, central_difference(expr, name) / scale, 1e-8)


@pytest.mark.parametrize("name", ["t", "s", "w[2]"])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_second_derivative_is_the_derivative_of_the_first(kind: str, name: str) -> None:
    first = EVERY_KIND[kind].diff(name)
    actual = first.diff(name).evaluate(POINT, STORE)
    scale = max(1.0, abs(first.evaluate(POINT, STORE)))
    assert_close(actual / scale, central_difference(first, name) / scale, 1e-7)


@given(expressions, st.sampled_from(["t", "s", "w[2]"]))
def test_derivative_is_that_of_sympy(expr: Expr, name: str) -> None:
    import sympy as sp

    try:
        expr.evaluate(POINT, STORE)
        actual = expr.diff(name).evaluate(POINT, STORE)
    except EvaluationError:
        assume(False)
    numbers = {sp.Symbol(c, integer=True): value for c, value in STORE.items()}
    elements = sp.IndexedBase("w", shape=(3,), real=True)
    # With its counter known, w[c] is one of three symbols.
    known = expr.to_sympy().subs(numbers)
    known = known.subs({elements[i]: sp.Symbol(f"w[{i}]", real=True) for i in range(3)})
    slope = known.diff(sp.Symbol(name, real=True))
    values = {sp.Symbol(p, real=True): sp.Float(value, 40) for p, value in POINT.items()}
    expected = sp.N(slope.subs(values), 30)
    assume(expected.is_number and expected.is_finite)
    assume(abs(expected) < 1e8)
    # Both sides round: SymPy's with 30 digits, ours where large numbers cancel.
    largest = max((abs(v) for v in _intermediate_values(expr.diff(name))), default=1.0)
    assume(largest < 1e6)
    assert_close(actual, complex(expected), 1e-8 * max(1.0, largest))


def _intermediate_values(expr: Expr) -> list[float]:
    return [node.evaluate(POINT, STORE) for node in expr.walk()]


def test_what_cannot_occur_has_the_literal_derivative_zero() -> None:
    for expr in EVERY_KIND.values():
        assert expr.diff("absent") == ZERO
    assert W[0].diff("w[1]") == ZERO
    assert ParameterElement("w", 3, C).diff("w") == ZERO
    assert ParameterElement("w", 3, C).diff("w[x]") == ZERO
    assert ParameterElement("w", 3, C).diff("v[0]") == ZERO


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (T, "1"),
        (negate(T), "-1"),
        (multiply(Number(2), T), "2"),
        (Power(T, Number(2)), "2*t"),
        (Power(T, Number(3)), "3*t^2"),
        (Power(T, Number(1)), "1"),
        (Power(T, Number(0)), "0"),
        (divide(ONE, T), "-1/t^2"),
        (multiply(T, C), "c"),
        (Call("sin", T), "cos(t)"),
        (Call("cos", T), "-sin(t)"),
        (Call("asin", T), "1/sqrt((1 - t)*(1 + t))"),
        (Call("exp", multiply(Number(2), T)), "exp(2*t)*2"),
        (ParameterElement("t", 4, C), "0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_text_of_derivatives(expr: Expr, text: str) -> None:
    assert str(expr.diff("t")) == text


def test_an_element_read_from_a_counter_depends_on_the_element_it_reads() -> None:
    expr = multiply(Number(3), ParameterElement("w", 3, C))
    assert str(expr.diff("w[1]")) == "3*[c = 1]"
    assert [expr.diff("w[1]").evaluate({}, {"c": c}) for c in range(3)] == [0, 3, 0]


def test_the_sign_of_a_parameter_is_differentiated() -> None:
    assert negate(T).diff("t") == number(-1)
    assert Call("sin", negate(T)).diff("t").evaluate({"t": 0.3}) == -math.cos(0.3)


@pytest.mark.parametrize(
    ("expr", "slope"),
    [
        (Power(T, Number(0)), 0.0),
        (Power(T, Number(1)), 1.0),
        (Power(T, Number(2)), 0.0),
        (Power(T, Number(3)), 0.0),
        (Power(T, Number(1.5)), 0.0),
    ],
    ids=str,
)
def test_powers_at_zero(expr: Expr, slope: float) -> None:
    assert expr.diff("t").evaluate({"t": 0.0}) == slope


def test_powers_of_a_counter_at_zero() -> None:
    # t^0 is the constant 1, t^1 is t, t^2 is flat at 0: all have derivatives, the first two too.
    first = Power(T, C).diff("t")
    second = first.diff("t")
    assert [first.evaluate({"t": 0.0}, {"c": c}) for c in range(4)] == [0, 1, 0, 0]
    assert [second.evaluate({"t": 0.0}, {"c": c}) for c in range(4)] == [0, 0, 2, 0]


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        (Call("sqrt", T), "`1/(2*sqrt(t))` divides by zero."),
        (Call("abs", T), "`1/abs(t)` divides by zero."),
        (Call("asin", add(T, ONE)), "`1/sqrt((1 - (t + 1))*(1 + t + 1))` divides by zero."),
        (Power(T, Number(0.5)), "`t^(0.5 - 1)` has no finite real value (operands: 0, -0.5)."),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_a_derivative_that_does_not_exist_is_an_error(expr: Expr, message: str) -> None:
    assert expr.evaluate({"t": 0.0}) in (0.0, math.asin(1))
    with pytest.raises(EvaluationError) as caught:
        expr.diff("t").evaluate({"t": 0.0})
    assert str(caught.value) == message


def test_derivative_of_asin_near_one_keeps_its_digits() -> None:
    gap = 2.0**-40
    slope = Call("asin", T).diff("t").evaluate({"t": 1 - gap})
    assert slope == pytest.approx(1 / math.sqrt(gap * (2 - gap)), rel=1e-15)


def test_a_long_product_has_a_derivative_of_moderate_size() -> None:
    expr = multiply(*(Parameter(f"w[{i % 7}]") for i in range(2000)))
    slope = expr.diff("w[3]")
    assert sum(len(node.children()) for node in slope.walk()) < 100_000
    ones = {f"w[{i}]": 1.0 for i in range(7)}
    assert slope.evaluate(ones) == len([i for i in range(2000) if i % 7 == 3])


def test_depth_is_no_limit() -> None:
    value = deep().diff("t").evaluate({"t": 0.3})
    above, below = (deep().evaluate({"t": 0.3 + h}) for h in (1e-6, -1e-6))
    assert_close(value, (above - below) / 2e-6, 1e-7)
    assert deep().diff("s") == ZERO
    assert deep(S).diff("t") == ZERO
