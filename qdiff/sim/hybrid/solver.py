"""Forward and backward solves over a graph, stage by stage.

A stage without heads is passed once. In a stage with heads, x = states at the heads solves
x = b + T x, where T is one sweep through the loop and b what arrives at the heads from outside; one
more sweep with the solution gives the rest of the loop and what leaves it. Backwards the same with
the adjoint sweep. Where a part of the space never leaves a loop (a *trap*), x is the part that does; what
falls into the trap is lost, and observables vanish there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qdiff.sim.hybrid.chains import chain_backward, chain_forward
from qdiff.sim.hybrid.coordinates import Reals, masses
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.loops import Loops
from qdiff.sim.hybrid.schedule import Chain, Loose, Stage
from qdiff.sim.hybrid.steps import Steps
from qdiff.sim.hybrid.superoperators import MatrixSteps
from qdiff.sim.hybrid.sweeps import States, Sweeps


class Solver:
    """One graph at P sets of parameters.

    Attributes:
        residuals: b + T x - x at the heads, (P, C, D²), of the last solve.
        caught: what fell into traps in the last forward solve, (P, K, D²) at heads of loops.
        lost: its mass, (P, K).
    """

    def __init__(self, graph: Graph, steps: Steps, dimension: int, rows: int) -> None:
        self.graph = graph
        self.steps = steps
        self.dimension = dimension
        self.size = dimension**2
        self.rows = rows
        self.sweeps = Sweeps(graph, steps, dimension, rows)
        self.moments = self.sweeps.moments
        self.loops = Loops(self.sweeps)
        self.residuals: States = {}
        self.caught: States = {}
        self.lost: Reals = np.zeros((rows, 1))

    def start(self) -> States:
        """The state |0…0> at vertex 0."""
        state = np.zeros((self.rows, self.moments, self.size))
        state[:, 0, 0] = 1.0
        return {0: state}

    def push_forward(self, sources: Mapping[int, Reals]) -> Field:
        """Return the visit states of all vertices that can be reached, from what enters at each vertex."""
        columns = max((y.shape[1] for y in sources.values()), default=self.moments)
        states = Field(len(self.graph.stores), (self.rows, columns, self.size), sources)
        self.lost = np.zeros((self.rows, columns // self.moments))
        self.caught = {}
        self.residuals = {}
        for stage in self.graph.stages:
            if stage.heads:
                self._loop_forward(stage, states)
            for segment in stage.segments:
                match segment:
                    case Chain() if isinstance(self.steps, MatrixSteps):
                        chain_forward(self.sweeps, self.steps, segment, states)
                    case Chain() | Loose():
                        self.sweeps.forward(segment.vertices, states, (), states)
        return states

    def pull_back(self, at_ends: Mapping[int, Reals], sources: Mapping[int, Reals] | None = None) -> Field:
        """Return the observables of all vertices from those at the ends.

        Args:
            sources: observables that are added at vertices on the way.
        """
        sources = sources or {}
        if isinstance(at_ends, Field):
            columns = at_ends.columns
        else:
            columns = next((y.shape[1] for y in (*at_ends.values(), *sources.values())), self.moments)
        observables = Field(len(self.graph.stores), (self.rows, columns, self.size), at_ends)
        self.residuals = {}
        for stage in reversed(self.graph.stages):
            if stage.heads:
                self._loop_backward(stage, observables, sources)
            for segment in reversed(stage.segments):
                match segment:
                    case Chain() if isinstance(self.steps, MatrixSteps):
                        chain_backward(self.sweeps, self.steps, segment, observables, sources)
                    case Chain() | Loose():
                        self.sweeps.backward(segment.vertices, observables, {}, sources)
        return observables

    def _loop_forward(self, stage: Stage, states: Field) -> None:
        inside = {v: states[v].copy() for v in stage.order if v in states}
        if not inside:
            return
        sweeps, columns = self.sweeps, states.columns
        others = {v: state for v, state in inside.items() if v not in stage.heads}
        b = sweeps.stacked(stage, inside, columns)
        from_others = sweeps.forward(stage.order, dict(others), stage.heads, None) if others else {}
        x = self.loops.solve(stage, b + sweeps.stacked(stage, from_others, columns), adjoint=False)
        solved = {**others, **sweeps.at_heads(stage, x)}
        arriving = b + sweeps.stacked(
            stage, sweeps.forward(stage.order, solved, stage.heads, states), columns
        )
        states.update(solved)
        if stage in self.loops.traps:
            trap = self.loops.traps[stage]
            caught = sweeps.at_heads(stage, trap.rest(arriving[:, :: self.moments]))
            self.caught.update(caught)
            self.lost = self.lost + masses(sum(caught.values(), np.zeros(())), self.dimension)
            arriving = trap.project(arriving)
        self.residuals.update(sweeps.at_heads(stage, arriving - x))

    def _loop_backward(self, stage: Stage, observables: Field, sources: Mapping[int, Reals]) -> None:
        after = {t: observables[t] for v in stage.order for t in self.graph.targets[v] if t in observables}
        if not after and not any(v in sources for v in stage.order):
            return  # nothing is observed after this loop
        sweeps, columns = self.sweeps, observables.columns
        nothing = dict.fromkeys(stage.heads, np.zeros((self.rows, columns, self.size)))
        b = sweeps.stacked(stage, sweeps.backward(stage.order, dict(after), nothing, sources), columns)
        x = self.loops.solve(stage, b, adjoint=True)
        given = sweeps.at_heads(stage, x)
        arriving = sweeps.stacked(stage, sweeps.backward(stage.order, observables, given, sources), columns)
        observables.update(given)
        if stage in self.loops.traps:
            arriving = self.loops.traps[stage].project(arriving)
        self.residuals.update(sweeps.at_heads(stage, arriving - x))
