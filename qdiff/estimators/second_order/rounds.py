"""Second derivatives from shots: Hessians, and their products with vectors.

    ∂²f/∂θ_a∂θ_b = Σ_{(k,l)} Σ_t E[w (o - b)]        (`qdiff.rules.second_order`)

Each entry a ≤ b has runs of its own, in which an occurrence is replaced for θ_a and one for θ_b; the result
is a linear function of the entries, with the covariance that follows. A pilot, a tenth of the shots and kept
apart from the estimate, learns how large the contributions are; the rest is shared out by Neyman's rule over
all entries (`designs`). Source: Neyman, "On the two different aspects of the representative method"
(1934).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.problem import Problem
from qdiff.estimators.replaced_runs import Rendering, ReplacedRuns
from qdiff.estimators.rounds import Round
from qdiff.estimators.second_order.background import MOST_LISTED, background_of, unknown
from qdiff.estimators.second_order.designs import LEAST, PairChannel, designed
from qdiff.estimators.second_order.entries import Entry
from qdiff.estimators.second_order.pilots import Pilot
from qdiff.estimators.second_order.runs import Part, made
from qdiff.estimators.second_order.terms import PairTerms
from qdiff.estimators.shares import shared_out
from qdiff.estimators.survival import ENOUGH
from qdiff.estimators.tally import Tally
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
KEPT = 64
"""Terms of entries at some parameters."""
GRID = 128
"""Pairs of so many occurrences are told apart, or fewer:"""
LARGEST_TABLE, LARGEST_TABLES = 2**18, 2**22
"""Ways to replace pairs that are told apart, in one part and in all."""
OUTGROWN = 4
"""A round that is so many times larger than the one whose pilot taught makes a pilot of its own."""


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
    def parts(self) -> list[Part]:
        """All that has runs of its own; none for an entry that is exactly zero."""
        found: list[Part] = []
        for entry in self.entries:
            runs = ReplacedRuns(self.problem, Rendering(entry.wrt, self.rule))
            assert isinstance(runs.derivative, SecondDerivativeProgram)
            terms = _terms(runs.derivative, tuple(self.problem.params.items()))
            room = min(LARGEST_TABLE, LARGEST_TABLES // (len(self.entries) * len(runs.groups)))
            grid = min(GRID, math.isqrt(room // max(len(terms.apart), len(terms.same), 1)))
            some = [Part(entry, runs, group, terms, grid) for group in range(len(runs.groups))]
            found += [part for part in some if part.exists]
        return found

    @property
    def least(self) -> int:
        """Two for each part; two more where occurrences without a loop are too many to be told apart."""
        return sum(LEAST * (1 + (part.long and not part.terms.endless)) for part in self.parts)

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """See `Rounds.round`."""
        parts, size = self.parts, self.size
        if not parts:
            return Round.nothing(size)
        known, spent = learned, 0
        if not isinstance(known, _Learned) or shots > OUTGROWN * known.shots:
            known, spent = self._piloted(shots, seed)
        tally, exact = Tally(size), np.ones(size, dtype=bool)
        designs = designed(known.channels, shots - spent)
        for c, (part, channel, design) in enumerate(zip(parts, known.channels, designs, strict=True)):
            result = made(part, channel, design, derived_seed(seed, c))
            at, factors = zip(*part.entry.places, strict=True)
            tally.add(result.moments, at, np.array([factors]))
            tally.heard(result.cut, result.note)
            exact[list(at)] = False
        looped = any(part.terms.endless for part in parts)
        few = f"{known.unmodified} pilot runs are too few to show how many occurrences there are"
        reasons = (f"{few}: use more shots",) if looped and known.unmodified < ENOUGH else ()
        return tally.round(shots, learned=known, exact=exact, reasons=reasons)

    def _piloted(self, shots: int, seed: int) -> tuple[_Learned, int]:
        """Return what a pilot teaches, and its shots."""
        parts, budget = self.parts, min(int(PILOT * shots), LARGEST_PILOT)
        looped = [c for c, part in enumerate(parts) if part.terms.endless]
        backgrounds = [
            unknown(0 if part.terms.endless else min(part.terms.sites, MOST_LISTED), part.scale)
            for part in parts
        ]
        if budget < FEW * len(parts):
            return _Learned(tuple(map(Part.channel, parts, backgrounds)), shots, 0), 0
        unmodified = int(UNMODIFIED * budget * len(looped) / len(parts))
        for c, number in zip(looped, _equally(unmodified, len(looped)), strict=True):
            part = parts[c]
            backgrounds[c] = background_of(
                part.runs, part.group, number, derived_seed(seed, c, 1), part.scale
            )
        guessed = list(map(Part.channel, parts, backgrounds))
        designs = designed(guessed, budget - unmodified, pilot=True)
        channels = []
        for c, (part, channel, design) in enumerate(zip(parts, guessed, designs, strict=True)):
            taught = made(part, channel, design, derived_seed(seed, c, 2), teaches=True).taught
            for one in taught:
                backgrounds[c] = backgrounds[c].joined(one.executed, one.ended)
            channels.append(part.channel(backgrounds[c], Pilot.joined([one.pilot for one in taught])))
        return _Learned(tuple(channels), shots, unmodified // max(len(looped), 1)), budget


@dataclass(frozen=True, eq=False)
class _Learned:
    """What is known of each part, the size of the round whose pilot taught it, and its unmodified runs."""

    channels: tuple[PairChannel, ...]
    shots: int
    unmodified: int


@lru_cache(maxsize=KEPT)
def _terms(derivative: SecondDerivativeProgram, params: tuple[tuple[str, float], ...]) -> PairTerms:
    """Return what was found before: `derivative_of` keeps derivatives, too."""
    return PairTerms.of(derivative, dict(params))


def _equally(shots: int, number: int) -> list[int]:
    return shared_out(shots, np.ones(number)).tolist() if number else []
