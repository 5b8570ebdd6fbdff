"""Expressions: normal form, equality, hash, walking; depth is no limit."""

from __future__ import annotations

import numpy as np
import pytest
from expressions import C, S, T, deep, expressions
from hypothesis import given

from qdiff.errors import QdiffError
from qdiff.lang.expr import (
    ONE,
    ZERO,
    Call,
    Expr,
    Indicator,
    Negate,
    Number,
    Parameter,
    ParameterElement,
    Power,
    Product,
    Reciprocal,
    Sum,
    add,
    divide,
    is_number,
    multiply,
    negate,
    number,
)
from qdiff.lang.rebuild import rebuild
from qdiff.lang.source import Position


def test_a_sum_is_flat_and_without_zeros() -> None:
    assert add(T, add(S, C), ZERO) == Sum((T, S, C))
    assert add(T) == add(T, ZERO, Number(0.0)) == T
    assert add() == add(ZERO, ZERO) == ZERO


def test_a_product_is_flat_and_without_ones() -> None:
    assert multiply(T, multiply(S, C), ONE) == Product((T, S, C))
    assert multiply(T) == multiply(ONE, T, Number(1.0)) == T
    assert multiply() == multiply(ONE) == ONE


def test_signs_of_a_product_stand_in_front() -> None:
    assert multiply(negate(T), S) == multiply(T, negate(S)) == Negate(Product((T, S)))
    assert multiply(negate(T), negate(S)) == Product((T, S))
    assert multiply(negate(multiply(T, S)), C) == Negate(Product((T, S, C)))
    assert multiply(negate(ONE), T) == Negate(T)


def test_two_signs_cancel() -> None:
    assert negate(negate(T)) == T
    assert negate(T) == Negate(T)


def test_a_quotient_is_a_product_with_a_reciprocal() -> None:
    assert divide(T, S) == Product((T, Reciprocal(S)))
    assert divide(ONE, S) == Reciprocal(S)
    assert divide(T, negate(S)) == divide(negate(T), S) == Negate(Product((T, Reciprocal(S))))


def test_numbers_have_no_sign_of_their_own() -> None:
    assert number(-2) == Negate(Number(2))
    assert number(-0.0) == Number(0.0)
    assert str(number(-0.0)) == "0.0"


@pytest.mark.parametrize(
    ("value", "plain"),
    [(np.float64(0.5), 0.5), (np.float32(0.25), 0.25), (np.int64(7), 7), (np.int8(3), 3), (True, 1)],
)
def test_numbers_of_other_types_become_pythons(value: float, plain: float) -> None:
    expr = number(value)
    assert isinstance(expr, Number)
    assert expr.value == plain
    assert type(expr.value) is type(plain)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float64("nan")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(QdiffError) as caught:
        number(value)
    assert str(caught.value) == f"An expression holds finite numbers only, not {float(value)}."


def test_is_number() -> None:
    assert is_number(Number(1.0), 1)
    assert not is_number(Number(2), 1)
    assert not is_number(T, 1)


def test_equality_is_structural_and_positions_do_not_count() -> None:
    here, there = Position(1, 2), Position(3, 4)
    a = Sum((Parameter("t", pos=here), Number(2, pos=there)), pos=here)
    b = Sum((Parameter("t"), Number(2)))
    assert a == b
    assert hash(a) == hash(b)
    assert len({a, b}) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (T, S),
        (T, C),
        (Parameter("c"), C),
        (Number(2), Number(2.0)),
        (Number(2**60), Number(float(2**60))),
        (Sum((T, S)), Sum((S, T))),
        (Sum((T, S)), Product((T, S))),
        (Sum((T, S)), Sum((T, S, S))),
        (Call("sin", T), Call("cos", T)),
        (Power(T, S), Power(S, T)),
        (Indicator(C, 1), Indicator(C, 2)),
        (ParameterElement("w", 3, C), ParameterElement("w", 4, C)),
        (ParameterElement("w", 3, C), ParameterElement("v", 3, C)),
        (T, "t"),
    ],
    ids=str,
)
def test_different_expressions_are_not_equal(left: Expr, right: object) -> None:
    assert left != right
    assert right != left


@given(expressions)
def test_rebuilding_a_normal_form_changes_nothing(expr: Expr) -> None:
    assert expr.fold(rebuild) == expr


def test_substitution_keeps_the_normal_form() -> None:
    expr = multiply(T, add(S, T), ParameterElement("w", 2, C))
    assert expr.substitute({"t": number(-2)}) == negate(
        multiply(Number(2), add(S, number(-2)), ParameterElement("w", 2, C))
    )
    assert expr.substitute({"unused": ONE}) == expr
    assert expr.substitute({"w[0]": ONE}) == expr


def test_names_that_occur() -> None:
    expr = add(T, multiply(Parameter("w[1]"), ParameterElement("v", 2, add(C, ONE))))
    assert expr.parameters() == {"t", "w[1]", "v[0]", "v[1]"}
    assert expr.counters() == {"c"}
    assert ONE.parameters() == ONE.counters() == frozenset()


def test_walk_goes_down_from_the_left() -> None:
    expr = add(T, multiply(S, C))
    assert list(expr.walk()) == [expr, T, multiply(S, C), S, C]


def test_a_shared_node_is_visited_once() -> None:
    expr: Expr = T
    for _ in range(100):  # 2^100 paths from the root to the leaf
        expr = Power(expr, expr)
    assert len(list(expr.walk())) == 101
    assert expr.parameters() == {"t"}
    other: Expr = Parameter("t")
    for _ in range(100):
        other = Power(other, other)
    assert expr == other


def test_the_place_is_that_of_the_first_node_that_has_one() -> None:
    assert add(T, S).place() is None
    here = Position(2, 5)
    assert add(T, Parameter("s", pos=here)).place() == here


def test_repr_shows_the_nodes() -> None:
    assert repr(add(T, number(-2))) == ("Sum(terms=(Parameter(name='t'), Negate(operand=Number(value=2))))")


def test_depth_is_no_limit() -> None:
    one, other = deep(), deep()
    assert one == other
    assert hash(one) == hash(other)
    assert one != deep(S)
    assert one.parameters() == {"t"}
    assert one.counters() == frozenset()
    assert one.place() is None
    assert one.substitute({"t": S}) == deep(S)
    assert len(str(one)) > 5000
    assert repr(one).endswith(")")
