"""Hermitian matrices as real vectors.

    y = Re X + Im X,     X = (y + yᵀ)/2 + i (y - yᵀ)/2

The real part of a Hermitian matrix is symmetric and the imaginary part antisymmetric, so y, a real
matrix of the same size, holds both; and Σ y y' = tr(X X'): the map keeps inner products. Everything a
program does maps Hermitian matrices to Hermitian ones, so states and observables are kept, and the
equations of loops solved, in these coordinates: half the memory, a quarter of the work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Stack = NDArray[np.complex128]


def encode(x: Stack) -> Reals:
    """Return (..., D²) for Hermitian matrices (..., D, D)."""
    return np.asarray(x.real + x.imag).reshape(*x.shape[:-2], -1)


def decode(y: Reals, dimension: int) -> Stack:
    """Return (..., D, D) for coordinates (..., D²)."""
    square = y.reshape(*y.shape[:-1], dimension, dimension)
    transposed = square.swapaxes(-1, -2)
    x = np.empty(square.shape, dtype=complex)
    np.add(square, transposed, out=x.real)
    np.subtract(square, transposed, out=x.imag)
    x *= 0.5
    return x


def identity(dimension: int) -> Reals:
    """The identity matrix, (D²,)."""
    return np.eye(dimension).reshape(-1)


def basis(dimension: int) -> Stack:
    """The matrices whose coordinates are the unit vectors, (D², D, D)."""
    return decode(np.eye(dimension * dimension), dimension)


def masses(y: Reals, dimension: int) -> Reals:
    """Return the traces, (...)."""
    return np.asarray(y[..., :: dimension + 1].sum(axis=-1))
