"""Compiled loops over rows of states, where those of `pure.kernels` handle one state.

A state is float (2, D), real and imaginary parts apart; rows of them are (B, 2, D). Nothing of another file
is called: Numba keys its cache on the file of the function that Python calls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.pure.kernels import entry, inner

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Ints = NDArray[np.int64]


@entry
def dots(x: Floats, y: Floats, result: Complexes) -> None:
    """result[b] = ⟨x_b|y_b⟩."""
    for b in range(x.shape[0]):
        re, im = 0.0, 0.0
        for i in range(x.shape[2]):
            re += x[b, 0, i] * y[b, 0, i] + x[b, 1, i] * y[b, 1, i]
            im += x[b, 0, i] * y[b, 1, i] - x[b, 1, i] * y[b, 0, i]
        result[b] = complex(re, im)


@entry
def operated(
    x: Floats, y: Floats, flips: Ints, signs: Ints, kept: Ints, ones: Ints, coefficients: Complexes
) -> None:
    """y_b += Σ_j c_j L_j x_b; see `kernels.add_operators`."""
    for j in range(flips.size):
        for i in range(x.shape[2]):
            if (i & kept[j]) != ones[j]:
                continue
            bits = i & signs[j]
            for shift in (32, 16, 8, 4, 2, 1):
                bits ^= bits >> shift
            c = -coefficients[j] if bits & 1 else coefficients[j]
            k = i ^ flips[j]
            for b in range(x.shape[0]):
                y[b, 0, i] += c.real * x[b, 0, k] - c.imag * x[b, 1, k]
                y[b, 1, i] += c.real * x[b, 1, k] + c.imag * x[b, 0, k]


@inner
def _local(i: int, qubits: Ints) -> int:
    """The bits of some qubits, the first the least significant."""
    found = 0
    for j in range(qubits.size):
        found |= ((i >> qubits[j]) & 1) << j
    return found


@entry
def weighed(x: Floats, qubits: Ints, result: Floats) -> None:
    """result[b, v] += |P_v x_b|² for the outcomes v of some qubits."""
    for b in range(x.shape[0]):
        for i in range(x.shape[2]):
            result[b, _local(i, qubits)] += x[b, 0, i] * x[b, 0, i] + x[b, 1, i] * x[b, 1, i]


@entry
def multiplied(x: Floats, qubits: Ints, diagonal: Complexes, y: Floats) -> None:
    """y_b = diagonal x_b; the diagonal is (1, A) or (B, A)."""
    for b in range(x.shape[0]):
        d = diagonal[b if diagonal.shape[0] > 1 else 0]
        for i in range(x.shape[2]):
            c = d[_local(i, qubits)]
            y[b, 0, i] = c.real * x[b, 0, i] - c.imag * x[b, 1, i]
            y[b, 1, i] = c.real * x[b, 1, i] + c.imag * x[b, 0, i]


@entry
def traced(x: Floats, y: Floats, targets: Ints, places: Ints, controls: int, result: Complexes) -> None:
    """result[b, s, t] += Σ x_s conj(y_t) over all but the targets, where all controls are 1.

    Args:
        places: where the amplitude of each local state is. controls: a bit mask.
    """
    for b in range(x.shape[0]):
        for i in range(x.shape[2]):
            if (i & controls) == controls and _local(i, targets) == 0:
                for s in range(places.size):
                    p = complex(x[b, 0, i + places[s]], x[b, 1, i + places[s]])
                    for t in range(places.size):
                        result[b, s, t] += p * complex(y[b, 0, i + places[t]], -y[b, 1, i + places[t]])
