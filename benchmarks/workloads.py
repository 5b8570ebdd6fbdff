"""The programs that benchmarks run: each with its parameters and observable, the random ones seeded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import qdiff as qd

ROTATIONS = 20  # in the body of a seeded loop, at least
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Workload:
    """A program, where to evaluate it, and what to observe."""

    name: str
    program: qd.Program
    params: Mapping[str, object]
    observable: str

    def objective(self, **options: Any) -> qd.Objective:
        """A new objective: nothing computed yet. The options are those of `qd.expectation`."""
        return qd.expectation(self.program, self.observable, **options)


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
    measured: int = 1,
    seed: int = 1,
) -> Workload:
    """A loop whose body entangles all qubits; it goes on with probability `radius` after each pass.

    At least `ROTATIONS` of its gates are rotations, by numbers where there are fewer parameters.

    The guard measures the first `measured` qubits. They take part in the body, then are reset and
    turned so that all read 0 with probability `radius`: it is the spectral radius of the loop exactly.
    They start turned the same way. The body ends by resetting the first `fresh` qubits, the guard
    among them: the fewer, the more of a pass is remembered by the next one, and the closer to `radius`
    is the second eigenvalue of the loop, which limits every iterative solver.
    """
    rng = np.random.default_rng(seed)
    rotations = max(parameters, min(gates, ROTATIONS))
    rotated = set(rng.choice(gates, size=rotations, replace=False).tolist())
    numbers = np.random.default_rng(seed + 1).uniform(-math.pi, math.pi, rotations)
    body: list[str] = []
    for position in range(gates):
        first, second = rng.choice(qubits, size=2, replace=False)
        if position in rotated:
            name = rng.choice(["Rx", "Ry", "Rz"])
            at = sum(p < position for p in rotated)
            angle = f"w[{at}]" if at < parameters else repr(float(numbers[at]))
            controlled = rng.random() < 0.3
            body.append(
                f"C_{name}({angle})[q[{first}]][q[{second}]]"
                if controlled
                else f"{name}({angle})[q[{first}]]"
            )
        else:
            body.append(f"{rng.choice(['CNOT', 'CZ'])}[q[{first}], q[{second}]]")
    half = math.asin(math.sqrt(1 - radius ** (1 / measured)))
    turn = "; ".join(f"Ry({2 * half!r})[q[{i}]]" for i in range(measured))
    guard = ", ".join(f"q[{i}]" for i in range(measured))
    text = (
        f"qubit: q[{qubits}]\npara: w[{parameters}]\n"
        f"{turn};\nwhile M[{guard}] = 0 do\n    {'; '.join(body)};\n"
        f"    for i in 0..{fresh - 1} do q[i] := |0> od; {turn}\nod\n"
    )
    params = {"w": rng.uniform(-math.pi, math.pi, parameters)}
    bonds = [f"Z[q[{i}]]*Z[q[{i + 1}]]" for i in range(1, qubits - 1)]
    observable = " + ".join([*bonds, "0.5*X[q[1]]"])
    name = f"seeded loop, {qubits} qubits ({fresh} reset each pass), radius {radius}"
    if measured > 1:
        name += f", {measured} of them measured"
    return Workload(name, qd.parse(text), params, observable)


def counted_walk(*, counted: bool) -> Workload:
    """The quantum walk until it arrives, with or without an unbounded counter of its passes."""
    text = (ROOT / "benchmarks/programs/quantum_walk.qprog").read_text(encoding="utf-8")
    step = "if c < n then c++ else skip fi"
    assert step in text, "the walk counts its passes"
    program = qd.parse(text.replace(step, "c++" if counted else "skip").replace("t1, t2, n", "t1, t2"))
    name = f"quantum walk {'with' if counted else 'without'} a counted counter"
    return Workload(name, program, {"t1": 2.0, "t2": 2.0}, "c/4" if counted else "Z[c1]")


def static_ansatz(qubits: int = 16, layers: int = 8, seed: int = 1) -> Workload:
    """Layers of Ry on every qubit and a ring of CNOT; a transverse-field Ising chain is observed."""
    body = []
    for layer in range(layers):
        body += [f"Ry(w[{layer * qubits + i}])[q[{i}]]" for i in range(qubits)]
        body += [f"CNOT[q[{i}], q[{(i + 1) % qubits}]]" for i in range(qubits)]
    count = qubits * layers
    text = f"qubit: q[{qubits}]\npara: w[{count}]\n" + ";\n".join(body) + "\n"
    params = {"w": np.random.default_rng(seed).uniform(-math.pi, math.pi, count)}
    bonds = [f"Z[q[{i}]]*Z[q[{i + 1}]]" for i in range(qubits - 1)]
    fields = [f"0.5*X[q[{i}]]" for i in range(qubits)]
    return Workload(
        f"static ansatz, {qubits} qubits, {count} parameters",
        qd.parse(text),
        params,
        " + ".join(bonds + fields),
    )


def layered_ansatz(qubits: int, layers: int = 4, seed: int = 1) -> Workload:
    """Layers of Ry and Rz on every qubit and a chain of CNOT; Σ ZᵢZᵢ₊₁ + Σ Xᵢ is observed."""
    body = []
    for layer in range(layers):
        for i in range(qubits):
            at = 2 * (layer * qubits + i)
            body += [f"Ry(w[{at}])[q[{i}]]", f"Rz(w[{at + 1}])[q[{i}]]"]
        body += [f"CNOT[q[{i}], q[{i + 1}]]" for i in range(qubits - 1)]
    count = 2 * qubits * layers
    text = f"qubit: q[{qubits}]\npara: w[{count}]\n" + ";\n".join(body) + "\n"
    params = {"w": np.random.default_rng(seed).uniform(-math.pi, math.pi, count)}
    bonds = [f"Z[q[{i}]]*Z[q[{i + 1}]]" for i in range(qubits - 1)]
    fields = [f"X[q[{i}]]" for i in range(qubits)]
    name = f"ansatz, {qubits} qubits, {count} parameters"
    return Workload(name, qd.parse(text), params, " + ".join(bonds + fields))


def rotations(parameters: int, gates: int | None = None, qubits: int = 10, seed: int = 1) -> Workload:
    """Rotations on random qubits, a CNOT after each; some by parameters, spread evenly, the rest by numbers.

    Args:
        gates: how many rotations; as many as parameters where it is left out.
    """
    rng = np.random.default_rng(seed)
    count = parameters if gates is None else gates
    free = {place * count // parameters: place for place in range(parameters)}
    body = []
    for place, angle in enumerate(rng.uniform(-math.pi, math.pi, count)):
        first, second = rng.choice(qubits, size=2, replace=False)
        turned = f"w[{free[place]}]" if place in free else repr(float(angle))
        body += [f"{rng.choice(['Rx', 'Ry', 'Rz'])}({turned})[q[{first}]]", f"CNOT[q[{first}], q[{second}]]"]
    text = f"qubit: q[{qubits}]\npara: w[{parameters}]\n" + ";\n".join(body) + "\n"
    params = {"w": rng.uniform(-math.pi, math.pi, parameters)}
    observable = " + ".join(f"Z[q[{i}]]*Z[q[{i + 1}]]" for i in range(qubits - 1))
    return Workload(f"{parameters} of {count} rotations, {qubits} qubits", qd.parse(text), params, observable)


def branching_circuit(
    qubits: int = 16, measurements: int = 6, parameters: int = 40, seed: int = 1
) -> Workload:
    """Rotations and CNOT between measurements; each outcome decides on a rotation elsewhere."""
    rng = np.random.default_rng(seed)
    feedback = list(range(parameters - measurements, parameters))
    blocks = np.array_split(np.arange(parameters - measurements), measurements + 1)
    body: list[str] = []
    for turn, block in enumerate(blocks):
        for p in block:
            first, second = rng.choice(qubits, size=2, replace=False)
            body.append(f"{rng.choice(['Rx', 'Ry', 'Rz'])}(w[{p}])[q[{first}]]")
            body.append(f"CNOT[q[{first}], q[{second}]]")
        if turn < measurements:
            first, second = rng.choice(qubits, size=2, replace=False)
            body.append(f"if M[q[{first}]] = 1 then Ry(w[{feedback[turn]}])[q[{second}]]; X[q[{first}]] fi")
    text = f"qubit: q[{qubits}]\npara: w[{parameters}]\n" + ";\n".join(body) + "\n"
    params = {"w": rng.uniform(-math.pi, math.pi, parameters)}
    observable = " + ".join(f"Z[q[{i}]]*Z[q[{i + 1}]]" for i in range(qubits - 1))
    name = f"branching circuit, {qubits} qubits, {measurements} measurements, {parameters} parameters"
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


def layered_text(qubits: int = 36, passes: int = 3) -> str:
    """The text of layers of rotations by one angle, with bounded loops on every second qubit."""
    lines = [f"Rx(t)[q[{i}]]; Rzz(t)[q[{i}], q[{(i + 1) % qubits}]]" for i in range(qubits)]
    for i in range(0, qubits, 2):
        inner = f"Ry(t)[q[{i + 1}]]; Rz(u)[q[{i}]]"
        lines.append(f"while{{{passes}}} M[q[{i}]] = 1 do {inner} od")
    return f"qubit: q[{qubits}]\npara: t, u\n" + ";\n".join(lines) + "\n"
