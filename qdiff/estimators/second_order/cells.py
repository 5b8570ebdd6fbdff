"""Pairs of occurrences (k, l): those near the beginning one by one, and a law for all that come later.

The sum over pairs is symmetric where both parameters are the same: then only k ≤ l are cells, and those with
k < l count twice. In a program without loops the occurrences are executed in the order of their sites, each
at most once, so some pairs cannot be: they are no cells.

Beyond, a pair is drawn by the later of its two occurrences, m = max(k, l) > M:

    μ(k, l) = ν(m - M) · δ_m  at k = l,    ν(m - M) (1 - δ_m)/(pairs k ≠ l with this m)  elsewhere
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.occurrence_laws import OccurrenceLaw
from qdiff.estimators.second_order.terms import PairTerms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Pairs of occurrences.

    Attributes:
        k, l: int64 (C,), from 1: which occurrence is replaced for θ_a, and which for θ_b.
        times: float (C,), how many pairs of the sum a cell stands for: 1, or 2.
    """

    k: Ints
    l: Ints  # noqa: E741 (the formula's letter)
    times: Floats

    def __len__(self) -> int:
        return len(self.k)

    @cached_property
    def later(self) -> Ints:
        """int64 (C,), max(k, l)."""
        return np.maximum(self.k, self.l)

    @cached_property
    def same(self) -> NDArray[np.bool_]:
        """bool (C,), k = l."""
        return np.asarray(self.k == self.l)


def cells_up_to(most: int, terms: PairTerms, symmetric: bool) -> Cells:
    """Return the pairs of occurrences 1 … most that may count something.

    Args:
        symmetric: both parameters are the same.
    """
    k, l = (each.ravel() for each in np.mgrid[1 : most + 1, 1 : most + 1])  # noqa: E741
    ways = np.where(k == l, len(terms.same), len(terms.apart))
    wanted = (ways > 0) & ((k <= l) | (not symmetric))
    if not terms.endless:
        wanted &= _possible(k, l, terms)
    k, l = k[wanted], l[wanted]  # noqa: E741
    return Cells(k, l, np.where(symmetric & (k != l), 2.0, 1.0))


def _possible(k: Ints, l: Ints, terms: PairTerms) -> NDArray[np.bool_]:  # noqa: E741
    """The k-th occurrence is at site k or a later one; l - k sites and more lie between the two."""
    first, second, both = (np.flatnonzero(t.any(axis=1)) for t in (terms.first, terms.second, terms.both))
    found = (k == l) & (k <= both.max(initial=0))
    for early, late, at_early, at_late in ((k, l, first, second), (l, k, second, first)):
        never = np.iinfo(np.int64).max // 2
        earliest = np.append(at_early, never)[np.searchsorted(at_early, early)]
        found |= (early < late) & (at_late.max(initial=0) - earliest >= late - early)
    return np.asarray(found)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs that were drawn.

    Attributes:
        k, l: int64 (n,), 0 for "never".
        inverse: float (n,), how many pairs of the sum each stands for, over its probability.
    """

    k: Ints
    l: Ints  # noqa: E741
    inverse: Floats


@dataclass(frozen=True, eq=False)
class Beyond:
    """The law of pairs whose later occurrence is above M.

    Attributes:
        above: M. law: ν, over 1, 2, …, where m > cut is "never": no run comes there.
        same, apart: how much k = l counts beside a pair k ≠ l, so that δ_m = same/(same + (m-1) apart).
        symmetric: both parameters are the same, and k ≤ l.
    """

    above: int
    law: OccurrenceLaw
    cut: int
    same: float
    apart: float
    symmetric: bool

    def draw(self, random: np.random.Generator, number: int) -> Pairs:
        """Draw pairs."""
        drawn = self.law.draw(random.random(number), max(self.cut - self.above, 1))
        m = self.above + drawn
        delta = self._diagonal(m)
        same = random.random(number) < delta
        other = 1 + (random.random(number) * (m - 1)).astype(np.int64)
        other = np.where(same, m, np.minimum(other, np.maximum(m - 1, 1)))
        swapped = (random.random(number) < 0.5) & (not self.symmetric)
        # For k ≠ l the m - 1 pairs of one order count twice, or there are twice as many of both orders.
        chance = np.where(same, delta, (1 - delta) / np.maximum(2 * (m - 1), 1))
        never = drawn == 0
        inverse = 1 / (self.law.mass(np.maximum(drawn, 1).astype(float)) * chance)
        k, l = np.where(swapped, m, other), np.where(swapped, other, m)  # noqa: E741
        return Pairs(np.where(never, 0, k), np.where(never, 0, l), np.where(never, 0.0, inverse))

    def _diagonal(self, m: Ints) -> Floats:
        """δ_m; 1 where there is no other pair."""
        apart = (m - 1) * self.apart
        total = self.same + apart
        return np.where(apart > 0, self.same / np.where(total > 0, total, 1.0), 1.0)
