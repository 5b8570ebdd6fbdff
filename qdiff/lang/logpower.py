"""The log-power law of occurrences: its normaliser, masses, tails and hazard, to 1e-13 for every k.

    g(k) = 1/(k L^s),  L = ln(k + e),  s = 1 + δ        μ(k) = g(k)/Z,  Z = Σ_{i≥1} g(i)
    h(k) = μ(k)/(1 - Σ_{i<k} μ(i)) = 1/R(k),            R(k) = Σ_{i≥k} g(i) / g(k)

R is summed by Euler and Maclaurin from k = 64 on, and below by R(k) = 1 + R(k+1) g(k+1)/g(k):

    R(k) = ∫_k^∞ g / g(k) + 1/2 - Σ_j B_2j/(2j)! g^(2j-1)(k)/g(k)

With t = ln(x + e) the integral is Σ_{m≥0} e^m ∫ e^(-mt) t^(-s) dt: t^(-δ)/δ for m = 0, and generalized
exponential integrals E_s(m L) for m ≥ 1, by their continued fraction. The sum converges so slowly
(the first million terms for δ = 0.25 are half of Z) that cutting it off is no way to find Z.
Sources: Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023), for the law;
NIST Digital Library of Mathematical Functions 2.10.1 and 8.19.17.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError

Floats = NDArray[np.float64]

SMALLEST_DELTA = 1e-100  # 1/δ and its products with k are finite
LARGEST_DELTA = 10.0
LARGEST_INDEX = 2**63 - 1
START = 64  # from here on the expansion is exact to rounding
TABLE = 8192  # hazards that are kept
POWERS = 12  # terms m ≥ 1 of the integral: (e/(START + e))^12 is below 1e-16
FRACTIONS = 40  # depth of the continued fraction
# B_2j/2j for j = 1 … 4: what multiplies the Taylor coefficient of order 2j - 1.
_CORRECTIONS = ((1, 1 / 12), (3, -1 / 120), (5, 1 / 252), (7, -1 / 240))


def delta_problem(delta: float) -> str:
    """Why δ cannot be that of a log-power law, or "" where it can."""
    if SMALLEST_DELTA <= delta <= LARGEST_DELTA:
        return ""
    if 0 < delta < SMALLEST_DELTA:
        return f"the δ of a log-power law is at least {SMALLEST_DELTA:g}, got {delta!r}."
    return f"the δ of a log-power law is above 0 and at most {LARGEST_DELTA:g}, got {delta!r}."


def normaliser(delta: float) -> float:
    """Return Z = Σ_{k≥1} 1/(k ln^{1+δ}(k+e)); 4.791206906872… at δ = 0.25.

    Raises:
        QdiffError: δ is not above 0 and at most 10.
    """
    return float(_ratios(_admitted(delta))[1] * _unnormalised(np.float64(1), delta))


def mass(k: float | Floats, delta: float) -> Floats:
    """Return μ(k) for integers k from 1 to 2⁶³ - 1, nan for other numbers: what an estimator divides by.

    Raises:
        QdiffError: δ is not above 0 and at most 10.
    """
    index = _indices(k)
    return np.asarray(_unnormalised(index, _admitted(delta)) / normaliser(delta))


def tail(k: float | Floats, delta: float) -> Floats:
    """Return Σ_{i≥k} μ(i) for integers k from 1 to 2⁶³ - 1, nan for other numbers.

    An estimator draws K by its inverse, "k ≤ cut, or never": the tail is the probability of "never".

    Raises:
        QdiffError: δ is not above 0 and at most 10.
    """
    return np.asarray(mass(k, delta) / hazard(k, delta))


def hazard(k: float | Floats, delta: float) -> Floats:
    """Return h(k) = μ(k)/Σ_{i≥k} μ(i) for integers k from 1 to 2⁶³ - 1, nan for other numbers.

    Raises:
        QdiffError: δ is not above 0 and at most 10.
    """
    index, table = _indices(k), _ratios(_admitted(delta))
    near = index < TABLE
    ratio = np.full(index.shape, np.nan)
    ratio[near] = table[index[near].astype(np.int64)]
    far = index >= TABLE
    if far.any():
        ratio[far] = _expansion(index[far], delta)
    return np.asarray(1 / ratio)


def _admitted(delta: float) -> float:
    problem = delta_problem(delta)
    if problem:
        raise QdiffError(f"{problem[0].upper()}{problem[1:]}")
    return float(delta)


def _indices(k: float | Floats) -> Floats:
    """k as floats, nan where it is no index."""
    index = np.asarray(k, dtype=float)
    usable = (index >= 1) & (index <= float(LARGEST_INDEX)) & (index == np.floor(index))
    return np.where(usable, index, np.nan)


def _unnormalised(k: Floats | np.float64, delta: float) -> Floats:
    return np.asarray(1 / (k * np.log(k + math.e) ** (1 + delta)))


@lru_cache(maxsize=16)
def _ratios(delta: float) -> Floats:
    """R(k) for k below `TABLE`; entry 0 is unused."""
    result = np.full(TABLE, np.nan)
    result[START:] = _expansion(np.arange(START, TABLE, dtype=float), delta)
    weights = _unnormalised(np.arange(1, START + 1, dtype=float), delta)
    for k in range(START - 1, 0, -1):
        result[k] = 1 + result[k + 1] * weights[k] / weights[k - 1]
    result.flags.writeable = False
    return result


def _expansion(k: Floats, delta: float) -> Floats:
    """R(k) for k ≥ START."""
    s, logarithm = 1 + delta, np.log(k + math.e)
    integral = np.full(k.shape, 1 / delta)
    for m in range(1, POWERS + 1):
        integral += (math.e / (k + math.e)) ** m * _scaled_exponential_integral(s, m * logarithm)
    total = k * logarithm * integral + 0.5
    slopes = _taylor(k, s, 7)
    for order, factor in _CORRECTIONS:
        total -= factor * slopes[order]
    return np.asarray(total)


def _scaled_exponential_integral(s: float, x: Floats) -> Floats:
    """e^x E_s(x) = 1/(x + s - 1·s/(x + s + 2 - 2(s+1)/(x + s + 4 - …))), from the inside out."""
    value = x + s + 2 * FRACTIONS
    for n in range(FRACTIONS, 0, -1):
        value = x + s + 2 * (n - 1) - n * (s + n - 1) / value
    return np.asarray(1 / value)


def _taylor(k: Floats, s: float, order: int) -> list[Floats]:
    """Coefficients of hⁿ in g(k + h)/g(k), n = 0 … order."""
    y = k + math.e
    first = np.log(y)
    logarithm = [np.ones_like(k)] + [(-1.0) ** (n + 1) / (n * y**n * first) for n in range(1, order + 1)]
    # (Σ l_n hⁿ)^(-s) with l_0 = 1, by the recurrence of J. C. P. Miller.
    power = [np.ones_like(k)]
    for n in range(1, order + 1):
        power.append(
            np.asarray(sum((-s * j - n + j) * logarithm[j] * power[n - j] for j in range(1, n + 1)) / n)
        )
    inverse = [(-1.0) ** n / k**n for n in range(order + 1)]  # k/(k + h)
    return [np.asarray(sum(inverse[j] * power[n - j] for j in range(n + 1))) for n in range(order + 1)]
