"""Exact moments of runs with one occurrence replaced, by occurrence and term.

With w the weight of such a run, 0 where it does not come to its occurrence, and o what it reads,

    E[w],   E[w²],   E[w o],   E[w² o],   E[w² o²]        for every occurrence k and term j

are expectations of the members of the derivative family, exact ones. The variance of every plan of spending
shots on occurrences follows from them (`benchmarks.exact_variances`). Late occurrences are not computed one
by one: once all moments fall by one ratio from occurrence to occurrence they are continued. Where they never
do, as in amplitude amplification, whose state goes round, the last one is that to which one run in 10¹⁰
comes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import qdiff as qd
from benchmarks.workloads import Workload
from qdiff.estimators.term_laws import TermLaw
from qdiff.lang.parameters import resolve
from qdiff.sim.hybrid.engine import HybridEngine

Floats = NDArray[np.float64]

STEADY = 1e-7
"""Of the largest moment: what a common ratio may leave unexplained."""
STEADY_FOR = 3
"""Occurrences in a row."""
NO_RUNS = 1e-10
"""Of the runs that come to the first occurrence: later ones than that are left out."""
NONE_CONTINUED = 1e-16
"""The same for those that are continued, which cost nothing."""
MOST_OCCURRENCES = 2000


@dataclass(frozen=True, eq=False)
class OccurrenceMoments:
    """Moments by occurrence, from 1, and term, from 0: float (K, J) each.

    Attributes:
        w, square, value, cross, second: E[w], E[w²], E[w o], E[w² o], E[w² o²].
        terms: float (J,), the law of the term, in proportion to its coefficient.
        computed: how many occurrences were computed; the others are continued.
    """

    w: Floats
    square: Floats
    value: Floats
    cross: Floats
    second: Floats
    terms: Floats
    computed: int

    @property
    def derivative(self) -> float:
        """ΣΣ E[w o]."""
        return float(self.value.sum())


def occurrence_moments(workload: Workload, parameter: str, rule: str = "shift") -> OccurrenceMoments:
    """Return the moments of the derivative by a parameter.

    Raises:
        QdiffError: a rule that does not apply, or has a term for every integer.
        ArithmeticError: runs still come to later occurrences after MOST_OCCURRENCES.
    """
    derivative = qd.differentiate(workload.program, parameter, rule)
    terms = TermLaw.of(derivative.sites, resolve(workload.program, workload.params))
    rows: list[Floats] = []
    steady = 0
    for row in _rows(workload, derivative):
        rows.append(row)
        first, now = rows[0][1].sum(), row[1].sum()
        if now <= NO_RUNS * first:
            break
        steady = steady + 1 if len(rows) > 2 and _steady(rows[-3:]) else 0
        if steady >= STEADY_FOR:
            break
        if len(rows) >= MOST_OCCURRENCES:
            raise ArithmeticError(f"{len(rows)} occurrences of `{parameter}` are not all.")
    computed = len(rows)
    if steady >= STEADY_FOR:
        rows += _continued(rows[-2], row, NONE_CONTINUED * first)
    w, square, value, cross, second = np.stack(rows).transpose(1, 0, 2)
    return OccurrenceMoments(w, square, value, cross, second, np.array(terms.shares), computed)


def _rows(workload: Workload, derivative: qd.DerivativeProgram) -> Iterator[Floats]:
    """Yield float (5, J) for k = 1, 2, …"""
    family, observable = derivative.family, qd.observable(workload.observable)
    if family.most_terms is None:
        raise qd.QdiffError("Exact moments need a rule whose terms are listed.")
    params = resolve(workload.program, workload.params)
    weight = family.weight(params)
    squared = weight * weight
    read = [weight, squared, weight * observable, squared * observable, squared * observable * observable]
    k = 0
    while True:
        k += 1
        members = [family.at(k, j) for j in range(family.most_terms)]
        yield np.stack([HybridEngine(member).values([params], read)[0] for member in members], axis=1)


def _ratio(before: Floats, after: Floats) -> float:
    return float(after[1].sum() / before[1].sum())


def _steady(rows: list[Floats]) -> bool:
    """Whether three rows fall by one ratio."""
    ratio = _ratio(rows[0], rows[1])
    return all(
        np.abs(after - ratio * before).max() <= STEADY * np.abs(after).max()
        for before, after in itertools.pairwise(rows)
    )


def _continued(before: Floats, last: Floats, least: float) -> list[Floats]:
    ratio = _ratio(before, last)
    number = int(np.ceil(np.log(least / last[1].sum()) / np.log(ratio)))
    return [last * ratio**i for i in range(1, number + 1)]
