"""What runs teach about the occurrences of one parameter, read in one group of terms.

Everything that matters for sharing out shots follows from how many runs come to occurrence k, ρ, and from
what those that do show with term j in its place: E[w²] = q, E[w] = ω, and mean μ and variance v of o. For
X = w (o - b),

    E[X²] = ρ q (v + (μ - b)²),        Var X = E[X²] - (ρ ω (μ - b))²,

and the best constant b_k makes Σ_j √Var X least. Few runs come to late occurrences: what they show is joined
with what the occurrences before them showed. A lesson is remembered as numbers only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.estimators.pilot import Profile
from qdiff.estimators.survival import Survival, survival

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BORROWED = 8.0
"""Runs that the occurrence before counts as, at most."""
PULLED = 0.2
MOST_REMEMBERED = 1000.0
"""Runs that a memory counts as: what they showed was at other parameters."""
BASELINE_STEPS = 12
INDIFFERENT = 0.02
"""The pull towards the mean where a baseline changes nothing."""
DIGITS = 6
_BY_OCCURRENCE = ("met", "w", "square", "mean", "variance", "centres")
_ARRAYS = ("trend", "spread", "met", "w", "square", "mean", "variance", "slopes", "centres", "shares")


@dataclass(frozen=True, eq=False)
class Lesson:
    """What is known by occurrence and term.

    Attributes:
        survival: of K occurrences.
        trend: (K, m), of the mean of o by occurrence; spread: (m,), of the variance: of unmodified runs.
        met: (K, J), runs that came to the occurrence and had this term. Of these:
        w, square: (K, J), mean of w and of w². mean, variance: (K, J, m), of o.
        shares: (J,), what |w| is in proportion to.
        slopes: (h, m), of what is read by counters before the occurrence; centres: (K, h), their means. Mean
            and variance are those of o - slopes·(counters - centres).
    """

    survival: Survival
    trend: Floats
    spread: Floats
    met: Floats
    w: Floats
    square: Floats
    mean: Floats
    variance: Floats
    slopes: Floats
    centres: Floats
    shares: Floats

    @property
    def most(self) -> int:
        """K: later occurrences are not told apart."""
        return len(self.trend)

    @cached_property
    def reach(self) -> Floats:
        """(K,), P(N ≥ k)."""
        return self.survival.reach

    def taught(self, seen: Seen, slopes: Floats, centres: Floats, unexplained: Floats) -> Lesson:
        """Return what is known with more runs, read with a function of the counters before the occurrence.

        Args:
            unexplained: (m,), the share of the variance that it leaves.
        """
        met = self.met + seen.met
        share = _ratio(seen.met, met)
        apart = seen.mean - self.mean
        by = share[:, :, None]
        return replace(
            self,
            survival=self.survival.joined(seen.survival),
            spread=self.spread * unexplained,
            met=met,
            w=self.w + share * (seen.w - self.w),
            square=self.square + share * (seen.square - self.square),
            mean=self.mean + by * apart,
            variance=self.variance + by * (seen.variance - self.variance) + by * (1 - by) * apart**2,
            slopes=slopes,
            centres=centres,
        )

    def renewed(self, profile: Profile) -> Lesson:
        """Return it with another pilot of unmodified runs, and as many occurrences as that tells apart."""
        most = len(profile.mean)
        resized = {name: _resized(getattr(self, name), most) for name in _BY_OCCURRENCE}
        if self.most < most:  # farther occurrences are read as the last one
            resized["centres"][self.most :] = self.centres[-1]
        return replace(self, survival=profile.survival, trend=profile.mean, spread=profile.spread, **resized)

    def remembered(self) -> Lesson:
        """Return the same, counting as no more than MOST_REMEMBERED runs, to six digits."""
        most = max(float(self.survival.risk.max(initial=0.0)), float(self.met.max(initial=0.0)), 1.0)
        by = min(1.0, MOST_REMEMBERED / most)
        lived = self.survival
        arrays = {name: _rounded(getattr(self, name)) for name in _ARRAYS}
        risk, falls = _rounded(by * lived.risk), _rounded(by * lived.falls)
        arrays["met"] = _rounded(by * self.met)
        return Lesson(Survival(risk, falls, lived.late), **arrays)

    # --- What is concluded ---

    @cached_property
    def _joined(self) -> tuple[Floats, Floats, Floats, Floats]:
        """w, square (K, J), mean, variance (K, J, m), each joined with those of the occurrence before."""
        usual_square = _ratio((self.met * self.square).sum(axis=0), self.met.sum(axis=0))
        usual_w = _ratio((self.met * self.w).sum(axis=0), self.met.sum(axis=0))
        seen = usual_square > 0
        scale = float((usual_square[seen] / self.shares[seen] ** 2).mean()) if seen.any() else 1.0
        usual_square = np.where(seen, usual_square, scale * self.shares**2)
        total = self.met + BORROWED
        square = (self.met * self.square + BORROWED * usual_square) / total
        w = (self.met * self.w + BORROWED * usual_w) / total
        mean, variance = np.empty_like(self.mean), np.empty_like(self.variance)
        terms, columns = self.mean.shape[1:]
        ahead, around = np.zeros((terms, columns)), np.tile(self.spread, (terms, 1))
        # Few runs may be alike by chance: some of the variance over all occurrences from k/4 on is always
        # there.
        weights = self.met[:, :, None]
        heard = _from_here_on(weights * np.ones(columns))
        usual = _ratio(_from_here_on(weights * self.variance), heard)
        pull = np.where(heard > 0, PULLED, 0.0)
        for k in range(self.most):
            around = around + pull[k // 4] * (usual[k // 4] - around)
            met = self.met[k][:, None]
            share = met / (met + BORROWED)
            own = self.mean[k] - self.trend[k]
            apart = own - ahead
            around = around + share * (self.variance[k] - around) + share * (1 - share) * apart**2
            ahead = ahead + share * apart
            mean[k], variance[k] = self.trend[k] + ahead, around
        return w, square, mean, variance

    @cached_property
    def baselines(self) -> Floats:
        """(K, m), the b_k that makes Σ_j √Var X least: weighted means, weights 1/√Var X, again and again."""
        w, square, mean, variance = self._joined
        rho = self.reach[:, None]
        curve = np.maximum(rho * square - (rho * w) ** 2, INDIFFERENT * rho * square)[:, :, None]
        noise = (rho * square)[:, :, None] * variance
        found = _ratio((curve * mean).sum(axis=1), curve.sum(axis=1))
        for _ in range(BASELINE_STEPS):
            deviation = np.sqrt(noise + curve * (mean - found[:, None]) ** 2)
            largest = deviation.max(axis=1, keepdims=True)
            weight = curve / np.maximum(deviation, np.where(largest > 0, 1e-3 * largest, 1.0))
            found = np.where(
                weight.sum(axis=1) > 0, _ratio((weight * mean).sum(axis=1), weight.sum(axis=1)), found
            )
        return found

    def roots(self, baselines: Floats) -> Floats:
        """(K, J), √(Σ_observables E[X²])."""
        _, square, mean, variance = self._joined
        around = (variance + (mean - baselines[:, None]) ** 2).sum(axis=2)
        return np.asarray(np.sqrt(self.reach[:, None] * square * around))

    def deviations(self, baselines: Floats) -> Floats:
        """(K, J), √(Σ_observables Var X)."""
        w, _, mean, _ = self._joined
        part = (self.reach[:, None] * w) ** 2 * ((mean - baselines[:, None]) ** 2).sum(axis=2)
        return np.asarray(np.sqrt(np.maximum(self.roots(baselines) ** 2 - part, 0.0)))

    # --- As numbers ---

    def to_json(self) -> dict[str, Any]:
        """Return lists of numbers."""
        lived = self.survival
        found = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return found | {"risk": lived.risk.tolist(), "falls": lived.falls.tolist(), "late": lived.late}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Lesson:
        """Return the lesson of `to_json`.

        Raises:
            QdiffError: that is none.
        """
        try:
            arrays = {name: np.array(data[name], dtype=float) for name in _ARRAYS}
            lived = Survival(
                np.array(data["risk"], float), np.array(data["falls"], float), float(data["late"])
            )
            most, terms, observables = len(lived.risk), len(arrays["shares"]), len(arrays["spread"])
            shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("met", "w", "square"), (most, terms))
            shapes |= {"mean": (most, terms, observables), "variance": (most, terms, observables)}
            shapes |= {"trend": (most, observables), "slopes": (-1, observables), "centres": (most, -1)}
            shapes |= {"spread": (observables,), "shares": (terms,)}
            if not observables or not most or not terms:
                raise ValueError("there is nothing in it")
            found = cls(lived, **{name: a.reshape(shapes[name]) for name, a in arrays.items()})
            if len(lived.falls) != most or len(found.slopes) != found.centres.shape[1]:
                raise ValueError("its parts are of different sizes")
            numbers = [lived.risk, lived.falls, np.array(lived.late), *arrays.values()]
            if not all(np.isfinite(part).all() for part in numbers):
                raise ValueError("some of its numbers are not finite")
            return found
        except (KeyError, TypeError, ValueError) as error:
            raise QdiffError(f"This is no memory of how shots were shared out: {error}.") from None


@dataclass(frozen=True, eq=False)
class Seen:
    """What some runs showed: as the attributes of `Lesson`."""

    survival: Survival
    met: Floats
    w: Floats
    square: Floats
    mean: Floats
    variance: Floats


def untaught(profile: Profile, shares: Floats) -> Lesson:
    """Return what is known before any occurrence was replaced.

    Args:
        shares: float (J,), what |w| is in proportion to, by term.
    """
    most, columns = profile.mean.shape
    terms = len(shares)
    return Lesson(
        profile.survival,
        profile.mean,
        profile.spread,
        np.zeros((most, terms)),
        np.zeros((most, terms)),
        np.zeros((most, terms)),
        np.zeros((most, terms, columns)),
        np.zeros((most, terms, columns)),
        np.zeros((0, columns)),
        np.zeros((most, 0)),
        shares,
    )


def observed(k: Ints, j: Ints, left: Ints, weights: Floats, values: Floats, size: tuple[int, int]) -> Seen:
    """Return what runs showed.

    Args:
        k, j: int64 (n,), occurrence from 1 and term from 0 of each run; those beyond `size` are left out.
        left: int64 (n,), k less the occurrences that were executed; 0 where the run came to occurrence k.
        weights: float (n,), w. values: float (n, m), o without what the history explains.
        size: (K, J).
    """
    most, terms = size
    came = np.flatnonzero((k <= most) & (left == 0))
    place, w, o = (k[came] - 1) * terms + j[came], weights[came], values[came]
    met = np.bincount(place, minlength=most * terms).astype(float)

    def mean(x: Floats) -> Floats:
        return np.asarray(np.bincount(place, x, minlength=most * terms) / np.maximum(met, 1.0))

    means = np.stack([mean(column) for column in o.T], axis=1)
    around = o - means[place]
    variances = np.stack([mean(column**2) for column in around.T], axis=1)
    return Seen(
        survival(k - left, left == 0, most, 0.0),
        met.reshape(size),
        mean(w).reshape(size),
        mean(w * w).reshape(size),
        means.reshape(*size, -1),
        variances.reshape(*size, -1),
    )


def _resized(part: Floats, rows: int) -> Floats:
    """So many rows: further ones are 0."""
    found = np.zeros((rows, *part.shape[1:]))
    both = min(rows, len(part))
    found[:both] = part[:both]
    return found


def _from_here_on(x: Floats) -> Floats:
    """(K, J, m) → (K, m), sums over all terms and over occurrences from k on."""
    return np.asarray(np.cumsum(x.sum(axis=1)[::-1], axis=0)[::-1])


def _ratio(a: Floats, b: Floats) -> Floats:
    return np.where(b > 0, a / np.where(b > 0, b, 1.0), 0.0)


def _rounded(part: Floats) -> Floats:
    """To DIGITS significant digits, so that the numbers in a log are short."""
    size = np.abs(part)
    with np.errstate(divide="ignore"):
        power = np.where(size > 0, DIGITS - 1 - np.floor(np.log10(size)), 0.0)
    scale = 10.0 ** np.clip(power, -300, 300)
    return np.asarray(np.round(part * scale) / scale)
