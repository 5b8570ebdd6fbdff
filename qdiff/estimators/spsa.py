"""Simultaneous perturbation: all parameters are shifted at once, in random directions. Biased.

    X = (f̂(θ+hΔ) - f̂(θ-hΔ))/2h · Δ,     Δ_p = ±1 at random,     E[X_p] = ∂_p f + E[Δ_p R_Δ]

The slope along Δ is Σ_q Δ_q ∂_q f, of which the mean over Δ leaves ∂_p f; R_Δ, the error of a difference
along Δ, is bounded as that of one parameter is (`qdiff.sim.joint_bounds`). Two points serve for any number of
parameters, but the other slopes are noise: Var X_p = Σ_{q≠p} (∂_q f)² + shot noise. Each direction is one
sample, so the spread between directions tells the covariance of both together.
Source: Spall, "Multivariate stochastic approximation using a simultaneous perturbation gradient
approximation" (1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError, QdiffError, listed
from qdiff.estimators.groups import weight_of
from qdiff.estimators.method import Estimator
from qdiff.estimators.problem import Problem, ShiftBounds
from qdiff.estimators.rounds import Round
from qdiff.estimators.shares import Ints, shared_out
from qdiff.estimators.shifted_runs import Pairs, ShiftedRuns, blocks
from qdiff.estimators.steps import (
    Unproved,
    best_step,
    biases_at,
    bounds_of,
    checked_step,
    moving,
    require_apart,
    step_text,
    within_values,
)
from qdiff.sim.joint_bounds import joint_bounds
from qdiff.sim.majorants import DerivativeBounds
from qdiff.sim.seeds import derived_seed, integer

Floats = NDArray[np.float64]

LEAST_DIRECTIONS = 2
FEW_DIRECTIONS = 20
"""The spread of fewer samples ±a ± b, far from normal, is no good standard error."""
USUAL_DIRECTIONS = 50
"""Where shots allow."""
PAIRS_EACH = 20
"""Of shots, for each direction at least: the parameters of a run cost more than many shots do."""
CHUNK = 2**12
"""Directions whose samples are in memory together."""


@dataclass(frozen=True)
class SPSA(Estimator):
    """Differences in random directions, two points for all parameters: biased by at most `bias_bound`.

    Args:
        h: the step to both sides in every parameter (radians of an angle). None chooses it where the proved
            bias and the noise to be expected balance, and says which.
        directions: how many a round has, at least 2. None takes so many that what other slopes add is about
            as large as the shot noise, and at least 20 pairs of shots are left for each.

    Raises:
        QdiffError: h is no number above 0, `directions` no integer from 2 on.

    Example:
        >>> import qdiff as qd
        >>> qd.SPSA(directions=100)
        SPSA(h=None, directions=100)
    """

    h: float | None = None
    directions: int | None = None

    name: ClassVar[str] = "spsa"
    sums_occurrences: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "h", checked_step(self.h))
        if self.directions is None:
            return
        number = integer(self.directions)
        if number is None or number < LEAST_DIRECTIONS:
            raise QdiffError(
                f"directions is an integer from {LEAST_DIRECTIONS} on, whose spread is the standard error; "
                f"got {self.directions!r}."
            )
        object.__setattr__(self, "directions", number)

    def on(self, problem: Problem) -> SPSARounds:
        """See `Estimator.on`."""
        return SPSARounds(self, problem)


@dataclass(frozen=True, eq=False)
class SPSARounds:
    """`SPSA` at work.

    Shots are spent in pairs: an odd one is left.
    """

    estimator: SPSA
    problem: Problem

    name = "spsa"

    @cached_property
    def runs(self) -> ShiftedRuns:
        """On the backend of the problem."""
        return ShiftedRuns(self.problem)

    @cached_property
    def moved(self) -> tuple[str, ...]:
        """The parameters that are shifted; derivatives by the others are exactly 0."""
        return moving(self.problem.program, self.problem.wrt)

    @cached_property
    def bounds(self) -> list[ShiftBounds]:
        """For each observable, along every direction."""
        return [self._bounds(observable) for observable in range(len(self.problem.observables))]

    def _bounds(self, observable: int) -> ShiftBounds:
        found = []
        for name in self.moved:
            bounds = bounds_of(self.problem, observable, name)
            if not isinstance(bounds, DerivativeBounds):
                return bounds if len(self.moved) == 1 else Unproved(bounds.reason)
            found.append(bounds)
        return joint_bounds(self.problem.program, self.moved, found)

    @property
    def least(self) -> int:
        """A pair for each group in each direction."""
        directions = self.estimator.directions or LEAST_DIRECTIONS
        return 2 * directions * len(self.runs.groups) if self.moved else 0

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """See `Rounds.round`."""
        size, pairs = self.problem.size, shots // 2
        if not self.moved:
            return Round.nothing(size)
        value, third, bias = np.zeros(size), np.zeros(size), np.zeros(size)
        covariance, degrees = np.zeros((size, size)), np.full(size, np.inf)
        h, notes = self._step(pairs)
        biases, unproved = biases_at(self.bounds, h)
        if unproved:
            notes.append(f"no bound of the bias is proved: {'; '.join(dict.fromkeys(unproved))}")
        number = self._directions(pairs, h)
        random = np.random.default_rng(derived_seed(seed, 0))
        signs = 2 * random.integers(0, 2, (number, len(self.moved)), np.int8) - 1
        slopes, cut, said = self._slopes(h, signs, pairs, seed)
        at = np.concatenate([self.problem.places(name) for name in self.moved])  # parameter by parameter
        value[at], covariance[np.ix_(at, at)], third[at] = _moments(signs, slopes)
        degrees[at] = number - 1
        bias[at] = np.tile(biases, len(self.moved))
        few = len(self.moved) > 1 and number < FEW_DIRECTIONS
        reason = (
            f"the spread of {number} random directions is no good standard error: {FEW_DIRECTIONS} or more "
            "are needed, and shots for them"
        )
        return Round(
            value,
            covariance,
            third,
            degrees,
            2 * pairs,
            cut,
            bias=bias,
            exact=self.problem.exact(self.moved),
            reasons=(reason,) if few else (),
            notes=(*notes, *said),
        )

    def _step(self, pairs: int) -> tuple[float, list[str]]:
        """h, and what is to be said of it."""
        problem, given, moved = self.problem, self.estimator.h, self.moved
        best = best_step(self.bounds, pairs) if given is None else given
        h = best if given else within_values(problem.program, problem.params, moved, best)
        require_apart(problem.params, moved, h)
        notes = [] if given else [f"{step_text(h, h < best)} was chosen"]
        return h, notes

    def _directions(self, pairs: int, h: float) -> int:
        """How many: other slopes, up to as large as outcomes, add about as much as the shot noise does."""
        if self.estimator.directions is not None:
            return self.estimator.directions
        enough = 2 * h**2 * (len(self.moved) - 1) * pairs
        most = max(pairs // (PAIRS_EACH * len(self.runs.groups)), LEAST_DIRECTIONS)
        return int(min(max(enough, USUAL_DIRECTIONS), most, pairs // len(self.runs.groups)))

    def _slopes(
        self, h: float, signs: NDArray[np.int8], pairs: int, seed: int
    ) -> tuple[Floats, int, list[str]]:
        """float (directions, m), the slopes along them; how many runs were cut; notes of the backend."""
        problem, groups = self.problem, self.runs.groups
        shifts = np.zeros((len(signs), len(problem.wrt)))
        shifts[:, [problem.wrt.index(name) for name in self.moved]] = h * signs
        numbers = _shares(pairs, len(signs), [float(weight_of(group)) for group in groups])
        begun = np.cumsum(numbers, axis=0) - numbers
        work: list[Pairs] = []
        for group in range(len(groups)):
            one = derived_seed(seed, 1, group)
            work += blocks(group, shifts, numbers[:, group], (one, one))
        slopes, cut = np.zeros((len(signs), len(problem.observables))), 0
        notes: dict[str, None] = {}
        results = self.runs.run(work)
        for block in work:
            try:
                sides = next(results)
            except EvaluationError as error:
                raise self._without_value(h, error) from error
            starts = np.cumsum(block.numbers) - block.numbers
            sums = np.add.reduceat(sides.plus - sides.minus, starts, axis=0)
            first = int(np.searchsorted(begun[:, block.group], block.first, side="right")) - 1
            own = slice(first, first + len(sums))
            slopes[own] += sums / (2 * h * numbers[own, block.group, None])
            cut += sides.cut
            notes[sides.note] = None
        return slopes, cut, [*filter(None, notes)]

    def _without_value(self, h: float, error: EvaluationError) -> EvaluationError:
        where = listed(f"`{name}` = {self.problem.params[name]:g} ± {h:g}" for name in self.moved)
        return EvaluationError(
            f'Estimator "spsa" runs the program at {where}: {error} Use a smaller step, qd.SPSA(h=...), or '
            'estimator "stratified", which needs no other values.'
        )


def _shares(pairs: int, directions: int, weights: list[float]) -> Ints:
    """int64 (directions, groups): pairs for each group in each direction."""
    each, more = divmod(pairs, directions)
    rows = [shared_out(each + (d < more), weights, least=1) for d in (0, directions - 1)]
    return np.stack([rows[0]] * more + [rows[1]] * (directions - more))


def _moments(signs: NDArray[np.int8], slopes: Floats) -> tuple[Floats, Floats, Floats]:
    """The mean of samples Δ_p · slope, parameter by parameter; its covariance and third central moment."""
    number = len(signs)
    mean = (signs.T @ slopes / number).ravel()
    scatter, cubes = np.zeros((mean.size, mean.size)), np.zeros(mean.size)
    for start in range(0, number, CHUNK):
        some = slice(start, start + CHUNK)
        rows = signs[some, :, None] * slopes[some, None, :]
        around = rows.reshape(len(rows), -1) - mean
        scatter += around.T @ around
        cubes += (around**3).sum(axis=0)
    third = cubes / (number * (number - 1) * (number - 2)) if number > 2 else np.zeros(mean.size)
    return mean, scatter / (number * (number - 1)), third
