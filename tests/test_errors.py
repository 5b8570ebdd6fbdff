"""Errors come back from workers as they were raised."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Iterator

import numpy as np
import pytest

import qdiff as qd
from qdiff.errors import BatchError, EvaluationError, QdiffError, QdiffSyntaxError, ResourceError
from qdiff.lang import expr as ex
from qdiff.lang.evaluate import ValueFailure
from qdiff.sim.exact import FROM_SHOTS_IF_IT_ENDS, OR_FROM_SHOTS

for module in pkgutil.walk_packages(qd.__path__, "qdiff."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)


def kinds(kind: type[QdiffError] = QdiffError) -> Iterator[type[QdiffError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from kinds(narrower)


OWN_ARGUMENTS: dict[type[QdiffError], dict[str, object]] = {
    QdiffSyntaxError: {"line": 7, "column": 9, "hint": "Did you mean `u2`?"},
    BatchError: {
        "values": np.array([1.0, np.nan]),
        "gradients": np.array([[0.5], [np.nan]]),
        "errors": {1: EvaluationError("`1/t` divides by zero.")},
    },
    ValueFailure: {"node": ex.Parameter("t")},
}


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", list(kinds()))
def test_an_error_survives_the_way_from_a_worker(kind: type[QdiffError], again) -> None:
    error = kind("walk.qprog:7:9: so and so", **OWN_ARGUMENTS.get(kind, {}))
    error.add_note("In task 3.")
    back = again(error)
    assert type(back) is kind
    assert (str(back), back.args) == (str(error), error.args)
    assert repr(vars(back)) == repr(vars(error))
    assert vars(back).keys() >= OWN_ARGUMENTS.get(kind, {}).keys()


@pytest.mark.parametrize("kind", [EvaluationError, ResourceError])
@pytest.mark.parametrize("advice", [OR_FROM_SHOTS, FROM_SHOTS_IF_IT_ENDS])
def test_advice_ends_the_text_and_can_be_left_out(kind: type[QdiffError], advice: str) -> None:
    error = kind("Runs go on", advice=advice)
    assert str(error) == f"Runs go on{advice}"
    assert str(error).endswith(
        "estimate from shots: f.estimate(params, shots=…), --shots on the command line."
    )
    assert error.problem == "Runs go on."
    assert pickle.loads(pickle.dumps(error)).problem == "Runs go on."
    assert kind("Runs go on.").problem == "Runs go on."


def test_errors_that_are_raised_survive_it() -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        qd.parse("qubit: q  H[r]")
    back = pickle.loads(pickle.dumps(caught.value))
    assert (str(back), back.line, back.column, back.hint) == (
        str(caught.value), caught.value.line, caught.value.column, caught.value.hint
    )  # fmt: skip
    f = qd.expectation(qd.parse("qubit: q  para: t  Ry(1 / t)[q]"), "Z[q]")
    with pytest.raises(BatchError) as failed:
        f.batch_value_and_grad([[1.0], [0.0]])
    back = pickle.loads(pickle.dumps(failed.value))
    assert str(back) == str(failed.value)
    np.testing.assert_array_equal(back.values, failed.value.values)
    np.testing.assert_array_equal(back.gradients, failed.value.gradients)
    assert {row: str(error) for row, error in back.errors.items()} == {
        row: str(error) for row, error in failed.value.errors.items()
    }
