"""The exact engine for every program: density operators, one for each store, at the meeting points.

With R_v the sum over all visits of the unnormalised state at vertex v, and A_v the observable pulled
back to it,

    R = R_start + T(R),    A = O + T†(A),    f = Σ_ends tr(O R),
    ∂f/∂θ = Σ_gates ∂a/∂θ · Im tr(G R⁺ A⁺) + Σ_flips ∂p/∂θ · tr((A_true - A_false) R)

(R⁺, A⁺ just after the gate exp(-i a G/2)): one forward and one backward solve give every parameter.
Where infinitely many stores can be reached, more of them are followed until what is left outside
does not matter. Source of the loop semantics: Fang, Ying and Wu, "Differentiable quantum programming
with unbounded loops" (2023).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError, ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.pauli_algebra import matrix as operator_matrix
from qdiff.lang.tree import Program
from qdiff.sim.flow import Flow, lower
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.angles import Angles, Numbers
from qdiff.sim.hybrid.correlate import Correlations, correlate
from qdiff.sim.hybrid.graph import Explorer, Graph
from qdiff.sim.hybrid.perturbed import Injections, injections
from qdiff.sim.hybrid.solver import Solver, States
from qdiff.sim.hybrid.traces import Maps
from qdiff.sim.hybrid.unitaries import Unitaries

FIRST_LIMIT = 64  # vertices followed at first; doubled until the mass outside does not matter
LARGEST_GRAPH = 1 << 17
SLOW_FROM, SLOWEST = 1024, 1.1
TAIL_TOLERANCE = 1e-13
KEPT_EXPLORERS = 16  # graphs for as many values of the compared parameters
NEGLIGIBLE_MASS = 1e-12  # less mass than this on a failing path is rounding, not an outcome
LOST_MASS = 1e-9
DEFAULT_MEMORY = 4 << 30
FROM_SHOTS = "f.estimate(params, shots=…), --shots on the command line"


@dataclass(frozen=True)
class Solution:
    """Visit states of one program at one set of parameters."""

    graph: Graph
    numbers: Numbers
    unitaries: Unitaries
    maps: Maps
    solver: Solver
    states: States

    def mass(self, vertices: Sequence[int]) -> float:
        """Total probability at some vertices."""
        return _mass(self.states, vertices)


class HybridEngine:
    """Exact values and gradients of one program.

    Args:
        program: any program.
        max_memory: bytes that the states may take; more is refused before it is allocated.
    """

    def __init__(self, program: Program, max_memory: int = DEFAULT_MEMORY) -> None:
        self.program = program
        self.max_memory = max_memory
        self.dimension = 1 << len(program.qubits)
        self._explorers: dict[tuple[float, ...], Explorer] = {}
        self._angles: dict[tuple[tuple[str, ...], tuple[int, ...]], Angles] = {}
        self._ends: WeakKeyDictionary[Graph, dict[Observable, States]] = WeakKeyDictionary()

    @cached_property
    def flow(self) -> Flow:
        """The lowered program."""
        return lower(self.program)

    # --- results ---

    def value(self, parameters: Mapping[str, float], observable: Observable) -> float:
        """Return f."""
        return self._value(self.solve(parameters, observable, ()), observable)

    def value_and_grad(
        self, parameters: Mapping[str, float], observable: Observable, wrt: Sequence[str]
    ) -> tuple[float, NDArray[np.float64]]:
        """Return f and its derivatives by `wrt`, (len(wrt),).

        Raises:
            EvaluationError: an angle, a probability or a derivative does not exist, or mass neither
                ends nor aborts.
            ResourceError: the states do not fit in `max_memory`.
        """
        solution = self.solve(parameters, observable, wrt)
        found = self.correlations(solution, self.pull_back(solution, observable))
        by_angle = solution.unitaries.angle_gradients(found.products)
        return self._value(solution, observable), solution.numbers.chain_rule(by_angle, found.by_toss)

    def pull_back(self, solution: Solution, observable: Observable) -> States:
        """Return the observable pulled back to every vertex."""
        return solution.solver.pull_back(self._at_ends(solution.graph, observable))

    def correlations(self, solution: Solution, observables: States | None = None) -> Correlations:
        """Return expected executions, and derivatives where observables are given."""
        return correlate(solution.graph, solution.maps, solution.states, observables, self.dimension)

    # --- solving ---

    def solve(self, parameters: Mapping[str, float], observable: Observable, wrt: Sequence[str]) -> Solution:
        """Return the visit states, as many stores followed as the observable needs."""
        explorer = self._explorer(parameters)
        limit, before = FIRST_LIMIT, 1.0
        while True:
            explorer.follow(limit)
            self._require_memory(explorer.matrices())
            solution = self._solve(explorer, explorer.graph(limit), parameters, tuple(wrt))
            if solution.graph.complete:
                break
            tail, outside = self._outside(solution, observable)
            if tail <= TAIL_TOLERANCE:
                break
            untouched = outside > 1 - LOST_MASS  # a long way before the first run can end
            # A mass that falls geometrically is squared when twice as many stores are followed.
            slow = limit >= SLOW_FROM and not untouched and outside >= before**SLOWEST
            if slow or limit == LARGEST_GRAPH:
                raise EvaluationError(
                    f"After following {limit} combinations of loop and counters, runs still go on to others "
                    f"with probability {outside:.1e}, which decreases too slowly. If the program ends at "
                    f"all, estimate from shots: {FROM_SHOTS}."
                )
            limit, before = min(LARGEST_GRAPH, limit * (8 if untouched else 2)), outside
        self._refuse_failures(solution)
        self._refuse_lost_mass(solution)
        return solution

    def _explorer(self, parameters: Mapping[str, float]) -> Explorer:
        self._require_memory(4, "at least ")
        compared = {
            name: parameters[name] for name in self.program.parameters if name in self.program.compared
        }
        key = tuple(compared.values())
        if key not in self._explorers:
            if len(self._explorers) == KEPT_EXPLORERS:
                del self._explorers[next(iter(self._explorers))]  # the oldest
            self._explorers[key] = Explorer(self.flow, compared)
        return self._explorers[key]

    def _solve(
        self, explorer: Explorer, graph: Graph, parameters: Mapping[str, float], wrt: tuple[str, ...]
    ) -> Solution:
        key = (wrt, tuple(explorer.angle_counters))
        if key not in self._angles:
            self._angles[key] = Angles(explorer.flow, explorer.angle_counters, wrt)
        numbers = self._angles[key].at(parameters, graph)
        unitaries = graph.runs.at(numbers.angles)
        maps = Maps(unitaries.runs, unitaries.adjoints, graph.masks, graph.resets, numbers.probabilities)
        solver = Solver(graph, maps, self.dimension)
        return Solution(graph, numbers, unitaries, maps, solver, solver.push_forward())

    def _require_memory(self, matrices: int, qualifier: str = "") -> None:
        needed = 16 * self.dimension**2 * matrices
        if needed > self.max_memory:
            raise ResourceError(
                f"The exact engine needs {qualifier}{_gigabytes(needed)} for density operators on "
                f"{len(self.program.qubits)} qubits; the limit is {_gigabytes(self.max_memory)}. "
                "Raise it (qd.expectation(…, max_memory=bytes)), use fewer qubits or smaller counters, "
                f"or estimate from shots: {FROM_SHOTS}."
            )

    # --- sums and checks ---

    def _value(self, solution: Solution, observable: Observable) -> float:
        at_ends = self._at_ends(solution.graph, observable)
        reached = [v for v in at_ends if v in solution.states]
        if not reached:
            return 0.0
        operators = np.concatenate([at_ends[v] for v in reached])
        states = np.concatenate([solution.states[v] for v in reached])
        return float(np.einsum("bij,bji->", operators, states).real)

    def _at_ends(self, graph: Graph, observable: Observable) -> States:
        """The observable at the store of every end."""
        known = self._ends.setdefault(graph, {})
        if observable not in known:
            operators = self._operators(observable, graph, graph.ends)
            known[observable] = {v: a[None] for v, a in zip(graph.ends, operators, strict=True)}
        return known[observable]

    def _operators(self, observable: Observable, graph: Graph, vertices: Sequence[int]) -> list[traces.Stack]:
        matrices: dict[object, traces.Stack] = {}
        result = []
        for vertex in vertices:
            total = np.zeros((self.dimension, self.dimension), dtype=complex)
            for operators, coefficient in observable.coefficients(self.store(graph, vertex)).items():
                if operators not in matrices:
                    matrices[operators] = operator_matrix(operators, self.program.qubits)
                total += coefficient * matrices[operators]
            result.append(total)
        return result

    def store(self, graph: Graph, vertex: int) -> dict[str, int]:
        """The values of the program's counters at a vertex."""
        return dict(zip(self.program.counters, graph.stores[vertex], strict=False))

    def _outside(self, solution: Solution, observable: Observable) -> tuple[float, float]:
        """What was not followed: how much it may still add, and the share of the mass that is there.

        Mass × growth of the observable × number of visits, of the states and, where derivatives are
        asked for, of what they carry: a branch of probability 0 may matter to a derivative.
        """
        graph = solution.graph
        growth = {v: 1 + observable.norm_bound(self.store(graph, v)) for v in graph.frontier}
        visits = 1 + solution.mass(graph.followed)
        tail, share = 0.0, solution.mass(graph.frontier)
        carried = [solution.states]
        if len(solution.numbers.source.wrt):
            perturbed, injected = self._perturbed(solution, gates=True)
            entering = _mass(injected.sources, injected.sources)
            share = max(share, _mass(perturbed, graph.frontier) / max(1.0, entering))
            carried.append(perturbed)
        for states in carried:
            tail += visits * sum(g * _mass(states, [v]) for v, g in growth.items())
        return tail, share

    def _perturbed(self, solution: Solution, *, gates: bool) -> tuple[States, Injections]:
        """What derivatives carry to every vertex, and what they inject; without `gates`, those of flips."""
        slopes = solution.numbers.slopes(gates=gates)
        injected = injections(solution.graph, solution.maps, solution.unitaries, solution.states, slopes)
        # A solver of its own: residuals and applications belong to the states.
        return Solver(solution.graph, solution.maps, self.dimension).push_forward(injected.sources), injected

    def _refuse_failures(self, solution: Solution) -> None:
        """Raise the error of a path that is really taken, by the states or by the derivative of a flip.

        At a branch whose probability comes from gates, a probability of 0 is a minimum, so that nothing
        of a derivative goes there; a flip sends its derivative into both branches.
        """
        graph, numbers = solution.graph, solution.numbers
        if not graph.failures and not numbers.failing:
            return
        carried: list[tuple[States, Injections | None]] = [(solution.states, None)]
        if len(numbers.source.wrt) and graph.tosses:
            carried.append(self._perturbed(solution, gates=False))
        for states, injected in carried:
            for vertex, error in graph.failures.items():
                if _mass(states, [vertex]) > NEGLIGIBLE_MASS:
                    raise error
            if numbers.failing:
                found = correlate(graph, solution.maps, states, None, self.dimension)
                if injected is not None:
                    found = replace(
                        found, runs=found.runs + injected.runs, tosses=found.tosses + injected.tosses
                    )
                numbers.refuse(found.gates(graph.runs), found.tosses, NEGLIGIBLE_MASS)

    def _refuse_lost_mass(self, solution: Solution) -> None:
        """Raise where runs neither end nor abort: then the equations have no solution, or a wrong one."""
        graph = solution.graph
        stopped = [*graph.ends, *graph.aborted, *graph.frontier, *graph.failures]
        lost = 1.0 - solution.mass(stopped)
        if not abs(lost) <= LOST_MASS:
            raise EvaluationError(
                f"A loop does not end: with probability {lost:.3g} a run neither ends nor aborts at these "
                f"parameters. (Or it takes so many passes, {solution.mass(graph.followed):.3g} here, that "
                "rounding hides its end.)"
            )


def _mass(states: States, vertices: Iterable[int]) -> float:
    stacks = [states[v] for v in vertices if v in states]
    return float(np.einsum("bii->", np.concatenate(stacks)).real) if stacks else 0.0


def _gigabytes(size: int) -> str:
    doublings = size.bit_length() - 1
    return f"{size / 2**30:.3g} GiB" if doublings < 80 else f"about 2^{doublings - 30} GiB"
