"""Values of all parameters from what users hand in; constant expressions; names of derivatives."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from qdiff.errors import ParameterError, QdiffSyntaxError
from qdiff.lang.parameters import constant, expand, resolve
from qdiff.lang.text.parser import parse

PROGRAM = parse("qubit: q para: t, w[2], n count: c Ry(t*w[0] + w[1])[q]; if c < n then skip fi")
FREE = parse("qubit: q para: t, w[2] Ry(t*w[0] + w[1])[q]")
VALUES = {"t": 1.0, "w[0]": 2.0, "w[1]": 3.0, "n": 4.0}
NAMES = ["t", "w[0]", "w[1]", "n"]


@pytest.mark.parametrize(
    "params",
    [
        {"t": 1.0, "w[0]": 2.0, "w[1]": 3.0, "n": 4.0},
        {"n": 4, "w": [2, 3], "t": 1},
        {"t": 1, "w": (2.0, 3.0), "n": 4},
        {"t": np.float64(1), "w": np.array([2.0, 3.0]), "n": np.int64(4)},
        {"t": np.array(1.0), "w": np.array([2, 3]), "n": np.float32(4)},
        {"t": 1, "w": range(2, 4), "n": 4},
        {"t": 1, "w": [9, 3], "w[0]": 2, "n": 4},
        {"w[0]": 2, "t": 1, "w": [9, 3], "n": 4},
        MappingProxyType({"t": 1, "w": [2, 3], "n": 4}),
        OrderedDict(n=4, t=1, w=[2, 3]),
    ],
)
def test_mappings(params: Any) -> None:
    resolved = resolve(PROGRAM, params)
    assert resolved == VALUES
    assert list(resolved) == NAMES
    assert {type(value) for value in resolved.values()} == {float}


@pytest.mark.parametrize(
    "params", [[1, 2, 3], (1.0, 2, 3), np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3]), range(1, 4)]
)
def test_flat_sequences(params: Any) -> None:
    expected = {"t": 1.0, "w[0]": 2.0, "w[1]": 3.0}
    resolved = resolve(FREE, params)
    assert resolved == expected
    assert list(resolved) == list(expected)
    assert {type(value) for value in resolved.values()} == {float}
    assert resolve(PROGRAM.bind(n=4), params) == expected


def test_flat_sequences_with_names() -> None:
    names = ("n", "w[1]", "w[0]", "t")
    for params in ([4, 3, 2, 1], np.array([4.0, 3.0, 2.0, 1.0])):
        resolved = resolve(PROGRAM, params, names=names)
        assert resolved == VALUES
        assert list(resolved) == NAMES


def test_no_parameters() -> None:
    program = parse("qubit: q H[q]")
    for params in ({}, [], np.empty(0), None):
        assert resolve(program, params) == {}


LIST = "Parameters: t, w[2], n."


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "no value for t, w[0], w[1], n."),
        (None, "no value for t, w[0], w[1], n."),
        ({"t": 1, "n": 1}, "no value for w[0], w[1]."),
        ({"t": 1, "n": 1, "w[1]": 1}, "no value for w[0]."),
        ({**VALUES, "x": 1}, "`x` is not a parameter."),
        ({**VALUES, "tt": 1}, "`tt` is not a parameter (did you mean `t`?)."),
        ({**VALUES, "w[2]": 1}, "`w[2]` does not exist: `w` is an array of 2."),
        ({**VALUES, "c": 1}, "`c` is a counter, not a parameter."),
        ({**VALUES, "q": 1}, "`q` is not a parameter."),
        ({**VALUES, 3: 1}, "3 is not the name of a parameter."),
        ({**VALUES, "t": float("nan")}, "`t` is nan, not a finite number."),
        ({**VALUES, "t": np.inf}, "`t` is inf, not a finite number."),
        ({**VALUES, "t": True}, "`t` is bool True, not a real number."),
        ({**VALUES, "t": "1"}, "`t` is str '1', not a real number."),
        ({**VALUES, "t": None}, "`t` is NoneType None, not a real number."),
        ({**VALUES, "t": 1 + 0j}, "`t` is complex (1+0j), not a real number."),
        ({**VALUES, "t": 10**400}, "`t` is too large for a floating-point number."),
        ({**VALUES, "t": [1]}, "`t` is one number, got 1 values."),
        ({**VALUES, "t": np.array([1.0])}, "`t` is one number, got 1 values."),
        ({**VALUES, "w": [1, 2, 3]}, "`w` is an array of 2, got 3 values."),
        ({"t": 1, "n": 1, "w": 5}, "`w` is an array of 2, got int 5."),
        ({"t": 1, "n": 1, "w": [np.nan, "a"]}, "`w[0]` is nan, not a finite number; `w[1]` is str 'a', not a"
                                               " real number."),
        ({"x": 1, "t": np.nan, "w": [1], "w[5]": 1}, "`t` is nan, not a finite number; `w` is an array of 2,"
         " got 1 values; `x` is not a parameter; `w[5]` does not exist: `w` is an array of 2; no value for"
         " n."),
        ({"t": "x" * 100, "w": [1, 2], "n": 1}, f"`t` is str '{'x' * 36}..., not a real number."),
    ],
)  # fmt: skip
def test_refusals(params: Any, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve(PROGRAM, params)
    assert str(caught.value) == f"Parameter values: {message} {LIST}"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([1, 2, 3], "A flat sequence gives values to t, w[0], w[1] only, and n would have none. Pass a"
                    " mapping with all names, or fix the others with program.bind(...)."),
        ([1, 2], f"A flat sequence holds the values of t, w[0], w[1]: 3 numbers, got 2 values. {LIST}"),
        (np.ones((3, 1)), "A flat sequence holds the values of t, w[0], w[1]: 3 numbers, got an array of"
                          f" shape (3, 1). {LIST}"),
        (0.5, "Parameter values are a mapping from names to numbers or a flat sequence of numbers, got float"
              f" 0.5. {LIST}"),
        ("t=1", "Parameter values are a mapping from names to numbers or a flat sequence of numbers, got str"
                f" 't=1'. {LIST}"),
        (np.array(1.0), "Parameter values are a mapping from names to numbers or a flat sequence of numbers,"
                        f" got an array of shape (). {LIST}"),
    ],
)  # fmt: skip
def test_refused_sequences(params: Any, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve(PROGRAM, params)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "params", [[1, np.nan, "a"], np.array([1.0, np.nan, np.inf]), np.array([1, 2j, 3]), [1, 2, True]]
)
def test_flat_sequences_are_checked(params: Any) -> None:
    with pytest.raises(ParameterError, match=r"^Parameter values: `(t|w\[\d\])` is "):
        resolve(FREE, params)


def test_many_problems_are_counted() -> None:
    program = parse("qubit: q para: w[100] Ry(w[0])[q]")
    with pytest.raises(ParameterError) as caught:
        resolve(program, {"w": [None] * 100})
    assert str(caught.value).endswith("`w[49]` is NoneType None, not a real number; and 50 more problems. "
                                      "Parameters: w[100].")  # fmt: skip


# --- Names --------------------------------------------------------------------------------------


def test_expand() -> None:
    assert expand("t", PROGRAM) == ("t",)
    assert expand("w", PROGRAM) == ("w[0]", "w[1]")
    assert expand("w[1]", PROGRAM) == ("w[1]",)
    assert expand(["n", "w"], PROGRAM) == ("n", "w[0]", "w[1]")
    assert expand(("w[1]", "t"), PROGRAM) == ("w[1]", "t")


@pytest.mark.parametrize(
    ("wrt", "message"),
    [
        ("x", "wrt: 'x' is not a parameter. Parameters: t, w[0], w[1], n."),
        ("w[2]", "wrt: 'w[2]' is not a parameter. Parameters: t, w[0], w[1], n. Did you mean `w[1]`?"),
        (["t", 1], "wrt: 1 is not a parameter. Parameters: t, w[0], w[1], n."),
        (3, "wrt: 3 is not a parameter. Parameters: t, w[0], w[1], n."),
        (["w", "w[0]"], "wrt: `w[0]` is named twice."),
        ([], "wrt names no parameter. Leave it out for all trainable ones."),
    ],
)
def test_expand_refuses(wrt: object, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        expand(wrt, PROGRAM)
    assert str(caught.value) == message


# --- Constants ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5),
        ("40", 40.0),
        ("-1.5", -1.5),
        ("pi/2", np.pi / 2),
        (" - pi ", -np.pi),
        ("sqrt(2)/2", np.sqrt(2) / 2),
        ("2^-1", 0.5),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("0.1 + 0.2*3", 0.1 + 0.2 * 3),
        ("--2", 2.0),
        ("(1)", 1.0),
    ],
)
def test_constants(text: str, value: float) -> None:
    found = constant(text)
    assert found == value
    assert type(found) is float


FUNCTIONS = (
    "A value is made of numbers, pi, + - * / ^ and sin, cos, tan, asin, acos, atan, exp, log, sqrt, abs."
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "<value>:1:1: the text is empty."),
        ("  ", "<value>:1:1: the text is empty."),
        ("abc", f"<value>:1:1: `abc` has no value here. {FUNCTIONS}"),
        ("2*t", f"<value>:1:3: `t` has no value here. {FUNCTIONS}"),
        ("w[0]", f"<value>:1:1: `w[0]` has no value here. {FUNCTIONS}"),
        ("nan", f"<value>:1:1: `nan` has no value here. {FUNCTIONS}"),
        ("inf", f"<value>:1:1: `inf` has no value here. {FUNCTIONS}"),
        ("1 2", "<value>:1:3: expected an operator or the end of the text, but found `2`."),
        ("1,2", "<value>:1:2: expected the end of the text, but found `,`."),
        ("1 +", "<value>:1:4: expected an expression, but the text ends."),
        ("1/0", "<value>:1:2: `1/0` divides by zero."),
        ("sqrt(-1)", "<value>:1:1: `sqrt(-1)` has no finite real value (operands: -1)."),
        ("log(0)", "<value>:1:1: `log(0)` has no finite real value (operands: 0)."),
        ("(-8)^(1/3)", "<value>:1:1: `(-8)^(1/3)` has no finite real value"
                       " (operands: -8, 1/3)."),
        ("1e308*10", "<value>:1:1: `1e+308*10` is inf, not a finite real number."),
        ("1e999", "<value>:1:1: the number is too large: it is beyond 1.8e308."),
        ("1 < 2", "<value>:1:1: expected a number, found a condition."),
        ("7 mod 2", "<value>:1:3: `mod` belongs to integer expressions. Assign it to a counter first, as in"
                    " `d := c mod 2`."),
        ("M[1]", "<value>:1:1: a measurement stands alone. Compare it, `M[q] = 1`, or store it,"
                 " `c := M[q]`."),
        ("__import__('os')", "<value>:1:11: expected `[`, an operator or the end of the text, but found `(`."
                             " `__import__` is not a function. Functions: sin, cos, tan, asin, acos, atan,"
                             " exp, log, sqrt, abs."),
        ("π", "<value>:1:1: `π` (U+03C0, GREEK SMALL LETTER PI) is not an ASCII character; outside comments"
              " a program is ASCII. `pi` was probably meant."),
    ],
)  # fmt: skip
def test_texts_that_are_no_constants(text: str, message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        constant(text)
    assert str(caught.value).split("\n")[0] == message
