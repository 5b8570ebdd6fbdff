"""One evaluation of an objective, and what a log keeps of it.

    {"evaluation": 0, "x": [1.4], "value": 0.93, "grad": [-0.2]}                              exact
    {…, "shots": 1000, "value_stderr": 0.02, "grad_stderr": [0.01], "learned": …}              from shots

A standard error or a bound that is infinite is null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qdiff.estimators.estimate import Estimate
from qdiff.sim.seeds import integer
from qdiff.train.variables import Vector


class NoEvaluation(Exception):
    """A record of a log that holds no evaluation."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Value and gradient of the objective at x, as the objective gave them; float (d,), (), (d,).

    Attributes:
        shots: all that were spent on both; None where they are exact, and so are the next four.
        value_stderr: float. grad_stderr: float (d,).
        bias_bound: of value and derivatives, the largest; inf where none is known.
        learned: what the next evaluation may use to share out its shots, as JSON data.
    """

    x: Vector
    value: float
    grad: Vector
    shots: int | None = None
    value_stderr: float | None = None
    grad_stderr: Vector | None = None
    bias_bound: float = 0.0
    learned: object = None

    def record(self) -> dict[str, object]:
        """Return it as JSON data, which reads back bit for bit."""
        record: dict[str, object] = {"x": self.x.tolist(), "value": self.value, "grad": self.grad.tolist()}
        if self.shots is None or self.value_stderr is None or self.grad_stderr is None:
            return record
        record["shots"] = self.shots
        record["value_stderr"] = _written(self.value_stderr)
        record["grad_stderr"] = [_written(stderr) for stderr in self.grad_stderr.tolist()]
        if self.bias_bound:
            record["bias_bound"] = _written(self.bias_bound)
        if self.learned is not None:
            record["learned"] = self.learned
        return record


@dataclass(frozen=True, eq=False)
class Sampled:
    """Estimates of value and gradient at one point.

    Attributes:
        learned: what is kept of what the gradient's learned, as JSON data.
    """

    value: Estimate
    grad: Estimate
    learned: object = None


def evaluation_of(x: Vector, value: float, grad: Vector, sampled: Sampled | None = None) -> Evaluation:
    """Return an evaluation from its numbers, and from the estimates that they are part of."""
    if sampled is None:
        return Evaluation(x, value, grad)
    of_value, of_grad = sampled.value, sampled.grad
    return Evaluation(
        x,
        value,
        grad,
        shots=of_value.shots + of_grad.shots,
        value_stderr=float(of_value.stderr),
        grad_stderr=_fixed(of_grad.stderr),
        bias_bound=float(max(np.max(of_value.bias_bound), np.max(of_grad.bias_bound, initial=0.0))),
        learned=sampled.learned,
    )


def read(record: Mapping[str, Any], size: int, sampled: bool) -> Evaluation:
    """Return the evaluation of a record.

    Args:
        size: d. sampled: whether it comes from shots.

    Raises:
        NoEvaluation: the record holds something else; the message says why.
    """
    try:
        x, grad = _fixed(record["x"]), _fixed(record["grad"])
        value = float(record["value"])
        errors = _errors(record) if sampled else {}
    except (KeyError, TypeError, ValueError, OverflowError):
        raise NoEvaluation("it is no evaluation") from None
    vectors = [x, grad, *([errors["grad_stderr"]] if sampled else [])]
    if any(vector.shape != (size,) for vector in vectors):
        raise NoEvaluation(f"it should hold {size} parameters")
    return Evaluation(x, value, grad, **errors)


def _errors(record: Mapping[str, Any]) -> dict[str, Any]:
    shots = integer(record["shots"])
    value_stderr = _read(record["value_stderr"])
    grad_stderr = _fixed([_read(number) for number in record["grad_stderr"]])
    bias_bound = _read(record.get("bias_bound", 0.0))
    if shots is None or min(shots, value_stderr, bias_bound, *grad_stderr.tolist()) < 0:
        raise ValueError
    learned = record.get("learned")
    return {
        "shots": shots,
        "value_stderr": value_stderr,
        "grad_stderr": grad_stderr,
        "bias_bound": bias_bound,
        "learned": learned,
    }


def _written(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _read(number: object) -> float:
    return math.inf if number is None else float(number)  # type: ignore[arg-type]


def _fixed(values: object) -> Vector:
    copy = np.array(values, dtype=float)
    copy.flags.writeable = False
    return copy
