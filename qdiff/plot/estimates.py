"""An estimate: what each occurrence contributed, what was spent on it, and how the error fell."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.contributions import REST, Contribution
from qdiff.estimators.estimate import Estimate
from qdiff.plot.figure import COLOURS, GREY, finish, new_row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

ERRORS = 2
"""Standard errors on each side of a contribution."""
LONG = 40
"""Occurrences beyond which the axis is logarithmic."""
MOST_MARKED = 60
OTHERS = "rest"


def plot_estimate(estimate: Estimate, path: str | os.PathLike[str] | None = None) -> Figure:
    """Draw an estimate: contributions and shots by occurrence, where it has them, and how the error fell.

    Standard errors are drawn by shots, beside the 1/√n that more of them should follow. Of many numbers those
    with the largest errors are drawn.

    Args:
        path: where to save the picture; its suffix is the format.

    Raises:
        QdiffError: a picture that cannot be written.
    """
    curves = _curves(estimate)
    by_occurrence = [curve for curve in curves if curve.contribution is not None]
    axes = new_row(3 if by_occurrence else 1)
    if by_occurrence:
        _draw_by_occurrence(axes[0], axes[1], by_occurrence, estimate)
    _draw_errors(axes[-1], curves, estimate)
    if np.size(estimate.value) > 1 and axes[0].get_legend_handles_labels()[0]:
        axes[0].legend(
            fontsize=9, frameon=False, loc="best", title=_choice(curves, estimate), title_fontsize=9
        )
    trust = "" if estimate.interval_trusted else ", intervals not trusted"
    title = f'"{estimate.estimator}": {estimate.shots} shots, seed {estimate.seed}{trust}'
    axes[0].figure.suptitle(title, fontsize=11)
    return finish(axes[0], path)


@dataclass(frozen=True, eq=False)
class _Curve:
    """One of the estimated numbers.

    Attributes:
        shots, stderr: (rounds,), after each round.
        contribution: by occurrence, None of what is no sum over occurrences.
    """

    label: str
    colour: str
    shots: Floats
    stderr: Floats
    contribution: Contribution | None


def _curves(estimate: Estimate) -> list[_Curve]:
    """Those with the largest errors, as many as there are colours, in the order of the estimate."""
    last = np.ravel(estimate.stderr)
    largest = np.argsort(-last, kind="stable")[: len(COLOURS)]
    contributions = {one.place: one for one in estimate.contributions}
    course = estimate.course or ((estimate.shots, np.ravel(estimate.value), last),)
    shots = np.array([float(shots) for shots, _, _ in course])
    return [
        _Curve(
            _label(estimate, place, contributions.get(place)),
            COLOURS[number],
            shots,
            np.array([stderr[place] for _, _, stderr in course]),
            contributions.get(place),
        )
        for number, place in enumerate(sorted(largest.tolist()))
    ]


def _label(estimate: Estimate, place: int, contribution: Contribution | None) -> str:
    shape = np.shape(estimate.value)
    where = np.unravel_index(place, shape) if shape else ()
    if contribution is None:
        return f"value[{', '.join(map(str, where))}]"
    return contribution.parameter if len(shape) < 2 else f"{contribution.parameter}, value[{where[0]}]"


def _choice(curves: Sequence[_Curve], estimate: Estimate) -> str | None:
    size = np.size(estimate.value)
    return None if len(curves) == size else f"the largest errors of {size}"


# --- By occurrence ------------------------------------------------------------------------------


def _draw_by_occurrence(left: Axes, middle: Axes, curves: Sequence[_Curve], estimate: Estimate) -> None:
    place_of = _axis_of_occurrences([left, middle], [c.contribution for c in curves if c.contribution])
    left.axhline(0, color=GREY, linewidth=0.8)
    for number, curve in enumerate(curves):
        if (one := curve.contribution) is None:
            continue
        x = place_of(one.occurrence, number - (len(curves) - 1) / 2)
        size = 4 if len(x) <= MOST_MARKED else 2.5
        left.errorbar(
            x, one.value, ERRORS * one.stderr, fmt="o", markersize=size, color=curve.colour,
            linewidth=0, elinewidth=1.1, label=curve.label,
        )  # fmt: skip
        spent = one.shots > 0
        middle.plot(x[spent], one.shots[spent], "o", markersize=size, color=curve.colour)
        own = spent & (one.occurrence != REST)
        middle.plot(x[own], one.shots[own], color=curve.colour, linewidth=0.8, alpha=0.5)
    middle.set_yscale("log")
    left.set_ylabel(f"contribution (± {ERRORS} standard errors)", fontsize=12)
    middle.set_ylabel("shots", fontsize=12)
    first = {one.parameter: int(one.shots.sum()) for one in reversed(estimate.contributions)}
    pilots = estimate.shots - sum(first.values())
    left.set_title("what each occurrence contributes", fontsize=11)
    middle.set_title(
        f"shots spent on it ({pilots} more in pilots)" if pilots else "shots spent on it", fontsize=11
    )


def _axis_of_occurrences(
    axes: Sequence[Axes], contributions: Sequence[Contribution]
) -> Callable[[NDArray[np.int64], float], Floats]:
    """Prepare axes for occurrences, the rest at the right end.

    Returns:
        Where occurrences are drawn, moved aside by so many steps.
    """
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    longest = max([int(one.occurrence.max(initial=1)) for one in contributions])
    rest = any(bool((one.occurrence == REST).any()) for one in contributions)
    long = longest > LONG
    last = longest * 1.5 if long else longest + max(1.2, 0.08 * longest)
    edge = (longest * last) ** 0.5 if long else (longest + last) / 2
    right = last**2 / edge if long else 2 * last - edge
    for ax in axes:
        if long:
            ax.set_xscale("log")
        ax.set_xlim(0.8 if long else 0.4, right if rest else edge)
        ticks = _ticks(longest, long)
        ax.xaxis.set_major_locator(FixedLocator(ticks + [last] * rest))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FixedFormatter([str(tick) for tick in ticks] + [OTHERS] * rest))
        ax.set_xlabel("occurrence (rest: drawn at random)" if rest else "occurrence", fontsize=12)
        if rest:
            ax.axvspan(edge, right, color=GREY, alpha=0.12, linewidth=0)

    def place_of(occurrence: NDArray[np.int64], aside: float) -> Floats:
        x = np.where(occurrence == REST, last, occurrence.astype(float))
        return np.asarray(x * 1.03**aside if long else x + 0.1 * aside * min(1.0, len(contributions) / 2))

    return place_of


def _ticks(longest: int, long: bool) -> list[int]:
    if not long:
        step = next(step for step in (1, 2, 5, 10) if longest / step <= 9)
        return [1, *range(step, longest + 1, step)] if step > 1 else list(range(1, longest + 1))
    decades = range(len(str(longest)))
    return [n * 10**d for d in decades for n in (1, 2, 5) if n * 10**d <= longest]


# --- By shots -----------------------------------------------------------------------------------


def _draw_errors(ax: Axes, curves: Sequence[_Curve], estimate: Estimate) -> None:
    ax.set_title("how the error falls", fontsize=11)
    ax.set_xlabel("shots", fontsize=12)
    ax.set_ylabel("standard error", fontsize=12)
    known = [curve for curve in curves if curve.stderr[-1] > 0]
    if not known:
        ax.annotate(
            "all runs gave the same" if estimate.shots else "exact, without shots",
            (0.5, 0.5), xycoords="axes fraction", ha="center", color=GREY, fontsize=11,
        )  # fmt: skip
        ax.set_xticks([])
        ax.set_yticks([])
        return
    ax.set_xscale("log")
    ax.set_yscale("log")
    for curve in known:
        seen = curve.stderr > 0
        ax.plot(
            curve.shots[seen], curve.stderr[seen], color=curve.colour, linewidth=1.8, marker="o",
            markersize=5, label=curve.label,
        )  # fmt: skip
    worst = max(known, key=lambda curve: float(curve.stderr[-1]))
    n, s = worst.shots[-1], worst.stderr[-1]
    x = np.array([worst.shots[0] / 2, 10 * n])
    ax.plot(x, s * np.sqrt(n / x), "--", color=GREY, linewidth=1.1, zorder=1)
    ax.annotate(
        "1/√n", (5 * n, s * 5**-0.5), xytext=(4, 4), textcoords="offset points", color=GREY, fontsize=11
    )
