"""What the peers that are written in PennyLane share: its gates and its observables."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.static.circuit import Circuit

NAMES = {"x": "PauliX", "y": "PauliY", "z": "PauliZ", "h": "Hadamard"}


def apply(circuit: Circuit, w: Any) -> None:
    """Queue the gates."""
    import pennylane as qml

    for step in circuit.steps:
        angle = [step.at(w)] if step.name[0] == "r" else []
        if step.controls == () or step.name != "x":
            made = getattr(qml, NAMES.get(step.name, step.name.upper()))
            if step.controls:
                qml.ctrl(made, control=list(step.controls))(*angle, wires=step.target)
            else:
                made(*angle, wires=step.target)
        elif len(step.controls) == 1:
            qml.CNOT(wires=[*step.controls, step.target])
        else:
            qml.MultiControlledX(wires=[*step.controls, step.target])


def observable(circuit: Circuit) -> Any:
    """The sum of Pauli strings."""
    import pennylane as qml

    words = []
    for _, word in circuit.terms:
        letters = [getattr(qml, f"Pauli{letter}")(qubit) for qubit, letter in word]
        words.append(qml.prod(*letters) if len(letters) > 1 else letters[0] if letters else qml.Identity(0))
    return qml.Hamiltonian([coefficient for coefficient, _ in circuit.terms], words)
