"""Integers are in the residue classes that are claimed."""

from __future__ import annotations

import pytest
from expressions import C, integer_expressions
from hypothesis import given
from hypothesis import strategies as st

from qdiff.errors import EvaluationError
from qdiff.lang.expr import (
    Call,
    Counter,
    Expr,
    IntegerQuotient,
    Modulo,
    Number,
    Power,
    add,
    divide,
    multiply,
    negate,
)
from qdiff.sim.congruences import Congruence, combined_congruence, meet
from qdiff.sim.intervals import Possible, possible

M = Counter("m[0]")
EVERYWHERE = (float("-inf"), float("inf"))


@given(integer_expressions, st.integers(-60, 60), st.integers(-60, 60), st.integers(1, 12), st.booleans())
def test_values_are_in_their_class(expression: Expr, c: int, m: int, modulus: int, known: bool) -> None:
    others = {"c": Possible(*EVERYWHERE, (c % modulus, modulus))}
    found = possible(expression, {}, {"m[0]": m} if known else {}, others)
    try:
        value = expression.evaluate({}, {"c": c, "m[0]": m})
    except EvaluationError:
        return
    assert found.least <= value <= found.most
    assert found.congruence is not None
    residue, spread = found.congruence
    assert value == residue if spread == 0 else value % spread == residue


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (add(C, Number(1)), (5, 6)),
        (negate(C), (2, 6)),
        (multiply(Number(2), C), (8, 12)),
        (multiply(C, C), (4, 12)),
        (Power(C, Number(2)), (4, 12)),
        (Power(C, Number(17)), None),
        (add(C, M), (0, 1)),
        (add(C, multiply(Number(4), M)), (0, 2)),
        (Modulo(C, Number(3)), (1, 0)),
        (Modulo(C, negate(Number(3))), (-2, 0)),
        (Modulo(C, Number(4)), (0, 2)),
        (Modulo(C, M), (0, 1)),
        (IntegerQuotient(C, Number(3)), (1, 2)),
        (IntegerQuotient(C, Number(6)), (0, 1)),
        (IntegerQuotient(C, Number(4)), (0, 1)),
        (multiply(Number(0.5), C), None),
        (divide(C, Number(2)), None),
        (Call("abs", C), None),
        (multiply(Number(2**200), C, C), (4 * 2**200, 12 * 2**200)),
        (multiply(Number(2**256), C), (0, 1)),
    ],
    ids=str,
)
def test_of_four_modulo_six(expression: Expr, expected: Congruence | None) -> None:
    found = possible(expression, {}, {}, {"c": Possible(*EVERYWHERE, (4, 6))})
    assert found.congruence == expected


def test_leaves_have_none() -> None:
    assert combined_congruence(Number(2), []) is None


def test_ends_are_rounded_to_the_class() -> None:
    found = possible(add(C, Number(1)), {}, {}, {"c": Possible(-3, 20, (4, 6))})
    assert (found.least, found.most) == (-1, 17)


def test_an_exact_remainder_bounds_what_is_made_of_it() -> None:
    found = possible(multiply(Number(5), Modulo(C, Number(2))), {}, {}, {"c": Possible(*EVERYWHERE, (3, 6))})
    assert found == Possible(5, 5, (5, 0))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [((4, 6), (1, 3), True), ((4, 6), (1, 2), False), ((4, 0), (4, 0), True), ((4, 0), (5, 0), False)],
)
def test_whether_both_are_possible(one: Congruence, other: Congruence, expected: bool) -> None:
    assert meet(one, other) == meet(other, one) == expected
