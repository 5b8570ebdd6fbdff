"""How shots are shared out over strata (occurrence, term), and what the rest is drawn from.

Neyman: n_h ∝ sd_h over all strata of all parameters and groups, which makes the sum of the variances of all
derivatives least. An occurrence that would get fewer than a few shots has no stratum: all such, and those
beyond what was seen, are drawn at random,

    K ~ ν,  J ~ q,   X = w (o - b_K)/(ν(K) q(J)),

so that nothing is truncated. ν follows √E[X²], over a floor with a heavy tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.lessons import Lesson
from qdiff.estimators.occurrence_laws import Mixture, Pareto
from qdiff.estimators.shares import shared_out
from qdiff.estimators.term_laws import TermLaw

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST = 4
"""Shots that an occurrence must deserve, for each of its terms, to have strata of its own."""
LEAST_OF_STRATUM = 2
LEAST_OF_REST = 8
SHARE_OF_REST = 0.02
"""Of all shots, shared by the rests: what was never seen may be there."""
FLOOR = 0.1
REST = 0
"""The occurrence that stands for all that have no stratum."""
DRAWN = -1
"""The term that stands for all where each run draws its own."""


@dataclass(frozen=True, eq=False)
class Channel:
    """What is known of the runs of one parameter in one group before they are made.

    Attributes:
        lesson: moments by occurrence and term, or by occurrence where `terms` draws the term.
        terms: the law of the term.
        drawn: whether every run draws its term: there are too many for strata.
        cut: no run has more occurrences.
        baseline: whether b is subtracted.
    """

    lesson: Lesson
    terms: TermLaw
    drawn: bool
    cut: int
    baseline: bool

    @property
    def baselines(self) -> Floats:
        """(K, m)."""
        found = self.lesson.baselines
        return found if self.baseline else np.zeros_like(found)


@dataclass(frozen=True, eq=False)
class Design:
    """The runs of one channel.

    Attributes:
        k, j: int64 (H,), occurrence and term of each stratum; `REST` and `DRAWN` are drawn.
        shots: int64 (H,).
        rest: √E[X²] of the occurrences without stratum, from the first on; 0 where there is one.
    """

    k: Ints
    j: Ints
    shots: Ints
    rest: Floats


def designed(channels: Sequence[Channel], shots: int) -> list[Design]:
    """Share out shots over the strata of all channels.

    Args:
        shots: at least LEAST_OF_STRATUM for each channel.
    """
    found = [(c.lesson.deviations(c.baselines), c.lesson.roots(c.baselines)) for c in channels]
    every = sum(float(roots.sum()) for _, roots in found)
    plans: list[tuple[Ints, Ints, Floats, Floats]] = []
    for channel, (deviations, roots) in zip(channels, found, strict=True):
        most, terms = deviations.shape
        deserved = (
            shots * roots.sum(axis=1) / every if every > 0 else np.full(most, shots / len(channels) / most)
        )
        reached = np.arange(1, most + 1) <= channel.cut
        own = reached & (deserved >= LEAST * terms)
        k, j = (np.flatnonzero(own) + 1).repeat(terms), np.tile(np.arange(terms), int(own.sum()))
        weights = deviations[own].ravel()
        rest = np.where(reached & ~own, roots.sum(axis=1), 0.0)
        if not own[reached].all() or most < channel.cut:
            k, j, weights = np.append(k, REST), np.append(j, DRAWN), np.append(weights, rest.sum())
        plans.append((k, np.full(len(j), DRAWN) if channel.drawn else j, weights, rest))
    of_rest = max(LEAST_OF_REST, int(SHARE_OF_REST * shots / len(channels)))
    least = np.concatenate([np.where(k == REST, of_rest, LEAST_OF_STRATUM) for k, *_ in plans])
    if least.sum() > shots:
        return [
            _random_only(c, roots, int(n))
            for c, (_, roots), n in zip(
                channels, found, shared_out(shots, [roots.sum() for _, roots in found]), strict=True
            )
        ]
    weights = np.concatenate([weights for _, _, weights, _ in plans])
    numbers = shared_out(shots, weights, least)
    ends = np.cumsum([len(k) for k, *_ in plans])[:-1]
    return [Design(k, j, n, rest) for (k, j, _, rest), n in zip(plans, np.split(numbers, ends), strict=True)]


def _random_only(channel: Channel, roots: Floats, shots: int) -> Design:
    """Few shots: everything is drawn."""
    return Design(np.array([REST]), np.array([DRAWN]), np.array([shots]), roots.sum(axis=1))


def drawn_rest(
    design: Design, channel: Channel, random: np.random.Generator, number: int
) -> tuple[Ints, Ints, Floats]:
    """Draw occurrences without strata, and terms.

    Returns:
        K, J, and 1/(ν(K) q(J)), the weight of each.
    """
    law = Mixture(tuple(design.rest.tolist()), Pareto(), FLOOR) if design.rest.sum() > 0 else Pareto()
    own = np.unique(design.k[design.k != REST])
    beyond = float(law.tail(np.array([channel.cut + 1.0]))[0])
    kept = 1 - float(law.mass(own.astype(float)).sum()) - beyond
    k = np.zeros(0, dtype=np.int64)
    while len(k) < number:
        more = law.draw(random.random(2 * (number - len(k)) + 16), channel.cut)
        k = np.concatenate([k, more[~np.isin(more, own) & (more > 0)]])
    k = k[:number]
    j = channel.terms.draw(random, number)
    return k, j, kept / (law.mass(k.astype(float)) * channel.terms.mass(j))
