"""Tables of terms and channels made by hand, for tests of how pairs are listed, drawn and paid for."""

from __future__ import annotations

import numpy as np

from qdiff.estimators.second_order.background import Background, learned_from
from qdiff.estimators.second_order.cells import cells_up_to
from qdiff.estimators.second_order.designs import PairChannel
from qdiff.estimators.second_order.lessons import lesson_of
from qdiff.estimators.second_order.pilots import Pilot
from qdiff.estimators.second_order.terms import PairTerms, Ways

SIZES_FIRST, SIZES_SECOND, SIZES_BOTH = (1.0, 0.4), (0.7, 0.0, 0.2), (0.5, 0.0, 0.3)


def some_terms(
    first: np.ndarray,
    second: np.ndarray,
    both: np.ndarray,
    looped: bool,
    apart: bool = True,
    same: bool = True,
) -> PairTerms:
    """Terms with |coefficient| by site and choice, float (sites + 1, choices); what counts 0 is no way."""

    def ways(j: np.ndarray, i: np.ndarray, sizes: np.ndarray, wanted: bool) -> Ways:
        some = np.flatnonzero(sizes.ravel()) if wanted else np.zeros(0, dtype=np.int64)
        return Ways(j.ravel()[some], i.ravel()[some], sizes.ravel()[some])

    a, b, c = first.max(axis=0), second.max(axis=0), both.max(axis=0)
    j, i = np.meshgrid(np.arange(len(a)), np.arange(len(b)), indexing="ij")
    return PairTerms(
        ways(j, i, np.outer(a, b), apart),
        ways(np.arange(len(c)), np.zeros(len(c), dtype=np.int64), c, same),
        ("of_k", "of_l"),
        first,
        second,
        both,
        np.array([False] + [looped] * (len(first) - 1)),
        False,
    )


def one_site(looped: bool, symmetric: bool = False, apart: bool = True, same: bool = True) -> PairTerms:
    """One site with a few choices of different sizes, some of them 0."""
    first = np.array([[0.0] * len(SIZES_FIRST), SIZES_FIRST])
    second = first if symmetric else np.array([[0.0] * len(SIZES_SECOND), SIZES_SECOND])
    both = np.array([[0.0] * len(SIZES_BOTH), SIZES_BOTH])
    return some_terms(first, second, both, looped, apart, same)


def a_background(most: int, rate: float = 0.6) -> Background:
    """Of runs that go on with a constant chance, and read how long they were."""
    executed = np.random.default_rng(5).geometric(1 - rate, 400) - 1
    found = learned_from(executed, executed.astype(float), 1.0)
    return Background(found.risk[:most], found.ended[:most], found.mean[:most], found.noise[:most])


def a_channel(
    terms: PairTerms, symmetric: bool, grid: int = 3, cut: int = 8, weight: float = 1.0
) -> PairChannel:
    """A channel with cells up to `grid`, no pilot, and runs of at most `cut` occurrences."""
    background = a_background(7)
    cells = cells_up_to(grid, terms, symmetric)
    lesson = lesson_of(cells, terms, grid, background, Pilot.joined([]))
    return PairChannel(cells, terms, symmetric, grid, not terms.endless, cut, weight, lesson)
