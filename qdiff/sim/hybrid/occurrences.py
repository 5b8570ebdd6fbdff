"""How often a parameter is still met: bounds of E[N] and of w, which bound all higher derivatives.

N counts the executed primitives that contain the parameter. With n the operator of their number in one
trace, W = n + T†(W) is that of all that are still to come, and

    w = sup over primitives ℓ and states of the number still to come after ℓ = max_ℓ ‖W_ℓ⁺‖.

W is replaced by a certified operator above it (`dominating`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from qdiff.lang.observable import constant
from qdiff.sim.exact import Floats, Parameters
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.coordinates import decode, encode
from qdiff.sim.hybrid.correlate import count
from qdiff.sim.hybrid.dominating import Dominating
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Trace
from qdiff.sim.hybrid.solution import Solution
from qdiff.sim.hybrid.stacks import added
from qdiff.sim.hybrid.traces import Stack
from qdiff.sim.majorants import OccurrenceBounds

if TYPE_CHECKING:
    from qdiff.sim.hybrid.engine import HybridEngine

ROUNDED_UP = 1 + 1e-6  # of E[N], whose rounding is far below


def occurrences_to_come(engine: HybridEngine, parameters: Parameters, wrt: str) -> OccurrenceBounds:
    """Return bounds of E[N] and w for one parameter, inf with the reason where none is proved."""
    solution = engine.solve([parameters], [constant(1)], ())
    graph = solution.graph
    gates, tosses = _containing(solution, wrt)
    counts = count(graph, solution.maps, solution.masses())
    per_run = np.array([gates[rotations].sum() for rotations in graph.runs.rotations], dtype=float)
    expected = float(counts.runs @ per_run + counts.tosses @ tosses) * ROUNDED_UP
    if not expected and not per_run.any() and not tosses.any():
        return OccurrenceBounds(0.0, 0.0, "")
    if solution.solver.loops.traps:
        return OccurrenceBounds(expected, math.inf, "a part of the states never leaves a loop")
    if not graph.complete:
        return OccurrenceBounds(math.inf, math.inf, "infinitely many counter values are reachable")
    dominating = Dominating(solution)
    if dominating.moments > 1:
        raise AssertionError("the identity has one moment")
    own = {
        v: encode(x)
        for v in graph.followed
        if (x := _walk(solution, graph.traces[graph.trace[v]], per_run, tosses, None)[0]) is not None
    }
    largest = np.array([max((float(dominating.norms(y).max()) for y in own.values()), default=0.0)])
    nothing = np.zeros((1, 1, dominating.dimension**2))
    found = dominating.operators(dict.fromkeys(graph.ends, nothing), own, largest)
    if found is None:
        return OccurrenceBounds(expected, math.inf, "too many passes for the rounding of a check")
    to_come = 0.0
    for v in graph.followed:
        leaves = [_operator(found, t, dominating.dimension) for t in graph.targets[v]]
        to_come = max(to_come, _walk(solution, graph.traces[graph.trace[v]], per_run, tosses, leaves)[1])
    return OccurrenceBounds(expected, to_come, "")


def _containing(solution: Solution, wrt: str) -> tuple[Floats, Floats]:
    """1 for every rotated gate and every toss whose expression contains a parameter, (G,) and (T,)."""
    numbers = solution.numbers
    expressions = numbers.source.flow.expressions
    contains = np.array(
        [
            [float(wrt in numbers.contained(e, row)) for row in range(solution.graph.rows.shape[1])]
            for e in range(len(expressions))
        ]
    ).reshape(len(expressions), solution.graph.rows.shape[1])
    return contains[numbers.gate_places], contains[numbers.toss_places]


def _operator(field: Field, vertex: int, dimension: int) -> Stack | None:
    y = field.get(vertex)
    return None if y is None else decode(y, dimension)


def _walk(
    solution: Solution, trace: Trace, per_run: Floats, tosses: Floats, leaves: list[Stack | None] | None
) -> tuple[Stack | None, float]:
    """Go back through a trace; return the operator of what is met, and the most after any of them."""
    one = np.eye(solution.solver.dimension, dtype=complex)[None, None]
    registers: dict[int, Stack | None] = {}
    most = 0.0
    for i in range(len(trace.ops) - 1, -1, -1):
        code, src, dst, arg = trace.ops[i]
        if code == traces.LEAF:
            registers[src] = None if leaves is None else leaves[arg]
            continue
        if code == traces.END:
            registers[src] = None
            continue
        if code == traces.MARK:
            continue
        after = registers[dst if code in traces.BRANCHES else src]
        met = 0.0
        if code == traces.UNITARY:
            met = float(per_run[arg])
        elif code in (traces.TOSS, traces.TOSS_NOT):
            met = float(tosses[arg])
        elif code == traces.CHANNEL:
            met = float(tosses[solution.graph.channels[arg].toss])
        if met:
            norm = 0.0 if after is None else float(np.linalg.eigvalsh(after[0, 0])[-1])
            most = max(most, norm + met - 1.0)
        before = None if after is None else solution.maps.apply_adjoint(code, arg, after)
        if met and code != traces.TOSS_NOT:  # a toss is met once, whichever side comes up
            before = added(before, np.asarray(met * one, dtype=complex))
        registers[src] = added(registers[src], before) if code in traces.BRANCHES else before
    return registers[0], most * ROUNDED_UP
