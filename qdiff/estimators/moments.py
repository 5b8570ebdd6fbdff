"""Means and covariances of many rows, a block at a time, without loss of digits.

    M = Σ_i (z_i - z̄)(z_i - z̄)ᵀ        of two sets:  M = M_a + M_b + (n_a n_b/n) d dᵀ,   d = z̄_b - z̄_a

Nothing is subtracted that is large and nearly equal: rows may lie far from 0. Blocks are added in a fixed
order, so a result does not depend on who computed which. Source: Chan, Golub and LeVeque, "Updating formulae
and a pairwise algorithm for computing sample variances" (1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of rows z.

    Attributes:
        number: n. mean: (D,) z̄. scatter: (D, D) M.
    """

    number: int
    mean: Floats
    scatter: Floats

    @classmethod
    def none(cls, columns: int) -> Moments:
        """No rows yet."""
        return cls(0, np.zeros(columns), np.zeros((columns, columns)))

    @classmethod
    def of(cls, rows: Floats) -> Moments:
        """Of rows (n, D); n may be 0."""
        if not len(rows):
            return cls.none(rows.shape[1])
        mean = rows.mean(axis=0)
        around = rows - mean
        mean = mean + around.mean(axis=0)  # what rounding left
        around = rows - mean
        return cls(len(rows), mean, around.T @ around)

    def __add__(self, other: Moments) -> Moments:
        """Of the rows of both."""
        if not self.number or not other.number:
            return other if not self.number else self
        number = self.number + other.number
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.number / number)
        scatter = self.scatter + other.scatter
        scatter = scatter + np.outer(apart, apart) * (self.number / number * other.number)
        return Moments(number, mean, scatter)

    @property
    def covariance(self) -> Floats:
        """(D, D) M/(n - 1), the unbiased covariance of one row.

        Raises:
            QdiffError: fewer than two rows.
        """
        if self.number < 2:
            raise QdiffError(f"A covariance needs at least two rows, got {self.number}.")
        return np.asarray(self.scatter / (self.number - 1))
