"""The step of a difference: how far to both sides, and how wrong that makes a derivative.

    |(f(θ+h) - f(θ-h))/2h - ∂f| ≤ B(h),     standard error ≤ s / (h √(2n))

with B(h) proved (`qdiff.sim.majorants`), s ≤ ‖O‖ and n pairs of runs. Where h is not given, it is the one for
which the sum of both squares is least, over all observables: B grows at least as h², the noise falls as 1/h.
Where nothing is proved, it is `DEFAULT_STEP`. It is halved until the probabilities stay in [0, 1] and
everything else has a value, at both sides, as far as that can be told without running the program.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qdiff.errors import EvaluationError, QdiffError, listed
from qdiff.estimators.problem import Problem, ShiftBounds
from qdiff.lang.expr import Expr
from qdiff.lang.running import PROBABILITY_SLACK
from qdiff.lang.tree import Channel, Flip, Gate, Program
from qdiff.lang.vanishing import vanishes
from qdiff.lang.walk import all_conditions, differentiable_expressions, statements

DEFAULT_STEP = 0.1
"""In units of the parameter (radians of an angle): sin h/h is off by 0.2 % there."""
LEAST_STEP, LARGEST_STEP = 1e-4, 1.0
"""Between these a step is chosen."""
NEAR_ENOUGH = 0.1
"""A step off by a tenth from the best costs a few per cent."""
HALVINGS = 20
MOST_CORNERS = 6
"""An expression with more parameters than that is not tried at all corners."""


@dataclass(frozen=True)
class Unproved:
    """Bounds where none could be had."""

    reason: str
    norm: float = math.inf

    def shift_bias(self, h: float) -> float:
        """inf."""
        return math.inf


def checked_step(h: Any) -> float | None:
    """Return a step as it is given, None for one that is to be chosen.

    Raises:
        QdiffError: no number above 0.
    """
    if h is None:
        return None
    number = isinstance(h, int | float | np.integer | np.floating) and not isinstance(h, bool)
    if not number or not 0 < float(h) < math.inf:
        raise QdiffError(f"h is the step to both sides, a finite number above 0, got {h!r}.")
    return float(h)


def require_apart(params: Mapping[str, float], names: Sequence[str], h: float) -> None:
    """Refuse a step that rounding swallows.

    Raises:
        QdiffError: both sides are the same number.
    """
    for name in names:
        if not params[name] - h < params[name] < params[name] + h:
            raise QdiffError(
                f"h = {h:g} is lost in the rounding of `{name}` = {params[name]:g}. Give a larger step."
            )


def bounds_of(problem: Problem, observable: int, parameter: str) -> ShiftBounds:
    """Return the bounds that a problem has, or `Unproved` with the reason why it has none."""
    try:
        return problem.bounds(observable, parameter)
    except QdiffError as error:
        return Unproved(str(error))


def bias_at(bounds: ShiftBounds, h: float) -> float:
    """Return the proved bound of the bias for a step; inf where there is none."""
    return bounds.shift_bias(h) if math.isfinite(bounds.norm) else math.inf


def best_step(bounds: Sequence[ShiftBounds], pairs: int) -> float:
    """Return the step that balances proved bias and noise; `DEFAULT_STEP` where nothing is proved.

    Args:
        bounds: of each observable; those that prove nothing do not count.
        pairs: n, of runs that one difference has.
    """
    proved = [each for each in bounds if math.isfinite(bias_at(each, LEAST_STEP))]
    if not proved:
        return DEFAULT_STEP
    high = LARGEST_STEP
    while high > LEAST_STEP and not all(math.isfinite(bias_at(each, high)) for each in proved):
        high = max(high / 2, LEAST_STEP)
    if high == LEAST_STEP:
        return high
    from scipy.optimize import minimize_scalar

    def error(log_h: float) -> float:
        h = math.exp(log_h)
        squares = [bias_at(each, h) ** 2 + (each.norm / h) ** 2 / (2 * pairs) for each in proved]
        return math.log(max(math.fsum(squares), 1e-300))

    span = (math.log(LEAST_STEP), math.log(high))
    found = minimize_scalar(error, bounds=span, method="bounded", options={"xatol": NEAR_ENOUGH})
    return high if error(span[1]) <= float(found.fun) else math.exp(float(found.x))


def within_values(program: Program, params: Mapping[str, float], names: Sequence[str], h: float) -> float:
    """Return a step, halved until everything has a value where `names` are shifted by it, up or down.

    Only angles and probabilities without counters are tried. Where no halving helps, h is returned as it is:
    a run that comes there says what is wrong.
    """
    tried = [
        (expression, certain, own)
        for expression, certain in _expressions(program)
        if not expression.counters()
        and 0 < len(own := sorted(expression.parameters().intersection(names))) <= MOST_CORNERS
        and _has_value(expression, certain, params)
    ]
    for halvings in range(HALVINGS):
        step = math.ldexp(h, -halvings)
        if all(
            _has_value(expression, certain, corner)
            for expression, certain, own in tried
            for corner in _corners(params, own, step)
        ):
            return step
    return h


def moving(program: Program, names: Sequence[str]) -> tuple[str, ...]:
    """Return those parameters on which an angle or a probability depends; by the others ∂f = 0."""
    expressions = set(differentiable_expressions(program.body))
    return tuple(
        name
        for name in names
        if any(name in e.parameters() and not vanishes(e.diff(name)) for e in expressions)
    )


def step_text(h: float, halved: bool) -> str:
    """Return the text of a step; whether the program has no values farther away."""
    return f"h = {h:.3g}{', as far as the program has values,' if halved else ''}"


def steps_text(steps: Mapping[str, float], halved: Sequence[str] = ()) -> str:
    """Return which steps were chosen, for the note of an estimate.

    Args:
        halved: the parameters of which the program has no values farther away.
    """
    by_step: dict[str, list[str]] = {}
    for name, h in steps.items():
        by_step.setdefault(step_text(h, name in halved), []).append(f"`{name}`")
    return "; ".join(f"{step} was chosen for {listed(names)}" for step, names in by_step.items())


def biases_at(bounds: Sequence[ShiftBounds], h: float) -> tuple[list[float], list[str]]:
    """Return the proved bounds of the bias for a step, and why some are inf."""
    biases = [bias_at(each, h) for each in bounds]
    beyond = f"the bound holds for smaller steps than h = {h:g} only"
    return biases, [
        each.reason or beyond for each, bias in zip(bounds, biases, strict=True) if math.isinf(bias)
    ]


def unproved_text(reasons: Mapping[str, Sequence[str]]) -> str:
    """Return where no bound of the bias is proved, for the note of an estimate.

    Args:
        reasons: why not, by parameter; none where one is.
    """
    by_reason: dict[str, list[str]] = {}
    for name, found in reasons.items():
        if found:
            by_reason.setdefault("; ".join(dict.fromkeys(found)), []).append(f"`{name}`")
    return "; ".join(
        f"no bound of the bias by {listed(names)} is proved: {reason}" for reason, names in by_reason.items()
    )


def _expressions(program: Program) -> Iterator[tuple[Expr, bool]]:
    """Angles and probabilities; whether it is one of those."""
    for statement in statements(program.body):
        if isinstance(statement, Gate):
            yield from ((angle, False) for angle in statement.angles)
        elif isinstance(statement, Channel):
            yield statement.probability, True
    for condition in all_conditions(program.body):
        if isinstance(condition, Flip):
            yield condition.probability, True


def _has_value(expression: Expr, probability: bool, params: Mapping[str, float]) -> bool:
    try:
        value = expression.evaluate(params)
    except EvaluationError:
        return False
    return not probability or -PROBABILITY_SLACK <= value <= 1 + PROBABILITY_SLACK


def _corners(params: Mapping[str, float], names: Sequence[str], h: float) -> Iterator[dict[str, float]]:
    for signs in itertools.product((1, -1), repeat=len(names)):
        yield {**params, **{name: params[name] + sign * h for name, sign in zip(names, signs, strict=True)}}
