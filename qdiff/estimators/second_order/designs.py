"""How the shots of a Hessian are shared out: strata of pairs, and random draws for all the others.

Neyman: n_h ∝ sd_h over all strata of all entries, an entry counting as often as the result holds it. A cell
(k, l) that deserves a few shots for each way to replace its pair has a stratum for each; the other cells of
an entry are drawn at random, and so are the pairs beyond the cells, so that nothing is truncated:

    X = w (o - b)/q(k, l, j, i),     q ∝ √E[X²] over a floor
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.occurrence_laws import LogPower, Mixture, OccurrenceLaw
from qdiff.estimators.second_order.cells import Beyond, Cells
from qdiff.estimators.second_order.lessons import PairLesson, ways_of
from qdiff.estimators.second_order.terms import PairTerms
from qdiff.estimators.shares import shared_out

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DESERVED = 3
"""Shots that a cell must deserve for each of its ways to have strata."""
LEAST = 2
"""Shots of a stratum."""
FLOOR = 0.1
"""The share of draws that do not follow what was learned."""
SHARES = (0.5, 0.4, 0.1)


@dataclass(frozen=True, eq=False)
class PairChannel:
    """The pairs of one entry in one group, and what is known of them.

    Attributes:
        cells, terms, symmetric: the pairs.
        most: the cells are pairs of the occurrences 1 … most.
        ends: whether no run has more occurrences. cut: no run has more than that in any case.
        weight: how much the entry counts in the result.
    """

    cells: Cells
    terms: PairTerms
    symmetric: bool
    most: int
    ends: bool
    cut: int
    weight: float
    lesson: PairLesson

    @cached_property
    def beyond(self) -> Beyond:
        """The law of pairs beyond the cells."""
        law: OccurrenceLaw = LogPower()
        known = self.lesson.beyond
        if len(known) and known.max() > 0:
            law = Mixture(tuple(known.tolist()), law, FLOOR)
        apart = float(len(self.terms.apart) > 0)
        return Beyond(self.most, law, self.cut, self.lesson.same, apart, self.symmetric)

    @cached_property
    def size_beyond(self) -> float:
        """√E[X²] of a pair that is drawn beyond the cells."""
        known = float(self.lesson.beyond.sum())
        if not len(self.lesson.background.reach):  # nothing is known at all
            known = self.terms.same.total + self.terms.apart.total
        return known / math.sqrt(1 - FLOOR)


@dataclass(frozen=True, eq=False)
class PairDesign:
    """The shots of one channel.

    Attributes:
        cell, way: int64 (H,), the strata. shots: int64 (H,).
        others: int64, the cells that are drawn. drawn: shots for them. beyond: shots for the pairs beyond.
    """

    cell: Ints
    way: Ints
    shots: Ints
    others: Ints
    drawn: int
    beyond: int

    @property
    def strata(self) -> int:
        """Their number, that of the draws included."""
        return len(self.shots) + 2

    @property
    def total(self) -> int:
        """All shots."""
        return int(self.shots.sum()) + self.drawn + self.beyond

    def law(self, channel: PairChannel) -> Floats:
        """Return float (others, T), how likely a draw is a cell and a way."""
        learned = channel.lesson.sizes[self.others]
        flat = ways_of(channel.cells, channel.terms)[self.others]
        flat = flat / (flat.sum(axis=1, keepdims=True) * max(len(flat), 1))
        if not learned.any():
            return np.asarray(flat)
        tempered = np.sqrt(learned)
        parts = (learned / learned.sum(), tempered / tempered.sum(), flat)
        return np.asarray(sum(share * part for share, part in zip(SHARES, parts, strict=True)))


def designed(channels: Sequence[PairChannel], shots: int, pilot: bool = False) -> list[PairDesign]:
    """Share out shots over the strata of all channels; at least two for each channel.

    Args:
        pilot: leave out what lies beyond the cells, where there are cells.
    """
    beyond = [not channel.ends and not (pilot and len(channel.cells) > 0) for channel in channels]
    ends = [c.weight * c.size_beyond * there for c, there in zip(channels, beyond, strict=True)]
    total = sum(c.weight * float(c.lesson.of_cells.sum()) for c in channels) + sum(ends)
    free = max(shots - 2 * LEAST * len(channels), 0)
    found, weights = [], []
    for channel, end, there in zip(channels, ends, beyond, strict=True):
        lesson, ways = channel.lesson, ways_of(channel.cells, channel.terms) > 0
        listed = free * channel.weight * lesson.of_cells > DESERVED * ways.sum(axis=1) * total
        cell, way = np.nonzero(ways & listed[:, None])
        others = np.flatnonzero(~listed)
        rest = float(lesson.sizes[others].sum()) / math.sqrt(SHARES[0])
        weights.append(channel.weight * np.append(lesson.spreads[cell, way], [rest] * (len(others) > 0)))
        weights.append(np.array([end] * there))
        found.append((cell, way, others))
    shared = shared_out(shots, np.concatenate(weights), LEAST)
    each = iter(np.split(shared, np.cumsum([len(some) for some in weights])))
    designs = []
    for cell, way, others in found:
        own, after = next(each), next(each)
        drawn = own[len(cell) :].sum()
        designs.append(PairDesign(cell, way, own[: len(cell)], others, int(drawn), int(after.sum())))
    return designs
