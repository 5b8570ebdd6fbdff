"""What is known of a program at one set of parameters: expected counts, bounds, memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.sim.analysis import Analysis, LoopVisits
from qdiff.sim.exact import NEGLIGIBLE_MASS, Floats, Parameters
from qdiff.sim.hybrid.bounds import ErrorBounds, Returned, error_bounds
from qdiff.sim.hybrid.coordinates import decode
from qdiff.sim.hybrid.correlate import Counts, count
from qdiff.sim.hybrid.memory import Work
from qdiff.sim.hybrid.solution import Solution
from qdiff.sim.hybrid.sweeps import States
from qdiff.sim.hybrid.traces import Stack

if TYPE_CHECKING:
    from qdiff.sim.hybrid.engine import HybridEngine

SWEEPS = 64  # of a trap, after which what is still visited is visited for ever


def analyze(
    engine: HybridEngine, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounded: bool
) -> Analysis:
    """Solve once more with all counts and return what they say; errors are bounded if asked for."""
    work = Work(states=4, columns=2)
    missing = ""
    try:
        solution = engine.solve([parameters], [observable], wrt, work)
    except EvaluationError as error:  # of the value, or only of the derivatives: then say so
        solution = engine.solve([parameters], [observable], (), work)
        missing = f"; no derivatives: {error}"
    graph = solution.graph
    found = _for_ever(engine, solution, count(graph, solution.maps, solution.masses()))
    never = float(solution.lost[0] + solution.mass(solution.endless)[0])
    unknown = ErrorBounds(math.inf, dict.fromkeys(wrt, math.inf), "not asked for")
    bounds = _bounds(engine, solution, observable) if bounded else unknown
    loops = tuple(
        LoopVisits(loop.pos, found.marks.get(2 * i, 0.0), found.marks.get(2 * i + 1, 0.0))
        for i, loop in enumerate(engine.flow.loops)
    )
    counted = [engine.flow.counters[c] for c in graph.counted.counters]
    moments = f", {', '.join(counted)} followed as moments" if counted else ""
    return Analysis(
        termination_probability=float(solution.mass(graph.ends)[0]),
        trapped_probability=never if never > NEGLIGIBLE_MASS else 0.0,
        outside_probability=float(solution.mass(solution.frontier)[0]),
        expected_visits=loops,
        occurrences=solution.numbers.occurrences(found.gates(graph.runs), found.tosses),
        error_bound=bounds.value,
        grad_error_bound=dict.fromkeys(wrt, math.inf) if missing else bounds.gradient,
        memory=solution.memory,
        engine=engine.name,
        reason=(
            f"density operators on {len(engine.program.qubits)} qubits, {len(graph.followed)} combinations "
            f"of program point and counters{moments}; error bound: {bounds.reason}{missing}"
        ),
    )


def _bounds(engine: HybridEngine, solution: Solution, observable: Observable) -> ErrorBounds:
    """Bounds of the errors of what `values` and `gradients` return at these parameters."""
    pulled = engine.pull_back(solution)
    residuals = solution.solver.residuals
    rows, wrt = solution.numbers.rows, solution.numbers.source.wrt
    values, derivatives = engine.gradients(rows, [observable], wrt)
    alone = engine.values(rows, [observable])
    returned = Returned((float(values[0, 0]), float(alone[0, 0])), derivatives[0, 0].tolist())
    return error_bounds(solution, observable, pulled, residuals, returned)


def _for_ever(engine: HybridEngine, solution: Solution, found: Counts) -> Counts:
    """Add what runs that never end do: once, in traps, and infinitely often."""
    once, repeated = _in_traps(solution)
    repeated |= _beyond(engine, solution)
    if not once and not repeated:
        return found
    passing, endless = (count(solution.graph, solution.maps, masses) for masses in (once, repeated))

    def added(before: Floats, more: Floats, again: Floats) -> Floats:
        return np.where(again > NEGLIGIBLE_MASS, math.inf, before + more)

    marks = {
        mark: float(added(*(np.array(c.marks.get(mark, 0.0)) for c in (found, passing, endless))))
        for mark in found.marks.keys() | passing.marks.keys() | endless.marks.keys()
    }
    return Counts(
        added(found.runs, passing.runs, endless.runs),
        added(found.tosses, passing.tosses, endless.tosses),
        marks,
    )


def _beyond(engine: HybridEngine, solution: Solution) -> dict[int, Stack]:
    """States at meeting points that are still met far out, from where no run ends."""
    graph, masses = solution.graph, solution.masses()
    if float(solution.mass(solution.endless)[0]) <= NEGLIGIBLE_MASS:
        return {}
    far = [v for v in graph.followed[len(graph.followed) // 2 :] if v in masses]
    points = {graph.points[v] for v in engine.endless(solution.numbers.rows[0], graph, far)}
    return {v: masses[v] for v in far if graph.points[v] in points}


def _in_traps(solution: Solution) -> tuple[dict[int, Stack], dict[int, Stack]]:
    """States on the way of what fell into traps, and those that are still visited after many sweeps."""
    solver = solution.solver
    once: States = {}
    repeated: States = {}
    if solver.loops.traps and solution.lost[0] > NEGLIGIBLE_MASS:
        states = solution.caught
        for sweep in range(2 * SWEEPS):
            visited, states = solver.loops.sweep_traps(states)
            into = once if sweep < SWEEPS else repeated
            for v, y in visited.items():
                into[v] = into[v] + y if v in into else y

    def decoded(found: States) -> dict[int, Stack]:
        d = solver.dimension
        return {v: decode(y, d) for v, y in found.items() if y[0, 0, :: d + 1].sum() > NEGLIGIBLE_MASS}

    return decoded(once), decoded(repeated)
