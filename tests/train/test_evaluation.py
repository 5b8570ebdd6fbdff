"""What a log keeps of an evaluation: that it reads back bit for bit, and what is none."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from qdiff.estimators.estimate import Estimate
from qdiff.train.evaluation import (
    Evaluation,
    NoEvaluation,
    Sampled,
    evaluation_of,
    read,
)

NUMBERS = np.array([0.1 + 0.2, -0.0, 5e-324])
ERRORS = np.array([1 / 3, 0.0, math.inf])


def through_json(evaluation: Evaluation) -> Evaluation:
    text = json.dumps(evaluation.record(), allow_nan=False)
    return read(json.loads(text), 3, sampled=evaluation.shots is not None)


def test_exact_evaluations():
    evaluation = Evaluation(NUMBERS, math.pi, -NUMBERS)
    assert set(evaluation.record()) == {"x", "value", "grad"}
    found = through_json(evaluation)
    assert (found.x.tobytes(), found.value, found.grad.tobytes()) == (
        NUMBERS.tobytes(), math.pi, (-NUMBERS).tobytes(),
    )  # fmt: skip
    assert (found.shots, found.value_stderr, found.grad_stderr, found.learned) == (None, None, None, None)
    assert not found.x.flags.writeable
    assert not found.grad.flags.writeable


@pytest.mark.parametrize("bias", [0.0, 0.25, math.inf])
@pytest.mark.parametrize("learned", [None, {"a": [1, 0.1]}, [], 0])
def test_evaluations_from_shots(bias, learned):
    evaluation = Evaluation(NUMBERS, math.pi, -NUMBERS, 100, math.inf, ERRORS, bias, learned)
    record = evaluation.record()
    assert record["grad_stderr"] == [1 / 3, 0.0, None]
    assert record["value_stderr"] is None
    assert ("bias_bound" in record, "learned" in record) == (bias != 0, learned is not None)
    found = through_json(evaluation)
    assert found.grad_stderr.tobytes() == ERRORS.tobytes()
    assert (found.shots, found.value_stderr, found.bias_bound, found.learned) == (
        100, math.inf, bias, learned,
    )  # fmt: skip


def test_an_evaluation_of_estimates():
    value = Estimate(1.0, 0.5, 10, 1, "shots")
    grad = Estimate(
        NUMBERS, ERRORS, 90, 1, "finite-shift", bias_bound=np.array([0.1, 0.3, 0.2]), learned=(1,)
    )
    found = evaluation_of(NUMBERS, 1.0, NUMBERS, Sampled(value, grad, [1]))
    assert (found.shots, found.value_stderr, found.bias_bound, found.learned) == (100, 0.5, 0.3, [1])
    assert found.grad_stderr.tolist() == ERRORS.tolist()
    cut = Estimate(1.0, 0.5, 10, 1, "shots", bias_bound=math.inf)
    assert evaluation_of(NUMBERS, 1.0, NUMBERS, Sampled(cut, grad)).bias_bound == math.inf
    unbiased = Estimate(NUMBERS, ERRORS, 90, 1, "trajectory")
    assert evaluation_of(NUMBERS, 1.0, NUMBERS, Sampled(value, unbiased)).bias_bound == 0


RECORD = {
    "x": [1, 2],
    "value": 1,
    "grad": [1, 2],
    "shots": 10,
    "value_stderr": 0.5,
    "grad_stderr": [0.5, None],
}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"shots": None}, "it is no evaluation"),
        ({"shots": 1.5}, "it is no evaluation"),
        ({"shots": -1}, "it is no evaluation"),
        ({"shots": True}, "it is no evaluation"),
        ({"value_stderr": "a"}, "it is no evaluation"),
        ({"value_stderr": -0.1}, "it is no evaluation"),
        ({"grad_stderr": [0.5, -1]}, "it is no evaluation"),
        ({"grad_stderr": [0.5, [1]]}, "it is no evaluation"),
        ({"grad_stderr": 0.5}, "it is no evaluation"),
        ({"grad_stderr": [0.5]}, "it should hold 2 parameters"),
        ({"grad": [0.5]}, "it should hold 2 parameters"),
        ({"bias_bound": -1}, "it is no evaluation"),
        ({"value": None}, "it is no evaluation"),
    ],
)
def test_records_that_are_no_evaluation(change, why):
    read(RECORD, 2, sampled=True)
    with pytest.raises(NoEvaluation) as caught:
        read(RECORD | change, 2, sampled=True)
    assert str(caught.value) == why


@pytest.mark.parametrize("missing", ["x", "value", "grad", "shots", "value_stderr", "grad_stderr"])
def test_records_that_lack_something(missing):
    with pytest.raises(NoEvaluation):
        read({key: entry for key, entry in RECORD.items() if key != missing}, 2, sampled=True)
