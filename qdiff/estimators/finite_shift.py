"""Finite shifts: differences of values at both sides of each parameter. Biased, and says by how much.

    X = (o⁺ - o⁻) / 2h,     E[X] = (f(θ+h) - f(θ-h))/2h = ∂f + bias,     |bias| ≤ B(h)

The noise does not grow with the number of occurrences, it grows as 1/h. B(h) is proved from how often the
parameter is met (`qdiff.sim.majorants`), inf where nothing is. With common random numbers the runs of a pair
agree until their choices come out differently, and X is mostly 0; without, the two sides are independent.
Source: L'Ecuyer and Perron, "On the convergence rates of IPA and FDC derivative estimators" (1994).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.estimators.groups import weight_of
from qdiff.estimators.method import Estimator, checked_truth
from qdiff.estimators.problem import Problem, ShiftBounds
from qdiff.estimators.rounds import Round
from qdiff.estimators.shares import Ints, shared_out
from qdiff.estimators.shifted_runs import Pairs, ShiftedRuns, Sides, blocks
from qdiff.estimators.steps import (
    best_step,
    biases_at,
    bounds_of,
    checked_step,
    moving,
    require_apart,
    steps_text,
    unproved_text,
    within_values,
)
from qdiff.estimators.strata import StrataMoments
from qdiff.estimators.tally import Tally
from qdiff.sim.seeds import derived_seed

LEAST_PAIRS = 2


@dataclass(frozen=True)
class FiniteShift(Estimator):
    """Differences of values at θ + h and θ - h: biased, by at most `Estimate.bias_bound`.

    Args:
        h: the step to both sides, in units of the parameter (radians of an angle). None chooses it for each
            parameter, where the proved bias and the noise to be expected balance, and says which.
        common_random_numbers: whether shot i has the same random numbers on both sides.

    Raises:
        QdiffError: h is no number above 0, or the other no truth value.

    Example:
        >>> import qdiff as qd
        >>> qd.FiniteShift(h=0.05)
        FiniteShift(h=0.05, common_random_numbers=True)
    """

    h: float | None = None
    common_random_numbers: bool = True

    name: ClassVar[str] = "finite-shift"
    sums_occurrences: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "h", checked_step(self.h))
        checked_truth("common_random_numbers", self.common_random_numbers)

    def on(self, problem: Problem) -> FiniteShiftRounds:
        """See `Estimator.on`."""
        return FiniteShiftRounds(self, problem)


@dataclass(frozen=True, eq=False)
class FiniteShiftRounds:
    """`FiniteShift` at work.

    Shots are spent in pairs: an odd one is left.
    """

    estimator: FiniteShift
    problem: Problem

    name = "finite-shift"

    @cached_property
    def runs(self) -> ShiftedRuns:
        """On the backend of the problem."""
        return ShiftedRuns(self.problem)

    @cached_property
    def channels(self) -> list[tuple[str, int]]:
        """(parameter, group) of all that has shots of its own."""
        names = moving(self.problem.program, self.problem.wrt)
        return [(name, group) for name in names for group in range(len(self.runs.groups))]

    @cached_property
    def bounds(self) -> Mapping[str, list[ShiftBounds]]:
        """Parameter → bounds for each observable."""
        number = len(self.problem.observables)
        names = dict.fromkeys(name for name, _ in self.channels)
        return {name: [bounds_of(self.problem, o, name) for o in range(number)] for name in names}

    @property
    def least(self) -> int:
        """Two pairs for each channel."""
        return 2 * LEAST_PAIRS * len(self.channels)

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """See `Rounds.round`."""
        channels, size = self.channels, self.problem.size
        if not channels:
            return Round.nothing(size)
        tally, bias = Tally(size), np.zeros(size)
        weights = [float(weight_of(self.runs.groups[group])) for _, group in channels]
        pairs = shared_out(shots // 2, weights, LEAST_PAIRS)
        steps, notes = self._steps(pairs)
        biases, unproved = {}, {}
        for name, h in steps.items():
            biases[name], unproved[name] = biases_at(self.bounds[name], h)
        notes += filter(None, [unproved_text(unproved)])
        found, cut, said = self._run(pairs, steps, seed)
        for (name, _), moments in zip(channels, found, strict=True):
            at = self.problem.places(name)
            tally.add(moments, at)
            bias[at] = biases[name]
        tally.heard(cut, "")
        return tally.round(
            2 * int(pairs.sum()),
            (*notes, *said),
            bias=bias,
            exact=self.problem.exact(name for name, _ in channels),
        )

    def _steps(self, pairs: Ints) -> tuple[dict[str, float], list[str]]:
        """The step by each parameter, and what is to be said of them."""
        problem, given = self.problem, self.estimator.h
        steps, halved = {}, []
        for name, bounds in self.bounds.items():
            own = sum(int(n) for (other, _), n in zip(self.channels, pairs, strict=True) if other == name)
            best = best_step(bounds, own) if given is None else given
            steps[name] = best if given else within_values(problem.program, problem.params, [name], best)
            halved += [name] if steps[name] < best else []
            require_apart(problem.params, [name], steps[name])
        return steps, [] if given else [steps_text(steps, halved)]

    def _run(
        self, pairs: Ints, steps: Mapping[str, float], seed: int
    ) -> tuple[list[StrataMoments], int, list[str]]:
        """Moments of X by channel, with one stratum for the pairs or one for each side."""
        problem, wanted = self.problem, self.estimator.common_random_numbers
        common = wanted and self.runs.paired
        found = [StrataMoments.none(1 if common else 2, len(problem.observables)) for _ in self.channels]
        work: list[tuple[int, Pairs]] = []
        for c, ((name, group), number) in enumerate(zip(self.channels, pairs, strict=True)):
            shift = np.array([[steps[name] if other == name else 0.0 for other in problem.wrt]])
            one = derived_seed(seed, c)
            seeds = (one, one if common else derived_seed(seed, c, 1))
            work += [(c, block) for block in blocks(group, shift, np.array([number]), seeds)]
        cut, notes = 0, dict.fromkeys(filter(None, [self._apart() if wanted and not common else ""]))
        results = self.runs.run([block for _, block in work])
        for c, _ in work:
            name = self.channels[c][0]
            try:
                sides = next(results)
            except EvaluationError as error:
                raise self._without_value(name, steps[name], error) from error
            found[c] += _moments(sides, problem.params[name], steps[name], common)
            cut += sides.cut
            notes[sides.note] = None
        return found, cut, [*filter(None, notes)]

    def _apart(self) -> str:
        return (
            f"runs of backend `{self.problem.backend.name}` are not told apart by their number, so the two "
            "sides had random numbers of their own"
        )

    def _without_value(self, name: str, h: float, error: EvaluationError) -> EvaluationError:
        at = self.problem.params[name]
        return EvaluationError(
            f'Estimator "finite-shift" runs the program at `{name}` = {at - h:g} and {at + h:g} (h = {h:g}): '
            f'{error} Use a smaller step, qd.FiniteShift(h=...), or estimator "stratified", which needs no '
            "other values."
        )


def _moments(sides: Sides, at: float, h: float, common: bool) -> StrataMoments:
    apart = (at + h) - (at - h)  # as the two sides are rounded
    if common:
        rows = (sides.plus - sides.minus) / apart
        return StrataMoments.of(rows, np.zeros(len(rows), dtype=np.int64), 1)
    rows = np.concatenate([sides.plus, -sides.minus]) / apart
    return StrataMoments.of(rows, np.repeat([0, 1], [len(sides.plus), len(sides.minus)]), 2)
