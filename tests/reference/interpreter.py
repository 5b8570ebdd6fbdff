"""The slow, obvious reference: final states, values, and how often what is executed.

Meaning is in `semantics.py`; here are the questions asked of it. Parameters are numbers by name,
array elements as "w[0]".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference.operators import Matrix, Places, pauli_product
from reference.semantics import Angles, Interpreter, Path, State, Store

from qdiff.lang.expr import Expr, Parameter, ParameterElement
from qdiff.lang.gates import GateRecord
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Channel, Condition, Program


def run(program: Program, params: Mapping[str, float]) -> State:
    """Return the final hybrid state: store (in `program.counters` order) to density matrix."""
    return Interpreter(program, params).run()


def value(program: Program, observable: Observable, params: Mapping[str, float]) -> float:
    """Return f = Σ_σ tr(O(σ) ρ_σ)."""
    return float(expectation(program, observable, run(program, params)))


def expectation(program: Program, observable: Observable, state: State) -> NDArray[Any]:
    """Return Σ_σ tr(O(σ) ρ_σ); the matrices of a state may be stacks (..., 2ⁿ, 2ⁿ)."""
    result = np.zeros((), dtype=complex)
    for store, rho in state.items():
        counters = dict(zip(program.counters, store, strict=True))
        for term in observable.terms:
            letters = dict(term.operators)
            operator = pauli_product([letters.get(qubit, "I") for qubit in program.qubits])
            power = math.prod(counters[name] ** power for name, power in term.counters)
            weight = rho.dtype.type(term.coefficient) * power
            result = result + weight * np.trace(operator @ rho, axis1=-2, axis2=-1)
    return result.real


@dataclass(frozen=True)
class Statistics:
    """What a run is expected to do.

    Attributes:
        termination_probability: probability of an end without abort.
        visits: (guard evaluations, passes) of every loop in printed order, a loop before its body.
        occurrences: executed primitives that depend on a parameter, by parameter.
    """

    termination_probability: float
    visits: tuple[tuple[float, float], ...]
    occurrences: dict[str, float]


def statistics(program: Program, params: Mapping[str, float]) -> Statistics:
    """Return termination probability, expected visits of every loop, expected occurrences."""
    interpreter = CountingInterpreter(program, params)
    ended = mass(interpreter.run())
    # Paths are numbered as printed, so their order is the printed order.
    visits = tuple(interpreter.visits[path] for path in sorted(interpreter.visits))
    return Statistics(ended, visits, interpreter.occurrences)


def mass(state: State) -> float:
    """The trace of all stores together."""
    return float(sum(np.trace(rho).real for rho in state.values()))


class CountingInterpreter(Interpreter):
    """Adds up the mass at every guard evaluation, pass and parametrised primitive."""

    def __init__(self, program: Program, params: Mapping[str, float]) -> None:
        super().__init__(program, params)
        self.visits: dict[Path, tuple[float, float]] = {}
        self.occurrences = dict.fromkeys(program.parameters, 0.0)

    def guard(self, condition: Condition, state: State, path: Path) -> tuple[State, State]:
        true, false = super().guard(condition, state, path)
        evaluations, passes = self.visits.get(path, (0.0, 0.0))
        self.visits[path] = (evaluations + mass(state), passes + mass(true))
        return true, false

    def primitive(
        self, gate: GateRecord, angles: Angles, targets: Places, controls: Places, store: Store, rho: Matrix
    ) -> Matrix:
        for angle in angles:
            self.count(angle, store, rho)
        return super().primitive(gate, angles, targets, controls, store, rho)

    def channel(self, channel: Channel, store: Store, rho: Matrix) -> Matrix:
        self.count(channel.probability, store, rho)
        return super().channel(channel, store, rho)

    def flip(self, probability: Expr, store: Store, rho: Matrix) -> tuple[Matrix, Matrix]:
        self.count(probability, store, rho)
        return super().flip(probability, store, rho)

    def count(self, expression: Expr, store: Store, rho: Matrix) -> None:
        """Count one primitive for each parameter in its angle; of w[c] that is the element it reads."""
        contained: set[str] = set()
        for node in expression.walk():
            if isinstance(node, Parameter):
                contained.add(node.name)
            elif isinstance(node, ParameterElement):
                contained.add(f"{node.array}[{self.exactly(node.index, store)}]")
        for name in contained:
            self.occurrences[name] += float(np.trace(rho).real)
