"""`python benchmarks/lightning.py`: the static ansatz in PennyLane-Lightning; prints milliseconds.

Needs pennylane and pennylane-lightning, and nothing of qdiff: it may be run by another interpreter.
The same circuit and observable as `workloads.static_ansatz`, value and gradient by the adjoint method.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import pennylane as qml
from pennylane import numpy as pnp

QUBITS, LAYERS, REPEAT = 16, 8, 7


def main() -> None:
    """Measure and print the median."""
    device = qml.device("lightning.qubit", wires=QUBITS)
    bonds = [qml.PauliZ(i) @ qml.PauliZ(i + 1) for i in range(QUBITS - 1)]
    fields = [qml.PauliX(i) for i in range(QUBITS)]
    hamiltonian = qml.Hamiltonian([1.0] * len(bonds) + [0.5] * len(fields), bonds + fields)

    @qml.qnode(device, diff_method="adjoint")
    def circuit(w):  # type: ignore[no-untyped-def]
        for layer in range(LAYERS):
            for i in range(QUBITS):
                qml.RY(w[layer * QUBITS + i], wires=i)
            for i in range(QUBITS):
                qml.CNOT(wires=[i, (i + 1) % QUBITS])
        return qml.expval(hamiltonian)

    start = np.random.default_rng(1).uniform(-np.pi, np.pi, QUBITS * LAYERS)
    w = pnp.array(start, requires_grad=True)
    gradient = qml.grad(circuit)
    gradient(w)
    times = []
    for _ in range(REPEAT):
        begun = time.perf_counter()
        gradient(w)
        times.append(time.perf_counter() - begun)
    print(1e3 * statistics.median(times))


if __name__ == "__main__":
    main()
