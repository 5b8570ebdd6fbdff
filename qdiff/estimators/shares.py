"""Sharing out a whole number of shots.

Neyman's allocation: the variance Σ s_h²/n_h of a sum of independent means is least where n_h ∝ s_h.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def shared_out(
    shots: int, weights: Sequence[float] | NDArray[np.float64], least: int | Sequence[int] | Ints = 2
) -> Ints:
    """Return numbers that add up to `shots`, at least `least` each, as near to the weights as that allows.

    Args:
        shots: not less than all that `least` asks for. weights: not negative; all 0 counts as all equal.
        least: for all, or one for each.
    """
    wanted = np.asarray(weights, dtype=float)
    lowest = np.broadcast_to(np.asarray(least, dtype=np.int64), wanted.shape)
    wanted = wanted / wanted.max() if wanted.max(initial=0.0) > 0 else np.ones(len(wanted))
    # Who gets the least anyway leaves the others a smaller sum to share.
    free = np.ones(len(wanted), dtype=bool)
    while True:
        part = np.where(free, wanted, 0.0)
        rest = shots - int(lowest[~free].sum())
        exact = rest * part / part.sum() if part.sum() > 0 else np.zeros(len(wanted))
        short = free & (exact < lowest)
        if not short.any():
            break
        free &= ~short
    exact = np.where(free, exact, lowest.astype(float))
    found = np.floor(exact + 1e-9).astype(np.int64)
    # What whole numbers leave over goes to the largest remainders; where nobody deserves more, round about.
    missing = shots - int(found.sum())
    found += missing // len(found)
    order = np.argsort(found - exact, kind="stable")
    found[order[: missing % len(found)]] += 1
    return found
