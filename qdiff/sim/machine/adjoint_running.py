"""Running shots with a backward sweep over each; see `adjoint_shots`.

    slopes = 2 Re⟨ψ|O|∂ψ⟩ = o · scores + Σ_m m(σ) · 2 Re⟨ψ|O_m - ⟨O_m⟩|∂ψ⟩,     scores = 2 Re⟨ψ|∂ψ⟩

**Memory.** The log of what happens outside the history tree has a fixed number of entries. A run that is
longer keeps a *checkpoint* (counters, state, place in the random stream) where each window of the log began,
at most `CHECKPOINTS` of them: where there are more, every second one is dropped. Going back, a window is run
again from its checkpoint; one that has grown by dropping fills the log again, which makes new checkpoints
inside it. So the memory does not depend on the length of a run; one of N entries is run about 1 + log N /
log(CHECKPOINTS) times.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from threading import Event
from typing import NamedTuple

import numpy as np

from qdiff.sim.machine import adjoint_shots as a
from qdiff.sim.machine import adjoint_trail as t
from qdiff.sim.machine import code as c
from qdiff.sim.machine import tables as k
from qdiff.sim.machine.adjoint_apart import address_of
from qdiff.sim.machine.adjoint_binding import (
    Slopes,
    certain,
    exact_slopes,
    put_kraus_slopes,
    put_live_generator,
)
from qdiff.sim.machine.adjoint_code import GENERATOR, GradientPlan
from qdiff.sim.machine.adjoint_events import of_thread, room_for, written
from qdiff.sim.machine.adjoint_sweep import sweep
from qdiff.sim.machine.backend import expected
from qdiff.sim.machine.fusion import LISTED_QUBITS
from qdiff.sim.machine.parts import addresses_of
from qdiff.sim.machine.running import BUDGET, Request, Worker, answer, in_chunks
from qdiff.sim.machine.tree import Tree

LOG_BYTES = 2**24
"""Room for the states of one thread's log."""
LONGEST_LOG, SHORTEST_LOG = 2**12, 16
"""Entries of a log."""
CHECKPOINTS = 16
"""Checkpoints of one run."""
FINE_QUBITS = 10
"""On registers up to this size the log has an entry for every op: copying a state costs less than taking the
op back."""
TANGENT_BYTES = 2**25
"""Room for the derivatives of states of one thread's tree."""
FEWEST_ENTRIES_OF_FLOATS = 64
"""So many of the largest entries fit into the floats of a log."""


class Found(NamedTuple):
    """One row for each shot; see `protocol.Gradients`. The sums over events, `surprises`, have one column for
    each, of which `met` are not all 0."""

    status: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    values: c.Floats
    slopes: c.Floats
    scores: c.Floats
    surprises: c.Floats
    met: c.Ints


@dataclass(frozen=True, eq=False)
class Log:
    """How much of a run is kept: entries of the log, and checkpoints."""

    entries: int
    checkpoints: int = CHECKPOINTS

    @classmethod
    def fitting(cls, qubits: int) -> Log:
        """The log for states on so many qubits."""
        return cls(min(max(LOG_BYTES // (16 << qubits), SHORTEST_LOG), LONGEST_LOG))


def differentiate(
    request: Request, gradient: GradientPlan, slopes: Slopes, threads: int = 1, log: Log | None = None
) -> Found:
    """Run all shots and sweep back over each.

    Args:
        request: of the plan in `gradient`.
        threads: how many to use. log: by default what fits.

    Raises:
        EvaluationError: something has no value or no derivative when it runs, or a choice has no score: of
            the shot with the least index.
    """
    shots, observables = request.shots, len(request.plan.readout.expectations)
    events = gradient.events
    found = Found(
        status=np.zeros(shots, dtype=np.uint8),
        values=np.zeros((shots, observables)),
        slopes=np.zeros((shots, observables, len(gradient.wrt))),
        scores=np.zeros((shots, len(gradient.wrt))),
        surprises=room_for(events, shots),
        met=np.zeros(len(events.sums), dtype=np.int64),
    )
    fitting = log or Log.fitting(request.plan.qubits)

    def worker(stopped: Event | None) -> Sweeper:
        return Sweeper(request, gradient, slopes, found, fitting, stopped)

    in_chunks(request, worker, threads)
    return found


class _Checkpoint(NamedTuple):
    """Where a run was, after so many entries of its segment."""

    made: int
    context: c.Ints
    store: c.Ints
    psi: c.Floats


class _Resume(NamedTuple):
    """Where the run goes on when a long segment is swept."""

    context: c.Ints
    store: c.Ints
    closing: int


class Sweeper(Worker):
    """One thread's share; called with the first row of a chunk and its end."""

    def __init__(
        self,
        request: Request,
        gradient: GradientPlan,
        slopes: Slopes,
        found: Found,
        log: Log,
        stopped: Event | None,
    ) -> None:
        super().__init__(request, stopped)
        self.gradient = gradient
        self.found = found
        self.most = log.checkpoints
        self.slopes = slopes
        if stopped is not None:  # what is made while the program runs is the thread's own
            self.slopes = slopes._replace(
                generators=slopes.generators.copy(),
                inverses=slopes.inverses.copy(),
                kraus=slopes.kraus.copy(),
            )
        self.trail = trail(gradient, self.tree, log.entries)
        self.events = of_thread(gradient.events, found.surprises)
        tables = self.plan.code, self.bound, self.tree, gradient.sites, self.slopes, self.trail, self.work.psi
        self.sweep = address_of(sweep, *tables)
        self.parts = addresses_of(self.plan, derivatives=True)
        self.checkpoints: list[_Checkpoint] = []
        self.resume: _Resume | None = None

    def __call__(self, start: int, end: int) -> None:
        """Run the shots of some rows."""
        request, work, marks = self.request, self.work, self.trail.marks
        shots, names = end - start, len(self.gradient.wrt)
        rows = a.Rows(
            counters=np.zeros((shots, len(self.plan.program.counters)), dtype=np.int64),
            status=self.found.status[start:end],
            expectations=np.zeros((shots, len(self.plan.operators))),
            scores=self.found.scores[start:end],
            rests=np.zeros((shots, len(self.gradient.rows), names)),
        )
        starts = self.starts(start, end)
        self.events.origin[0] = start
        work.context[:] = 0
        marks[t.TARGET] = marks[t.CLOSING] = -1
        while not self.stopped.is_set():
            work.context[k.BUDGET] = BUDGET
            reason = a.follow(
                self.plan.code,
                self.bound,
                self.tree,
                work,
                rows,
                self.gradient.sites,
                self.slopes,
                self.trail,
                self.events,
                starts,
                self.plan.entry,
                np.uint64(request.seed),
                np.uint64((request.first + start) % 2**64),
                float(request.shots),
                request.step_limit,
                self.sweep,
                self.parts,
            )
            match reason:
                case k.FINISHED:
                    self.collect(rows, start, end)
                    return
                case k.ASK:
                    self.answer()
                    work.context[k.GIVEN] = 1
                case a.FULL:
                    self.keep()
                case a.EARLIER:
                    self.go_back()
                case a.BACK:
                    self.go_on()

    def collect(self, rows: a.Rows, start: int, end: int) -> None:
        """Write values and slopes of finished rows."""
        cut = np.flatnonzero(rows.status == k.CUT)
        rows.scores[cut] = 0.0
        self.found.surprises[:, start + cut] = 0.0
        self.found.met[written(self.events)] = 1
        values = expected(self.plan, rows.counters, rows.status, rows.expectations)
        slopes = values[:, :, None] * rows.scores[:, None, :]
        column = {name: i for i, name in enumerate(self.plan.program.counters)}
        for m, row in enumerate(self.gradient.rows):
            monomial = np.ones(end - start)
            for name, power in row.monomial:
                monomial *= rows.counters[:, column[name]].astype(float) ** power
            slopes[:, row.observable] += monomial[:, None] * rows.rests[:, m]
        self.found.values[start:end], self.found.slopes[start:end] = values, slopes

    # --- Runs that are longer than the log ---------------------------------------------------------

    def keep(self) -> None:
        """The log is full: keep where its window began, and begin another one."""
        marks, trail, work = self.trail.marks, self.trail, self.work
        if marks[t.BEFORE] == 0:
            context = work.context.copy()
            context[[k.PC, k.STEPS, k.DRAWS]] = trail.origin
            self.checkpoints = [_Checkpoint(0, context, trail.start.copy(), trail.states[0].copy())]
        here = _Checkpoint(int(marks[t.MADE]), work.context.copy(), work.store.copy(), work.psi.copy())
        self.checkpoints.append(here)
        if len(self.checkpoints) > self.most:
            del self.checkpoints[1:-1:2]
        marks[t.BEFORE] = len(self.checkpoints) - 1
        marks[[t.LOGGED, t.USED]] = 0

    def go_back(self) -> None:
        """A window is swept: run the one before it again."""
        marks, work = self.trail.marks, self.work
        if self.resume is None:
            self.resume = _Resume(work.context.copy(), work.store.copy(), int(marks[t.CLOSING]))
        marks[t.TARGET] = self.checkpoints.pop().made
        window = self.checkpoints[-1]
        work.context[:], work.store[:], work.psi[:] = window.context, window.store, window.psi
        work.context[[k.GIVEN, k.DRAWN]] = 0  # numbers that were given, words that were drawn are gone
        marks[[t.LOGGED, t.USED, t.SWEPT]] = 0
        marks[t.MADE], marks[t.CLOSING] = window.made, -1
        marks[t.BEFORE] = len(self.checkpoints) - 1

    def go_on(self) -> None:
        """All windows are swept: go on behind the end of the segment."""
        marks, work = self.trail.marks, self.work
        assert self.resume is not None
        work.context[:], work.store[:] = self.resume.context, self.resume.store
        work.context[k.DRAWN] = 0
        marks[t.TARGET], marks[t.CLOSING], marks[t.SWEPT] = -1, self.resume.closing, 1
        self.resume = None

    # --- Numbers that the compiled loop asks for ---------------------------------------------------

    def answer(self) -> None:
        """Find the number and the derivatives that an instruction asks for, or raise the error of the
        language."""
        plan, code, gradient = self.plan, self.plan.code, self.gradient
        pc = int(self.work.context[k.PC])
        row = code.instructions[pc]
        store = dict(zip(plan.counters, self.work.store.tolist(), strict=True))
        if (
            row[c.OP] == c.GATES
            and not np.isnan(self.bound.matrices[code.ops[row[c.A] : row[c.B], c.MATRIX]]).any()
        ):
            for op in range(row[c.A], row[c.B]):
                for gate in plan.gates_of(op):
                    exact_slopes(gradient, self.bound, plan.gates[gate].expression, store)
            raise AssertionError("all derivatives exist")
        answer(plan, self.bound, self.work)
        if row[c.OP] not in (c.TOSS, c.CHANNEL, c.LIVE_GATE):
            return
        op = int(row[c.A])
        expression = plan.gates[code.ops[op, c.LIVE]].expression if row[c.OP] == c.LIVE_GATE else op
        found = exact_slopes(gradient, self.bound, expression, store)
        self.trail.derivs[: len(found)] = [slope for _, slope in found]
        changing = [name for name, slope in found if slope]
        p = float(self.work.given_real[0])
        if row[c.OP] == c.LIVE_GATE:
            if (
                code.gates[code.ops[op, c.LIVE], c.HOW] == c.DRIFTING
                and gradient.sites.ops[op, GENERATOR] >= 0
            ):
                params = dict(zip(plan.program.parameters, self.bound.parameters.tolist(), strict=True))
                angle = float(plan.expressions[expression].evaluate(params, store))
                put_live_generator(gradient, self.slopes, op, angle)
        elif row[c.OP] == c.TOSS:
            if changing and p in (0.0, 1.0):
                raise certain(plan, pc, changing[0])
        elif not put_kraus_slopes(plan, self.slopes, pc, p, bool(changing)):
            raise certain(plan, pc, changing[0])


def trail(gradient: GradientPlan, tree: Tree, entries: int) -> t.Trail:
    """Room for what one thread knows of paths; the log has so many entries."""
    plan, names, waves = gradient.plan, len(gradient.wrt), 1 + len(gradient.rows)
    dimension, pairs = 1 << plan.qubits, (waves + 1) // 2
    small = plan.qubits <= LISTED_QUBITS  # else no pass is a permutation of all amplitudes
    each = (names + 1) // 2
    slots = min(TANGENT_BYTES // max(32 * dimension * each, 1), len(tree.states))
    made = t.Trail(
        marks=np.zeros(t.MARKS, dtype=np.int64),
        start=np.zeros(len(plan.counters), dtype=np.int64),
        origin=np.zeros(3, dtype=np.int64),
        parents=np.full((len(tree.nodes), 2), -1, dtype=np.int64),
        known=np.zeros(len(tree.states), dtype=np.int64),
        cached=np.zeros((len(tree.states), waves, names)),
        slots=np.full(len(tree.states), -1, dtype=np.int64),
        held=np.zeros(1, dtype=np.int64),
        tangents=np.empty((slots, each, dimension, 4)),
        entries=np.zeros((entries, 3), dtype=np.int64),
        states=np.empty((entries, 2, dimension)),
        floats=np.empty(FEWEST_ENTRIES_OF_FLOATS * gradient.logged),
        waves=np.empty((pairs, dimension, 4)),
        active=np.zeros(waves, dtype=np.int64),
        spare=np.empty((dimension, 4)),
        room=np.empty((dimension if small else isqrt(int(plan.code.ops[:, c.NUMBERS].max(initial=4))), 4)),
        outer=np.zeros((pairs, 2 * plan.matrices, 4)),
        touched=np.zeros(len(plan.code.ops), dtype=np.int64),
        found=np.zeros((waves, names)),
        derivs=np.zeros(names),
    )
    made.marks[t.NEEDED] = gradient.logged
    if slots:
        made.tangents[0], made.slots[0], made.held[0] = 0.0, 0, 1
    runs = plan.code.instructions[plan.code.instructions[:, c.OP] == c.GATES]
    made.marks[t.FINE] = (
        plan.qubits <= FINE_QUBITS and (runs[:, c.B] - runs[:, c.A]).max(initial=1) <= entries
    )
    return made
