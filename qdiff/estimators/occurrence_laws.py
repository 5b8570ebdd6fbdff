"""Laws of the occurrence K that an insertion replaces: masses, tails, and draws "k ≤ cut, or never".

    log-power   μ(k) = 1/(Z k ln^{1+δ}(k+e))       Z exact: 4.791206906872… at δ = 0.25
    geometric   μ(k) = h (1-h)^(k-1)
    Zipf        μ(k) = k^(-s)/ζ(s)
    Pareto      μ(k) = k^(-s) - (k+1)^(-s)
    mixture     μ(k) = (1-ε) w(k) + ε ν(k)         w learned, on 1 … n; ν a floor with a heavy tail

An estimator divides by μ(K), so its variance is finite where Σ m_k/μ(k) is, m_k the second moment of what
occurrence k contributes. A geometric law falls faster than the contributions of a loop whose spectral radius
is above 1 - h; the others fall slower than any loop that ends with a rate.

K is drawn by inversion, K = max{k : P(K ≥ k) ≥ w} with w uniform in (0, 1]. Under the log-power law K exceeds
10³⁰⁰ with probability 0.16: what lies beyond a cut is "never" (0), and the cut is where no run comes. Source:
Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.lang import logpower

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LISTED = 2**14
"""Tails that are listed; later ones are searched for."""
GRID_STEP = 1.01
"""The ratio of points between which they are interpolated."""
SAFETY = 10
ROUNDED = 1e-12
LARGEST_CUT = 2**53
"""Indices up to here are floats."""


class OccurrenceLaw(ABC):
    """How the replaced occurrence is distributed over 1, 2, …"""

    @abstractmethod
    def mass(self, k: Floats) -> Floats:
        """P(K = k) for integers k ≥ 1."""

    @abstractmethod
    def tail(self, k: Floats) -> Floats:
        """P(K ≥ k) for integers k ≥ 1."""

    def draw(self, uniform: Floats, cut: int) -> Ints:
        """Return K for numbers that are uniform in [0, 1), 0 where it is above the cut.

        Raises:
            QdiffError: a cut that is not an integer from 1 to 2⁵³.
        """
        checked_cut(cut)
        w = 1 - np.asarray(uniform, dtype=float)
        last = min(cut + 1, LISTED)
        # Tails fall: K is how many of them are at least w.
        k = np.searchsorted(_listed(self, last), -w, side="right").astype(np.int64)
        beyond = np.flatnonzero(k == last)
        if cut + 1 > last and len(beyond):
            k[beyond] = self._late(w[beyond], last, cut + 1)
        return np.where(k > cut, 0, k)

    def _late(self, w: Floats, low: int, high: int) -> Ints:
        """max{k : tail(k) ≥ w}, known to be at least `low`; `high` where it is not below.

        Out there tails are smooth: log k as a spline of log tail is right to the next integer or so, and what
        is left is mended one by one.
        """
        inverse = _inverse(self, low, high)
        found = np.full(len(w), high)
        below = np.flatnonzero(w > inverse.never)
        found[below] = self._searched(w[below], inverse, low, high)
        return found

    def _searched(self, w: Floats, inverse: _Inverse, low: int, high: int) -> Ints:
        """As `_late`, where it is below `high`."""
        guess = np.clip(np.exp(inverse.log_k(-np.log(w))), low, high)
        k = guess.astype(np.int64)
        # Only near an integer can the floor be another one.
        open_ = np.flatnonzero(np.abs(guess - np.round(guess)) <= inverse.error * guess)
        while len(open_):
            here, after = self.tail(k[open_].astype(float)), self.tail((k[open_] + 1).astype(float))
            down = (here < w[open_]) & (k[open_] > low)
            up = (after >= w[open_]) & (k[open_] < high)
            k[open_] += up.astype(np.int64) - (down & ~up)
            open_ = open_[up | down]
        return k


def checked_cut(cut: int) -> int:
    """Return a cut.

    Raises:
        QdiffError: it is no integer from 1 to 2⁵³.
    """
    if not isinstance(cut, int) or isinstance(cut, bool) or not 1 <= cut <= LARGEST_CUT:
        raise QdiffError(f"The cut of an occurrence law is an integer from 1 to 2^53, got {cut!r}.")
    return cut


@lru_cache(maxsize=16)
def _listed(law: OccurrenceLaw, last: int) -> Floats:
    """-P(K ≥ k) for k = 1 … last, rising."""
    tails = law.tail(np.arange(1, last + 1, dtype=float))
    tails[0] = 1.0  # to the last bit
    tails.flags.writeable = False
    return -tails


@dataclass(frozen=True, eq=False)
class _Inverse:
    """log k as a function of -log P(K ≥ k), a bound of the error of k, in units of k, and P(K ≥ high)."""

    log_k: Callable[[Floats], Floats]
    error: float
    never: float


@lru_cache(maxsize=16)
def _inverse(law: OccurrenceLaw, low: int, high: int) -> _Inverse:
    """Interpolate through points with ratios near GRID_STEP; between them the error is looked at."""
    from scipy.interpolate import CubicSpline

    points = np.floor(low * GRID_STEP ** np.arange(math.ceil(math.log(high / low) / math.log(GRID_STEP)) + 1))
    grid = np.unique(np.append(np.minimum(points, high), high))
    tails = law.tail(grid)
    never = float(tails[-1])
    grid, tails = grid[tails > 0], tails[tails > 0]
    depth = -np.log(tails)
    rising = np.append(True, np.diff(depth) > 0)
    grid, depth = grid[rising], depth[rising]
    if len(grid) < 2:
        return _Inverse(lambda x: np.full(len(x), math.log(low)), 1.0, never)
    spline, deepest = CubicSpline(depth, np.log(grid)), float(depth[-1])
    between = np.floor(np.sqrt(grid[:-1] * grid[1:]))
    error = np.abs(np.expm1(spline(-np.log(law.tail(between))) - np.log(between))).max()
    return _Inverse(
        lambda x: np.asarray(spline(np.minimum(x, deepest))), SAFETY * float(error) + ROUNDED, never
    )


@dataclass(frozen=True)
class LogPower(OccurrenceLaw):
    """The published law; 0 < δ ≤ 10.

    Raises:
        QdiffError: δ out of range.
    """

    delta: float = 0.25

    def __post_init__(self) -> None:
        logpower.normaliser(self.delta)

    def mass(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.mass`."""
        return logpower.mass(k, self.delta)

    def tail(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.tail`."""
        return logpower.tail(k, self.delta)


@dataclass(frozen=True)
class Geometric(OccurrenceLaw):
    """A constant hazard 0 < h < 1: no arithmetic while a program runs.

    Raises:
        QdiffError: h out of range.
    """

    hazard: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.hazard < 1:
            raise QdiffError(f"The geometric law needs a hazard above 0 and below 1, got {self.hazard!r}.")

    def mass(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.mass`."""
        return np.asarray(self.hazard * self.tail(k))

    def tail(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.tail`."""
        return np.asarray(np.exp(np.log1p(-self.hazard) * (k - 1)))


@dataclass(frozen=True)
class Zipf(OccurrenceLaw):
    """A power s > 1; the mean of K is finite above 2.

    Raises:
        QdiffError: s out of range.
    """

    power: float = 1.5

    def __post_init__(self) -> None:
        if not 1 < self.power < np.inf:
            raise QdiffError(f"Zipf's law needs a finite power above 1, got {self.power!r}.")

    def mass(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.mass`."""
        from scipy.special import zeta

        return np.asarray(np.asarray(k, dtype=float) ** -self.power / zeta(self.power, 1))

    def tail(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.tail`."""
        from scipy.special import zeta

        return np.asarray(zeta(self.power, k) / zeta(self.power, 1))


@dataclass(frozen=True)
class Pareto(OccurrenceLaw):
    """P(K ≥ k) = k^(-s), s > 0: a heavy tail that is drawn from in closed form.

    Raises:
        QdiffError: s out of range.
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.power < np.inf:
            raise QdiffError(f"The Pareto law needs a finite power above 0, got {self.power!r}.")

    def mass(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.mass`."""
        k = np.asarray(k, dtype=float)
        # k^(-s) - (k+1)^(-s) without losing digits.
        return np.asarray(-(k**-self.power) * np.expm1(-self.power * np.log1p(1 / k)))

    def tail(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.tail`."""
        return np.asarray(np.asarray(k, dtype=float) ** -self.power)

    def draw(self, uniform: Floats, cut: int) -> Ints:
        """See `OccurrenceLaw.draw`."""
        k = np.floor((1 - np.asarray(uniform, dtype=float)) ** (-1 / self.power))
        return np.where(k > checked_cut(cut), 0, k).astype(np.int64)


@dataclass(frozen=True)
class Mixture(OccurrenceLaw):
    """Weights on 1 … n, and a floor that keeps every occurrence possible.

    Args:
        weights: not negative, not all 0; they are normalised.
        floor: a law with a heavy tail. share: 0 < ε ≤ 1 of it.

    Raises:
        QdiffError: weights or a share out of range.
    """

    weights: tuple[float, ...]
    floor: OccurrenceLaw = LogPower()
    share: float = 0.1

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=float)
        if not len(weights) or not np.all(np.isfinite(weights)) or weights.min() < 0 or weights.sum() <= 0:
            raise QdiffError("The weights of a mixture are finite, not negative, and not all 0.")
        if not 0 < self.share <= 1:
            raise QdiffError(
                f"The floor of a mixture needs a share above 0 and at most 1, got {self.share!r}."
            )

    def mass(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.mass`."""
        k = np.asarray(k, dtype=float)
        shares = np.append(np.asarray(self.weights) / np.sum(self.weights), 0.0)
        learned = shares[np.minimum(k - 1, len(self.weights)).astype(np.int64)]
        return np.asarray((1 - self.share) * learned + self.share * self.floor.mass(k))

    def tail(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.tail`."""
        k = np.asarray(k, dtype=float)
        shares = np.asarray(self.weights) / np.sum(self.weights)
        tails = np.append(np.cumsum(shares[::-1])[::-1], 0.0)
        learned = tails[np.minimum(k - 1, len(self.weights)).astype(np.int64)]
        return np.asarray((1 - self.share) * learned + self.share * self.floor.tail(k))

    def draw(self, uniform: Floats, cut: int) -> Ints:
        """See `OccurrenceLaw.draw`; which of the two laws is drawn from is read off the same number."""
        uniform = np.asarray(uniform, dtype=float)
        learned = uniform >= self.share
        shares = np.cumsum(np.asarray(self.weights) / np.sum(self.weights))
        left = (uniform - self.share) / (1 - self.share) if self.share < 1 else np.zeros(len(uniform))
        k = 1 + np.searchsorted(shares, np.minimum(left, np.nextafter(shares[-1], 0)), side="right")
        found = np.where(k > cut, 0, k).astype(np.int64)
        found[~learned] = self.floor.draw(uniform[~learned] / self.share, cut)
        return found
