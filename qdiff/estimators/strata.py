"""Moments of many strata at once: streaming, without loss of digits.

    n, mean, Σ(x - mean)(x - mean)ᵀ, Σ(x - mean)³        for each stratum, merged a block at a time

Source: Pébay, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
statistical moments" (2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StrataMoments:
    """Moments of rows x (m,) in H strata.

    Attributes:
        number: int64 (H,). mean: (H, m). scatter: (H, m, m). third: (H, m), sums of cubes.
    """

    number: Ints
    mean: Floats
    scatter: Floats
    third: Floats

    @classmethod
    def none(cls, strata: int, columns: int) -> StrataMoments:
        """No rows yet."""
        return cls(
            np.zeros(strata, dtype=np.int64),
            np.zeros((strata, columns)),
            np.zeros((strata, columns, columns)),
            np.zeros((strata, columns)),
        )

    @classmethod
    def of(cls, rows: Floats, stratum: Ints, strata: int) -> StrataMoments:
        """Of rows (n, m), each in a stratum (n,)."""
        number = np.bincount(stratum, minlength=strata)
        divisor = np.maximum(number, 1)[:, None]
        columns = rows.shape[1]

        def summed(values: Floats) -> Floats:
            sums = [np.bincount(stratum, column, minlength=strata) for column in values.T]
            return np.stack(sums, axis=1).astype(float)

        mean = summed(rows) / divisor
        around = rows - mean[stratum]
        left = summed(around) / divisor  # by rounding
        squares = [around * around[:, i : i + 1] for i in range(columns)]
        scatter = np.stack([summed(square) for square in squares], axis=1)
        scatter -= number[:, None, None] * left[:, :, None] * left[:, None, :]
        own = np.stack([squares[i][:, i] for i in range(columns)], axis=1)
        return cls(number, mean + left, scatter, summed(own * around))

    def __add__(self, other: StrataMoments) -> StrataMoments:
        """Of the rows of both."""
        number = self.number + other.number
        total = np.maximum(number, 1)[:, None].astype(float)
        a, b = self.number[:, None], other.number[:, None]
        apart = np.where((a > 0) & (b > 0), other.mean - self.mean, 0.0)
        mean = np.where(a > 0, self.mean, other.mean) + apart * np.where(a > 0, b / total, 0.0)
        weight = a / total * b
        scatter = self.scatter + other.scatter
        scatter = scatter + weight[:, :, None] * apart[:, :, None] * apart[:, None, :]
        own, its = (np.einsum("hii->hi", each.scatter) for each in (self, other))
        third = self.third + other.third + weight * (a - b) / total * apart**3
        third = third + 3 * apart * (a / total * its - b / total * own)
        return StrataMoments(number, mean, scatter, third)

    @property
    def covariance_of_mean(self) -> Floats:
        """(H, m, m), of the mean of each stratum with two rows or more; 0 for others."""
        n = self.number[:, None, None]
        return np.where(n > 1, self.scatter / np.maximum(n * (n - 1.0), 1.0), 0.0)

    @property
    def third_of_mean(self) -> Floats:
        """(H, m), the third central moment of the mean of each stratum, estimated; 0 below three rows."""
        n = self.number[:, None].astype(float)
        return np.where(n > 2, self.third / np.maximum(n * (n - 1) * (n - 2), 1.0), 0.0)
