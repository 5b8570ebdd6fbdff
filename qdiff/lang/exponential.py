"""Exponentials of a Hermitian matrix that is affine in one angle, with their derivatives.

    U(a) = exp(-i H),  H = a·A + B,  H = V diag(λ) V†,  Ã = V† A V

    U   = V [f(λ_j) δ_jk] V†                            f(x) = exp(-i x)
    U'  = V [f[λ_j, λ_k] Ã_jk] V†                       (Daleckii and Krein 1965)
    U'' = V [2 Σ_l f[λ_j, λ_l, λ_k] Ã_jl Ã_lk] V†

with divided differences f[x, y] and f[x, y, z], in forms that do not cancel where eigenvalues are
equal or close. N. J. Higham, Functions of Matrices (SIAM 2008), section 3.2.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.complex128]
Vector: TypeAlias = NDArray[np.float64]

CLOSE = 1.0  # three points within this distance are close: their series is short
SERIES = 20  # its terms; the remainder is below 1e-17


class AffineExponential:
    """U(a) = exp(-i (a·A + B)) and its derivatives, for one angle or a stack of angles.

    Args:
        direction: A, Hermitian (d, d).
        drift: B, Hermitian (d, d).
    """

    def __init__(self, direction: Matrix, drift: Matrix) -> None:
        self.direction = np.asarray(direction, dtype=complex)
        self.drift = np.asarray(drift, dtype=complex)

    def value(self, a: float | Vector) -> Matrix:
        """Return U(a), complex (…, d, d) for angles of shape (…)."""
        values, vectors = self._eigen(a)
        return np.asarray((vectors * np.exp(-1j * values)[..., None, :]) @ _dagger(vectors))

    def derivative(self, a: float | Vector) -> Matrix:
        """Return dU/da, complex (…, d, d)."""
        values, vectors = self._eigen(a)
        turned = _dagger(vectors) @ self.direction @ vectors
        slopes = first_difference(values[..., :, None], values[..., None, :])
        return np.asarray(vectors @ (slopes * turned) @ _dagger(vectors))

    def second_derivative(self, a: float | Vector) -> Matrix:
        """Return d²U/da², complex (…, d, d)."""
        values, vectors = self._eigen(a)
        turned = _dagger(vectors) @ self.direction @ vectors
        total = np.zeros_like(turned)
        for k in range(values.shape[-1]):  # one middle index at a time: d² numbers, not d³
            middle = values[..., k, None, None]
            bends = second_difference(values[..., :, None], middle, values[..., None, :])
            total += bends * turned[..., :, k, None] * turned[..., k, None, :]
        return np.asarray(2 * vectors @ total @ _dagger(vectors))

    def _eigen(self, a: float | Vector) -> tuple[Vector, Matrix]:
        angles = np.asarray(a, dtype=float)[..., None, None]
        values, vectors = np.linalg.eigh(angles * self.direction + self.drift)
        return values, vectors


def first_difference(x: Vector, y: Vector) -> Matrix:
    """Return (f(x) - f(y))/(x - y) = -i exp(-i (x + y)/2) sinc((x - y)/2), f(x) = exp(-i x)."""
    return np.asarray(-1j * np.exp(-0.5j * (x + y)) * np.sinc((x - y) / (2 * np.pi)))


def second_difference(x: Vector, y: Vector, z: Vector) -> Matrix:
    """Return f[x, y, z] of f(x) = exp(-i x); the arrays are broadcast together."""
    low, middle, high = np.sort(np.stack(np.broadcast_arrays(x, y, z)), axis=0)
    gap = high - low
    far = gap > CLOSE
    # Far apart: the difference of first differences over the widest gap. Close: their series.
    apart = (first_difference(middle, high) - first_difference(low, middle)) / np.where(far, gap, 1)
    return np.asarray(np.where(far, apart, _series(low, middle, high, far)))


def _series(low: Vector, middle: Vector, high: Vector, skip: NDArray[np.bool_]) -> Matrix:
    """Σ_n (-i)^(n+2) h_n(u, v, w)/(n+2)! times exp(-i m), m the middle; h_n complete symmetric."""
    u = np.where(skip, 0, low - middle)
    w = np.where(skip, 0, high - middle)
    # The offset of the middle is 0, so h_n = Σ_j u^j w^(n-j) = u h_(n-1) + w^n.
    complete, power = np.ones_like(u), np.ones_like(u)
    factor = -0.5 + 0j
    total = factor * complete
    for n in range(1, SERIES):
        power = power * w
        complete = u * complete + power
        factor *= -1j / (n + 2)
        total = total + factor * complete
    return np.asarray(np.exp(-1j * middle) * total)


def _dagger(matrix: Matrix) -> Matrix:
    return np.asarray(matrix.conj().swapaxes(-1, -2))
