"""Baselines of runs: what is subtracted from a slope so that little noise is left, learned from other runs.

    X = slope - b · score - Σ_k β_k S_k

has the mean of the slope for all numbers b, β that do not know the run: scores and surprises S
(`sim.protocol.Surprises`) have mean 0. Few runs are compared with the mean of all others, b = v̄ and β = 0
(leave-one-out). Of more, each of `FOLDS` parts takes the b, β for which the variance of the others is least.

The β are baselines per event: where an outcome counts β(n) more than others at the n-th event of its kind, X
does not vary with it any more. What is left then comes from rare, long runs, of which a sample shows too few.
So an event has a β(n) of its own only if many runs had it, and the baseline goes from b alone to all events
only as far as the others' X keep their tails (`tails`):

    b, β = (1 - α) (b₀, 0) + α (b₁, β₁)

Source: cross-fitting (Chernozhukov et al., 2018) of control variates that are martingales (Henderson and
Glynn, 2002); leave-one-out baselines (Kool, van Hoof and Welling, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.tails import Tails
from qdiff.sim.protocol import Gradients

Floats = NDArray[np.float64]

FEW = 4000
"""Below, nothing is learned but means: what so few runs teach of rare ones is their chance absence."""
FOLDS = 4
TEACHING = 2**13
"""Runs of a part that teach the others."""
LEAST_RUNS = 1000
"""Of the others that had an event: then it has a coefficient of its own."""
RIDGE = 1.0
"""One event more, whose outcome says nothing: surprises are at most 1."""
ROUNDING = 1e-9
"""Scores that matter less than so much are taken for rounding."""


def contributions(found: Gradients) -> Floats:
    """Return float (D, n), X of each run; the derivatives of the first observable first."""
    return _with_others(found) if len(found.values) < FEW else _Folds(found).contributions()


def _with_others(found: Gradients) -> Floats:
    """Each run is compared with the mean of the others."""
    runs = len(found.values)
    others = (found.values.sum(axis=0) - found.values) / (runs - 1)
    x = found.slopes - others[:, :, None] * found.scores[:, None, :]
    return np.ascontiguousarray(x.reshape(runs, -1).T)


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over some runs, and sums of products, of surprises S, slopes Y, scores C and values V.

    Attributes:
        runs: how many. met: (K,) how many have S ≠ 0. s, y, c, v: sums. ss: (K, K), sy: (K, D), sc: (K, d).
        yc: (D,), of a slope and the score by its parameter. yy: (D,), cc: (d,), vv: (m,): squares.
    """

    runs: int
    met: Floats
    s: Floats
    y: Floats
    c: Floats
    v: Floats
    ss: Floats
    sy: Floats
    sc: Floats
    yc: Floats
    yy: Floats
    cc: Floats
    vv: Floats

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(mine + getattr(other, name) for name, mine in vars(self).items()))


@dataclass(frozen=True, eq=False)
class _Taught:
    """What some runs teach.

    Attributes:
        alone: (D,) b₀. score: (D,) b₁. events: (K, D) β₁; None: too few runs had any.
    """

    alone: Floats
    score: Floats
    events: Floats | None


class _Folds:
    """The runs of one block, in parts that teach each other. Arrays have a column for each run."""

    def __init__(self, found: Gradients) -> None:
        runs, observables, names = found.slopes.shape
        self.parameter = np.tile(np.arange(names), observables)
        self.observable = np.repeat(np.arange(observables), names)
        self.slopes = np.ascontiguousarray(found.slopes.reshape(runs, -1).T)
        self.scores = np.ascontiguousarray(found.scores.T)
        self.values = found.values.T
        known = found.surprises
        self.surprises = known.sums.T if known else np.zeros((0, runs))
        self.kinds = known.kinds if known else np.zeros(0, dtype=np.int64)
        self.knots = known.knots if known else np.zeros(0, dtype=np.int64)
        edges = [runs * k // FOLDS for k in range(FOLDS + 1)]
        self.parts = [slice(*edge) for edge in pairwise(edges)]

    def contributions(self) -> Floats:
        """Return X of all runs."""
        sums = [self._sums(part) for part in self.parts]
        found = np.empty_like(self.slopes)
        for number, part in enumerate(self.parts):
            others = [each for each in range(FOLDS) if each != number]
            total = reduce(_Sums.__add__, [sums[other] for other in others])
            taught = self._taught(total)
            score, x = taught.alone, found[:, part]
            if taught.events is not None:
                share = self._share(taught, total, [self.parts[other] for other in others])
                score = (1 - share) * score + share * taught.score
            np.multiply(self._scores(part), -score[:, None], out=x)
            x += self.slopes[:, part]
            if taught.events is not None:
                x -= (taught.events * share).T @ self.surprises[:, part]
        return found

    def _scores(self, part: slice) -> Floats:
        """The score by the parameter of each slope, float (D, …)."""
        one = len(self.scores) == len(self.slopes)
        return self.scores[:, part] if one else self.scores[self.parameter, part]

    def _sums(self, part: slice) -> _Sums:
        part = slice(part.start, min(part.stop, part.start + TEACHING))
        s, y, c, v = (each[:, part] for each in (self.surprises, self.slopes, self.scores, self.values))
        return _Sums(
            runs=part.stop - part.start,
            met=np.array([np.count_nonzero(row) for row in s], dtype=float),
            s=s.sum(axis=1),
            y=y.sum(axis=1),
            c=c.sum(axis=1),
            v=v.sum(axis=1),
            ss=s @ s.T,
            sy=s @ y.T,
            sc=s @ c.T,
            yc=np.einsum("jn,jn->j", y, self._scores(part)),
            yy=np.einsum("jn,jn->j", y, y),
            cc=np.einsum("jn,jn->j", c, c),
            vv=np.einsum("jn,jn->j", v, v),
        )

    def _taught(self, of: _Sums) -> _Taught:
        """Least squares, on the runs of some sums."""
        p, n, count = self.parameter, of.runs, len(self.slopes)
        mean, vv = of.v[self.observable] / n, of.vv[self.observable]
        # One run more, on whose word b is the mean of the values; scores that are but rounding say nothing.
        pseudo = of.cc[p] / n + n * ROUNDING**2 * of.yy / np.where(vv > 0, vv, np.inf)
        pseudo = np.where(pseudo > 0, pseudo, 1.0)
        yc, cc = of.yc - of.y * of.c[p] / n, (of.cc - of.c**2 / n)[p]
        alone = (yc + pseudo * mean) / (cc + pseudo)
        features = self._features(of.met * (self.slopes.shape[1] * (FOLDS - 1) / FOLDS / n))
        if not features.shape[1]:
            return _Taught(alone, alone, None)
        gram = features.T @ (of.ss - np.outer(of.s, of.s) / n) @ features + RIDGE * np.eye(features.shape[1])
        both = np.hstack([of.sy - np.outer(of.s, of.y) / n, of.sc - np.outer(of.s, of.c) / n])
        both = features.T @ both
        solved = np.linalg.solve(gram, both)
        of_y, of_c = solved[:, :count], solved[:, count:]
        # What is left of slopes and scores when their events are known.
        left = (2 * both - gram @ solved)[:, count:]
        left_yc = yc - np.einsum("kj,kj->j", of_y, left[:, p])
        left_cc = cc - np.einsum("kj,kj->j", of_c, left)[p]
        score = left_yc / (np.maximum(left_cc, 0.0) + pseudo)
        return _Taught(alone, score, features @ (of_y - score * of_c[:, p]))

    def _features(self, met: Floats) -> Floats:
        """Which combinations of surprises have coefficients: float (K, features).

        Of each kind the first knots that many runs came to; behind them coefficients go on in a line.

        Args:
            met: (K,) how many of the others came to each.
        """
        every, found = np.eye(len(met)), []
        for kind in np.unique(self.kinds):
            columns = np.flatnonzero(self.kinds == kind)
            own = int(np.argmin(np.append(met[columns] >= LEAST_RUNS, False)))
            if not own:
                continue
            last = every[columns[own - 1 :]].sum(axis=0)
            found += [*every[columns[: own - 1]], last]
            if own < len(columns):
                found.append(last * (self.knots - self.knots[columns[own - 1]]))
        return np.array(found).reshape(len(found), len(met)).T

    def _share(self, taught: _Taught, of: _Sums, others: Sequence[slice]) -> Floats:
        """Return α (D,), as the others judge."""
        assert taught.events is not None
        slopes, scores = of.y / of.runs, of.c[self.parameter] / of.runs
        middle = (slopes - taught.alone * scores)[:, None]
        centre = (slopes - taught.score * scores - taught.events.T @ of.s / of.runs)[:, None]
        tails = Tails(len(self.slopes))
        for other in others:
            part = slice(other.start, min(other.stop, other.start + tails.looked_at))
            y, c = self.slopes[:, part], self._scores(part)
            best = y - taught.score[:, None] * c - taught.events.T @ self.surprises[:, part] - centre
            tails.add(y - taught.alone[:, None] * c - middle, best)
        return tails.share(self.slopes.shape[1])
