"""Traces and runs of gates: every map against its definition, and against its adjoint."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from qdiff.lang.gates import known_gates, record
from qdiff.sim.flow import Flow, SmallGate
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.runs import FULL_UP_TO, Runs
from qdiff.sim.hybrid.traces import Maps, ResetMap
from qdiff.sim.hybrid.unitaries import Unitaries

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
    u = np.linalg.qr(RNG.normal(size=(4, 4)) + 1j * RNG.normal(size=(4, 4)))[0][None, None]
    maps = Maps(
        [u], [u.conj().swapaxes(-1, -2)], [traces.mask((0,), frozenset({o}), 4) for o in (0, 1)],
        {0b10: ResetMap.on(0b10, 4)}, np.array([[0.3]]),
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
        (traces.MARK, 2, 0, 5),
        (traces.LEAF, 2, 0, 2),
        (traces.END, 1, 0, 0),
        (traces.END, 0, 0, 0),
    ]
    x = random_hermitian(4, 3)[None]
    leaves = maps.forward(ops, x)
    observables: list[Matrix | None] = [random_hermitian(4, 3)[None] for _ in leaves]
    total = sum(pairing(a[0], leaf[0]) for a, leaf in zip(observables, leaves, strict=True) if a is not None)
    pulled = maps.backward(ops, observables)
    assert pulled is not None
    assert abs(pairing(pulled[0], x[0]) - total) < 1e-10
    # At every operation that moves a state on, state and observable give what flows through it.
    seen: dict[int, Matrix] = {}
    maps.forward(ops, x, lambda i, state: seen.__setitem__(i, state))
    flows: dict[int, complex] = {}
    after: dict[int, complex] = {}

    def visit(i: int, behind: Matrix, before: Matrix) -> None:
        flows[i] = pairing(before[0], seen[i][0])
        after[i] = pairing(behind[0], maps.apply(*(ops[i][0], ops[i][3]), seen[i])[0]) if i != 9 else flows[i]

    maps.backward(ops, observables, visit)
    assert abs(flows[0] - total) < 1e-10
    for i, flow in flows.items():
        assert abs(flow - after[i]) < 1e-10
    # None stands for an observable that is zero.
    observables[1] = None
    pulled = maps.backward(ops, observables)
    assert pulled is not None
    less = sum(pairing(a[0], leaf[0]) for a, leaf in zip(observables, leaves, strict=True) if a is not None)
    assert abs(pairing(pulled[0], x[0]) - less) < 1e-10
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


QUBITS, DIMENSION = 4, 16


def product(gates: list[SmallGate], order: list[int], angle_at: Callable[[int, int], float]) -> Matrix:
    """The gates of a run multiplied one after the other; `angle_at(place, gate)`."""
    result = np.eye(DIMENSION, dtype=complex)
    for k, g in enumerate(order):
        gate = gates[g]
        small = gate.record.matrix(*([angle_at(k, g)] if gate.expression >= 0 else []))
        result = dense(gate, small, DIMENSION, 1.0) @ result
    return result


@pytest.mark.parametrize("full_up_to", [0, FULL_UP_TO])
def test_runs_and_their_gradients(full_up_to: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.hybrid.runs.FULL_UP_TO", full_up_to)
    flow = Flow(program=None)  # type: ignore[arg-type]
    flow.gates = gates_on(QUBITS)
    order = [int(i) for i in RNG.permutation(2 * len(flow.gates)) % len(flow.gates)]  # each gate twice
    runs = Runs(flow, [(g, 0) for g in range(len(flow.gates))], [order], DIMENSION)
    angles = RNG.uniform(-3, 3, (2, len(runs.rotated)))
    rotated = runs.rotated.tolist()
    state, observables = random_hermitian(DIMENSION)[0], random_hermitian(DIMENSION, 2)
    numbers = Unitaries(runs, angles)

    for p in range(2):
        at = dict(zip(rotated, angles[p].tolist(), strict=True))
        whole = product(flow.gates, order, lambda k, g, at=at: at[g])
        np.testing.assert_allclose(numbers.runs[0][p, 0], whole, atol=1e-12)
        np.testing.assert_allclose(numbers.adjoints[0][p, 0], whole.conj().T, atol=1e-12)
        for adjoint, v in ((False, whole), (True, whole.conj().T)):
            moved = numbers.by_gates(0, np.stack([state[None], state[None]]), adjoint)
            np.testing.assert_allclose(moved[p, 0], v @ state @ v.conj().T, atol=1e-11)

    def value(p: int, place: int, angle: float, a: Matrix) -> float:
        at = dict(zip(rotated, angles[p].tolist(), strict=True))
        v = product(flow.gates, order, lambda k, g: angle if k == place else at[g])
        return float(np.trace(a @ v @ state @ v.conj().T).real)

    before = numbers.adjoints[0] @ observables @ numbers.runs[0]  # (P, k, D, D): A just before the run
    found = numbers.angle_gradients([state @ before], 2)
    assert found.shape == (2, 2, len(rotated))
    step = 1e-5
    for k, instance in enumerate(rotated):
        p, o = k % 2, k // 2 % 2
        expected = sum(
            (
                value(p, place, angles[p, k] + step, observables[o])
                - value(p, place, angles[p, k] - step, observables[o])
            )
            / (2 * step)
            for place, g in enumerate(order)
            if g == instance
        )
        assert abs(found[p, o, k] - expected) < 1e-6 * (1 + abs(expected)), runs.records[k].name
    assert not numbers.angle_gradients([None], 2).any()


@pytest.mark.parametrize("full_up_to", [0, FULL_UP_TO])
def test_carried_generators_give_the_change_of_a_run(
    full_up_to: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V̇ = V Ω, Ω = -(i/2) Σ ȧ B."""
    monkeypatch.setattr("qdiff.sim.hybrid.runs.FULL_UP_TO", full_up_to)
    flow = Flow(program=None)  # type: ignore[arg-type]
    flow.gates = gates_on(QUBITS)
    order = [int(i) for i in RNG.permutation(len(flow.gates))]
    runs = Runs(flow, [(g, 0) for g in range(len(flow.gates))], [order], DIMENSION)
    angles, rates = RNG.uniform(-3, 3, len(runs.rotated)), RNG.normal(size=len(runs.rotated))
    numbers = Unitaries(runs, angles[None])
    rotations = runs.rotations[0]
    omega = np.tensordot(-0.5j * rates[rotations], numbers.carried(0)[0], axes=1)
    step = 1e-6
    change = (
        Unitaries(runs, (angles + step * rates)[None]).runs[0]
        - Unitaries(runs, (angles - step * rates)[None]).runs[0]
    ) / (2 * step)
    np.testing.assert_allclose(numbers.runs[0][0, 0] @ omega, change[0, 0], atol=1e-8)


def test_frequencies_bound_the_derivative_of_a_channel() -> None:
    """‖∂𝓔/∂a‖: the largest difference of eigenvalues of G/2; a control adds 0 to them."""
    flow = Flow(program=None)  # type: ignore[arg-type]
    flow.gates = [
        SmallGate(record("Ry"), 0, (0,), 0),
        SmallGate(record("Ry"), 0, (0,), 0b10),
        SmallGate(record("P"), 0, (1,), 0),
        SmallGate(record("P"), 0, (1,), 0b01),
        SmallGate(record("Rzz"), 0, (0, 1), 0),
    ]
    runs = Runs(flow, [(g, 0) for g in range(5)], [[0, 1, 2, 3, 4]], 4)
    np.testing.assert_allclose(runs.frequencies, [1.0, 1.0, 1.0, 1.0, 1.0])
    for k, gate in enumerate(flow.gates):
        generator = np.zeros((4, 4), dtype=complex)
        rows = runs.embeddings[k].rows
        for i in range(rows.shape[1]):
            generator[np.ix_(rows[:, i], rows[:, i])] = runs.generator(k)
        values = np.linalg.eigvalsh(generator) / 2
        assert runs.frequencies[k] >= values[-1] - values[0] - 1e-12, gate
