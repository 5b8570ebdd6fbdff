"""Gates and measurements of one pure state, against full matrices."""

from __future__ import annotations

import numpy as np
import pytest
from sim.machine.pure_state import PureState

from qdiff.lang.channels import channel_record, known_channels
from qdiff.lang.gates import known_gates, pauli_matrix, record

QUBITS = 5


def random_state(qubits: int, seed: int) -> PureState:
    state = PureState(qubits)
    rng = np.random.default_rng(seed)
    vector = rng.normal(size=2**qubits) + 1j * rng.normal(size=2**qubits)
    state.tensor[...] = (vector / np.linalg.norm(vector)).reshape(state.tensor.shape)
    return state


def applied(
    matrix: np.ndarray, controls: tuple[int, ...], targets: tuple[int, ...], vector: np.ndarray
) -> np.ndarray:
    """The matrix on the targets where all controls are 1, basis state by basis state."""
    result = np.zeros_like(vector)
    for index, amplitude in enumerate(vector):
        if not all(index >> control & 1 for control in controls):
            result[index] += amplitude
            continue
        column = sum((index >> target & 1) << i for i, target in enumerate(targets))
        others = index & ~sum(1 << target for target in targets)
        for row, entry in enumerate(matrix[:, column]):
            result[others | sum((row >> i & 1) << target for i, target in enumerate(targets))] += (
                entry * amplitude
            )
    return result


def test_starts_at_zero() -> None:
    assert PureState(3).tensor.ravel().tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("name", [*known_gates(), "R_XZY", "R_YYZ", "R_ZZZ", "R_XXX", "R_Z"])
@pytest.mark.parametrize("controls", [(), (4,), (4, 0)])
def test_gate_is_its_matrix(name: str, controls: tuple[int, ...]) -> None:
    gate = record(name)
    free = [qubit for qubit in (2, 0, 3, 1) if qubit not in controls]
    targets = tuple(free[: gate.qubits])
    angles = (0.7, -1.3, 2.1)[: len(gate.angles)]
    state = random_state(QUBITS, seed=1)
    before = state.tensor.ravel().copy()
    state.apply(name, angles, controls, targets)
    expected = applied(gate.matrix(*angles), controls, targets, before)
    assert np.allclose(state.tensor.ravel(), expected, atol=1e-13)


def test_long_pauli_string_needs_no_matrix() -> None:
    letters = "XYZZYXXYZZYX"  # 12 qubits: the record has no matrix
    state = random_state(12, seed=2)
    before = state.tensor.copy()
    state.apply(f"R_{letters}", (0.9,), (), tuple(range(12)))
    turned = before
    for qubit, letter in enumerate(letters):
        turned = np.moveaxis(np.tensordot(pauli_matrix(letter), turned, (1, 11 - qubit)), 0, 11 - qubit)
    assert np.allclose(state.tensor, np.cos(0.45) * before - 1j * np.sin(0.45) * turned, atol=1e-13)


def test_twenty_qubits() -> None:
    state = PureState(20)
    state.apply("H", (), (), (19,))
    state.apply("R_" + "XYZ" * 6, (0.4,), (19,), tuple(range(18)))
    state.apply("X", (), (0, 19), (18,))
    probabilities = state.probabilities((19, 0))
    s = np.sin(0.2) ** 2
    assert np.allclose(probabilities, [0.5, 0.5 * (1 - s), 0, 0.5 * s], atol=1e-12)
    assert state.measure((0, 18, 19), 1 - 1e-9) == 7


def test_probabilities_follow_the_order_of_the_qubits() -> None:
    state = random_state(4, seed=3)
    vector = state.tensor.ravel()
    expected = np.zeros(4)
    for index, amplitude in enumerate(vector):
        expected[(index >> 2 & 1) | (index & 1) << 1] += abs(amplitude) ** 2
    assert np.allclose(state.probabilities((2, 0)), expected)


def test_measurement_takes_the_outcome_of_the_number_and_projects() -> None:
    for uniform in (0.0, 0.2, 0.55, 0.999):
        state = random_state(4, seed=4)
        vector = state.tensor.ravel().copy()
        cumulated = np.cumsum(state.probabilities((3, 1)))
        outcome = state.measure((3, 1), uniform)
        assert outcome == int(np.argmax(cumulated > uniform))
        kept = [(i >> 3 & 1) | (i >> 1 & 1) << 1 == outcome for i in range(16)]
        projected = np.where(kept, vector, 0)
        assert np.allclose(state.tensor.ravel(), projected / np.linalg.norm(projected))


def test_an_outcome_without_weight_is_never_drawn() -> None:
    for uniform in (0.0, 0.5, 1 - 2**-53):
        assert PureState(2).measure((0, 1), uniform) == 0
        state = PureState(2)
        state.apply("X", (), (), (1,))
        assert state.measure((0, 1), uniform) == 2
        assert state.measure((1, 0), uniform) == 1
    state = random_state(1, seed=5)
    state.tensor[1] = 0  # total weight below 1: rounding may bring u * total up to it
    assert state.measure((0,), 1.0) == 0


@pytest.mark.parametrize("name", known_channels())
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_one_operator_of_a_channel_acts(name: str, p: float) -> None:
    """All of [0, 1) together makes the channel; an operator that cannot act never does."""
    kraus, points = channel_record(name).kraus(p), 1000
    before = random_state(3, seed=8)
    vector = before.tensor.ravel().copy()
    for qubit in range(3):
        expected = sum(np.outer(w, w.conj()) for w in (applied(k, (), (qubit,), vector) for k in kraus))
        found = np.zeros((8, 8), dtype=complex)
        for i in range(points):
            state = PureState(3)
            state.tensor[...] = before.tensor
            state.disturb(kraus, qubit, (i + 0.5) / points)
            after = state.tensor.ravel()
            assert abs(np.linalg.norm(after) - 1) < 1e-12
            found += np.outer(after, after.conj()) / points
        np.testing.assert_allclose(found, expected, atol=4 / points)
