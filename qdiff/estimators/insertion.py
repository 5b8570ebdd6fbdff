"""Randomised insertion: one occurrence, drawn at random, is replaced in each run.

    X = w · o / (μ(K) q(J)),     K ~ μ, J ~ q;   0 where the run ends before occurrence K;   E[X] = ∂f/∂θ

The host draws (K, J), or a coin inside the program does (`draw="program"`). Where K is beyond the
backend's step limit nothing runs: X = 0, and the shot counts as spent. *Adaptive*: a pilot of unmodified
runs, a tenth of the shots or LARGEST_PILOT, learns μ(k) ∝ √m_k, m_k the second moment of o on runs with k
occurrences and more, over a heavy-tailed floor.
Source: Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError, did_you_mean, listed
from qdiff.estimators.contributions import Contribution, Drawn
from qdiff.estimators.groups import weight_of
from qdiff.estimators.hazards import hazard_reason, lived, nothing_lived
from qdiff.estimators.method import Estimator
from qdiff.estimators.occurrence_laws import Geometric, LogPower, Mixture, OccurrenceLaw, Zipf
from qdiff.estimators.pilot import Profile, profile_of
from qdiff.estimators.problem import Problem
from qdiff.estimators.replaced_runs import BLOCK, Block, Rendering, ReplacedRuns, Rows
from qdiff.estimators.rounds import Round
from qdiff.estimators.shares import shared_out
from qdiff.estimators.strata import StrataMoments
from qdiff.estimators.survival import ENOUGH_ALIKE, ENOUGH_LONGER, LEAST_RUNS, TOO_FEW, Survival
from qdiff.estimators.tally import Tally
from qdiff.estimators.term_laws import TermLaw
from qdiff.rules.registry import DEFAULT_RULE, checked_name
from qdiff.rules.self_contained import SelfContained
from qdiff.sim.seeds import derived_seed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LAWS = ("log-power", "geometric", "zipf", "adaptive")
IN_PROGRAM = ("log-power", "geometric")
PILOT = 0.1
LARGEST_PILOT = 2000
FLOOR = 0.05
"""The floor's share of an adaptive law."""
FEW = 40
"""Runs of a pilot at least; with fewer shots than ten times that the law stays the floor."""


@dataclass(frozen=True)
class Insertion(Estimator):
    """The randomised estimator of Fang, Ying and Wu: any rule, any law, unbiased.

    Args:
        mu: the law of the occurrence: "log-power" (as published), "geometric", "zipf", or "adaptive".
        rule: as `qd.differentiate` takes it; "shift-paper" has the published terms.
        delta: δ of the log-power law (the floor of "adaptive"). hazard: of the geometric one, in (0, 1).
            power: of Zipf's law, above 1.
        draw: "host" draws before a run; "program" by a coin inside it, for the first two laws.

    Raises:
        QdiffError: an unknown law, rule or way to draw, or a number out of range.

    Example:
        >>> import qdiff as qd
        >>> qd.Insertion(mu="geometric", hazard=0.3)
        Insertion(mu='geometric', rule='shift', delta=0.25, hazard=0.3, power=1.5, draw='host')
    """

    mu: str = "log-power"
    rule: str = DEFAULT_RULE
    delta: float = 0.25
    hazard: float = 0.5
    power: float = 1.5
    draw: Literal["host", "program"] = "host"

    name: ClassVar[str] = "insertion"

    def __post_init__(self) -> None:
        if self.mu not in LAWS:
            hint = did_you_mean(self.mu, LAWS) if isinstance(self.mu, str) else ""
            raise QdiffError(f"mu is one of {listed(LAWS)}, not {self.mu!r}. {hint}".rstrip())
        checked_name(self.rule)
        for name in ("delta", "hazard", "power"):
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int | float | np.integer | np.floating):
                raise QdiffError(f"{name} is a number, got {given!r}.")
        self.law()
        if self.draw not in ("host", "program"):
            raise QdiffError(f'draw is "host" or "program", not {self.draw!r}.')
        if self.draw == "program" and self.mu not in IN_PROGRAM:
            raise QdiffError(
                f"A program's own coin follows the laws {listed(IN_PROGRAM)}, not {self.mu!r}: use one of "
                'them, or draw="host".'
            )

    def law(self) -> OccurrenceLaw:
        """Return μ; of "adaptive" the floor."""
        match self.mu:
            case "geometric":
                return Geometric(self.hazard)
            case "zipf":
                return Zipf(self.power)
            case _:
                return LogPower(self.delta)

    def on(self, problem: Problem) -> InsertionRounds:
        """See `Estimator.on`."""
        return InsertionRounds(self, problem)


@dataclass(frozen=True, eq=False)
class InsertionRounds:
    """`Insertion` at work."""

    estimator: Insertion
    problem: Problem

    name = "insertion"

    @cached_property
    def channels(self) -> list[tuple[str, ReplacedRuns, int]]:
        """(parameter, runs, group) of all that has shots of its own."""
        made = self.estimator
        law = None
        if made.draw == "program":
            law = (made.mu, made.delta if made.mu == "log-power" else made.hazard)
        found = []
        for parameter in self.problem.wrt:
            runs = ReplacedRuns(self.problem, Rendering((parameter,), made.rule, law))
            found += [(parameter, runs, g) for g in range(len(runs.groups))] if runs.sites else []
        return found

    @property
    def least(self) -> int:
        """Two for each channel."""
        return 2 * len(self.channels)

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """See `Rounds.round`."""
        channels = self.channels
        size = self.problem.size
        if not channels:
            return Round.nothing(size)
        weights = _weights(channels)
        pilots = np.zeros(len(channels), dtype=np.int64)
        profiles: list[Profile | None] = [None] * len(channels)
        if learned is not None:
            profiles = self._remembered(learned)
        elif self.estimator.mu == "adaptive" and PILOT * shots >= FEW * len(channels):
            pilots = shared_out(min(int(PILOT * shots), LARGEST_PILOT * len(channels)), weights)
            for c, (_, runs, group) in enumerate(channels):
                profiles[c] = profile_of(runs, group, int(pilots[c]), derived_seed(seed, c, 1))
        main = shared_out(shots - int(pilots.sum()), weights)
        tally = Tally(size)
        lives: dict[str, Survival] = {}
        contributions: list[Contribution] = []
        for c, (parameter, runs, group) in enumerate(channels):
            law = self.estimator.law()
            if (profile := profiles[c]) is not None:
                law = Mixture(tuple(profile.roots.tolist()), law, FLOOR)
            moments, drawn, lost, note, seen = self._run(
                runs, group, int(main[c]), derived_seed(seed, c), law
            )
            at = self.problem.places(parameter)
            tally.add(moments, at)
            tally.heard(lost, note)
            contributions += drawn.contributions(int(main[c]), parameter, at.tolist())
            lives[parameter] = lives[parameter].joined(seen) if parameter in lives else seen
        known = tuple(profiles) if any(profile is not None for profile in profiles) else None
        return tally.round(
            shots,
            contributions=tuple(contributions),
            learned=known,
            exact=self.problem.exact(name for name, *_ in channels),
            reasons=self._reasons(lives, shots // len(channels)),
        )

    def _remembered(self, learned: object) -> list[Profile | None]:
        """The profiles of an earlier round.

        Raises:
            QdiffError: they are of another problem, or this law learns nothing.
        """
        if self.estimator.mu != "adaptive":
            mu = self.estimator.mu
            raise QdiffError(
                f'warm is an estimate by mu="adaptive", which taught nothing that mu="{mu}" can use.'
            )
        profiles = list(learned) if isinstance(learned, tuple) else []
        known = all(profile is None or isinstance(profile, Profile) for profile in profiles)
        if not known or len(profiles) != len(self.channels):
            raise QdiffError("warm is an estimate of other derivatives: it has learned nothing about these.")
        return profiles

    def _run(
        self, runs: ReplacedRuns, group: int, shots: int, seed: int, law: OccurrenceLaw
    ) -> tuple[StrataMoments, Drawn, int, str, Survival]:
        """Moments of X, by occurrence too, runs that were cut, a note, and how runs went on."""
        random = np.random.default_rng([seed, 1])
        terms = TermLaw.of(runs.sites, self.problem.params)
        under_way: deque[tuple[Ints | None, Floats | float]] = deque()
        ran = 0

        def drawn() -> Iterator[Block]:
            nonlocal ran
            for begun in range(0, shots, BLOCK):
                number = min(BLOCK, shots - begun)
                inputs: tuple[Ints, ...] = ()
                k: Ints | None = None
                scale: Floats | float = 1.0
                if self.estimator.draw == "host":
                    k = law.draw(random.random(number), runs.cut)
                    k = k[k > 0]
                    j = terms.draw(random, len(k))
                    number, inputs = len(k), (k, j)
                    scale = 1 / (law.mass(k.astype(float)) * terms.mass(j))
                if number:
                    under_way.append((k, scale))
                    yield Block(group, number, seed, ran, inputs)
                    ran += number

        moments, cut, note = StrataMoments.none(1, len(self.problem.observables)), 0, ""
        looped = isinstance(law, Geometric) or any(site.looped for site in runs.sites)
        seen, each = nothing_lived(), Drawn.none(len(self.problem.observables))
        for rows in runs.run(drawn()):
            k, scale = under_way.popleft()
            x = (rows.weights * scale)[:, None] * rows.values
            moments += StrataMoments.of(x, *_one(len(x)))
            each += Drawn.of(_replaced(runs, rows) if k is None else k, x)
            cut, note = cut + int(rows.cut.sum()), note or rows.note
            if looped:
                seen = seen.joined(lived(runs, rows, k))
        never = np.zeros((shots - ran, len(self.problem.observables)))
        moments += StrataMoments.of(never, *_one(len(never)))
        return moments, each, cut, note, seen

    def _reasons(self, lives: Mapping[str, Survival], shots: int) -> tuple[str, ...]:
        """Why intervals are not to be trusted: few runs, few long ones, a hazard that is too large."""
        sites = {parameter: runs.sites for parameter, runs, _ in self.channels}
        looped = [name for name in lives if any(site.looped for site in sites[name])]
        if looped and shots < LEAST_RUNS:
            return (TOO_FEW.format(runs=shots),)
        for name in looped:
            longer, tried = lives[name].longer
            # Where none was tried, no run ended before its occurrence.
            alike = longer == 0 and (tried == 0 or tried >= ENOUGH_ALIKE)
            if longer < ENOUGH_LONGER and not alike:
                return (
                    f"only {longer} of {tried} runs had more occurrences of `{name}` than others, "
                    f"{ENOUGH_LONGER} would show what these contribute: use more shots",
                )
        if self.estimator.mu != "geometric":
            return ()
        hazard = self.estimator.hazard
        found = [hazard_reason(name, sites[name], seen, hazard) for name, seen in lives.items()]
        return tuple(filter(None, found))


def _replaced(runs: ReplacedRuns, rows: Rows) -> Ints:
    """The occurrence that a coin in the program chose, 0 where it chose none."""
    assert isinstance(runs.rendered, SelfContained)
    k = rows.counters[:, runs.column(runs.rendered.occurrence)]
    return np.where(rows.weights != 0, k, 0)


def _one(number: int) -> tuple[Ints, int]:
    return np.zeros(number, dtype=np.int64), 1


def _weights(channels: list[tuple[str, ReplacedRuns, int]]) -> list[float]:
    """How the shots are shared: as those of the value, the same for each parameter."""
    return [float(weight_of(runs.groups[group])) for _, runs, group in channels]
