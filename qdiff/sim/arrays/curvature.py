"""Second derivatives along a direction: forward with ψ̇, back with ψ̇ and λ̇, gate by gate.

ψ̇ ← U ψ̇ - (i/2) ȧ K U ψ,      d/dv Im ⟨λ|K|ψ⟩ = Im ⟨λ̇|K|ψ⟩ + Im ⟨λ|K|ψ̇⟩ + ȧ Im ⟨λ|dK/da|ψ⟩

Four states are held, ψ, ψ̇, λ and λ̇, and two more where a gate's generator is applied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qdiff.sim.arrays.grouped_path import GroupedPath
from qdiff.sim.arrays.operators import Operators
from qdiff.sim.arrays.primitives import Array, ArrayLibrary, Complexes
from qdiff.sim.exact import Floats
from qdiff.sim.flow import SmallGate
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.plan import is_many

STATES = 6
"""Held at most."""
_ON = np.array([0, 1], dtype=complex)


class _Gate:
    """A gate of the path with its numbers at one set of parameters.

    Attributes:
        slope: ȧ. generator: K. bend: dK/da, empty where K is constant.
    """

    def __init__(self, gate: SmallGate, row: Complexes, slope: float) -> None:
        size = 1 << gate.record.targets
        self.targets = gate.targets
        self.controls = [q for q in range(gate.controls.bit_length()) if gate.controls >> q & 1]
        self.matrix = row[: size * size].reshape(size, size)
        self.slope = slope
        self.generator = np.zeros((0, 0), dtype=complex)
        self.bend = np.zeros((0, 0), dtype=complex)
        if gate.expression < 0:
            return
        if is_many(gate.record):
            self.generator = row[size * size : 2 * size * size].reshape(size, size)
            self.bend = row[2 * size * size : 3 * size * size].reshape(size, size)
        else:
            assert gate.record.generator is not None
            self.generator = gate.record.generator


class _Along:
    """Operations on states with gates of one library."""

    def __init__(self, library: ArrayLibrary) -> None:
        self.library = library

    def gate(self, states: Array, gate: _Gate, *, inverse: bool = False) -> Array:
        matrix = gate.matrix.conj().T if inverse else gate.matrix
        return self.library.apply_matrix(states, matrix, gate.targets, gate.controls)

    def generated(self, states: Array, gate: _Gate, matrix: Complexes, factor: complex = 1.0) -> Array:
        """factor · K x, 0 where a control is 0."""
        acted = self.library.apply_matrix(states, factor * matrix, gate.targets)
        for control in gate.controls:  # one by one: a diagonal on many is as large as a state
            acted = self.library.apply_diagonal(acted, _ON, (control,))
        return acted

    def slopes(self, bras: Sequence[Array], ket: Array, gate: _Gate, matrix: Complexes) -> list[float]:
        """Im ⟨y|K|x⟩ for some y."""
        turned = self.generated(ket, gate, matrix)
        return [float(self.library.inner(bra, turned)[0].imag) for bra in bras]

    def moved(self, states: Array, tangent: Array, gate: _Gate, factor: complex) -> Array:
        """ẋ + factor · ȧ K x."""
        if gate.slope == 0.0:
            return tangent
        return self.library.add(tangent, self.generated(states, gate, gate.generator, factor * gate.slope))


def second_order(
    path: GroupedPath, library: ArrayLibrary, numbers: Numbers, operators: Operators, direction: Floats
) -> Floats:
    """Return the Hessian of an expectation times a direction, (d,)."""
    along, count = _Along(library), len(path.executed)
    rows = path.instances.at(numbers)[0]
    slopes = path.instances.slopes(numbers, direction[None])[0, 0]
    wanted = path.instances.wanted(numbers)
    flow_gates = path.flow.gates
    known = [
        _Gate(flow_gates[g], rows[i], float(slopes[i])) for i, (g, _) in enumerate(path.instances.instances)
    ]
    psi = library.zeros(1, path.qubits)
    dot = library.scale(psi, np.zeros(1))
    for _, i in path.sequence:
        psi = along.gate(psi, known[i])
        dot = along.moved(psi, along.gate(dot, known[i]), known[i], -0.5j)
    pulled, pulled_dot = (library.apply_operators(x, operators) for x in (psi, dot))
    first, second = np.zeros((1, 1, count)), np.zeros((1, 1, count))
    for _, i in reversed(path.sequence):
        gate = known[i]
        if wanted[i]:
            slope, moving = along.slopes((pulled, pulled_dot), psi, gate, gate.generator)
            first[0, 0, i] += slope
            second[0, 0, i] += moving + along.slopes((pulled,), dot, gate, gate.generator)[0]
            if gate.bend.size:
                second[0, 0, i] += gate.slope * along.slopes((pulled,), psi, gate, gate.bend)[0]
        dot = along.gate(along.moved(psi, dot, gate, 0.5j), gate, inverse=True)
        pulled_dot = along.gate(along.moved(pulled, pulled_dot, gate, 0.5j), gate, inverse=True)
        psi = along.gate(psi, gate, inverse=True)
        pulled = along.gate(pulled, gate, inverse=True)
    once, twice = (path.by_expression(x) for x in (first, second))
    products = numbers.chain_rule(twice, 1)[0, 0]
    curved = numbers.second_chain_rule(once, 1, direction[None])[0, 0]
    return np.asarray(products + curved)
