"""Where derivatives go: how much of a derivative passes each vertex, bounded from above.

The derivative of a gate exp(-i a G/2) and of a flip, applied to a state R, are bounded by positive
operators that need not be small where R is:

    |-(i/2) [G, R]| ≤ ½ (R + G R G),       |d(flip)(R)| ≤ R in either branch,
    |d𝓔/dp (R)| ≤ Σ_j |c_j| 𝓕_j(R) of a channel with the rule d𝓔/dp = Σ_j c_j 𝓕_j.

P_v, the sum of all of them moved on through the program, P = T(P) + injections, bounds the trace norm
of ∂R_v times the slopes of the angles. What is left outside a followed part of a program must be small
in P as well as in R: a branch of probability 0 can carry all of a derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.coordinates import encode
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.stacks import added
from qdiff.sim.hybrid.traces import Maps, Stack
from qdiff.sim.hybrid.unitaries import Unitaries


@dataclass(frozen=True)
class Steepest:
    """The largest |∂ angle| of every rotated gate, (P, G), and |∂ probability| of every toss, (P, T)."""

    gates: Floats
    tosses: Floats


@dataclass(frozen=True)
class Injections:
    """What the derivatives inside the traces contribute.

    Attributes:
        sources: vertex → what arrives there, (P, n, D²), moments 0.
        runs, tosses: mass that derivatives earlier in a trace bring to each run and each toss, (P, …).
    """

    sources: Field
    runs: Floats
    tosses: Floats


def injections(
    graph: Graph, maps: Maps, unitaries: Unitaries, masses: Mapping[int, Stack], slopes: Steepest
) -> Injections:
    """Go through all traces with the visit states (P, 1, D, D) and collect what their derivatives add."""
    rows = len(slopes.gates)
    shape = (rows, len(graph.counted.basis), graph.runs.dimension**2)
    found = Injections(
        Field(len(graph.stores), shape),
        np.zeros((rows, len(graph.runs.runs))),
        np.zeros((rows, len(graph.tosses))),
    )
    members: dict[int, list[int]] = {}
    for vertex in graph.followed:
        if vertex in masses:
            members.setdefault(graph.trace[vertex], []).append(vertex)
    for trace, vertices in members.items():
        stack = np.concatenate([masses[v] for v in vertices], axis=1)
        leaves = _through(graph, graph.traces[trace].ops, maps, unitaries, slopes, stack, found)
        for slot, leaf in enumerate(leaves):
            if leaf is None:
                continue
            for i, vertex in enumerate(vertices):
                target = graph.targets[vertex][slot]
                found.sources.array[target, :, 0] += encode(leaf[:, i])
                found.sources.mark([target])
    return found


def _through(
    graph: Graph,
    ops: Sequence[traces.Op],
    maps: Maps,
    unitaries: Unitaries,
    slopes: Steepest,
    states: Stack,
    found: Injections,
) -> list[Stack | None]:
    """Return what derivatives inside one trace bring to its leaves (None is zero)."""
    registers: dict[int, tuple[Stack, Stack | None]] = {0: (states, None)}
    leaves: list[Stack | None] = []
    for code, src, dst, arg in ops:
        state, carried = registers[src]
        if code == traces.LEAF:
            leaves.append(carried)
            continue
        if code in (traces.MARK, traces.END):
            continue
        if carried is not None and code == traces.UNITARY:
            found.runs[:, arg] += _mass(carried)
        if carried is not None and code == traces.TOSS:
            found.tosses[:, arg] += _mass(carried)
        if carried is not None and code == traces.CHANNEL:
            found.tosses[:, graph.channels[arg].toss] += _mass(carried)
        if code == traces.UNITARY:
            carried = added(carried, unitaries.injection(arg, state, slopes.gates))
        after = None if carried is None else maps.apply(code, arg, carried)
        if code in (traces.TOSS, traces.TOSS_NOT) and slopes.tosses[:, arg].any():
            after = added(after, slopes.tosses[:, arg, None, None, None] * state)
        if code == traces.CHANNEL and (steepest := slopes.tosses[:, graph.channels[arg].toss]).any():
            after = added(after, maps.noise.majorant(arg, steepest[:, None, None, None] * state))
        registers[dst if code in traces.BRANCHES else src] = maps.apply(code, arg, state), after
    return leaves


def _mass(stack: Stack) -> Floats:
    return np.asarray(np.einsum("pbii->p", stack).real)
