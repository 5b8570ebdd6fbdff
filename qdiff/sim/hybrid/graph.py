"""Which meeting points and stores a program can reach, and how runs go from one to the next.

A *vertex* is a meeting point of the flow together with a store (the values of the counters that are
live there, 0 for the others). Each vertex has a *trace*, what happens from there to the next vertices;
vertices whose traces are equal, targets aside, share one. The result depends on the program, on the
observables' counters and on the values of compared parameters only, so one graph serves a whole
training run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.sim.hybrid.counted import Counted
from qdiff.sim.hybrid.schedule import Stage
from qdiff.sim.hybrid.traces import Op, ResetMap
from qdiff.sim.hybrid.unitaries import Runs

Store = tuple[int, ...]


@dataclass(frozen=True)
class Trace:
    """What happens between two meeting points: the tree of outcomes.

    Attributes:
        ops: see `traces`.
        moments: for every leaf what its assignments do to the moments (an index into
            `Graph.moments`, 0 for nothing).
    """

    ops: tuple[Op, ...]
    moments: tuple[int, ...]


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
        moments: the matrices Λ of assignments to counted counters, (n, n); the first is the identity.
        targets: the vertices that the leaves of a vertex's trace lead to.
        runs: the gates of the traces. tosses: (expression, row) of every toss.
        masks: for every set of outcomes the entries it keeps, (D, D). resets: by bit mask.
        rows: distinct values of the counters that angles and probabilities read, (counters, rows).
        stages: the order in which vertices are solved.
    """

    points: list[int]
    stores: list[Store]
    followed: list[int]
    ends: list[int]
    aborted: list[int]
    frontier: list[int]
    failures: dict[int, EvaluationError]
    traces: list[Trace]
    moments: list[NDArray[np.float64]]
    counted: Counted
    trace: list[int]
    targets: list[list[int]]
    runs: Runs
    tosses: list[tuple[int, int]]
    masks: list[NDArray[np.float64]]
    resets: dict[int, ResetMap]
    rows: NDArray[np.float64]
    stages: list[Stage]

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
                [self.targets[v][leaf] for v in vertices] for leaf in range(len(self.traces[trace].moments))
            ]
            for trace, vertices in self.members.items()
        }

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.frontier
