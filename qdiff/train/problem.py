"""What an optimiser sees of a run: a start, an oracle for value and gradient, and a place to report.

Everything else hangs on these two calls: `evaluate` answers from the log while it lasts and writes
to it afterwards, `record` keeps the history, moves the progress bar and asks the callback.
An optimiser is deterministic, so answering its first questions from the log puts it exactly where
the interrupted run was: replay is the whole of resuming.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import TrainingError
from qdiff.train.evaluation import Evaluation, Sampled, evaluation_of
from qdiff.train.log import RunLog
from qdiff.train.variables import Variables, Vector

Direction: TypeAlias = Literal["minimize", "maximize"]
# (x, number of the evaluation, the evaluation before) → (value, gradient), not yet checked, or Sampled
Oracle: TypeAlias = Callable[[Vector, int, Evaluation | None], object]


@dataclass(frozen=True, eq=False)
class StepRecord:
    """What a callback is told after a step (step 0 is the start).

    Attributes:
        step: number of steps taken.
        x: float (d,), the trained parameters; value: there; grad: float (d,), of the value.
        shots: spent on both; value_stderr: float; grad_stderr: float (d,). None where they are exact.
    """

    step: int
    x: Vector
    value: float
    grad: Vector
    _variables: Variables = field(repr=False)
    shots: int | None = None
    value_stderr: float | None = None
    grad_stderr: Vector | None = None

    @cached_property
    def params(self) -> Mapping[str, float]:
        """Every parameter by name, the fixed ones too."""
        return self._variables.params(self.x)


@dataclass(eq=False)
class Problem:
    """The objective as an optimiser sees it: always to be minimised.

    Attributes:
        variables: what is trained; steps: how many steps may be taken.
        oracle: (x (d,), number of the evaluation, the evaluation before) → (value, gradient) of the objective
            itself; what it answers depends on these only.
        points: the recorded points, the start first. best: the best of all evaluated points.
        shots: all that were spent. bias_bound: the largest of all evaluations.
    """

    variables: Variables
    oracle: Oracle
    steps: int
    direction: Direction = "minimize"
    log: RunLog | None = None
    callback: Callable[[StepRecord], object] | None = None
    on_step: Callable[[Evaluation], object] | None = None
    points: list[Evaluation] = field(default_factory=list)
    evaluations: int = 0
    best: Evaluation | None = None
    shots: int = 0
    bias_bound: float = 0.0
    _last: Evaluation | None = None
    # Evaluations since the last recorded step: a line search makes several.
    _recent: dict[bytes, Evaluation] = field(default_factory=dict)

    @property
    def start(self) -> Vector:
        """float (d,), a copy that may be changed in place."""
        return self.variables.start.copy()

    @property
    def _sign(self) -> float:
        return 1.0 if self.direction == "minimize" else -1.0

    def evaluate(self, x: Vector) -> tuple[float, Vector]:
        """Return value and gradient (d,) of what is to be minimised at x (d,).

        Raises:
            TrainingError: something that is not finite, a log that was made by another run or
                cannot be written.
        """
        x = _frozen(x)
        if not np.isfinite(x).all():
            raise TrainingError(
                f"Step {self._step} leads to parameters that are not finite: {self.variables.describe(x)}. "
                "A smaller step (lr) or bounds may help."
            )
        evaluation = self._logged(x) or self._computed(x)
        self.evaluations += 1
        self.shots += evaluation.shots or 0
        self.bias_bound = max(self.bias_bound, evaluation.bias_bound)
        self._last = evaluation
        self._recent[x.tobytes()] = evaluation
        if self.best is None or self._sign * evaluation.value < self._sign * self.best.value:
            self.best = evaluation
        return self._sign * evaluation.value, self._sign * evaluation.grad

    def record(self, x: Vector) -> bool:
        """Report x (d,) as the start or the end of a step; True when the run is to stop there."""
        x = np.asarray(x, dtype=float)
        if x.tobytes() not in self._recent:
            self.evaluate(x)
        point = self._recent[x.tobytes()]
        step = self._step
        self.points.append(point)
        self._recent = {}
        if self.on_step is not None:
            self.on_step(point)
        if self.callback is None:
            return False
        told = StepRecord(
            step, point.x, point.value, point.grad, self.variables,
            shots=point.shots, value_stderr=point.value_stderr, grad_stderr=point.grad_stderr,
        )  # fmt: skip
        try:
            return bool(self.callback(told))
        except StopIteration:
            return True  # SciPy's way for a callback to stop: the same for every optimiser

    @property
    def _step(self) -> int:
        """The number of the step that the next recorded point ends."""
        return len(self.points)

    def _logged(self, x: Vector) -> Evaluation | None:
        if self.log is None:
            return None
        logged = self.log.read(self.evaluations)
        if logged is not None and logged.x.tobytes() != x.tobytes():
            raise TrainingError(
                f"{self.log.where(self.evaluations)}: evaluation {self.evaluations} was logged at "
                f"{self.variables.describe(logged.x)}, but the optimizer asks for "
                f"{self.variables.describe(x)}. The log was altered, or made by other versions of the "
                "software: resume with those, or start again with another log."
            )
        return logged

    def _computed(self, x: Vector) -> Evaluation:
        evaluation = self._checked(x, self.oracle(x, self.evaluations, self._last))
        if self.log is not None:
            self.log.append(self.evaluations, evaluation)
        return evaluation

    def _checked(self, x: Vector, answer: object) -> Evaluation:
        """The oracle's answer as numbers, refused where they are not real, finite, and of one shape."""
        sampled = answer if isinstance(answer, Sampled) else None
        if sampled is not None:
            answer = sampled.value.value, sampled.grad.value
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise TrainingError(
                f"The objective must return the pair (value, gradient), got {type(answer).__name__}."
            )
        value, grad = (np.asarray(part) for part in answer)
        if value.shape != () or value.dtype.kind not in "fiu":
            raise TrainingError(
                f"The objective must be one real number, got {_kind(value)}. "
                "Train a single observable, or a weighted sum of several."
            )
        if grad.shape != x.shape or grad.dtype.kind not in "fiu":
            raise TrainingError(f"The gradient must be {len(x)} real numbers, got {_kind(grad)}.")
        evaluation = evaluation_of(x, float(value), _frozen(grad), sampled)
        if not math.isfinite(evaluation.value):
            raise self._not_finite(f"The value is {evaluation.value}", x)
        bad = np.flatnonzero(~np.isfinite(evaluation.grad))
        if len(bad):
            name = self.variables.names[bad[0]]
            raise self._not_finite(f"The derivative by `{name}` is {evaluation.grad[bad[0]]}", x)
        return evaluation

    def _not_finite(self, what: str, x: Vector) -> TrainingError:
        kept = f" The log {self.log.name} keeps what came before." if self.log is not None else ""
        place = f"at step {self._step}, at {self.variables.describe(x)}"
        return TrainingError(f"{what} {place}: training stops.{kept}")


def _frozen(values: object) -> Vector:
    copy = np.array(values, dtype=float)
    copy.flags.writeable = False
    return copy


def _kind(array: NDArray[Any]) -> str:
    return f"an array of shape {array.shape} and type {array.dtype}"
