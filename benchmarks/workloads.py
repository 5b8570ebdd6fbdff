"""The programs that benchmarks run: each with its parameters and observable, the random ones seeded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import qdiff as qd

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Workload:
    """A program, where to evaluate it, and what to observe."""

    name: str
    program: qd.Program
    params: Mapping[str, object]
    observable: str

    def objective(self) -> qd.Objective:
        """A new objective: nothing computed yet."""
        return qd.expectation(self.program, self.observable)


def amplitude_amplification(n: int = 10, doubled_t: float = 2.8684) -> Workload:
    """Parameterised amplitude amplification near its published optimum 2t."""
    program = qd.load(ROOT / "casestudies/amplitude_amplification/program.qprog")
    params = {"t": doubled_t / 2, "a": 2 * math.asin(1 / n), "n": 4 * n}
    return Workload(f"amplitude amplification N = {n}", program, params, f"c * P1[r] / {n}")


def quantum_walk() -> Workload:
    """The walk on a torus, away from its optimum."""
    program = qd.load(ROOT / "benchmarks/programs/quantum_walk.qprog")
    return Workload("quantum walk at (2, 2)", program, {"t1": 2.0, "t2": 2.0, "n": 4}, "c/4")


def repeat_until_success() -> Workload:
    """Repeat until success with eleven parameters."""
    program = qd.load(ROOT / "benchmarks/programs/repeat_until_success.qprog")
    values = (1, 2, 3, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    return Workload(
        "repeat until success", program, dict(zip(program.parameters, values, strict=True)), "P0[q]"
    )


def seeded_loop(
    qubits: int = 6,
    gates: int = 30,
    parameters: int = 20,
    radius: float = 0.99,
    fresh: int = 1,
    seed: int = 1,
) -> Workload:
    """A loop whose body entangles all qubits; it goes on with probability `radius` after each pass.

    The guard is the first qubit. It takes part in the body, then is reset and turned so that it reads
    1 with probability 1 - radius: the spectral radius of the loop is `radius` exactly. It starts
    turned the same way. The body ends by resetting the first `fresh` qubits, the guard among them:
    the fewer, the more of a pass is remembered by the next one, and the closer to `radius` is the
    second eigenvalue of the loop, which limits every iterative solver.
    """
    rng = np.random.default_rng(seed)
    rotated = set(rng.choice(gates, size=parameters, replace=False).tolist())
    body: list[str] = []
    for position in range(gates):
        first, second = rng.choice(qubits, size=2, replace=False)
        if position in rotated:
            name = rng.choice(["Rx", "Ry", "Rz"])
            angle = f"w[{sum(p < position for p in rotated)}]"
            controlled = rng.random() < 0.3
            body.append(
                f"C_{name}({angle})[q[{first}]][q[{second}]]"
                if controlled
                else f"{name}({angle})[q[{first}]]"
            )
        else:
            body.append(f"{rng.choice(['CNOT', 'CZ'])}[q[{first}], q[{second}]]")
    turn = f"Ry({2 * math.asin(math.sqrt(1 - radius))!r})[q[0]]"
    text = (
        f"qubit: q[{qubits}]\npara: w[{parameters}]\n"
        f"{turn};\nwhile M[q[0]] = 0 do\n    {'; '.join(body)};\n"
        f"    for i in 0..{fresh - 1} do q[i] := |0> od; {turn}\nod\n"
    )
    params = {"w": rng.uniform(-math.pi, math.pi, parameters)}
    observable = " + ".join(f"Z[q[{i}]]*Z[q[{i + 1}]]" for i in range(1, qubits - 1)) + " + 0.5*X[q[1]]"
    name = f"seeded loop, {qubits} qubits ({fresh} reset each pass), radius {radius}"
    return Workload(name, qd.parse(text), params, observable)


def flat_text(statements: int = 10_000, seed: int = 1) -> str:
    """The text of a flat program: gates on four qubits with angles made of two parameters."""
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(statements):
        first, second = rng.choice(4, size=2, replace=False)
        kind = rng.integers(3)
        if kind == 0:
            lines.append(f"Ry(t + {rng.uniform(0, 3):.4f})[q[{first}]]")
        elif kind == 1:
            lines.append(f"CNOT[q[{first}], q[{second}]]")
        else:
            lines.append(f"C_Rz(2*u - pi/{rng.integers(1, 9)})[q[{first}]][q[{second}]]")
    return "qubit: q[4]\npara: t, u\n" + ";\n".join(lines) + "\n"
