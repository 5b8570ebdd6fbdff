"""The exact engine for every program: density operators, one for each store, at the meeting points.

With R_v the sum over all visits of the unnormalised state at vertex v, and A_v the observable pulled
back to it,

    R = R_start + T(R),    A = O + T†(A),    f = Σ_ends tr(O R),
    ∂f/∂θ = Σ_gates ∂a/∂θ · Im tr(B R A) + Σ_flips ∂p/∂θ · tr((A_true - A_false) R)
            + Σ_channels ∂p/∂θ · tr(A d𝓔/dp(R))

(B the generator of the gate carried back to the start of its run, where R and A are): one forward
solve, and one backward solve for each observable, give every parameter. Where infinitely many stores
can be reached, more of them are followed until what is left outside does not matter. Source of the
loop semantics: Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis
from qdiff.sim.exact import (
    DEFAULT_MEMORY,
    FROM_SHOTS_IF_IT_ENDS,
    Curvature,
    Floats,
    Mixture,
    Parameters,
    Store,
)
from qdiff.sim.falling import Fall, fall
from qdiff.sim.flow import Flow, lower
from qdiff.sim.hybrid import memory
from qdiff.sim.hybrid.angles import Angles
from qdiff.sim.hybrid.checks import Checks
from qdiff.sim.hybrid.coordinates import decode
from qdiff.sim.hybrid.correlate import correlate
from qdiff.sim.hybrid.counted import Counted, StepTooLarge, counted_counters
from qdiff.sim.hybrid.endless import Endless
from qdiff.sim.hybrid.ends import Ends
from qdiff.sim.hybrid.explorer import Explorer
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.memory import Work
from qdiff.sim.hybrid.second_order import Tangents
from qdiff.sim.hybrid.solution import Solution
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.steps import steps_for
from qdiff.sim.hybrid.traces import Maps
from qdiff.sim.hybrid.unitaries import Unitaries
from qdiff.sim.kept import compared, keep
from qdiff.sim.majorants import OccurrenceBounds

FIRST_LIMIT = 64  # vertices followed at first; doubled until the mass outside does not matter
LARGEST_GRAPH = 1 << 17
SLOW_FROM, SLOWEST = 1024, 1.5
TAIL_TOLERANCE = 1e-13
LOST_MASS = 1e-9
BATCH_MEMORY = 1 << 28  # rows are solved together up to this size


@dataclass(frozen=True)
class Tracking:
    """How counters are followed for some observables: as values, as moments, or not at all."""

    observables: tuple[Observable, ...]
    counted: Counted
    at_end: frozenset[int]


class HybridEngine:
    """Exact values and derivatives of one program; see `ExactEngine`.

    Args:
        program: any program.
        max_memory: bytes that the states may take; more is refused before it is allocated.
    """

    name = "hybrid"

    def __init__(self, program: Program, max_memory: int = DEFAULT_MEMORY) -> None:
        self.program = program
        self.max_memory = max_memory
        self.dimension = 1 << len(program.qubits)
        self._trackings: dict[tuple[Observable, ...], Tracking] = {}
        self._explorers: dict[tuple[object, ...], Explorer] = {}
        self._memory: WeakKeyDictionary[Graph, dict[Work, int]] = WeakKeyDictionary()
        self._never_ending: dict[tuple[float, ...], Endless] = {}
        self._angles: dict[tuple[object, ...], Angles] = {}
        self.ends = Ends(program)

    @cached_property
    def flow(self) -> Flow:
        """The lowered program."""
        return lower(self.program)

    # --- results ---

    def values(self, rows: Sequence[Parameters], observables: Sequence[Observable]) -> Floats:
        """Return the expectations, (P, k)."""
        result = np.zeros((len(rows), len(observables)))

        def fill(solution: Solution, group: list[int]) -> None:
            result[group] = self.ends.values(solution)

        self._by_group(rows, observables, (), Work(states=2, columns=1), fill)
        return result

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives by `wrt`, (P, k, d)."""
        k = len(observables)
        values, gradients = np.zeros((len(rows), k)), np.zeros((len(rows), k, len(wrt)))

        def fill(solution: Solution, group: list[int]) -> None:
            values[group] = self.ends.values(solution)
            pulled = self.pull_back(solution)
            found = correlate(solution.solver, solution.maps, solution.states, pulled, k)
            by_angle = solution.unitaries.angle_gradients(found.products, k)
            gradients[group] = solution.numbers.chain_rule(by_angle, found.by_toss)

        self._by_group(rows, observables, wrt, Work(states=1 + k, columns=k), fill)
        return values, gradients

    def tangents(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (k,), and their derivatives along `directions` (V, d), (k, V)."""
        if not len(directions):
            return self.values([parameters], observables)[0], np.zeros((len(observables), 0))
        work = Work(states=2 + len(directions), columns=1 + len(directions))
        solution = self.solve([parameters], observables, wrt, work)
        change = self._tangents(solution, directions).of_states(solution.states)
        slopes = self.ends.values(solution, change)[0].reshape(len(directions), -1)
        return self.ends.values(solution)[0], slopes.T

    def curvature(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> Curvature:
        """Return expectations, derivatives, and Hessians times `directions`, (V, d)."""
        k, v = len(observables), len(directions)
        if not v:
            values, gradients = self.gradients([parameters], observables, wrt)
            return Curvature(values[0], gradients[0], np.zeros((k, 0, len(wrt))))
        work = Work(states=(1 + k) * (1 + v), columns=k * (1 + v))
        solution = self.solve([parameters], observables, wrt, work, second=True)
        solver, numbers = solution.solver, solution.numbers
        pulled = self.pull_back(solution)
        found = correlate(solver, solution.maps, solution.states, pulled, k)
        by_angle = solution.unitaries.angle_gradients(found.products, k)
        tangents = self._tangents(solution, directions)
        dstates = tangents.of_states(solution.states)
        dpulled = tangents.of_observables(pulled, k)
        angles, tosses = tangents.of_gradient(solution.states, pulled, dstates, dpulled, k)
        products = (
            numbers.chain_rule(angles.reshape(1, v * k, -1), tosses.reshape(1, v * k, -1))
            .reshape(v, k, len(wrt))
            .swapaxes(0, 1)
        )
        products = products + numbers.second_chain_rule(by_angle[0], found.by_toss[0], directions)
        gradients = numbers.chain_rule(by_angle, found.by_toss)[0]
        return Curvature(self.ends.values(solution)[0], gradients, products)

    def state(self, parameters: Parameters) -> dict[Store, Mixture]:
        """Return the final state by store (values of `program.counters`), aborted runs left out."""
        everything = Tracking((), Counted(), frozenset(range(self.flow.own)))
        solution = self._solve_tracked(everything, [parameters], (), Work(states=1, columns=1))
        found: dict[Store, Mixture] = {}
        for vertex in solution.graph.ends:
            if vertex in solution.states:
                matrix = decode(solution.states[vertex][0, 0], self.dimension)
                found[solution.graph.stores[vertex][: self.flow.own]] = Mixture(matrix=matrix)
        return found

    def analyze(
        self, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        """Return what is known of the program and of the accuracy of value and derivatives."""
        from qdiff.sim.hybrid.analysis import analyze

        return analyze(self, parameters, observable, tuple(wrt), bounds)

    def occurrences_to_come(self, parameters: Parameters, wrt: str) -> OccurrenceBounds:
        """Return bounds of how often a parameter is met, and is still met after it was."""
        from qdiff.sim.hybrid.occurrences import occurrences_to_come

        return occurrences_to_come(self, parameters, wrt)

    # --- solving ---

    def solve(
        self,
        rows: Sequence[Parameters],
        observables: Sequence[Observable],
        wrt: Sequence[str],
        work: Work | None = None,
        *,
        second: bool = False,
    ) -> Solution:
        """Return the visit states for rows with equal compared parameters, followed as far as needed."""
        return self._solve_tracked(
            self._tracking(observables), rows, wrt, work or Work(rows=len(rows)), second=second
        )

    def _by_group(
        self,
        rows: Sequence[Parameters],
        observables: Sequence[Observable],
        wrt: Sequence[str],
        work: Work,
        fill: Callable[[Solution, list[int]], None],
    ) -> None:
        """Solve rows together that share a graph, as many at a time as fit."""
        qubits = len(self.program.qubits)
        memory.require(memory.least(self.dimension), self.max_memory, qubits, "at least ")
        groups: dict[tuple[float, ...], list[int]] = {}
        for i, row in enumerate(rows):
            groups.setdefault(self._compared(row), []).append(i)
        for group in groups.values():
            step = 1
            if len(group) > 1:
                step = max(1, BATCH_MEMORY // self._row_memory(rows[group[0]], observables, work))
            for first in range(0, len(group), step):
                some = group[first : first + step]
                together = replace(work, rows=len(some))
                fill(self.solve([rows[i] for i in some], observables, wrt, together), some)

    def _row_memory(self, row: Parameters, observables: Sequence[Observable], work: Work) -> int:
        tracking = self._tracking(observables)
        try:
            graph = self._explorer(tracking, row).graph(FIRST_LIMIT)
        except StepTooLarge:
            graph = self._explorer(self._by_values(tracking), row).graph(FIRST_LIMIT)
        return memory.needed(graph, self.dimension, work)

    def _tracking(self, observables: Sequence[Observable]) -> Tracking:
        key = tuple(observables)
        if key not in self._trackings:
            keep(self._trackings, key, self._new_tracking(key, counted_counters(self.flow, key)))
        return self._trackings[key]

    def _new_tracking(self, observables: tuple[Observable, ...], counted: Counted) -> Tracking:
        at_end = frozenset(
            self.flow.index[name] for observable in observables for name in observable.counters
        )
        return Tracking(observables, counted, at_end - counted.tracked)

    def _by_values(self, tracking: Tracking) -> Tracking:
        """The one that follows the values of all counters: some step is so large that they may overflow."""
        return self._new_tracking(tracking.observables, Counted())

    def _solve_tracked(
        self,
        tracking: Tracking,
        rows: Sequence[Parameters],
        wrt: Sequence[str],
        work: Work,
        *,
        second: bool = False,
    ) -> Solution:
        memory.require(memory.least(self.dimension), self.max_memory, len(self.program.qubits), "at least ")
        try:
            return self._follow(tracking, rows, tuple(wrt), work, second)
        except StepTooLarge:
            return self._follow(self._by_values(tracking), rows, tuple(wrt), work, second)

    def _follow(
        self, tracking: Tracking, rows: Sequence[Parameters], wrt: tuple[str, ...], work: Work, second: bool
    ) -> Solution:
        """Solve larger and larger parts of the graph until what is outside does not matter."""
        explorer = self._explorer(tracking, rows[0])
        limit, before = FIRST_LIMIT, 1.0
        while True:
            explorer.follow(limit)
            qubits = len(self.program.qubits)
            memory.require(explorer.least_memory(), self.max_memory, qubits)
            graph = explorer.graph(limit)
            taken = self._needed(graph, work)
            memory.require(taken, self.max_memory, qubits)
            solution = self._solve(tracking, explorer, graph, rows, wrt, second, taken)
            if not graph.complete and limit > FIRST_LIMIT:
                solution = replace(solution, endless=tuple(self.endless(rows[0], graph, graph.frontier)))
            checks = Checks(solution)
            if graph.complete:
                break
            tail, outside = checks.outside(TAIL_TOLERANCE)
            if tail <= TAIL_TOLERANCE:
                break
            # A long way before the first run can end?
            never = float(solution.mass(solution.endless).max())
            found = fall(outside, before, SLOWEST, ceiling=1 - never)
            # Without a loop every run ends, however many combinations there are.
            slow = bool(self.flow.loops) and limit >= SLOW_FROM and found is Fall.SLOW
            if slow or limit == LARGEST_GRAPH:
                raise EvaluationError(
                    f"After following {limit} combinations of loop and counters, runs still go on to others "
                    f"with probability {outside:.1e}, which decreases too slowly",
                    advice=FROM_SHOTS_IF_IT_ENDS,
                )
            limit, before = min(LARGEST_GRAPH, limit * (8 if found is Fall.UNTOUCHED else 2)), outside
        checks.refuse_failures()
        checks.refuse_lost_mass(LOST_MASS)
        if wrt and solution.solver.loops.traps:
            checks.refuse_passing_traps(
                lambda nearby: self._solve(tracking, explorer, graph, nearby, wrt, second, taken),
                second=second,
            )
        return solution

    def endless(self, row: Parameters, graph: Graph, vertices: Sequence[int]) -> list[int]:
        """The vertices among some from which no run can end."""
        key = self._compared(row)
        if key not in self._never_ending:
            keep(self._never_ending, key, Endless(self.flow, row))
        points = [graph.points[v] for v in vertices]
        found = self._never_ending[key].among(points, [graph.stores[v] for v in vertices])
        return [v for v, never in zip(vertices, found, strict=True) if never]

    def _needed(self, graph: Graph, work: Work) -> int:
        known = self._memory.setdefault(graph, {})
        if work not in known:
            known[work] = memory.needed(graph, self.dimension, work)
        return known[work]

    def _compared(self, row: Parameters) -> tuple[float, ...]:
        return tuple(compared(self.program, row).values())

    def _explorer(self, tracking: Tracking, row: Parameters) -> Explorer:
        counted = tracking.counted
        key = (self._compared(row), counted.counters, counted.forgotten, counted.basis, tracking.at_end)
        if key not in self._explorers:
            at = compared(self.program, row)
            keep(self._explorers, key, Explorer(self.flow, at, tracking.counted, tracking.at_end))
        return self._explorers[key]

    def _solve(
        self,
        tracking: Tracking,
        explorer: Explorer,
        graph: Graph,
        rows: Sequence[Parameters],
        wrt: tuple[str, ...],
        second: bool,
        taken: int,
    ) -> Solution:
        key = (wrt, second, tuple(explorer.rows.counters))
        if key not in self._angles:
            keep(self._angles, key, Angles(explorer.flow, explorer.rows.counters, wrt, second=second))
        numbers = self._angles[key].at(rows, graph)
        unitaries = Unitaries(graph.runs, numbers.angles)
        probabilities, channels = numbers.probabilities, graph.channels
        maps = Maps(unitaries.runs, unitaries.adjoints, graph.masks, graph.resets, probabilities, channels)
        steps = steps_for(graph, maps, unitaries, self.dimension)
        solver = Solver(graph, steps, self.dimension, len(rows))
        states = solver.push_forward(solver.start())
        return Solution(
            tracking.observables,
            graph,
            numbers,
            unitaries,
            maps,
            solver,
            states,
            solver.residuals,
            solver.lost[:, 0],
            solver.caught,
            taken,
        )

    # --- observables ---

    def pull_back(self, solution: Solution) -> Field:
        """Return the observables at every vertex."""
        return solution.solver.pull_back(self.ends.observables(solution))

    def _tangents(self, solution: Solution, directions: Floats) -> Tangents:
        gates, tosses = solution.numbers.rates(np.asarray(directions, dtype=float))
        return Tangents(solution.solver, solution.maps, solution.unitaries, gates, tosses)
