"""Second derivatives from shots: Hessians, and their products with vectors.

    ∂²f/∂θ_a∂θ_b = Σ_{(k,l)} Σ_t E[w (o - b)]        (`qdiff.rules.second_order`)

Each entry a ≤ b has runs of its own, in which an occurrence is replaced for θ_a and one for θ_b; the result
is a linear function of the entries, with the covariance that follows. A pilot, a tenth of the shots and kept
apart from the estimate, learns how large the contributions are; the rest is shared out by Neyman's rule over
all entries (`pair_designs`). Source: Neyman, "On the two different aspects of the representative method"
(1934).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.background import MOST_LISTED, Background, background_of, unknown
from qdiff.estimators.pair_cells import cells_up_to
from qdiff.estimators.pair_designs import LEAST, PairChannel, PairDesign, designed
from qdiff.estimators.pair_draws import Drawing, Draws
from qdiff.estimators.pair_lessons import Pilot, lesson_of
from qdiff.estimators.pair_terms import PairTerms
from qdiff.estimators.problem import Problem
from qdiff.estimators.replaced_runs import BLOCK, Block, Rendering, ReplacedRuns, Rows
from qdiff.estimators.rounds import Round
from qdiff.estimators.shares import shared_out
from qdiff.estimators.strata import StrataMoments
from qdiff.rules.registry import DEFAULT_RULE
from qdiff.rules.second_order import SecondDerivativeProgram
from qdiff.sim.seeds import derived_seed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PILOT = 0.1
UNMODIFIED = 0.4
"""Of a pilot's shots: runs without a replacement."""
FEW = 8
"""Shots of a channel's pilot at least; with fewer there is none."""
LARGEST_PILOT = 2**20
GRID = 128
"""Pairs of so many occurrences are told apart, or fewer:"""
LARGEST_TABLE, LARGEST_TABLES = 2**18, 2**22
"""Ways to replace pairs that are told apart, in one part and in all."""
OUTGROWN = 4
"""A round that is so many times larger than the one whose pilot taught makes a pilot of its own."""


@dataclass(frozen=True)
class Entry:
    """An entry of a Hessian, and where a result holds it.

    Attributes:
        wrt: the two parameters. places: of the result, with the factors there.
    """

    wrt: tuple[str, str]
    places: tuple[tuple[int, float], ...]

    @property
    def weight(self) -> float:
        """√(Σ factor²): how much its variance counts in the sum of all variances."""
        return float(np.sqrt(sum(factor**2 for _, factor in self.places)))


def entries_of_hessian(wrt: Sequence[str]) -> tuple[Entry, ...]:
    """Return the entries a ≤ b of a result (d, d)."""
    d = len(wrt)
    return tuple(
        [
            Entry((wrt[a], wrt[b]), tuple([(place, 1.0) for place in sorted({a * d + b, b * d + a})]))
            for a in range(d)
            for b in range(a, d)
        ]
    )


def entries_of_product(wrt: Sequence[str], v: Sequence[float]) -> tuple[Entry, ...]:
    """Return the entries a ≤ b that H v holds, a result (d,)."""
    found = []
    for a in range(len(wrt)):
        for b in range(a, len(wrt)):
            places = {a: float(v[b]), b: float(v[a])}
            there = tuple([(place, factor) for place, factor in places.items() if factor])
            found += [Entry((wrt[a], wrt[b]), there)] if there else []
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Part:
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
class SecondOrderRounds:
    """Estimates a linear function of a Hessian.

    Args:
        problem: with one observable.
        entries: of the Hessian. size: of the result.
        rule: as `qd.differentiate` takes it.
    """

    problem: Problem
    entries: tuple[Entry, ...]
    size: int
    rule: str = DEFAULT_RULE

    name = "second-order"

    @cached_property
    def parts(self) -> list[_Part]:
        """All that has runs of its own; none for an entry that is exactly zero."""
        found: list[_Part] = []
        for entry in self.entries:
            runs = ReplacedRuns(self.problem, Rendering(entry.wrt, self.rule))
            assert isinstance(runs.derivative, SecondDerivativeProgram)
            terms = PairTerms.of(runs.derivative, self.problem.params)
            room = min(LARGEST_TABLE, LARGEST_TABLES // (len(self.entries) * len(runs.groups)))
            grid = min(GRID, math.isqrt(room // max(len(terms.apart), len(terms.same), 1)))
            some = [_Part(entry, runs, group, terms, grid) for group in range(len(runs.groups))]
            found += [part for part in some if part.exists]
        return found

    @property
    def least(self) -> int:
        """Two for each part; two more where occurrences without a loop are too many to be told apart."""
        return sum(LEAST * (1 + (part.long and not part.terms.endless)) for part in self.parts)

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """See `Rounds.round`."""
        parts, size = self.parts, self.size
        value, third, squares = np.zeros(size), np.zeros(size), np.zeros(size)
        covariance, exact = np.zeros((size, size)), np.ones(size, dtype=bool)
        if not parts:
            return Round(value, covariance, third, np.full(size, np.inf), 0)
        known, spent = learned, 0
        if not isinstance(known, _Learned) or shots > OUTGROWN * known.shots:
            known, spent = self._piloted(shots, seed)
        cut, notes = 0, []
        designs = designed(known.channels, shots - spent)
        for c, (part, channel, design) in enumerate(zip(parts, known.channels, designs, strict=True)):
            result = _run(part, channel, design, derived_seed(seed, c))
            moments = result.moments
            variances = moments.covariance_of_mean[:, 0, 0]
            doubt = float((variances**2 / np.maximum(moments.number - 1, 1)).sum())
            for place, factor in part.entry.places:
                exact[place] = False
                value[place] += factor * moments.mean.sum()
                third[place] += factor**3 * moments.third_of_mean.sum()
                squares[place] += factor**4 * doubt
                for other, its in part.entry.places:
                    covariance[place, other] += factor * its * variances.sum()
            cut += result.cut
            notes += [result.note] if result.note else []
        total = np.diag(covariance)
        with np.errstate(divide="ignore", invalid="ignore"):
            degrees = np.where(squares > 0, total**2 / squares, np.inf)
        return Round(
            value, covariance, third, degrees, shots, cut, learned=known, exact=exact, notes=tuple(notes)
        )

    def _piloted(self, shots: int, seed: int) -> tuple[_Learned, int]:
        """Return what a pilot teaches, and its shots."""
        parts, budget = self.parts, min(int(PILOT * shots), LARGEST_PILOT)
        looped = [c for c, part in enumerate(parts) if part.terms.endless]
        backgrounds = [
            unknown(0 if part.terms.endless else min(part.terms.sites, MOST_LISTED), part.scale)
            for part in parts
        ]
        if budget < FEW * len(parts):
            return _Learned(tuple(map(_Part.channel, parts, backgrounds)), shots), 0
        unmodified = int(UNMODIFIED * budget * len(looped) / len(parts))
        for c, number in zip(looped, _equally(unmodified, len(looped)), strict=True):
            part = parts[c]
            backgrounds[c] = background_of(
                part.runs, part.group, number, derived_seed(seed, c, 1), part.scale
            )
        guessed = list(map(_Part.channel, parts, backgrounds))
        designs = designed(guessed, budget - unmodified, pilot=True)
        channels = []
        for c, (part, channel, design) in enumerate(zip(parts, guessed, designs, strict=True)):
            taught = _run(part, channel, design, derived_seed(seed, c, 2), teaches=True).taught
            for one in taught:
                backgrounds[c] = backgrounds[c].joined(one.executed, one.ended)
            channels.append(part.channel(backgrounds[c], Pilot.joined([one.pilot for one in taught])))
        return _Learned(tuple(channels), shots), budget


@dataclass(frozen=True, eq=False)
class _Learned:
    """What is known of each part, and the size of the round whose pilot taught it."""

    channels: tuple[PairChannel, ...]
    shots: int


def _equally(shots: int, number: int) -> list[int]:
    return shared_out(shots, np.ones(number)).tolist() if number else []


@dataclass(frozen=True, eq=False)
class _Taught:
    """What the runs of a pilot teach.

    Attributes:
        executed: int64 (n,), the occurrences of a run up to the later replacement. ended: bool (n,), it did
            not come to that.
    """

    pilot: Pilot
    executed: Ints
    ended: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Result:
    """The moments of X in each stratum, and of a pilot what its runs teach."""

    moments: StrataMoments
    cut: int
    note: str
    taught: tuple[_Taught, ...] = ()


def _run(part: _Part, channel: PairChannel, design: PairDesign, seed: int, teaches: bool = False) -> _Result:
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
    return _Result(moments, cut, note, tuple(taught))


def _taught(part: _Part, channel: PairChannel, draws: Draws, rows: Rows) -> _Taught:
    """Return what runs among the cells teach."""
    names = (*channel.terms.named, part.runs.inputs[0], part.runs.inputs[2])
    inside = np.flatnonzero(draws.cell >= 0)
    site_k, site_l, left_k, left_l = (rows.counters[inside, part.runs.column(name)] for name in names)
    k, l, cell = draws.k[inside], draws.l[inside], draws.cell[inside]  # noqa: E741
    sites = np.stack([np.where(k <= l, site_k, site_l), np.where(k <= l, site_l, site_k)], axis=1)
    left = np.where(k <= l, left_l, left_k)  # of the countdown to the later one, 0 if it was replaced
    later = np.maximum(k, l)
    values = rows.values[inside, 0] - channel.lesson.background.mean[later - 1]
    return _Taught(
        Pilot(cell, draws.way[inside], rows.weights[inside], values, sites), later - left, left > 0
    )
