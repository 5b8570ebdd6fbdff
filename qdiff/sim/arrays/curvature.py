"""Second derivatives along a direction: forward with ψ̇, back with ψ̇ and λ̇, gate by gate.

ψ̇ ← U ψ̇ - (i/2) ȧ K U ψ,      d/dv Im ⟨λ|K|ψ⟩ = Im ⟨λ̇|K|ψ⟩ + Im ⟨λ|K|ψ̇⟩ + ȧ Im ⟨λ|dK/da|ψ⟩
"""

from __future__ import annotations

import numpy as np

from qdiff.sim.arrays.grouped_path import GroupedPath
from qdiff.sim.arrays.operators import Operators
from qdiff.sim.arrays.primitives import Array, ArrayLibrary, Complexes
from qdiff.sim.exact import Floats
from qdiff.sim.flow import SmallGate
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.plan import is_many


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
        acted = self.library.apply_matrix(states, factor * matrix, gate.targets, gate.controls)
        if not gate.controls:
            return acted
        # What the controls left alone is taken away again.
        alone = self.library.apply_matrix(states, 0 * matrix, gate.targets, gate.controls)
        return self.library.add(acted, self.library.scale(alone, np.array([-1.0])))

    def moved(self, states: Array, tangent: Array, gate: _Gate, factor: complex) -> Array:
        """ẋ + factor · ȧ K x."""
        if gate.slope == 0.0:
            return tangent
        return self.library.add(tangent, self.generated(states, gate, gate.generator, factor * gate.slope))


def second_order(
    way: GroupedPath, library: ArrayLibrary, numbers: Numbers, operators: Operators, direction: Floats
) -> Floats:
    """Return the Hessian of an expectation times a direction, (d,)."""
    along, count = _Along(library), len(way.executed)
    rows = way.instances.at(numbers)[0]
    slopes = way.instances.slopes(numbers, direction[None])[0, 0]
    wanted = way.instances.wanted(numbers)
    flow_gates = way.flow.gates
    known = [
        _Gate(flow_gates[g], rows[i], float(slopes[i])) for i, (g, _) in enumerate(way.instances.instances)
    ]
    psi = library.zeros(1, way.qubits)
    dot = library.scale(psi, np.zeros(1))
    for _, i in way.sequence:
        psi = along.gate(psi, known[i])
        dot = along.moved(psi, along.gate(dot, known[i]), known[i], -0.5j)
    pulled, pulled_dot = (library.apply_operators(x, operators) for x in (psi, dot))
    first, second = np.zeros((1, 1, count)), np.zeros((1, 1, count))
    for _, i in reversed(way.sequence):
        gate = known[i]
        if wanted[i]:
            turned = along.generated(psi, gate, gate.generator)
            turned_dot = along.generated(dot, gate, gate.generator)
            first[0, 0, i] += library.inner(pulled, turned)[0].imag
            second[0, 0, i] += library.inner(pulled_dot, turned)[0].imag
            second[0, 0, i] += library.inner(pulled, turned_dot)[0].imag
            if gate.bend.size:
                bent = along.generated(psi, gate, gate.bend)
                second[0, 0, i] += gate.slope * library.inner(pulled, bent)[0].imag
        dot = along.gate(along.moved(psi, dot, gate, 0.5j), gate, inverse=True)
        pulled_dot = along.gate(along.moved(pulled, pulled_dot, gate, 0.5j), gate, inverse=True)
        psi = along.gate(psi, gate, inverse=True)
        pulled = along.gate(pulled, gate, inverse=True)
    once, twice = (way.by_expression(x) for x in (first, second))
    products = numbers.chain_rule(twice, 1)[0, 0]
    curved = numbers.second_chain_rule(once, 1, direction[None])[0, 0]
    return np.asarray(products + curved)
