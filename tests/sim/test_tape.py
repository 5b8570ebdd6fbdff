"""The tape against the evaluator of single expressions."""

from __future__ import annotations

import math

import numpy as np
from expressions import POINT, STORE, expressions
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st

from qdiff.errors import EvaluationError
from qdiff.lang.expr import Counter, Expr, Parameter, ParameterElement, add, number
from qdiff.sim.tape import compile_tape


def run(tree: list[Expr]) -> np.ndarray:
    tape = compile_tape(tree, list(POINT), list(STORE))
    counters = np.array(list(STORE.values()), dtype=float)[:, None]
    return tape.run(np.array(list(POINT.values())), counters)[:, 0]


@settings(max_examples=150)
@given(st.lists(expressions, min_size=1, max_size=4))
def test_values_are_those_of_the_evaluator(tree: list[Expr]) -> None:
    for expression, value in zip(tree, run(tree), strict=True):
        try:
            expected = float(expression.evaluate(POINT, STORE))
        except (EvaluationError, OverflowError):
            continue  # what the tape gives there is not looked at
        if abs(expected) < 1e12:
            assert_close(value, expected)


def test_derivatives_share_the_tape() -> None:
    t = Parameter("t")
    angle = add(t, number(1))
    tape = compile_tape([angle, angle.diff("t"), add(angle, t)], ["t"], [])
    assert tape.size == 4  # t, 1, t + 1, and the flat sum t + 1 + t shares its first pair


def test_rows_are_independent() -> None:
    element = ParameterElement("w", 3, Counter("c"))
    tape = compile_tape([element], ["w[0]", "w[1]", "w[2]"], ["c"])
    values = tape.run(np.array([5.0, 6.0, 7.0]), np.array([[0.0, 2.0, 1.0, 3.0, -1.0]]))
    np.testing.assert_array_equal(values[0], [5.0, 7.0, 6.0, math.nan, math.nan])


def test_a_long_sum_has_few_groups() -> None:
    names = [f"w[{i}]" for i in range(1000)]
    tape = compile_tape([add(*map(Parameter, names))], names, [])
    assert len(tape.groups) <= 12
    assert_close(tape.run(np.ones(1000), np.zeros((0, 1)))[0, 0], 1000.0)


def test_no_warning_where_there_is_no_value() -> None:
    t = Parameter("t")
    tape = compile_tape([number(1), t.diff("t"), add(t, t)], ["t"], [])
    assert np.isinf(tape.run(np.array([math.inf]), np.zeros((0, 1)))[2, 0])


def test_several_sets_of_parameters_at_once() -> None:
    t, element = Parameter("t"), ParameterElement("w", 2, Counter("c"))
    tape = compile_tape([add(t, element), element, t.diff("t")], ["t", "w[0]", "w[1]"], ["c"])
    parameters = np.array([[0.5, 1.5, -0.5], [5.0, 6.0, 7.0], [8.0, 9.0, 10.0]])
    counters = np.array([[1.0, 0.0, 2.0]])
    together = tape.run(parameters, counters)
    assert together.shape == (3, 3, 3)
    for p in range(3):
        np.testing.assert_array_equal(together[:, p], tape.run(parameters[:, p], counters))
    np.testing.assert_array_equal(together[1, 1], [9.0, 6.0, math.nan])


def test_no_sets_of_parameters() -> None:
    tape = compile_tape([Parameter("t")], ["t"], [])
    assert tape.run(np.zeros((1, 0)), np.zeros((0, 1))).shape == (1, 0, 1)
