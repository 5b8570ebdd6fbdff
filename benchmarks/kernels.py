"""Two programs simulated by hand in Numba: what the same machine can do when nothing is general.

Each shot is a state-vector trajectory, its measurements drawn by xoshiro256** (Blackman and Vigna, 2018)
seeded by splitmix64. Amplitude amplification has real amplitudes and enters each pass with r = 0, which is
used; for the walk, neighbouring classical gates are one permutation of the basis, and every step is applied
in every pass (that a pass always begins with the same state is not used).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.peers.loop import Loop, Operation

Totals = tuple[int, int]  # sum and sum of squares of the counter


@njit(cache=True)
def seeded(seed: int) -> NDArray[np.uint64]:
    """uint64 (4,): the state of a generator."""
    state, x = np.empty(4, np.uint64), np.uint64(seed)
    for i in range(4):
        x += np.uint64(0x9E3779B97F4A7C15)
        z = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state[i] = z ^ (z >> np.uint64(31))
    return state


@njit(cache=True)
def uniform(s: NDArray[np.uint64]) -> float:
    """The next number in [0, 1)."""
    word = s[1] * np.uint64(5)
    word = ((word << np.uint64(7)) | (word >> np.uint64(57))) * np.uint64(9)
    moved = s[1] << np.uint64(17)
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= moved
    s[3] = (s[3] << np.uint64(45)) | (s[3] >> np.uint64(19))
    return float(word >> np.uint64(11)) * 2.0**-53


@njit(cache=True)
def amplification(shots: int, seed: int, t: float, a: float, most: int) -> Totals:
    """Amplitude amplification: q = (zero, one) with r = 0, one Grover iteration and C_Ry(t) a pass."""
    random = seeded(seed)
    cos_a, sin_a, cos_t, sin_t = math.cos(a), math.sin(a), math.cos(t / 2), math.sin(t / 2)
    total = squares = 0
    for _ in range(shots):
        zero, one, c = math.cos(a / 2), math.sin(a / 2), 0
        while True:
            # Z, Ry(-a), Z, Ry(a) is Ry(2a): a turn by a of the real vector.
            zero, one = cos_a * zero - sin_a * one, sin_a * zero + cos_a * one
            c += c < most
            success = one * sin_t
            if uniform(random) < success * success:
                break
            one *= cos_t
            norm = 1 / math.sqrt(zero * zero + one * one)
            zero *= norm
            one *= norm
        total += c
        squares += c * c
    return total, squares


@njit(cache=True)
def turn(state: NDArray[np.complex128], bit: int, diagonal: complex, other: complex) -> None:
    """[[d, o], [o, ±d]] on one qubit: Rx where `other` is imaginary, H where it is real."""
    last = -diagonal if other.imag == 0 else diagonal
    for i in range(len(state)):
        if not i & bit:
            low, high = state[i], state[i | bit]
            state[i], state[i | bit] = diagonal * low + other * high, other * low + last * high


@njit(cache=True)
def measured(state: NDArray[np.complex128], bit: int, draw: float) -> bool:
    """Measure one qubit and keep what was found."""
    weight = 0.0
    for i in range(len(state)):
        if i & bit:
            weight += state[i].real ** 2 + state[i].imag ** 2
    one = draw < weight
    scale = 1 / math.sqrt(weight if one else 1 - weight)
    for i in range(len(state)):
        state[i] = state[i] * scale if ((i & bit) != 0) == one else 0
    return one


@njit(cache=True)
def walk(
    shots: int, seed: int, guard: int, most: int, kinds: Any, bits: Any, factors: Any, moves: Any
) -> Totals:
    """The walk: a pass starts at |0…0> and runs a list of fused steps (see `walk_steps`)."""
    random, total, squares, size = seeded(seed), 0, 0, moves.shape[1]
    state, moved = np.empty(size, np.complex128), np.empty(size, np.complex128)
    for _ in range(shots):
        c = 0
        while True:
            state[:] = 0
            state[0] = 1
            for step in range(len(kinds)):
                if kinds[step] == 0:
                    turn(state, bits[step], factors[step, 0], factors[step, 1])
                elif kinds[step] == 1:
                    for i in range(size):
                        moved[moves[step, i]] = state[i] * factors[step, i].real
                    state, moved = moved, state
                elif measured(state, bits[step], uniform(random)):  # a reset
                    for i in range(size):
                        if i & bits[step]:
                            state[i ^ bits[step]], state[i] = state[i], 0
            c += c < most
            if measured(state, guard, uniform(random)):
                break
        total += c
        squares += c * c
    return total, squares


def walk_steps(loop: Loop) -> tuple[NDArray[Any], ...]:
    """The steps of a pass after its first resets; neighbouring X, Z and controlled X, Z are one step.

    Returns:
        kinds: int64 (steps,), 0 a turn, 1 a signed permutation, 2 a reset; bits: int64 (steps,), the qubit;
        factors: complex (steps, 2ⁿ), first the two entries of a turn, or the signs; moves: int64 (steps, 2ⁿ).
    """
    states = np.arange(2**loop.qubits)
    still, ones = states.copy(), np.ones(len(states), dtype=complex)
    steps: list[tuple[int, int, NDArray[np.complex128], NDArray[np.int64]]] = []
    for step in [step for _, run in loop.stretches()[1:] for step in run]:
        bit, factors = 1 << step.target, ones.copy()
        if step.name in ("x", "z"):
            before = steps.pop() if steps and steps[-1][0] == 1 else (1, 0, ones, still)
            moves, signs = classical(step, states)
            steps.append((1, 0, before[2] * signs[before[3]], moves[before[3]]))
        elif step.name == "reset":
            steps.append((2, bit, ones, still))
        else:
            factors[:2] = step.small[0]
            steps.append((0, bit, factors, still))
    kinds, bits, all_factors, all_moves = zip(*steps, strict=True)
    return np.array(kinds), np.array(bits), np.array(all_factors), np.array(all_moves)


def classical(step: Operation, states: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
    """Where a (controlled) X or Z takes each basis state, and with which sign."""
    on = np.full(len(states), True)
    for control in step.controls:
        on &= states >> control & 1 == 1
    if step.name == "x":
        return np.where(on, states ^ 1 << step.target, states), np.ones(len(states), dtype=complex)
    return states, np.where(on & (states >> step.target & 1 == 1), -1, 1).astype(complex)
