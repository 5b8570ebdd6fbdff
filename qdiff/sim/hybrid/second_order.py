"""Tangents of states and observables along directions in parameter space: forward over reverse.

Along a direction v the maps of a trace change (`trace_tangents`). What their own changes contribute enters
two more solves as sources,

    Ṙ = T(Ṙ) + Ṫ(R),     Ȧ = T†(Ȧ) + Ṫ†(A);

the derivative of the gradient is that of its formula.
One set of parameters at a time (P = 1), V directions together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.hybrid import correlate as co
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.coordinates import Reals, decode, encode
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.stacks import added, product_sum, side_by_side, split
from qdiff.sim.hybrid.steps import OperationSteps
from qdiff.sim.hybrid.superoperators import MatrixSteps
from qdiff.sim.hybrid.sweeps import States
from qdiff.sim.hybrid.trace_tangents import Both, TraceTangents
from qdiff.sim.hybrid.traces import Maps, Op, Stack
from qdiff.sim.hybrid.unitaries import Unitaries


class Tangents:
    """How the maps of one graph change along V directions.

    Args:
        gates, tosses: changes of the angles (V, G) and of the probabilities (V, T).
    """

    def __init__(
        self, solver: Solver, maps: Maps, unitaries: Unitaries, gates: Floats, tosses: Floats
    ) -> None:
        self.solver = solver
        self.maps = maps
        self.unitaries = unitaries
        self.gates = gates
        self.tosses = tosses
        self.count = len(gates)
        self.inside = TraceTangents(solver, maps, unitaries, gates, tosses)

    # --- solves ---

    def of_states(self, states: Field) -> Field:
        """Return Ṙ at every vertex, (1, V·n, D²), from R, (1, n, D²)."""
        graph, n, size = self.solver.graph, self.solver.moments, self.solver.size
        sources: States = {}
        for trace, vertices in graph.members.items():
            changes = self._forward_change(trace, side_by_side(states, vertices))
            for leaf, change in enumerate(changes):
                if change is None:
                    continue
                by_member = change.reshape(self.count, len(vertices), n, size)
                if assignment := graph.traces[trace].assignments[leaf]:
                    by_member = graph.assignments[assignment] @ by_member
                for i, target in enumerate(graph.targets_by_leaf[trace][leaf]):
                    part = by_member[:, i].reshape(1, -1, size)
                    before = sources.get(target)
                    sources[target] = part if before is None else before + part
        return self._solved(sources, 1, self.solver.push_forward)

    def of_observables(self, observables: Field, columns: int) -> Field:
        """Return Ȧ at every vertex, (1, V·columns·n, D²), from A, (1, columns·n, D²)."""
        graph, n, size = self.solver.graph, self.solver.moments, self.solver.size
        sources: States = {}
        for trace, vertices in graph.members.items():  # also where no state comes: a derivative may
            leaves = co.leaf_stacks(self.solver, trace, observables, columns)
            found = self._backward_change(trace, leaves)
            if found is None:
                continue
            by_member = found.reshape(self.count, columns, len(vertices), n, size)
            for i, vertex in enumerate(vertices):
                sources[vertex] = by_member[:, :, i].reshape(1, -1, size)
        return self._solved(sources, columns, lambda given: self.solver.pull_back({}, given))

    def _solved(self, sources: States, columns: int, solve: Callable[[States], Field]) -> Field:
        if sources:
            return solve(sources)
        shape = (1, self.count * columns * self.solver.moments, self.solver.size)
        return Field(len(self.solver.graph.stores), shape)

    def _forward_change(self, trace: int, stack: Reals) -> list[Reals | None]:
        """Ṫ(R) at every leaf, (V, J, D²), for states (1, J, D²)."""
        ops = self.solver.graph.traces[trace].ops
        d = self.solver.dimension
        if isinstance(self.solver.steps, MatrixSteps):
            changes = self._matrix_change(trace)
            return [None if c is None else stack @ c for c in changes]
        leaves = self.inside.forward(ops, decode(stack, d), None, occupied=self.solver.steps.occupied(trace))
        return [None if dx is None else encode(dx[0]) for _, dx in leaves]

    def _matrix_change(self, trace: int) -> list[Reals | None]:
        """The derivative of a trace's matrix, (V, D², D²) for every leaf."""
        assert isinstance(self.solver.steps, MatrixSteps)
        leaves = self.inside.forward(self.solver.graph.traces[trace].ops, self.solver.steps.basis, None)
        return [None if dx is None else encode(dx[0]) for _, dx in leaves]

    def _backward_change(self, trace: int, leaves: Sequence[Reals]) -> Reals | None:
        """Ṫ†(A) at the start, (V, J, D²), for observables (1, J, D²) at the leaves."""
        d = self.solver.dimension
        if isinstance(self.solver.steps, MatrixSteps):
            result: Reals | None = None
            for change, leaf in zip(self._matrix_change(trace), leaves, strict=True):
                if change is not None:
                    part = leaf @ change.swapaxes(1, 2)
                    result = part if result is None else result + part
            return result
        decoded = [decode(leaf, d) for leaf in leaves]
        ops = self.solver.graph.traces[trace].ops
        occupied = self.solver.steps.occupied(trace)
        _, da = self.inside.backward(ops, decoded, [None] * len(decoded), occupied=occupied)
        return None if da is None else encode(da[0])

    # --- derivative of the gradient ---

    def of_gradient(
        self, states: Field, observables: Field, dstates: Field, dobservables: Field, columns: int
    ) -> tuple[Floats, Floats]:
        """Return how the derivatives by angles and by probabilities change, (V, k, G) and (V, k, T)."""
        graph = self.solver.graph
        by_angle = np.zeros((self.count, columns, len(graph.runs.rotated)))
        by_toss = np.zeros((self.count, columns, len(graph.tosses)))
        products: dict[int, Both] = {}
        for trace in graph.members:
            ops = graph.traces[trace].ops
            wanted = co.dependent(graph, ops)
            if not wanted:
                continue
            x, dx, a, da = self._ends_of(trace, states, observables, dstates, dobservables, columns)
            kept: dict[int, tuple[Stack, Stack | None]] = {}

            def forwards(
                i: int,
                x: Stack,
                dx: Stack | None,
                kept: dict[int, tuple[Stack, Stack | None]] = kept,
                wanted: list[int] = wanted,
            ) -> None:
                if i in wanted:
                    kept[i] = x, dx

            steps = self.solver.steps
            occupied = steps.occupied(trace) if isinstance(steps, OperationSteps) else None
            self.inside.forward(ops, x, dx, forwards, occupied, wanted[-1])

            def backwards(
                i: int,
                after: Both,
                before: Both,
                kept: dict[int, tuple[Stack, Stack | None]] = kept,
                ops: Sequence[Op] = ops,
            ) -> None:
                code, _, _, arg = ops[i]
                if i not in kept:
                    return
                x, dx = kept[i]
                if code == traces.UNITARY:
                    a, da = (None if y is None else split(y, columns) for y in before)
                    product = None if a is None else product_sum(x, a)[0]
                    change = None if da is None else product_sum(x[:, None], da)[0]
                    if dx is not None and a is not None:
                        change = added(change, product_sum(dx, a[:, None])[0])
                    earlier, earlier_change = products.get(arg, (None, None))
                    products[arg] = added(earlier, product), added(earlier_change, change)
                elif code == traces.CHANNEL:
                    a, da = (None if y is None else split(y, columns) for y in after)
                    by_toss[:, :, graph.channels[arg].toss] += self._of_channel(arg, x, dx, a, da)
                else:
                    sign = 1.0 if code == traces.TOSS else -1.0
                    a, da = (None if y is None else split(y, columns) for y in after)
                    if da is not None:
                        by_toss[:, :, arg] += sign * co.overlap(da, x[:, None])[0]
                    if a is not None and dx is not None:
                        by_toss[:, :, arg] += sign * co.overlap(a[:, None], dx)[0]

            self.inside.backward(ops, a, da, backwards, first=wanted[0])
        for run, (product, change) in products.items():
            self._add_second(run, product, change, by_angle)
        return by_angle, by_toss

    def _of_channel(
        self, channel: int, x: Stack, dx: Stack | None, a: Stack | None, da: Stack | None
    ) -> Floats:
        """How tr(A d𝓔/dp(R)) changes, (V, k): with A, with R, and with p."""
        noise = self.maps.noise
        total = np.zeros((self.count, 1))
        if da is not None:
            total = total + co.overlap(da, noise.forward(channel, x, 1)[:, None])[0]
        if a is not None and dx is not None:
            total = total + co.overlap(a[:, None], noise.forward(channel, dx, 1))[0]
        if a is not None:
            rate = self.tosses[:, self.solver.graph.channels[channel].toss]
            total = total + rate[:, None] * co.overlap(a, noise.forward(channel, x, 2))
        return np.asarray(total)

    def _add_second(self, run: int, product: Stack | None, change: Stack | None, by_angle: Floats) -> None:
        """Im tr(B_i (Ṁ + [Ω_≤i, M])) of every rotation of a run; Ω_≤i is that of the gates up to it.

        The generator of a gate with a drift changes with its angle: + ȧ Im tr(P_i† (dK/da) P_i M).
        """
        b = self.unitaries.carried(run)[0]
        omega = np.zeros((self.count, 1, *b.shape[1:]), dtype=complex)
        for i, instance in enumerate(self.unitaries.source.rotations[run]):
            total = change
            rates = self.gates[:, instance]
            if rates.any():
                omega = omega - 0.5j * rates[:, None, None, None] * b[i]
            if product is not None and omega.any():
                total = added(total, omega @ product - product @ omega)
            if total is not None:
                by_angle[:, :, instance] += np.einsum("ij,vkji->vk", b[i], total).imag
            bent = self.unitaries.bent(run, i) if rates.any() else None
            if bent is not None and product is not None:
                by_angle[:, :, instance] += rates[:, None] * np.einsum("ij,kji->k", bent[0], product).imag

    def _ends_of(
        self,
        trace: int,
        states: Field,
        observables: Field,
        dstates: Field,
        dobservables: Field,
        columns: int,
    ) -> tuple[Stack, Stack | None, list[Stack], list[Stack]]:
        """States and tangents at the start of a trace, observables and tangents at its leaves."""
        solver, d = self.solver, self.solver.dimension
        wide = columns * self.count
        vertices = solver.graph.members[trace]
        dx = self._stacked_tangents(vertices, dstates)
        leaves = co.leaf_stacks(solver, trace, observables, columns)
        if not isinstance(solver.steps, MatrixSteps):
            changes = co.leaf_stacks(solver, trace, dobservables, wide)
            return (
                decode(side_by_side(states, vertices), d),
                decode(dx, d)[None],
                [decode(y, d) for y in leaves],
                [decode(y.reshape(1, self.count, -1, d * d), d) for y in changes],
            )
        outer = co.outer_sums(solver, trace, states, observables, columns)
        changed = co.outer_sums(solver, trace, states, dobservables, wide)
        moved = dx.swapaxes(1, 2)[:, None]
        for i, leaf in enumerate(leaves):
            part = moved @ leaf.reshape(1, columns, -1, d * d)
            changed[i] = changed[i] + part.reshape(1, wide, d * d, d * d)
        return (
            solver.steps.basis,
            None,
            [decode(y.reshape(1, -1, d * d), d) for y in outer],
            [decode(y.reshape(1, self.count, -1, d * d), d) for y in changed],
        )

    def _stacked_tangents(self, vertices: Sequence[int], dstates: Field) -> Reals:
        """Tangents of several vertices side by side, (V, members·n, D²)."""
        n, size = self.solver.moments, self.solver.size
        found = dstates.array[vertices].reshape(len(vertices), self.count, n, size)
        return found.swapaxes(0, 1).reshape(self.count, -1, size)
