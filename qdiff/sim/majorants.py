"""Proved bounds of derivatives of every order, from how often a parameter is met.

Let N be the number of executed primitives that contain θ, w the supremum over places after such a
primitive and over states of the expected number still to come, and y(x) a power series that majorises
how one of them changes with θ. Expanding f(θ + h) in what the primitives change,

    |∂ᵐf| ≤ ‖O‖ E[N] · (d/dx)ᵐ [ y(x) / (1 - w y(x)) ]  at x = 0.

A gate exp(-i a(θ) G/2) has y = e^{u} - 1, u(x) = Ω Σ_{m≥1} |a⁽ᵐ⁾(θ)| xᵐ/m!, with Ω the largest
difference of eigenvalues of G/2 (the norm of ρ ↦ -i[G/2, ρ]); a drift B changes nothing: in Dyson's
series for exp(-i (a G/2 + B)) in steps of a, what stands between the factors G/2 is unitary. flip(p(θ)),
and a channel that is a mixture, has y = 2 Σ |p⁽ᵐ⁾(θ)| xᵐ/m!.
All series have coefficients ≥ 0, so their arithmetic only adds; suprema over primitives are taken
coefficient by coefficient. For angles affine in θ, |∂²f| ≤ ‖O‖ Ω² E[N] (1 + 2w). Moments of N alone
bound no derivative after the first: a change early on changes what comes later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError

Series = NDArray[np.float64]  # coefficients of x⁰, x¹, …

TERMS = 128  # of the series for the bias of a difference
OUTWARDS = 1 + 1e-11  # far more than rounding takes from sums of numbers ≥ 0


@dataclass(frozen=True)
class OccurrenceBounds:
    """How often a parameter is met.

    Attributes:
        expected: at least E[N], the expected number of executed primitives that contain it.
        to_come: at least w, the supremum over places after one of them and over states of the expected
            number that still follow; inf where nothing is proved.
        reason: why it is inf, else what the numbers rest on.
    """

    expected: float
    to_come: float
    reason: str = ""


@dataclass(frozen=True)
class DerivativeBounds:
    """Bounds of the derivatives of f by one parameter, at one set of parameters.

    Attributes:
        norm: at least ‖O‖, inf where the observable grows without limit.
        occurrences: how often the parameter is met.
        gates: supremum of Ω |a⁽ᵐ⁾(θ)| over gates, m = 1, 2, …; flips: of 2 |p⁽ᵐ⁾(θ)| over flips, and of
            the norms of the derivatives of channels.
        complete: whether all later suprema are 0 (angles and probabilities are polynomials in θ).
        reason: why a bound is inf, "" where none is.
    """

    norm: float
    occurrences: OccurrenceBounds
    gates: tuple[float, ...] = ()
    flips: tuple[float, ...] = ()
    complete: bool = True
    reason: str = ""

    @property
    def first(self) -> float:
        """A bound of |∂f|."""
        return self.order(1)

    @property
    def second(self) -> float:
        """A bound of |∂²f|."""
        return self.order(2)

    def order(self, m: int) -> float:
        """Return a bound of |∂ᵐf|, m ≥ 1; inf where nothing is proved.

        Raises:
            QdiffError: m < 1.
        """
        if m < 1:
            raise QdiffError(f"A derivative has an order of 1 or more, not {m}.")
        if self._factor == 0:
            return 0.0
        left_out = not self.complete and m > max(len(self.gates), len(self.flips))
        if left_out or math.isinf(sum(self.gates[:m] + self.flips[:m])):
            return math.inf
        try:
            return _times(self._factor, math.factorial(m) * float(self._response(m)[m])) * OUTWARDS
        except (FloatingPointError, OverflowError):
            return math.inf

    def shift_bias(self, h: float) -> float:
        """Return a bound of |(f(θ+h) - f(θ-h))/2h - ∂f|: Σ_{odd m ≥ 3} bound_m h^{m-1}/m!.

        Inf from `radius` on, and where later derivatives of an angle are not known.

        Raises:
            QdiffError: h is not a positive number.
        """
        if not 0 < h < math.inf:
            raise QdiffError(f"The step of a difference is a positive number, not {h}.")
        if self._factor == 0:
            return 0.0
        if not h < self.radius:
            return math.inf
        try:
            return self._factor * self._odd_tail(h) * OUTWARDS
        except (FloatingPointError, OverflowError):
            return math.inf

    @cached_property
    def radius(self) -> float:
        """The largest h with y(h) < 1/w, below which the series converges; 0 where nothing is proved."""
        if not self.complete or math.isinf(self.occurrences.to_come + sum(self.gates + self.flips)):
            return 0.0
        w = self.occurrences.to_come
        if w == 0 or not any(self.gates + self.flips):
            return math.inf
        low, high = 0.0, 1.0
        while w * self._change(high) < 1:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            if w * self._change(middle) < 1 - 1e-12:
                low = middle
            else:
                high = middle
        return low

    # --- series ---

    @property
    def _factor(self) -> float:
        return _times(self.norm, self.occurrences.expected)

    def _response(self, order: int) -> Series:
        """Coefficients of y / (1 - w y) up to an order, from g = y + w y g; raises FloatingPointError."""
        g = np.zeros(order + 1)
        with np.errstate(over="raise", invalid="raise"):
            y = self._changes(order)
            for m in range(1, order + 1):
                g[m] = y[m] + _times(self.occurrences.to_come, float(y[1:m] @ g[m - 1 : 0 : -1]))
        return g

    def _changes(self, order: int) -> Series:
        """Coefficients of y, the larger of those of gates and of flips."""
        u = _taylor(self.gates, order)
        exponential = np.zeros(order + 1)
        exponential[0] = 1.0
        for m in range(1, order + 1):  # E = e^u: E' = u' E
            exponential[m] = (np.arange(1, m + 1) * u[1 : m + 1]) @ exponential[m - 1 :: -1] / m
        exponential[0] = 0.0
        return np.maximum(exponential, _taylor(self.flips, order))

    def _change(self, x: float) -> float:
        """At least y(x): e^u - 1 with the larger coefficients, or without gates what flips change."""
        orders = range(1, 1 + max(len(self.gates), len(self.flips)))
        gates, flips = (dict(enumerate(found, start=1)) for found in (self.gates, self.flips))
        largest = sum(max(gates.get(m, 0.0), flips.get(m, 0.0)) * x**m / math.factorial(m) for m in orders)
        try:
            return (math.expm1(largest) if any(self.gates) else largest) * OUTWARDS
        except OverflowError:
            return math.inf

    def _odd_tail(self, h: float) -> float:
        """Σ_{odd m ≥ 3} g_m h^{m-1}, what is left out bounded by g_m ≤ g(r) / rᵐ for r below the radius."""
        g = self._response(TERMS)
        odd = np.arange(3, TERMS + 1, 2)
        with np.errstate(over="raise", invalid="raise"):
            total = float(g[odd] @ (h ** (odd - 1.0)))
        return total + min(self._left_out(h, r) for r in self._radii(h))

    def _radii(self, h: float) -> list[float]:
        if math.isinf(self.radius):
            return [h * 2.0**k for k in range(1, 12)]
        return [h + (self.radius - h) * k / 16 for k in range(1, 16)]

    def _left_out(self, h: float, r: float) -> float:
        y = self._change(r)
        room = 1 - self.occurrences.to_come * y
        if room <= 0 or h >= r or math.isinf(y):
            return math.inf
        return y / room / h * (h / r) ** (TERMS + 1) / (1 - h / r)


def _taylor(derivatives: tuple[float, ...], order: int) -> Series:
    """Coefficients of Σ_{m≥1} d_m xᵐ/m!."""
    result = np.zeros(order + 1)
    for m, value in enumerate(derivatives[:order], start=1):
        result[m] = value / math.factorial(m)
    return result


def _times(a: float, b: float) -> float:
    """a · b, where nothing times anything is nothing."""
    return a * b if a and b else 0.0
