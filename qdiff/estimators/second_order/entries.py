"""Which entries of a Hessian a result holds, and where: the Hessian itself, or its product with a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
