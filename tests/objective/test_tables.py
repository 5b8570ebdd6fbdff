"""Batches that are read as a whole, whatever array they come in, and those that are refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from exact_reference import ReferenceEngine
from helpers import assert_close

import qdiff as qd
from qdiff.errors import BatchError, ParameterError
from qdiff.lang.observable import Observable
from qdiff.lang.parameter_table import ParameterTable
from qdiff.objective.tables import one_row, whole
from qdiff.sim.exact import Floats, Parameters

PROGRAM = qd.parse("qubit: q, r  para: t, w[2]  Ry(t)[q]; Rx(w[0] + 2*w[1])[r]; CNOT[q, r]")
X = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9], [1.0, -1.1, 1.2]])


def objective(engine: object = "pure-state") -> qd.Objective:
    return qd.expectation(PROGRAM, "Z[q] + 0.5*Y[r]", engine=engine)  # type: ignore[arg-type]


def strided() -> Floats:
    wide = np.zeros((8, 6))
    wide[::2, ::2] = X
    return wide[::2, ::2]


def read_only() -> Floats:
    x = X.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize(
    "batch",
    [
        X,
        strided(),
        np.asfortranarray(X),
        read_only(),
        X.astype(">f8"),
        X.astype(np.longdouble),
        X.tolist(),
        tuple(map(tuple, X.tolist())),
        {"t": X[:, 0], "w": X[:, 1:]},
        {"w": X[:, 1:].tolist(), "t": X[:, 0].tolist()},
        {"t": X[:, 0].astype(object), "w": X[:, 1:]},
        X.astype(object),
        [{"t": row[0], "w": row[1:]} for row in X],
        [{"t": X[0, 0], "w": X[0, 1:]}, *X[1:].tolist()],
    ],
    ids=range(14),
)
def test_any_array_gives_the_same_numbers(batch: object) -> None:
    f = objective()
    values, gradients = f.batch_value_and_grad(batch)
    for row, value, gradient in zip(X, values, gradients, strict=True):
        single = f.value_and_grad(row)
        assert value == single[0]
        assert np.array_equal(gradient, single[1])
    assert np.array_equal(f.batch_value(batch), values)


def test_numbers_of_lower_precision_and_integers() -> None:
    f = objective()
    for dtype in (np.float32, np.float16, np.int64, np.uint8):
        x = np.abs(10 * X).astype(dtype)
        assert np.array_equal(f.batch_value(x), f.batch_value(x.astype(float)))
        assert f(x[0]) == f(x[0].astype(float))


def test_what_is_read_as_a_whole() -> None:
    for batch in (X, X.tolist(), strided(), {"t": X[:, 0], "w": [0.1, 0.2]}, {"t": 1, "w": X[:, 1:]}):
        found = whole(PROGRAM, batch)
        assert isinstance(found, ParameterTable)
        assert found.values.flags.c_contiguous
        assert found.values.flags.writeable
        assert not np.shares_memory(found.values, X)
    assert whole(PROGRAM, {"t": 1, "w": X[:, 1:]}).values[:, 0].tolist() == [1.0] * 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "batch",
    [
        X[:, :2],
        np.where(X > 1, np.nan, X),
        X[0],
        X[None],
        [[0.1, 0.2, 0.3], [0.1, 0.2]],
        [[0.1, 0.2, True]],
        [[0.1, 0.2, 10**400]],
        [0.1, 0.2, 0.3],
        X.astype(object),
        {"t": X[:, 0]},
        {"t": X[:, 0], "w[0]": 1.0, "w[1]": 2.0},
        {"t": 1.0, "w": [0.1, 0.2]},
        {"t": X[:, 0], "w": X[:2, 1:]},
        {"t": X[:, 0], "w": X},
        {"t": X[:, 0], "w": 1.0},
        {"t": X[:, :1], "w": X[:, 1:]},
    ],
    ids=range(16),
)
def test_what_is_read_value_by_value(batch: object) -> None:
    assert whole(PROGRAM, batch) is None


def test_one_set_of_values() -> None:
    x = X[0].copy()
    rows = one_row(PROGRAM, x)
    assert isinstance(rows, ParameterTable)
    assert not np.shares_memory(rows.values, x)
    strided_row = np.repeat(x, 2)[::2]
    assert one_row(PROGRAM, strided_row)[0] == rows[0] == one_row(PROGRAM, x.tolist())[0]
    assert one_row(PROGRAM, np.array([1e200, 0.0, 0.0]))[0] == {"t": 1e200, "w[0]": 0.0, "w[1]": 0.0}
    for same in (
        x.astype(np.float32),
        {"t": 0.5, "w": np.array([0.25, 2])},
        {"w": [0.25, 2], "t": np.float64(0.5)},
    ):
        assert isinstance(one_row(PROGRAM, same), ParameterTable)
    assert one_row(PROGRAM, {"w": (0.25, 2), "t": 1})[0] == {"t": 1.0, "w[0]": 0.25, "w[1]": 2.0}
    bound = qd.parse("qubit: q para: t, n count: c Ry(t)[q]; if c < n then c++ fi")
    assert one_row(bound, {"t": 0.5, "n": 1})[0] == {"t": 0.5, "n": 1.0}
    assert one_row(qd.parse("qubit: q X[q]"), None) == [{}]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"t": 0.5, "w": [0.1]}, "`w` is an array of 2, got 1 values"),
        ({"t": 0.5, "w": [[0.1], [0.2]]}, "`w[0]` is one number, got 1 values"),
        ({"t": 0.5, "w": [0.1, 1j]}, "`w[1]` is complex 1j, not a real number"),
        ({"t": True, "w": [0.1, 0.2]}, "`t` is bool True, not a real number"),
        ({"t": 0.5, "u": 0.1}, "`u` is not a parameter"),
        ({"t": np.array([0.5]), "w": [0.1, 0.2]}, "`t` is one number, got 1 values"),
        ({"t": math.nan, "w": [0.1, 0.2]}, "`t` is nan, not a finite number"),
        ({"t": 10**400, "w": [0.1, 0.2]}, "`t` is too large for a floating-point number"),
        (np.array([1, 2, 3j]), "`t` is complex (1+0j), not a real number"),
        (np.array([True, False, True]), "`t` is bool True, not a real number"),
        (np.zeros((1, 3)), "3 numbers, got an array of shape (1, 3)"),
        (np.zeros(2), "3 numbers, got 2 values"),
    ],
    ids=range(12),
)
def test_one_set_that_is_none(params: object, message: str) -> None:
    for call in (objective(), objective().value_and_grad):
        with pytest.raises(ParameterError) as caught:
            call(params)
        assert message in str(caught.value)


@pytest.mark.parametrize("x", [np.array([0.1, np.nan, 0.2]), np.array([0.1, np.inf, 0.2])])
def test_values_that_are_not_finite(x: Floats) -> None:
    with pytest.raises(
        ParameterError, match=r"Parameter values: `w\[0\]` is (nan|inf), not a finite number."
    ):
        objective()(x)


def test_a_batch_does_not_see_what_happens_to_its_array() -> None:
    x = X.copy()
    table = whole(PROGRAM, x)
    x[:] = 0.0
    assert table is not None
    assert np.array_equal(table.values, X)


# --- What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (
            X + 0j,
            "A batch holds real numbers, and this array has the dtype complex128. "
            "Pass its real part: array.real.",
        ),
        (
            X > 0.5,
            "A batch holds real numbers, and this array has the dtype bool. Convert it: array.astype(float).",
        ),
        (
            X.astype(str),
            "A batch holds real numbers, and this array has the dtype <U32. Convert it: array.astype(float).",
        ),
        (
            {"t": X[:, 0] + 0j, "w": X[:, 1:]},
            "The entry `t` of a batch holds real numbers, and this array has the dtype complex128. "
            "Pass its real part: array.real.",
        ),
    ],
)
def test_arrays_of_other_things(batch: object, message: str) -> None:
    for call in (objective().batch_value, objective().batch_value_and_grad):
        with pytest.raises(ParameterError) as caught:
            call(batch)
        assert str(caught.value) == message


@pytest.mark.parametrize("call", ["batch_value", "batch_value_and_grad"])
def test_masked_values_are_refused_row_by_row(call: str) -> None:
    masked = np.ma.masked_array(X[:3], mask=False)
    masked[1, 1] = np.ma.masked
    for batch in (masked, {"t": masked[:, 0], "w": masked[:, 1:]}):
        with pytest.raises(BatchError, match=r"row 1: .*`w\[0\]` is masked, not a real number") as caught:
            getattr(objective(), call)(batch)
        assert set(caught.value.errors) == {1}
    found = getattr(objective(), call)(np.ma.masked_array(X, mask=False))
    assert np.array_equal(found[0], getattr(objective(), call)(X)[0])


def test_a_masked_value_is_refused() -> None:
    masked = np.ma.masked_array(X[0], mask=[False, True, False])
    for params in (masked, list(masked), {"t": 0.1, "w": masked[1:]}):
        with pytest.raises(ParameterError, match=r"`w\[0\]` is masked, not a real number"):
            objective()(params)


def test_a_buffer_with_two_axes_is_an_array() -> None:
    assert np.array_equal(objective().batch_value(memoryview(X)), objective().batch_value(X))


def test_mixed_shapes_are_reported_row_by_row() -> None:
    with pytest.raises(BatchError) as caught:
        objective().batch_value_and_grad(
            [[0.1, 0.2, 0.3], [0.1, 0.2], [[0.1], [0.2], [0.3]], [0.4, 0.5, 0.6]]
        )
    assert set(caught.value.errors) == {1, 2}
    assert "3 numbers, got 2 values" in str(caught.value.errors[1])
    assert "`t` is one number, got 1 values" in str(caught.value.errors[2])
    assert_close(caught.value.values[[0, 3]], [objective()(X[0]), objective()([0.4, 0.5, 0.6])])


def test_a_ragged_array() -> None:
    ragged = np.array([[0.1, 0.2, 0.3], [0.1, 0.2]], dtype=object)
    with pytest.raises(ParameterError, match=r"A batch is an array \(rows, parameters\) or a mapping"):
        objective().batch_value(ragged)


def test_a_bad_row_of_an_array_is_found() -> None:
    x = np.vstack([X, X])
    x[5, 1] = np.nan
    with pytest.raises(BatchError, match=r"row 5: Parameter values: `w\[0\]` is nan") as caught:
        objective().batch_value_and_grad(x)
    kept = [i for i in range(8) if i != 5]
    assert np.array_equal(caught.value.values[kept], objective().batch_value(x[kept]))


def test_a_row_without_a_value_is_found() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t Ry(log(t))[q]"), "Z[q]", engine="pure-state")
    x = np.linspace(0.1, 2, 20)[:, None]
    x[13] = -1.0
    with pytest.raises(BatchError, match=r"row 13: .*`log\(t\)` has no finite real value") as caught:
        f.batch_value_and_grad(x)
    assert set(caught.value.errors) == {13}
    assert_close(caught.value.values[:13], [f(row) for row in x[:13]])


def test_engines_get_a_sequence_of_mappings() -> None:
    class Curious(ReferenceEngine):
        def gradients(
            self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
        ) -> tuple[Floats, Floats]:
            assert [dict(row) for row in rows] == [dict(zip(PROGRAM.parameters, x, strict=True)) for x in X]
            return super().gradients(rows, observables, wrt)

    values, _ = objective(Curious(PROGRAM)).batch_value_and_grad(X)
    assert_close(values, objective().batch_value(X))
