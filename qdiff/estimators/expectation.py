"""The values of observables from shots.

    f = Σ_g E[o_g],   o_g = Σ_{terms of g} coefficient · Π counter^power · Π eigenvalue(letter, bit)

Terms that one run can read together, of one observable or of several, make a group g; each group has its own
shots. The mean of o_g is over *all* shots of the group: an aborted run counts 0, and so does a run cut by the
backend's step limit, but then the estimate is biased by an unknown amount and says so.
The groups are independent, so stderr² = Σ_g s_g²/n_g with s_g² the unbiased sample variance.

Is the interval to be trusted? Something that happens with probability p is missed by all n shots
with probability (1-p)ⁿ, which exceeds 5 % where p < 3/n (the rule of three). Missing it shifts
the mean of a group by at most 3/n · spread, where spread is the width of what o_g can be. If these
shifts together exceed the standard error, the interval rests on luck. For two-valued outcomes this
is the old rule n p (1-p) ≥ 9; if all shots gave the same number, it fails unless the observable is 0.
Where there are several rounds, n, the spread and the standard error are those of all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.estimators.budgets import UNSEEN, Budget, spend
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.groups import EIGENVALUES, Group, shared_groups, weight_of
from qdiff.estimators.problem import Problem
from qdiff.estimators.rounds import Round, welch
from qdiff.estimators.value_runs import Summary, ValueRuns

Floats = NDArray[np.float64]

LEAST_SHOTS = 2


def estimate_values(problem: Problem, budget: Budget, seed: int | None, shape: tuple[int, ...]) -> Estimate:
    """Estimate the expectations of all observables of a problem from the same shots, within a budget.

    Args:
        shape: of the estimate: () for one observable, (m,) for a vector.

    Returns:
        An unbiased `Estimate`, or one with bias_bound inf if runs were cut.

    Raises:
        QdiffError: too few shots.
        BackendError: the backend cannot run the program; what could is listed.
        EvaluationError: something has no value when it runs.
    """
    rounds = ExpectationRounds(problem)
    rounds.require(budget.most)
    return replace(spend(rounds, budget, seed, shape), learned=None)  # what was seen is no use to others


@dataclass(frozen=True, eq=False)
class _Seen:
    """What all rounds so far have shown, for the rule of three.

    Attributes:
        shots: float (g,), of each group.
        low, high: (g, m), between which its values were.
        squares: (m,), Σ_r n_r² variance_r over rounds of n_r shots.
    """

    shots: Floats
    low: Floats
    high: Floats
    squares: Floats


@dataclass(frozen=True, eq=False)
class ExpectationRounds:
    """Means over shots at work."""

    problem: Problem

    name = "shots"

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Which terms are read together."""
        return shared_groups(self.problem.observables) or ((),)

    @cached_property
    def runs(self) -> ValueRuns:
        """On the backend of the problem."""
        return ValueRuns(self.problem)

    @property
    def least(self) -> int:
        """Two for each group."""
        return LEAST_SHOTS * len(self.groups)

    def require(self, shots: int) -> None:
        """Refuse too few shots for standard errors.

        Raises:
            QdiffError: it says how many will do.
        """
        if shots >= self.least:
            return
        if len(self.groups) == 1:
            raise QdiffError(f"One shot is too few for a standard error. Use at least {self.least} shots.")
        number = len(self.problem.observables)
        what = "the observable is" if number == 1 else f"the {number} observables are"
        raise QdiffError(
            f"{shots} shots are too few: {what} read in {len(self.groups)} groups of terms, each "
            f"measured on its own at least {LEAST_SHOTS} times. Use at least {self.least} shots."
        )

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """See `Rounds.round`."""
        parts = self.runs.run(_shares(self.groups, shots), seed)
        numbers = np.array([float(part.moments.number) for part in parts])
        each = np.stack([part.moments.covariance / part.moments.number for part in parts])
        seen = _seen(parts, shots, learned)
        return Round(
            value=_summed([part.moments.mean for part in parts]),
            covariance=_summed(each),
            third=np.zeros(len(self.problem.observables)),
            degrees=welch(np.einsum("gmm->gm", each), np.maximum(numbers - 1, 1)[:, None]),
            shots=shots,
            cut=sum(part.cut for part in parts),
            learned=seen,
            exact=(self._spreads(seen) == 0).all(axis=0),
            reasons=self._doubts(seen),
            judged=True,
            notes=tuple(dict.fromkeys(part.note for part in parts if part.note)),
        )

    def _doubts(self, seen: _Seen) -> tuple[str, ...]:
        """What chance may have hidden."""
        stderr = np.sqrt(seen.squares) / float(seen.shots.sum())
        shifts = UNSEEN / seen.shots[:, None] * self._spreads(seen)
        shift = np.sqrt(_summed(shifts**2))
        doubtful = np.flatnonzero(shift > stderr)
        if not len(doubtful):
            return ()
        worst = int(doubtful[np.argmax(shift[doubtful] / np.maximum(stderr[doubtful], 1e-300))])
        others = f" and {len(doubtful) - 1} more" if len(doubtful) > 1 else ""
        where = f"value[{worst}]{others}: " if len(stderr) > 1 else ""
        what = "the shots are too few or too alike" if stderr[worst] else "all shots gave the same number"
        return (
            f"{where}{what}: an outcome that none of them showed could move the value by {shift[worst]:.2g}, "
            f"more than the standard error {stderr[worst]:.2g}",
        )

    def _spreads(self, seen: _Seen) -> Floats:
        """(g, m), the width of what each group can give for each observable, 0 for aborted runs included.

        Without counters it is bounded by the coefficients; with counters there is no bound, and the
        width of what was seen has to stand for it.
        """
        found = seen.high - seen.low
        for g, group in enumerate(self.groups):
            for i in range(found.shape[1]):
                terms = [term for index, term in group if index == i]
                if any(term.read for term in terms):
                    continue
                low = high = 0.0
                for term in terms:
                    coefficient = complex(term.coefficient).real
                    signed = any(min(EIGENVALUES[letter]) < 0 for _, letter in term.operators)
                    high += abs(coefficient) if signed else max(coefficient, 0)
                    low -= abs(coefficient) if signed else max(-coefficient, 0)
                found[g, i] = high - low
        return found


def _shares(groups: Sequence[Group], shots: int) -> list[int]:
    """Split any number of shots: LEAST_SHOTS for each group, the rest so that totals follow the weights."""
    weights = [weight_of(group) for group in groups]
    if not any(weights):
        weights = [Fraction(1)] * len(groups)
    total = sum(weights, Fraction(0))
    wanted = [max(shots * weight / total - LEAST_SHOTS, Fraction(0)) for weight in weights]
    rest = shots - LEAST_SHOTS * len(groups)
    scale = rest / sum(wanted, Fraction(0)) if rest else Fraction(0)
    exact = [scale * one for one in wanted]
    extra = [math.floor(one) for one in exact]
    largest_remainders = sorted(range(len(groups)), key=lambda g: extra[g] - exact[g])
    for g in largest_remainders[: rest - sum(extra)]:
        extra[g] += 1
    return [LEAST_SHOTS + more for more in extra]


def _seen(parts: Sequence[Summary], shots: int, before: object) -> _Seen:
    number = np.array([float(part.moments.number) for part in parts])
    low, high = np.stack([part.low for part in parts]), np.stack([part.high for part in parts])
    variance = _summed([np.diag(part.moments.covariance) / part.moments.number for part in parts])
    squares = float(shots) ** 2 * variance
    if not isinstance(before, _Seen):
        return _Seen(number, low, high, squares)
    return _Seen(
        before.shots + number,
        np.minimum(before.low, low),
        np.maximum(before.high, high),
        before.squares + squares,
    )


def _summed(parts: Sequence[Floats] | Floats) -> Floats:
    """Σ_g without rounding in between: terms of large coefficients may cancel."""
    return np.asarray(np.apply_along_axis(math.fsum, 0, np.stack(list(parts))))
