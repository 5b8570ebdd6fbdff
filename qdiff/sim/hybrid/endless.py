"""Vertices from which no run can end: their mass counts 0, whatever is followed.

Counters that may take infinitely many values, and the forms of several that are compared (`differences`),
are told apart as far as the program's comparisons and divisions can tell them (`thresholds`), so that
infinitely many stores become few (`abstract_graph`); ways that no run can take, whatever the angles are,
are left out (`occupation`). A vertex of which no abstract counterpart leads to the end never ends, at any
values of the trainable parameters: it adds nothing to f and nothing to a derivative.
"""

from __future__ import annotations

from collections.abc import Sequence

from qdiff.sim.abstract_graph import STOP, AbstractGraph, explore
from qdiff.sim.differences import with_differences
from qdiff.sim.exact import Parameters
from qdiff.sim.flow import END, Flow
from qdiff.sim.hybrid.graph import Store
from qdiff.sim.liveness import live_counters, successors
from qdiff.sim.occupation import possible_steps
from qdiff.sim.partitions import Cell, Partition, Value
from qdiff.sim.thresholds import ALWAYS, partition

LARGEST_GRAPH = 256


class Endless:
    """What is known of one program at some values of its compared parameters."""

    def __init__(self, flow: Flow, parameters: Parameters) -> None:
        related = with_differences(flow)
        self.graph = explore(related, parameters, LARGEST_GRAPH, partition(related, parameters)) or explore(
            flow, parameters, LARGEST_GRAPH, Partition(ALWAYS)
        )
        self.live = live_counters(flow, ())
        self.ending = set() if self.graph is None else _ending(self.graph)

    def among(self, points: Sequence[int], stores: Sequence[Store]) -> list[bool]:
        """Return for each (meeting point, store) whether it is proved that no run ends from there."""
        return [self._never_ends(point, store) for point, store in zip(points, stores, strict=True)]

    def _never_ends(self, point: int, store: Store) -> bool:
        if self.graph is None:
            return False
        standing_for = [
            v
            for v, (place, known) in enumerate(self.graph.vertices)
            if place == point and all(_within(store[c], known[c]) for c in self.live[point])
        ]
        return bool(standing_for) and not any(v in self.ending for v in standing_for)


def _within(value: int, known: Value) -> bool:
    return value in known if isinstance(known, Cell) else value == known


def _ending(graph: AbstractGraph) -> set[int]:
    """The vertices that may lead to the end of the program."""
    ending: set[int] = set()
    before: dict[int, set[int]] = {}
    onwards = possible_steps(graph)
    for v, start in enumerate(graph.starts):
        pending, seen = [start], {start}
        while pending:
            here = pending.pop()
            for following in onwards[here]:
                if following >= 0 and following not in seen:
                    seen.add(following)
                    pending.append(following)
                elif following <= -2:
                    before.setdefault(-2 - following, set()).add(v)
                elif following == STOP and END in successors(graph.steps[here].instruction):
                    ending.add(v)
    waiting = list(ending)
    while waiting:
        for v in before.get(waiting.pop(), ()):
            if v not in ending:
                ending.add(v)
                waiting.append(v)
    return ending
