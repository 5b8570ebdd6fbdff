"""What a precision will cost, from small rounds.

    stderr² = (n₁ v₁ + (n - n₁) v₂) / n²,     v₁ the variance of a shot of the first round, v₂ of later ones
    seconds = rounds · a + n b,               a of a round whatever its size, b of a shot

The first round finds out how to share out shots, and whatever has to be compiled is. One with as few shots as
possible shows a. The last one uses what was learned, as all later rounds of an estimate would: it tells what
later shots are worth, and b.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.estimators.budgets import FIRST, LARGEST_GROWTH, LARGEST_ROUND, MARGIN, UNSEEN, UNTHINKABLE
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.rounds import Combined, Round, Rounds
from qdiff.sim.seeds import checked_seed, derived_seed

LEAST_SHARE = 0.05
"""Of the time of a small round: its shots have had a part in it, even if it cannot be measured."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """What small rounds say.

    Attributes:
        estimate: theirs.
        needed: float (D,), shots after which each standard error should be small enough, in all.
        least: shots of the first of several rounds: so many are spent in any case.
        a_round, a_shot: seconds.
    """

    estimate: Estimate
    needed: NDArray[np.float64]
    least: int
    a_round: float
    a_shot: float

    def seconds(self, shots: int) -> float:
        """Return how long an estimate from so many shots takes, about."""
        if not shots:
            return 0.0
        growing = math.ceil(math.log(max(shots / self.least, 1), 1 + LARGEST_GROWTH))
        rounds = 1 + growing + shots // LARGEST_ROUND
        return rounds * self.a_round + shots * self.a_shot


def forecast(
    rounds: Rounds,
    precision: float,
    shots: int,
    seed: int | None,
    shape: tuple[int, ...],
    clock: Callable[[], float] = time.perf_counter,
) -> Forecast:
    """Make small rounds, and say what the precision will cost.

    Args:
        precision: for every standard error, above 0.
        shots: of all rounds together.
        seed: those of the rounds are derived from it; none is used by an estimate with the same seed.
        shape: of the estimate.

    Raises:
        QdiffError: fewer shots than the rounds need, or more than a round may have.
    """
    seed, least = checked_seed(seed), rounds.least
    if least == 0:
        nothing = Combined([rounds.round(0, seed)], shape)
        estimate = nothing.estimate(seed, rounds.name)
        return Forecast(estimate, np.zeros(nothing.value.shape), 0, 0.0, 0.0)
    if shots < 4 * least:
        raise QdiffError(
            f"{shots} {'shot is' if shots == 1 else 'shots are'} too few to look ahead from: the estimator "
            f'"{rounds.name}" needs at least {least} for a round here, and a plan four times as many. '
            f"Use shots={4 * least} or more."
        )
    if shots > LARGEST_ROUND:
        raise QdiffError(
            f"{shots} shots are too many to look ahead from: a plan takes {LARGEST_ROUND} at most. "
            f"Use shots={LARGEST_ROUND} or fewer."
        )
    sizes = (shots // 2, least, shots - shots // 2 - least)
    done: list[Round] = []
    times = []
    for number, size in enumerate(sizes):
        begun = clock()
        learned = done[-1].learned if done else None
        done.append(rounds.round(size, derived_seed(seed, 0, 0, number), learned))
        times.append(clock() - begun)
    together = Combined(done, shape)
    usual = max(FIRST, least)
    first, last = (_wanted(one, precision) for one in (done[0], done[-1]))
    # A round whose runs were all alike says nothing of the next ones.
    needed = _needed(np.where(first, first, last), np.where(last, last, first), usual)
    unseen = np.where(together.unseen, min(UNSEEN / precision, UNTHINKABLE), 0.0)
    a_shot = max(times[2] - times[1], LEAST_SHARE * times[2]) / (sizes[2] - least + 1)
    a_round = max(times[2] - a_shot * sizes[2], 0.0)
    return Forecast(together.estimate(seed, rounds.name), np.maximum(needed, unseen), usual, a_round, a_shot)


def _wanted(made: Round, precision: float) -> NDArray[np.float64]:
    """float (D,), as many shots as these would do, alone."""
    variance = np.diag(made.covariance) * made.shots
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(variance / precision / precision, UNTHINKABLE))


def _needed(first: NDArray[np.float64], later: NDArray[np.float64], shots: int) -> NDArray[np.float64]:
    """Solve n² = shots · first + (n - shots) · later, where the first round does not do."""
    inside = np.maximum(later**2 + 4 * shots * (first - later), 0.0)
    return np.where(first <= shots, first, MARGIN * np.maximum((later + np.sqrt(inside)) / 2, shots))
