"""Expressions to SymPy and back: the values stay, and what has no counterpart is refused."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp
from expressions import EVERY_KIND, POINT, STORE, C, T, expressions, integer_expressions
from hypothesis import assume, given

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang.expr import (
    ONE,
    Call,
    Expr,
    Indicator,
    IntegerQuotient,
    Modulo,
    Number,
    Parameter,
    ParameterElement,
    Pi,
    Power,
    add,
    divide,
    multiply,
    negate,
    number,
)
from qdiff.lang.sympy_bridge import from_sympy, to_sympy

COUNTERS = tuple(STORE)
t, s = sp.symbols("t s", real=True)
c = sp.Symbol("c", integer=True)


@given(expressions)
def test_the_round_trip_keeps_the_value(expr: Expr) -> None:
    try:
        expected = expr.evaluate(POINT, STORE)
        largest = max(abs(node.evaluate(POINT, STORE)) for node in expr.walk())
    except EvaluationError:
        assume(False)
    assume(largest < 1e6)
    try:
        back = from_sympy(to_sympy(expr), COUNTERS).evaluate(POINT, STORE)
    except (EvaluationError, QdiffError):
        # SymPy folds constants exactly: what was 1/(2.2 - 1.1 - 1.1) may become 1/0.
        assume(False)
    assert back == pytest.approx(expected, rel=1e-9, abs=1e-9 * max(1.0, largest))


@given(integer_expressions)
def test_the_round_trip_keeps_integers_exact(expr: Expr) -> None:
    assert from_sympy(to_sympy(expr), COUNTERS).evaluate({}, STORE) == expr.evaluate({}, STORE)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_node_comes_back(kind: str) -> None:
    expr = EVERY_KIND[kind]
    back = from_sympy(to_sympy(expr), COUNTERS)
    assert back.evaluate(POINT, STORE) == pytest.approx(expr.evaluate(POINT, STORE), rel=1e-14)
    slope = from_sympy(to_sympy(expr.diff("t")), COUNTERS)
    assert slope.evaluate(POINT, STORE) == pytest.approx(expr.diff("t").evaluate(POINT, STORE), rel=1e-13)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (Number(2), sp.Integer(2)),
        (Pi(), sp.pi),
        (Parameter("w[0]"), sp.Symbol("w[0]", real=True)),
        (C, c),
        (add(T, number(-1)), t - 1),
        (divide(T, Number(3)), t / 3),
        (negate(divide(T, Number(3))), -t / 3),
        (Power(T, Number(2)), t**2),
        (Call("asin", T), sp.asin(t)),
        (Call("abs", T), sp.Abs(t)),
        (IntegerQuotient(C, Number(2)), sp.floor(c / 2)),
        (Modulo(C, Number(2)), sp.Mod(c, 2)),
        (Indicator(C, 2), sp.KroneckerDelta(c, 2)),
        (ParameterElement("w", 3, C), sp.IndexedBase("w", shape=(3,), real=True)[c]),
    ],
    ids=str,
)
def test_counterparts(expr: Expr, expected: Any) -> None:
    assert expr.to_sympy() == expected
    assert from_sympy(expected, ["c"]) == expr


def test_floats_keep_all_their_digits() -> None:
    for value in (0.1, 1 / 3, 1e-300, 1.7976931348623157e308):
        assert from_sympy(to_sympy(Number(value))) == Number(value)


@pytest.mark.parametrize(
    ("value", "expr"),
    [
        (sp.Rational(1, 3), divide(ONE, Number(3))),
        (-sp.Rational(2, 3), negate(divide(Number(2), Number(3)))),
        (sp.sqrt(t), Call("sqrt", T)),
        (1 / t, divide(ONE, T)),
        (t**-2, Power(T, number(-2))),
        (sp.exp(t), Call("exp", T)),
        (sp.E, Call("exp", ONE)),
        (sp.KroneckerDelta(1, c), Indicator(C, 1)),
        (sp.floor((c + 1) / 3), IntegerQuotient(add(C, ONE), Number(3))),
        (sp.Symbol("x"), Parameter("x")),
    ],
    ids=str,
)
def test_from_sympy(value: Any, expr: Expr) -> None:
    assert from_sympy(value, ["c"]) == expr


def test_symbols_are_parameters_unless_named_as_counters() -> None:
    assert from_sympy(c) == Parameter("c")
    assert from_sympy(c, ["c"]) == C


USABLE = "Usable: + - * / ^, pi, sin, cos, tan, asin, acos, atan, exp, log, sqrt, abs."


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (sp.I, "ImaginaryUnit"),
        (sp.oo, "Infinity"),
        (sp.zoo, "ComplexInfinity"),
        (sp.nan, "NaN"),
        (sp.gamma(t), "gamma"),
        (sp.Integral(t, t), "Integral"),
        (sp.Function("f")(t), "f"),
        (sp.KroneckerDelta(c, sp.Symbol("d", integer=True)), "KroneckerDelta"),
        (sp.floor(t), "floor"),
        (sp.IndexedBase("w")[c], "Indexed"),
        (sp.IndexedBase("w", shape=(2, 2))[c, c], "Indexed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_counterpart_is_refused(value: Any, kind: str) -> None:
    with pytest.raises(QdiffError) as caught:
        from_sympy(value, ["c"])
    assert str(caught.value) == f"SymPy's `{value}` ({kind}) has no counterpart here. {USABLE}"


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (sp.floor(t / 2), "t"),
        (sp.Mod(t, 2), "t"),
        (sp.Mod(c, sp.Float(1.5)), "1.5"),
        (sp.IndexedBase("w", shape=(3,))[t], "t"),
    ],
)
def test_div_and_mod_take_integers_only(value: Any, part: str) -> None:
    with pytest.raises(QdiffError) as caught:
        from_sympy(value, ["c"])
    assert str(caught.value) == (
        f"SymPy's `{value}` has no counterpart here: `{part}` is no integer, and div, mod and indices take "
        "integers and counters only. Name the counters in `counters=`."
    )


@pytest.mark.parametrize(
    ("value", "kind"), [("t + 1", "str"), (2, "int"), (sp.true, "BooleanTrue"), (None, "NoneType")]
)
def test_only_expressions_are_taken_and_text_is_never_read(value: Any, kind: str) -> None:
    with pytest.raises(QdiffError) as caught:
        from_sympy(value)
    assert str(caught.value) == f"Expected a SymPy expression, got {kind}."


def test_a_remainder_within_a_remainder() -> None:
    expr = Modulo(multiply(C, Modulo(C, Number(4))), Number(3))
    symbolic = to_sympy(expr)
    for value in range(-9, 10):
        expected = value * (value % 4) % 3
        assert symbolic.subs(c, value) == expected
        assert from_sympy(symbolic, ["c"]).evaluate({}, {"c": value}) == expected


@pytest.mark.parametrize("name", ["a b", "w[t]", "x; y", "__import__('os')", "\u03b8", "w[01]"])
def test_symbols_have_names_of_the_language(name: str) -> None:
    with pytest.raises(QdiffError) as caught:
        from_sympy(sp.Symbol(name) + 1)
    assert str(caught.value) == (
        f'{name!r} is no name of a parameter. Names look like "q", or "data[2]" in an array.'
    )


def test_products_with_signs() -> None:
    assert from_sympy(to_sympy(negate(multiply(Number(2), T)))).evaluate({"t": 3.0}) == -6.0
