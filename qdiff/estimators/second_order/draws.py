"""Which pairs the runs of a design replace: those of strata as they come, the others at random.

The shots of a design stand in the order of its strata, then the cells that are drawn, then the pairs beyond.
What a block of them replaces depends on the seed and the block only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.replaced_runs import NOT_REPLACED
from qdiff.estimators.second_order.designs import PairChannel, PairDesign

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Draws:
    """What some runs replace.

    Attributes:
        k, j, l, i: int64 (n,), the inputs of the family.
        cell, way: int64 (n,); cell -1 beyond the cells.
        scale: float (n,), how many pairs of the sum a run stands for, over its probability.
        baselines: float (n,), b. stratum: int64 (n,).
    """

    k: Ints
    j: Ints
    l: Ints  # noqa: E741 (the formula's letter)
    i: Ints
    cell: Ints
    way: Ints
    scale: Floats
    baselines: Floats
    stratum: Ints

    @property
    def inputs(self) -> tuple[Ints, Ints, Ints, Ints]:
        """In the order of the family."""
        return self.k, self.j, self.l, self.i


class Drawing:
    """Draws the pairs of a design."""

    def __init__(self, channel: PairChannel, design: PairDesign) -> None:
        self.channel = channel
        self.design = design
        self._ends = np.cumsum([*design.shots, design.drawn, design.beyond])
        self._law = design.law(channel) if design.drawn else np.zeros((0, 1))

    def draws(self, first: int, end: int, random: np.random.Generator) -> Draws:
        """Return what the shots first … end - 1 replace."""
        channel, design = self.channel, self.design
        stratum = np.searchsorted(self._ends, np.arange(first, end), side="right")
        listed = len(design.shots)
        n = end - first
        cell, way, scale = np.full(n, -1), np.zeros(n, dtype=np.int64), np.ones(n)
        k, l = np.full(n, NOT_REPLACED), np.full(n, NOT_REPLACED)  # noqa: E741
        baselines = np.zeros(n)
        own = np.flatnonzero(stratum < listed)
        cell[own], way[own] = design.cell[stratum[own]], design.way[stratum[own]]
        drawn = np.flatnonzero(stratum == listed)
        if len(drawn):
            chosen = placed(self._law.ravel(), random, len(drawn))
            ways = self._law.shape[1]
            cell[drawn], way[drawn] = design.others[chosen // ways], chosen % ways
            scale[drawn] = 1 / self._law.ravel()[chosen]
        inside = np.flatnonzero(cell >= 0)
        k[inside], l[inside] = channel.cells.k[cell[inside]], channel.cells.l[cell[inside]]
        scale[inside] *= channel.cells.times[cell[inside]]
        baselines[inside] = channel.lesson.baselines[cell[inside]]
        beyond = np.flatnonzero(stratum == listed + 1)
        if len(beyond):
            self._beyond(beyond, (k, l, way, scale, baselines), random)
        j, i = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        for which, terms in ((k == l, channel.terms.same), (k != l, channel.terms.apart)):
            some = np.flatnonzero(which & (k != NOT_REPLACED))
            j[some], i[some] = terms.j[way[some]], terms.i[way[some]]
        return Draws(k, j, l, i, cell, way, scale, baselines, stratum)

    def _beyond(
        self, at: Ints, into: tuple[Ints, Ints, Ints, Floats, Floats], random: np.random.Generator
    ) -> None:
        """Draw pairs beyond the cells; where one is never reached, or counts nothing, none is replaced."""
        channel, (k, l, way, scale, baselines) = self.channel, into  # noqa: E741
        pairs = channel.beyond.draw(random, len(at))
        scale[at] = pairs.inverse
        for which, terms in (
            (pairs.k == pairs.l, channel.terms.same),
            (pairs.k != pairs.l, channel.terms.apart),
        ):
            some = np.flatnonzero(which & (pairs.k > 0))
            if not len(terms):
                continue
            chosen = placed(terms.sizes, random, len(some))
            here = at[some]
            k[here], l[here], way[here] = pairs.k[some], pairs.l[some], chosen
            scale[here] *= terms.total / terms.sizes[chosen]
        baselines[at] = channel.lesson.baseline_beyond(np.maximum(k, l)[at])


def placed(law: Floats, random: np.random.Generator, number: int) -> Ints:
    """Draw places with chances in proportion to a law; none whose chance is 0."""
    some = np.flatnonzero(law)
    heights = np.cumsum(law[some])
    places = np.searchsorted(heights, random.random(number) * heights[-1], side="right")
    return np.asarray(some[np.minimum(places, len(some) - 1)])
