"""Real coordinates of Hermitian matrices, and fields of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qdiff.sim.hybrid.coordinates import basis, decode, encode, identity, masses
from qdiff.sim.hybrid.fields import Field

RNG = np.random.default_rng(5)


def hermitian(*shape: int) -> NDArray[np.complex128]:
    x = RNG.normal(size=(*shape, shape[-1])) + 1j * RNG.normal(size=(*shape, shape[-1]))
    return x + x.conj().swapaxes(-1, -2)


@pytest.mark.parametrize("dimension", [1, 2, 4, 8])
def test_coordinates_are_an_isometry(dimension: int) -> None:
    x, y = hermitian(2, 3, dimension), hermitian(2, 3, dimension)
    a, b = encode(x), encode(y)
    assert a.shape == (2, 3, dimension**2)
    assert a.dtype == float
    np.testing.assert_allclose(decode(a, dimension), x, atol=1e-14)
    np.testing.assert_allclose((a * b).sum(axis=-1), np.einsum("...ij,...ji->...", x, y).real, rtol=1e-12)
    np.testing.assert_allclose(masses(a, dimension), np.trace(x, axis1=-2, axis2=-1).real, atol=1e-13)


def test_every_vector_is_a_hermitian_matrix() -> None:
    y = RNG.normal(size=(5, 16))
    x = decode(y, 4)
    np.testing.assert_allclose(x, x.conj().swapaxes(-1, -2), atol=1e-15)
    np.testing.assert_allclose(encode(x), y, atol=1e-15)


def test_the_basis_and_the_identity() -> None:
    units = basis(4)
    np.testing.assert_array_equal(encode(units), np.eye(16))
    np.testing.assert_array_equal(decode(identity(4), 4), np.eye(4))
    gram = np.einsum("aij,bji->ab", units, units)
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-15)


def test_a_field_is_a_mapping_over_an_array() -> None:
    field = Field(4, (2, 3, 4), {1: np.ones((2, 3, 4))})
    assert (list(field), len(field), field.columns) == ([1], 1, 3)
    assert 1 in field
    assert 0 not in field
    assert field.get(0) is None
    np.testing.assert_array_equal(field[1], np.ones((2, 3, 4)))
    with pytest.raises(KeyError):
        field[0]
    field[3] = 2 * np.ones((2, 3, 4))
    assert sorted(field) == [1, 3]
    np.testing.assert_array_equal(field.array[[0, 3], 0, 0, 0], [0.0, 2.0])
    del field[1]
    assert 1 not in field
    assert not field.array[1].any()
    field.array[2] = 7.0
    field.mark([2])
    assert sorted(field) == [2, 3]
    field.update({0: np.zeros((2, 3, 4))})
    assert sorted(field.keys()) == [0, 2, 3]
