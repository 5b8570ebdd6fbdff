"""Programs with one gate, in a state that sees all of its matrix, phases under controls too."""

from __future__ import annotations

import qdiff as qd
from qdiff.lang import tree
from qdiff.lang.gates import known_gates, record

QUBITS = 5
VALUES = {"t": 0.7, "w[0]": 0.1, "w[1]": -1.3}


def prepared(gate: str, declarations: str = "") -> tree.Program:
    """A gate between others."""
    turns = "; ".join(f"U({0.4 + 0.3 * i}, {0.2 * i}, {0.5 - i})[q[{i}]]" for i in range(QUBITS))
    return qd.parse(f"qubit: q[{QUBITS}] para: t, w[2] {declarations} {turns}; {gate}; {turns}")


def every_gate() -> list[str]:
    """Every gate with every number of controls that fits, as a statement."""
    found = []
    for name in (*known_gates(), "R_XZY", "R_ZX", "R_Y", "R_YX", "R_ZYXZ"):
        entry = record(name)
        for controls in range(QUBITS - entry.qubits + 1):
            if controls and entry.controls:
                continue  # CNOT[a, b] is C_X[a][b]
            angles = f"({', '.join(('t', '2*t - 0.3', 'w[1]')[: len(entry.angles)])})" if entry.angles else ""
            found.append(placed(name + angles, controls, entry.qubits))
    return found


def placed(gate: str, controls: int, targets: int) -> str:
    """A gate with its angles on qubits in no order."""
    order = (3, 0, 4, 2, 1)
    on = ", ".join(f"q[{i}]" for i in order[:controls])
    where = ", ".join(f"q[{i}]" for i in order[controls : controls + targets])
    return f"C_{gate}[{on}][{where}]" if controls else f"{gate}[{where}]"


DECLARED = {
    "commuting words": ("gate G(a)[x, y] = exp(-i a/2 * (X X + 0.5*Z Z - 0.3*I I))", "G(2*t)", 2),
    "a drift": ("gate G(a)[x, y, z] = exp(-i (a * (0.25*X I Z) + 0.3*I Y I + 0.2*I I I))", "G(t)", 3),
    "words that do not commute": ("gate G(a)[x, y] = exp(-i a/2 * (X I + 0.5*Z Z))", "G(0.8)", 2),
    "a matrix": ("gate G[x] = [[0.6, 0.8*i], [0.8*i, 0.6]]", "G", 1),
    "a phase": ("gate G[x] = [[i, 0], [0, i]]", "G", 1),
    "a matrix on three qubits": (
        "gate W(a)[x, y, z] = exp(-i a/2 * (X Y Z + 0.7*Z Z I + 0.3*I I I))",
        "W(1.3)",
        3,
    ),
}
"""A declaration, and the gate with its angle and number of qubits."""


def declared_gates() -> list[tuple[str, str]]:
    """A gate with some controls, and its declaration."""
    return [
        (placed(gate, controls, targets), declaration)
        for declaration, gate, targets in DECLARED.values()
        for controls in range(3)
    ]
