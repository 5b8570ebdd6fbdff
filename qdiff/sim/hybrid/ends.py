"""What observables are at the ends of a program, and expectations from the states there.

    f = Σ_ends tr(O(σ) R_σ)

With counted counters O is split by the moment that each part multiplies (see `counted`).
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from qdiff.lang.observable import Observable
from qdiff.lang.pauli_algebra import matrix as operator_matrix
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats
from qdiff.sim.hybrid.coordinates import Reals, encode
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.solution import Solution


class Ends:
    """The observables of one program at the ends of its graphs, kept as long as these."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: WeakKeyDictionary[Graph, dict[tuple[Observable, ...], Field]] = WeakKeyDictionary()

    def values(self, solution: Solution, states: Field | None = None) -> Floats:
        """Σ_ends tr(O R), (P, k); for tangents (1, V·n, D²) the V directions in front of k: (1, V·k)."""
        states = solution.states if states is None else states
        rows, n, k = solution.solver.rows, solution.solver.moments, len(solution.observables)
        ends = solution.graph.ends
        if not ends:
            return np.zeros((rows, states.columns // n * k))
        width = len(ends) * n * solution.solver.size  # all ends side by side: one product
        found = states.array[ends].reshape(len(ends), -1, n * solution.solver.size)
        operators = self.observables(solution).array[ends].reshape(len(ends), k, n * solution.solver.size)
        side_by_side = found.swapaxes(0, 1).reshape(-1, width)
        return np.asarray(side_by_side @ operators.swapaxes(0, 1).reshape(k, width).T).reshape(rows, -1)

    def observables(self, solution: Solution) -> Field:
        """The observables at the store of every end, (1, k·n, D²)."""
        graph, observables = solution.graph, solution.observables
        known = self._known.setdefault(graph, {})
        if observables not in known:
            n = len(graph.counted.basis)
            matrices: dict[object, Reals] = {}
            size, names = solution.solver.size, solution.numbers.source.flow.counters
            result = Field(len(graph.stores), (1, len(observables) * n, size))
            parts = [graph.counted.split(o, names) for o in observables]
            for vertex in graph.ends:
                stacked = np.zeros((1, len(observables) * n, size))
                for i, by_moment in enumerate(parts):
                    for moment, observable in by_moment.items():
                        stacked[0, i * n + moment] = self._operator(
                            observable, solution.store(vertex), matrices
                        )
                result[vertex] = stacked
            known[observables] = result
        return known[observables]

    def _operator(
        self, observable: Observable, store: dict[str, int], matrices: dict[object, Reals]
    ) -> Reals:
        total = np.zeros(4 ** len(self.program.qubits))
        for operators, coefficient in observable.coefficients(store).items():
            if operators not in matrices:
                matrices[operators] = encode(operator_matrix(operators, self.program.qubits))
            # A Hermitian observable is the sum of the real parts: the imaginary ones add up to 0.
            total += complex(coefficient).real * matrices[operators]
        return total
