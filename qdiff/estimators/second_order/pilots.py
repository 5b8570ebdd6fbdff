"""What a pilot's runs tell of pairs: at which sites occurrences are, how weights grow, what to subtract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.second_order.cells import Cells
from qdiff.estimators.second_order.terms import PairTerms

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AS_HITS = 5.0
"""A guess counts as much as so many runs that came to both occurrences."""
LARGEST_POWER = 4.0


@dataclass(frozen=True, eq=False)
class Pilot:
    """Runs with a replaced pair among the cells.

    Attributes:
        cell, way: int64 (n,). weights, values: float (n,), w, and o relative to the mean of the background.
        sites: int64 (n, 2), of the earlier and of the later occurrence, 0 where a run did not come to it.
    """

    cell: Ints
    way: Ints
    weights: Floats
    values: Floats
    sites: Ints

    @classmethod
    def joined(cls, pilots: Sequence[Pilot]) -> Pilot:
        """Return all runs of some pilots, which may be none."""
        nothing = np.zeros(0, dtype=np.int64)
        start = cls(nothing, nothing, np.zeros(0), np.zeros(0), nothing.reshape(0, 2))
        each = [(p.cell, p.way, p.weights, p.values, p.sites) for p in (start, *pilots)]
        cell, way, weights, values, sites = (np.concatenate(column) for column in zip(*each, strict=True))
        return cls(cell, way, weights, values, sites)


def sites_of_occurrences(cells: Cells, terms: PairTerms, most: int, pilot: Pilot) -> Floats:
    """How likely occurrences are at sites, float (most, sites + 1).

    Without a loop an occurrence is at the site with its number until runs say otherwise; with one it may be
    at any, as often as others were: also behind the loop, where it follows any number of occurrences.
    """
    found = np.zeros((most, terms.sites + 1))
    for occurrence, site in (
        (np.minimum(cells.k, cells.l)[pilot.cell], pilot.sites[:, 0]),
        (cells.later[pilot.cell], pilot.sites[:, 1]),
    ):
        came = site > 0
        np.add.at(found, (occurrence[came] - 1, site[came]), 1.0)
    if terms.endless:
        usual = found[:, 1:].sum(axis=0) + 1.0
        found[:, 1:] += usual / usual.sum()
    else:
        places = np.arange(min(most, terms.sites))
        found[places, places + 1] += 1.0
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), 1.0))


def growth_of_weights(cells: Cells, squared: Floats, pilot: Pilot) -> tuple[float, float]:
    """Return α and β of |w| ∝ k^α l^β, for coefficients that read counters, such as those of an angle t·c."""
    hit = np.flatnonzero(pilot.weights)
    if not len(hit):
        return 0.0, 0.0
    cell = pilot.cell[hit]
    logs = np.log(np.stack([cells.k[cell], cells.l[cell]], axis=1))
    logs = logs - logs.mean(axis=0)
    read = np.log(pilot.weights[hit] ** 2 / squared[cell, pilot.way[hit]]) / 2
    # Few runs, or all at one occurrence, show no growth.
    found = np.linalg.solve(logs.T @ logs + np.eye(2), logs.T @ read)
    first, second = np.clip(found, -LARGEST_POWER, LARGEST_POWER).tolist()
    return first, second


def baselines_of(cells: Cells, most: int, pilot: Pilot, squares: Floats) -> tuple[float, Floats]:
    """Return the b that make Σ w² (o - b)² least, relative to the background: of late cells, and of each.

    Each is drawn to that of the cells with the same later occurrence, and these to a line through all.

    Args:
        squares: float (n,), w² beside what is usual for the cell and the way.
    """
    later = cells.later - 1
    total, hits = float(squares.sum()), np.count_nonzero(squares)
    if not hits:
        return 0.0, np.zeros(len(cells))
    usual = AS_HITS * total / hits
    ww, wwo = (np.bincount(pilot.cell, each, len(cells)) for each in (squares, squares * pilot.values))
    given, seen = np.bincount(later, wwo, most), np.bincount(later, ww, most)
    middle, mean = float(seen @ np.arange(most)) / total, float(given.sum()) / total
    m = np.minimum(np.arange(most), np.flatnonzero(seen)[-1]) - middle
    spread = float(seen @ m**2)
    slope = float((given - mean * seen) @ m) / spread if spread > 0 else 0.0
    noise = float(squares @ (pilot.values - mean) ** 2) / hits
    # A slope within two standard errors is none.
    line = mean + slope * max(1 - 4 * noise / max(slope**2 * spread, 1e-300), 0.0) * m
    of_later = (given + usual * line) / (seen + usual)
    return float(line[-1]), (wwo + usual * of_later[later]) / (ww + usual)
