"""The order in which the vertices of a graph are solved: strongly connected components.

A vertex that no run returns to is passed once (substitution). A component of several vertices, or of
one that leads to itself, holds a loop: its *heads* are the vertices where a depth-first walk finds a
way back, and once the states at the heads are known one sweep in the order of that walk gives the
rest. Components come in topological order, single vertices next to each other joined into one stage.

A counter that only grows makes a *chain*: vertices with the same trace, each entered only from the one
before it, always through the same leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import rustworkx as rx

LEAST_CHAIN = 4


@dataclass(frozen=True)
class Segment:
    """A chain of vertices; or (leaf -1) vertices that are not one."""

    vertices: tuple[int, ...]
    leaf: int = -1


@dataclass(frozen=True)
class Stage:
    """Vertices in sweeping order; `heads` is empty where each of them is passed only once.

    Attributes:
        segments: `order` again, chains apart; of stages without heads only.
    """

    order: tuple[int, ...]
    heads: tuple[int, ...]
    segments: tuple[Segment, ...] = ()


def schedule(targets: Sequence[Sequence[int]], trace: Sequence[int]) -> list[Stage]:
    """Return the stages of a graph.

    Args:
        targets: for each vertex, the vertices it leads to.
        trace: -1 for the vertices where runs end; they are not solved.
    """
    graph = rx.PyDiGraph(multigraph=False)
    graph.add_nodes_from(range(len(targets)))
    graph.add_edges_from_no_data([(v, t) for v, following in enumerate(targets) for t in following])
    stages: list[Stage] = []
    single: list[int] = []
    # rustworkx lists components against the edges: the last one first.
    for component in reversed(rx.strongly_connected_components(graph)):
        vertex = component[0]
        if trace[vertex] < 0:
            continue
        if len(component) == 1 and vertex not in targets[vertex]:
            single.append(vertex)
            continue
        if single:
            stages.append(_passed_once(single, targets, trace))
            single = []
        stages.append(_loop(set(component), targets))
    if single:
        stages.append(_passed_once(single, targets, trace))
    return stages


def _passed_once(vertices: list[int], targets: Sequence[Sequence[int]], trace: Sequence[int]) -> Stage:
    entries: dict[int, int] = {}
    for v in vertices:
        for t in targets[v]:
            entries[t] = entries.get(t, 0) + 1
    segments: list[Segment] = []
    loose: list[int] = []
    at = 0
    while at < len(vertices):
        leaf, end = -1, at + 1
        while end < len(vertices):
            before, after = vertices[end - 1], vertices[end]
            if trace[after] != trace[before] or entries.get(after) != 1 or after not in targets[before]:
                break
            through = targets[before].index(after)
            if leaf not in (-1, through):
                break
            leaf, end = through, end + 1
        if end - at >= LEAST_CHAIN:
            if loose:
                segments.append(Segment(tuple(loose)))
                loose = []
            segments.append(Segment(tuple(vertices[at:end]), leaf))
        else:
            loose += vertices[at:end]
        at = end
    if loose:
        segments.append(Segment(tuple(loose)))
    return Stage(tuple(vertices), (), tuple(segments))


def _loop(component: set[int], targets: Sequence[Sequence[int]]) -> Stage:
    """Order a component by a depth-first walk from its earliest vertex; heads are where edges go back."""
    finished: list[int] = []
    active: set[int] = set()
    heads: set[int] = set()
    seen: set[int] = set()
    root = min(component)  # vertices are numbered breadth first: the first one that is entered
    pending = [(root, iter(targets[root]))]
    seen.add(root)
    active.add(root)
    while pending:
        vertex, following = pending[-1]
        for target in following:
            if target not in component:
                continue
            if target in active:
                heads.add(target)
            elif target not in seen:
                seen.add(target)
                active.add(target)
                pending.append((target, iter(targets[target])))
                break
        else:
            pending.pop()
            active.discard(vertex)
            finished.append(vertex)
    return Stage(tuple(reversed(finished)), tuple(sorted(heads)))
