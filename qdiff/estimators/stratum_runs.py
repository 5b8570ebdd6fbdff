"""The runs of one parameter in one group of terms: made as a design says, and summed up as they come.

Inputs are drawn and rows are summed a block at a time, so memory does not grow with the shots.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.designs import DRAWN, REST, Channel, Design, drawn_rest
from qdiff.estimators.history import fitted
from qdiff.estimators.lessons import Seen, observed
from qdiff.estimators.replaced_runs import BLOCK, Block, ReplacedRuns
from qdiff.estimators.strata import StrataMoments
from qdiff.estimators.term_laws import TermLaw

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_TERMS = 8
"""Rules with more terms have strata by occurrence only."""
MOST_LEARNED = 2**14
"""Runs of a round that later rounds learn from."""


@dataclass(frozen=True, eq=False)
class Part:
    """One parameter, read in one group: runs of its own."""

    parameter: str
    runs: ReplacedRuns
    group: int
    terms: TermLaw
    looped: bool
    cut: int

    @property
    def drawn(self) -> bool:
        return self.terms.unlisted > 0 or len(self.terms.shares) > MOST_TERMS

    @property
    def shares(self) -> Floats:
        """What |w| is in proportion to, by term."""
        return np.ones(1) if self.drawn else np.array(self.terms.shares)


@dataclass(frozen=True, eq=False)
class Made:
    """What the runs of a design gave.

    Attributes:
        moments: of X in every stratum.
        seen: what some of the runs teach, read with slopes and centres, which leave `unexplained` of the
            variance (`history`).
        extent: float (m,), between which o was in some of the runs, the width.
        cut: runs that the backend cut. note: of the backend.
    """

    moments: StrataMoments
    seen: Seen
    slopes: Floats
    centres: Floats
    unexplained: Floats
    extent: Floats
    cut: int
    note: str


@dataclass(frozen=True, eq=False)
class _Inputs:
    """Of the runs of a block: stratum, occurrence, term, and what w is multiplied with, (n,) each."""

    stratum: Ints
    k: Ints
    j: Ints
    scale: Floats


def made(part: Part, channel: Channel, design: Design, seed: int, fit: bool = False) -> Made:
    """Make the runs of a design.

    Args:
        fit: whether to look for a function of the counters before the occurrence.
    """
    lesson, baselines = channel.lesson, channel.baselines
    most, strata, total = lesson.most, len(design.shots), int(design.shots.sum())
    moments = StrataMoments.none(strata, baselines.shape[1])
    under_way: deque[_Inputs] = deque()

    def blocks() -> Iterator[Block]:
        first = 0
        for inputs in _drawn(channel, design, np.random.default_rng([seed, 1])):
            under_way.append(inputs)
            yield Block(part.group, len(inputs.k), seed, first, (inputs.k, inputs.j))
            first += len(inputs.k)

    stride = -(-total // MOST_LEARNED)
    kept, first, cut, note = [], 0, 0, ""
    column, before = part.runs.column(part.runs.inputs[0]), part.runs.history_columns
    for rows in part.runs.run(blocks()):
        inputs = under_way.popleft()
        at = np.minimum(inputs.k, most) - 1
        values = rows.values
        if lesson.slopes.size:
            values = values - (part.runs.history(rows) - lesson.centres[at]) @ lesson.slopes
        x = (rows.weights * inputs.scale)[:, None] * (values - baselines[at])
        moments += StrataMoments.of(x, inputs.stratum, strata)
        some = slice(-first % stride, None, stride)
        w, j = rows.weights[some], inputs.j[some]
        if part.drawn:  # a lesson is about w with the law of a drawn term in it
            w, j = w / channel.terms.mass(j), np.zeros(len(j), dtype=np.int64)
        history = rows.counters[some][:, before].astype(float)
        kept.append((inputs.k[some], j, rows.counters[some, column], w, values[some], history))
        cut, note, first = cut + int(rows.cut.sum()), note or rows.note, first + len(x)
    ks, js, ls, ws, vs, hs = (np.concatenate(each) for each in zip(*kept, strict=True))
    slopes, centres, unexplained = lesson.slopes, lesson.centres, np.ones(baselines.shape[1])
    if fit:
        found = fitted(ks, ws, vs, hs, most)
        slopes, centres, unexplained = found.slopes, found.centres, found.unexplained
        if slopes.size:
            vs = vs - (hs - centres[np.minimum(ks, most) - 1]) @ slopes
    seen = observed(ks, js, ls, ws, vs, (most, len(lesson.shares)))
    return Made(moments, seen, slopes, centres, unexplained, np.ptp(vs, axis=0), cut, note)


def _drawn(channel: Channel, design: Design, random: np.random.Generator) -> Iterator[_Inputs]:
    """Yield the inputs of all runs, a block at a time, one stratum after the other."""
    ends = np.cumsum(design.shots)
    for first in range(0, int(ends[-1]), BLOCK):
        last = min(first + BLOCK, int(ends[-1]))
        # How many runs of each stratum are in the block.
        share = np.diff(np.clip(ends, first, last), prepend=first).astype(np.int64)
        stratum = np.arange(len(share)).repeat(share)
        k, j, scale = design.k[stratum], design.j[stratum], np.ones(last - first)
        rest = np.flatnonzero(k == REST)
        if len(rest):
            k[rest], j[rest], scale[rest] = drawn_rest(design, channel, random, len(rest))
        drawn = np.flatnonzero(j == DRAWN)
        if len(drawn):
            j[drawn] = channel.terms.draw(random, len(drawn))
            scale[drawn] = 1 / channel.terms.mass(j[drawn])
        yield _Inputs(stratum, k, j, scale)
