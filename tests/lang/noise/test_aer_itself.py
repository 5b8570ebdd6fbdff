"""Noise models of an installed Qiskit Aer: the density matrices that it computes, and those here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers import assert_close
from reference.interpreter import run

from qdiff.lang.noise.model import NoiseModel
from qdiff.lang.text.parser import parse

aer = pytest.importorskip("qiskit_aer", reason="Qiskit Aer is not installed")
made = pytest.importorskip("qiskit_aer.noise")
qiskit = pytest.importorskip("qiskit")

TURN = np.array([[math.cos(0.1), -1j * math.sin(0.1)], [-1j * math.sin(0.1), math.cos(0.1)]])
SINGLE = {
    "pauli": lambda: made.pauli_error([("X", 0.1), ("Z", 0.2), ("I", 0.7)]),
    "depolarizing": lambda: made.depolarizing_error(0.1, 1),
    "over depolarizing": lambda: made.depolarizing_error(1.2, 1),
    "amplitude damping": lambda: made.amplitude_damping_error(0.1),
    "amplitude damping to |1>": lambda: made.amplitude_damping_error(0.1, 1),
    "amplitude damping to both": lambda: made.amplitude_damping_error(0.1, 0.2),
    "phase damping": lambda: made.phase_damping_error(0.1),
    "phase amplitude damping": lambda: made.phase_amplitude_damping_error(0.1, 0.2, 0.3),
    "thermal, T2 < T1": lambda: made.thermal_relaxation_error(50, 40, 1, 0.1),
    "thermal, T2 > T1": lambda: made.thermal_relaxation_error(50, 70, 1, 0.1),
    "thermal, cold": lambda: made.thermal_relaxation_error(50, 70, 1),
    "reset": lambda: made.reset_error(0.1, 0.05),
    "coherent": lambda: made.coherent_unitary_error(TURN),
    "mixed unitary": lambda: made.mixed_unitary_error([(TURN, 0.5), (np.eye(2), 0.5)]),
    "depolarized, then relaxed": lambda: made.depolarizing_error(0.1, 1).compose(
        made.thermal_relaxation_error(50, 70, 1, 0.1)
    ),
}
DOUBLE = {
    "pauli": lambda: made.pauli_error([("XZ", 0.1), ("IY", 0.2), ("II", 0.7)]),
    "depolarizing": lambda: made.depolarizing_error(0.1, 2),
    "relaxed apart": lambda: SINGLE["thermal, T2 < T1"]().tensor(SINGLE["thermal, T2 > T1"]()),
    "as of a backend": lambda: made.depolarizing_error(0.1, 2).compose(
        made.thermal_relaxation_error(50, 40, 1).tensor(made.thermal_relaxation_error(50, 70, 1))
    ),
    "as of a warm backend": lambda: made.depolarizing_error(0.1, 2).compose(
        SINGLE["thermal, T2 < T1"]().tensor(SINGLE["thermal, T2 > T1"]())
    ),
}


def density_matrix(model: Any, circuit: Any) -> np.ndarray:
    circuit.save_density_matrix()
    simulator = aer.AerSimulator(method="density_matrix")
    result = simulator.run(circuit, noise_model=model, optimization_level=0).result()
    return np.asarray(result.data()["density_matrix"])


@pytest.mark.parametrize("name", SINGLE)
def test_errors_of_one_qubit(name: str) -> None:
    model = made.NoiseModel()
    model.add_all_qubit_quantum_error(SINGLE[name](), ["h", "reset"])
    circuit = qiskit.QuantumCircuit(2)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.reset(1)
    circuit.rx(0.3, 1)
    circuit.h(1)
    program = parse("qubit: q, r Ry(0.7)[q]; CNOT[q, r]; H[q]; r := |0>; Rx(0.3)[r]; H[r]")
    noisy = NoiseModel.from_aer(model).apply(program)
    assert_close(run(noisy, {})[()], density_matrix(model, circuit))


@pytest.mark.parametrize("name", DOUBLE)
def test_errors_of_two_qubits(name: str) -> None:
    model = made.NoiseModel()
    model.add_all_qubit_quantum_error(DOUBLE[name](), ["cx"])
    circuit = qiskit.QuantumCircuit(2)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.rx(0.3, 1)
    circuit.cx(1, 0)
    program = parse("qubit: q, r Ry(0.7)[q]; CNOT[q, r]; H[q]; Rx(0.3)[r]; CNOT[r, q]")
    noisy = NoiseModel.from_aer(model).apply(program)
    assert_close(run(noisy, {})[()], density_matrix(model, circuit))


def test_a_backend() -> None:
    from qiskit.providers.fake_provider import GenericBackendV2

    model = made.NoiseModel.from_backend(GenericBackendV2(3, seed=1, noise_info=True))
    circuit = qiskit.QuantumCircuit(3)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.x(2)
    circuit.cx(2, 1)
    circuit.reset(0)
    program = parse("qubit: q, r, s SX[q]; CNOT[q, r]; X[s]; CNOT[s, r]; q := |0>")
    converted = NoiseModel.from_aer(model, qubits=program.qubits)
    assert_close(run(converted.apply(program), {})[()], density_matrix(model, circuit))
    for number, qubit in enumerate(program.qubits):
        [rows] = [
            error["probabilities"]
            for error in model.to_dict(serializable=True)["errors"]
            if error["type"] == "roerror" and error["gate_qubits"] == [[number]]
        ]
        assert_close(converted.readout.of(qubit), (rows[0][1], rows[1][0]))
