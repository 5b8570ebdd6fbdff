"""The exact variance per shot of plans: how shots are spent on occurrences and terms.

With X = w (o - b) for the runs of occurrence k and term j,

    drawn        Σ_k Σ_j E[X²]/(μ(k) q(j)) - (∂f)²        K ~ μ, J ~ q
    best drawn   (Σ_k √(Σ_j E[X²]/q(j)))² - (∂f)²         μ(k) ∝ the root
    stratified   (ΣΣ √Var X)²                             shots ∝ √Var X (Neyman, 1934)

No plan of its kind has a smaller variance than the last two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.occurrence_moments import OccurrenceMoments
from qdiff.estimators.occurrence_laws import OccurrenceLaw

Floats = NDArray[np.float64]

STEPS = 100
"""Of an interval that shrinks by 2/3 in each."""


def drawn(moments: OccurrenceMoments, law: OccurrenceLaw) -> float:
    """The variance of an estimator that draws occurrence and term for each shot."""
    k = np.arange(1.0, 1.0 + len(moments.second))
    return float((_over_terms(moments) / law.mass(k)).sum() - moments.derivative**2)


def best_drawn(moments: OccurrenceMoments) -> float:
    """The same with the best law of the occurrence."""
    return float(np.sqrt(_over_terms(moments)).sum() ** 2 - moments.derivative**2)


def stratified(moments: OccurrenceMoments) -> float:
    """The variance with the best share of the shots for every occurrence and term, without baselines."""
    return float(_deviations(moments, np.zeros(len(moments.w))).sum() ** 2)


def stratified_with_baselines(moments: OccurrenceMoments) -> float:
    """The same with the best constant baseline for each occurrence."""
    return float(_deviations(moments, baselines(moments)).sum() ** 2)


def baselines(moments: OccurrenceMoments) -> Floats:
    """Return b_k, float (K,), that make Σ_j √Var X least.

    Var X is a parabola in b, its root is convex; their sum is least between the least b of the terms.
    """
    curve = moments.square - moments.w**2
    slope = moments.cross - moments.w * moments.value
    each = np.where(curve > 0, slope / np.where(curve > 0, curve, 1.0), 0.0)
    low, high = each.min(axis=1), each.max(axis=1)
    for _ in range(STEPS):
        third = (high - low) / 3
        left = _deviations(moments, low + third).sum(axis=1)
        right = _deviations(moments, high - third).sum(axis=1)
        low, high = np.where(left > right, low + third, low), np.where(left > right, high, high - third)
    return np.asarray((low + high) / 2)


def _over_terms(moments: OccurrenceMoments) -> Floats:
    """float (K,), Σ_j E[X²]/q(j)."""
    used = moments.terms > 0
    return np.asarray((moments.second[:, used] / moments.terms[used]).sum(axis=1))


def _deviations(moments: OccurrenceMoments, b: Floats) -> Floats:
    """float (K, J), √Var X."""
    by = b[:, None]
    squares = moments.second - 2 * by * moments.cross + by**2 * moments.square
    return np.asarray(np.sqrt(np.maximum(squares - (moments.value - by * moments.w) ** 2, 0.0)))
