"""Stratified insertion with control variates: the default for shots.

    ∂f/∂θ = Σ_k Σ_j E[w (o - b)],     a share of the shots for every (k, j),   b from what came before k

A pilot, a tenth of the shots and kept apart from the estimate, learns how large the contributions are: first
unmodified runs, which tell how many occurrences there are, then runs with replacements, unless an earlier
estimate has taught what those show. Where unmodified runs are too few to tell, intervals are not to be
trusted. The rest is shared out by Neyman's rule (`designs`), occurrences that deserve no stratum are drawn at
random, so that nothing is truncated. b is the best constant of each occurrence; where it pays, a linear
function of the counters before it is added.
Source: Neyman, "On the two different aspects of the representative method" (1934); for the sum over
occurrences Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.estimators.contributions import Contribution
from qdiff.estimators.designs import Channel, Design, designed
from qdiff.estimators.lessons import Lesson, untaught
from qdiff.estimators.method import Estimator
from qdiff.estimators.pilot import Profile, profile_of, without_loops
from qdiff.estimators.problem import Problem
from qdiff.estimators.replaced_runs import Rendering, ReplacedRuns
from qdiff.estimators.rounds import Round
from qdiff.estimators.shares import shared_out
from qdiff.estimators.strata import StrataMoments
from qdiff.estimators.stratum_runs import Part, made
from qdiff.estimators.survival import ENOUGH, ENOUGH_LONGER
from qdiff.estimators.tally import Tally
from qdiff.estimators.term_laws import TermLaw
from qdiff.rules.registry import DEFAULT_RULE, checked_name
from qdiff.sim.seeds import derived_seed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNMODIFIED = 0.5
"""Of a pilot's shots: runs without a replacement."""
RULE_OF_THREE = 3
"""What n runs do not show happens less often than in 3/n of them (95 %)."""
FEW = 8
"""Shots of a channel's pilot at least; with fewer there is none."""


@dataclass(frozen=True)
class Stratified(Estimator):
    """Strata by occurrence and term, Neyman allocation, control variates.

    Args:
        rule: as `qd.differentiate` takes it.
        control: what is subtracted from the outcome of a run that came to its occurrence: "history", a
            constant for each occurrence and a linear function of the counters before it where that pays;
            "constant"; or None.
        pilot: the share of the shots that learns how to spend the others, between 0 and 1.

    Raises:
        QdiffError: an unknown rule or control, a share out of range.
    """

    rule: str = DEFAULT_RULE
    control: Literal["history", "constant"] | None = "history"
    pilot: float = 0.1

    name: ClassVar[str] = "stratified"

    def __post_init__(self) -> None:
        checked_name(self.rule)
        if self.control not in ("history", "constant", None):
            raise QdiffError(f'control is "history", "constant" or None, not {self.control!r}.')
        if not isinstance(self.pilot, int | float) or not 0 < self.pilot < 1:
            raise QdiffError(f"pilot is a share between 0 and 1, got {self.pilot!r}.")

    def on(self, problem: Problem) -> StratifiedRounds:
        """See `Estimator.on`."""
        return StratifiedRounds(self, problem)


@dataclass(frozen=True, eq=False)
class StratifiedRounds:
    """`Stratified` at work."""

    estimator: Stratified
    problem: Problem

    name = "stratified"

    @cached_property
    def parts(self) -> list[Part]:
        """All that has runs of its own; none for a parameter that nothing depends on."""
        found = []
        for parameter in self.problem.wrt:
            runs = ReplacedRuns(self.problem, Rendering((parameter,), self.estimator.rule))
            sites = runs.sites
            if sites:
                terms = TermLaw.of(sites, self.problem.params)
                looped = any(site.looped for site in sites)
                cut = runs.cut if looped else len(sites)
                found += [Part(parameter, runs, g, terms, looped, cut) for g in range(len(runs.groups))]
        return found

    @property
    def least(self) -> int:
        """Two for each part."""
        return 2 * len(self.parts)

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """See `Rounds.round`."""
        parts, size = self.parts, self.problem.size
        if not parts:
            return Round.nothing(size)
        if learned is None:
            lessons, profiles, spent = self._piloted(shots, seed)
        else:
            lessons, profiles, spent = self._renewed(self._remembered(learned), shots, seed)
        channels = [
            Channel(lesson, part.terms, part.drawn, part.cut, self.estimator.control is not None)
            for lesson, part in zip(lessons, parts, strict=True)
        ]
        designs = designed(channels, shots - spent)
        tally, contributions, news, extents = Tally(size), [], [], []
        for c, (part, channel, design) in enumerate(zip(parts, channels, designs, strict=True)):
            result = made(part, channel, design, derived_seed(seed, c))
            moments, at = result.moments, self.problem.places(part.parameter)
            tally.add(moments, at)
            tally.heard(result.cut, result.note)
            contributions += _contributions(part, design, moments, at)
            extents.append(result.extent)
            old = channel.lesson
            news.append(old.taught(result.seen, old.slopes, old.centres, np.ones(len(at))).remembered())
        return tally.round(
            shots,
            contributions=tuple(contributions),
            learned=tuple(news),
            exact=self.problem.exact(part.parameter for part in parts),
            reasons=self._doubts(profiles, channels, extents, np.sqrt(np.diag(tally.covariance))),
        )

    def _doubts(
        self,
        profiles: Sequence[Profile],
        channels: Sequence[Channel],
        extents: Sequence[Floats],
        stderr: Floats,
    ) -> tuple[str, ...]:
        """What the pilot may not have seen of occurrences in loops."""
        found = []
        looped = [c for c, part in enumerate(self.parts) if part.looped]
        for parameter in dict.fromkeys(self.parts[c].parameter for c in looped):
            own = [c for c in looped if self.parts[c].parameter == parameter]
            runs, longer = (sum(getattr(profiles[c], what) for c in own) for what in ("runs", "longer"))
            if runs < ENOUGH:
                enough = math.ceil(ENOUGH * len(looped) / len(own) / (UNMODIFIED * self.estimator.pilot))
                found.append(
                    f"{runs} pilot runs are too few to show how many occurrences of `{parameter}` there are: "
                    f"use {enough} shots or more"
                )
            elif 0 < longer < ENOUGH_LONGER:
                found.append(
                    f"only {longer} of {runs} pilot runs had more occurrences of `{parameter}` than others, "
                    f"{ENOUGH_LONGER} would show what these contribute: use more shots"
                )
            elif not longer:
                weights = [float(np.sqrt(channels[c].lesson.square).sum(axis=1).max()) for c in own]
                moved = sum(weight * extents[c] for weight, c in zip(weights, own, strict=True))
                shift = RULE_OF_THREE / runs * moved
                if np.any(shift > stderr[self.problem.places(parameter)]):
                    found.append(
                        f"all of {runs} pilot runs had equally many occurrences of `{parameter}`: one that "
                        f"has more could move the value by {np.max(shift):.2g}, more than the standard "
                        "error: use more shots"
                    )
        return tuple(found)

    # --- The pilot ---

    def _piloted(self, shots: int, seed: int) -> tuple[list[Lesson], list[Profile], int]:
        parts, columns = self.parts, len(self.problem.observables)
        budget = min(int(self.estimator.pilot * shots), shots - self.least)
        profiles = [without_loops(min(part.cut, 2**12), columns) for part in parts]
        looped = [c for c, part in enumerate(parts) if part.looped]
        if budget < FEW * len(parts):
            for c in looped:
                profiles[c] = without_loops(1, columns)
            lessons = [untaught(profile, part.shares) for part, profile in zip(parts, profiles, strict=True)]
            return lessons, profiles, 0
        unmodified = max(int(UNMODIFIED * budget), 2 * len(looped)) if looped else 0
        self._profile(profiles, looped, unmodified, seed)
        before = [untaught(profile, part.shares) for part, profile in zip(parts, profiles, strict=True)]
        channels = [
            Channel(lesson, part.terms, part.drawn, part.cut, True)
            for lesson, part in zip(before, parts, strict=True)
        ]
        lessons = []
        for c, (part, channel, design) in enumerate(
            zip(parts, channels, designed(channels, budget - unmodified), strict=True)
        ):
            result = made(
                part, channel, design, derived_seed(seed, c, 2), self.estimator.control == "history"
            )
            lessons.append(
                channel.lesson.taught(result.seen, result.slopes, result.centres, result.unexplained)
            )
        return lessons, profiles, budget

    def _renewed(
        self, lessons: list[Lesson], shots: int, seed: int
    ) -> tuple[list[Lesson], list[Profile], int]:
        """Look again at how many occurrences there are: that changes most from parameters to parameters."""
        looped = [c for c, part in enumerate(self.parts) if part.looped]
        budget = min(int(UNMODIFIED * self.estimator.pilot * shots), shots - self.least)
        profiles = [without_loops(1, len(self.problem.observables)) for _ in lessons]
        if not looped or budget < FEW * len(looped):
            return lessons, profiles, 0
        self._profile(profiles, looped, budget, seed)
        for c in looped:
            lessons[c] = lessons[c].renewed(profiles[c])
        return lessons, profiles, budget

    def _profile(self, profiles: list[Profile], looped: list[int], shots: int, seed: int) -> None:
        """Make unmodified runs for the parts with loops."""
        for c, n in zip(looped, shared_out(shots, np.ones(len(looped))) if looped else [], strict=True):
            profiles[c] = profile_of(
                self.parts[c].runs, self.parts[c].group, int(n), derived_seed(seed, c, 1)
            )

    def _remembered(self, learned: object) -> list[Lesson]:
        """The lessons of an earlier round.

        Raises:
            QdiffError: they are of another problem.
        """
        parts, columns = self.parts, len(self.problem.observables)
        lessons = list(learned) if isinstance(learned, tuple) else []
        fits = len(lessons) == len(parts) and all(
            isinstance(lesson, Lesson)
            and len(lesson.shares) == len(part.shares)
            and len(lesson.spread) == columns
            and len(lesson.slopes) in (0, len(part.runs.history_columns))
            for lesson, part in zip(lessons, parts, strict=True)
        )
        if not fits:
            raise QdiffError("warm is an estimate of other derivatives: it has learned nothing about these.")
        if self.estimator.control == "history":
            return lessons
        return [
            replace(lesson, slopes=np.zeros((0, columns)), centres=np.zeros((lesson.most, 0)))
            for lesson in lessons
        ]


def _contributions(part: Part, design: Design, moments: StrataMoments, at: Ints) -> list[Contribution]:
    """Sums over the terms of each occurrence."""
    occurrence, which = np.unique(design.k, return_inverse=True)
    shots = np.bincount(which, design.shots).astype(np.int64)
    found = []
    for i, place in enumerate(at.tolist()):
        value = np.asarray(np.bincount(which, moments.mean[:, i]), dtype=float)
        variance = np.asarray(np.bincount(which, moments.covariance_of_mean[:, i, i]), dtype=float)
        found.append(Contribution(place, part.parameter, occurrence, value, np.sqrt(variance), shots))
    return found
