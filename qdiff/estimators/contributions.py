"""What each occurrence contributed to an estimated derivative, for pictures and for the curious.

    derivative = Σ_k value_k + value_0,     k the occurrences that had runs of their own, 0 all the rest

Several rounds tell different occurrences apart. A listed one is averaged over the rounds that list it, with
their shots for weights; the rest is what is then missing of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REST = 0
LISTED = 64
"""Occurrences that are told apart where each run draws its own."""


@dataclass(frozen=True, eq=False)
class Contribution:
    """What the occurrences of one parameter contributed to one derivative.

    Attributes:
        place: of the derivative, among all that are estimated.
        parameter: its name.
        occurrence: int64 (n,), k, rising; 0 stands for all that are not listed.
        value, stderr: float (n,), the share of the derivative, and its standard error.
        shots: int64 (n,), spent on each, pilots left out.
    """

    place: int
    parameter: str
    occurrence: Ints
    value: Floats
    stderr: Floats
    shots: Ints


@dataclass(frozen=True, eq=False)
class Drawn:
    """Sums over runs that drew their occurrence at random.

    Attributes:
        number: int64 (LISTED + 1,), runs that drew k = 1, 2, …; at 0 those that drew another one.
        total, squares: float (LISTED + 1, m), of X and X².
    """

    number: Ints
    total: Floats
    squares: Floats

    @classmethod
    def none(cls, columns: int) -> Drawn:
        """No runs yet."""
        nothing = np.zeros((LISTED + 1, columns))
        return cls(np.zeros(LISTED + 1, dtype=np.int64), nothing, nothing)

    @classmethod
    def of(cls, k: Ints, x: Floats) -> Drawn:
        """Of runs that drew k (n,) and gave X (n, m)."""
        place = np.where((k >= 1) & (k <= LISTED), k, REST)

        def summed(values: Floats) -> Floats:
            return np.stack([np.bincount(place, v, minlength=LISTED + 1) for v in values.T], axis=1)

        return cls(np.bincount(place, minlength=LISTED + 1), summed(x), summed(x**2))

    def __add__(self, other: Drawn) -> Drawn:
        """Of the runs of both."""
        return Drawn(self.number + other.number, self.total + other.total, self.squares + other.squares)

    def contributions(self, shots: int, parameter: str, places: Iterable[int]) -> list[Contribution]:
        """Return what they contributed to the mean of so many shots, those that did not run included.

        Args:
            places: of the m derivatives by the parameter.
        """
        mean = self.total / shots
        stderr = np.sqrt(np.maximum(self.squares / shots - mean**2, 0.0) / (shots - 1))
        number = self.number.copy()
        number[REST] = shots - number[1:].sum()
        kept = np.flatnonzero(number)
        return [
            Contribution(place, parameter, kept, mean[kept, i], stderr[kept, i], number[kept])
            for i, place in enumerate(places)
        ]


def merged(rounds: Sequence[tuple[int, Sequence[Contribution]]]) -> tuple[Contribution, ...]:
    """Return the contributions of several rounds, one for each derivative.

    Args:
        rounds: (shots, contributions); several of one derivative, from groups of terms with runs of their
            own, add up.
    """
    total = sum(shots for shots, _ in rounds)
    keys = dict.fromkeys((one.place, one.parameter) for _, each in rounds for one in each)
    return tuple(
        [
            _together(place, parameter, [(shots / total, _of(place, each)) for shots, each in rounds])
            for place, parameter in keys
        ]
    )


_Table = Mapping[int, Floats]
"""Occurrence → float (3,): value, variance, shots."""


def _of(place: int, contributions: Iterable[Contribution]) -> _Table:
    """The contributions to one derivative in one round."""
    found: dict[int, Floats] = {}
    for one in contributions:
        if one.place == place:
            rows = np.stack([one.value, one.stderr**2, one.shots], axis=1)
            for k, row in zip(one.occurrence.tolist(), rows, strict=True):
                found[k] = found.get(k, 0) + row
    return found


def _together(place: int, parameter: str, rounds: Sequence[tuple[float, _Table]]) -> Contribution:
    """Average the rounds, each with its share of all shots."""
    listed = sorted({k for _, table in rounds for k in table if k != REST})
    heard = {k: sum(share for share, table in rounds if k in table) for k in listed}
    found = {k: np.zeros(3) for k in (REST, *listed)}
    for share, table in rounds:
        for k, (value, variance, shots) in table.items():
            own = 0.0 if k == REST else share / heard[k]
            if k != REST:
                found[k] += [own * value, own**2 * variance, shots]
            left = share - own  # a round that lists k stands for those that do not: the rest makes up for it
            found[REST] += [left * value, left**2 * variance, shots if k == REST else 0]
    if not np.any(found[REST]):
        del found[REST]
    rows = np.array(list(found.values())).reshape(-1, 3)
    occurrence = np.array(list(found), dtype=np.int64)
    return Contribution(
        place, parameter, occurrence, rows[:, 0], np.sqrt(rows[:, 1]), rows[:, 2].astype(np.int64)
    )
