"""What the parts of a round add up to: sums of strata, each for some places of the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.estimators.rounds import Round, welch
from qdiff.estimators.strata import StrataMoments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Tally:
    """Adds up parts with runs of their own.

    Args:
        size: of the result.
    """

    def __init__(self, size: int) -> None:
        self.value, self.third = np.zeros(size), np.zeros(size)
        self.covariance = np.zeros((size, size))
        self.cut = 0
        self.notes: list[str] = []
        self._variances: list[Floats] = []
        self._degrees: list[Floats] = []

    def add(self, moments: StrataMoments, at: Sequence[int] | Ints, loadings: Floats | None = None) -> None:
        """Add Σ_strata mean, (m,), to some places of the result.

        Args:
            at: which places, (p,).
            loadings: float (m, p), the sum is multiplied with; None: the identity.
        """
        means, each = moments.mean.sum(axis=0), moments.covariance_of_mean
        covariance, thirds = each.sum(axis=0), moments.third_of_mean.sum(axis=0)
        variances = np.einsum("hmm->hm", each)
        degrees = welch(variances, np.maximum(moments.number - 1, 1)[:, None])
        places = np.asarray(at)
        if loadings is not None:
            degrees = welch(loadings**2 * np.diag(covariance)[:, None], degrees[:, None])
            means, thirds = means @ loadings, thirds @ loadings**3
            covariance = loadings.T @ covariance @ loadings
        self.value[places] += means
        self.third[places] += thirds
        self.covariance[np.ix_(places, places)] += covariance
        size = len(self.value)
        self._variances.append(np.zeros(size))
        self._degrees.append(np.full(size, np.inf))
        self._variances[-1][places], self._degrees[-1][places] = np.diag(covariance), degrees

    def heard(self, cut: int, note: str) -> None:
        """Take down what a backend says of runs."""
        self.cut += cut
        self.notes += [note] if note else []

    def round(self, shots: int, notes: Sequence[str] = (), **others: Any) -> Round:
        """Return all parts as a round.

        Args:
            notes: further ones, which come first. others: as of `Round`.
        """
        size = len(self.value)
        variances = np.array(self._variances).reshape(-1, size)
        degrees = welch(variances, np.array(self._degrees).reshape(-1, size))
        every = tuple(dict.fromkeys([*notes, *self.notes]))
        return Round(self.value, self.covariance, self.third, degrees, shots, self.cut, notes=every, **others)
