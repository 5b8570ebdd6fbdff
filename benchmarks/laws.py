"""Laws of cost: sums of a few terms with coefficients that are fitted to measured times.

    t(x) = Σ_i b_i g_i(x),   b_i ≥ 0,   least Σ_x (1 - t(x) / measured(x))²

Errors are relative, so that small sizes count as much as large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

PREFIXES = ((0.9995e-3, 1e3, "ms"), (0.9995e-6, 1e6, "µs"), (0.0, 1e9, "ns"))
NEGLIGIBLE = 1e-3  # of the time at every size: such a term is left out


@dataclass(frozen=True)
class Law:
    """What a time is made of.

    Attributes:
        terms: text, such as "2ⁿ" ("" for a constant), and the number for a size.
    """

    terms: Sequence[tuple[str, Callable[[float], float]]]

    def matrix(self, sizes: Sequence[float]) -> NDArray[np.float64]:
        """float (sizes, terms)."""
        return np.array([[term(size) for _, term in self.terms] for size in sizes])

    def fit(self, sizes: Sequence[float], seconds: Sequence[float]) -> Fitted:
        """Return the coefficients by least squares of relative errors."""
        weighted = self.matrix(sizes) / np.asarray(seconds)[:, None]
        scale = np.abs(weighted).max(axis=0)
        found, _ = nnls(weighted / scale, np.ones(len(sizes)))
        found[(weighted / scale * found).max(axis=0) < NEGLIGIBLE] = 0.0
        fitted = Fitted(self, tuple((found / scale).tolist()))
        worst = max(abs(fitted(x) / t - 1) for x, t in zip(sizes, seconds, strict=True))
        return Fitted(self, fitted.coefficients, worst)


@dataclass(frozen=True)
class Fitted:
    """A law with its coefficients, in seconds.

    Attributes:
        worst: the largest relative error at a measured size.
    """

    law: Law
    coefficients: tuple[float, ...]
    worst: float = 0.0

    def __call__(self, size: float) -> float:
        """Seconds."""
        return float(self.law.matrix([size])[0] @ self.coefficients)

    @property
    def text(self) -> str:
        """The law, such as `12 µs + 3.4 ns · 2ⁿ`, without terms that are nothing."""
        terms = zip(self.law.terms, self.coefficients, strict=True)
        parts = [f"{time(b)} · {name}" if name else time(b) for (name, _), b in terms if b > 0]
        return " + ".join(parts) or "0"


def time(seconds: float) -> str:
    """Three digits and a unit."""
    factor, unit = next((factor, unit) for least, factor, unit in PREFIXES if seconds >= least)
    return f"{seconds * factor:.3g} {unit}"


def constant(size: float) -> float:
    """What every size takes."""
    return 1.0


def proportional(size: float) -> float:
    """What grows with the size."""
    return size
