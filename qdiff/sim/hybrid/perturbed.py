"""Where derivatives go: how much of a derivative passes each vertex, bounded from above.

The derivative of a gate exp(-i a G/2) and of a flip, applied to a state R, are bounded by positive
operators that need not be small where R is:

    |-(i/2) [G, R]| ≤ ½ (R + G R G),       |d(flip)(R)| ≤ R in either branch.

P_v, the sum of all of them moved on through the program, P = T(P) + injections, bounds the trace norm
of ∂R_v times the slopes of the angles. What is left outside a followed part of a program must be small
in P as well as in R: a branch of probability 0 can carry all of a derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.traces import Maps, Stack
from qdiff.sim.hybrid.unitaries import Unitaries

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Slopes:
    """The largest |∂ angle| of every rotated gate instance, and |∂ probability| of every toss."""

    gates: Floats
    tosses: Floats


@dataclass(frozen=True)
class Injections:
    """What the derivatives inside the traces contribute.

    Attributes:
        sources: vertex → what arrives there, (1, D, D).
        runs, tosses: mass that derivatives earlier in a trace bring to each run and each toss.
    """

    sources: dict[int, Stack]
    runs: Floats
    tosses: Floats


def injections(
    graph: Graph, maps: Maps, unitaries: Unitaries, states: dict[int, Stack], slopes: Slopes
) -> Injections:
    """Go through all traces with the visit states and collect what their derivatives add."""
    found = Injections({}, np.zeros(len(graph.runs.pieces)), np.zeros(len(graph.tosses)))
    members: dict[int, list[int]] = {}
    for vertex in graph.followed:
        if vertex in states:
            members.setdefault(graph.trace[vertex], []).append(vertex)
    for trace, vertices in members.items():
        stack = np.concatenate([states[v] for v in vertices])
        leaves = _through(graph.traces[trace], maps, unitaries, slopes, stack, found)
        for slot, leaf in enumerate(leaves):
            if leaf is None:
                continue
            for i, vertex in enumerate(vertices):
                target = graph.targets[vertex][slot]
                before = found.sources.get(target)
                part = leaf[i : i + 1]
                found.sources[target] = part if before is None else before + part
    return found


def _through(
    ops: Sequence[traces.Op],
    maps: Maps,
    unitaries: Unitaries,
    slopes: Slopes,
    states: Stack,
    found: Injections,
) -> list[Stack | None]:
    """Return what derivatives inside one trace bring to its leaves (None is zero)."""
    registers: dict[int, tuple[Stack, Stack | None]] = {0: (states, None)}
    leaves: list[Stack | None] = []
    for code, src, dst, arg in ops:
        state, added = registers[src]
        if code == traces.UNITARY:
            u, h = maps.unitaries[arg], maps.adjoints[arg]
            state = u @ state @ h
            if added is not None:
                found.runs[arg] += _mass(added)
                added = u @ added @ h
            registers[src] = state, _sum(added, unitaries.injection(arg, state, slopes.gates))
        elif code == traces.RESET:
            reset = maps.resets[arg]
            registers[src] = reset.forward(state), None if added is None else reset.forward(added)
        elif code == traces.MASK:
            mask = maps.masks[arg]
            registers[dst] = state * mask, None if added is None else added * mask
        elif code in (traces.TOSS, traces.TOSS_NOT):
            if added is not None and code == traces.TOSS:
                found.tosses[arg] += _mass(added)
            p = maps.probability(code, arg)
            tossed = slopes.tosses[arg] * state if slopes.tosses[arg] else None
            registers[dst] = p * state, _sum(None if added is None else p * added, tossed)
        elif code == traces.LEAF:
            leaves.append(added)
    return leaves


def _sum(one: Stack | None, other: Stack | None) -> Stack | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _mass(stack: Stack) -> float:
    return float(np.einsum("bii->", stack).real)
