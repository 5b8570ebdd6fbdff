"""Compiled loops over the sparse table of angles: a = b + A x and its transpose (see `angles`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.machine.compiled import entry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@entry
def combine(
    starts: Ints, columns: Ints, factors: Floats, constants: Floats, inputs: Floats, angles: Floats
) -> bool:
    """Write the angles (P, N) of inputs (P, inputs); return whether all are finite.

    Args:
        starts: (N + 1,) where the entries of each angle begin in `columns` and `factors`.
    """
    wrong = 0.0
    for p in range(inputs.shape[0]):
        for n in range(constants.size):
            total = constants[n]
            for e in range(starts[n], starts[n + 1]):
                total += factors[e] * inputs[p, columns[e]]
            angles[p, n] = total
            wrong += total * 0.0  # nan where it is not finite
    return wrong == 0.0


@entry
def spread(starts: Ints, columns: Ints, factors: Floats, by_angle: Floats, by_input: Floats) -> None:
    """Add derivatives by angles, (P, k, N), to those by inputs, (P, k, width); columns of -1 are left out."""
    for p in range(by_angle.shape[0]):
        for k in range(by_angle.shape[1]):
            for n in range(by_angle.shape[2]):
                for e in range(starts[n], starts[n + 1]):
                    if columns[e] >= 0:
                        by_input[p, k, columns[e]] += factors[e] * by_angle[p, k, n]
