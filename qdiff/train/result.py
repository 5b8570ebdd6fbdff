"""What a training run returns: where it ended, how it came there, and a picture of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
    """

    x: NDArray[np.float64]
    value: NDArray[np.float64]
    grad: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        points, dimension = self.x.shape
        return f"History({points} points, {dimension} parameters)"


@dataclass(frozen=True, eq=False)
class Point:
    """An evaluated point: x (d,), every parameter by name, and the value there."""

    x: Vector
    params: Mapping[str, float]
    value: float


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult:
    """A finished run.

    Attributes:
        names: the trained parameters, in the order of x.
        x: float (d,), where the run ended; params: all parameters by name there, as f takes them.
        value: the objective there. best: the best of all evaluated points.
        history: every recorded point. steps: the steps taken, len(history) - 1.
        evaluations: how often value and gradient were asked for, replayed ones included.
        converged: whether the optimiser's own criterion was met (Adam and gradient descent have none).
        message: why the run ended.
        direction: "minimize" or "maximize". observable: its text, "" for a plain function.
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
        course = f"(start {self.history.value[0]:.10g}, best {self.best.value:.10g})"
        rows = [("value", f"{self.value:.10g}   {course}")]
        rows += [(name, f"{self.params[name]:.10g}") for name in self.names[:SHOWN]]
        width = max(len(name) for name, _ in rows)
        lines = [
            f"{done} {what} with {self.steps} steps and {self.evaluations} evaluations: {self.message}.",
            *(f"    {name:<{width}}  {text}" for name, text in rows),
        ]
        if len(self.names) > SHOWN:
            lines.append(f"    and {len(self.names) - SHOWN} more parameters")
        return "\n".join(lines)
