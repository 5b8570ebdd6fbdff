"""Which rows of integers there are: by counting where few could be, by sorting where many."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

FEW = 2**16
"""Rows that could be: as many are counted also where there are fewer runs."""


def distinct_rows(rows: Ints) -> tuple[Ints, Ints]:
    """Return the different rows in lexicographic order, and which of them each is.

    Args:
        rows: int64 (n, c).

    Returns:
        int64 (m, c) and (n,), as `np.unique(rows, axis=0, return_inverse=True)` gives them.
    """
    if not rows.size:
        found, which = np.unique(rows, axis=0, return_inverse=True)
        return found, which.reshape(-1)
    low = rows.min(axis=0)
    # In integers of any size: counters may be far apart.
    spans = [int(high) - int(least) + 1 for high, least in zip(rows.max(axis=0), low, strict=True)]
    if math.prod(spans) > max(len(rows), FEW):
        found, which = np.unique(rows, axis=0, return_inverse=True)
        return found, which.reshape(-1)
    place = np.zeros(len(rows), dtype=np.int64)
    for column, least, span in zip(rows.T, low, spans, strict=True):
        place *= span
        place += column - least
    seen = np.zeros(math.prod(spans), dtype=bool)
    seen[place] = True
    at = np.flatnonzero(seen)
    number = np.cumsum(seen) - 1
    return np.stack(np.unravel_index(at, spans), axis=1) + low, number[place]
