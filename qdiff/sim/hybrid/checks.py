"""What must hold before a solution is believed: nothing failed, nothing was lost, derivatives exist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from qdiff.errors import EvaluationError, listed
from qdiff.sim.exact import NEGLIGIBLE_MASS, Floats
from qdiff.sim.function_sizes import magnitude
from qdiff.sim.hybrid import by_shape
from qdiff.sim.hybrid.correlate import count
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.perturbed import Injections, injections
from qdiff.sim.hybrid.solution import Solution, mass
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.superoperators import MatrixSteps
from qdiff.sim.hybrid.traces import Maps

TURNED = 1e-9  # difference of two projectors that is no rounding
NEARBY = 1e-3  # how far parameters are moved to see whether a trap stays


@dataclass(frozen=True)
class Carried:
    """What derivatives carry to every vertex, what they inject, and how much of it falls into traps, (P,)."""

    states: Field
    injected: Injections
    entering: Floats
    lost: Floats


class Checks:
    """The checks of one solution."""

    def __init__(self, solution: Solution) -> None:
        self.solution = solution

    def outside(self, tolerance: float) -> tuple[float, float]:
        """What was not followed: how much it may still add, and the share of the mass that is there.

        Mass × growth of the observables × number of visits, of the states and, where derivatives are
        asked for, of what they carry: a branch of probability 0 may matter to a derivative. The worst
        row counts. What derivatives carry is looked at only where the states themselves are within the
        tolerance.
        """
        solution, graph = self.solution, self.solution.graph
        visits = 1 + solution.mass(graph.followed)
        share = solution.mass(solution.frontier)
        tail = visits * self._growth(solution.states)
        if len(solution.numbers.source.wrt) and float(tail.max()) <= tolerance:
            carried = self.carried(gates=True)
            share = np.maximum(
                share,
                mass(carried.states, solution.frontier, solution.solver) / np.maximum(1.0, carried.entering),
            )
            tail = tail + visits * self._growth(carried.states)
        return float(tail.max()), float(share.max())

    def carried_mass(self) -> float:
        """A bound of the trace norm of what derivatives carry to the frontier."""
        carried = self.carried(gates=True)
        return float(mass(carried.states, self.solution.frontier, self.solution.solver).max())

    def _growth(self, states: Field) -> Floats:
        """Σ (mass + |moments| × norms of the observables' parts) over the frontier, (P,)."""
        solution, graph = self.solution, self.solution.graph
        total = np.zeros(solution.solver.rows)
        names = solution.numbers.source.flow.counters
        parts = [graph.counted.split(o, names) for o in solution.observables]
        for vertex in solution.frontier:
            if vertex not in states:
                continue
            store = solution.store(vertex)
            moments = np.abs(states[vertex][:, :, :: solution.solver.dimension + 1].sum(axis=2))
            total = total + moments[:, 0]
            for by_moment in parts:
                for moment, observable in by_moment.items():
                    total = total + moments[:, moment] * magnitude(observable, store)
        return total

    def carried(self, *, gates: bool) -> Carried:
        """What derivatives carry to every vertex; without `gates`, those of flips."""
        return self._by_gates if gates else self._by_flips

    @cached_property
    def _by_gates(self) -> Carried:
        return self._perturbed(gates=True)

    @cached_property
    def _by_flips(self) -> Carried:
        return self._perturbed(gates=False)

    def _perturbed(self, *, gates: bool) -> Carried:
        """What derivatives carry to every vertex; without `gates`, those of flips."""
        solution = self.solution
        slopes = solution.numbers.slopes(gates=gates)
        known = solution.solver
        if isinstance(known.steps, MatrixSteps):
            injected = by_shape.injections(known.steps, solution.states, slopes)
        else:
            injected = injections(
                solution.graph, solution.maps, solution.unitaries, solution.masses(), slopes
            )
        # A solver of its own: residuals and applications belong to the states.
        solver = Solver(solution.graph, known.steps, known.dimension, known.rows)
        entering = mass(injected.sources, list(injected.sources), solver)
        states = solver.push_forward(injected.sources)
        return Carried(states, injected, entering, solver.lost[:, 0])

    def refuse_failures(self) -> None:
        """Raise the error of a path that is really taken, by the states or by the derivative of a flip.

        At a branch whose probability comes from gates, a probability of 0 is a minimum, so that nothing
        of a derivative goes there; a flip sends its derivative into both branches.
        """
        solution, graph, numbers = self.solution, self.solution.graph, self.solution.numbers
        if not graph.failures and not numbers.failing:
            return
        carried: list[tuple[Field, Injections | None]] = [(solution.states, None)]
        if len(numbers.source.wrt) and graph.tosses:
            by_flips = self.carried(gates=False)
            carried.append((by_flips.states, by_flips.injected))
        for states, injected in carried:
            for vertex, error in graph.failures.items():
                if (mass(states, [vertex], solution.solver) > NEGLIGIBLE_MASS).any():
                    raise error
            if numbers.failing:
                self._refuse_numbers(states, injected)

    def _refuse_numbers(self, states: Field, injected: Injections | None) -> None:
        solution = self.solution
        masses = replace(solution, states=states).masses()
        for p in range(solution.solver.rows):
            found = count(
                solution.graph, _row(solution.maps, p), {v: x[p : p + 1] for v, x in masses.items()}
            )
            runs, tosses = found.runs, found.tosses
            if injected is not None:
                runs, tosses = runs + injected.runs[p], tosses + injected.tosses[p]
            gates = replace(found, runs=runs).gates(solution.graph.runs)
            solution.numbers.refuse(p, gates, tosses, NEGLIGIBLE_MASS)

    def refuse_lost_mass(self, tolerance: float) -> None:
        """Raise where mass neither ends, aborts nor is known to be trapped: rounding ate it."""
        solution, graph = self.solution, self.solution.graph
        missing = 1.0 - solution.mass(graph.stops) - solution.lost
        for p in np.flatnonzero(~(np.abs(missing) <= tolerance)):
            visits = float(solution.mass(graph.followed)[p])
            raise EvaluationError(
                f"A loop takes so many passes on average at these parameters ({visits:.3g} visits in all) "
                f"that rounding hides its end: probability {abs(float(missing[p])):.1e} is missing."
            )

    def refuse_passing_traps(
        self, solve_at: Callable[[Sequence[dict[str, float]]], Solution], *, second: bool
    ) -> None:
        """Raise where runs are caught in a trap that exists only at these parameters.

        A trap whose dimension is the same at parameters nearby changes smoothly, and so does f. One that
        is smaller nearby is there at these parameters only: as soon as they move, runs leave it.

        Args:
            solve_at: solves the same graph at other parameters.
            second: whether second derivatives are asked for: then a trap may not even be touched.
        """
        solution, wrt = self.solution, self.solution.numbers.source.wrt
        caught = solution.lost > NEGLIGIBLE_MASS
        if self.solution.graph.tosses:
            caught = caught | (self.carried(gates=False).lost > NEGLIGIBLE_MASS)
        if second:
            caught = np.ones_like(caught)
        if not caught.any():
            return
        shifts = np.random.default_rng(0).uniform(0.5, 1.0, len(wrt)) * NEARBY
        moved = [
            {name: value + (shifts[wrt.index(name)] if name in wrt else 0.0) for name, value in row.items()}
            for row in solution.numbers.rows
        ]
        nearby = solve_at(moved)
        for stage, leaving in solution.solver.loops.traps.items():
            there = nearby.solver.loops.traps.get(stage)
            heads, dimension = leaving.projectors.shape[1:3]
            ranks = np.full(len(caught), heads * dimension) if there is None else there.ranks
            for p in np.flatnonzero(caught & (ranks != leaving.ranks)):
                raise EvaluationError(
                    "The derivative does not exist here: at these parameters a part of the states never "
                    f"leaves a loop (with probability {float(solution.lost[p]):.3g}; or not within 10¹³ "
                    f"passes), but it does where {listed(f'`{name}`' for name in wrt)} differ. The objective "
                    "may jump here."
                )
            if second and there is not None:
                turned = np.abs(there.projectors - leaving.projectors).max(axis=(1, 2, 3))
                for _ in np.flatnonzero((solution.lost > NEGLIGIBLE_MASS) & (turned > TURNED)):
                    raise EvaluationError(
                        "Second derivatives are not computed here: a part of the states never leaves a loop, "
                        f"and which part it is depends on {listed(f'`{name}`' for name in wrt)}. Values and "
                        "first derivatives are."
                    )


def _row(maps: Maps, p: int) -> Maps:
    """The maps of one row."""
    return replace(
        maps,
        unitaries=[x[p : p + 1] if len(x) > 1 else x for x in maps.unitaries],
        adjoints=[x[p : p + 1] if len(x) > 1 else x for x in maps.adjoints],
        probabilities=maps.probabilities[p : p + 1],
    )
