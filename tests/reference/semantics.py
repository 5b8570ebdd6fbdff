"""What a program means, computed slowly and literally.

The semantics is that of Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023),
with what docs/language.md adds to it.

A hybrid state maps a store (the counter values, in `program.counters` order) to an unnormalised
density matrix 2ⁿ x 2ⁿ. Every row of the table there is one case below. Nothing here is shared with the
engines: the package gives the tree, the value of an expression and the small matrix of a gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any, assert_never

import numpy as np
from reference.noise import noisy
from reference.operators import Matrix, Operator, Places, lowering, projector, sandwiched, unitary
from reference.precision import DOUBLE, Arithmetic

from qdiff.errors import EvaluationError
from qdiff.lang import tree as qt
from qdiff.lang.expr import Expr
from qdiff.lang.gates import GateRecord, record

Store = tuple[int, ...]
State = dict[Store, Matrix]
Angles = tuple[Expr, ...]
Path = tuple[int, ...]  # statement i of block j of statement k of … the program

PASS_LIMIT = 100_000
COMPARISONS = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


class PassLimitReached(Exception):
    """A loop that still holds mass after as many passes as are allowed."""


def size(rho: Matrix) -> float:
    """Sum of the magnitudes of all entries: at least the trace."""
    return float(np.abs(rho).sum())


def merged(*states: State) -> State:
    """The sum of hybrid states."""
    result: State = {}
    for state in states:
        for store, rho in state.items():
            result[store] = result[store] + rho if store in result else rho
    return result


def channel(state: State, *kraus: Operator) -> State:
    """Σ_j K_j ρ_σ K_j† for every store σ."""
    return merged(*({store: sandwiched(k, rho) for store, rho in state.items()} for k in kraus))


class Interpreter:
    """Runs one program at fixed parameters (array elements are given as "w[0]")."""

    def __init__(
        self, program: qt.Program, params: Mapping[str, float], arithmetic: Arithmetic = DOUBLE
    ) -> None:
        self.arithmetic = arithmetic
        self.pass_limit = PASS_LIMIT
        self.program = program
        self.params = dict(params)
        self.n = len(program.qubits)
        self.known: dict[tuple[Expr, Store], Any] = {}

    def start(self) -> Matrix:
        """|0…0⟩⟨0…0|."""
        rho = np.zeros((1 << self.n, 1 << self.n), dtype=self.arithmetic.complex)
        rho[0, 0] = 1
        return rho

    def run(self) -> State:
        """Return the final hybrid state."""
        return self.block(self.program.body, {(0,) * len(self.program.counters): self.start()}, ())

    # --- Statements -----------------------------------------------------------------------------

    def block(self, block: qt.Block, state: State, path: Path) -> State:
        for i, statement in enumerate(block):
            state = {store: rho for store, rho in state.items() if size(rho) > self.arithmetic.negligible}
            state = self.statement(statement, state, (*path, i))
        return state

    def statement(self, statement: qt.Statement, state: State, path: Path) -> State:
        match statement:
            case qt.Skip():
                return state
            case qt.Abort():
                return {}
            case qt.Reset(qubit):
                (place,) = self.places((qubit,))
                return channel(state, lowering(place, 0, self.n), lowering(place, 1, self.n))
            case qt.Gate():
                return {store: self.gate(statement, store, rho) for store, rho in state.items()}
            case qt.Channel():
                return {store: self.channel(statement, store, rho) for store, rho in state.items()}
            case qt.Assign(counter, expression):
                return self.assigned(counter, {s: self.exactly(expression, s) for s in state}, state)
            case qt.Measure(counter, qubits):
                return merged(
                    *(
                        self.assigned(counter, dict.fromkeys(state, v), self.outcome(qubits, v, state))
                        for v in range(1 << len(qubits))
                    )
                )
            case qt.If(condition, then, otherwise):
                true, false = self.split(condition, state)
                return merged(self.block(then, true, (*path, 0)), self.block(otherwise, false, (*path, 1)))
            case qt.Case(qubits, arms, otherwise):
                return self.case(qubits, dict(arms), otherwise, state, path)
            case qt.While(condition, body, bound):
                return self.loop(condition, body, bound, state, path)
            case _:
                assert_never(statement)

    def gate(self, gate: qt.Gate, store: Store, rho: Matrix) -> Matrix:
        """A gate is one primitive; U(a,b,c) is three, P(c) first."""
        entry = self.program.record(gate.name)
        parts: list[tuple[GateRecord, Angles]] = [
            (record(part.gate), (gate.angles[part.angle],)) for part in entry.parts
        ]
        for part, angles in parts or [(entry, gate.angles)]:
            rho = self.primitive(
                part, angles, self.places(gate.targets), self.places(gate.controls), store, rho
            )
        return rho

    def primitive(
        self, gate: GateRecord, angles: Angles, targets: Places, controls: Places, store: Store, rho: Matrix
    ) -> Matrix:
        """U ρ U†."""
        values = tuple(self.evaluate(angle, store) for angle in angles)
        return sandwiched(unitary(gate, values, targets, controls, self.n, self.arithmetic), rho)

    def channel(self, channel: qt.Channel, store: Store, rho: Matrix) -> Matrix:
        """A noise channel: one primitive."""
        (place,) = self.places(channel.qubits)
        p = self.probability(channel.probability, store)
        return noisy(channel.name, p, place, self.n, rho)

    def assigned(self, counter: str, numbers: dict[Store, float], state: State) -> State:
        """ρ moves from σ to σ[counter ↦ numbers(σ)]."""
        place = self.program.counters.index(counter)
        moved: list[State] = []
        for store, rho in state.items():
            new = numbers[store]
            if not -(2**63) <= new < 2**63:
                raise EvaluationError(f"`{counter}` would be {new}, beyond 64 bits")
            moved.append({(*store[:place], int(new), *store[place + 1 :]): rho})
        return merged(*moved)

    def case(
        self, qubits: tuple[str, ...], arms: dict[int, qt.Block], rest: qt.Block, state: State, path: Path
    ) -> State:
        """One measurement of all qubits; each outcome goes its own way."""
        ended = [
            self.block(arm, self.outcome(qubits, v, state), (*path, i))
            for i, (v, arm) in enumerate(arms.items())
        ]
        others = [v for v in range(1 << len(qubits)) if v not in arms]
        unlisted = merged(*(self.outcome(qubits, v, state) for v in others))
        return merged(*ended, self.block(rest, unlisted, (*path, len(arms))))

    def loop(
        self, condition: qt.Condition, body: qt.Block, bound: int | None, state: State, path: Path
    ) -> State:
        """Σ_n ⟦B⟧_f (⟦S⟧ ⟦B⟧_t)ⁿ; a bound T keeps n < T only: what is inside after T passes aborts."""
        ended: State = {}
        for _ in range(self.pass_limit if bound is None else bound):
            true, false = self.guard(condition, state, path)
            ended = merged(ended, false)
            state = self.block(body, true, path)
            inside = sum(size(rho) for rho in state.values())
            if inside < self.arithmetic.left_inside:
                return ended
        if bound is None:
            raise PassLimitReached(f"{inside:.3g} is inside after {self.pass_limit} passes")
        return ended

    def guard(self, condition: qt.Condition, state: State, path: Path) -> tuple[State, State]:
        """One evaluation of a loop's condition; `path` says which loop."""
        return self.split(condition, state)

    # --- Conditions -----------------------------------------------------------------------------

    def split(self, condition: qt.Condition, state: State) -> tuple[State, State]:
        """The parts of a state in which a condition turns out true and false."""
        match condition:
            case qt.Measured(qubits, outcome):
                return self.measured(qubits, outcome, state)
            case qt.Flip(probability):
                pairs = {store: self.flip(probability, store, rho) for store, rho in state.items()}
                return {s: pair[0] for s, pair in pairs.items()}, {s: pair[1] for s, pair in pairs.items()}
            case qt.Compare(left, operator, right):
                holds = COMPARISONS[operator]
                truth = {s: holds(self.exactly(left, s), self.exactly(right, s)) for s in state}
                return {s: state[s] for s in state if truth[s]}, {s: state[s] for s in state if not truth[s]}
            case qt.Not(operand):
                true, false = self.split(operand, state)
                return false, true
            case qt.And(parts):
                failed: State = {}
                for part in parts:
                    state, false = self.split(part, state)
                    failed = merged(failed, false)
                return state, failed
            case qt.Or(parts):
                succeeded: State = {}
                for part in parts:
                    true, state = self.split(part, state)
                    succeeded = merged(succeeded, true)
                return succeeded, state
            case _:
                assert_never(condition)

    def measured(self, qubits: tuple[str, ...], outcome: int, state: State) -> tuple[State, State]:
        """P_v ρ P_v and Σ_{u≠v} P_u ρ P_u: all qubits are measured, whatever is asked."""
        others = [v for v in range(1 << len(qubits)) if v != outcome]
        return self.outcome(qubits, outcome, state), merged(*(self.outcome(qubits, v, state) for v in others))

    def outcome(self, qubits: tuple[str, ...], outcome: int, state: State) -> State:
        """P_v ρ P_v."""
        return channel(state, projector(self.places(qubits), outcome, self.n))

    def flip(self, probability: Expr, store: Store, rho: Matrix) -> tuple[Matrix, Matrix]:
        """p ρ and (1-p) ρ."""
        p = self.probability(probability, store)
        return p * rho, (1 - p) * rho

    def probability(self, expression: Expr, store: Store) -> Any:
        """The value of a probability, clipped within 1e-12 of [0, 1]."""
        p = self.evaluate(expression, store)
        if not -1e-12 <= p <= 1 + 1e-12:
            raise EvaluationError(f"the probability {p} is outside [0, 1]")
        return min(max(p, self.arithmetic.real(0)), self.arithmetic.real(1))

    # --- Names and numbers ----------------------------------------------------------------------

    def places(self, qubits: tuple[str, ...]) -> Places:
        return tuple(self.program.qubits.index(q) for q in qubits)

    def evaluate(self, expression: Expr, store: Store) -> Any:
        """The real value of an angle or a probability."""
        key = (expression, store)
        if key not in self.known:
            value = self.arithmetic.evaluate(expression, self.params, self.counters(store))
            self.known[key] = self.arithmetic.real(value)
        return self.known[key]

    def exactly(self, expression: Expr, store: Store) -> float | int:
        """The value of a side of a comparison, or of what a counter is set to."""
        return expression.evaluate(self.params, self.counters(store))

    def counters(self, store: Store) -> dict[str, int]:
        return dict(zip(self.program.counters, store, strict=True))
