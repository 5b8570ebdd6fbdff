"""What runs teach of the pairs (k, l): how large their contributions are, and what to subtract.

For a cell and a way t to replace its pair, X = w (o - b), b a constant of the cell: E[w b] summed over the
ways is 0, because the derivative of a channel has trace 0. Before any pair was replaced,

    E[X²] ≈ P(N ≥ m) · E[|coefficient|² at the sites of k and l] · E[(o - b_m)² | N ≥ m],     m = max(k, l).

Runs with replacements correct that: by factors for the site of the earlier occurrence and the way, and for
the later occurrence, and at last by the moments of each cell and way. Everything is drawn towards what was
guessed before by as much as a few runs say that come to both occurrences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.second_order.background import Background
from qdiff.estimators.second_order.cells import Cells
from qdiff.estimators.second_order.pilots import (
    AS_HITS,
    Pilot,
    baselines_of,
    growth_of_weights,
    sites_of_occurrences,
)
from qdiff.estimators.second_order.terms import PairTerms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PairLesson:
    """What is known of the cells, and of what lies beyond them.

    Attributes:
        background: of unmodified runs.
        baselines: float (C,), b. sizes, spreads: float (C, T), √E[X²] and the standard deviation of X; 0 for
            ways that a cell has not.
        beyond: float (later,), √E[X²] summed over the pairs with the same later occurrence, above the cells.
        same: how much a pair k = l counts beyond the cells, beside one with k ≠ l.
        offset: of the baseline of pairs beyond the cells.
    """

    background: Background
    baselines: Floats
    sizes: Floats
    spreads: Floats
    beyond: Floats
    same: float
    offset: float

    @cached_property
    def of_cells(self) -> Floats:
        """float (C,), the spreads added up."""
        return np.asarray(self.spreads.sum(axis=1))

    def baseline_beyond(self, later: Ints) -> Floats:
        """b of pairs beyond the cells, float (n,)."""
        mean = self.background.mean
        if not len(mean):
            return np.full(len(later), self.offset)
        return np.asarray(self.offset + mean[np.minimum(later, len(mean)) - 1])


def ways_of(cells: Cells, terms: PairTerms) -> Floats:
    """Return the sizes of the ways of each cell, float (C, T); 0 for those that a cell has not."""
    return _by_way(cells, terms, terms.apart.sizes, terms.same.sizes)


def lesson_of(cells: Cells, terms: PairTerms, most: int, background: Background, pilot: Pilot) -> PairLesson:
    """Return what a pilot teaches.

    Args:
        most: the cells are pairs of the occurrences 1 … most.
        pilot: `Pilot.joined([])` before any run.
    """
    at, times = cells.later - 1, cells.times[:, None]
    where = sites_of_occurrences(cells, terms, most, pilot)
    first, second, both = (where @ table**2 for table in (terms.first, terms.second, terms.both))
    reach = background.reach[at]
    k, l = cells.k - 1, cells.l - 1  # noqa: E741
    squared = _by_way(
        cells, terms, first[k][:, terms.apart.j] * second[l][:, terms.apart.i], both[k][:, terms.same.j]
    )
    powers = growth_of_weights(cells, squared, pilot) if terms.varies else (0.0, 0.0)
    grown = (cells.k ** powers[0] * cells.l ** powers[1]) ** 2
    guess = times**2 * squared * (reach * background.noise[at] * grown)[:, None]
    counting = [where @ table.any(axis=1) for table in (terms.first, terms.second, terms.both)]
    # A run that comes to both occurrences says as much in a rare cell as in a frequent one.
    chance = np.maximum(reach * np.where(cells.same, counting[2][k], counting[0][k] * counting[1][l]), 1e-12)
    typical = squared * grown[:, None]
    relative = pilot.weights**2 / np.maximum(typical[pilot.cell, pilot.way], np.finfo(float).tiny)
    offset, own = baselines_of(cells, most, pilot, relative)
    x = cells.times[pilot.cell] * pilot.weights * (pilot.values - own[pilot.cell])
    number = _summed(pilot, np.ones(len(x)), guess.shape)
    squares, sums = _summed(pilot, x**2, guess.shape), _summed(pilot, x, guess.shape)
    factors = _factors_of_ways(cells, terms, where, pilot, x, guess, chance)
    order = np.sign(cells.l - cells.k) + 1
    guess = guess * factors[np.minimum(k, l), order]
    guess = guess * _factors_of_later(at, squares, number, guess, chance)[at][:, None]
    as_runs = AS_HITS / chance[:, None]
    mean = (squares + as_runs * guess) / (number + as_runs)
    around = np.maximum(squares - sums**2 / np.maximum(number, 1.0), 0.0)
    variance = (around + as_runs * guess) / (np.maximum(number - 1, 0.0) + as_runs)
    beyond, same = _beyond(terms, most, background, where, factors)
    beyond = beyond * np.arange(most + 1, background.most + 1) ** sum(powers)
    return PairLesson(
        background,
        background.mean[at] + own,
        np.sqrt(mean),
        np.sqrt(variance),
        beyond,
        same,
        offset,
    )


def _by_way(cells: Cells, terms: PairTerms, apart: Floats, same: Floats) -> Floats:
    """Return float (C, T) from arrays for k ≠ l and for k = l, (C, ways) or (ways,); 0 for other ways."""
    found = np.zeros((len(cells), max(len(terms.apart), len(terms.same), 1)))
    here = cells.same[:, None]
    found[:, : len(terms.apart)] += np.where(here, 0.0, apart)
    found[:, : len(terms.same)] += np.where(here, same, 0.0)
    return found


def _summed(pilot: Pilot, what: Floats, shape: tuple[int, ...]) -> Floats:
    """Sum over runs by cell and way."""
    place = pilot.cell * shape[1] + pilot.way
    return np.asarray(np.bincount(place, what, shape[0] * shape[1]).reshape(shape), dtype=float)


def _factors_of_ways(
    cells: Cells,
    terms: PairTerms,
    where: Floats,
    pilot: Pilot,
    x: Floats,
    guess: Floats,
    chance: Floats,
) -> Floats:
    """By how much guesses of E[X²] are wrong, float (most, 3, T).

    The axes are the earlier occurrence; k > l, k = l, k < l; the way. Factors are found for the sites of the
    earlier occurrence, those of a site drawn to those of all.
    """
    ways, sites = guess.shape[1], terms.sites + 1
    came = pilot.sites[:, 0] > 0
    order = (np.sign(cells.l - cells.k) + 1)[pilot.cell]
    by_way = order * ways + pilot.way
    by_site = pilot.sites[:, 0] * 3 * ways + by_way
    expected, hits = guess[pilot.cell, pilot.way], chance[pilot.cell]
    common = _corrected(by_way, 3 * ways, x**2, expected, hits)
    own = _corrected(by_site, sites * 3 * ways, x**2 * came, expected * common[by_way] * came, hits * came)
    of_site = own.reshape(sites, 3 * ways) * common
    found = np.asarray((where @ of_site).reshape(len(where), 3, ways))
    if np.all(cells.k <= cells.l):  # the other order is the same by symmetry
        found[:, 0] = found[:, 2]
    return found


def _factors_of_later(at: Ints, squares: Floats, number: Floats, guess: Floats, chance: Floats) -> Floats:
    """By how much guesses are wrong, by later occurrence."""
    sums = [each.sum(axis=1) for each in (squares, number * guess, number * chance[:, None])]
    return _corrected(at, 1 + int(at.max(initial=0)), *sums)


def _corrected(group: Ints, groups: int, seen: Floats, expected: Floats, hits: Floats) -> Floats:
    """Return Σ seen / Σ expected of each group, drawn to 1 by as much as AS_HITS hits say."""
    given, guessed, came = (np.bincount(group, each, groups) for each in (seen, expected, hits))
    some = AS_HITS * guessed / np.where(came > 0, came, 1.0)
    return np.where(some > 0, (given + some) / np.where(some > 0, guessed + some, 1.0), 1.0)


def _beyond(
    terms: PairTerms, most: int, background: Background, where: Floats, factors: Floats
) -> tuple[Floats, float]:
    """Return √E[X²] by later occurrence, and that of k = l beside one with k ≠ l."""
    usual, factor = _late(terms, where), factors.mean(axis=0) if len(factors) else np.ones((3, 1))
    first, second, both = (np.sqrt(usual @ table**2) for table in (terms.first, terms.second, terms.both))
    roots = np.sqrt(np.broadcast_to(factor, (3, max(factor.shape[1], len(terms.apart), len(terms.same)))))
    products = first[terms.apart.j] * second[terms.apart.i]
    apart = float((roots[[0, 2], : len(terms.apart)] @ products).sum())
    same = float(roots[1, : len(terms.same)] @ both[terms.same.j])
    m = np.arange(most + 1, background.most + 1)
    one = np.sqrt(background.reach[most:] * background.noise[most:])
    return np.asarray(one * ((m - 1) * apart + same)), same / apart if apart else 1.0


def _late(terms: PairTerms, where: Floats) -> Floats:
    """How likely late occurrences are at sites, float (sites + 1,)."""
    if len(where):
        return np.asarray(where[len(where) // 2 :].mean(axis=0))
    return np.append(0.0, np.full(terms.sites, 1 / terms.sites))
