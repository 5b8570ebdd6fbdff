"""The ways to replace a pair of occurrences, and how much each of them counts.

Another occurrence is replaced for θ_a than for θ_b, by the terms j and i of their rules, or one for both, by
a term j of the second derivative of its primitive or of its curvature:

    size = |c_j c_i|  or  |c_j|,     on average over the sites, with the factors of the chain rule

What has size 0 counts nothing wherever a run may come, and never runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.rules.second_order import SecondDerivativeProgram
from qdiff.rules.weights import Case

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ways:
    """Combinations of terms.

    Attributes:
        j, i: int64 (t,), the inputs of the family. sizes: float (t,), above 0.
    """

    j: Ints
    i: Ints
    sizes: Floats

    def __len__(self) -> int:
        return len(self.j)

    @property
    def total(self) -> float:
        """Σ sizes."""
        return float(self.sizes.sum())


@dataclass(frozen=True, eq=False)
class PairTerms:
    """All ways to replace a pair.

    Attributes:
        apart: two occurrences, one for θ_a and one for θ_b. same: one for both.
        named: the counters that hold, at the end of a run, which site was replaced for θ_a and for θ_b; 0
            where none was.
        first, second, both: float (sites + 1, choices), |coefficient| of every site, by its number from 1,
            and choice: for θ_a, for θ_b, for both at once.
        looped: bool (sites + 1,), the site stands in a loop.
        varies: a coefficient reads counters; it counts as 1 above.
    """

    apart: Ways
    same: Ways
    named: tuple[str, str]
    first: Floats
    second: Floats
    both: Floats
    looped: NDArray[np.bool_]
    varies: bool

    @property
    def sites(self) -> int:
        """The number of sites."""
        return len(self.looped) - 1

    @cached_property
    def endless(self) -> bool:
        """Whether a run may execute more occurrences than there are sites."""
        return bool(self.looped.any())

    @cached_property
    def exist(self) -> bool:
        """Whether there is any way; otherwise the derivative is exactly zero."""
        return len(self.apart) > 0 or len(self.same) > 0

    @classmethod
    def of(cls, derivative: SecondDerivativeProgram, params: Mapping[str, float]) -> PairTerms:
        """Return those of a second derivative at some parameters.

        Raises:
            EvaluationError: a coefficient has no value there.
        """
        (for_first, for_second), (for_both,) = derivative.family.weights.ways
        known: dict[int, float] = {}
        sites = derivative.sites
        tables = [_table(cases, len(sites), params, known) for cases in (for_first, for_second, for_both)]
        first, second, both = (table[table.any(axis=1)].sum(axis=0) for table in tables)
        counting = [max(int(table.any(axis=1).sum()), 1) for table in tables]
        j, i = np.meshgrid(np.arange(len(first)), np.arange(len(second)), indexing="ij")
        product = np.outer(first / counting[0], second / counting[1])
        named = [cases[0].where[0][0] if cases else "" for cases in (for_first, for_second)]
        return cls(
            _counting(j.ravel(), i.ravel(), product.ravel()),
            _counting(np.arange(len(both)), np.zeros(len(both), dtype=np.int64), both / counting[2]),
            (named[0], named[1]),
            tables[0],
            tables[1],
            tables[2],
            np.array([False, *(pair.site.looped for pair in sites)]),
            any(case.coefficient.counters() for case in derivative.family.weights.cases),
        )


def _counting(j: Ints, i: Ints, sizes: Floats) -> Ways:
    some = np.flatnonzero(sizes)
    return Ways(j[some], i[some], sizes[some])


def _table(cases: Sequence[Case], sites: int, params: Mapping[str, float], known: dict[int, float]) -> Floats:
    """Return |coefficient| by site and choice, float (sites + 1, choices)."""
    found = np.zeros((sites + 1, 1 + max((case.where[1][1] for case in cases), default=-1)))
    for case in cases:
        key = id(case.coefficient)  # cases of one kind share their coefficients
        if key not in known:
            known[key] = _size(case, params)
        (_, site), (_, choice), _ = case.where
        found[site, choice] = known[key]
    return found


def _size(case: Case, params: Mapping[str, float]) -> float:
    """|coefficient|; 1 where it reads counters."""
    value = case.value(params)
    if value.counters:
        return 1.0
    return abs(sum(complex(term.coefficient).real for term in value.terms))
