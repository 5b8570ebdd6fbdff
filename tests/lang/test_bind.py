"""Fixing parameters to numbers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from qdiff.errors import ParameterError
from qdiff.lang import expr as ex
from qdiff.lang.check import check
from qdiff.lang.expr import Number, Parameter
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Gate, Program

TEXT = """
qubit: q, r
para: t, u, w[2], v[2], n
count: c
Ry(2*t)[q]; CNOT[q, r]; q := |0>; skip;
while{3} M[q] = 1 and (flip(t/u) or not c < n) do
    if c <= n then Ry(w[0] - w[1])[q]; c := M[q]; c++ else abort fi;
    case M[q, r] of 0: Rx(t)[q] | else: Rx(u)[q] esac
od;
Rz(v[c])[q]
"""


@pytest.fixture
def program() -> Program:
    return parse(TEXT)


def test_numbers_take_the_places_of_parameters(program: Program) -> None:
    bound = program.bind(t=0.5, n=40)
    expected = TEXT.replace("(2*t)", "(2*0.5)").replace("t/u", "0.5/u").replace("Rx(t)", "Rx(0.5)")
    expected = expected.replace("c < n", "c < 40").replace("c <= n", "c <= 40")
    assert bound == parse(expected.replace("para: t, u, w[2], v[2], n", "para: u, w[2], v[2]"))
    assert bound.parameters == ("u", "w[0]", "w[1]", "v[0]", "v[1]")
    assert bound.trainable == ("u", "w[0]", "w[1]", "v[0]", "v[1]")
    assert program == parse(TEXT)


def test_arrays(program: Program) -> None:
    for values in ([0.25, -1], (0.25, -1), np.array([0.25, -1.0])):
        bound = program.bind({"w": values})
        assert "Ry(0.25 + 1" in str(bound)
        assert bound.parameters == ("t", "u", "v[0]", "v[1]", "n")
        assert parse(str(bound)) == bound


def test_a_mapping_and_keywords_together(program: Program) -> None:
    assert program.bind({"t": 1}, u=2) == program.bind(t=1, u=2) == program.bind(t=1).bind(u=2)
    assert program.bind() == program.bind({}) == program.bind(None) == program


def test_the_source_stays(program: Program) -> None:
    bound = program.bind(t=3)
    assert bound.source is program.source
    assert [s.pos for s in bound.body] == [s.pos for s in program.body]
    gate = bound.body[0]
    assert isinstance(gate, Gate)
    original = program.body[0]
    assert isinstance(original, Gate)
    assert gate.angles[0].children()[1].pos == original.angles[0].children()[1].pos


def test_a_bound_program_is_in_normal_form() -> None:
    program = parse("qubit: q para: t, u Ry(t*u + t - u/t)[q]")
    for value in (0, 1, -1, -2.5, 0.0, -0.0, 1.0):
        bound = program.bind(t=value)
        assert check(bound) is bound
        assert parse(str(bound)) == bound
    bound = program.bind(t=1)
    assert bound == parse("qubit: q para: u Ry(u + 1 - u/1)[q]")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, Number(3)),
        (0.1, Number(0.1)),
        (np.float64(0.1), Number(0.1)),
        (np.float32(0.5), Number(0.5)),
        (np.int64(7), Number(7)),
        (np.array(0.1), Number(0.1)),
        (Fraction(1, 4), Number(0.25)),
        (-2, ex.Negate(Number(2))),
        (-0.5, ex.Negate(Number(0.5))),
        (10**300, Number(10**300)),
    ],
)
def test_kinds_of_numbers(value: Any, number: ex.Expr) -> None:
    bound = parse("qubit: q para: t Ry(t)[q]").bind(t=value)
    (gate,) = bound.body
    assert isinstance(gate, Gate)
    assert gate.angles == (number,)
    assert check(bound) is bound


LIST = "Parameters: t, u, w[2], v[2], n."


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x": 1}, "`x` is not a parameter."),
        ({"uu": 1}, "`uu` is not a parameter (did you mean `u`?)."),
        ({"c": 1}, "`c` is a counter, not a parameter."),
        ({1: 1}, "1 is not the name of a parameter."),
        ({"t": None}, "`t` is NoneType None, not a real number."),
        ({"t": "0.5"}, "`t` is str '0.5', not a real number."),
        ({"t": True}, "`t` is bool True, not a real number."),
        ({"t": np.bool_(True)}, "`t` is bool True, not a real number."),
        ({"t": 1j}, "`t` is complex 1j, not a real number."),
        ({"t": float("nan")}, "`t` is nan, not a finite number."),
        ({"t": float("-inf")}, "`t` is -inf, not a finite number."),
        ({"t": 10**400}, "`t` is too large for a floating-point number."),
        ({"t": Parameter("u")}, "`t` is Parameter Parameter(name='u'), not a real number."),
        ({"t": [1]}, "`t` is one number, got 1 values."),
        ({"t": np.ones((2, 2))}, "`t` is one number, got an array of shape (2, 2)."),
        ({"w": 1}, "`w` is an array of 2, got int 1."),
        ({"w": [1, 2, 3]}, "`w` is an array of 2, got 3 values."),
        ({"w": "ab"}, "`w` is an array of 2, got str 'ab'."),
        ({"w": np.ones((2, 2))}, "`w` is an array of 2, got an array of shape (2, 2)."),
        ({"w": {0: 1, 1: 2}}, "`w` is an array of 2, got dict {0: 1, 1: 2}."),
        ({"w": [1, None]}, "`w[1]` is NoneType None, not a real number."),
        (
            {"w[0]": 1},
            "`w[0]` is one element of an array: bind the whole of `w`, or pass it with the params.",
        ),
        ({"w[2]": 1}, "`w[2]` does not exist: `w` is an array of 2."),
        ({"t[0]": 1}, "`t[0]` does not exist: `t` is no array."),
        (
            {"v": [1, 2]},
            "`v` is indexed by a counter, so its elements stay parameters: pass them with the params.",
        ),
        (
            {"v[0]": 1},
            "`v[0]` is one element of an array: bind the whole of `v`, or pass it with the params.",
        ),
        (
            {"x": 1, "t": None, "w": [float("inf")]},
            "`t` is NoneType None, not a real number; `w` is an array of 2, got 1 values; `x` is not a"
            " parameter.",
        ),
    ],
)
def test_refusals(program: Program, values: Any, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        program.bind(values)
    assert str(caught.value) == f"Parameter values: {message} {LIST}"


def test_other_refusals(program: Program) -> None:
    with pytest.raises(ParameterError) as caught:
        program.bind([1, 2])
    assert str(caught.value) == "bind takes a mapping from names to values, got 2 values."
    with pytest.raises(ParameterError) as caught:
        program.bind({"t": 1, "u": 2}, t=3, u=4)
    assert str(caught.value) == f"Parameter values: `t` is given twice; `u` is given twice. {LIST}"


def test_arrays_with_counters_in_comparisons_and_probabilities() -> None:
    for text in ("if w[c] < 1 then skip fi", "if not (flip(w[c]) or c = 1) then skip fi"):
        program = parse(f"qubit: q para: w[2] count: c {text}")
        with pytest.raises(ParameterError, match="`w` is indexed by a counter"):
            program.bind(w=[1, 2])
