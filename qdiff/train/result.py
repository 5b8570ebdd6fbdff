"""What a training run returns: where it ended, how it came there, and a picture of it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.estimate import with_error
from qdiff.train.variables import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 12


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """The recorded points, k = steps + 1 of them, the start first.

    Attributes:
        x: float (k, d); value: float (k,); grad: float (k, d), of the value.
        shots: int64 (k,), spent on value and gradient; value_stderr: float (k,); grad_stderr: float (k, d).
            None where values and gradients are exact.
    """

    x: NDArray[np.float64]
    value: NDArray[np.float64]
    grad: NDArray[np.float64]
    shots: NDArray[np.int64] | None = None
    value_stderr: NDArray[np.float64] | None = None
    grad_stderr: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        points, dimension = self.x.shape
        return f"History({points} points, {dimension} parameters)"


@dataclass(frozen=True, eq=False)
class Point:
    """An evaluated point: x (d,), every parameter by name, and the value there, from shots with its error."""

    x: Vector
    params: Mapping[str, float]
    value: float
    value_stderr: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult:
    """A finished run.

    Attributes:
        names: the trained parameters, in the order of x.
        x: float (d,), where the run ended; params: all parameters by name there, as f takes them.
        value: the objective there. best: the best of all evaluated points; from shots, the one with the best
            *estimate*, which is likely to be better than the truth there.
        history: every recorded point. steps: the steps taken, len(history) - 1.
        evaluations: how often value and gradient were asked for, replayed ones included.
        converged: whether the optimiser's own criterion was met (Adam and gradient descent have none).
        message: why the run ended.
        direction: "minimize" or "maximize". observable: its text, "" for a plain function.
        shots: all that were spent, replayed ones included. seed: repeats the run. estimator: of the
            gradients. value_stderr: of `value`. All None where values and gradients are exact.
        bias_bound: of every value and derivative; inf where none is known, as when runs were cut.
    """

    names: tuple[str, ...]
    x: Vector
    params: Mapping[str, float]
    value: float
    best: Point
    history: History
    steps: int
    evaluations: int
    converged: bool
    message: str
    direction: str = "minimize"
    observable: str = field(default="")
    shots: int | None = None
    seed: int | None = None
    estimator: str | None = None
    value_stderr: float | None = None
    bias_bound: float = 0.0

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Axes | None = None) -> Figure:
        """Draw the value against the steps.

        Args:
            path: where to save the picture; its suffix is the format.
            ax: axes to draw on; a new figure if None.
        """
        from qdiff.plot import plot_run

        return plot_run(self, path=path, ax=ax)

    def __repr__(self) -> str:
        return f"TrainingResult(value={self.value:.6g}, steps={self.steps}, {self.message})"

    def __str__(self) -> str:
        what = self.observable if 0 < len(self.observable) <= 60 else "the objective"
        done = "Minimised" if self.direction == "minimize" else "Maximised"
        errors = self.history.value_stderr
        start = shown(float(self.history.value[0]), None if errors is None else float(errors[0]))
        course = f"(start {start}, best {shown(self.best.value, self.best.value_stderr)})"
        rows = [("value", f"{shown(self.value, self.value_stderr)}   {course}")]
        rows += [(name, f"{self.params[name]:.10g}") for name in self.names[:SHOWN]]
        width = max(len(name) for name, _ in rows)
        work = f"{self.steps} steps and {self.evaluations} evaluations"
        if self.shots is not None:
            work += f" ({self.shots} shots, seed {self.seed}, {self.estimator})"
        lines = [
            f"{done} {what} with {work}: {self.message}.",
            *(f"    {name:<{width}}  {text}" for name, text in rows),
        ]
        if len(self.names) > SHOWN:
            lines.append(f"    and {len(self.names) - SHOWN} more parameters")
        if self.bias_bound:
            known = math.isfinite(self.bias_bound)
            much = f"at most {self.bias_bound:.2g}" if known else "unknown"
            lines.append(f"    bias of values and derivatives: {much}")
        return "\n".join(lines)


def shown(value: float, stderr: float | None) -> str:
    """Text for an exact value, or for an estimate with its error."""
    return f"{value:.10g}" if stderr is None else with_error(value, stderr)
