"""Random dynamic circuits there and back: what the qubits end in stays the same."""

from __future__ import annotations

import numpy as np
import pytest
from amounts import examples
from interop.random_circuits import Random
from numpy.typing import NDArray

import qdiff as qd

OBSERVED = [f"{letter}[q[{i}]]" for i in range(3) for letter in "XYZ"]
CLOSE = 1e-9

pytestmark = pytest.mark.filterwarnings("ignore:The circuit:UserWarning")


def values_of(program: qd.Program, random: Random) -> NDArray[np.float64]:
    """By name: a text does not know Qiskit's parameters, and has none that cancel."""
    names = {"θ": "theta", "b": "b"}
    params = {names[p.name]: value for p, value in random.values.items()}
    found = {name: value for name, value in params.items() if name in program.parameters}
    return np.asarray(qd.expectation(program, OBSERVED)(found))


@pytest.mark.parametrize("seed", range(examples(60)))
def test_through_qiskit(seed: int) -> None:
    random = Random(seed)
    program = qd.from_qiskit(random.circuit)
    again = qd.from_qiskit(program.to_qiskit())
    np.testing.assert_allclose(values_of(again, random), values_of(program, random), atol=CLOSE)


@pytest.mark.parametrize("seed", range(examples(60)))
def test_through_openqasm(seed: int) -> None:
    random = Random(seed)
    program = qd.from_qiskit(random.circuit)
    again = qd.from_qasm3(program.to_qasm3())
    np.testing.assert_allclose(values_of(again, random), values_of(program, random), atol=CLOSE)
