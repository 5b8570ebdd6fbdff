"""What can happen in a program whatever its angles are: segments between splits, and what may be forgotten.

A path leads from a point and a store to where something random happens, where branches may meet, or to
an end; its gates are a *segment*. Counters that nobody reads any more are 0 in every store, so that
branches which differ in them meet. Nothing here depends on angles: one course serves a whole training
run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import rustworkx as rx

from qdiff.lang.expr import Counter, Expr, Negate, Number, Sum
from qdiff.sim.control import assignments, closure, read_by_control
from qdiff.sim.flow import (
    Apply,
    Decide,
    Flow,
    Mark,
    MeasureBits,
    RecordBits,
    ResetBits,
    Toss,
    is_random,
)
from qdiff.sim.liveness import live_counters, successors
from qdiff.sim.pure.paths import Path, Walker
from qdiff.sim.pure.plan import Layouts
from qdiff.sim.pure.segments import Segment
from qdiff.sim.readings import Rows

Store = tuple[int, ...]

SMALL = 1 << 31  # a counter that grows by less takes 2³¹ passes to overflow


class Course:
    """The segments of one program at given compared parameters.

    Args:
        at_end: counters (indices) whose final values are asked for.
    """

    def __init__(
        self, flow: Flow, layouts: Layouts, compared: Mapping[str, float], at_end: frozenset[int]
    ) -> None:
        self.flow = flow
        self.layouts = layouts
        forgotten = _forgotten(flow, at_end)
        live = live_counters(flow, at_end, forgotten)
        self.live = [sorted(live[point]) for point in range(len(flow.instructions))]
        self.rows = Rows(flow)
        self.walker = Walker(flow, self.rows, compared, forgotten)
        self.stops = frozenset(p for p in flow.meeting if not _decided_head(flow, p))
        self.random = frozenset(
            p
            for p, instruction in enumerate(flow.instructions)
            if isinstance(instruction, MeasureBits | RecordBits | ResetBits | Toss)
        )
        self.unmet = self.random - self.stops
        self.unbounded = any(loop.bound is None for loop in flow.loops)
        self.component, self.cyclic = _components(flow)
        self._paths: dict[tuple[int, Store], Path] = {}
        self._segments: dict[tuple[tuple[int, int], ...], Segment] = {}
        self._ahead: dict[int, frozenset[int]] = {}

    def reduced(self, point: int, store: Store) -> Store:
        """The store without what is not read any more from a point on."""
        live = self.live[point]
        return tuple([value if i in live else 0 for i, value in enumerate(store)])

    def path(self, point: int, store: Store) -> Path:
        """The path from a point."""
        key = (point, store)
        if key not in self._paths:
            self._paths[key] = self.walker.follow(point, store, self.stops)
        return self._paths[key]

    def segment(self, path: Path) -> Segment:
        """The gates of a path; paths with equal gates share them."""
        key = tuple(path.gates)
        if key not in self._segments:
            self._segments[key] = Segment(self.flow, path, self.layouts)
        return self._segments[key]

    def repeated_beyond(self, point: int) -> frozenset[int]:
        """Expressions that may be executed any number of times by runs that go on from a point."""
        if not self.unbounded:
            return frozenset()
        if point not in self._ahead:
            found: set[int] = set()
            seen, waiting = {point}, [point]
            while waiting:
                here = waiting.pop()
                instruction = self.flow.instructions[here]
                if self.component[here] in self.cyclic:
                    if isinstance(instruction, Apply):
                        found.add(self.flow.gates[instruction.gate].expression)
                    elif isinstance(instruction, Toss):
                        found.add(instruction.expression)
                for target in successors(instruction):
                    if target not in seen:
                        seen.add(target)
                        waiting.append(target)
            self._ahead[point] = frozenset(found - {-1})
        return self._ahead[point]


def _decided_head(flow: Flow, point: int) -> bool:
    """Whether a point is the head of a loop whose guard is decided by counters: no branches meet there."""
    instruction = flow.instructions[point]
    if isinstance(instruction, Decide):
        instruction = flow.instructions[instruction.if_false]
    if not isinstance(instruction, Mark) or instruction.index % 2:
        return False
    return not is_random(flow.loops[instruction.index // 2].condition)


def _forgotten(flow: Flow, at_end: Iterable[int]) -> frozenset[int]:
    """Counters that reach no comparison, angle, probability or final value, through assignments either.

    One whose assignments may fail is not forgotten: its errors are errors of the program.
    """
    every = assignments(flow)
    large = {s.counter for s in every if not _is_small(s.value)}
    small = frozenset(name for i, name in enumerate(flow.counters) if i not in large)
    failing = {s.counter for s in every if not _cannot_fail(s.value, flow.counters[s.counter], small)}
    needed = closure(flow, {*at_end, *failing, *read_by_control(flow)}, every)
    return frozenset(range(len(flow.counters))) - needed


def _is_small(value: Expr) -> bool:
    """Whether this is a number below `SMALL`; so are outcomes of measurements."""
    value = value.operand if isinstance(value, Negate) else value
    return isinstance(value, Number) and isinstance(value.value, int) and value.value <= SMALL


def _cannot_fail(value: Expr, own: str, small: frozenset[str]) -> bool:
    """Whether this is small, or the counter itself and what is small: no run is long enough to overflow."""
    terms = value.terms if isinstance(value, Sum) else (value,)
    own_terms = [term for term in terms if isinstance(term, Counter) and term.name == own]
    others = [term for term in terms if term not in own_terms]
    return len(own_terms) <= 1 and all(
        _is_small(term) or (isinstance(term, Counter) and term.name in small) for term in others
    )


def _components(flow: Flow) -> tuple[dict[int, int], frozenset[int]]:
    """Strongly connected components of the flow: point → component, and those that are loops."""
    graph = rx.PyDiGraph()
    graph.add_nodes_from(range(len(flow.instructions)))
    graph.add_edges_from_no_data(
        [(p, q) for p, instruction in enumerate(flow.instructions) for q in successors(instruction)]
    )
    found = rx.strongly_connected_components(graph)
    component = {point: i for i, members in enumerate(found) for point in members}
    return component, frozenset(i for i, members in enumerate(found) if len(members) > 1)
