"""Budgets: so many shots, a goal for the standard error, or so many seconds.

shots       one round, which spends them all; several like it where they are too many for the memory
precision   rounds until every standard error is at most that; n (s/precision)² shots should do
seconds     rounds until the time is over (how many that are depends on the machine)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qdiff.errors import QdiffError, shown
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.rounds import Combined, Round, Rounds
from qdiff.sim.seeds import checked_seed, checked_shots, derived_seed

FIRST = 2000
"""Shots of the first of several rounds."""
MOST_SHOTS = 10**8
"""Without `max_shots`."""
LARGEST_GROWTH = 4
"""A round is at most so many times as large as all before it: predictions from few shots are poor."""
LARGEST_ROUND = 10**7
"""Shots of a round of derivatives at most: pilots keep some bytes of each run."""
LARGEST_BUDGET = 2**63 - 1
"""Merged shots are counted in 64 bits."""
MARGIN = 1.05
"""Of predicted shots: standard errors are estimates themselves."""
UNSEEN = 3
"""Runs that show no difference bound what they may have missed by 3/n (the rule of three)."""
ROUNDING = 1e-12
UNTHINKABLE = 1e18
"""Shots that nobody will make."""


@dataclass(frozen=True)
class Budget:
    """What may be spent; at least one of shots, precision and seconds.

    Args:
        shots: all that are spent; with `precision` or `seconds` the most that may be.
        precision: for every standard error, in units of the estimate.
        max_shots: the most that may be spent on a precision or in some seconds.
        seconds: of the clock on the wall.

    Raises:
        QdiffError: nothing is given, or something that is not positive; shots that would never end.
    """

    shots: int | None = None
    precision: float | None = None
    max_shots: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.shots is None and self.precision is None and self.seconds is None:
            raise QdiffError("An estimate needs a budget: shots=10_000, precision=0.01 or seconds=5.")
        for name in ("shots", "max_shots"):
            given = getattr(self, name)
            if given is not None:
                try:
                    object.__setattr__(self, name, checked_shots(given))
                except QdiffError:
                    raise QdiffError(f"{name} must be a positive integer, got {given!r}.") from None
        for name, unit in (("precision", "a standard error"), ("seconds", "a time")):
            given = getattr(self, name)
            if given is not None:
                if not _positive(given):
                    raise QdiffError(f"{name} is {unit}, a finite number above 0, got {shown(given)}.")
                object.__setattr__(self, name, float(given))  # NumPy's short ones overflow
        if self.max_shots is not None and self.precision is None and self.seconds is None:
            raise QdiffError(
                "max_shots limits precision= or seconds=; use shots= alone to spend a number of them."
            )
        if self.max_shots is not None and self.shots is not None:
            raise QdiffError(
                "shots and max_shots say the same beside precision= or seconds=: give one of them."
            )
        if self.in_one_round and self.most > LARGEST_BUDGET:
            raise QdiffError(
                f"shots={shown(self.shots)} are more than anyone can make. Say precision=0.01 for as many "
                "as an error takes, or seconds=5 for as many as the time allows."
            )

    @property
    def in_one_round(self) -> bool:
        """Whether just a number of shots is spent."""
        return self.precision is None and self.seconds is None

    @property
    def limit(self) -> str:
        """The argument that limits the shots."""
        return "shots" if self.max_shots is None else "max_shots"

    @property
    def most(self) -> int:
        """The most shots that may be spent."""
        return self.shots or self.max_shots or MOST_SHOTS


def spend(
    rounds: Rounds,
    budget: Budget,
    seed: int | None,
    shape: tuple[int, ...],
    learned: object = None,
    clock: Callable[[], float] = time.perf_counter,
    largest: int | None = None,
) -> Estimate:
    """Estimate within a budget.

    Args:
        seed: of the first round; later ones derive theirs from it.
        shape: of the estimate, () for a number.
        learned: from an earlier estimate.
        largest: shots of a round at most, None where any number fits into the memory.

    Raises:
        QdiffError: fewer shots than the estimator needs at least.
    """
    seed = checked_seed(seed)
    least = rounds.least
    if budget.most < least and least:
        raise QdiffError(
            f"{budget.most} {'shot is' if budget.most == 1 else 'shots are'} too few: the estimator "
            f'"{rounds.name}" needs at least {least} here. Use {budget.limit}={least} or more.'
        )
    if least == 0:  # there is nothing to run: every derivative is exactly zero
        return Combined([rounds.round(0, seed)], shape).estimate(seed, rounds.name)
    most = UNTHINKABLE if largest is None else max(largest, least)
    if budget.in_one_round:
        return Combined(_all(rounds, budget.most, seed, learned, most), shape).estimate(seed, rounds.name)
    return _in_rounds(rounds, budget, seed, shape, learned, clock, most)


def _all(rounds: Rounds, shots: int, seed: int, learned: object, largest: float) -> list[Round]:
    """One round, or as few about equal ones as there must be."""
    number = min(math.ceil(shots / largest), shots // rounds.least)
    done: list[Round] = []
    for r in range(number):
        size = shots * (r + 1) // number - shots * r // number
        done.append(rounds.round(size, derived_seed(seed, r) if r else seed, learned))
        learned = done[-1].learned
    return done


def _in_rounds(
    rounds: Rounds,
    budget: Budget,
    seed: int,
    shape: tuple[int, ...],
    learned: object,
    clock: Callable[[], float],
    largest: float,
) -> Estimate:
    begun = clock()
    done: list[Round] = []
    following = min(max(FIRST, rounds.least), budget.most)
    while following:
        before = clock()
        done.append(rounds.round(following, derived_seed(seed, len(done)) if done else seed, learned))
        learned = done[-1].learned
        a_shot = (clock() - before) / following
        left = math.inf if budget.seconds is None else budget.seconds - (clock() - begun)
        affordable = min(left / max(a_shot, 1e-12), largest)
        following = _following(Combined(done), budget, rounds.least, affordable)
    combined = Combined(done, shape)
    estimate = combined.estimate(seed, rounds.name)
    if budget.precision is None or (needed := _would_do(combined, budget.precision)) <= combined.shots:
        return estimate
    would = f"about {needed} shots would do" if needed < UNTHINKABLE else "no number of shots would do"
    said = (
        f"precision {budget.precision:g} was not reached: the largest standard error is "
        f"{combined.stderr.max():.2g}, {would}"
    )
    return replace(estimate, reached=False, note="; ".join([*filter(None, [estimate.note]), said]))


def _following(done: Combined, budget: Budget, least: int, affordable: float) -> int:
    """The shots of the next round, 0 where the end is reached."""
    wanted = LARGEST_GROWTH * done.shots
    if budget.precision is not None:
        missing = _needed(done, budget.precision) - done.shots
        if missing <= 0:
            return 0
        wanted = min(wanted, max(missing, done.shots // 10))
    wanted = int(min(max(wanted, least), budget.most - done.shots, affordable))
    return wanted if wanted >= max(least, 1) else 0


def _needed(done: Combined, precision: float) -> int:
    """How many shots in all would do if all were worth as much as those so far."""
    worst = float(done.stderr.max(initial=0.0))
    if worst <= precision:
        needed = UNSEEN / precision if np.any(done.unseen) else 1.0
    else:
        times = worst / precision
        needed = MARGIN * done.shots * times * times
    return math.ceil(min(needed, UNTHINKABLE))


def _would_do(done: Combined, precision: float) -> int:
    """How many shots in all are expected to do: n with n² precision² = Σ_r n_r v_r + (n - Σ_r n_r) v.

    v_r is the variance of a shot of a round, and v that of those after the first, which shared out its shots
    without knowing much. Where they are too few to tell, v is that of all.
    """
    missing = done.stderr > precision
    first, shots = done.rounds[0], float(done.shots)
    later = shots - first.shots
    if not np.any(missing) or later < first.shots / 2:
        return _needed(done, precision)
    spent = np.diag(done.covariance)[missing] * shots**2
    before = np.diag(first.covariance)[missing] * float(first.shots) ** 2
    coming = np.maximum(spent - before, 0.0) / later
    with np.errstate(over="ignore"):
        half = np.minimum(coming / precision / precision / 2, UNTHINKABLE)
        rest = np.minimum((spent - shots * coming) / precision / precision, UNTHINKABLE**2)
    in_all = half + np.sqrt(np.maximum(half**2 + rest, 0.0))
    return math.ceil(min(MARGIN * float(in_all.max()) * (1 - ROUNDING), UNTHINKABLE))


def _positive(value: object) -> bool:
    try:
        return (
            isinstance(value, int | float | np.integer | np.floating)
            and not isinstance(value, bool)
            and 0 < float(value) < math.inf
        )
    except OverflowError:  # an integer beyond all floating-point numbers
        return False
