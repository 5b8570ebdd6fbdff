"""What is known of a program at one set of parameters, exactly: the `Analysis` of an objective."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qdiff.lang.observable import Observable
from qdiff.lang.source import Position
from qdiff.sim.hybrid.engine import HybridEngine, Solution
from qdiff.sim.hybrid.traces import Stack

ROUNDING = 16 * np.finfo(float).eps  # relative error of one operation on a matrix, per row


@dataclass(frozen=True)
class LoopVisits:
    """Expected numbers for one loop.

    Attributes:
        position: where the loop stands in the program's text, if it came from one.
        evaluations: of its guard; passes: of its body.
    """

    position: Position | None
    evaluations: float
    passes: float


@dataclass(frozen=True)
class Analysis:
    """Expected behaviour of a program, and the accuracy of its exact value.

    Attributes:
        termination_probability: probability that a run ends (and does not abort).
        expected_visits: one entry a loop, in printed order.
        occurrences: parameter → expected number of executed primitives that contain it.
        error_bound: |f - computed f| is at most this; inf where nothing is proved.
        engine: which engine answers.
        reason: why this engine, and where the bound comes from.
    """

    termination_probability: float
    expected_visits: tuple[LoopVisits, ...]
    occurrences: Mapping[str, float]
    error_bound: float
    engine: str
    reason: str

    def __str__(self) -> str:
        lines = [f"termination probability  {self.termination_probability:.12g}"]
        for number, loop in enumerate(self.expected_visits, start=1):
            place = f" (line {loop.position.line})" if loop.position else ""
            lines.append(
                f"loop {number}{place}: {loop.evaluations:.6g} guard evaluations, {loop.passes:.6g} passes"
            )
        if self.occurrences:
            found = ", ".join(f"{name} {count:.6g}" for name, count in self.occurrences.items())
            lines.append(f"expected occurrences     {found}")
        lines.append(f"error bound              {self.error_bound:.3g}")
        lines.append(f"engine                   {self.engine}: {self.reason}")
        return "\n".join(lines)


def analyze(engine: HybridEngine, parameters: Mapping[str, float], observable: Observable) -> Analysis:
    """Solve once more with all counts and return what they say."""
    solution = engine.solve(parameters, observable, ())
    graph = solution.graph
    found = engine.correlations(solution)
    loops = tuple(
        LoopVisits(loop.pos, found.marks.get(2 * i, 0.0), found.marks.get(2 * i + 1, 0.0))
        for i, loop in enumerate(engine.flow.loops)
    )
    bound, why = _error_bound(engine, solution, observable, found.operations)
    reason = (
        f"density operators on {len(engine.program.qubits)} qubits, {len(graph.followed)} combinations of "
        f"program point and counters; {why}"
    )
    return Analysis(
        termination_probability=solution.mass(graph.ends),
        expected_visits=loops,
        occurrences=solution.numbers.occurrences(found.gates(graph.runs), found.tosses),
        error_bound=bound,
        engine="hybrid",
        reason=reason,
    )


def _error_bound(
    engine: HybridEngine, solution: Solution, observable: Observable, operations: float
) -> tuple[float, str]:
    """|f - f̂| ≤ max‖O(σ)‖ · (‖r‖₁ + rounding + mass outside), r the residual of the forward solve."""
    graph = solution.graph
    norms = [observable.norm_bound(engine.store(graph, v)) for v in graph.ends]
    residual = sum(_trace_norm(r) for r in solution.solver.residuals)
    rounding = ROUNDING * engine.dimension * operations
    outside = solution.mass(graph.frontier)
    if not graph.complete and observable.counters:
        return math.inf, (
            f"no bound is proved: infinitely many counter values are reachable and the observable grows "
            f"with them (probability {outside:.1e} was left outside)"
        )
    if not graph.complete:
        norms.append(observable.norm_bound({}))
    bound = max(norms, default=0.0) * (residual + rounding + outside)
    return (
        bound,
        "the bound is the residual, rounding and the mass left outside, times the norm of the observable",
    )


def _trace_norm(stack: Stack) -> float:
    hermitian = (stack + stack.conj().swapaxes(1, 2)) / 2
    return float(np.abs(np.linalg.eigvalsh(hermitian)).sum())
