"""Batches: how they are given, and what happens to the others when a row is bad."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from exact_reference import ReferenceEngine
from helpers import assert_close

import qdiff as qd
from qdiff.errors import BatchError, EvaluationError, ParameterError, ResourceError
from qdiff.lang.observable import Observable
from qdiff.sim.exact import Floats, Parameters

TEXT = "qubit: q, r para: t, w[2], n count: c Ry(t)[q]; Rx(w[0] + 2*w[1])[r]; if c < n then c++ fi"


def objective(text: str = TEXT, observable: object = "Z[q] + Z[r] + c") -> qd.Objective:
    program = qd.parse(text)
    return qd.expectation(program, observable, engine=ReferenceEngine(program))


ROWS = [{"t": 0.1, "w": [0.2, 0.3], "n": 1}, {"t": 0.4, "w": [0.5, 0.6], "n": 0}]


@pytest.mark.parametrize(
    "batch",
    [
        ROWS,
        tuple(ROWS),
        {"t": [0.1, 0.4], "w": [[0.2, 0.3], [0.5, 0.6]], "n": [1, 0]},
        {"t": np.array([0.1, 0.4]), "w": np.array([[0.2, 0.3], [0.5, 0.6]]), "n": range(1, -1, -1)},
        {"t": [0.1, 0.4], "w[0]": [0.2, 0.5], "w[1]": [0.3, 0.6], "n": (1, 0)},
        {"t": [0.1, 0.4], "w": [0, 0.3], "w[0]": [0.2, 0.5], "w[1]": [0.3, 0.6], "n": [1, 0]},
    ],
)
def test_batches_of_all_forms(batch: object) -> None:
    f = objective()
    values, gradients = f.batch_value_and_grad(batch)
    assert values.shape == (2,)
    assert gradients.shape == (2, 3)
    for row, value, gradient in zip(ROWS, values, gradients, strict=True):
        assert_close(value, f(row))
        assert_close(gradient, f.grad(row))
    assert_close(f.batch_value(batch), values)
    assert_close(f.batch_value_and_grad(batch, wrt=["w[1]", "t"])[1], gradients[:, [2, 0]])


def test_arrays_of_the_trainable_parameters() -> None:
    f = objective()
    bound = qd.expectation(f.program.bind(n=1), f.observable)
    bound = qd.expectation(bound.program, f.observable, engine=ReferenceEngine(bound.program))
    x = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
    values, gradients = bound.batch_value_and_grad(x)
    assert_close(values, [bound(row) for row in x])
    assert_close(gradients, [bound.grad(row) for row in x])
    assert_close(bound.batch_value_and_grad(x.tolist())[1], gradients)


def test_values_that_all_rows_share() -> None:
    f = objective()
    values = f.batch_value({"t": [0.1, 0.4, 0.7], "w": [0.2, 0.3], "n": 1})
    assert_close(values, [f({"t": t, "w": [0.2, 0.3], "n": 1}) for t in (0.1, 0.4, 0.7)])
    # As many rows as elements: a flat sequence for an array is still one value for all rows.
    values = f.batch_value({"t": [0.1, 0.4], "w": [0.2, 0.3], "n": 1})
    assert_close(values, [f({"t": t, "w": [0.2, 0.3], "n": 1}) for t in (0.1, 0.4)])


def test_an_empty_batch() -> None:
    values, gradients = objective("qubit: q para: t Ry(t)[q]", "Z[q]").batch_value_and_grad(np.zeros((0, 1)))
    assert (values.shape, gradients.shape) == ((0,), (0, 1))


def test_one_call_of_the_engine_serves_all_rows() -> None:
    f = objective()
    engine = f.engines.chosen
    assert isinstance(engine, ReferenceEngine)
    f.batch_value_and_grad(ROWS)
    assert engine.calls == [2]


# --- What is no batch -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (3, "A batch is an array (rows, parameters) or a mapping from names to values, got int 3."),
        (
            np.zeros(3),
            "A batch is an array (rows, parameters) or a mapping from names to values, got 3 values.",
        ),
        (
            [0.1, 0.2],
            "A batch holds one sequence or mapping of values a row. For one set of values: [[…]].",
        ),
        (
            {"t": 0.1, "w": [0, 0], "n": 0},
            "No entry of the batch has one value a row: give at least one parameter a sequence of B values "
            "(an array of parameters: B sequences).",
        ),
        (
            {"t": [1, 2], "w": [0, 0], "n": [1, 2, 3]},
            "The entries of a batch have one value a row, but t has 2, n has 3.",
        ),
        (
            {"t": [1, 2], "w": [0, 0], "n": 1, "s": 1},
            "No row of the batch can be read. Parameter values: `s` is not a parameter. "
            "Parameters: t, w[2], n.",
        ),
        (
            {"t": [1, 2], "w": [[1, 2, 3], [1, 2, 3]], "n": 1},
            "No row of the batch can be read. Parameter values: `w` is an array of 2, got 3 values. "
            "Parameters: t, w[2], n.",
        ),
    ],
)
def test_what_is_no_batch(batch: object, message: str) -> None:
    for call in (objective().batch_value, objective().batch_value_and_grad):
        with pytest.raises(ParameterError) as caught:
            call(batch)
        assert str(caught.value) == message


def test_rows_of_the_wrong_length() -> None:
    f = objective("qubit: q para: t, u Ry(t)[q]; Rx(u)[q]", "Z[q]")
    with pytest.raises(
        ParameterError, match=r"No row of the batch can be read. A flat sequence holds .* t, u"
    ):
        f.batch_value(np.zeros((4, 3)))


# --- Bad rows -------------------------------------------------------------------------------------

FLIP = "qubit: q para: p, t Ry(t)[q]; if flip(p) then X[q] fi"


def check_others(error: BatchError, f: qd.Objective, rows: Sequence[Sequence[float]], bad: set[int]) -> None:
    assert set(error.errors) == bad
    assert error.gradients is not None
    assert error.gradients.shape == (len(rows), 2)
    for number, row in enumerate(rows):
        if number in bad:
            assert np.isnan(error.values[number])
            assert np.isnan(error.gradients[number]).all()
        else:
            assert_close(error.values[number], f(row))
            assert_close(error.gradients[number], f.grad(row))


def test_a_bad_row_does_not_cost_the_others() -> None:
    f = objective(FLIP, "Z[q]")
    rows = [[0.1, 0.2], [0.3, 0.4], [1.5, 0.2], [0.5, 0.6], [0.6, 0.7]]
    with pytest.raises(BatchError) as caught:
        f.batch_value_and_grad(rows)
    check_others(caught.value, f, rows, {2})
    assert str(caught.value) == (
        "1 of 5 rows has no value (.values and .gradients of this error hold those of the others):\n"
        "  row 2: the probability 1.5 is outside [0, 1]"
    )
    assert isinstance(caught.value, EvaluationError)


def test_rows_that_cannot_be_read_name_the_parameter() -> None:
    f = objective(FLIP, "Z[q]")
    rows: list[list[float]] = [[0.1, math.nan], [0.3, 0.4], [0.5], [-1.0, 0.0]]
    with pytest.raises(BatchError) as caught:
        f.batch_value_and_grad(rows)
    check_others(caught.value, f, rows, {0, 2, 3})
    text = str(caught.value)
    assert text.startswith("3 of 4 rows have no value")
    assert "\n  row 0: Parameter values: `t` is nan, not a finite number. Parameters: p, t." in text
    assert "\n  row 2: A flat sequence holds the values of p, t: 2 numbers, got 1 values." in text
    assert "\n  row 3: the probability -1.0 is outside [0, 1]" in text
    with pytest.raises(BatchError) as caught:
        f.batch_value(rows)
    assert caught.value.gradients is None
    assert np.isnan(caught.value.values).tolist() == [True, False, True, True]


def test_many_bad_rows_are_counted() -> None:
    f = objective(FLIP, "Z[q]")
    with pytest.raises(BatchError) as caught:
        f.batch_value({"p": np.linspace(1.5, 2, 10), "t": 0})
    assert str(caught.value).endswith("\n  and 6 more")
    assert len(caught.value.errors) == 10


def test_a_quantity_without_a_value_is_a_bad_row() -> None:
    f = objective("qubit: q para: t Ry(t)[q]; if M[q] = 0 then abort fi", "Z[q]").given_termination
    with pytest.raises(BatchError, match=r"row 1: There is nothing to condition on") as caught:
        f.batch_value_and_grad([[1.0], [0.0], [2.0]])
    assert_close(caught.value.values[[0, 2]], [-1, -1])


def test_a_batch_too_large_for_memory_is_halved() -> None:
    class Small(ReferenceEngine):
        def gradients(
            self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
        ) -> tuple[Floats, Floats]:
            if len(rows) > 2:
                raise ResourceError("too many rows")
            return super().gradients(rows, observables, wrt)

    program = qd.parse(FLIP)
    f = qd.expectation(program, "Z[q]", engine=Small(program))
    rows = [[0.1 * i, 0.2] for i in range(5)]
    assert_close(f.batch_value(rows), [f(row) for row in rows])
