"""L-BFGS-B: SciPy's quasi-Newton method with bounds, as an optimiser that can be logged and resumed.

SciPy drives; each of its questions goes to the Problem, and each of its iterations is a step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from qdiff.errors import TrainingError, listed
from qdiff.train.optimizers import Ending, Optimizer, all_steps, positive, register, set_field, stopped
from qdiff.train.problem import Problem
from qdiff.train.variables import Vector

Pair: TypeAlias = tuple[float | None, float | None]
Bounds: TypeAlias = Mapping[str, Pair] | Sequence[Pair] | Sequence[tuple[str, Pair]]


class _Halt(Exception):
    """Carries the wish to stop out of SciPy."""


@register
@dataclass(frozen=True)
class LBFGSB(Optimizer):
    """Limited-memory BFGS with bounds: a step is one iteration, with one or more evaluations.

    Args:
        tolerance: converged once no component of the (projected) gradient is larger, or once a step
            changes the value by no more than its rounding.
        bounds: None, a mapping from parameters or arrays to (low, high), or a (low, high) for each
            trained parameter; None in a pair is no bound.

    Source: Byrd, Lu, Nocedal, Zhu, SIAM J. Sci. Comput. 16 (1995) 1190, as in SciPy.
    """

    tolerance: float = 1e-6
    bounds: Bounds | None = None

    name: ClassVar[str] = "l-bfgs-b"
    needs_exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        set_field(self, "tolerance", positive("LBFGSB", "tolerance", self.tolerance))
        if self.bounds is not None:
            set_field(self, "bounds", _normal(self.bounds))

    def run(self, problem: Problem) -> Ending:
        from scipy.optimize import minimize

        bounds = self._bounds_of(problem)

        def record(x: Vector) -> None:
            if problem.record(x):
                raise _Halt

        def value_and_grad(x: Vector) -> tuple[float, Vector]:
            answer = problem.evaluate(x)
            if not problem.points:
                record(x)
            return answer

        if problem.steps == 0:
            # SciPy takes an iteration before it looks at the limit.
            return stopped(0) if problem.record(problem.start) else all_steps(0)
        try:
            found = minimize(
                value_and_grad,
                problem.start,
                method="L-BFGS-B",
                jac=True,
                bounds=bounds,
                callback=record,
                options={
                    "maxiter": problem.steps,
                    "maxfun": 2**31 - 1,
                    "gtol": self.tolerance,
                    "ftol": np.finfo(float).eps,
                },
            )
        except _Halt:
            return stopped(len(problem.points) - 1)
        match found.status:
            case 0 if "GRADIENT" in found.message:
                return Ending(True, f"converged: no component of the gradient is above {self.tolerance:g}")
            case 0:
                return Ending(True, "converged: the value changes by no more than its rounding")
            case 1:
                return all_steps(problem.steps)
            case _:
                return Ending(False, "the line search finds no better point: value or gradient may be noisy")

    def _bounds_of(self, problem: Problem) -> list[tuple[float, float]] | None:
        """(low, high) for each trained parameter, infinite where there is none."""
        if self.bounds is None:
            return None
        names = problem.variables.names
        pairs: list[Any] = list(self.bounds)
        if pairs and isinstance(pairs[0][0], str):
            by_name: dict[str, Any] = {}
            for name, pair in pairs:
                elements = [one for one in names if name in (one, one.partition("[")[0])]
                if not elements:
                    raise TrainingError(
                        f"LBFGSB: bounds for `{name}`, which is not trained. Trained: {listed(names)}."
                    )
                by_name |= dict.fromkeys(elements, pair)
            pairs = [by_name.get(name, (None, None)) for name in names]
        if len(pairs) != len(names):
            raise TrainingError(
                f"LBFGSB: {len(pairs)} bounds for {len(names)} trained parameters: {listed(names)}."
            )
        limits = [(-math.inf if a is None else a, math.inf if b is None else b) for a, b in pairs]
        for name, x, (low, high) in zip(names, problem.start.tolist(), limits, strict=True):
            if not low <= x <= high:
                raise TrainingError(
                    f"LBFGSB: the start `{name}` = {x!r} is outside its bounds [{low}, {high}]."
                )
        return limits


def _normal(bounds: Bounds) -> tuple[Any, ...]:
    """Bounds as nested tuples of floats and None, so that settings are hashable and fit into JSON."""
    try:
        entries: tuple[Any, ...] = tuple(bounds.items() if isinstance(bounds, Mapping) else bounds)
        if entries and isinstance(entries[0][0], str):
            return tuple((str(name), _pair(pair)) for name, pair in entries)
        return tuple(_pair(pair) for pair in entries)
    except (TypeError, ValueError, IndexError, KeyError):
        raise TrainingError(
            f"LBFGSB: bounds={bounds!r} must map parameters to (low, high), or hold one (low, high) for each "
            'trained parameter, low ≤ high, None for no bound: bounds={"t": (0, None)}.'
        ) from None


def _pair(pair: Any) -> Pair:
    low, high = pair
    lowest = -math.inf if low is None else float(low)
    highest = math.inf if high is None else float(high)
    if not lowest <= highest or lowest == math.inf or highest == -math.inf:
        raise ValueError
    return (None if lowest == -math.inf else lowest, None if highest == math.inf else highest)
