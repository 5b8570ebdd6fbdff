"""What runs say of the occurrences they come to: how far they go on, and what they then read.

With N the occurrences of a run and o what it reads, for m = 1, 2, …

    reach_m = P(N ≥ m),    mean_m = E[o | N ≥ m]

How runs go on is counted (`survival`) from unmodified ones, and from replaced ones as far as their later
replacement; where few runs came the hazard is that of late occurrences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.replaced_runs import NOT_REPLACED, ReplacedRuns, blocks
from qdiff.estimators.survival import survival

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_LISTED = 4096
NEGLIGIBLE = 1e-6
"""Occurrences are told apart until so few runs reach them."""
AS_RUNS = 0.25
"""The hazard of late occurrences counts as much as so many runs, and less where many runs show another."""
FEW_AT_RISK = 2.0
LATE = 0.35
"""Occurrences are late that no larger share of runs comes to."""
LARGEST_HAZARD = 0.75
"""Of late occurrences: that no run of a pilot went on does not mean that none will."""
LATE_AS_RUNS = 2.0
LINE_AS_RUNS = 1.0
"""A line through the means counts as much as so many runs."""
NOISE_AS_RUNS = 20.0
"""So does the mean noise, for that of one occurrence."""
LEAST_NOISE = 0.01
"""Of the size of an observable: replaced runs vary even where others do not."""


@dataclass(frozen=True, eq=False)
class Background:
    """What is known of the m-th occurrence, m = 1 … most, before any is replaced.

    Attributes:
        risk, ended: float (most,): runs that executed m - 1 occurrences and might have gone on, and those of
            them that did not.
        mean, noise: float (most,), E[o | N ≥ m], and how far o is from it in the square.
    """

    risk: Floats
    ended: Floats
    mean: Floats
    noise: Floats

    @property
    def most(self) -> int:
        """How many occurrences are told apart."""
        return len(self.mean)

    @property
    def late(self) -> float:
        """The hazard of late occurrences, drawn to that of all."""
        return _late(self.risk, self.ended)

    @property
    def reach(self) -> Floats:
        """float (most,), P(N ≥ m), above 0."""
        # That all of many runs ended before an occurrence says more than that one did.
        assumed = np.minimum(AS_RUNS, FEW_AT_RISK / np.maximum(self.risk, 1.0))
        alive = self.risk - self.ended + assumed * (1 - self.late)
        return np.asarray(np.cumprod(alive / (self.risk + assumed)))

    def joined(self, executed: Ints, ended: NDArray[np.bool_]) -> Background:
        """Return it with more runs, which executed so many occurrences and then ended, or went on unseen."""
        more = survival(executed, ~ended, self.most)
        return replace(self, risk=self.risk + more.risk, ended=self.ended + more.falls)


def unknown(most: int, scale: float) -> Background:
    """Return what is assumed before any run: occurrences are reached, and o is about ±scale."""
    nothing = np.zeros(most)
    return Background(nothing, nothing, nothing, np.full(most, scale**2))


def background_of(runs: ReplacedRuns, group: int, shots: int, seed: int, scale: float) -> Background:
    """Make unmodified runs."""
    k = runs.column(runs.inputs[0])
    unchanged = np.full(shots, NOT_REPLACED), np.zeros(shots, dtype=np.int64)
    executed, values = [], []
    for rows in runs.run(blocks(group, seed, (*unchanged, *unchanged), shots)):
        executed.append(NOT_REPLACED - rows.counters[:, k])
        values.append(rows.values[:, 0])
    return learned_from(np.concatenate(executed), np.concatenate(values), scale)


def learned_from(executed: Ints, values: Floats, scale: float) -> Background:
    """Return what unmodified runs tell that executed so many occurrences and read these values, (n,) each."""
    longest = int(min(executed.max(), MOST_LISTED))
    unseen = np.zeros(len(executed), dtype=bool)
    first = survival(executed, unseen, longest + 1)
    late = _late(first.risk, first.falls)
    most = min(longest + int(np.ceil(np.log(NEGLIGIBLE) / np.log(1 - late))), MOST_LISTED)
    lived = survival(executed, unseen, most)
    mean, noise = _read(np.minimum(executed, most), values, most)
    return Background(lived.risk, lived.falls, mean, np.maximum(noise, (LEAST_NOISE * scale) ** 2))


def _read(executed: Ints, values: Floats, most: int) -> tuple[Floats, Floats]:
    """Return E[o | N ≥ m], m = 1 … most, drawn to a line through all, and the mean squares around it."""

    def reached(what: Floats) -> Floats:
        """Σ over runs with N ≥ m, m = 1 … most."""
        return np.asarray(np.cumsum(np.bincount(executed, what, most + 1)[::-1])[::-1][1:])

    number, sums = reached(np.ones(len(values))), reached(values)
    total = float(number.sum())
    if not total:
        return np.full(most, values.mean()), np.full(most, values.var())
    m = np.arange(most) - float(number @ np.arange(most)) / total
    spread = float(number @ m**2)
    slope = float(sums @ m) / spread if spread > 0 else 0.0
    # A run counts at each of its occurrences. A slope within two standard errors is none.
    error = float(values.var()) * float(executed.mean()) / spread if spread > 0 else 1.0
    slope *= max(1 - 4 * error / max(slope**2, 1e-300), 0.0)
    extent = float(np.ptp(values))  # nothing that is read is expected to be far outside of what was
    line = np.clip(sums.sum() / total + slope * m, values.min() - extent, values.max() + extent)
    mean = (sums + LINE_AS_RUNS * line) / (number + LINE_AS_RUNS)
    scatter = np.maximum(reached(values**2) - 2 * mean * sums + mean**2 * number, 0.0)
    usual = float(scatter.sum()) / total
    return mean, (scatter + NOISE_AS_RUNS * usual) / (number + NOISE_AS_RUNS)


def _late(risk: Floats, ended: Floats) -> float:
    some = risk <= LATE * risk.max(initial=0.0)
    every = ended.sum() / max(float(risk.sum()), 1.0)
    found = (ended[some].sum() + LATE_AS_RUNS * every) / (risk[some].sum() + LATE_AS_RUNS)
    return float(min(max(found, 1e-3), LARGEST_HAZARD))
