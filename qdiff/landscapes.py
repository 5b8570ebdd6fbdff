"""An objective along one parameter, or over two: its values and derivatives on a grid, in one batch."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qdiff.errors import BatchError, ParameterError, did_you_mean, listed
from qdiff.lang.parameter_values import is_sequence
from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Program
from qdiff.objective import Objective
from qdiff.plot.curves import checked_curve, enlarged, plot_curve
from qdiff.plot.figure import value_label
from qdiff.plot.run import Run
from qdiff.plot.surfaces import plot_surface
from qdiff.sim.exact import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = {1: 101, 2: 41}  # on an axis, for one parameter and for two
ENLARGED_POINTS = 60
MOST_SHOWN = 3


@dataclass(frozen=True, eq=False, repr=False)
class Landscape:
    """An objective on a grid. Made by `qd.landscape`.

    Attributes:
        names: the parameters that vary, one or two.
        points: for each of them float (m_i,), ascending or as given.
        values: float (m_0,) or (m_0, m_1).
        gradients: float (…, 1) or (…, 2), the derivatives by `names`; None where one of them is
            compared, so that the objective may jump.
        params: every parameter; those in `names` at the first point.
        units: for each name "radians" or "".
        text: what the values are of: an observable, or a quantity such as "Var(c)".
        run: a training run to be drawn on it, or None.
    """

    names: tuple[str, ...]
    points: tuple[Floats, ...]
    values: Floats
    gradients: Floats | None
    params: Mapping[str, float]
    units: tuple[str, ...]
    text: str
    run: Run | None = None

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Axes | None = None) -> Figure:
        """Draw a curve, or a surface with level lines, and the run on it.

        Args:
            path: where to save the picture; its suffix is the format.
            ax: axes to draw everything on; a new figure if None.
        """
        labels = [f"{n} ({unit})" if unit else n for n, unit in zip(self.names, self.units, strict=True)]
        label = value_label(self.text)
        trained = None if self.run is None else [_trained(self.run, name) for name in self.names]
        if len(self.names) == 1:
            on_it = None if trained is None or self.run is None else (trained[0], self.run.history.value)
            return plot_curve(self.points[0], self.values, on_it, labels[0], label, path, ax)
        both = None if trained is None else (trained[0], trained[1])
        x, y = self.points
        return plot_surface(x, y, self.values, both, labels[0], labels[1], label, path, ax)

    def __repr__(self) -> str:
        axes = ", ".join(
            f"{name}: {len(points)} points in [{points.min():.6g}, {points.max():.6g}]"
            for name, points in zip(self.names, self.points, strict=True)
        )
        return f"Landscape({self.text}; {axes}; values in [{self.values.min():.6g}, {self.values.max():.6g}])"


def landscape(
    f: Objective,
    names: str | Sequence[str],
    values: Any = None,
    params: Mapping[str, object] | None = None,
    run: Run | None = None,
) -> Landscape:
    """Evaluate an objective along one parameter, θ ↦ f(θ), or on a grid over two: float (m,) or (m_0, m_1).

        qd.landscape(f, "t").plot("curve.png")
        qd.landscape(f, ("t", "u"), values=((0, 3, 50), np.linspace(1, 2, 9)), params={"w": [1, 2]})

    Derivatives come along; angles are in radians.

    Args:
        f: an objective with one value.
        names: a parameter, an array element as "w[0]", or two of them.
        values: where: a tuple (start, stop, count), or numbers (m,) in a list or an array; for two
            parameters a pair of these. None is a whole turn, 0 to 2π, for an angle and 0 to 1 for a
            probability.
        params: all other parameters; those at the end of `run` if None.
        run: a training run that trained what varies. Its points are drawn where they were: where other
            parameters were trained too, they lie off the curve. Where a run covers little of a curve,
            the curve gets more points there, and its picture a second part.

    Raises:
        ParameterError: names or values that do not fit.
        BatchError: points without a value; it names them and holds the others' values.

    Example:
        >>> import qdiff as qd
        >>> f = qd.expectation(qd.parse("qubit: q  para: t  Ry(t)[q]"), "Z[q]")
        >>> curve = qd.landscape(f, "t", values=[0.25, 0.5, 1])
        >>> curve.values.round(6).tolist(), curve.gradients[:, 0].round(6).tolist()
        ([0.968912, 0.877583, 0.540302], [-0.247404, -0.479426, -0.841471])
    """
    if not isinstance(f, Objective):
        raise ParameterError(f"A landscape is of an objective with one value, such as f[0]; got {f!r}.")
    wanted = (names,) if isinstance(names, str) else tuple(names)
    _check_names(f.program, wanted)
    points = _points(f.program, wanted, values)
    if run is not None and len(wanted) == 1:
        near = enlarged(points[0], _trained(run, wanted[0]))
        points = points if near is None else (np.union1d(points[0], np.linspace(*near, ENLARGED_POINTS)),)
    elif run is not None:
        for name in wanted:
            _trained(run, name)
    given = params if params is not None else {} if run is None else run.params
    first = {name: float(axis[0]) for name, axis in zip(wanted, points, strict=True)}
    fixed = resolve(f.program, {**given, **first})
    grid = [axis.ravel() for axis in np.meshgrid(*points, indexing="ij")]
    batch = {**fixed, **dict(zip(wanted, grid, strict=True))}
    shape = tuple(map(len, points))
    slopes = None
    try:
        if f.program.compared.isdisjoint(wanted):
            found, by_name = f.batch_value_and_grad(batch, wrt=list(wanted))
            slopes = by_name.reshape(*shape, len(wanted))
        else:
            found = f.batch_value(batch)
    except BatchError as error:
        raise _at_points(error, wanted, grid) from None
    units = tuple("radians" if _kind(f.program, name) == "angle" else "" for name in wanted)
    return Landscape(wanted, points, found.reshape(shape), slopes, fixed, units, f.quantity.text, run)


def _check_names(program: Program, names: tuple[str, ...]) -> None:
    if len(names) not in POINTS or len(set(names)) != len(names):
        raise ParameterError(f"A landscape is over one parameter or two different ones, not {listed(names)}.")
    known = program.parameters
    for name in names:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise ParameterError(
                f"`{name}` is not a single parameter. Parameters: {listed(known)}. {hint}".rstrip()
            )


def _points(program: Program, names: tuple[str, ...], values: Any) -> tuple[Floats, ...]:
    if len(names) == 1:
        return (_axis(program, names[0], values, "values", 1),)
    if values is None:
        values = (None, None)
    if not is_sequence(values) or len(values) != 2:
        raise ParameterError("For two parameters values is a pair, one for each: ((0, 3, 50), [1, 1.5, 2]).")
    axes = zip(names, values, strict=True)
    return tuple(_axis(program, name, axis, f"values[{i}]", 2) for i, (name, axis) in enumerate(axes))


def _axis(program: Program, name: str, values: Any, role: str, axes: int) -> Floats:
    if values is None:
        ends = {"angle": 2 * np.pi, "probability": 1.0}
        kind = _kind(program, name)
        if kind not in ends:
            raise ParameterError(f"Say where to vary `{name}`: values=(start, stop, count) or numbers.")
        return np.linspace(0, ends[kind], POINTS[axes])
    if isinstance(values, tuple) and len(values) == 3:
        try:
            start, stop, count = float(values[0]), float(values[1]), operator.index(values[2])
        except (TypeError, ValueError):
            start, stop, count = np.nan, np.nan, 0
        if not (np.isfinite(start) and np.isfinite(stop) and count >= 2):
            raise ParameterError(
                f"{role}: a tuple of three is (start, stop, count) with a count from 2; got {values!r}. "
                "Numbers come in a list or an array."
            )
        return np.linspace(start, stop, count)
    return checked_curve(values, role)


def _trained(run: Run, name: str) -> Floats:
    if name not in run.names:
        raise ParameterError(f"The run did not train `{name}`. It trained {listed(run.names)}.")
    return run.history.x[:, run.names.index(name)]


def _at_points(error: BatchError, names: tuple[str, ...], grid: Sequence[Floats]) -> BatchError:
    lines = []
    for row, reason in list(error.errors.items())[:MOST_SHOWN]:
        place = ", ".join(f"{name} = {axis[row]:.6g}" for name, axis in zip(names, grid, strict=True))
        lines.append(f"\n  {place}: {reason}")
    more = len(error.errors) - len(lines)
    message = f"{len(error.errors)} of {len(grid[0])} points have no value:" + "".join(lines)
    return BatchError(
        message + (f"\n  and {more} more" if more else ""),
        values=error.values,
        gradients=error.gradients,
        errors=error.errors,
    )


def _kind(program: Program, name: str) -> str:
    """ "angle" or "probability" for a parameter that occurs in these only, else ""."""
    from qdiff.lang.tree import Channel, Flip, Gate
    from qdiff.lang.walk import all_conditions, statements

    angles = (angle for s in statements(program.body) if isinstance(s, Gate) for angle in s.angles)
    probabilities = [c.probability for c in all_conditions(program.body) if isinstance(c, Flip)]
    probabilities += [s.probability for s in statements(program.body) if isinstance(s, Channel)]
    in_angle = any(name in angle.parameters() for angle in angles)
    in_probability = any(name in p.parameters() for p in probabilities)
    if name in program.compared or in_angle == in_probability:
        return ""
    return "angle" if in_angle else "probability"
