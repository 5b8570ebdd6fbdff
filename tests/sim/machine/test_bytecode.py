"""Compiled expressions against `Expr.evaluate`: integers exactly, floats up to rounding, where it asks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
import pytest
from expressions import EVERY_KIND, POINT, STORE, expressions, integer_expressions
from hypothesis import given, settings
from hypothesis import strategies as st

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Counter, Expr, Number, Parameter, add, divide, multiply, negate
from qdiff.lang.text.parser import parse
from qdiff.sim.machine import arithmetic
from qdiff.sim.machine import code as c
from qdiff.sim.machine.binding import bound, scratch
from qdiff.sim.machine.bytecode import compile_expressions
from qdiff.sim.machine.compiled import address_of
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.tables import Tables
from qdiff.sim.protocol import Readout

PARAMETERS, COUNTERS = tuple(POINT), tuple(STORE)
A, B, T = Counter("c"), Counter("m[0]"), Parameter("t")
WIDE = st.sampled_from([0, 1, -1, 2, -3, 10**9, 2**31, -(2**31), 2**53 + 1, 2**62, 2**63 - 1, -(2**63)])


_evaluate = arithmetic.evaluate.call


@numba.njit
def computed_at(code, bound, work, address, e):  # type: ignore[no-untyped-def]
    return _evaluate(address, address_of(Tables(code, bound, work)), e)


def value(expression: Expr, store: Mapping[str, int] = STORE) -> int | float | None:
    """What the machine finds; None where it asks."""
    plan = lower(parse("qubit: q\nskip"), Readout())
    compiled = compile_expressions([expression], PARAMETERS, COUNTERS)
    code = plan.code._replace(
        starts=compiled.starts, rows=compiled.rows, floats=compiled.floats, hazards=compiled.hazards
    )
    numbers = bound(plan, {})._replace(parameters=np.array([POINT[name] for name in PARAMETERS]))
    work = scratch(plan)._replace(
        store=np.array([store[name] for name in COUNTERS]),
        whole_rows=np.zeros(compiled.longest, dtype=np.int64),
        real_rows=np.zeros(compiled.longest),
    )
    row = computed_at(code, numbers, work, arithmetic.evaluate.address, 0)
    if row < 0:
        return None
    return int(work.whole_rows[row]) if compiled.whole[0] else float(work.real_rows[row])


def truth(expression: Expr, store: Mapping[str, int] = STORE) -> Any:
    try:
        return expression.evaluate(POINT, store)
    except EvaluationError:
        return None


def assert_right(expression: Expr, store: Mapping[str, int] = STORE) -> None:
    """Either the machine asks, or it has the value; it has none where there is none."""
    found, expected = value(expression, store), truth(expression, store)
    if found is None:
        fits = isinstance(expected, float) or (expected is not None and abs(expected) < 2**20)
        assert not (fits and small(expression, store)), f"asks for {expression}"
    elif isinstance(found, int):
        assert (found, int) == (expected, type(expected))
    else:
        assert expected is not None, f"{expression} has no value, not {found}"
        assert math.isclose(found, expected, rel_tol=1e-11, abs_tol=1e-11)


def small(expression: Expr, store: Mapping[str, int]) -> bool:
    """Whether every part has a value that stays far below 64 bits."""
    parts = [truth(part, store) for part in expression.walk()]
    return all(part is not None and abs(part) < 2**20 for part in parts)


@settings(max_examples=200)
@given(expressions)
def test_random_expressions(expression: Expr) -> None:
    assert_right(expression)


@settings(max_examples=200)
@given(integer_expressions, WIDE, WIDE)
def test_random_integer_expressions_in_64_bits_and_beyond(expression: Expr, one: int, other: int) -> None:
    assert_right(expression, {"c": one, "m[0]": other})


@settings(max_examples=200)
@given(st.sampled_from(["+", "*", "div", "mod", "^", "neg", "abs", "/"]), WIDE, WIDE)
def test_every_operation_on_integers(operation: str, one: int, other: int) -> None:
    made: dict[str, Expr] = {
        "+": add(A, B),
        "*": multiply(A, B),
        "div": ex.IntegerQuotient(A, B),
        "mod": ex.Modulo(A, B),
        "^": ex.Power(A, B),
        "neg": negate(A),
        "abs": ex.Call("abs", A),
        "/": divide(A, B),
    }
    store = {"c": one, "m[0]": other}
    found, expected = value(made[operation], store), truth(made[operation], store)
    if isinstance(expected, int) and -(2**63) <= expected < 2**63:
        assert (found, type(found)) == (expected, int)
    elif isinstance(expected, float) and found is not None:
        assert found == expected  # a quotient is rounded once
    else:
        assert found is None


@pytest.mark.parametrize("name", EVERY_KIND)
def test_every_kind_of_node(name: str) -> None:
    expression = EVERY_KIND[name]
    assert value(expression) == pytest.approx(expression.evaluate(POINT, STORE), rel=1e-13)


@pytest.mark.parametrize(
    "expression",
    [
        multiply(Number(2**63), A),  # a literal that leaves 64 bits
        negate(Number(2**63)),
        ex.Modulo(Number(10**30), Number(7)),
        ex.IntegerQuotient(A, Number(0)),
        ex.Power(Number(2), Number(64)),
        divide(A, Number(0)),
        ex.ParameterElement("w", 3, add(A, B)),
        ex.ParameterElement("w", 3, negate(A)),
        ex.LogPowerHazard(add(A, Number(10**4)), Number(0.5)),  # beyond the table
        ex.LogPowerHazard(add(A, negate(Number(2))), Number(0.5)),
        ex.Call("log", negate(T)),
        ex.Call("asin", add(T, Number(2))),
        ex.Power(negate(T), Number(0.5)),
        divide(Number(1), add(A, negate(Number(2)))),
    ],
    ids=str,
)
def test_what_the_machine_asks_for(expression: Expr) -> None:
    assert value(expression) is None


def test_hazards() -> None:
    for index in (1, 2, 5, 8191):
        store = {"c": index, "m[0]": 0}
        for delta in (0.5, 0.25):
            expression = ex.LogPowerHazard(A, Number(delta))
            assert value(expression, store) == expression.evaluate({}, store)
    assert (
        len(
            compile_expressions(
                [ex.LogPowerHazard(A, Number(d)) for d in (0.5, 0.25, 0.5)], (), COUNTERS
            ).hazards
        )
        == 2 * 8192
    )


def test_shared_nodes_are_computed_once() -> None:
    part = add(T, A)
    for _ in range(50):
        part = ex.Sum((part, part))
    compiled = compile_expressions([part], PARAMETERS, COUNTERS)
    assert len(compiled.rows) < 200


def test_an_expression_that_is_an_operand_of_itself_ends_with_its_value() -> None:
    """The value is always the last row, also where that row was written before."""
    for shared in (A, T):
        expression = ex.Power(shared, Number(1))
        assert value(expression) == truth(expression)


def test_modes() -> None:
    compiled = compile_expressions([A, T, add(A, T), Number(2), multiply(Number(2), A)], PARAMETERS, COUNTERS)
    assert compiled.modes.tolist() == [COUNTERS.index("c"), c.BOUND, c.COMPUTED, c.BOUND, c.COMPUTED]
    assert compiled.whole.tolist() == [True, False, False, True, True]


@pytest.mark.parametrize(
    "text",
    ["-t", "2*t", "t + 0.5", "3*t*t - 2.5*t + 1", "-0.1*(t - 3)", "t*1e308*1e308", "7", "t/3", "sin(t)"],
)
def test_binding_has_the_values_of_the_machine(text: str) -> None:
    """Simple expressions are bound without the part that evaluates all others: to the last bit the same."""
    program = parse(f"qubit: q\npara: t\nRx({text})[q]")
    plan = lower(program, Readout())
    for t in (0.1, -1.7, 1e200, 1e-320):
        numbers = bound(plan, {"t": t})
        for e in range(len(plan.expressions)):
            work = scratch(plan)
            row = computed_at(plan.code, numbers, work, arithmetic.evaluate.address, e)
            expected = (
                np.nan if row < 0 else work.whole_rows[row] if plan.code.whole[e] else work.real_rows[row]
            )
            assert numbers.values[e].tobytes() == np.float64(expected).tobytes()
