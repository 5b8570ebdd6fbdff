"""Between two estimates of the same: how far one may go to the better one and still know its error.

    x(α) = (1 - α) x + α y,     E x = E y = 0

If y varies less, the variance of x(α) is least near α = 1. But where the variance of y comes from rare, large
values, a sample often has none of them, and takes the mean for better known than it is. So α is the one for
which the variance is least among those with

    2n/(kurtosis - 1) ≥ 300,     |skewness|/√n ≤ 0.05

for n runs: the first are the degrees of freedom behind the variance, the second is the skewness of the mean.
Sums of x^(k-i) y^i over some runs, k = 2, 3, 4, say it for all α at once.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_DEGREES = 300
"""Many more than an interval needs: the sample that says so has its own tails unseen."""
LARGEST_SKEWNESS = 0.05
STEPS = np.array([0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 1])
"""Values of α."""
LOOKED_AT = 2**13
"""Pairs that are looked at at a time, of all estimates together …"""
LEAST_LOOKED_AT, MOST_LOOKED_AT = 2**11, 2**12
"""… and of each: enough to see what every thousandth run is like."""


class Tails:
    """Sums over pairs (x, y) for some estimates."""

    def __init__(self, estimates: int) -> None:
        self.looked_at = min(max(LOOKED_AT // estimates, LEAST_LOOKED_AT), MOST_LOOKED_AT)
        self.pairs = 0
        self.sums = [np.zeros((k + 1, estimates)) for k in (2, 3, 4)]

    def add(self, x: Floats, y: Floats) -> None:
        """Add pairs, float (estimates, pairs) each."""
        self.pairs += x.shape[1]
        squares = [x * x, x * y, y * y]
        for i, square in enumerate(squares):
            self.sums[0][i] += square.sum(axis=1)
            self.sums[1][i] += _product(square, x)
            self.sums[2][i] += _product(square, squares[0])
        self.sums[1][3] += _product(squares[2], y)
        self.sums[2][3] += _product(squares[2], squares[1])
        self.sums[2][4] += _product(squares[2], squares[2])

    def share(self, runs: int) -> Floats:
        """Return α of each estimate, for the mean of so many runs."""
        second, third, fourth = (self._moments(k) for k in (2, 3, 4))
        scale = np.maximum(second, np.finfo(float).tiny)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            degrees = 2 * runs / (fourth / scale**2 - 1)
            skewness = np.abs(third) / scale**1.5 / np.sqrt(runs)
        fine = (degrees >= LEAST_DEGREES) & (skewness <= LARGEST_SKEWNESS)
        fine[0] = True
        return np.asarray(STEPS[np.argmin(np.where(fine, second, np.inf), axis=0)])

    def _moments(self, k: int) -> Floats:
        """The mean of x(α)^k for all α, float (steps, estimates)."""
        i, alpha = np.arange(k + 1), STEPS[:, None]
        weights = (1 - alpha) ** (k - i) * alpha**i * [comb(k, each) for each in i.tolist()]
        return np.asarray(weights @ self.sums[k - 2] / self.pairs)


def _product(x: Floats, y: Floats) -> Floats:
    return np.asarray(np.einsum("jn,jn->j", x, y))
