"""Noise channels as linear maps on stacks of matrices on the whole register.

The qubit cuts a matrix into four blocks. With the factors W, c of a channel (`lang.channels`),

    𝓔(X):  X_aa ← Σ_b W_ab X_bb,  X_ab ← c X_ab;      𝓔†(A):  A_bb ← Σ_a W_ab A_aa,  A_ab ← c A_ab.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.channels import Factors

Stack = NDArray[Any]  # complex128, or clongdouble in extended precision


def applied(x: Stack, qubit: int, factors: Factors, *, adjoint: bool = False) -> Stack:
    """Return the map of some factors on one qubit of matrices, or its adjoint.

    Args:
        x: (..., D, D). factors: W (2, 2) and c (), or with a first axis P: for x (P or 1, ..., D, D).
    """
    w, c = factors
    rows = c.shape  # () or (P,)
    lead = np.broadcast_shapes(x.shape[:-2], (*rows, *[1] * (x.ndim - 3)) if rows else ())
    low, size = 1 << qubit, x.shape[-1]
    split = x.reshape(*x.shape[:-2], size // (2 * low), 2, low, size // (2 * low), 2, low)
    result = np.empty((*lead, *split.shape[-6:]), dtype=np.result_type(x, w))
    factor = c.reshape(*rows, *[1] * (split.ndim - len(rows) - 2))
    weights = w.reshape(*rows, *[1] * (split.ndim - len(rows) - 2), 2, 2)
    if adjoint:
        weights = weights.swapaxes(-1, -2)
    zeros, ones = split[..., :, 0, :, :, 0, :], split[..., :, 1, :, :, 1, :]
    result[..., :, 0, :, :, 0, :] = weights[..., 0, 0] * zeros + weights[..., 0, 1] * ones
    result[..., :, 1, :, :, 1, :] = weights[..., 1, 0] * zeros + weights[..., 1, 1] * ones
    result[..., :, 0, :, :, 1, :] = factor * split[..., :, 0, :, :, 1, :]
    result[..., :, 1, :, :, 0, :] = factor * split[..., :, 1, :, :, 0, :]
    return result.reshape(*lead, size, size)
