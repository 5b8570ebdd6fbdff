"""An objective along one of its parameters, with the course of a training run on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qdiff.errors import ParameterError, did_you_mean, listed
from qdiff.lang.parameters import resolve
from qdiff.plot.curves import checked_curve, enlarged, plot_landscape
from qdiff.plot.figure import expectation_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qdiff.plot.course import Course

ENLARGED_POINTS = 60


def landscape(
    f: Any,
    name: str,
    values: ArrayLike,
    params: Mapping[str, object] | None = None,
    training: Course | None = None,
    path: str | os.PathLike[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Evaluate an objective along one parameter and draw it, with a training run on it.

    qd.plot.landscape(f, "t", np.linspace(0, np.pi, 100), training=result, path="landscape.png")

    Args:
        f: an Objective.
        name: the parameter, an array element as "w[0]".
        values: (m,), where to evaluate.
        params: all other parameters; those at the end of `training` if None.
        training: a run that trained the parameter. Its points are drawn at the values they had: where
            other parameters were trained too, they lie off the curve. A run that covers little of the
            curve is enlarged beside it.
        path: where to save the picture; its suffix is the format.
        ax: axes to draw everything on; a new figure if None.

    Raises:
        ParameterError: names or values that do not fit.
        QdiffError: a picture that cannot be written.
    """
    known = f.program.parameters
    if name not in known:
        hint = did_you_mean(str(name), known)
        raise ParameterError(
            f"`{name}` is not a single parameter. Parameters: {listed(known)}. {hint}".rstrip()
        )
    xs = checked_curve(values, "values")
    if params is None:
        params = training.params if training is not None else {}
    others = resolve(f.program, {**params, name: xs[0]})
    run = None if training is None else (_trained(training, name), training.history.value)
    if run is not None and ax is None:
        near = enlarged(xs, run[0])
        xs = xs if near is None else np.union1d(xs, np.linspace(*near, ENLARGED_POINTS))
    curve = np.array([float(f({**others, name: x})) for x in xs.tolist()])
    label = f"{name} (radians)" if _is_angle(f.program, name) else name
    return plot_landscape(xs, curve, run, label, expectation_label(str(f.observable)), path, ax)


def _trained(training: Course, name: str) -> NDArray[np.float64]:
    if name not in training.names:
        raise ParameterError(f"The run did not train `{name}`. It trained {listed(training.names)}.")
    return training.history.x[:, training.names.index(name)]


def _is_angle(program: Any, name: str) -> bool:
    """Whether a parameter occurs in angles and in no probability: then it is in radians."""
    from qdiff.lang.tree import Flip, Gate
    from qdiff.lang.walk import all_conditions, statements

    body = program.body
    angles = (angle for s in statements(body) if isinstance(s, Gate) for angle in s.angles)
    probabilities = (c.probability for c in all_conditions(body) if isinstance(c, Flip))
    in_angle = any(name in angle.parameters() for angle in angles)
    return in_angle and not any(name in p.parameters() for p in probabilities)
