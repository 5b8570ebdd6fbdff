"""Which meeting points and stores a program can reach, and how runs go from one to the next.

A *vertex* is a meeting point of the flow together with a store (the values of the counters that are
live there, 0 for the others). Each vertex has a *trace*, what happens from there to the next vertices;
vertices whose traces are equal, targets aside, share one. The result depends on the program, on the
observables' counters and on the values of compared parameters only, so one graph serves a whole
training run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.sim.hybrid.channels import Channel
from qdiff.sim.hybrid.counted import Counted
from qdiff.sim.hybrid.runs import Runs
from qdiff.sim.hybrid.schedule import Chain, Stage
from qdiff.sim.hybrid.shapes import Places, Shape, places, shapes_of
from qdiff.sim.hybrid.traces import Op, ResetMap

Store = tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """What happens between two meeting points: the tree of outcomes.

    Attributes:
        ops: see `traces`.
        assignments: for every leaf what its assignments do to the moments (an index into
            `Graph.assignments`, 0 for nothing).
    """

    ops: tuple[Op, ...]
    assignments: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A followed part of a program, without numbers.

    Attributes:
        points, stores: meeting point and store of every vertex; vertex 0 is the start.
        followed: vertices that have a trace, in the order in which they were followed.
        ends: vertices at the end of the program; aborted: where runs abort, if they can.
        frontier: vertices that were not followed.
        failures: vertices that stand for an error, with it.
        traces: the distinct traces; trace: the one of each vertex (-1 where it was not followed).
        assignments: the matrices Λ of assignments to counted counters, (n, n); the first is the identity.
        targets: the vertices that the leaves of a vertex's trace lead to.
        runs: the gates of the traces. tosses: (expression, row) of every toss and of every channel.
        masks: for every set of outcomes the entries it keeps, (D, D). resets: by bit mask.
        rows: distinct values of the counters that angles and probabilities read, (counters, rows).
        stages: the order in which vertices are solved.
        channels: the noise channels of the traces.
    """

    points: list[int]
    stores: list[Store]
    followed: list[int]
    ends: list[int]
    aborted: list[int]
    frontier: list[int]
    failures: dict[int, EvaluationError]
    traces: list[Trace]
    assignments: list[NDArray[np.float64]]
    counted: Counted
    trace: list[int]
    targets: list[list[int]]
    runs: Runs
    tosses: list[tuple[int, int]]
    masks: list[NDArray[np.float64]]
    resets: dict[int, ResetMap]
    rows: NDArray[np.float64]
    stages: list[Stage]
    channels: list[Channel] = field(default_factory=list)

    @cached_property
    def stops(self) -> NDArray[np.int64]:
        """The vertices where runs end, abort, fail or are followed no more."""
        return np.array([*self.ends, *self.aborted, *self.frontier, *self.failures], dtype=np.int64)

    @cached_property
    def toss_places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The expression and the row of every toss."""
        places = np.array(self.tosses, dtype=np.int64).reshape(-1, 2)
        return places[:, 0], places[:, 1]

    @cached_property
    def channel_tosses(self) -> NDArray[np.int64]:
        """The toss of every noise channel."""
        return np.array([channel.toss for channel in self.channels], dtype=np.int64)

    @cached_property
    def members(self) -> dict[int, list[int]]:
        """The followed vertices by trace."""
        result: dict[int, list[int]] = {}
        for vertex in self.followed:
            result.setdefault(self.trace[vertex], []).append(vertex)
        return result

    @cached_property
    def targets_by_leaf(self) -> dict[int, list[list[int]]]:
        """For each trace and each leaf the targets of its members."""
        return {
            trace: [
                [self.targets[v][leaf] for v in vertices]
                for leaf in range(len(self.traces[trace].assignments))
            ]
            for trace, vertices in self.members.items()
        }

    @cached_property
    def shapes(self) -> list[Shape]:
        """The shapes of the traces that vertices have."""
        traces = [(trace.ops, trace.assignments) for trace in self.traces]
        return shapes_of(traces, self.members, self.targets, self.runs.varying)

    @cached_property
    def shape_of(self) -> dict[int, tuple[int, int]]:
        """For each of these traces its shape, and which of the shape's traces it is."""
        return {
            trace: (number, slot)
            for number, shape in enumerate(self.shapes)
            for slot, trace in enumerate(shape.traces)
        }

    @cached_property
    def chains(self) -> dict[int, tuple[int, Places]]:
        """By first vertex, for every chain: the shape of its traces, which of them each vertex has."""
        return {
            segment.vertices[0]: self._shapes_in(segment)
            for stage in self.stages
            for segment in stage.segments
            if isinstance(segment, Chain)
        }

    def _shapes_in(self, chain: Chain) -> tuple[int, Places]:
        found = [self.shape_of[self.trace[v]] for v in chain.vertices]
        slots = [slot for _, slot in found]
        if slots.count(slots[0]) == len(slots):
            slots = slots[:1]
        return found[0][0], places(np.array(slots))

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.frontier
