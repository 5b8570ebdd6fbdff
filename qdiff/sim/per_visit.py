"""The most that can happen between two vertices of an abstract graph: longest ways, entry by entry.

Assignments count by what they do to m, the largest |counter|. Where no run comes twice it may be
multiplied; elsewhere it may only grow by constants, or be set to something bounded:

    m after n visits ≤ scale · (max(m, floor) + growth · n) .
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import rustworkx as rx

from qdiff.sim import flow as fl
from qdiff.sim.abstract_graph import STOP, AbstractGraph, expression_of

_OPERATIONS = fl.Apply | fl.ChannelBits | fl.Toss | fl.ResetBits | fl.MeasureBits | fl.RecordBits


@dataclass(frozen=True)
class PerVisit:
    """The largest numbers over all ways from a vertex to the next ones.

    Attributes:
        operations: gates, channels, resets, measurements and tosses.
        occurrences: parameter → primitives that contain it.
        growth, floor, scale: see above; growth is inf where nothing is proved.
    """

    operations: int
    occurrences: Mapping[str, int]
    growth: float
    floor: float
    scale: float


def per_visit(graph: AbstractGraph) -> PerVisit:
    """Return the largest numbers over all ways from a vertex to the next ones."""
    names = graph.flow.program.parameters
    parameters = [expression.parameters() for expression in graph.flow.expressions]
    # Counts to the next vertices, from each step: operations, growth, then one for each parameter.
    longest: list[list[float]] = []
    floor = 0.0
    for step in graph.steps:
        ahead = [longest[i] for i in step.next if i >= 0]
        total = [max(column) for column in zip(*ahead, strict=True)] if ahead else [0.0] * (2 + len(names))
        if isinstance(step.instruction, _OPERATIONS):
            total[0] += 1
        index = expression_of(graph.flow, step.instruction)
        if index >= 0:
            for place, name in enumerate(names, start=2):
                total[place] += name in parameters[index]
        if step.scale > 0:
            total[1] += step.rest
        else:
            floor = max(floor, step.rest)
        longest.append(total)
    most = [max(column) for column in zip(*(longest[i] for i in graph.starts), strict=True)]
    scale = _scale(graph)
    return PerVisit(
        operations=int(most[0]),
        occurrences={name: int(count) for name, count in zip(names, most[2:], strict=True)},
        growth=math.inf if math.isinf(scale) else most[1],
        floor=floor,
        scale=scale,
    )


def _scale(graph: AbstractGraph) -> float:
    """By how much all assignments of a run together may multiply; inf if some can be met again."""
    factors: list[float] = []
    reached: list[int] = []  # vertices next to each step, a bit each
    for step in graph.steps:
        ahead = [factors[i] for i in step.next if i >= 0]
        factors.append(max(1.0, step.scale) * max(ahead, default=1.0))
        bits = 0
        for place in step.next:
            bits |= reached[place] if place >= 0 else 0 if place == STOP else 1 << (-2 - place)
        reached.append(bits)
    size = len(graph.vertices)
    succeeding = [[w for w in range(size) if reached[start] >> w & 1] for start in graph.starts]
    vertices = rx.PyDiGraph()
    vertices.add_nodes_from(range(size))
    vertices.add_edges_from_no_data([(v, w) for v in range(size) for w in succeeding[v]])
    onwards = [1.0] * size
    for component in rx.strongly_connected_components(vertices):  # successors come first
        own = max(factors[graph.starts[v]] for v in component)
        if own > 1 and (len(component) > 1 or component[0] in succeeding[component[0]]):
            return math.inf
        after = max((onwards[w] for v in component for w in succeeding[v]), default=1.0)
        for v in component:
            onwards[v] = own * after
    return max(onwards)
