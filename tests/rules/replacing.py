"""f_{k,j} literally: the interpreter, with the k-th executed occurrence replaced by term j.

A store has one more entry: how many occurrences there were before, or `DONE` after the replaced one. In
its place the block of term j runs on the density matrix, ancillas in any state, times the coefficient.
Nothing is shared with the transformation but the rule's own blocks, which are tested by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import sympy
from reference.interpreter import expectation
from reference.operators import Matrix
from reference.semantics import Interpreter, Path, State, Store, merged
from rules.straight_line import StraightLine

from qdiff.lang import tree as qt
from qdiff.lang.expr import ZERO, Expr, is_number, multiply
from qdiff.lang.observable import Observable
from qdiff.rules.primitive import Kind, Primitive, argument, kind_of
from qdiff.rules.term import Rule
from qdiff.rules.workspace import Workspace

DONE = -1


@lru_cache(maxsize=4096)
def slope_of(expression: Expr, parameter: str) -> Expr:
    """∂a/∂θ; 0 where SymPy finds that it cancels: then θ does not occur."""
    slope = expression.diff(parameter)
    cancels = slope.parameters() | slope.counters() and sympy.expand(slope.to_sympy()) == 0
    return ZERO if cancels else slope


def replaced_value(
    program: qt.Program,
    observable: Observable,
    params: Mapping[str, float],
    parameter: str,
    rule_at: Callable[[Kind], Rule],
    occurrence: int,
    term: int,
    pass_limit: int = 100_000,
) -> float:
    """Return c_j ∂a/∂θ · f_{k,j} for k = `occurrence` from 1 and j = `term` from 0."""
    interpreter = Replacing(program, params, parameter, rule_at, occurrence, term)
    interpreter.pass_limit = pass_limit
    ended = {store[:-1]: rho for store, rho in interpreter.run().items() if store[-1] == DONE}
    return float(expectation(program, observable, ended))


class Replacing(Interpreter):
    """Runs a program with one occurrence replaced."""

    def __init__(
        self,
        program: qt.Program,
        params: Mapping[str, float],
        parameter: str,
        rule_at: Callable[[Kind], Rule],
        occurrence: int,
        term: int,
    ) -> None:
        super().__init__(program, params)
        self.parameter = parameter
        self.rule_at = rule_at
        self.occurrence = occurrence
        self.term = term

    def run(self) -> State:
        return self.block(self.program.body, {(0,) * (len(self.program.counters) + 1): self.start()}, ())

    def counters(self, store: Store) -> dict[str, int]:
        return super().counters(store[:-1])

    # --- Where primitives stand -----------------------------------------------------------------

    def statement(self, statement: qt.Statement, state: State, path: Path) -> State:
        match statement:
            case qt.Gate(name=name, angles=angles):
                parts = self.program.record(name).parts
                primitives = [replace(statement, name=p.gate, angles=(angles[p.angle],)) for p in parts]
                for primitive in primitives or [statement]:
                    state = self.everywhere(primitive, state, path)
                return state
            case qt.Channel():
                return self.everywhere(statement, state, path)
            case _:
                return super().statement(statement, state, path)

    def everywhere(self, primitive: qt.Gate | qt.Channel, state: State, path: Path) -> State:
        parts: list[State] = []
        for store, rho in state.items():
            left = self.counted(primitive, store)
            if left is None:
                after = self.ran(primitive, store, rho).get(0)
                parts.append({} if after is None else {(*store[:-1], DONE): after})
            else:
                [after] = super().statement(primitive, {store: rho}, path).values()
                parts.append({left: after})
        return merged(*parts)

    def split(self, condition: qt.Condition, state: State) -> tuple[State, State]:
        if not isinstance(condition, qt.Flip):
            return super().split(condition, state)
        true: list[State] = []
        false: list[State] = []
        for store, rho in state.items():
            left = self.counted(condition, store)
            if left is None:
                found = self.ran(condition, store, rho)
                true += [{(*store[:-1], DONE): found[1]}] if 1 in found else []
                false += [{(*store[:-1], DONE): found[0]}] if 0 in found else []
            else:
                heads, tails = self.flip(condition.probability, store, rho)
                true.append({left: heads})
                false.append({left: tails})
        return merged(*true), merged(*false)

    # --- Occurrences ----------------------------------------------------------------------------

    def counted(self, primitive: Primitive, store: Store) -> Store | None:
        """The store after an execution that is not the replaced one, else None."""
        fixed = isinstance(primitive, qt.Gate) and not primitive.angles
        if store[-1] == DONE or fixed or is_number(slope_of(argument(primitive), self.parameter), 0):
            return store
        return None if store[-1] + 1 == self.occurrence else (*store[:-1], store[-1] + 1)

    def ran(self, primitive: Primitive, store: Store, rho: Matrix) -> dict[int, Matrix]:
        """c_j ∂a/∂θ F_j(ρ), by the value of the condition if it is one; {} where there are fewer terms."""
        workspace = Workspace(self.program)
        kind = kind_of(primitive, self.program)
        terms = self.rule_at(kind).terms(primitive, kind, argument(primitive), workspace)
        if self.term >= len(terms):
            return {}
        term = terms[self.term]
        slope = multiply(term.coefficient, slope_of(argument(primitive), self.parameter))
        weight = self.evaluate(slope, store)
        made = workspace.completed(self.program)
        ancillas = made.qubits[len(self.program.qubits) :]
        d, e = len(rho), 1 << len(ancillas)
        dirty = np.kron(np.full((e, e), 1 / e), rho)[None]
        ended: dict[int, Matrix] = {}
        machine = StraightLine(made, made.qubits, self.params)
        for after, result in machine.run(term.block, dirty, self.counters(store)).items():
            counters = dict(after)
            kept = np.einsum("sisj->ij", result.reshape(e, d, e, d))
            sign = counters[workspace.hit] if term.signed else 1
            outcome = counters[workspace.outcome] if isinstance(primitive, qt.Flip) else 0
            ended[outcome] = ended.get(outcome, 0) + weight * sign * kept
        return ended
