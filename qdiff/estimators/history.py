"""A control variate from what came before the replaced occurrence: linear in the counters there.

    o ≈ b_k + β·(σ - σ̄_k)        weights w², one β for all occurrences, σ̄_k the mean store at occurrence k

It is used where it explains a tenth of the variance or more that constants leave, and there are many more
runs than counters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PAYS = 0.1
RUNS_PER_COUNTER = 30
SMALL = 1e-12


@dataclass(frozen=True, eq=False)
class Fit:
    """β and where it is centred.

    Attributes:
        slopes: (h, m), h = 0 where it does not pay. centres: (K, h).
        unexplained: (m,), the share of the variance that is left.
    """

    slopes: Floats
    centres: Floats
    unexplained: Floats


def fitted(k: Ints, weights: Floats, values: Floats, history: Floats, most: int) -> Fit:
    """Fit runs, of which those with w = 0 say nothing.

    Args:
        k: int64 (n,), from 1. weights: float (n,). values: (n, m). history: (n, h).
    """
    columns, observables = history.shape[1], values.shape[1]
    none = Fit(np.zeros((0, observables)), np.zeros((most, 0)), np.ones(observables))
    reached = np.flatnonzero((weights != 0) & (k <= most))
    if not columns or len(reached) < RUNS_PER_COUNTER * columns:
        return none
    at, w = k[reached] - 1, weights[reached] ** 2
    total = np.bincount(at, w, minlength=most)

    def centred(x: Floats) -> tuple[Floats, Floats]:
        sums = np.stack([np.bincount(at, w * column, minlength=most) for column in x.T], axis=1)
        means = np.asarray(sums / np.where(total > 0, total, 1.0)[:, None])
        return x - means[at], means

    around, centres = centred(history[reached])
    left, _ = centred(values[reached])
    varying = (around**2).sum(axis=0) > SMALL
    if not varying.any():
        return none
    root = np.sqrt(w)[:, None]
    solved, *_ = np.linalg.lstsq(root * around[:, varying], root * left, rcond=None)
    slopes = np.zeros((columns, observables))
    slopes[varying] = solved
    before = (w[:, None] * left**2).sum(axis=0)
    after = (w[:, None] * (left - around @ slopes) ** 2).sum(axis=0)
    # Every counter explains something by chance: degrees of freedom are charged.
    groups = len(np.unique(at))
    freedom = len(reached) - groups
    if freedom <= columns:
        return none
    unexplained = np.where(before > SMALL, after / np.where(before > SMALL, before, 1.0), 1.0)
    unexplained = unexplained * freedom / (freedom - varying.sum())
    slopes = np.where(unexplained < 1 - PAYS, slopes, 0.0)
    if not slopes.any():
        return none
    # Where an occurrence was not seen, its centre is the last one before that was.
    seen = np.maximum.accumulate(np.where(total > 0, np.arange(most), 0))
    return Fit(slopes, centres[seen], np.where(unexplained < 1 - PAYS, unexplained, 1.0))
