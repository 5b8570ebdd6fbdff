"""Rounds of runs: each is an estimate of its own, and all together are one.

    value = Σ_r (n_r/n) value_r,     covariance = Σ_r (n_r/n)² covariance_r

The weights are the numbers of shots, not what was seen. A round may use what earlier ones have shown, to
share out its shots or to subtract a baseline: given the past it is unbiased, so the sum is. (Where the past
also decides whether there is a next round, as with a goal for the error, the mean is off by O(1/n).)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.contributions import Contribution, merged
from qdiff.estimators.estimate import Estimate

Floats = NDArray[np.float64]

LARGEST_SKEWNESS = 0.3
"""Of the estimate: above, a symmetric interval for 95 % misses by 1 % and more on the long side."""


@dataclass(frozen=True, eq=False)
class Round:
    """What one round of runs says.

    Attributes:
        value: float (D,), unbiased given what was known before. covariance: (D, D), of `value`.
        third: float (D,), an estimate of the third central moment of `value`.
        degrees: float (D,), degrees of freedom behind the variances; inf where they are known.
        shots: all that were spent, on pilots as well. cut: of them, by the backend's step limit.
        contributions: by occurrence, for pictures.
        learned: what later rounds may use, in numbers; None where nothing is.
        bias: float (D,), a proved bound of the bias.
        exact: bool (D,), what is known without runs, such as 0 where nothing depends on the parameter.
        reasons: why an interval is not to be trusted whose largest round this is (or last, if it is judged).
        judged: whether nothing but `reasons`, of this round and of all before, and cut runs speaks against
            intervals, however the numbers look.
        notes: what the backend did otherwise than asked.
    """

    value: Floats
    covariance: Floats
    third: Floats
    degrees: Floats
    shots: int
    cut: int = 0
    contributions: tuple[Contribution, ...] = ()
    learned: object = None
    bias: Floats | float = 0.0
    exact: NDArray[np.bool_] | bool = False
    reasons: tuple[str, ...] = ()
    judged: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def nothing(cls, size: int) -> Round:
        """Return a round without runs, of what is exactly zero."""
        return cls(np.zeros(size), np.zeros((size, size)), np.zeros(size), np.full(size, np.inf), 0)


def welch(variances: Floats, degrees: Floats) -> Floats:
    """Return the degrees of freedom behind sums of variances, (D,); inf where nothing varies.

        (Σ v)² / Σ v²/d

    Args:
        variances: (parts, D). degrees: (parts, D) or (parts, 1).

    Source: Satterthwaite, "An approximate distribution of estimates of variance components" (1946).
    """
    largest = variances.max(axis=0, initial=0.0)
    # Squares of tiny variances would underflow.
    relative = variances / np.where(largest > 0, largest, 1.0)
    spread = (relative**2 / degrees).sum(axis=0)
    known = spread > 0
    return np.where(known, relative.sum(axis=0) ** 2 / np.where(known, spread, 1.0), math.inf)


class Rounds(Protocol):
    """An estimator at work on a problem."""

    @property
    def name(self) -> str:
        """As estimates show it."""

    @property
    def least(self) -> int:
        """The least number of shots for a round."""

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """Spend exactly so many shots.

        Args:
            learned: of an earlier round, or None.
        """


@dataclass(frozen=True, eq=False)
class Combined:
    """Several rounds as one estimate; at least one."""

    rounds: Sequence[Round]
    shape: tuple[int, ...] = field(default=())

    @property
    def shots(self) -> int:
        """Of all rounds."""
        return sum(each.shots for each in self.rounds)

    @property
    def shares(self) -> Floats:
        """float (rounds,), n_r/n."""
        return np.array([float(each.shots) for each in self.rounds]) / max(self.shots, 1)

    @property
    def value(self) -> Floats:
        """float (D,)."""
        return np.asarray(self.shares @ np.stack([each.value for each in self.rounds]))

    @property
    def covariance(self) -> Floats:
        """float (D, D)."""
        return np.asarray(np.einsum("r,rij->ij", self.shares**2, [each.covariance for each in self.rounds]))

    @property
    def third(self) -> Floats:
        """float (D,)."""
        return np.asarray(np.einsum("r,rd->d", self.shares**3, [each.third for each in self.rounds]))

    @property
    def degrees(self) -> Floats:
        """float (D,)."""
        variances = np.stack([np.diag(each.covariance) for each in self.rounds])
        return welch(self.shares[:, None] ** 2 * variances, np.stack([each.degrees for each in self.rounds]))

    @property
    def stderr(self) -> Floats:
        """float (D,)."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    @property
    def bias(self) -> Floats:
        """float (D,), Σ_r (n_r/n) bias_r; inf where runs were cut."""
        if any(each.cut for each in self.rounds):
            return np.full(self.value.shape, math.inf)
        counted = [(n, each.bias) for n, each in zip(self.shares, self.rounds, strict=True) if n]
        return sum((n * np.asarray(bias) for n, bias in counted), np.zeros(self.value.shape))

    @property
    def unseen(self) -> NDArray[np.bool_]:
        """bool (D,): no run differed from another, which says nothing of the error."""
        exact = np.all([np.broadcast_to(each.exact, self.value.shape) for each in self.rounds], axis=0)
        return np.asarray((self.stderr == 0) & ~exact)

    def estimate(self, seed: int, estimator: str) -> Estimate:
        """Return them as an `Estimate`."""
        bias = self.bias
        notes = dict.fromkeys(note for each in self.rounds for note in each.notes)
        return Estimate(
            value=self.value.reshape(self.shape) if self.shape else float(self.value[0]),
            stderr=self.stderr.reshape(self.shape) if self.shape else float(self.stderr[0]),
            shots=self.shots,
            seed=seed,
            estimator=estimator,
            bias_bound=bias.reshape(self.shape)
            if np.any(bias) and self.shape
            else float(np.max(bias, initial=0.0)),
            degrees=self.degrees.reshape(self.shape) if self.shape else float(self.degrees[0]),
            reason="; ".join(dict.fromkeys(self._reasons())),
            note="; ".join(notes),
            covariance=self.covariance,
            contributions=merged([(each.shots, each.contributions) for each in self.rounds]),
            course=self._course(),
            learned=self.rounds[-1].learned,
        )

    def _course(self) -> tuple[tuple[int, Floats, Floats], ...]:
        """(shots so far, value, stderr) after each round."""
        parts = [Combined(self.rounds[: n + 1]) for n in range(len(self.rounds))]
        return tuple([(part.shots, part.value, part.stderr) for part in parts])

    def _reasons(self) -> list[str]:
        found = []
        cut = sum(each.cut for each in self.rounds)
        if cut:
            found.append(
                f"{cut} of {self.shots} runs were cut by the backend's step limit and count 0; "
                "what they would have given is unknown"
            )
        if self.rounds[-1].judged:
            return [*found, *self.rounds[-1].reasons]
        found += max(reversed(self.rounds), key=lambda each: each.shots).reasons
        stderr = self.stderr
        if self.shots and np.any(self.unseen):
            which = [f"value[{i}]" for i in np.flatnonzero(self.unseen)[:3].tolist()]
            of = f"{', '.join(which)}: " if len(self.value) > 1 else ""
            found.append(f"{of}runs that show no difference at all say nothing of their error")
        scale = np.where(stderr > 0, stderr, 1.0)
        skewness = np.abs(self.third) / scale / scale / scale  # the cube of a tiny one would underflow
        if np.any(skewness > LARGEST_SKEWNESS):
            found.append(
                f"a few large contributions make the error lopsided (skewness {np.max(skewness):.2g}, "
                f"{LARGEST_SKEWNESS} is the most for which intervals hold): use more shots, or another "
                "estimator"
            )
        return found
