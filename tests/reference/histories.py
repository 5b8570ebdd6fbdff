"""One run at a time, with its tangents by forward mode: what the trajectory adjoint must find
(docs/architecture.md, "Shots").

A run carries |ψ⟩ and |∂ψ⟩, one for each parameter, both divided by √p at every random event. A gate adds
-(i/2) ∂a K|ψ⟩, a Kraus operator ∂K|ψ⟩, a flip (∂p/2p)|ψ⟩. A reset of all qubits leaves |0…0⟩ and
(score/2)|0…0⟩: which bits it found is nobody's business.

Who runs it chooses the outcomes: `drawn` as the machine draws them, `enumerated` one history after the other;
both take another class of runs, for subjects that are broken on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

import numpy as np
from reference.operators import Matrix, embedded, generator, lowering, pauli_product, projector, unitary

from qdiff.lang import tree as qt
from qdiff.lang.expr import Expr
from qdiff.lang.gates import PAULI, record
from qdiff.lang.observable import Observable
from qdiff.lang.running import COMPARE

Choose = Callable[[Sequence[float]], int]
"""Weights of the outcomes → outcome. A reset of all qubits calls it with no weights, for each qubit."""
derivative = lru_cache(maxsize=4096)(Expr.diff)


@dataclass(frozen=True)
class History:
    """What a run left behind.

    Attributes:
        probability: of its outcomes. value, slopes, scores: of the observable; see `protocol.Gradients`.
    """

    probability: float
    aborted: bool
    value: float
    slopes: Matrix
    scores: Matrix


class Aborted(Exception):
    """The run executed `abort`."""


class TooRare(Exception):
    """The run has become less probable than wanted."""


def drawn(
    program: qt.Program,
    observable: Observable,
    params: Mapping[str, float],
    names: Sequence[str],
    seed: int,
    shot: int,
    run: type[Run] | None = None,
) -> History:
    """The run with the outcomes that the machine draws for a shot."""
    random = np.random.Philox(key=seed, counter=shot << 128)

    def choose(weights: Sequence[float]) -> int:
        u = float(int(random.random_raw()) >> 11) * 2.0**-53
        total = np.cumsum(weights)
        return int(np.searchsorted(total, u * total[-1], side="right")) if len(weights) else 0

    return (run or Run)(program, params, names, choose).history(observable)


def enumerated(
    program: qt.Program,
    observable: Observable,
    params: Mapping[str, float],
    names: Sequence[str],
    least: float = 1e-15,
    run: type[Run] | None = None,
) -> Iterator[History]:
    """All histories that are more probable than `least`."""
    pending: list[tuple[int, ...]] = [()]
    while pending:
        prefix = pending.pop()
        taken: list[int] = []

        def choose(
            weights: Sequence[float], prefix: tuple[int, ...] = prefix, taken: list[int] = taken
        ) -> int:
            if not len(weights):
                return 0
            if len(taken) < len(prefix):
                taken.append(prefix[len(taken)])
                return taken[-1]
            possible = [v for v, weight in enumerate(weights) if weight > 1e-14]
            pending.extend((*taken, v) for v in possible[1:])
            taken.append(possible[0])
            return taken[-1]

        with suppress(TooRare):
            yield (run or Run)(program, params, names, choose, least).history(observable)


class Run:
    """One run of a program."""

    def __init__(
        self,
        program: qt.Program,
        params: Mapping[str, float],
        names: Sequence[str],
        choose: Choose,
        least: float = 0.0,
    ) -> None:
        self.program = program
        self.params = params
        self.names = names
        self.chosen_by = choose
        self.least = least
        self.n = len(program.qubits)
        self.store = dict.fromkeys(program.counters, 0)
        self.psi = np.zeros(1 << self.n, dtype=complex)
        self.psi[0] = 1
        self.tangents = np.zeros((len(names), 1 << self.n), dtype=complex)
        self.probability = 1.0

    def history(self, observable: Observable) -> History:
        """Run to the end."""
        aborted, value, slopes = False, 0.0, np.zeros(len(self.names))
        try:
            self.block(self.program.body)
            applied = self.operator(observable) @ self.psi
            value = float(np.vdot(self.psi, applied).real)
            slopes = 2 * (self.tangents @ applied.conj()).real
        except Aborted:
            aborted = True
        return History(self.probability, aborted, value, slopes, self.scores())

    def scores(self) -> Matrix:
        return np.asarray(2 * (self.tangents @ self.psi.conj()).real)

    def operator(self, observable: Observable) -> Matrix:
        result = np.zeros((1 << self.n, 1 << self.n), dtype=complex)
        for term in observable.terms:
            letters = dict(term.operators)
            power = np.prod([float(self.store[name]) ** power for name, power in term.counters])
            product = pauli_product([letters.get(qubit, "I") for qubit in self.program.qubits])
            result += term.coefficient * power * product
        return result

    # --- What happens to the state ------------------------------------------------------------------

    def chosen(self, weights: Sequence[float]) -> int:
        outcome = self.chosen_by(weights)
        self.probability *= weights[outcome] / sum(weights)
        if self.probability < self.least:
            raise TooRare
        return outcome

    def happens(self, operators: Sequence[Matrix], slopes: Mapping[int, Matrix] | None = None) -> int:
        """One of some Kraus operators acts; `slopes` are ∂K|ψ⟩, (P, D) for each."""
        after = [k @ self.psi for k in operators]
        weights = [float(np.vdot(x, x).real) for x in after]
        k = self.chosen(weights)
        self.tangents = (operators[k] @ self.tangents.T).T
        if slopes:
            self.tangents = self.tangents + slopes[k]
        self.tangents, self.psi = self.tangents / np.sqrt(weights[k]), after[k] / np.sqrt(weights[k])
        return k

    def measure(self, qubits: tuple[str, ...]) -> int:
        places = self.places(qubits)
        return self.happens([projector(places, v, self.n) for v in range(1 << len(qubits))])

    def gate(self, gate: qt.Gate) -> None:
        entry, targets, controls = (
            self.program.record(gate.name),
            self.places(gate.targets),
            self.places(gate.controls),
        )
        parts = [(record(part.gate), (gate.angles[part.angle],)) for part in entry.parts] or [
            (entry, gate.angles)
        ]
        for part, angles in parts:
            values = tuple(float(self.value(angle)) for angle in angles)
            matrix = unitary(part, values, targets, controls, self.n)
            self.psi, self.tangents = matrix @ self.psi, (matrix @ self.tangents.T).T
            for angle, value in zip(angles, values, strict=True):
                at = value if part.drift is not None else 0.0
                turned = -0.5j * generator(part, at, targets, controls, self.n) @ self.psi
                self.tangents = self.tangents + np.outer(self.slopes(angle), turned)

    def channel(self, channel: qt.Channel) -> None:
        p, slopes, (place,) = (
            self.value(channel.probability),
            self.slopes(channel.probability),
            self.places(channel.qubits),
        )
        operators, changes = kraus(channel.name, p, any(slopes))
        grown = [embedded(k, (place,), (), self.n, idle=1) for k in operators]
        by_slope = {
            k: np.multiply.outer(slopes, embedded(change, (place,), (), self.n, idle=1) @ self.psi)
            for k, change in enumerate(changes)
        }
        self.happens(grown, by_slope)

    def reset(self, qubits: Sequence[str]) -> None:
        """Reset qubits in declared order; all of them at once."""
        if len(qubits) == self.n > 1:
            for _ in qubits:
                self.chosen_by(())
            scores = self.scores()
            self.psi = np.zeros(1 << self.n, dtype=complex)
            self.psi[0] = 1
            self.tangents = np.multiply.outer(scores / 2, self.psi)
            return
        for (place,) in map(self.places, zip(sorted(qubits, key=self.program.qubits.index))):
            self.happens([lowering(place, bit, self.n) for bit in (0, 1)])

    def flip(self, probability: Expr) -> bool:
        p = min(max(float(self.value(probability)), 0.0), 1.0)
        outcome = self.chosen([p, 1 - p])
        for j, slope in enumerate(self.slopes(probability)):
            if slope:
                self.tangents[j] += slope / (2 * p if outcome == 0 else 2 * (p - 1)) * self.psi
        return outcome == 0

    # --- Statements, conditions, numbers --------------------------------------------------------------

    def block(self, block: qt.Block) -> None:
        waiting: set[str] = set()
        for statement in (*block, None):
            if isinstance(statement, qt.Reset):
                waiting.add(statement.qubit)
                continue
            if isinstance(statement, qt.Skip):
                continue
            if waiting:
                self.reset(sorted(waiting))
                waiting.clear()
            if statement is not None:
                self.statement(statement)

    def statement(self, statement: qt.Statement) -> None:
        match statement:
            case qt.Abort():
                raise Aborted
            case qt.Gate():
                self.gate(statement)
            case qt.Channel():
                self.channel(statement)
            case qt.Assign(counter=counter, value=value):
                self.store[counter] = int(self.value(value))
            case qt.Measure(counter=counter, qubits=qubits):
                self.store[counter] = self.measure(qubits)
            case qt.If(condition=condition, then=then, otherwise=otherwise):
                self.block(then if self.holds(condition) else otherwise)
            case qt.Case(qubits=qubits, arms=arms, otherwise=otherwise):
                self.block(dict(arms).get(self.measure(qubits), otherwise))
            case qt.While(condition=condition, body=body, bound=bound):
                passes = 0
                while self.holds(condition):
                    self.block(body)
                    passes += 1
                    if passes == bound:
                        raise Aborted
            case qt.Reset() | qt.Skip():
                raise AssertionError("handled with the block")
            case _:
                assert_never(statement)

    def holds(self, condition: qt.Condition) -> bool:
        match condition:
            case qt.Measured(qubits=qubits, value=value):
                return self.measure(qubits) == value
            case qt.Flip(probability=probability):
                return self.flip(probability)
            case qt.Compare(left=left, operator=operator, right=right):
                return COMPARE[operator](self.value(left), self.value(right))
            case qt.Not(operand=operand):
                return not self.holds(operand)
            case qt.And(parts=parts):
                return all(self.holds(part) for part in parts)
            case qt.Or(parts=parts):
                return any(self.holds(part) for part in parts)
            case _:
                assert_never(condition)

    def value(self, expression: Expr) -> float | int:
        return expression.evaluate(self.params, self.store)

    def slopes(self, expression: Expr) -> Matrix:
        return np.array([float(self.value(derivative(expression, name))) for name in self.names])

    def places(self, qubits: Sequence[str]) -> tuple[int, ...]:
        return tuple(self.program.qubits.index(qubit) for qubit in qubits)


def kraus(name: str, p: float, varies: bool) -> tuple[list[Matrix], list[Matrix]]:
    """The Kraus operators that the machine chooses among, and dK/dp (0 where p does not vary)."""
    if name == "damp":
        lowered = np.array([[0, 1], [0, 0]], dtype=complex)
        operators = [np.diag([1, np.sqrt(1 - p)]).astype(complex), np.sqrt(p) * lowered]
        slopes = [np.diag([0, -0.5 / np.sqrt(1 - p)]), 0.5 / np.sqrt(p) * lowered] if varies else []
    else:
        share = 1 if name == "dephase" else 4
        letters = "Z" if share == 1 else "XYZ"
        weights = [1 - len(letters) * p / share] + [p / share] * len(letters)
        changes = [-len(letters) / share] + [1 / share] * len(letters)
        operators = [np.sqrt(w) * PAULI[letter] for w, letter in zip(weights, "I" + letters, strict=True)]
        slopes = [
            change / (2 * np.sqrt(w)) * PAULI[letter]
            for w, change, letter in zip(weights, changes, "I" + letters, strict=True)
            if varies
        ]
    return operators, slopes or [np.zeros((2, 2), dtype=complex)] * len(operators)
