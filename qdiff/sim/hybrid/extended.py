"""A solution refined in extended precision: its residuals are far below what a double can show.

With R̃ = R̂ at first, and the step T evaluated in extended precision by `passage`,

    ρ = R_start + T(R̃) - R̃,    R̃ ← R̃ + Σ_n Tⁿ(ρ),        s = T†(Ã) - Ã,    Ã ← Ã + Σ_n (T†)ⁿ(s),

where the sums are solved in doubles (iterative refinement; Higham, "Accuracy and Stability of Numerical
Algorithms", 12). What is left of ρ and s, and the rounding of one step, bound how far the value and the
derivatives computed from R̃ and Ã are from the true ones. These, in turn, tell the errors of doubles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.observable_functions import selected, value_at
from qdiff.lang.pauli_algebra import matrix as operator_matrix
from qdiff.sim.exact import Floats
from qdiff.sim.generators import effective_generator
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.correlate import overlap
from qdiff.sim.hybrid.extended_numbers import UNIT, ExtendedNumbers, LongFloats, LongMatrix
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.passage import Passage, coordinates, hermitian, kept
from qdiff.sim.hybrid.solution import Solution
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.stacks import product_sum, split
from qdiff.sim.hybrid.traces import Maps

LARGEST_DIMENSION = 64
LARGEST_WORK = 1e8  # multiplications of a step: some seconds in all
ROUNDS = 3  # of refinement at most
FLOOR = 4.0  # units of the states: what is left of a residual that is rounding


def work(solution: Solution) -> float:
    """Multiplications in extended precision, about, of one step forwards or backwards."""
    graph, d = solution.graph, solution.solver.dimension
    of_runs = sum(2.0 * d * d * length for length in graph.runs.lengths)
    return of_runs + sum(
        len(members) * solution.solver.moments * sum(_cost(op[0], d) for op in graph.traces[trace].ops)
        for trace, members in graph.members.items()
    )


def _cost(code: int, dimension: int) -> float:
    return 2.0 * dimension**3 if code == traces.UNITARY else float(dimension**2)


def small(residual: LongMatrix, x: LongMatrix) -> bool:
    """Whether a residual is what rounding makes of any."""
    return bool(np.abs(residual).sum() <= FLOOR * UNIT * np.abs(x).sum())


class Extended:
    """One solved program in extended precision.

    Args:
        solution: at one set of parameters, not much larger than `LARGEST_WORK`.
        projected: whether to keep traps out: they are known exactly.

    Attributes:
        states, observables: R̃ and Ã, (vertices, n, D, D).
        states_residual, observables_residual: ρ and s.
    """

    def __init__(self, solution: Solution, observable: Observable, pulled: Field, *, projected: bool) -> None:
        self.solution = solution
        self.graph = solution.graph
        self.dimension = solution.solver.dimension
        self.projected = projected
        self.numbers = ExtendedNumbers(solution.numbers)
        runs = [self._run(run) for run in self.graph.runs.runs]
        maps = Maps(
            [run[None, None] for run in runs],
            [run.conj().T[None, None] for run in runs],
            self.graph.masks,
            self.graph.resets,
            self.numbers.probabilities[None],
            self.graph.channels,
        )
        self.passage = Passage(self.graph, maps, self.dimension, self.graph.assignments)
        self.at_ends = self._at_ends(observable)
        self.states, self.states_residual = self._states(self.passage, solution.solver, solution.states)
        self.observables, self.observables_residual = self._observables(pulled)

    def value(self) -> np.longdouble:
        """Σ_ends tr(O R̃)."""
        ends = self.graph.ends
        found = self.at_ends[ends].conj() * self.states[ends]
        return np.longdouble(found.real.sum())

    def derivatives(self) -> tuple[LongFloats, Floats]:
        """∂f/∂wrt by the formula of the engine, and what slopes of angles add to their errors, (d,) each."""
        graph = self.graph
        products: dict[int, LongMatrix] = {}
        by_toss = np.zeros(len(graph.tosses), dtype=np.longdouble)
        for trace, places, vertices in self.passage.groups(self.states.shape[1]):
            ops = graph.traces[trace].ops
            kept: dict[int, LongMatrix] = {}

            def forwards(i: int, x: LongMatrix, ops=ops, kept=kept) -> None:  # type: ignore[no-untyped-def]
                code, _, _, arg = ops[i]
                if code in traces.TOSSED or (code == traces.UNITARY and graph.runs.varying[arg]):
                    kept[i] = x

            def backwards(i: int, after: LongMatrix, before: LongMatrix, ops=ops, kept=kept) -> None:  # type: ignore[no-untyped-def]
                code, _, _, arg = ops[i]
                if i not in kept:
                    return
                if code == traces.UNITARY:
                    found = product_sum(kept[i], split(before, 1))[0, 0]
                    products[arg] = products[arg] + found if arg in products else found
                elif code == traces.CHANNEL:
                    change = self.passage.maps.noise.forward(arg, kept[i], 1)
                    by_toss[graph.channels[arg].toss] += overlap(split(after, 1), change)[0, 0]
                else:
                    found = overlap(split(after, 1), kept[i])[0, 0]
                    by_toss[arg] += found if code == traces.TOSS else -found

            maps = self.passage.maps
            maps.forward(ops, self.passage.side_by_side(self.states, vertices), forwards)
            maps.backward(ops, self.passage.leaves(trace, places, self.observables), backwards)
        return self.numbers.chain_rule(self._by_angle(products), by_toss)

    # --- refinement ---

    def absolute_states(self, solver: Solver) -> tuple[LongMatrix, LongMatrix]:
        """A solution whose moments are of absolute values of counters, and its residual.

        Args:
            solver: of the same graph with the absolute values of Λ.
        """
        passage = replace(self.passage, assignments=solver.graph.assignments)
        return self._states(passage, solver, solver.push_forward(solver.start()))

    def _states(self, passage: Passage, solver: Solver, states: Field) -> tuple[LongMatrix, LongMatrix]:
        def arriving(x: LongMatrix) -> LongMatrix:
            found = passage.arriving(x)
            found[0, 0, 0, 0] += 1  # where the program starts, in |0…0>
            return self._kept(hermitian(found))

        return self._refined(self._decoded(states), arriving, solver.push_forward)

    def _observables(self, pulled: Field) -> tuple[LongMatrix, LongMatrix]:
        solver = self.solution.solver
        stops = [v for v, trace in enumerate(self.graph.trace) if trace < 0]

        def pulled_back(x: LongMatrix) -> LongMatrix:
            found = self._kept(hermitian(self.passage.pulled(x)))
            found[stops] = self.at_ends[stops]
            return found

        x = self._decoded(pulled)
        x[stops] = self.at_ends[stops]
        return self._refined(x, pulled_back, lambda sources: solver.pull_back({}, sources))

    def _refined(
        self,
        x: LongMatrix,
        step: Callable[[LongMatrix], LongMatrix],
        solve: Callable[[dict[int, Floats]], Field],
    ) -> tuple[LongMatrix, LongMatrix]:
        """Return an x nearer to x = step(x), and step(x) - x."""
        for _ in range(ROUNDS):
            residual = step(x) - x
            if small(residual, x):
                return x, residual
            sources = {
                int(v): coordinates(residual[v])[None] for v in np.flatnonzero(residual.any(axis=(1, 2, 3)))
            }
            try:
                x = x + self._decoded(solve(sources))
            except EvaluationError:  # too many passes: what there is, is off by its residual
                return x, residual
        return x, step(x) - x

    def _decoded(self, field: Field) -> LongMatrix:
        square = field.array[:, 0].astype(np.longdouble)
        square = square.reshape(*square.shape[:-1], self.dimension, self.dimension)
        transposed = square.swapaxes(-1, -2)
        return np.asarray((square + transposed) / 2 + 0.5j * (square - transposed))

    def _kept(self, x: LongMatrix) -> LongMatrix:
        return kept(x, self.solution.solver.loops.traps) if self.projected else x

    # --- numbers ---

    def _run(self, run: tuple[int, ...]) -> LongMatrix:
        result: LongMatrix = np.eye(self.dimension, dtype=np.clongdouble)[None]
        for i in run:
            self.graph.runs.embeddings[i].apply(self.numbers.gates[i][0], result)
        return np.asarray(result[0])

    def _at_ends(self, observable: Observable) -> LongMatrix:
        """The observable at the store of every end, (vertices, n, D, D)."""
        graph, flow = self.graph, self.solution.numbers.source.flow
        result = np.zeros(
            (len(graph.trace), len(graph.counted.basis), self.dimension, self.dimension), dtype=np.clongdouble
        )
        parts = graph.counted.split(observable, flow.counters)
        matrices: dict[object, LongMatrix] = {}
        for vertex in graph.ends:
            store = self.solution.store(vertex)
            for moment, part in parts.items():
                for term in part.terms:
                    if not selected(term.functions, store):
                        continue
                    if term.operators not in matrices:
                        found = operator_matrix(term.operators, flow.program.qubits)
                        matrices[term.operators] = found.astype(np.clongdouble)
                    weight = np.longdouble(complex(term.coefficient).real)
                    for name, power in term.counters:
                        weight = weight * np.longdouble(store[name]) ** power
                    # Their error at the ends is part of the bound (`bounds`).
                    weight = weight * np.longdouble(value_at(term.functions, store))
                    result[vertex, moment] += weight * matrices[term.operators]
        return hermitian(result)

    def _by_angle(self, products: dict[int, LongMatrix]) -> LongFloats:
        """Im tr(K P M P†) for every rotation, P the run up to and including it, K its generator."""
        runs = self.graph.runs
        result = np.zeros(len(runs.rotated), dtype=np.longdouble)
        for run, m in products.items():
            carried = np.array(m)[None]
            for i in runs.runs[run]:
                embedding, small = runs.embeddings[i], self.numbers.gates[i][0]
                embedding.apply(small, carried)
                embedding.apply_right(small.conj().T, carried)
                if i in runs.position:
                    k = runs.position[i]
                    generator = effective_generator(runs.records[k], float(self.numbers.angles[k]))
                    result[k] += embedding.overlap(generator, carried)[0].imag
        return result
