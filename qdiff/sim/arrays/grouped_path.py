"""The one path of a program that nothing random happens on, as groups of gates, and what is run along it.

    forward   ψ ← M_g ψ for all groups,   λ_k = O_k ψ,   f_k = Re ⟨ψ|λ_k⟩
    back      T_g = Tr_rest |ψ⟩⟨λ|,   ψ ← M_g† ψ,   λ ← M_g† λ

ψ, one λ for each observable, and room for what a pass returns are all that is held.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.arrays.groups import Algebra, grouped, shapes_of
from qdiff.sim.arrays.operators import Operators
from qdiff.sim.arrays.primitives import Array, ArrayLibrary, Complexes
from qdiff.sim.exact import Floats, Parameters
from qdiff.sim.flow import Flow
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.single_path import SinglePath

BYTES_PER_ENTRY = 16


class GroupedPath(SinglePath):
    """The path of a program at given compared parameters, with its gates in groups.

    Args:
        window: qubits of a group at most.
    """

    def __init__(self, flow: Flow, compared: Parameters, window: int) -> None:
        super().__init__(flow, compared)
        self.groups = grouped(flow.gates, self.sequence, self.qubits, window)
        self.shapes = shapes_of(flow.gates, self.groups)

    @property
    def bytes(self) -> int:
        """What the numbers of one set of parameters take, on both sides."""
        instances = self.instances.entries * len(self.executed)
        matrices = sum(4 * len(shape.groups) << 2 * shape.qubits for shape in self.shapes)
        return BYTES_PER_ENTRY * (instances + matrices)


class Bound:
    """A path at some sets of parameters, its matrices on the device.

    Args:
        back: whether the inverse gates are needed.
    """

    def __init__(self, path: GroupedPath, library: ArrayLibrary, numbers: Numbers, *, back: bool) -> None:
        self.path = path
        self.library = library
        self.numbers = numbers
        self.count = len(numbers.parameters)
        self.coefficients = path.instances.at(numbers)
        self.algebras = [Algebra(shape, self.coefficients) for shape in path.shapes]
        self.matrices: list[Array] = [None] * len(path.groups)
        self.inverses: list[Array] = [None] * len(path.groups)
        for algebra in self.algebras:
            found = algebra.matrices()
            self._bring(self.matrices, algebra, found)
            if back:
                self._bring(self.inverses, algebra, found.conj().swapaxes(2, 3))

    def _bring(self, into: list[Array], algebra: Algebra, matrices: Complexes) -> None:
        """Bring the matrices of one shape to the device together; one set of parameters has one matrix."""
        table = self.library.constant(matrices)
        for i, group in enumerate(algebra.shape.groups.tolist()):
            into[group] = table[i, :, :, :] if self.count > 1 else table[i, 0, :, :]

    def forward(self) -> Array:
        """Return the final states."""
        states = self.library.zeros(self.count, self.path.qubits)
        for group, matrix in zip(self.path.groups, self.matrices, strict=True):
            states = self.library.apply_matrix(states, matrix, group.qubits, group.controls)
        return states

    def values(self, observables: Sequence[Operators]) -> Floats:
        """Return the expectations, (P, k)."""
        return self.library.expectations(self.forward(), observables)

    def gradients(self, observables: Sequence[Operators]) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives, (P, k, d)."""
        library, groups = self.library, self.path.groups
        psi = self.forward()
        pulled = [library.apply_operators(psi, observable) for observable in observables]
        values = np.stack([library.inner(psi, pulled_one).real for pulled_one in pulled], axis=1)
        wanted = self.path.instances.wanted(self.numbers)
        asked = [any(wanted[i] for _, i in group.gates) for group in groups]
        found: list[list[Array]] = [[] for _ in groups]
        for g in reversed(range(len(groups))):
            group, inverse = groups[g], self.inverses[g]
            where = group.qubits, group.controls
            if asked[g]:
                found[g] = [library.transitions(psi, one, *where) for one in pulled]
            if not any(asked[:g]):
                break
            psi = library.apply_matrix(psi, inverse, *where)
            for k in range(len(pulled)):
                pulled[k] = library.apply_matrix(pulled[k], inverse, *where)
        return values, self._chained(found, wanted, len(observables))

    def _chained(self, found: list[list[Array]], wanted: NDArray[np.bool_], width: int) -> Floats:
        """Derivatives by parameters, (P, k, d), from the transition matrices of the groups."""
        by_instance = np.zeros((self.count, width, len(self.path.executed)))
        for algebra in self.algebras:
            shape, size = algebra.shape, algebra.size
            groups = [g for g in shape.groups.tolist() if found[g]]
            if not groups:
                continue
            for k in range(width):
                some = self.library.to_numpy(self.library.join([found[g][k] for g in groups]))
                all_of = np.zeros((len(shape.groups), self.count, size, size), dtype=complex)
                all_of[np.isin(shape.groups, groups)] = some.reshape(len(groups), self.count, size, size)
                slopes = algebra.derivatives(all_of, wanted)
                # Instances come more than once: in loops, and where gates are equal.
                np.add.at(by_instance[:, k].T, shape.instances, slopes.swapaxes(1, 2))
        return self.numbers.chain_rule(self.path.by_expression(by_instance), width)
