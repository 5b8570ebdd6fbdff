"""What all pictures share: a figure of their own, plain axes, colours that everyone can tell apart."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qdiff.plot.saving import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct for every kind of colour vision, and in grey.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREY = "#666666"
COLOURS = (BLUE, VERMILION, "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
"""Of several curves."""

SPACE = 0.04
"""Between axes side by side, of their width."""
LONGEST_LABEL = 48
FUNCTIONS = ("Var(", "E(")  # how texts of quantities begin that are no mere mean; no observable does


def new_axes(ax: Axes | None) -> Axes:
    """Return the axes given, or those of a new figure, with a light grid and no box."""
    if ax is None:
        # Not pyplot: it would pick a backend and keep the figure alive.
        from qdiff.plot.picture import Picture

        ax = Picture(figsize=(6.4, 4.2), dpi=150, layout="constrained").add_subplot()
    return _plain(ax)


def new_row(number: int) -> list[Axes]:
    """Return some axes side by side in a new figure."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from qdiff.plot.picture import Picture

    figure = Picture(figsize=(5.2 * number, 4.2), dpi=150, layout=ConstrainedLayoutEngine(wspace=SPACE))
    return [_plain(ax) for ax in figure.subplots(1, number, squeeze=False)[0]]


def _plain(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=10)
    return ax


def finish(ax: Axes, path: str | os.PathLike[str] | None) -> Figure:
    """Return the figure of the axes, saved to `path` unless that is None.

    Raises:
        QdiffError: a picture that cannot be written.
    """
    from matplotlib.figure import Figure, SubFigure

    figure: Figure | SubFigure = ax.figure
    while not isinstance(figure, Figure):
        figure = figure.figure
    if path is not None:
        save(figure, path)
    return figure


def value_label(text: str) -> str:
    """The label of a value: ⟨observable⟩, "Var(c)" as it is, "value" for no text or a long one."""
    if not 0 < len(text) <= LONGEST_LABEL:
        return "value"
    return text if text.startswith(FUNCTIONS) else f"⟨{text}⟩"
