"""How the term j that stands in for an occurrence is drawn: with probability about |c_j|/L1.

A site whose rule lists its terms says |c_j|; over sites of different rules the shares are added. A rule with
a term for every integer has |c_j| ∝ 1/(2j+1)² (M. Riesz, 1914). Where both kinds are there, each has half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.estimators.occurrence_laws import LARGEST_CUT, OccurrenceLaw
from qdiff.lang.expr import Expr
from qdiff.rules.primitive import Kind
from qdiff.rules.sites import Site

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class OddSquares(OccurrenceLaw):
    """μ(i) = (8/π²)/(2i-1)², i = 1, 2, …"""

    def mass(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.mass`."""
        return np.asarray(8 / np.pi**2 / (2 * np.asarray(k, dtype=float) - 1) ** 2)

    def tail(self, k: Floats) -> Floats:
        """See `OccurrenceLaw.tail`."""
        from scipy.special import zeta

        return np.asarray(2 / np.pi**2 * zeta(2.0, np.asarray(k, dtype=float) - 0.5))


@dataclass(frozen=True)
class TermLaw:
    """The law of j.

    Attributes:
        shares: of j = 0, 1, … among the listed terms; they sum to 1, or are ().
        unlisted: the share of rules with a term for every integer: 0, ½ or 1.
    """

    shares: tuple[float, ...]
    unlisted: float

    @classmethod
    def of(cls, sites: Sequence[Site], params: Mapping[str, float]) -> TermLaw:
        """Return the law for some sites, at least one."""
        sizes: dict[tuple[int, Kind, Expr], NDArray[np.float64]] = {}
        counts: dict[tuple[int, Kind, Expr], int] = {}
        infinite = False
        for site in sites:
            infinite |= site.rule.infinite
            if site.rule.infinite:
                continue
            key = id(site.rule), site.kind, site.argument
            counts[key] = counts.get(key, 0) + 1
            if key not in sizes:
                sizes[key] = _sizes(site, params)
        most = max(map(len, sizes.values()), default=0)
        total = np.zeros(most)
        for key, size in sizes.items():
            total[: len(size)] += counts[key] * size
        shares = tuple((total / total.sum()).tolist()) if most else ()
        return cls(shares, (0.5 if most else 1.0) if infinite else 0.0)

    def mass(self, j: Ints) -> Floats:
        """P(J = j), float like j."""
        found = np.zeros(len(j))
        if self.shares:
            listed = (j >= 0) & (j < len(self.shares))
            found[listed] = (1 - self.unlisted) * np.array(self.shares)[j[listed]]
        if self.unlisted:
            i = np.where(j >= 0, j + 1, -j).astype(float)
            found += self.unlisted / 2 * OddSquares().mass(i)
        return found

    def draw(self, random: np.random.Generator, number: int) -> Ints:
        """Draw some terms."""
        drawn = np.zeros(number, dtype=np.int64)
        if self.shares:
            places = np.searchsorted(np.cumsum(self.shares), random.random(number), side="right")
            drawn = np.minimum(places, len(self.shares) - 1).astype(np.int64)
        if self.unlisted:
            i = OddSquares().draw(random.random(number), LARGEST_CUT)
            signed = np.where(random.random(number) < 0.5, i - 1, -i)
            drawn = np.where(random.random(number) < self.unlisted, signed, drawn)
        return drawn


def _sizes(site: Site, params: Mapping[str, float]) -> Floats:
    """|c_j| of a rule at a site, equal ones where they depend on counters."""
    coefficients = site.rule.coefficients(site.kind, site.argument)
    if any(c.counters() for c in coefficients):
        return np.ones(len(coefficients))
    try:
        sizes = np.abs([float(c.evaluate(params)) for c in coefficients])
    except EvaluationError:  # whoever runs it says where
        return np.ones(len(coefficients))
    # A term that counts nothing is never drawn.
    return sizes if sizes.sum() > 0 else np.ones(len(coefficients))
