"""Rounding bounds of expressions, against numbers with forty digits."""

from __future__ import annotations

import math

import mpmath
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_parts import Budget, Scope, angles

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.gates import record
from qdiff.sim import rounding
from qdiff.sim.flow import SmallGate
from qdiff.sim.rounding import UNIT, expression_error, gate_error

SCOPE = Scope(("q",), ("t", "u"), (), (), ("c",), (), (), False, Budget(0))


def precise(expr: Expr, t: float, u: float, c: int) -> mpmath.mpf:
    """The value with forty digits, numbers taken as the doubles that they are."""
    known = {"t": mpmath.mpf(t), "u": mpmath.mpf(u)}

    def node(e: Expr, x: list[mpmath.mpf]) -> mpmath.mpf:
        match e:
            case ex.Number(value=value):
                return mpmath.mpf(value)
            case ex.Pi():
                return +mpmath.pi
            case ex.Parameter(name=name):
                return known[name]
            case ex.Counter():
                return mpmath.mpf(c)
            case ex.Sum():
                return mpmath.fsum(x)
            case ex.Product():
                return mpmath.fprod(x)
            case ex.Negate():
                return -x[0]
            case ex.Reciprocal():
                return 1 / x[0]
            case ex.Power():
                return x[0] ** x[1]
            case ex.Call(function=function):
                return getattr(mpmath, {"abs": "fabs"}.get(function, function))(x[0])
            case _:
                raise AssertionError(e)

    with mpmath.workdps(40):
        return expr.fold(node)


def check_expression(expr: Expr, t: float, u: float, c: int) -> float:
    """Assert that the bound holds; return it."""
    value = expr.evaluate({"t": t, "u": u}, {"c": c})
    bound = expression_error(expr, {"t": t, "u": u}, {"c": c})
    exact = precise(expr, t, u, c)
    with mpmath.workdps(40):
        assert abs(mpmath.mpf(value) - exact) <= bound, (
            f"{expr}: {value} is off from {exact} by more than {bound}"
        )
    return bound


@settings(max_examples=200)
@given(angles(SCOPE, 3), st.floats(-2, 2), st.floats(0.1, 2), st.integers(0, 5), st.booleans())
def test_random_expressions(expr: Expr, t: float, u: float, c: int, slope: bool) -> None:
    expr = expr.diff("t") if slope else expr
    try:
        check_expression(expr, t, u, c)
    except EvaluationError:
        assume(False)


def test_a_bound_that_is_too_small_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    third = ex.multiply(ex.Parameter("t"), ex.Reciprocal(ex.Number(3)), ex.Call("sin", ex.Parameter("u")))
    check_expression(third, 0.7, 1.3, 0)
    monkeypatch.setattr(rounding, "UNIT", UNIT / 1000)
    monkeypatch.setattr(rounding, "FUNCTION", UNIT / 1000)
    with pytest.raises(AssertionError, match=r"is off from .* by more than"):
        check_expression(third, 0.7, 1.3, 0)


@pytest.mark.parametrize(
    "expr",
    [
        ex.Power(ex.Parameter("t"), ex.Number(2)),
        ex.multiply(ex.Parameter("t"), ex.Parameter("t"), ex.Number(1e300)),
        ex.multiply(ex.Number(1e300), ex.Power(ex.Parameter("t"), ex.Number(2)), ex.Number(1e200)),
        ex.Call("exp", ex.Reciprocal(ex.multiply(ex.Number(-1e218), ex.Parameter("t")))),
        ex.Power(ex.multiply(ex.Number(3), ex.Parameter("t")), ex.Number(2)),
        ex.Call("sin", ex.multiply(ex.Parameter("t"), ex.Number(1e-103))),
    ],
    ids=str,
)
def test_what_underflows_is_counted(expr: Expr) -> None:
    assert check_expression(expr, 3.4e-221, 1.0, 0) > 0


def test_an_exact_zero_has_no_error() -> None:
    zero = ex.multiply(ex.Parameter("t"), ex.Counter("c"))
    assert check_expression(ex.Call("sqrt", zero), 0.3, 1.0, 0) == 0
    assert check_expression(ex.Call("sin", ex.Power(zero, ex.Number(2))), 0.3, 1.0, 0) == 0


def test_cancellation_is_seen() -> None:
    near = ex.add(ex.Call("sin", ex.Pi()), ex.Parameter("t"))
    assert check_expression(near, 0.0, 1.0, 0) > 1e-16


@pytest.mark.parametrize(
    "expr",
    [
        ex.Call("sqrt", ex.Call("sin", ex.Pi())),
        ex.Reciprocal(ex.Call("sin", ex.Pi())),
        ex.Call("log", ex.Call("sin", ex.Pi())),
        ex.Power(ex.Call("sin", ex.Pi()), ex.Number(0.5)),
        ex.Call("asin", ex.Call("cos", ex.Call("sin", ex.Pi()))),
    ],
)
def test_nothing_is_proved_next_to_a_singularity(expr: Expr) -> None:
    assert expression_error(expr, {}, {}) == math.inf


def test_gates_that_are_exact_and_gates_that_are_not() -> None:
    def small(name: str) -> SmallGate:
        return SmallGate(
            record(name), -1 if not record(name).angles else 0, (0, 1)[: record(name).targets], 0
        )

    assert [gate_error(small(name), 0.0, 0.0) for name in ("X", "Y", "S", "SWAP", "ISWAP")] == [0.0] * 5
    assert gate_error(small("H"), 0.0, 0.0) == rounding.ONE_TARGET
    assert gate_error(small("Rx"), 1.0, 1e-10) == pytest.approx(rounding.ONE_TARGET + 0.5e-10)
    assert gate_error(small("P"), 1.0, 1e-10) == pytest.approx(rounding.ONE_TARGET + 1e-10)
