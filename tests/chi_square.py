"""A two-sided check that a histogram of outcomes was drawn from exact probabilities."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
from reference.interpreter import run
from scipy.stats import chi2

from qdiff.lang.tree import Program

ABORTED = "aborted"
LEAST_EXPECTED = 5


def exact_distribution(program: Program, params: Mapping[str, float]) -> dict[Hashable, float]:
    """Return the probability of every (store, basis state as an integer), and of `ABORTED`."""
    exact: dict[Hashable, float] = {
        (store, basis_state): float(probability)
        for store, rho in run(program, params).items()
        for basis_state, probability in enumerate(np.diagonal(rho).real)
    }
    exact[ABORTED] = 1 - sum(exact.values())
    return exact


def p_value(histogram: Mapping[Hashable, int], exact: Mapping[Hashable, float]) -> float:
    """Pearson's chi-square, outcomes with few expected shots taken together; 0 if one is impossible."""
    shots = sum(histogram.values())
    if any(exact.get(outcome, 0) < 1e-12 for outcome in histogram):
        return 0.0
    cells: list[tuple[float, float]] = []
    pooled = np.zeros(2)
    for outcome, probability in sorted(exact.items(), key=lambda pair: pair[1]):
        pooled += (histogram.get(outcome, 0), probability * shots)
        if pooled[1] >= LEAST_EXPECTED:
            cells.append((pooled[0], pooled[1]))
            pooled[:] = 0
    observed, expected = np.array(cells).T
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return float(chi2.sf(statistic, len(cells) - 1))


def assert_drawn_from(histogram: Mapping[Hashable, int], exact: Mapping[Hashable, float]) -> None:
    """Assert that the fit is neither too bad for the exact probabilities nor too good for chance."""
    p = p_value(histogram, exact)
    assert 1e-3 < p < 1 - 1e-3, f"chi-square p-value {p:.3g}"
