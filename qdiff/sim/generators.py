"""Effective generators: how a gate with one angle turns when its angle changes.

    dU/da = -(i/2) K U,     K(a) = 2i (dU/da) U†  Hermitian

K = G for exp(-i a G/2), whatever a is. For exp(-i (a G/2 + B)) it is the mean of exp(-isH) G exp(isH) over
0 ≤ s ≤ 1, H = a G/2 + B: its eigenvalues lie between those of G, and it changes with the angle,

    dK/da = 2i (d²U/da² U† + dU/da dU†/da).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.gates import GateRecord

Matrix = NDArray[np.complex128]
Floats = NDArray[np.float64]


def effective_generator(record: GateRecord, angle: float | Floats) -> Matrix:
    """Return K, (d, d) where it is constant, else (..., d, d) for angles (...)."""
    assert record.generator is not None
    if record.drift is None:
        return record.generator
    slope, unitary = record.derivative(angle), record.matrix(angle)
    return _hermitian(2j * slope @ _dagger(unitary))


def generator_slope(record: GateRecord, angle: float | Floats) -> Matrix:
    """Return dK/da, (..., d, d) for angles (...), of a gate with a drift."""
    slope, unitary = record.derivative(angle), record.matrix(angle)
    bend = record.second_derivative(angle)
    return _hermitian(2j * (bend @ _dagger(unitary) + slope @ _dagger(slope)))


def _hermitian(matrix: Matrix) -> Matrix:
    return np.asarray((matrix + _dagger(matrix)) / 2)


def _dagger(matrix: Matrix) -> Matrix:
    return np.asarray(matrix.conj().swapaxes(-1, -2))
