"""A curve, and the points of a run on it coloured by step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdiff.errors import ParameterError
from qdiff.plot.figure import BLUE, GREY, VERMILION, finish, new_axes, new_row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A run that covers less of the curve than this is drawn a second time, enlarged.
SMALL_PART = 0.25
MARGIN = 0.15


def plot_curve(
    x: ArrayLike,
    value: ArrayLike,
    run: tuple[ArrayLike, ArrayLike] | None = None,
    xlabel: str = "parameter",
    ylabel: str = "value",
    path: str | os.PathLike[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a curve from its numbers, and the points of a run on it.

    Args:
        x, value: (m,), the curve.
        run: parameter and value (k,) after each step, the start first. Where it covers little of the
            curve, it is enlarged beside it.
        xlabel, ylabel: what the axes show, with its unit.
        path: where to save the picture; its suffix is the format.
        ax: axes to draw everything on; a new figure if None.

    Raises:
        ParameterError: numbers of different lengths, or none.
        QdiffError: a picture that cannot be written.
    """
    xs, ys = _pair(x, value, "x", "value")
    points = None if run is None else _pair(*run, "run[0]", "run[1]", least=1)
    near = None if points is None or ax is not None else enlarged(xs, points[0])
    whole, close = (new_axes(ax), None) if near is None else new_row(2)
    _draw_curve(whole, xs, ys, BLUE if points is None else GREY, xlabel, ylabel)
    if points is not None and close is None:
        _draw_run(whole, *points)
    elif points is not None and close is not None and near is not None:
        whole.axvspan(*near, color=VERMILION, alpha=0.2, linewidth=0)
        whole.set_title("the landscape", fontsize=11)
        inside = (near[0] <= xs) & (xs <= near[1])
        _draw_curve(close, xs[inside], ys[inside], GREY, xlabel, ylabel)
        close.set_title("the training run (shaded on the left)", fontsize=11)
        _draw_run(close, *points)
    return finish(whole, path)


def enlarged(x: NDArray[np.float64], run: ArrayLike) -> tuple[float, float] | None:
    """The part of the axis to enlarge, or None where a run (k,) covers enough of a curve over x (m,)."""
    points = np.asarray(run, dtype=float)
    width = float(np.ptp(points))
    if not 0 < width < SMALL_PART * np.ptp(x):
        return None
    return float(points.min() - MARGIN * width), float(points.max() + MARGIN * width)


def _draw_curve(
    ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64], color: str, xlabel: str, ylabel: str
) -> None:
    ax.plot(x, y, color=color, linewidth=1.8, zorder=2)
    ax.set_xlabel(xlabel, fontsize=12)
    ax.set_ylabel(ylabel, fontsize=12)


def _draw_run(ax: Axes, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from matplotlib.ticker import MaxNLocator

    # Light first, dark last, without the pale end that vanishes on white.
    shades = ListedColormap(colormaps["viridis_r"](np.linspace(0.12, 1, 256)))
    last = len(xs) - 1
    points = ax.scatter(
        xs, ys, c=np.arange(len(xs)), cmap=shades, vmin=0, vmax=max(last, 1),
        s=34, linewidths=0.5, edgecolors="white", zorder=3,
    )  # fmt: skip
    ax.plot(
        xs[0], ys[0], "o", color="white", markeredgecolor="black", markersize=8, zorder=4,
        label=f"start ({xs[0]:.5g}, {ys[0]:.6g})",
    )  # fmt: skip
    ax.plot(
        xs[-1], ys[-1], "*", color=VERMILION, markeredgecolor="black", markersize=12, zorder=5,
        label=f"end ({xs[-1]:.5g}, {ys[-1]:.6g})",
    )  # fmt: skip
    ax.legend(fontsize=10, frameon=False, loc="best")
    if last:
        bar = ax.figure.colorbar(points, ax=ax, pad=0.02, aspect=30)
        bar.set_label("step", fontsize=12)
        bar.locator = MaxNLocator(8, steps=[1, 2, 5, 10], integer=True)
        bar.update_ticks()
        bar.outline.set_visible(False)


def _pair(
    x: ArrayLike, y: ArrayLike, x_role: str, y_role: str, least: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    xs, ys = checked_curve(x, x_role, least), checked_curve(y, y_role, least)
    if len(xs) != len(ys):
        raise ParameterError(f"{x_role} has {len(xs)} numbers and {y_role} has {len(ys)}.")
    return xs, ys


def checked_curve(given: ArrayLike, role: str, least: int = 2) -> NDArray[np.float64]:
    """Return numbers (m,), m ≥ `least`.

    Raises:
        ParameterError: they are none, or not finite.
    """
    try:
        numbers = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        numbers = np.empty((0, 0))
    if numbers.ndim != 1 or len(numbers) < least or not np.isfinite(numbers).all():
        count = "one finite number" if least == 1 else "two finite numbers"
        raise ParameterError(f"{role} must be a flat sequence of at least {count}.")
    return numbers
