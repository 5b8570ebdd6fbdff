"""Numbers with a bound on their error, and the arithmetic that keeps it one.

A `Bounded(a, e)` stands for some x with |x - a| <= e. For x in (a, e) and y in (b, d)

    |x ± y - (a ± b)| <= e + d
    |x y - a b|       <= |a| d + |b| e + e d
    |x / y - a / b|   <= (e + |a / b| d) / (|b| - d)     if |b| > d, else nothing is known,

and each operation adds the rounding of its own result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ROUNDING = 2.0**-52
UNDERFLOW = 2.0**-1022  # rounding is relative above this only


@dataclass(frozen=True)
class Bounded:
    """A number and how far the true one may be from it; `error` is inf where nothing is known."""

    value: float
    error: float = 0.0

    def __add__(self, other: Bounded | float) -> Bounded:
        right = _bounded(other)
        return _rounded(self.value + right.value, self.error + right.error)

    __radd__ = __add__

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.error)

    def __sub__(self, other: Bounded | float) -> Bounded:
        return self + -_bounded(other)

    def __rsub__(self, other: float) -> Bounded:
        return _bounded(other) + -self

    def __mul__(self, other: Bounded | float) -> Bounded:
        right = _bounded(other)
        error = abs(self.value) * right.error + abs(right.value) * self.error + self.error * right.error
        return _rounded(self.value * right.value, error)

    __rmul__ = __mul__

    def __truediv__(self, other: Bounded | float) -> Bounded:
        right = _bounded(other)
        room = abs(right.value) - right.error
        if not room > 0:
            return Bounded(self.value / right.value if right.value else math.nan, math.inf)
        quotient = self.value / right.value
        return _rounded(quotient, (self.error + abs(quotient) * right.error) / room)

    def __rtruediv__(self, other: float) -> Bounded:
        return _bounded(other) / self


def _bounded(number: Bounded | float) -> Bounded:
    return number if isinstance(number, Bounded) else Bounded(float(number))


def _rounded(value: float, error: float) -> Bounded:
    total = error + ROUNDING * (abs(value) + error) + UNDERFLOW
    return Bounded(value, math.inf if math.isnan(total) else total)  # 0 · inf: nothing is known
