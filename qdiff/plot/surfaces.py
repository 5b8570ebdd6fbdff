"""An objective over two parameters: colours, level lines, and the points of a run on them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from qdiff.errors import ParameterError
from qdiff.plot.curves import checked_curve
from qdiff.plot.figure import VERMILION, finish, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEVELS = 12


def plot_surface(
    x: ArrayLike,
    y: ArrayLike,
    value: ArrayLike,
    run: tuple[ArrayLike, ArrayLike] | None = None,
    xlabel: str = "first parameter",
    ylabel: str = "second parameter",
    label: str = "value",
    path: str | os.PathLike[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw values on a grid from their numbers, and the points of a run on it.

    Args:
        x: (m,), along the horizontal axis. y: (l,), along the vertical one.
        value: (m, l).
        run: both parameters (k,) after each step, the start first.
        xlabel, ylabel, label: what the axes and the colours show, with their units.
        path: where to save the picture; its suffix is the format.
        ax: axes to draw on; a new figure if None.

    Raises:
        ParameterError: numbers of different lengths, or none.
        QdiffError: a picture that cannot be written.
    """
    xs, ys = checked_curve(x, "x"), checked_curve(y, "y")
    values = np.asarray(value, dtype=float)
    if values.shape != (len(xs), len(ys)) or not np.isfinite(values).all():
        raise ParameterError(f"value must be {len(xs)} × {len(ys)} finite numbers, got shape {values.shape}.")
    ax = new_axes(ax)
    ax.grid(False)
    colours = ax.pcolormesh(xs, ys, values.T, cmap="cividis", shading="gouraud", rasterized=True)
    if np.ptp(values) > 0:
        ax.contour(xs, ys, values.T, levels=LEVELS, colors="white", linewidths=0.6, alpha=0.7)
    bar = ax.figure.colorbar(colours, ax=ax, pad=0.02, aspect=30)
    bar.set_label(label, fontsize=12)
    bar.outline.set_visible(False)
    if run is not None:
        _draw_run(ax, *(checked_curve(axis, f"run[{i}]", least=1) for i, axis in enumerate(run)))
    ax.set_xlabel(xlabel, fontsize=12)
    ax.set_ylabel(ylabel, fontsize=12)
    return finish(ax, path)


def _draw_run(ax: Axes, xs: ArrayLike, ys: ArrayLike) -> None:
    first, last = np.asarray(xs), np.asarray(ys)
    if len(first) != len(last):
        raise ParameterError(f"run[0] has {len(first)} numbers and run[1] has {len(last)}.")
    ax.plot(first, last, "-o", color="white", markersize=2.5, linewidth=1, markeredgecolor="black")
    start = f"start ({first[0]:.5g}, {last[0]:.5g})"
    end = f"end ({first[-1]:.5g}, {last[-1]:.5g})"
    ax.plot(first[0], last[0], "o", color="white", markeredgecolor="black", markersize=8, label=start)
    ax.plot(first[-1], last[-1], "*", color=VERMILION, markeredgecolor="black", markersize=12, label=end)
    ax.legend(fontsize=10, loc="best")
