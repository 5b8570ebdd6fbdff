"""Loops: their equations x = b + T x, solved whichever way is cheapest, and their traps.

Moments are solved one after the other: assignments lead from lower to higher ones, so that the equations
of all moments have the same T but for a factor where a counter is set anew or changes its sign.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.sim.hybrid import krylov, linear
from qdiff.sim.hybrid.compression import Compression
from qdiff.sim.hybrid.coordinates import Reals, identity
from qdiff.sim.hybrid.kraus import Kraus, KrausSystem, iterated
from qdiff.sim.hybrid.schedule import Stage
from qdiff.sim.hybrid.steps import OperationSteps, longest_by_gates
from qdiff.sim.hybrid.superoperators import MatrixSteps
from qdiff.sim.hybrid.supports import useless
from qdiff.sim.hybrid.sweeps import States, Sweeps
from qdiff.sim.hybrid.traps import Leaving, leaving_spaces

LARGEST_LEAK = 16 * np.finfo(float).eps  # of a trap, for each dimension: rounding
Pattern = tuple[float, ...]


class Loops:
    """The loops of one graph at P sets of parameters.

    Attributes:
        applications: sweeps through loops that iterative solves have made.
        traps: by loop, what leaves it; loops without traps are absent.
    """

    def __init__(self, sweeps: Sweeps) -> None:
        self.sweeps = sweeps
        self.graph = sweeps.graph
        self.rows = sweeps.rows
        self.applications = 0
        self.traps: dict[Stage, Leaving] = {}
        self._systems: dict[tuple[Stage, Pattern], linear.LoopSystem | None] = {}
        self._compressions: dict[Stage, Compression | None] = {}
        self._kraus: dict[Stage, Kraus | None] = {}
        self._unneeded: dict[tuple[Stage, bool], dict[int, frozenset[int]]] = {}

    def solve(self, stage: Stage, b: Reals, *, adjoint: bool) -> Reals:
        """Return x = b + T x, (P, C, heads·D²), T one sweep forwards or (adjoint) backwards.

        Raises:
            EvaluationError: it takes too many passes for a solution to be found.
        """
        n = self.sweeps.moments
        x = np.zeros_like(b)
        for turn, moment in enumerate(range(n - 1, -1, -1) if adjoint else range(n)):
            self._prepare(stage, moment, b.shape[-1])  # finds traps before they are projected out
            right = b[:, moment::n]
            if turn:
                right = right + self._sweep(stage, x, adjoint, None)[:, moment::n]
            x[:, moment::n] = self._one_moment(stage, self._project(stage, right), moment, adjoint)
        return x

    def _sweep(self, stage: Stage, x: Reals, adjoint: bool, only: int | None, bare: bool = False) -> Reals:
        """One sweep through a loop, of all moments or of one by itself; `bare`: tails left out."""
        at = self.sweeps.at_heads(stage, x)
        skipped = self._skipped(stage, bare)
        if adjoint:
            arriving = self.sweeps.backward(stage.order, {}, at, {}, only, skipped)
        else:
            arriving = self.sweeps.forward(stage.order, at, stage.heads, None, only, skipped)
        return self.sweeps.stacked(stage, arriving, x.shape[1])

    def _project(self, stage: Stage, y: Reals) -> Reals:
        return self.traps[stage].project(y) if stage in self.traps else y

    def _one_moment(self, stage: Stage, right: Reals, moment: int, adjoint: bool) -> Reals:
        system = self._systems[stage, self._pattern(stage, moment)]
        if system is not None:
            return system.solve(right, adjoint=adjoint)
        only = moment if self.sweeps.moments > 1 else None

        def apply(flat: Reals, bare: bool = False) -> Reals:
            self._count()
            swept = self._sweep(stage, flat.reshape(right.shape), adjoint, only, bare)
            return self._project(stage, swept).reshape(flat.shape)

        if (kraus := self._operators(stage)) is not None:
            factor = self._factor(stage, kraus, moment)
            solved = iterated(kraus, factor, right, self._count, adjoint=adjoint)
        elif stage in self.traps or (compression := self._compression(stage)) is None:
            solved = krylov.gmres(apply, right.reshape(-1, right.shape[-1]))
        else:
            solved = _solve_compressed(compression, apply, right, adjoint)
        believable = np.abs(solved.x).max(initial=0.0) <= linear.MOST_VISITS * np.abs(right).max(initial=0.0)
        if solved.accepted and believable:
            return solved.x.reshape(right.shape)
        if stage not in self.traps and self._find_traps(stage):
            return self._one_moment(stage, self._project(stage, right), moment, adjoint)
        raise EvaluationError(
            f"A loop could not be solved: after {solved.applications} passes through it the relative "
            f"residual is {solved.residuals.max():.1e}. It takes too many passes on average at these "
            "parameters."
        )

    def _count(self) -> None:
        self.applications += 1

    # --- equations ---

    def _prepare(self, stage: Stage, moment: int, size: int) -> None:
        """Build the equations of a loop for one moment, where that is cheaper than iterating."""
        pattern = self._pattern(stage, moment)
        if (stage, pattern) in self._systems:
            return
        if pattern:
            self._prepare(stage, 0, size)  # the traps are those of the mass
        system = self._systems[stage, pattern] = self._system(stage, moment, size)
        if pattern or system is None or stage in self.traps:
            return
        if not system.transient(identity(self.sweeps.dimension)).all():
            if not self._find_traps(stage):
                raise EvaluationError(
                    "A loop could not be solved: it takes so many passes on average at these parameters "
                    "that rounding hides its end."
                )
            self._systems[stage, pattern] = self._system(stage, moment, size)

    def _pattern(self, stage: Stage, moment: int) -> Pattern:
        """What every assignment in a loop makes of a moment by itself; () where it is 1 throughout."""
        if moment == 0:
            return ()
        graph = self.graph
        factors = tuple(
            float(graph.assignments[m][moment, moment])
            for v in stage.order
            for m in graph.traces[graph.trace[v]].assignments
        )
        return () if all(factor == 1.0 for factor in factors) else factors

    def _system(self, stage: Stage, moment: int, size: int) -> linear.LoopSystem | None:
        steps = self.sweeps.steps
        kraus = self._operators(stage)
        if kraus is not None and kraus.unknowns <= linear.DENSE_UP_TO:
            return KrausSystem(kraus, self.rows, self._factor(stage, kraus, moment))
        if size > linear.DENSE_UP_TO:
            fit = isinstance(steps, MatrixSteps) and stage not in self.traps
            return self._sparse(steps, stage, moment) if fit else None  # type: ignore[arg-type]
        if isinstance(steps, MatrixSteps) and len(stage.order) == 1 and stage not in self.traps:
            return linear.DenseSystem(self._own_matrix(steps, stage, moment))
        units = np.broadcast_to(np.eye(size), (self.rows, size, size))
        only = moment if self.sweeps.moments > 1 else None
        return linear.DenseSystem(self._project(stage, self._sweep(stage, units, False, only)))

    def _own_matrix(self, steps: MatrixSteps, stage: Stage, moment: int) -> Reals:
        """T of a loop of one vertex: what its trace brings back to it."""
        (vertex,) = stage.order
        total = np.zeros((self.rows, self.sweeps.size, self.sweeps.size))
        for _, factor, part in self._back(steps, vertex, {vertex}, moment):
            total += factor * part
        return total

    def _back(
        self, steps: MatrixSteps, vertex: int, inside: set[int], moment: int
    ) -> list[tuple[int, float, Reals]]:
        """The targets of a vertex inside a loop, with factor and matrix."""
        graph, trace = self.graph, self.graph.trace[vertex]
        leaves = zip(
            graph.targets[vertex], graph.traces[trace].assignments, steps.by_leaf(trace), strict=True
        )
        return [
            (t, float(graph.assignments[m][moment, moment]), part) for t, m, part in leaves if t in inside
        ]

    def _sparse(self, steps: MatrixSteps, stage: Stage, moment: int) -> linear.SparseSystem:
        """The equations of all vertices of a loop: an entry for each step inside it."""
        size = self.sweeps.size
        place = {vertex: size * i for i, vertex in enumerate(stage.order)}
        block_rows, block_columns = (index.ravel() for index in np.indices((size, size)))
        rows: list[NDArray[np.int64]] = []
        columns: list[NDArray[np.int64]] = []
        entries: list[Reals] = []
        for vertex in stage.order:
            for target, factor, part in self._back(steps, vertex, set(place), moment):
                rows.append(place[vertex] + block_rows)
                columns.append(place[target] + block_columns)
                entries.append(
                    np.broadcast_to(factor * part.reshape(len(part), -1), (self.rows, size * size))
                )
        heads = np.concatenate([place[head] + np.arange(size) for head in stage.heads])
        return linear.SparseSystem(
            np.concatenate(rows),
            np.concatenate(columns),
            np.concatenate(entries, axis=1),
            size * len(place),
            heads,
        )

    # --- fewer unknowns, less work ---

    def _operators(self, stage: Stage) -> Kraus | None:
        """The Kraus operators of a loop with one way back and without a trap."""
        steps = self.sweeps.steps
        if not isinstance(steps, OperationSteps) or stage in self.traps:
            return None
        if stage not in self._kraus:
            self._kraus[stage] = Kraus.of(self.graph, stage, steps.maps, self.sweeps.dimension)
        return self._kraus[stage]

    def _factor(self, stage: Stage, kraus: Kraus, moment: int) -> float:
        """What one pass through a loop with one way back makes of a moment by itself."""
        graph = self.graph
        assignment = graph.traces[graph.trace[stage.order[0]]].assignments[kraus.leaf]
        return float(graph.assignments[assignment][moment, moment])

    def _compression(self, stage: Stage) -> Compression | None:
        steps = self.sweeps.steps
        if stage not in self._compressions:
            self._compressions[stage] = (
                Compression.of(
                    self.graph, stage, steps.maps, steps.conjugate, longest_by_gates(self.sweeps.dimension)
                )
                if isinstance(steps, OperationSteps)
                else None
            )
        return self._compressions[stage]

    def _skipped(self, stage: Stage, bare: bool) -> dict[int, frozenset[int]]:
        """By trace the operations that a sweep through a loop need not do; `bare`: tails as well."""
        if not isinstance(self.sweeps.steps, OperationSteps):
            return {}
        key = (stage, bare)
        if key not in self._unneeded:
            graph, inside = self.graph, set(stage.order)
            wanted: dict[int, list[bool]] = {}
            for v in stage.order:
                leaves = wanted.setdefault(graph.trace[v], [False] * len(graph.targets[v]))
                for leaf, target in enumerate(graph.targets[v]):
                    leaves[leaf] |= target in inside
            compression = self._compression(stage) if bare else None
            self._unneeded[key] = {
                trace: useless(graph.traces[trace].ops, leaves)
                | (compression.tails[trace] if compression else frozenset())
                for trace, leaves in wanted.items()
            }
        return self._unneeded[key]

    # --- traps ---

    def _find_traps(self, stage: Stage) -> bool:
        """Find the part of a loop's space that leaves it; whether there is any other."""
        found = leaving_spaces(
            lambda x: self._sweep(stage, x, True, 0), len(stage.heads), self.sweeps.dimension, self.rows
        )
        if found.everything:
            return False
        self.traps[stage] = found
        if self.leak(stage) > LARGEST_LEAK * self.sweeps.dimension:
            # More than rounding gets out: a loop that ends after 10¹³ passes or so is no trap.
            del self.traps[stage]
            return False
        return True

    def leak(self, stage: Stage) -> float:
        """Return the largest entry of what leaves a trap in one sweep."""
        sweeps = self.sweeps
        inside = self.traps[stage].rest(np.tile(identity(sweeps.dimension), (self.rows, 1, len(stage.heads))))
        outside: States = {}
        at = sweeps.at_heads(stage, inside)
        arriving = sweeps.forward(stage.order, at, stage.heads, outside, only=0)
        kept = self.traps[stage].project(sweeps.stacked(stage, arriving, 1))
        return max(float(np.abs(y).max(initial=0.0)) for y in [kept, *outside.values()])

    def sweep_traps(self, states: States) -> tuple[States, States]:
        """Move states (P, 1, D²) at heads of loops once around; return what was visited and what arrives."""
        visited: States = {}
        arriving: States = {}
        for stage in self.traps:
            at = {head: states[head] for head in stage.heads if head in states}
            arriving |= self.sweeps.forward(stage.order, at, stage.heads, None, only=0)
            visited |= at
        return visited, arriving


def _solve_compressed(
    compression: Compression, apply: Callable[..., Reals], right: Reals, adjoint: bool
) -> krylov.Solved:
    """Solve x = b + T x with the unknowns of a compression."""

    def forward(z: Reals) -> Reals:
        """J†T J: the tails of a sweep are J itself."""
        swept = apply(compression.expand(z.reshape(*right.shape[:2], -1)), True)
        return compression.compress(swept, bare=True).reshape(z.shape)

    def backward(w: Reals) -> Reals:
        """J†T†J, the tails of the sweep backwards left out."""
        swept = apply(compression.embedded(w.reshape(*right.shape[:2], -1)), True)
        return compression.compress(swept).reshape(w.shape)

    b = compression.compress(right) if adjoint else compression.compress(apply(right, True), bare=True)
    solved = krylov.gmres(backward if adjoint else forward, b.reshape(-1, b.shape[-1]))
    z = solved.x.reshape(b.shape)
    x = right + (apply(compression.embedded(z), True) if adjoint else compression.expand(z))
    return replace(solved, x=x)
