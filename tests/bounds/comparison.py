"""The bounds that an engine prints against its true errors, which extended precision tells.

    |f - f̂| ≤ error_bound        |∂f - ∂f̂| ≤ grad_error_bound

A bound is *sharp* if it is at most 10⁴ times the true error, an error below what a double can show
counting as that: max(|error|, 2⁻⁵³ |f|, 10⁻¹⁷).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from reference.truth import truth

from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.exact import ExactEngine

OWN_ERROR = 2e-18  # of the truth, relative to max(1, |f|)
FLOOR = 1e-17
SHARP = 1e4


@dataclass(frozen=True)
class Compared:
    """One number of an engine: what it is, its true error, the bound printed, its magnitude."""

    what: str
    error: float
    bound: float
    magnitude: float

    @property
    def exceeded(self) -> bool:
        """Whether the true error is larger than the bound, or there is no bound (nan)."""
        return not self.error <= self.bound + OWN_ERROR * max(1.0, self.magnitude)

    @property
    def ratio(self) -> float:
        """Bound / true error."""
        return self.bound / max(self.error, 2.0**-53 * self.magnitude, FLOOR)


def compare(
    program: Program, observable: Observable, params: Mapping[str, float], engine: ExactEngine
) -> list[Compared]:
    """Return the value and all derivatives by trainable parameters.

    Of the value, as `values` and as `gradients` give it, the one that is further off.

    Raises:
        TooLong: the truth would take too long.
        EvaluationError: the engine's, or the truth's.
    """
    wrt = program.trainable
    true = truth(program, observable, params, wrt)
    analysis = engine.analyze(params, observable, wrt)
    assert set(analysis.grad_error_bound) == set(wrt), "a bound is missing"
    values, gradients = engine.gradients([params], [observable], wrt)
    both = (float(engine.values([params], [observable])[0, 0]), float(values[0, 0]))
    value = max(both, key=lambda x: abs(np.longdouble(x) - true.value))
    found = [("f", value, true.value, analysis.error_bound)]
    for name, slope in zip(wrt, gradients[0, 0], strict=True):
        found.append((f"∂f/∂{name}", float(slope), true.gradient[name], analysis.grad_error_bound[name]))
    return [
        Compared(what, float(abs(np.longdouble(number) - exact)), bound, float(abs(exact)))
        for what, number, exact, bound in found
    ]


def check_bounds(
    program: Program, observable: Observable, params: Mapping[str, float], engine: ExactEngine
) -> list[Compared]:
    """Assert that no true error exceeds its bound, and return them all; raises as `compare` does."""
    numbers = compare(program, observable, params, engine)
    wrong = [f"{x.what} is off by {x.error:.3g}, its bound is {x.bound:.3g}" for x in numbers if x.exceeded]
    assert not wrong, "; ".join(wrong) + f"\n{program}\n# {observable} at {dict(params)}"
    return numbers
