"""A training run: value against step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.estimate import with_error
from qdiff.plot.figure import BLUE, VERMILION, finish, new_axes, value_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qdiff.plot.run import Run

MOST_MARKERS = 60
ERRORS = 2
"""Standard errors on each side of the curve."""


def plot_run(run: Run, path: str | os.PathLike[str] | None = None, ax: Axes | None = None) -> Figure:
    """Draw the value of the objective at the start and after every step, from shots with its errors.

    Args:
        run: a finished run, such as a `TrainingResult`.
        path: where to save the picture; its suffix is the format.
        ax: axes to draw on; a new figure if None.

    Raises:
        QdiffError: a picture that cannot be written.
    """
    from matplotlib.ticker import MaxNLocator

    ax = new_axes(ax)
    values, stderr = run.history.value, run.history.value_stderr
    steps = np.arange(len(values))
    end = f"{values[-1]:.6g}"
    if stderr is not None:
        end = with_error(float(values[-1]), float(stderr[-1]))
        _draw_band(ax, values, stderr)
    marker = "o" if len(values) <= MOST_MARKERS else ""
    ax.plot(steps, values, color=BLUE, linewidth=1.8, marker=marker, markersize=3.5)
    ax.plot(steps[-1], values[-1], "o", color=VERMILION, markersize=7, zorder=3)
    # A falling curve leaves room above its end, a rising one below.
    falling = run.direction == "minimize"
    ax.annotate(
        end,
        (steps[-1], values[-1]),
        xytext=(0, 9 if falling else -9),
        textcoords="offset points",
        ha="right" if len(values) > 1 else "center",
        va="bottom" if falling else "top",
        color=VERMILION,
        fontsize=11,
    )
    ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
    ax.set_xlabel("step", fontsize=12)
    ax.set_ylabel(value_label(run.observable), fontsize=12)
    return finish(ax, path)


def _draw_band(ax: Axes, values: NDArray[np.float64], stderr: NDArray[np.float64]) -> None:
    steps, reach = np.arange(len(values)), np.where(np.isfinite(stderr), ERRORS * stderr, np.nan)
    ax.fill_between(
        steps, values - reach, values + reach, color=BLUE, alpha=0.2, linewidth=0,
        label=f"± {ERRORS} standard errors",
    )  # fmt: skip
    ax.legend(fontsize=10, frameon=False, loc="best")
