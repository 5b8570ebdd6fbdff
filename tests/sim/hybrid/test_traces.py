"""Traces and runs of gates: every map against its definition, and against its adjoint."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qdiff.lang.gates import known_gates, record
from qdiff.sim.flow import Flow, SmallGate
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.traces import Maps, ResetMap
from qdiff.sim.hybrid.unitaries import FULL_UP_TO, Runs

Matrix = NDArray[np.complex128]
RNG = np.random.default_rng(7)


def random_hermitian(dimension: int, count: int = 1) -> Matrix:
    x = RNG.normal(size=(count, dimension, dimension)) + 1j * RNG.normal(size=(count, dimension, dimension))
    return x + x.conj().swapaxes(1, 2)


def pairing(a: Matrix, b: Matrix) -> complex:
    return complex(np.einsum("bij,bji->", a, b))


@pytest.mark.parametrize("bits", [0b001, 0b010, 0b101, 0b111])
def test_reset_is_a_measurement_whose_outcome_is_forgotten(bits: int) -> None:
    x = random_hermitian(8, 2)
    result = ResetMap.on(bits, 8).forward(x)
    expected = np.zeros_like(x)
    for pattern in (p for p in range(8) if p & ~bits == 0):
        lower = np.zeros((8, 8))  # |0><pattern| on the qubits
        for i in range(8):
            if i & bits == pattern:
                lower[i & ~bits, i] = 1
        expected += lower @ x @ lower.T
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("bits", [0b001, 0b110, 0b111])
def test_reset_backwards_is_the_adjoint(bits: int) -> None:
    reset, x, a = ResetMap.on(bits, 8), random_hermitian(8), random_hermitian(8)
    assert abs(pairing(a, reset.forward(x)) - pairing(reset.backward(a), x)) < 1e-10


@pytest.mark.parametrize(
    ("qubits", "kept"), [((0,), {1}), ((2, 0), {2}), ((0, 1), {0, 3}), ((1, 2), {1, 2, 3})]
)
def test_a_mask_is_the_sum_over_its_outcomes(qubits: tuple[int, ...], kept: set[int]) -> None:
    x = random_hermitian(8)[0]
    expected = np.zeros_like(x)
    for outcome in kept:
        states = [i for i in range(8) if sum((i >> q & 1) << b for b, q in enumerate(qubits)) == outcome]
        projector = np.diag([1.0 if i in states else 0.0 for i in range(8)])
        expected += projector @ x @ projector
    np.testing.assert_array_equal(traces.mask(qubits, frozenset(kept), 8) * x, expected)


def test_forwards_and_backwards_are_adjoint_and_visits_see_what_they_should() -> None:
    u = np.linalg.qr(RNG.normal(size=(4, 4)) + 1j * RNG.normal(size=(4, 4)))[0]
    maps = Maps(
        [u], [u.conj().T], [traces.mask((0,), frozenset({o}), 4) for o in (0, 1)],
        {0b10: ResetMap.on(0b10, 4)}, np.array([0.3]),
    )  # fmt: skip
    ops = [
        (traces.UNITARY, 0, 0, 0),
        (traces.MASK, 0, 1, 0),
        (traces.RESET, 1, 0, 0b10),
        (traces.LEAF, 1, 0, 0),
        (traces.MASK, 0, 1, 1),
        (traces.TOSS, 1, 2, 0),
        (traces.LEAF, 2, 0, 1),
        (traces.TOSS_NOT, 1, 2, 0),
        (traces.UNITARY, 2, 0, 0),
        (traces.LEAF, 2, 0, 2),
        (traces.END, 1, 0, 0),
        (traces.END, 0, 0, 0),
    ]
    x = random_hermitian(4, 3)
    leaves = maps.forward(ops, x)
    observables: list[Matrix | None] = [random_hermitian(4, 3) for _ in leaves]
    total = sum(pairing(a, leaf) for a, leaf in zip(observables, leaves, strict=True) if a is not None)
    pulled = maps.backward(ops, observables)
    assert pulled is not None
    assert abs(pairing(pulled, x) - total) < 1e-10
    # At every operation that moves a state on, state and observable give what flows through it.
    seen: dict[int, Matrix] = {}
    maps.forward(ops, x, lambda i, state: seen.__setitem__(i, state))
    flows: dict[int, complex] = {}
    maps.backward(ops, observables, lambda i, a: flows.__setitem__(i, pairing(a, seen[i])))
    assert abs(flows[0] - total) < 1e-10
    # None stands for an observable that is zero.
    observables[1] = None
    pulled = maps.backward(ops, observables)
    assert pulled is not None
    less = sum(pairing(a, leaf) for a, leaf in zip(observables, leaves, strict=True) if a is not None)
    assert abs(pairing(pulled, x) - less) < 1e-10
    assert maps.backward(ops, [None, None, None]) is None


def gates_on(qubits: int) -> list[SmallGate]:
    """Every gate with one or two targets, on changing places, with and without controls."""
    result = []
    for k, name in enumerate(known_gates()):
        entry = record(name)
        if entry.parts or entry.controls:
            continue
        order = np.roll(np.arange(qubits), k)
        targets = tuple(int(q) for q in order[: entry.targets])
        controls = int(sum(1 << q for q in order[entry.targets : entry.targets + k % 3]))
        result.append(SmallGate(entry, k if entry.angles else -1, targets, controls))
    return result


def dense(gate: SmallGate, matrix: Matrix, dimension: int, elsewhere: float) -> Matrix:
    """The gate on the whole space, entry by entry."""
    result = np.zeros((dimension, dimension), dtype=complex)
    targets = sum(1 << q for q in gate.targets)
    for i in range(dimension):
        if i & gate.controls != gate.controls:
            result[i, i] = elsewhere
            continue
        column = sum((i >> q & 1) << b for b, q in enumerate(gate.targets))
        for row in range(len(matrix)):
            j = (i & ~targets) | sum((row >> b & 1) << q for b, q in enumerate(gate.targets))
            result[j, i] = matrix[row, column]
    return result


@pytest.mark.parametrize("full_up_to", [0, FULL_UP_TO])
def test_runs_and_their_gradients(full_up_to: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.hybrid.unitaries.FULL_UP_TO", full_up_to)
    qubits, dimension = 4, 16
    flow = Flow(program=None)  # type: ignore[arg-type]
    flow.gates = gates_on(qubits)
    order = [int(i) for i in RNG.permutation(2 * len(flow.gates)) % len(flow.gates)]  # each gate twice
    runs = Runs(flow, [(g, 0) for g in range(len(flow.gates))], [order], dimension)
    angles = RNG.uniform(-3, 3, len(runs.rotated))
    at = dict(zip(runs.rotated.tolist(), angles.tolist(), strict=True))

    def product(shifted: dict[int, float], position: int = -1, angle: float = 0.0) -> Matrix:
        result = np.eye(dimension, dtype=complex)
        for k, g in enumerate(order):
            gate = flow.gates[g]
            small = gate.record.matrix(*([angle if k == position else shifted[g]] if g in shifted else []))
            result = dense(gate, small, dimension, 1.0) @ result
        return result

    numbers = runs.at(angles)
    np.testing.assert_allclose(numbers.runs[0], product(at), atol=1e-12)
    np.testing.assert_allclose(numbers.adjoints[0], product(at).conj().T, atol=1e-12)

    state, observable = random_hermitian(dimension)[0], random_hermitian(dimension)[0]

    def value(v: Matrix) -> float:
        return float(np.trace(observable @ v @ state @ v.conj().T).real)

    after = numbers.runs[0] @ state @ numbers.adjoints[0]
    found = numbers.angle_gradients([after @ observable])
    step = 1e-5
    for k, instance in enumerate(runs.rotated.tolist()):
        expected = sum(
            (value(product(at, p, at[instance] + step)) - value(product(at, p, at[instance] - step)))
            / (2 * step)
            for p, g in enumerate(order)
            if g == instance
        )
        assert abs(found[k] - expected) < 1e-6 * (1 + abs(expected)), flow.gates[instance].record.name
