"""Channels on a register: against Kraus operators on the whole space, and against their adjoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import assert_close
from numpy.typing import NDArray

from qdiff.lang.channels import Factors, channel_record, known_channels
from qdiff.sim.channel_maps import applied

Stack = NDArray[Any]
Apply = Callable[..., Stack]
RNG = np.random.default_rng(3)
QUBITS = 3


def random_stack(*shape: int) -> Stack:
    size = 2**QUBITS
    return RNG.normal(size=(*shape, size, size)) + 1j * RNG.normal(size=(*shape, size, size))


def embedded(small: Stack, qubit: int) -> Stack:
    """An operator on one qubit, on the whole space."""
    return np.kron(np.kron(np.eye(2 ** (QUBITS - 1 - qubit)), small), np.eye(2**qubit))


def check_forward(name: str, apply: Apply) -> None:
    """Assert Σ K x K† for every qubit and for rows of probabilities."""
    record, p = channel_record(name), np.array([0.2, 0.7])
    for qubit in range(QUBITS):
        operators = [[embedded(k, qubit) for k in some] for some in record.kraus(p)]
        x = random_stack(2, 3)
        expected = [
            [sum(k @ y @ k.conj().T for k in ks) for y in row] for ks, row in zip(operators, x, strict=True)
        ]
        assert_close(apply(x, qubit, record.factors(p)), expected, 1e-13)
        assert_close(apply(x[0], qubit, record.factors(p[0])), expected[0], 1e-13)


@pytest.mark.parametrize("name", known_channels())
def test_forward(name: str) -> None:
    check_forward(name, applied)


@pytest.mark.parametrize("name", known_channels())
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_adjoint_is_adjoint(name: str, order: int) -> None:
    factors = channel_record(name).factors(np.array(0.3), order)
    for qubit in range(QUBITS):
        x, a = random_stack(), random_stack()
        left = np.vdot(a, applied(x, qubit, factors))
        assert abs(left - np.vdot(applied(a, qubit, factors, adjoint=True), x)) < 1e-12


def test_rows_of_probabilities_meet_one_row_of_states() -> None:
    record, p = channel_record("damp"), np.array([0.1, 0.4, 0.9])
    x = random_stack(1, 2, 2)
    found = applied(x, 1, record.factors(p))
    assert found.shape == (3, 2, 2, 8, 8)
    for row, q in zip(found, p, strict=True):
        assert_close(row, applied(x[0], 1, record.factors(q)), 1e-15)


def test_extended_precision_stays() -> None:
    p = np.longdouble(1) / 3
    x = random_stack(1).astype(np.clongdouble)
    found = applied(x, 0, channel_record("damp").factors(p[None]))
    assert found.dtype == np.clongdouble
    assert_close(found[0, 0, 1], x[0, 0, 1] * np.sqrt(1 - p), 0)


@pytest.mark.parametrize("broken", ["transposed", "coherence", "qubit"])
def test_a_broken_map_is_caught(broken: str) -> None:
    def wrong(x: Stack, qubit: int, factors: Factors) -> Stack:
        w, c = factors
        if broken == "transposed":
            w = w.swapaxes(-1, -2)
        if broken == "coherence":
            c = c**2
        return applied(x, (qubit + 1) % QUBITS if broken == "qubit" else qubit, (w, c))

    with pytest.raises(AssertionError):
        check_forward("damp", wrong)
