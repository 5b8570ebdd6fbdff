"""Expressions whose like terms cancel; zero is never claimed where there is a value."""

from __future__ import annotations

import pytest
from amounts import examples
from expressions import POINT, STORE, deep, expressions
from hypothesis import given, settings
from hypothesis import strategies as st

from qdiff.errors import EvaluationError
from qdiff.lang.expr import ONE, ZERO, Expr, Number, Parameter, Power, Sum, add, multiply, negate
from qdiff.lang.rebuild import rebuild
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Gate
from qdiff.lang.vanishing import LARGEST_POWER, LONGEST, vanishes


def expression(text: str) -> Expr:
    (gate,) = parse(f"qubit: q para: t, u, w[2] count: c Ry({text})[q]").body
    assert isinstance(gate, Gate)
    return gate.angles[0]


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0.0",
        "t - t",
        "0*sin(t)",
        "t*u - u*t",
        "0.1*t + 0.2*t - 0.3*t",
        "(t + u)^2 - t^2 - 2*t*u - u^2",
        "t*t^-1 - 1",
        "t/(2*u) - 0.5*t*u^-1",
        "1/(t + u) - 1/(u + t)",
        "sin(2*t) - sin(t + t)",
        "w[c]*c - c*w[c]",
        "w[c mod 2] - w[c mod 2]",
        "t^2.5 - t^(5/2)",
        "(t + u)^200 - (u + t)^200",
        "pi*t - t*pi",
    ],
)
def test_what_cancels(text: str) -> None:
    assert vanishes(expression(text))


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "t",
        "t + t",
        "t - u",
        "sin(t) - cos(t)",
        "w[c] - w[c mod 2]",
        "t^2 - t",
        "(t + u)^200 - (t - u)^200",
    ],
)
def test_what_does_not(text: str) -> None:
    assert not vanishes(expression(text))


def test_what_takes_more_than_like_terms_is_not_noticed() -> None:
    for text in ("sin(t)^2 + cos(t)^2 - 1", "sqrt(t^2) - abs(t)", "exp(t)*exp(-t) - 1"):
        assert not vanishes(expression(text))


def shuffled(expr: Expr, data: st.DataObject) -> Expr:
    """The same with operands of sums and products in another order, and sums of products factored out."""

    def combine(node: Expr, operands: list[Expr]) -> Expr:
        if len(operands) > 1 and isinstance(node, Sum):
            return add(*data.draw(st.permutations(operands)))
        if isinstance(node, Power) and isinstance(node.exponent, Number) and node.exponent.value == 2:
            return multiply(operands[0], operands[0])
        return rebuild(node, operands) if operands else node

    return expr.fold(combine)


@settings(max_examples=examples(80))
@given(expressions, st.data())
def test_random_expressions_less_themselves(expr: Expr, data: st.DataObject) -> None:
    assert vanishes(add(expr, negate(shuffled(expr, data))))


@settings(max_examples=examples(120))
@given(expressions, expressions)
def test_zero_is_never_claimed_where_there_is_another_value(one: Expr, other: Expr) -> None:
    for found in (
        one,
        one.diff("t"),
        add(multiply(one, other), negate(multiply(other, one)), other.diff("t")),
    ):
        if vanishes(found):
            try:
                value, size = found.evaluate(POINT, STORE), abs(one.evaluate(POINT, STORE)) + 1
            except EvaluationError:
                continue
            assert abs(value) <= 1e-9 * size**2


def test_large_ones_are_atoms() -> None:
    t, many = Parameter("t"), [Parameter(f"t{i}") for i in range(LONGEST)]
    wide = add(t, *many)
    assert vanishes(add(multiply(wide, t), negate(multiply(t, wide))))
    assert vanishes(add(multiply(wide, wide), negate(multiply(wide, wide))))
    assert not vanishes(add(wide, negate(wide)))  # 402 terms less one atom: not noticed
    high = Power(add(t, ONE), Number(LARGEST_POWER + 1))
    assert vanishes(add(high, negate(high)))
    assert not vanishes(add(high, negate(Power(t, Number(LARGEST_POWER + 1)))))
    assert vanishes(add(deep(), negate(deep())))
    assert not vanishes(add(deep(), deep()))
    assert vanishes(multiply(ZERO, deep()))
