"""Exponentials that are affine in an angle, with derivatives, against power series of block matrices."""

from __future__ import annotations

import numpy as np
import pytest
from reference.exponentials import both, power_series

from qdiff.lang.exponential import AffineExponential, first_difference, second_difference
from qdiff.lang.gates import GateRecord

RNG = np.random.default_rng(5)


def hermitian(d: int) -> np.ndarray:
    m = RNG.normal(size=(d, d)) + 1j * RNG.normal(size=(d, d))
    return m + m.conj().T


def second(a: np.ndarray, b: np.ndarray, angle: float) -> np.ndarray:
    """d²U/da² as twice the corner of an exponential three times as large."""
    d = len(a)
    h = angle * a + b
    block = np.zeros((3 * d, 3 * d), dtype=complex)
    for i in range(3):
        block[i * d : (i + 1) * d, i * d : (i + 1) * d] = h
    block[:d, d : 2 * d] = block[d : 2 * d, 2 * d :] = a
    return 2 * power_series(-1j * block)[:d, 2 * d :]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (hermitian(2), hermitian(2)),
        (hermitian(4), hermitian(4)),
        (hermitian(8), np.zeros((8, 8))),
        (np.diag([1.0, 1, -1, -1]), hermitian(4)),  # equal eigenvalues
        (hermitian(4), 1e-9 * hermitian(4)),
        (1e-9 * hermitian(4), np.diag([0.5, 0.5, 0.5 + 1e-7, 2.0])),  # close ones
        (np.diag([1.0, 2, 3, 4]), np.diag([0.0, 1, 0, 1])),
        (20 * hermitian(4), hermitian(4)),  # far apart
    ],
)
def test_value_and_derivatives(a: np.ndarray, b: np.ndarray) -> None:
    found = AffineExponential(a, b)
    angles = np.array([[0.3, -1.1], [0.0, 2.5]])
    values, slopes, bends = found.value(angles), found.derivative(angles), found.second_derivative(angles)
    assert values.shape == slopes.shape == bends.shape == (2, 2, len(a), len(a))
    size = 1 + np.linalg.norm(a, 2)
    for place in np.ndindex(2, 2):
        entry = GateRecord("G", 0, "", angles=("a",), generator=2 * a, drift=b)
        value, slope = both(entry, angles[place], np.complex128)
        assert np.abs(values[place] - value).max() < 1e-12
        assert np.abs(slopes[place] - slope).max() < 1e-12 * size
        assert np.abs(bends[place] - second(a, b, angles[place])).max() < 1e-12 * size**2


def test_divided_differences_do_not_cancel() -> None:
    for gap in (0.0, 1e-12, 1e-6, 1e-3, 0.3, 0.99, 1.01, 5.0):
        x, y, z = (np.longdouble(v) for v in (0.7, 0.7 + gap / 3, 0.7 + gap))

        def f(v: np.longdouble) -> np.clongdouble:
            return np.clongdouble(np.cos(v) - 1j * np.sin(v))

        # ∫ f'' over the simplex, by Gauss' rule in both directions: f[x, y, z].
        middle, weights = np.polynomial.legendre.leggauss(40)
        middle, weights = (middle + 1) / 2, weights / 2
        inner = first_difference(np.asarray(x + 0 * middle, float), np.asarray(z, float))
        assert np.allclose(inner, -1j * (weights * f(x + middle * (z - x))).sum().astype(complex), atol=1e-12)
        s, t = np.meshgrid(middle, middle, indexing="ij")
        points = x + s * (y - x) + s * t * (z - y)
        expected = -(np.outer(weights, weights) * s * f(points)).sum()
        found = second_difference(np.array(float(x)), np.array(float(y)), np.array(float(z)))
        assert abs(found - complex(expected)) < 1e-12
        assert found == second_difference(np.array(float(z)), np.array(float(x)), np.array(float(y)))


def test_records_give_derivatives_with_and_without_a_drift() -> None:
    g, b = hermitian(4), hermitian(4)
    for drift in (None, b):
        record = GateRecord("G", 2, "", angles=("a",), generator=g, drift=drift)
        matrix, slope = both(record, 0.7, np.complex128)
        assert np.allclose(record.matrix(0.7), matrix, atol=1e-12)
        assert np.allclose(record.derivative(0.7), slope, atol=1e-12)
        bend = second(g / 2, np.zeros_like(g) if drift is None else drift, 0.7)
        assert np.allclose(record.second_derivative(0.7), bend, atol=1e-11)
        angles = np.array([0.7, -0.2, 1.0])
        assert np.allclose(record.second_derivative(angles)[0], bend, atol=1e-11)
