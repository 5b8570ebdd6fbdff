"""What unmodified runs tell of occurrences: how many there are, and what runs with many of them read.

With N the occurrences of a run and o what it reads, for k = 1, 2, …

    reach_k = P(N ≥ k),     mean_k = E[o | N ≥ k]

How they go on is counted in `survival`. What unmodified runs read is no estimate of a derivative: it shares
out shots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.replaced_runs import NOT_REPLACED, ReplacedRuns, blocks
from qdiff.estimators.survival import Survival, survival

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_LISTED = 4096
NEGLIGIBLE = 1e-8
"""Occurrences are told apart until P(N ≥ k) is that small."""
CAUTION = 2.0
LONGEST = 30
FEW = 10
"""Runs that came to an occurrence: with fewer what they read is continued from earlier ones."""


@dataclass(frozen=True, eq=False)
class Profile:
    """What a pilot of unmodified runs showed.

    Attributes:
        survival: of K occurrences. mean: float (K, m). spread: float (m,), the variance of o around the mean.
        runs: how many there were; 0 where nothing ran. longer: those with more occurrences than the shortest.
    """

    survival: Survival
    mean: Floats
    spread: Floats
    runs: int = 0
    longer: int = 0

    @property
    def roots(self) -> Floats:
        """float (K,): √(Σ_observables E[o²; N ≥ k]), not all 0."""
        found = np.sqrt(self.survival.reach * (self.mean**2 + self.spread).sum(axis=1))
        return found if found.max() > 0 else np.ones(len(found))


def without_loops(occurrences: int, observables: int) -> Profile:
    """Return the profile of a program that executes so many occurrences at most: nothing is known of them."""
    nothing = np.zeros(occurrences)
    return Profile(
        Survival(nothing, nothing, 0.0), np.zeros((occurrences, observables)), np.ones(observables)
    )


def profile_of(runs: ReplacedRuns, group: int, shots: int, seed: int) -> Profile:
    """Run a pilot."""
    k = np.full(shots, NOT_REPLACED)
    rest = [np.zeros(shots, dtype=np.int64) for _ in runs.inputs[1:]]
    occurrences, values = [], []
    for rows in runs.run(blocks(group, seed, (k, *rest), shots)):
        occurrences.append(NOT_REPLACED - rows.counters[:, runs.column(runs.inputs[0])])
        values.append(rows.values)
    return profiled(np.concatenate(occurrences), np.concatenate(values))


def profiled(occurrences: Ints, values: Floats) -> Profile:
    """Return the profile of runs with so many occurrences, int64 (n,), that read values, float (n, m)."""
    shots = len(occurrences)
    longest = int(min(occurrences.max(initial=0), MOST_LISTED))
    rate = _rate(occurrences)
    more = math.ceil(math.log(NEGLIGIBLE * shots) / math.log(rate)) if rate > 0 else 1
    most = min(longest + max(more, 1), MOST_LISTED)
    lived = survival(occurrences, np.zeros(shots, dtype=bool), most, 1 - rate)
    clipped = np.minimum(occurrences, longest)
    longer = int((occurrences > occurrences.min()).sum())

    def reached(weights: Floats) -> Floats:
        """Σ weights over runs with N ≥ k, k = 1 … longest."""
        of_length = np.bincount(clipped, weights, minlength=longest + 1)
        return np.asarray(np.cumsum(of_length[::-1])[::-1][1:], dtype=float)

    came = reached(np.ones(shots))
    known = int((came >= min(FEW, shots)).sum())
    if not known:
        return Profile(lived, np.zeros((most, values.shape[1])), _spread_of(values), shots, longer)
    came = came[:known]
    mean = np.stack([reached(v) for v in values.T], axis=1)[:known] / came[:, None]
    squares = np.stack([reached(v * v) for v in values.T], axis=1)[:known]
    spread = np.maximum(squares - mean**2 * came[:, None], 0.0).sum(axis=0) / came.sum()
    ahead = np.arange(1, most - known + 1)[:, None]
    mean = np.concatenate([mean, mean[-1] + _slope(mean) * ahead])[:most]
    return Profile(lived, mean, spread, shots, longer)


def _spread_of(values: Floats) -> Floats:
    return np.asarray(values.var(axis=0) + values.mean(axis=0) ** 2)


def _rate(occurrences: Ints) -> float:
    """r of P(N ≥ k) ~ r^k, from how far the longest fiftieth of the runs goes on.

    It is 0 where all are equally long, and rather too large than too small, by CAUTION standard errors: too
    few shots for late occurrences cost much more than too many.
    """
    longest = np.sort(occurrences)[-max(LONGEST, len(occurrences) // 50) :]
    beyond = longest - longest[0]
    excess = CAUTION * float(beyond.mean())
    return excess / (1 + excess)


def _slope(mean: Floats) -> Floats:
    """Of the second half of mean (K, m), a line fitted."""
    late = mean[len(mean) // 2 :]
    if len(late) < 2:
        return np.zeros(mean.shape[1])
    k = np.arange(len(late)) - (len(late) - 1) / 2
    return np.asarray(k @ late / (k @ k))
