"""The order in which the vertices of a graph are solved: strongly connected components.

A vertex that no run returns to is passed once (substitution). A component of several vertices, or of
one that leads to itself, holds a loop: its *heads* are the vertices where a depth-first walk finds a
way back, and once the states at the heads are known one sweep in the order of that walk gives the
rest. Components come in topological order, runs of single vertices joined into one stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import rustworkx as rx


@dataclass(frozen=True)
class Stage:
    """Vertices in sweeping order; `heads` is empty where each of them is passed only once."""

    order: tuple[int, ...]
    heads: tuple[int, ...]


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
            stages.append(_passed_once(single))
            single = []
        stages.append(_loop(set(component), targets))
    if single:
        stages.append(_passed_once(single))
    return stages


def _passed_once(vertices: list[int]) -> Stage:
    return Stage(tuple(vertices), ())


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
