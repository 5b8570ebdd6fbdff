"""How runs go on from occurrence to occurrence, counted from unmodified runs and from replaced ones.

With N the occurrences of a run, for k = 1, 2, …

    hazard_k = P(N = k - 1 | N ≥ k - 1),     P(N ≥ k) = Π_{i≤k} (1 - hazard_i)

A run whose occurrence K is replaced tells as much as an unmodified one as far as K: hazards are counted from
all, with a common one for late occurrences, to which few runs come.
Source: Kaplan and Meier, "Nonparametric estimation from incomplete observations" (1958).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ENOUGH, ENOUGH_LONGER = 20, 10
"""Unmodified runs, and among them longer ones than others: fewer do not show what rare ones contribute."""
LEAST_RUNS = 2000
TOO_FEW = f"{{runs}} runs are too few to show what rare, long ones contribute: use {LEAST_RUNS} or more"
ENOUGH_ALIKE = 10_000
"""Runs that all ended alike: fewer say little of longer ones."""
ASSUMED = 4.0
"""Runs that the common hazard counts as."""


@dataclass(frozen=True, eq=False)
class Survival:
    """How runs go on from occurrence to occurrence.

    Attributes:
        risk: float (K,), runs that executed k - 1 occurrences and might have gone on to k; falls: of them,
            those that did not.
        late: the hazard where nothing is known.
    """

    risk: Floats
    falls: Floats
    late: float

    @property
    def reach(self) -> Floats:
        """float (K,), P(N ≥ k), not 0."""
        hazard = (self.falls + ASSUMED * self.late) / (self.risk + ASSUMED)
        return np.cumprod(1 - np.minimum(hazard, 1 - 1e-3))

    @property
    def longer(self) -> tuple[int, int]:
        """How many runs went on where the shortest had ended, and how many might have."""
        ended = np.flatnonzero(self.falls)[:1]
        return int((self.risk - self.falls)[ended].sum()), int(self.risk[ended].sum())

    def joined(self, other: Survival) -> Survival:
        """Return what both tell; late hazards are those of this one."""
        return Survival(self.risk + other.risk, self.falls + other.falls, self.late)


def survival(executed: Ints, reached: NDArray[np.bool_], most: int, late: float = 0.0) -> Survival:
    """Count runs.

    Args:
        executed: int64 (n,), occurrences that a run executed, up to and with the replaced one.
        reached: bool (n,): it came to the replaced occurrence; what follows tells nothing.
        most: K.
    """
    clipped = np.minimum(executed, most)
    ended = np.bincount(clipped[~reached & (executed < most)], minlength=most).astype(float)
    # A run with n occurrences was at risk before each of them, and once more if it ended by itself.
    until = clipped + np.where(~reached & (executed < most), 1, 0)
    of_length = np.bincount(until, minlength=most + 1)
    risk = np.cumsum(of_length[::-1])[::-1][1:].astype(float)
    return Survival(risk, ended, late)
