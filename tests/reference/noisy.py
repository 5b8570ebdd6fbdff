"""Noise by its definition: Kraus operators after gates, and outcomes that are misread.

    ρ → Σ_k K_k ρ K_k†          P(v|u) = Π_i P(v_i|u_i),  v recorded, u the outcome

Nothing of the package's noise models is used: a model here is a plain table, of which `model` makes one of
the package for comparison.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from reference.operators import Matrix, embedded, sandwiched
from reference.semantics import Interpreter, Path, State, Store, merged

from qdiff.lang import noise
from qdiff.lang import tree as qt
from qdiff.lang.gates import PAULI
from qdiff.lang.noise.model import NoiseModel
from qdiff.lang.noise.noise_channel import NoiseChannel
from qdiff.lang.printer import gate_name

LETTERS: Mapping[str, list[Matrix]] = {
    **{letter: [matrix] for letter, matrix in PAULI.items()},
    "0": [np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]])],
    "1": [np.array([[0, 0], [1, 0]]), np.array([[0, 0], [0, 1]])],
}


@dataclass(frozen=True)
class Table:
    """A channel: its kind, its numbers, and on which of a gate's qubits it acts (None: on each of them).

    kinds: "words" with {word: probability}, "dephase" (p), "lost" (p, qubits), "damp" (p, excited)
    """

    kind: str
    numbers: tuple[object, ...]
    on: tuple[int, ...] | None = None

    def kraus(self) -> list[Matrix]:
        """Kraus operators (2ᵏ, 2ᵏ), the first qubit as the least significant bit."""
        match self.kind, self.numbers:
            case "words", (tuple() as pairs,):
                left = 1 - sum(p for _, p in pairs)
                return weighted([("I" * len(pairs[0][0]), left), *pairs])
            case "dephase", (float() as p,):
                return weighted([("I", 1 - p), ("Z", p)])
            case "lost", (float() as p, int() as qubits):
                words = ["".join(letters) for letters in itertools.product("IXYZ", repeat=qubits)]
                return weighted([("I" * qubits, 1 - p), *((word, p / len(words)) for word in words)])
            case "damp", (float() as p, float() as excited):
                down = [np.diag([1, np.sqrt(1 - p)]), np.sqrt(p) * np.array([[0, 1], [0, 0]])]
                up = [np.diag([np.sqrt(1 - p), 1]), np.sqrt(p) * np.array([[0, 0], [1, 0]])]
                return [np.sqrt(1 - excited) * k for k in down] + [np.sqrt(excited) * k for k in up]
        raise AssertionError(f"what is {self}?")

    def channel(self) -> NoiseChannel:
        """The package's channel."""
        match self.kind, self.numbers:
            case "words", (tuple() as pairs,):
                found = noise.pauli(dict(pairs))
            case "dephase", (p,):
                found = noise.dephase(p)
            case "lost", (p, qubits):
                found = noise.depolarize(p, qubits)
            case _:
                found = noise.damp(*self.numbers)
        return found if self.on is None else found.on(*self.on)


def weighted(pairs: Sequence[tuple[str, float]]) -> list[Matrix]:
    """√p times all products of the letters' operators."""
    out = []
    for word, p in pairs:
        for operators in itertools.product(*(LETTERS[letter] for letter in word)):
            out.append(np.sqrt(p) * reduce(lambda done, one: np.kron(one, done), operators, np.eye(1)))
    return out


@dataclass(frozen=True)
class Noise:
    """A noise model: channels by the name of a gate, "*" for all others, "reset"; (p01, p10) by qubit."""

    gates: Mapping[str, Sequence[Table]] = field(default_factory=dict)
    readout: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def model(self) -> NoiseModel:
        """The package's model."""
        return NoiseModel(
            {name: [t.channel() for t in tables] for name, tables in self.gates.items()}, self.readout
        )


class NoisyInterpreter(Interpreter):
    """Runs a program that knows nothing of noise, with noise."""

    def __init__(self, program: qt.Program, params: Mapping[str, float], noise: Noise) -> None:
        super().__init__(program, params)
        self.noise = noise

    def struck(self, name: str, qubits: Sequence[str], rho: Matrix) -> Matrix:
        """What the noise of a gate makes of ρ."""
        places = self.places(tuple(qubits))
        for table in self.noise.gates.get(name, () if name == "reset" else self.noise.gates.get("*", ())):
            kraus = table.kraus()
            chosen = [places] if len(kraus[0]) > 2 else [(place,) for place in places]
            if table.on is not None:
                chosen = [tuple(places[i] for i in table.on)]
            for targets in chosen:
                rho = sum(sandwiched(embedded(k + 0j, targets, (), self.n, 1), rho) for k in kraus)
        return rho

    def gate(self, gate: qt.Gate, store: Store, rho: Matrix) -> Matrix:
        return self.struck(gate_name(gate), (*gate.controls, *gate.targets), super().gate(gate, store, rho))

    def statement(self, statement: qt.Statement, state: State, path: Path) -> State:
        match statement:
            case qt.Reset(qubit):
                clean = super().statement(statement, state, path)
                return {store: self.struck("reset", (qubit,), rho) for store, rho in clean.items()}
            case qt.Measure(counter, qubits):
                return merged(
                    *(
                        self.assigned(counter, dict.fromkeys(state, v), self.recorded(qubits, v, state))
                        for v in range(1 << len(qubits))
                    )
                )
        return super().statement(statement, state, path)

    def case(
        self, qubits: tuple[str, ...], arms: dict[int, qt.Block], rest: qt.Block, state: State, path: Path
    ) -> State:
        ended = [
            self.block(arms.get(v, rest), self.recorded(qubits, v, state), (*path, v))
            for v in range(1 << len(qubits))
        ]
        return merged(*ended)

    def measured(self, qubits: tuple[str, ...], outcome: int, state: State) -> tuple[State, State]:
        others = [v for v in range(1 << len(qubits)) if v != outcome]
        return self.recorded(qubits, outcome, state), merged(
            *(self.recorded(qubits, v, state) for v in others)
        )

    def recorded(self, qubits: tuple[str, ...], value: int, state: State) -> State:
        """The part of a state in which a value is recorded: Σ_u P(v|u) P_u ρ P_u."""
        parts = []
        for u in range(1 << len(qubits)):
            weight = 1.0
            for i, qubit in enumerate(qubits):
                pair = self.noise.readout.get(qubit, self.noise.readout.get("*", (0.0, 0.0)))
                was, read = u >> i & 1, value >> i & 1
                weight *= pair[was] if was != read else 1 - pair[was]
            parts.append({store: weight * rho for store, rho in self.outcome(qubits, u, state).items()})
        return merged(*parts)
