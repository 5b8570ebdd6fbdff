"""Moving states and observables through vertices in an order, and what is at the heads of loops."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping, Sequence

import numpy as np

from qdiff.sim.hybrid.coordinates import Reals
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.schedule import Stage
from qdiff.sim.hybrid.steps import Steps

NOTHING: Mapping[int, frozenset[int]] = {}
States = dict[int, Reals]  # vertex → (P, C, D²), C = K·n: K states, each with n moments


class Sweeps:
    """One graph at P sets of parameters."""

    def __init__(self, graph: Graph, steps: Steps, dimension: int, rows: int) -> None:
        self.graph = graph
        self.steps = steps
        self.dimension = dimension
        self.size = dimension**2
        self.rows = rows
        self.moments = len(graph.counted.basis)

    def forward(
        self,
        order: Sequence[int],
        states: MutableMapping[int, Reals],
        heads: Collection[int],
        outside: MutableMapping[int, Reals] | None,
        only: int | None = None,
        skipped: Mapping[int, frozenset[int]] = NOTHING,
    ) -> States:
        """Move states on through `order`; return what arrives at the heads.

        Vertices in `order` receive into `states`, all others into `outside` (None: nowhere). With
        `only` the columns are states of that one moment.
        """
        inside = set(order) if heads else ()
        arriving: States = {}
        graph = self.graph
        for vertex in order:
            state = states.get(vertex)
            if state is None:
                continue
            trace = graph.trace[vertex]
            leaves = self.steps.forward(trace, state, skipped.get(trace, ()))
            assignments = graph.traces[trace].assignments
            for target, part, assignment in zip(graph.targets[vertex], leaves, assignments, strict=True):
                receiver: MutableMapping[int, Reals] | None = states
                if heads:
                    receiver = arriving if target in heads else states if target in inside else outside
                if receiver is None or part is None:
                    continue
                if assignment:
                    part = self.moved(part, assignment, only)
                before = receiver.get(target)
                receiver[target] = part if before is None else before + part
        return arriving

    def backward(
        self,
        order: Sequence[int],
        observables: MutableMapping[int, Reals],
        heads: States,
        sources: Mapping[int, Reals],
        only: int | None = None,
        skipped: Mapping[int, frozenset[int]] = NOTHING,
    ) -> States:
        """Pull observables back through `order`; return what arrives at the heads.

        A target counts with what it has in `heads`, else in `observables`.
        """
        arriving: States = {}
        graph = self.graph
        for vertex in reversed(order):
            trace = graph.trace[vertex]
            leaves: list[Reals | None] = []
            for target, assignment in zip(
                graph.targets[vertex], graph.traces[trace].assignments, strict=True
            ):
                leaf = heads.get(target)
                if leaf is None:
                    leaf = observables.get(target)
                if assignment and leaf is not None:
                    leaf = self.moved(leaf, assignment, only, adjoint=True)
                leaves.append(leaf)
            pulled = self.steps.backward(trace, leaves, skipped.get(trace, ()))
            added = sources.get(vertex)
            if added is not None:
                pulled = added if pulled is None else pulled + added
            if pulled is not None:
                (arriving if vertex in heads else observables)[vertex] = pulled
        return arriving

    def moved(self, y: Reals, assignment: int, only: int | None, *, adjoint: bool = False) -> Reals:
        """What assignments make of moments; of one of them by itself with `only`."""
        matrix = self.graph.assignments[assignment]
        if only is not None:
            return np.asarray(y * matrix[only, only])
        return self.mixed(y, matrix.T if adjoint else matrix)

    def mixed(self, y: Reals, matrix: Reals) -> Reals:
        """A matrix on the moments of (..., C, D²)."""
        split = y.reshape(*y.shape[:-2], -1, self.moments, self.size)
        return np.asarray(matrix @ split).reshape(y.shape)

    # --- heads ---

    def stacked(self, stage: Stage, states: Mapping[int, Reals], columns: int) -> Reals:
        """What is at the heads of a stage, (P, C, heads·D²)."""
        if len(stage.heads) == 1 and stage.heads[0] in states:
            return states[stage.heads[0]]
        result = np.zeros((self.rows, columns, len(stage.heads) * self.size))
        for i, head in enumerate(stage.heads):
            if head in states:
                result[:, :, i * self.size : (i + 1) * self.size] = states[head]
        return result

    def at_heads(self, stage: Stage, x: Reals) -> States:
        """(P, C, heads·D²) by head."""
        return {head: x[:, :, i * self.size : (i + 1) * self.size] for i, head in enumerate(stage.heads)}
