"""The order in which the vertices of a graph are solved: strongly connected components.

A vertex that no run returns to is passed once (substitution). A component of several vertices, or of
one that leads to itself, holds a loop: its *heads* are the vertices where a depth-first walk finds a
way back, and once the states at the heads are known one sweep in the order of that walk gives the
rest. Components come in topological order, single vertices next to each other joined into one stage.

A counter that only grows makes a *chain*: vertices whose traces have the same shape, each entered only
from the one before it, always through the same leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import rustworkx as rx
from numpy.typing import NDArray

LEAST_CHAIN = 4


@dataclass(frozen=True)
class Loose:
    """Vertices that are passed one by one."""

    vertices: tuple[int, ...]


@dataclass(frozen=True)
class Chain:
    """Vertices each of which leads to the next one through the same leaf.

    Attributes:
        leaving: for every leaf where it leads to out of the chain; `leaf` does from the last vertex only.
    """

    vertices: tuple[int, ...]
    leaf: int
    leaving: tuple[tuple[int, ...], ...]

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The vertices as an index."""
        return np.array(self.vertices, dtype=np.int64)

    @cached_property
    def targets(self) -> list[NDArray[np.int64]]:
        """Where it leads to, as indices."""
        return [np.array(targets, dtype=np.int64) for targets in self.leaving]


Segment: TypeAlias = Loose | Chain


@dataclass(frozen=True)
class Stage:
    """Vertices in sweeping order; `heads` is empty where each of them is passed only once.

    Attributes:
        segments: `order` again, chains apart; of stages without heads only.
    """

    order: tuple[int, ...]
    heads: tuple[int, ...]
    segments: tuple[Segment, ...] = ()


def schedule(targets: Sequence[Sequence[int]], kind: Sequence[int]) -> list[Stage]:
    """Return the stages of a graph.

    Args:
        targets: for each vertex, the vertices it leads to.
        kind: the shape of its trace; -1 for the vertices where runs end: they are not solved.
    """
    graph = rx.PyDiGraph(multigraph=False)
    graph.add_nodes_from(range(len(targets)))
    graph.add_edges_from_no_data([(v, t) for v, following in enumerate(targets) for t in following])
    stages: list[Stage] = []
    single: list[int] = []
    # rustworkx lists components against the edges: the last one first.
    for component in reversed(rx.strongly_connected_components(graph)):
        vertex = component[0]
        if kind[vertex] < 0:
            continue
        if len(component) == 1 and vertex not in targets[vertex]:
            single.append(vertex)
            continue
        if single:
            stages.append(_passed_once(single, targets, kind))
            single = []
        stages.append(_loop(set(component), targets))
    if single:
        stages.append(_passed_once(single, targets, kind))
    return stages


def _passed_once(vertices: list[int], targets: Sequence[Sequence[int]], kind: Sequence[int]) -> Stage:
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
            if kind[after] != kind[before] or entries.get(after) != 1 or after not in targets[before]:
                break
            through = targets[before].index(after)
            if leaf not in (-1, through):
                break
            leaf, end = through, end + 1
        if end - at >= LEAST_CHAIN:
            if loose:
                segments.append(Loose(tuple(loose)))
                loose = []
            segments.append(_chain(tuple(vertices[at:end]), leaf, targets))
        else:
            loose += vertices[at:end]
        at = end
    if loose:
        segments.append(Loose(tuple(loose)))
    return Stage(tuple(vertices), (), tuple(segments))


def _chain(vertices: tuple[int, ...], leaf: int, targets: Sequence[Sequence[int]]) -> Chain:
    leaving = [tuple(through) for through in zip(*(targets[v] for v in vertices), strict=True)]
    leaving[leaf] = leaving[leaf][-1:]
    return Chain(vertices, leaf, tuple(leaving))


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
