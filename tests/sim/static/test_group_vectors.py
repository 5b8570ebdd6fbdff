"""SIMD loops against dense matrices, in both precisions, wherever the qubits are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qdiff.sim.machine.compiled import entry
from qdiff.sim.static.group_sizes import LOCAL
from qdiff.sim.static.group_vectors import (
    BACK,
    PHASES,
    act,
    diagonal,
    differences,
    exchange,
    lane_bits,
    product,
    transition,
)

Reals = NDArray[Any]
DTYPES = [np.float64, np.float32]
BITS = 8
PLACES = [(4, 5, 6), (4, 6, 7), (5, 6, 7), (4, 5, 7)]


@entry
def run_act(x: Reals, count: int, a: int, b: int, c: int, matrix: Reals) -> None:
    act(x[0], x[1], count, a, b, c, matrix)


@entry
def run_turn(
    x: Reals, count: int, a: int, b: int, c: int, places: NDArray[np.int64], what: int, numbers: Reals
) -> None:
    product(x[0], x[1], count, a, b, c, places, what, numbers)


@entry
def run_sums(x: Reals, y: Reals, count: int, a: int, b: int, c: int, into: Reals, of_bit: Reals) -> None:
    transition(x[0], x[1], y[0], y[1], count, a, b, c, into)
    differences(x[0], x[1], y[0], y[1], 4 * count, b, of_bit)


@entry
def run_diagonal(
    x: Reals, y: Reals, count: int, a: int, b: int, c: int, places: NDArray[np.int64], into: Reals
) -> None:
    diagonal(x[0], x[1], y[0], y[1], count, a, b, c, places, into)


@entry
def run_exchange(x: Reals, low: int, high: int) -> None:
    exchange(x[0], 1, low, high)


def state(rng: np.random.Generator, dtype: Any) -> Reals:
    return rng.normal(size=(2, 1 << BITS)).astype(dtype)


def unitary(rng: np.random.Generator, size: int) -> NDArray[np.complex128]:
    return np.linalg.qr(rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size)))[0]


def parts(matrix: NDArray[np.complex128], dtype: Any) -> Reals:
    return np.ascontiguousarray(matrix).reshape(-1).view(np.float64).astype(dtype)


def local(x: Reals, where: tuple[int, ...]) -> NDArray[np.complex128]:
    """Rows: local states of some bits, the first the least significant."""
    z = (x[0] + 1j * x[1]).astype(np.complex128).reshape((2,) * BITS)
    axes = [BITS - 1 - bit for bit in reversed(where)]
    return np.moveaxis(z, axes, range(len(axes))).reshape(1 << len(where), -1)


def tolerance(dtype: Any) -> float:
    return 1e-12 if dtype == np.float64 else 1e-4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", PLACES)
def test_a_matrix_on_three_bits(dtype: Any, where: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    x, matrix = state(rng, dtype), unitary(rng, LOCAL)
    wanted = matrix @ local(x, where)
    run_act(x, 1 << (BITS - lane_bits(dtype) - 3), *(1 << b for b in where), parts(matrix, dtype))
    np.testing.assert_allclose(local(x, where), wanted, atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("what", range(16))
def test_matrices_on_single_bits_then_a_permutation_with_phases(dtype: Any, what: int) -> None:
    rng = np.random.default_rng(what)
    where = PLACES[what % 4]
    x, factors = state(rng, dtype), [unitary(rng, 2) for _ in range(3)]
    before, order = x.copy(), rng.permutation(LOCAL)
    phases = np.exp(1j * rng.uniform(0, 6, LOCAL))
    used = [factors[i] if what >> i & 1 else np.eye(2) for i in range(3)]
    moved = np.zeros((LOCAL, LOCAL), dtype=complex)
    moved[order, range(LOCAL)] = phases if what & PHASES else 1.0
    wanted = moved @ np.kron(used[2], np.kron(used[1], used[0])) @ local(x, where)
    places = np.array([sum((s >> i & 1) << b for i, b in enumerate(where)) for s in order])
    numbers = np.concatenate([parts(m, dtype) for m in (*factors, phases)])
    count, strides = 1 << (BITS - lane_bits(dtype) - 3), [1 << b for b in where]
    run_turn(x, count, *strides, places, what, numbers)
    np.testing.assert_allclose(local(x, where), wanted, atol=tolerance(dtype))
    inverse = np.concatenate([parts(m, dtype) for m in (*(f.conj().T for f in factors), phases.conj())])
    run_turn(x, count, *strides, places, what | BACK, inverse)
    np.testing.assert_allclose(x, before, atol=tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("where", PLACES)
def test_transition_matrices_are_added(dtype: Any, where: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(2)
    x, y = state(rng, dtype), state(rng, dtype)
    into, of_bit = np.ones(2 * LOCAL * LOCAL), np.ones(3)
    run_sums(x, y, 1 << (BITS - lane_bits(dtype) - 3), *(1 << b for b in where), into, of_bit)
    wanted = local(x, where) @ local(y, where).conj().T + (1 + 1j)
    close = 100 * tolerance(dtype)
    np.testing.assert_allclose(into.view(np.complex128).reshape(LOCAL, LOCAL), wanted, atol=close)
    t = local(x, where[1:2]) @ local(y, where[1:2]).conj().T
    u = t[0, 1] - t[1, 0].conj()
    np.testing.assert_allclose(of_bit - 1, [t[0, 0].imag - t[1, 1].imag, u.real, u.imag], atol=close)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_diagonal_of_a_transition_matrix_in_any_order(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    x, y, where, order = state(rng, dtype), state(rng, dtype), PLACES[1], rng.permutation(LOCAL)
    places = np.array([sum((s >> i & 1) << b for i, b in enumerate(where)) for s in order])
    into, count = np.ones(LOCAL), 1 << (BITS - lane_bits(dtype) - 3)
    run_diagonal(x, y, count, *(1 << b for b in where), places, into)
    t = local(x, where) @ local(y, where).conj().T
    np.testing.assert_allclose(into - 1, np.diag(t).imag[order], atol=100 * tolerance(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_lane_is_exchanged_with_another_bit(dtype: Any) -> None:
    x = np.zeros((2, 1 << BITS), dtype)
    x[0] = np.arange(1 << BITS)
    width = 1 << lane_bits(dtype)
    run_exchange(x, width, 4 * width)
    near, far = np.arange(width, 2 * width), np.arange(4 * width, 5 * width)
    lanes = np.arange(width)
    expected = np.arange(float(1 << BITS))
    expected[near] = np.where(lanes & 2, far[lanes ^ 2], near)
    expected[far] = np.where(lanes & 2, far, near[lanes | 2])
    np.testing.assert_array_equal(x[0], expected)
