"""The runs of one entry of a Hessian in one group: made by a design, or to teach."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.replaced_runs import BLOCK, Block, ReplacedRuns, Rows
from qdiff.estimators.second_order.background import Background
from qdiff.estimators.second_order.cells import cells_up_to
from qdiff.estimators.second_order.designs import PairChannel, PairDesign
from qdiff.estimators.second_order.draws import Drawing, Draws
from qdiff.estimators.second_order.entries import Entry
from qdiff.estimators.second_order.lessons import lesson_of
from qdiff.estimators.second_order.pilots import Pilot
from qdiff.estimators.second_order.terms import PairTerms
from qdiff.estimators.strata import StrataMoments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """One entry, read in one group: runs of its own.

    Attributes:
        grid: pairs of so many occurrences are told apart.
    """

    entry: Entry
    runs: ReplacedRuns
    group: int
    terms: PairTerms
    grid: int

    @property
    def symmetric(self) -> bool:
        return self.entry.wrt[0] == self.entry.wrt[1]

    @cached_property
    def scale(self) -> float:
        """How large what a run reads may be, beside counters."""
        return sum(abs(complex(term.coefficient)) for _, term in self.runs.groups[self.group]) or 1.0

    @property
    def long(self) -> bool:
        """Whether there are more occurrences than are told apart."""
        return self.terms.endless or self.terms.sites > self.grid

    @cached_property
    def exists(self) -> bool:
        """Whether a pair can be replaced."""
        cells = cells_up_to(min(self.terms.sites, self.grid), self.terms, self.symmetric)
        return self.terms.exist and (self.long or len(cells) > 0)

    def channel(self, background: Background, pilot: Pilot | None = None) -> PairChannel:
        """What is known after a pilot, or before any."""
        most = min(background.most, self.grid)
        cells = cells_up_to(most, self.terms, self.symmetric)
        lesson = lesson_of(cells, self.terms, most, background, pilot or Pilot.joined([]))
        cut = self.runs.cut if self.terms.endless else self.terms.sites
        weight = self.entry.weight
        return PairChannel(cells, self.terms, self.symmetric, most, not self.long, cut, weight, lesson)


@dataclass(frozen=True, eq=False)
class Taught:
    """What the runs of a pilot teach.

    Attributes:
        executed: int64 (n,), the occurrences of a run up to the later replacement. ended: bool (n,), it did
            not come to that.
    """

    pilot: Pilot
    executed: Ints
    ended: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Result:
    """The moments of X in each stratum, and of a pilot what its runs teach."""

    moments: StrataMoments
    cut: int
    note: str
    taught: tuple[Taught, ...] = ()


def made(part: Part, channel: PairChannel, design: PairDesign, seed: int, teaches: bool = False) -> Result:
    """Make the runs of a design."""
    drawing, waiting = Drawing(channel, design), deque[Draws]()

    def tasks() -> Iterator[Block]:
        for number, first in enumerate(range(0, design.total, BLOCK)):
            end = min(first + BLOCK, design.total)
            waiting.append(drawing.draws(first, end, np.random.default_rng([seed, number])))
            yield Block(part.group, end - first, seed, first, waiting[-1].inputs)

    moments = StrataMoments.none(design.strata, 1)
    cut, note, taught = 0, "", []
    for rows in part.runs.run(tasks()):
        draws = waiting.popleft()
        x = draws.scale * rows.weights * (rows.values[:, 0] - draws.baselines)
        moments += StrataMoments.of(x[:, None], draws.stratum, design.strata)
        cut, note = cut + int(rows.cut.sum()), note or rows.note
        if teaches:
            taught.append(_taught(part, channel, draws, rows))
    return Result(moments, cut, note, tuple(taught))


def _taught(part: Part, channel: PairChannel, draws: Draws, rows: Rows) -> Taught:
    """Return what runs among the cells teach."""
    names = (*channel.terms.named, part.runs.inputs[0], part.runs.inputs[2])
    inside = np.flatnonzero(draws.cell >= 0)
    site_k, site_l, left_k, left_l = (rows.counters[inside, part.runs.column(name)] for name in names)
    k, l, cell = draws.k[inside], draws.l[inside], draws.cell[inside]  # noqa: E741
    sites = np.stack([np.where(k <= l, site_k, site_l), np.where(k <= l, site_l, site_k)], axis=1)
    left = np.where(k <= l, left_l, left_k)  # of the countdown to the later one, 0 if it was replaced
    later = np.maximum(k, l)
    values = rows.values[inside, 0] - channel.lesson.background.mean[later - 1]
    return Taught(Pilot(cell, draws.way[inside], rows.weights[inside], values, sites), later - left, left > 0)
