"""Unitary matrices as statements of a gate definition: rotations of one qubit, cx, and a phase."""

from __future__ import annotations

import numpy as np

from qdiff.interop.explicit import Inexpressible
from qdiff.lang.gates import Matrix

TOLERANCE = 1e-9  # of what the decomposition gives back


def matrix_lines(matrix: Matrix) -> list[str]:
    """Return statements on qubits q0, q1, … for a unitary (2ⁿ, 2ⁿ), its phase included.

    Qiskit finds them (quantum Shannon decomposition; two qubits: cosine-sine and Weyl).

    Raises:
        Inexpressible: what it finds is not precise.
    """
    from qiskit import QuantumCircuit, transpile
    from qiskit.circuit.library import UnitaryGate
    from qiskit.quantum_info import Operator

    qubits = len(matrix).bit_length() - 1
    circuit = QuantumCircuit(qubits)
    circuit.append(UnitaryGate(np.asarray(matrix)), range(qubits))
    found = transpile(circuit, basis_gates=["u", "cx"], optimization_level=0)
    distance = float(np.abs(Operator(found).data - matrix).max())
    if distance > TOLERANCE:
        raise Inexpressible(f"its matrix could be decomposed to {distance:.1g} only")
    phase = float(found.global_phase)
    lines: list[str] = []
    for instruction in found.data:
        where = ", ".join(f"q{found.find_bit(qubit).index}" for qubit in instruction.qubits)
        if instruction.operation.name == "cx":
            lines.append(f"cx {where};")
        else:
            a, b, c = map(float, instruction.operation.params)
            phase -= a / 2  # OpenQASM's U is e^{ia/2} times Qiskit's
            lines.append(f"U({a!r}, {b!r}, {c!r}) {where};")
    return [f"gphase({phase!r});", *lines]
