"""Forward and backward solves over a graph, stage by stage.

A stage without heads is passed once. In a stage with heads, x = states at the heads solves
x = b + T x, where T is one sweep through the loop and b what arrives at the heads from outside; one
more sweep with the solution gives the rest of the loop and what leaves it. Backwards the same with
the adjoint sweep. A state that no run can reach is absent from the maps below, which stands for zero.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from qdiff.sim.hybrid import linear
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.schedule import Stage
from qdiff.sim.hybrid.traces import Maps, Stack
from qdiff.sim.hybrid.transfer import Transfer

States = dict[int, Stack]  # vertex → stack of matrices, (B, D, D)


class Solver:
    """One graph at one set of parameters.

    Attributes:
        applications: sweeps through loops that iterative solves have made, forward and backward.
        residuals: R_start + T(R) - R at the heads of every loop, after a forward solve.
    """

    def __init__(self, graph: Graph, maps: Maps, dimension: int) -> None:
        self.graph = graph
        self.dimension = dimension
        self.transfer = Transfer(graph, maps, dimension)
        self._systems: dict[Stage, linear.LoopSystem] = {}  # of the loops that are not iterated
        self.applications = 0
        self.residuals: list[Stack] = []

    def push_forward(self, sources: States | None = None) -> States:
        """Return the visit states of all vertices that can be reached.

        Args:
            sources: what enters at each vertex; the state |0…0> at vertex 0 if left out.
        """
        start = np.zeros((1, self.dimension, self.dimension), dtype=complex)
        start[0, 0, 0] = 1.0
        states: States = {0: start} if sources is None else dict(sources)
        self.residuals = []
        for stage in self.graph.stages:
            if stage.heads:
                self._loop_forward(stage, states)
            else:
                self._forward(stage.order, states, (), states)
        return states

    def pull_back(self, at_ends: States) -> States:
        """Return the observables of all vertices from those at the ends."""
        observables = dict(at_ends)
        for stage in reversed(self.graph.stages):
            if stage.heads:
                self._loop_backward(stage, observables)
            else:
                self._backward(stage.order, observables, {})
        return observables

    # --- sweeps ---

    def _forward(
        self, order: Sequence[int], states: States, heads: Collection[int], outside: States | None
    ) -> States:
        """Move states on through `order`; return what arrives at the heads.

        Vertices in `order` receive into `states`, all others into `outside` (None: nowhere).
        """
        inside = set(order)
        arriving: States = {}
        for vertex in order:
            state = states.get(vertex)
            if state is None:
                continue
            for target, part in zip(
                self.graph.targets[vertex], self.transfer.forward(vertex, state), strict=True
            ):
                receiver = arriving if target in heads else states if target in inside else outside
                if receiver is not None:
                    before = receiver.get(target)
                    receiver[target] = part if before is None else before + part
        return arriving

    def _backward(self, order: Sequence[int], observables: States, heads: States) -> States:
        """Pull observables back through `order`; return what arrives at the heads.

        A target counts with what it has in `heads`, else in `observables`.
        """
        arriving: States = {}
        for vertex in reversed(order):
            leaves = [heads.get(t, observables.get(t)) for t in self.graph.targets[vertex]]
            pulled = self.transfer.backward(vertex, leaves)
            if pulled is not None:
                (arriving if vertex in heads else observables)[vertex] = pulled
        return arriving

    # --- loops ---

    def _loop_forward(self, stage: Stage, states: States) -> None:
        inside = {v: states.pop(v) for v in stage.order if v in states}
        if not inside:
            return
        at_heads = self._stacked(stage, inside)
        others = {v: state for v, state in inside.items() if v not in stage.heads}
        b = at_heads + self._stacked(stage, self._forward(stage.order, dict(others), stage.heads, None))

        def sweep(x: Stack) -> Stack:
            """x: (B, heads, D, D)."""
            at = {head: x[:, i] for i, head in enumerate(stage.heads)}
            arriving = self._forward(stage.order, at, stage.heads, None)
            result = np.zeros_like(x)
            for i, head in enumerate(stage.heads):
                if head in arriving:
                    result[:, i] = arriving[head]
            return result

        system = self._system(stage, sweep, b)
        if system is not None:
            self._systems[stage] = system
        x = self._solution(stage, lambda x: sweep(x[None])[0], b, adjoint=False)
        solved = {**others, **{head: x[i][None] for i, head in enumerate(stage.heads)}}
        arriving = self._forward(stage.order, solved, stage.heads, states)
        states.update(solved)
        self.residuals.append(at_heads + self._stacked(stage, arriving) - x)

    def _loop_backward(self, stage: Stage, observables: States) -> None:
        zero = np.zeros((1, self.dimension, self.dimension), dtype=complex)
        after = {t: observables[t] for v in stage.order for t in self.graph.targets[v] if t in observables}
        b = self._stacked(stage, self._backward(stage.order, after, dict.fromkeys(stage.heads, zero)))

        def sweep(x: Stack) -> Stack:
            given = {head: x[i][None] for i, head in enumerate(stage.heads)}
            return self._stacked(stage, self._backward(stage.order, {}, given))

        x = self._solution(stage, sweep, b, adjoint=True)
        given = {head: x[i][None] for i, head in enumerate(stage.heads)}
        self._backward(stage.order, observables, given)
        observables.update(given)

    def _stacked(self, stage: Stage, states: States) -> Stack:
        """The matrices at the heads of a stage, (heads, D, D)."""
        result = np.zeros((len(stage.heads), self.dimension, self.dimension), dtype=complex)
        for i, head in enumerate(stage.heads):
            if head in states:
                result[i] = states[head][0]
        return result

    def _system(self, stage: Stage, sweep: Callable[[Stack], Stack], b: Stack) -> linear.LoopSystem | None:
        """The equations of a loop as a matrix, where that is cheaper than iterating."""
        if b.size <= linear.DENSE_UP_TO:
            basis = np.eye(b.size, dtype=complex).reshape(b.size, *b.shape)
            return linear.DenseSystem(sweep(basis).reshape(b.size, b.size).T)
        if self.dimension <= linear.SPARSE_DIMENSION_UP_TO:
            return self.transfer.equations(stage)
        return None

    def _solution(self, stage: Stage, sweep: Callable[[Stack], Stack], b: Stack, *, adjoint: bool) -> Stack:
        def apply(x: Stack) -> Stack:
            self.applications += 1
            return sweep(x.reshape(b.shape)).ravel()

        system = self._systems.get(stage)
        x = None if system is None else system.solve(b.ravel(), adjoint=adjoint)
        if x is None:  # too large for a matrix, or singular: the iteration finds the minimal solution
            x = linear.solve_krylov(apply, b.ravel())
        return x.reshape(b.shape)
