"""Where a run starts and what it trains."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qdiff.errors import ParameterError
from qdiff.lang.text.parser import parse
from qdiff.train.variables import of_function, of_program

PROGRAM = parse("qubit: q  para: t, w[2], n  Ry(t*w[0])[q]; Rx(w[1])[q]; while n > 1 do abort od")
NO_OTHERS = parse("qubit: q  para: t, w[2]  Ry(t*w[0])[q]; Rx(w[1])[q]")
FULL = {"n": 40, "w": (1, 2.5), "t": np.float32(0.5)}


def test_a_mapping_gives_every_parameter():
    read = of_program(PROGRAM, FULL, None)
    assert read.names == ("t", "w[0]", "w[1]")
    assert read.start.tolist() == [0.5, 1, 2.5]
    assert read.fixed == {"n": 40.0}
    params = read.params(np.array([7.0, 8.0, 9.0]))
    assert list(params.items()) == [("t", 7.0), ("w[0]", 8.0), ("w[1]", 9.0), ("n", 40.0)]


def test_what_is_trained():
    read = of_program(PROGRAM, FULL, "w")
    assert (read.names, read.start.tolist()) == (("w[0]", "w[1]"), [1, 2.5])
    assert read.fixed == {"t": 0.5, "n": 40.0}
    assert of_program(PROGRAM, FULL, ["w[1]", "t"]).start.tolist() == [2.5, 0.5]


@pytest.mark.parametrize("x0", [[1, 2, 3], (1, 2, 3), np.array([1.0, 2, 3]), range(1, 4)])
def test_a_flat_sequence_is_the_trainable_ones(x0):
    assert of_program(NO_OTHERS, x0, None).start.tolist() == [1, 2, 3]
    read = of_program(NO_OTHERS, x0, ["w[1]"])
    assert (read.names, read.start.tolist()) == (("w[1]",), [3])
    assert read.fixed == {"t": 1.0, "w[0]": 2.0}


def test_the_argument_of_a_function():
    read = of_function(np.array([1.0, 2.0]), None)
    assert (read.names, read.start.tolist(), read.fixed) == (("x[0]", "x[1]"), [1, 2], {})
    read = of_function({"b": 3, "a": [1, 2]}, "a")
    assert (read.names, read.start.tolist(), read.fixed) == (("a[0]", "a[1]"), [1, 2], {"b": 3.0})
    assert read.order == ("b", "a[0]", "a[1]")
    assert of_function([5, 6], ["x[1]"]).fixed == {"x[0]": 5.0}


def test_describing_a_point_leaves_out_the_many():
    read = of_function([0.5] * 9, None)
    assert read.describe(read.start, limit=2) == "x[0] = 0.5, x[1] = 0.5 and 7 more"


@pytest.mark.parametrize(
    ("x0", "wrt", "message"),
    [
        ({"t": 1}, None, "Parameter values: no value for w[0], w[1], n. Parameters: t, w[2], n."),
        (
            {**FULL, "t": math.nan},
            None,
            "Parameter values: `t` is nan, not a finite number. Parameters: t, w[2], n.",
        ),
        (
            [1, 2, 3],
            None,
            "A flat sequence gives values to t, w[0], w[1] only, and n would have none. "
            "Pass a mapping with all names, or fix the others with program.bind(...).",
        ),
        (
            1.5,
            None,
            "Parameter values are a mapping from names to numbers or a flat sequence of numbers, "
            "got float 1.5. Parameters: t, w[2], n.",
        ),
        (FULL, "u", "wrt: 'u' is not a parameter. Parameters: t, w[0], w[1], n."),
        (FULL, ["w", "w[0]"], "wrt: `w[0]` is named twice."),
        (FULL, [], "wrt names no parameter. Leave it out for all trainable ones."),
    ],
)
def test_starts_that_do_not_fit(x0, wrt, message):
    with pytest.raises(ParameterError) as caught:
        of_program(PROGRAM, x0, wrt)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("x0", "message"),
    [
        ([], "There is nothing to train: no parameter is trainable."),
        ({}, "There is nothing to train: no parameter is trainable."),
        ([1, "a"], "Parameter values: `x[1]` is str 'a', not a real number. Parameters: x[2]."),
        ({3: 1}, "Parameter values: 3 is not the name of a parameter. Parameters: none."),
        (
            np.ones((2, 2)),
            "A flat sequence holds the values of x[0], x[1]: 2 numbers, got an array of shape (2, 2). "
            "Parameters: x[2].",
        ),
        (
            "abc",
            "Parameter values are a mapping from names to numbers or a flat sequence of numbers, "
            "got str 'abc'. Parameters: none.",
        ),
    ],
)
def test_arguments_that_do_not_fit(x0, message):
    with pytest.raises(ParameterError) as caught:
        of_function(x0, None)
    assert str(caught.value) == message


def test_a_program_with_nothing_to_train():
    with pytest.raises(ParameterError) as caught:
        of_program(parse("qubit: q  para: n  if n > 1 then H[q] fi"), {"n": 1}, None)
    assert str(caught.value) == "There is nothing to train: no parameter is trainable."


def test_many_parameters_are_read_in_linear_time():
    read = of_function(np.arange(10_000.0), [f"x[{i}]" for i in reversed(range(10_000))])
    assert read.start[0] == 9_999
    assert not read.fixed
