"""Values of expressions: exact integers, quotients rounded once, and what has no value."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from expressions import POINT, STORE, C, S, T, deep, expressions, integer_expressions
from hypothesis import assume, given
from hypothesis import strategies as st

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import (
    ONE,
    Call,
    Expr,
    Indicator,
    IntegerQuotient,
    Modulo,
    Number,
    ParameterElement,
    Pi,
    Power,
    add,
    divide,
    multiply,
    negate,
    number,
)
from qdiff.lang.source import Position

TWO = Number(2)


def reference(expr: Expr) -> float:
    """Evaluate by plain recursion, as one would write the expression in Python."""
    match expr:
        case ex.Number(value=value):
            return value
        case ex.Pi():
            return math.pi
        case ex.Parameter(name=name):
            return POINT[name]
        case ex.Counter(name=name):
            return STORE[name]
        case ex.ParameterElement(array=array, index=index):
            return POINT[f"{array}[{reference(index)}]"]
        case ex.Sum(terms=terms):
            total = reference(terms[0])
            for term in terms[1:]:
                total += reference(term)
            return total
        case ex.Product(factors=factors):
            result: float = 1
            for factor in factors:
                if isinstance(factor, ex.Reciprocal):
                    result /= reference(factor.operand)
                else:
                    result *= reference(factor)
            return result
        case ex.Negate(operand=operand):
            return -reference(operand)
        case ex.Reciprocal(operand=operand):
            return 1 / reference(operand)
        case ex.Power(base=base, exponent=exponent):
            result = reference(base) ** reference(exponent)
            return result
        case ex.Call(function="abs", argument=argument):
            return abs(reference(argument))
        case ex.Call(function=function, argument=argument):
            return float(getattr(math, function)(reference(argument)))
        case ex.IntegerQuotient(left=left, right=right):
            return reference(left) // reference(right)
        case ex.Modulo(left=left, right=right):
            return reference(left) % reference(right)
        case ex.Indicator(index=index, value=value):
            return int(reference(index) == value)
    raise AssertionError(type(expr).__name__)


@given(expressions)
def test_values_are_those_of_plain_python(expr: Expr) -> None:
    try:
        expected = reference(expr)
    except (ValueError, OverflowError, ZeroDivisionError):
        with pytest.raises(EvaluationError):
            expr.evaluate(POINT, STORE)
        return
    assume(math.isfinite(expected))
    try:
        actual = expr.evaluate(POINT, STORE)
    except EvaluationError:
        # An infinity on the way, as in 1/(1e200*1e200), is an error even if the end is finite.
        assert any(not _is_finite(node) for node in expr.walk())
        return
    assert actual == pytest.approx(expected, rel=1e-15, abs=0)
    assert type(actual) is type(expected)


def _is_finite(expr: Expr) -> bool:
    try:
        return math.isfinite(reference(expr))
    except (ValueError, OverflowError, ZeroDivisionError):
        return False


@given(integer_expressions)
def test_integer_expressions_are_exact(expr: Expr) -> None:
    value = expr.evaluate({}, STORE)
    assert type(value) is int
    assert value == reference(expr)


def test_large_integers_are_exact() -> None:
    large = add(C, ONE)
    assert large.evaluate(counters={"c": 2**60}) == 2**60 + 1
    assert large.evaluate(counters={"c": 2**60}) > Number(float(2**60)).evaluate()
    assert Power(Number(3), Number(65)).evaluate() == 3**65
    assert multiply(C, C).evaluate(counters={"c": 2**62 + 1}) == (2**62 + 1) ** 2
    assert Modulo(C, Number(10)).evaluate(counters={"c": 2**60 + 1}) == (2**60 + 1) % 10


@pytest.mark.parametrize(
    ("left", "right", "quotient", "remainder"),
    [(7, 2, 3, 1), (-7, 2, -4, 1), (7, -2, -4, -1), (-7, -2, 3, -1)],
)
def test_div_and_mod_round_down(left: int, right: int, quotient: int, remainder: int) -> None:
    assert IntegerQuotient(number(left), number(right)).evaluate() == quotient
    assert Modulo(number(left), number(right)).evaluate() == remainder


def test_a_quotient_is_rounded_once() -> None:
    for n in range(1, 200):
        assert divide(C, Number(n)).evaluate(counters={"c": n}) == 1
        assert divide(C, Number(n)).evaluate(counters={"c": 17}) == float(Fraction(17, n))
    assert divide(multiply(C, Number(3)), Number(7)).evaluate(counters={"c": 5}) == 15 / 7
    assert divide(Number(2**62 + 1), Number(2**62 + 1)).evaluate() == 1


def test_operations_go_from_left_to_right() -> None:
    # Compensated summation, or another order, gives 0.6.
    assert add(Number(0.1), Number(0.2), Number(0.3)).evaluate() == 0.1 + 0.2 + 0.3 != 0.6
    assert multiply(Number(0.1), Number(3), Number(10)).evaluate() == 0.1 * 3 * 10


def test_elements_of_arrays() -> None:
    element = ParameterElement("w", 3, add(C, number(-1)))
    assert [element.evaluate(POINT, {"c": c}) for c in (1, 2, 3)] == [-0.4, 0.9, 2.1]
    assert Indicator(C, 2).evaluate(counters={"c": 2}) == 1
    assert Indicator(C, 2).evaluate(counters={"c": 3}) == 0


@pytest.mark.parametrize("c", [0, 4, -7])
def test_an_index_out_of_range_is_an_error(c: int) -> None:
    element = ParameterElement("w", 3, add(C, number(-1)))
    with pytest.raises(EvaluationError) as caught:
        element.evaluate(POINT, {"c": c})
    assert str(caught.value) == f"the index of `w[c - 1]` is {c - 1}, outside 0 .. 2."


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        (divide(ONE, T), "`1/t` divides by zero."),
        (divide(S, multiply(T, C)), "`1/(t*c)` divides by zero."),
        (IntegerQuotient(C, Number(0)), "`c div 0` divides by zero."),
        (Modulo(C, Number(0)), "`c mod 0` divides by zero."),
        (Call("log", T), "`log(t)` has no finite real value (operands: 0)."),
        (Call("log", negate(S)), "`log(-s)` has no finite real value (operands: -2)."),
        (Call("sqrt", negate(S)), "`sqrt(-s)` has no finite real value (operands: -2)."),
        (Call("asin", S), "`asin(s)` has no finite real value (operands: 2)."),
        (Call("acos", S), "`acos(s)` has no finite real value (operands: 2)."),
        (Call("exp", Number(1000)), "`exp(1000)` has no finite real value (operands: 1000)."),
        (Power(T, number(-1)), "`t^(-1)` has no finite real value (operands: 0, -1)."),
        (
            Power(negate(S), divide(ONE, Number(3))),
            "`(-s)^(1/3)` has no finite real value (operands: -2, 1/3).",
        ),
        (Power(Number(10), Number(400)), "`10^400` has no finite real value (operands: 10, 400)."),
        (Power(Number(1e200), TWO), "`1e+200^2` has no finite real value (operands: 1e+200, 2)."),
        (Power(Number(3), Number(1000)), "`3^1000` is too large a number."),
        (multiply(Number(1e200), Number(1e200)), "`1e+200*1e+200` is inf, not a finite real number."),
        (
            divide(ONE, multiply(Number(1e200), Number(1e200))),
            "`1e+200*1e+200` is inf, not a finite real number.",
        ),
        (divide(ONE, Number(1e-310)), "`1/1e-310` is inf, not a finite real number."),
        (Number(float("inf")), "`inf` is inf, not a finite real number."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_finite_real_value_is_an_error(expr: Expr, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        expr.evaluate({"t": 0.0, "s": 2.0}, {"c": 1})
    assert str(caught.value) == message


def test_the_error_holds_the_node_that_failed() -> None:
    here = Position(3, 7, 6)
    failing = Call("log", T, pos=here)
    with pytest.raises(ValueFailure) as caught:
        add(ONE, multiply(S, failing)).evaluate({"t": -1.0, "s": 1.0})
    assert caught.value.node is failing
    assert caught.value.node.place() == here
    assert caught.value.message == str(caught.value)


@pytest.mark.parametrize("base", [9, -9, 10**300])
def test_towers_of_powers_are_refused_at_once(base: int) -> None:
    expr: Expr = number(base)
    for _ in range(40):
        expr = Power(expr, Number(64))
    with pytest.raises(EvaluationError, match=r"too large a number|no finite real value"):
        expr.evaluate()


def test_products_of_huge_integers_are_refused_at_once() -> None:
    with pytest.raises(EvaluationError, match="has no finite real value"):
        multiply(*(Number(10**300 + i) for i in range(1000))).evaluate()


def test_small_bases_take_any_exponent() -> None:
    for base, expected in ((0, 0), (1, 1), (-1, 1)):
        assert Power(number(base), Number(10**30)).evaluate() == expected
    assert Power(TWO, Number(1000)).evaluate() == 2**1000
    assert Power(TWO, number(-1)).evaluate() == 0.5


def test_numpy_values_fail_like_pythons() -> None:
    values = {"t": np.float64(0.0), "s": np.float64(1e200)}
    assert type(T.evaluate(values)) is float
    with pytest.raises(EvaluationError, match=r"`1/t` divides by zero\."):
        divide(ONE, T).evaluate(values)
    with pytest.raises(EvaluationError, match=r"`s\*s` is inf"):
        multiply(S, S).evaluate(values)


def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(QdiffError, match=r"^The parameter `t` has no value\.$"):
        T.evaluate({"s": 1.0})
    with pytest.raises(QdiffError, match=r"^The counter `c` has no value\.$"):
        C.evaluate({"c": 1.0})
    with pytest.raises(QdiffError, match=r"^The parameter `w\[1\]` has no value\.$"):
        ParameterElement("w", 2, ONE).evaluate({})


@given(st.floats(-1, 1))
def test_functions_are_those_of_the_math_module(x: float) -> None:
    for name in ("sin", "cos", "tan", "asin", "acos", "atan", "exp", "abs"):
        expected = abs(x) if name == "abs" else getattr(math, name)(x)
        assert Call(name, T).evaluate({"t": x}) == expected
    assert multiply(TWO, Pi()).evaluate() == math.tau


def test_depth_is_no_limit() -> None:
    value = 0.3
    for level in range(5000):
        step = level % 6
        value = (
            math.sin(value), value + 1, value**2, 1 / (value + 3), 0.5 * value * 0.3, -math.cos(value),
        )[step]  # fmt: skip
    assert deep().evaluate({"t": 0.3}) == pytest.approx(value, rel=1e-14)
