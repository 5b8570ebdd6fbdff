"""Tangents through one trace: how its operations change along directions in parameter space.

Along a direction v a run of gates V changes as V̇ = V Ω, Ω = -(i/2) Σ ȧ_i B_i (see `unitaries`), so that

    (V R V†)' = V (Ṙ + [Ω, R]) V†,     (V† A V)' = V† Ȧ V + [V† A V, Ω],

a toss as (p R)' = p Ṙ + ṗ R, a channel as 𝓔(R)' = 𝓔(Ṙ) + ṗ d𝓔/dp(R).
One set of parameters at a time (P = 1), V directions together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.stacks import added
from qdiff.sim.hybrid.steps import OperationSteps
from qdiff.sim.hybrid.supports import Ints
from qdiff.sim.hybrid.traces import Maps, Op, Stack
from qdiff.sim.hybrid.unitaries import Unitaries

Visit = Callable[[int, Stack, "Stack | None"], None]
Both = tuple["Stack | None", "Stack | None"]  # an observable and its tangent
VisitBack = Callable[[int, Both, Both], None]


class TraceTangents:
    """The maps of one graph and their changes along V directions.

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
        self._omegas: dict[int, Stack | None] = {}

    def omega(self, run: int) -> Stack | None:
        """Ω of a run, (V, D, D); None where no angle in it changes."""
        if run not in self._omegas:
            rotations = self.unitaries.source.rotations[run]
            rates = self.gates[:, rotations]
            self._omegas[run] = (
                np.tensordot(-0.5j * rates, self.unitaries.carried(run)[0], axes=1) if rates.any() else None
            )
        return self._omegas[run]

    def forward(
        self,
        ops: Sequence[Op],
        x: Stack,
        dx: Stack | None,
        visit: Visit | None = None,
        occupied: Sequence[Ints | None] | None = None,
        last: int = -1,
    ) -> list[tuple[Stack, Stack | None]]:
        """Return states (1, J, D, D) and their tangents (1, V, J, D, D) at each leaf.

        Args:
            occupied: the basis states that runs act on (see `supports`); all if it is left out.
            last: the operation that is visited last, if what comes after it is not wanted.
        """
        registers: dict[int, tuple[Stack, Stack | None]] = {0: (x, dx)}
        leaves: list[tuple[Stack, Stack | None]] = []
        for i, (code, src, dst, arg) in enumerate(ops):
            x, dx = registers[src]
            if visit is not None:
                visit(i, x, dx)
            if i == last:
                break
            if code == traces.LEAF:
                leaves.append((x, dx))
                continue
            if code in (traces.MARK, traces.END):
                continue
            if code == traces.UNITARY:
                part = None if occupied is None else occupied[i]
                registers[src] = self._run(arg, x, dx, part)
                continue
            dx = None if dx is None else self.maps.apply(code, arg, dx)
            dx = added(dx, self._noisy(arg, x, adjoint=False) if code == traces.CHANNEL else None)
            dx = added(dx, self._tossed(code, arg, x))
            registers[dst if code in traces.BRANCHES else src] = self.maps.apply(code, arg, x), dx
        return leaves

    def _run(self, run: int, x: Stack, dx: Stack | None, part: Ints | None) -> tuple[Stack, Stack | None]:
        """V x V† and its tangent V (ẋ + [Ω, x]) V†, x on part of the basis."""
        omega = self.omega(run)
        if part is None or not isinstance(self.solver.steps, OperationSteps):
            if omega is not None:
                w = omega[None, :, None]
                dx = added(dx, w @ x[:, None] - x[:, None] @ w)
            apply = self.maps.apply
            return apply(traces.UNITARY, run, x), None if dx is None else apply(traces.UNITARY, run, dx)
        steps = self.solver.steps
        change = None if dx is None else steps.moved(run, dx, part)
        if omega is not None:
            _, rows = steps.columns(run, part)
            # [Ω, x] = Ωx + (Ωx)†, and only some columns of Ω meet x.
            inner = omega[None, :, None][..., part] @ x[:, None][..., part[:, None], part]
            half = self.maps.unitaries[run] @ inner @ rows
            change = added(change, half + half.conj().swapaxes(-1, -2))
        return steps.moved(run, x, part), change

    def _run_back(
        self, run: int, a: Stack, da: Stack | None, part: Ints | None
    ) -> tuple[Stack, Stack | None]:
        """V† a V and its tangent V† ȧ V + [V† a V, Ω], no more of them than part of the basis."""
        omega = self.omega(run)
        if part is None or not isinstance(self.solver.steps, OperationSteps):
            pull = self.maps.apply_adjoint
            before = pull(traces.UNITARY, run, a)
            change = None if da is None else pull(traces.UNITARY, run, da)
            if omega is not None:
                w = omega[None, :, None]
                change = added(change, before[:, None] @ w - w @ before[:, None])
            return before, change
        steps = self.solver.steps
        change = None if da is None else steps.pulled(run, da, part)
        if omega is not None:
            _, rows = steps.columns(run, part)
            some = (rows @ a @ self.maps.unitaries[run])[:, None] @ omega[None, :, None][..., part]
            found = np.zeros((*some.shape[:-2], *a.shape[-2:]), dtype=complex)
            found[..., part[:, None], part] = some + some.conj().swapaxes(-1, -2)
            change = added(change, found)
        return steps.pulled(run, a, part), change

    def backward(
        self,
        ops: Sequence[Op],
        leaves: Sequence[Stack | None],
        tangents: Sequence[Stack | None],
        visit: VisitBack | None = None,
        occupied: Sequence[Ints | None] | None = None,
        first: int = 0,
    ) -> Both:
        """Return observables (1, K, D, D) and their tangents (1, V, K, D, D) at the start.

        `visit(i, after, before)` sees both on the two sides of operation i. Nothing is done before
        operation `first`, and nothing returned if that is not the start.
        """
        registers: dict[int, Both] = {}
        for i in range(len(ops) - 1, first - 1, -1):
            code, src, dst, arg = ops[i]
            if code == traces.LEAF:
                registers[src] = leaves[arg], tangents[arg]
                continue
            if code == traces.END:
                registers[src] = None, None
                continue
            a, da = registers[dst if code in traces.BRANCHES else src]
            if code == traces.MARK or (a is None and da is None):
                continue
            before: Stack | None
            if code == traces.UNITARY and a is not None:
                part = None if occupied is None else occupied[i]
                before, change = self._run_back(arg, a, da, part)
            else:
                before = None if a is None else self.maps.apply_adjoint(code, arg, a)
                change = None if da is None else self.maps.apply_adjoint(code, arg, da)
                if a is not None:
                    change = added(change, self._tossed(code, arg, a))
                if a is not None and code == traces.CHANNEL:
                    change = added(change, self._noisy(arg, a, adjoint=True))
            if visit is not None:
                visit(i, (a, da), (before, change))
            if code in traces.BRANCHES:
                other, other_change = registers[src]
                registers[src] = added(other, before), added(other_change, change)
            else:
                registers[src] = before, change
        return (None, None) if first else registers[0]

    def _tossed(self, code: int, toss: int, x: Stack) -> Stack | None:
        """ṗ x for one side of a toss; None for anything else, and where p does not change."""
        if code not in (traces.TOSS, traces.TOSS_NOT) or not self.tosses[:, toss].any():
            return None
        rate = self.tosses[:, toss, None, None, None]
        return (rate if code == traces.TOSS else -rate) * x[:, None]

    def _noisy(self, channel: int, x: Stack, *, adjoint: bool) -> Stack | None:
        """ṗ d𝓔/dp(x), or its adjoint; None where p does not change."""
        rate = self.tosses[:, self.solver.graph.channels[channel].toss, None, None, None]
        if not rate.any():
            return None
        noise = self.maps.noise
        change = noise.backward(channel, x, 1) if adjoint else noise.forward(channel, x, 1)
        return np.asarray(rate * change[:, None])
