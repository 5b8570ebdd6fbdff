"""Random circuits of every gate and of declared ones, for the mechanisms of the pure-state engine."""

from __future__ import annotations

import numpy as np

from qdiff.lang.gates import known_gates, record
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program

DECLARED = """
gate Heis(a)[p, q] = exp(-i a/2 * (0.5*X X + 0.7*Y Y - 0.3*Z Z + 0.2*X I))
gate Tilted(a)[p] = exp(-i a/2 * (0.6*X + 0.8*Z))
gate Spin(a)[p, q] = exp(-i a/2 * (0.5*X X + 0.5*Y Y))
gate Askew(a)[p] = exp(-i a/2 * (0.6*X + 0.8*Y))
gate Drift(a)[p] = exp(-i (a * 0.5*X + 0.8*Z))
gate Wide(a)[p, q, r] = exp(-i (a * (0.4*X Z Y + 0.3*Y I X) - 0.7*Z X X + 0.2*I I Z))
gate Turn[p, q] = [[0.6, 0, 0, 0.8*i], [0, 0, i, 0], [0, 1, 0, 0], [0.8*i, 0, 0, 0.6]]
gate Phases[p, q] = [[0, 0, 0.6 + 0.8*i, 0], [-i, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, -1]]
"""
"""Rotations whose generators are no involutions, or depend on the angle; a dense matrix, and a sparse one."""
NAMES = {"Heis": (2, 1), "Tilted": (1, 1), "Spin": (2, 1), "Askew": (1, 1), "Drift": (1, 1)} | {
    "Wide": (3, 1),
    "Turn": (2, 0),
    "Phases": (2, 0),
}
PAULI = ("R_X", "R_ZX", "R_YZ", "R_XZY", "R_YYXZ")
ANGLES = (
    "w[{0}]",
    "2*w[{0}] + pi/3",
    "t",
    "-t/3",
    "0.7",
    "w[{0}]*t",
    "sin(t) - w[{0}]",
    "t - w[{0}]",
    "t + 1 - w[{0}]",
)
SIZE = 3  # of w


def names(qubits: int) -> dict[str, tuple[int, int]]:
    """All gates that fit: how many qubits and angles each has."""
    found = {name: (record(name).qubits, len(record(name).angles)) for name in known_gates()}
    found |= {name: (record(name).targets, 1) for name in PAULI} | NAMES
    return {name: shape for name, shape in found.items() if shape[0] <= qubits}


def circuit(qubits: int, seed: int, gates: int = 40) -> Program:
    """A circuit of random gates at random angles, some of them controlled."""
    rng = np.random.default_rng(seed)
    every = names(qubits)
    # All of them in turn, in a random order, so that a few circuits have them all.
    order = rng.permutation(np.resize(sorted(every), max(gates, len(every)))).tolist()
    lines = []
    for name in order[:gates]:
        targets, angles = every[name]
        places = rng.permutation(qubits)
        controls = int(rng.integers(0, min(2, qubits - targets) + 1)) if rng.random() < 0.3 else 0
        given = ", ".join(str(rng.choice(ANGLES)).format(rng.integers(SIZE)) for _ in range(angles))
        prefix = "C_" if controls else ""
        brackets = f"[{_qubits(places[targets : targets + controls])}]" if controls else ""
        lines.append(f"{prefix}{name}{f'({given})' if angles else ''}{brackets}[{_qubits(places[:targets])}]")
    declared = ", ".join(f"q{i}" for i in range(qubits))
    return parse(f"qubit: {declared}  para: t, w[{SIZE}]\n{DECLARED}" + ";\n".join(lines))


def _qubits(places: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    return ", ".join(f"q{i}" for i in places)


def observables(qubits: int) -> list[str]:
    """Sums of all letters: X-masks of several, signs, and projectors."""
    last = f"q{qubits - 1}"
    return [
        f"Z[q0] + 0.5*X[{last}]",
        f"Y[q0] - 2*P1[{last}] + 0.25",
        "P0[q0]" if qubits == 1 else f"0.3*X[q0]*Y[{last}] + P0[q0]*X[{last}] - Y[q0]*Y[{last}]",
    ]
