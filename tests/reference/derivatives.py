"""Exact gradients by forward mode: the interpreter carries the state and one tangent a parameter.

Matrices become stacks (1 + parameters, 2ⁿ, 2ⁿ), the state first. Everything linear acts on each
matrix alike, as it stands in the interpreter; only the primitives with numbers in them add a
term by the product rule,

    d(U ρ U†) = U dρ U† - (i/2) da [K, U ρ U†]        d(p ρ) = p dρ + dp ρ        d(𝓔 ρ) = 𝓔 dρ + dp d𝓔/dp ρ .
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
from reference.interpreter import expectation, value
from reference.noise import noise_slope
from reference.operators import Matrix, Places, dagger, generator, times
from reference.precision import DOUBLE, Arithmetic
from reference.semantics import Angles, Interpreter, Store
from richardson import limit

from qdiff.lang.expr import Expr
from qdiff.lang.gates import GateRecord
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Channel, Program

derivative = lru_cache(maxsize=4096)(Expr.diff)


def gradient(
    program: Program, observable: Observable, params: Mapping[str, float], names: Iterable[str]
) -> dict[str, float]:
    """Return ∂f/∂name for every name (an array element as "w[0]")."""
    return value_and_gradient(program, observable, params, names)[1]


def value_and_gradient(
    program: Program, observable: Observable, params: Mapping[str, float], names: Iterable[str]
) -> tuple[float, dict[str, float]]:
    """Return f and its derivatives from one run."""
    interpreter = TangentInterpreter(program, params, tuple(names))
    shape = (1 + len(interpreter.names),)
    stack = np.broadcast_to(expectation(program, observable, interpreter.run()), shape)
    return float(stack[0]), {name: float(s) for name, s in zip(interpreter.names, stack[1:], strict=True)}


def difference(
    program: Program, observable: Observable, params: Mapping[str, float], name: str, step: float = 0.02
) -> float:
    """Return ∂f/∂name by central differences, extrapolated four times (Richardson): good to about 1e-9."""
    table: list[float] = []
    for level in range(5):
        h = step / 2**level
        ahead, behind = ({**params, name: params[name] + shift} for shift in (h, -h))
        table.append((value(program, observable, ahead) - value(program, observable, behind)) / (2 * h))
    return float(limit(table))


class TangentInterpreter(Interpreter):
    """The interpreter on stacks: entry 0 is ρ, entry j its derivative by the j-th of `names`."""

    def __init__(
        self,
        program: Program,
        params: Mapping[str, float],
        names: tuple[str, ...],
        arithmetic: Arithmetic = DOUBLE,
    ) -> None:
        super().__init__(program, params, arithmetic)
        self.names = names

    def start(self) -> Matrix:
        rho = super().start()
        return np.stack([rho, *(np.zeros_like(rho) for _ in self.names)])

    def slopes(self, expression: Expr, store: Store) -> list[float]:
        return [self.evaluate(derivative(expression, name), store) for name in self.names]

    def primitive(
        self, gate: GateRecord, angles: Angles, targets: Places, controls: Places, store: Store, rho: Matrix
    ) -> Matrix:
        after = super().primitive(gate, angles, targets, controls, store, rho)
        for angle in angles:
            # [G, ρ] = Gρ - (Gρ)†, both being Hermitian
            value = self.evaluate(angle, store) if gate.drift is not None else 0.0
            found = generator(gate, value, targets, controls, self.n, self.arithmetic)
            product = times(found, after[0])
            turned = -0.5j * (product - dagger(product))
            for j, slope in enumerate(self.slopes(angle, store), start=1):
                after[j] += slope * turned
        return after

    def channel(self, channel: Channel, store: Store, rho: Matrix) -> Matrix:
        after = super().channel(channel, store, rho)
        (place,) = self.places(channel.qubits)
        slopes = self.slopes(channel.probability, store)
        if any(slopes):
            p = self.probability(channel.probability, store)
            change = noise_slope(channel.name, p, place, self.n, rho[0])
            for j, slope in enumerate(slopes, start=1):
                after[j] += slope * change
        return after

    def flip(self, probability: Expr, store: Store, rho: Matrix) -> tuple[Matrix, Matrix]:
        heads, tails = super().flip(probability, store, rho)
        for j, slope in enumerate(self.slopes(probability, store), start=1):
            heads[j] += slope * rho[0]
            tails[j] -= slope * rho[0]
        return heads, tails
