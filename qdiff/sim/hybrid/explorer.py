"""Following a program, store by store, to all its meeting points.

From each vertex the program is followed with its concrete store to the next vertices: comparisons are
decided, neighbouring gates collected into *runs*, outcomes listed as a *trace* (see `traces`).
Vertices are followed breadth first and numbered in that order. A graph over all reachable stores may
be infinite: `Explorer.graph(limit)` follows at most `limit` of them; the targets that were not
followed are the frontier, where the mass outside gathers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import Expr
from qdiff.lang.running import COMPARE, checked_counter, located
from qdiff.lang.source import Position
from qdiff.sim.flow import (
    ABORT,
    END,
    Apply,
    ChannelBits,
    Decide,
    Flow,
    Mark,
    MeasureBits,
    RecordBits,
    ResetBits,
    Set,
    Toss,
)
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.channels import Channel
from qdiff.sim.hybrid.counted import Counted, StepTooLarge
from qdiff.sim.hybrid.graph import Graph, Store, Trace
from qdiff.sim.hybrid.runs import Runs
from qdiff.sim.hybrid.schedule import schedule
from qdiff.sim.hybrid.shapes import Key, key
from qdiff.sim.hybrid.traces import Op, ResetMap
from qdiff.sim.liveness import live_counters
from qdiff.sim.readings import Rows

FAILURE = -1  # the meeting point of a vertex that stands for an error


@dataclass
class _Growing:
    """What following one vertex has yielded so far."""

    ops: list[Op] = field(default_factory=list)
    assignments: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)


@dataclass
class _Path:
    """Where one outcome stands: its store, what happened to the moments, gates not yet emitted."""

    store: Store
    assignment: int
    run: list[int] = field(default_factory=list)


class Explorer:
    """Follows a program from its start; keeps what it has followed.

    Args:
        compared: values of the compared parameters.
        counted: counters that are followed as moments, or not at all.
        at_end: counters that are read at the end of the program.
    """

    def __init__(
        self, flow: Flow, compared: Mapping[str, float], counted: Counted, at_end: frozenset[int]
    ) -> None:
        self.flow = flow
        self.counted = counted
        self.too_large = False
        # What a counted counter is assigned matters, and so do the counters that it is read from; the counted
        # ones themselves are in the moments, and never in a store.
        live = live_counters(flow, at_end - counted.tracked, counted.forgotten)
        everything = frozenset(range(len(flow.counters)))
        self.dead = {point: sorted(everything - (kept - counted.tracked)) for point, kept in live.items()}
        self.compared = compared
        self.dimension = 1 << len(flow.program.qubits)
        self.vertex: dict[tuple[int, Store], int] = {}
        self.points: list[int] = []
        self.stores: list[Store] = []
        self.failures: dict[int, EvaluationError] = {}
        self.traces: dict[Trace, int] = {}
        self.assignments: dict[bytes, int] = {}
        self.assignment_matrices: list[NDArray[np.float64]] = []
        self._assignment(np.eye(len(counted.basis)))
        self.followed: list[tuple[int, int, list[int]]] = []  # vertex, its trace, its targets
        self.waiting: deque[int] = deque()
        self.runs: dict[tuple[int, ...], int] = {}
        self.instances: dict[tuple[int, int], int] = {}
        self.rows = Rows(flow)
        self.tosses: dict[tuple[int, int, str], int] = {}  # expression, row, name of the channel
        self.channels: dict[Channel, int] = {}
        self.masks: dict[tuple[tuple[int, ...], frozenset[int]], int] = {}
        self.counters_of: dict[int, list[int]] = {}
        self.values: dict[tuple[int, tuple[int, ...]], int | float] = {}
        self.graphs: dict[int, Graph] = {}
        self._vertex(flow.entry, (0,) * len(flow.counters))

    def follow(self, limit: int) -> None:
        """Follow vertices until there are `limit` of them, or no more. Nothing large is allocated.

        Raises:
            StepTooLarge: a counted counter may overflow; then nothing more can be followed, ever.
        """
        if self.too_large:
            raise StepTooLarge
        while self.waiting and len(self.followed) < limit:
            try:
                self._follow(self.waiting.popleft())
            except StepTooLarge:
                self.too_large = True
                raise

    def least_memory(self) -> int:
        """Bytes that states and observables of what was followed take."""
        return 16 * self.dimension**2 * len(self.points) * len(self.counted.basis)

    def graph(self, limit: int) -> Graph:
        """Return the graph of the first `limit` vertices (fewer if there are no more)."""
        self.follow(limit)
        followed = min(limit, len(self.followed))
        if followed not in self.graphs:
            self.graphs[followed] = self._snapshot(followed)
        return self.graphs[followed]

    # --- following ---

    def _vertex(self, point: int, store: Store) -> int:
        if dead := self.dead[point]:
            forgetful = list(store)
            for counter in dead:
                forgetful[counter] = 0
            store = tuple(forgetful)
        key = (point, store)
        found = self.vertex.get(key)
        if found is None:
            found = self.vertex[key] = len(self.points)
            self.points.append(point)
            self.stores.append(store)
            if point not in (END, ABORT):
                self.waiting.append(found)
        return found

    def _failure(self, error: EvaluationError) -> int:
        vertex = len(self.points)
        self.points.append(FAILURE)
        self.stores.append(())
        self.failures[vertex] = error
        return vertex

    def _follow(self, vertex: int) -> None:
        growing = _Growing()
        self._walk(growing, self.points[vertex], _Path(self.stores[vertex], 0), 0, start=True)
        trace = Trace(tuple(growing.ops), tuple(growing.assignments))
        number = self.traces.setdefault(trace, len(self.traces))
        self.followed.append((vertex, number, growing.targets))

    def _walk(self, trace: _Growing, point: int, path: _Path, register: int, start: bool = False) -> None:
        """Follow one outcome to the next meeting points."""
        while True:
            if point == ABORT:
                self._leaf(trace, register, path, self._vertex(ABORT, (0,) * len(self.flow.counters)))
                return
            if point in self.flow.meeting and not start:
                self._leaf(trace, register, path, self._vertex(point, path.store))
                return
            start = False
            instruction = self.flow.instructions[point]
            try:
                match instruction:
                    case Apply(gate=gate, next=point):
                        path.run.append(self._instance(gate, path.store))
                        continue
                    case Set(counter=counter, value=value, position=position, next=point):
                        self._assign(path, counter, value, position)
                        continue
                    case Decide(condition=test, if_true=if_true, if_false=if_false):
                        left = self._evaluate(test.left, path.store)
                        right = self._evaluate(test.right, path.store)
                        point = if_true if COMPARE[test.operator](left, right) else if_false
                        continue
            except ValueFailure as failure:
                error = located(self.flow.program, failure.message, failure.node.place())
                self._leaf(trace, register, path, self._failure(error))
                return
            except EvaluationError as overflow:
                self._leaf(trace, register, path, self._failure(overflow))
                return
            self._flush(trace, register, path.run)
            match instruction:
                case ResetBits(bits=bits, next=point):
                    trace.ops.append((traces.RESET, register, 0, bits))
                case Mark(index=index, next=point):
                    trace.ops.append((traces.MARK, register, 0, index))
                case ChannelBits(record=record, qubit=qubit, expression=expression, next=point):
                    channel = Channel(record, qubit, self._toss(expression, record.name, path.store))
                    number = self.channels.setdefault(channel, len(self.channels))
                    trace.ops.append((traces.CHANNEL, register, 0, number))
                case MeasureBits(qubits=qubits, targets=targets):
                    outcomes: dict[int, list[int]] = {}
                    for outcome, target in enumerate(targets):
                        outcomes.setdefault(target, []).append(outcome)
                    for target, kept in outcomes.items():
                        self._branch(trace, register, traces.MASK, self._mask(qubits, kept), target, path)
                    trace.ops.append((traces.END, register, 0, 0))
                    return
                case RecordBits(qubits=qubits, counter=counter, next=point):
                    for outcome in range(1 << len(qubits)):
                        after = self._recorded(path, counter, outcome)
                        self._branch(
                            trace, register, traces.MASK, self._mask(qubits, [outcome]), point, after
                        )
                    trace.ops.append((traces.END, register, 0, 0))
                    return
                case Toss(expression=expression, if_true=if_true, if_false=if_false):
                    toss = self._toss(expression, "", path.store)
                    self._branch(trace, register, traces.TOSS, toss, if_true, path)
                    self._branch(trace, register, traces.TOSS_NOT, toss, if_false, path)
                    trace.ops.append((traces.END, register, 0, 0))
                    return
                case _:
                    raise AssertionError(f"unexpected instruction {instruction}")

    def _branch(self, trace: _Growing, register: int, code: int, arg: int, point: int, path: _Path) -> None:
        trace.ops.append((code, register, register + 1, arg))
        self._walk(trace, point, _Path(path.store, path.assignment), register + 1)

    def _leaf(self, trace: _Growing, register: int, path: _Path, target: int) -> None:
        self._flush(trace, register, path.run)
        trace.ops.append((traces.LEAF, register, 0, len(trace.targets)))
        trace.targets.append(target)
        trace.assignments.append(path.assignment)

    def _flush(self, trace: _Growing, register: int, run: list[int]) -> None:
        if run:
            number = self.runs.setdefault(tuple(run), len(self.runs))
            trace.ops.append((traces.UNITARY, register, 0, number))
            run.clear()

    def _instance(self, gate: int, store: Store) -> int:
        expression = self.flow.gates[gate].expression
        row = self._row(expression, store) if expression >= 0 else 0
        return self.instances.setdefault((gate, row), len(self.instances))

    def _row(self, expression: int, store: Store) -> int:
        return self.rows.row(expression, store)

    def _toss(self, expression: int, channel: str, store: Store) -> int:
        key = (expression, self._row(expression, store), channel)
        return self.tosses.setdefault(key, len(self.tosses))

    def _mask(self, qubits: tuple[int, ...], kept: list[int]) -> int:
        return self.masks.setdefault((qubits, frozenset(kept)), len(self.masks))

    def _assign(self, path: _Path, counter: int, value: Expr, position: Position | None) -> None:
        if counter in self.counted.tracked:
            assert self.counted.assignments is not None
            form = self.counted.assignments[value]
            rest = int(self._evaluate(form.rest, path.store))
            # Also for a counter that nobody asks for: its overflow would be an error.
            if counter in self.counted.forgotten:
                self.counted.check_step(rest)
                return
            path.assignment = self._then(
                path.assignment, self.counted.matrix(counter, form.coefficients, rest)
            )
            return
        name = self.flow.counters[counter]
        result = checked_counter(self.flow.program, name, self._evaluate(value, path.store), position)
        path.store = (*path.store[:counter], result, *path.store[counter + 1 :])

    def _recorded(self, path: _Path, counter: int, outcome: int) -> _Path:
        if counter in self.counted.forgotten:
            return path
        if counter in self.counted.tracked:
            matrix = self.counted.matrix(counter, (), outcome)
            return _Path(path.store, self._then(path.assignment, matrix))
        return _Path((*path.store[:counter], outcome, *path.store[counter + 1 :]), path.assignment)

    def _then(self, assignment: int, matrix: NDArray[np.float64]) -> int:
        return self._assignment(matrix @ self.assignment_matrices[assignment])

    def _assignment(self, matrix: NDArray[np.float64]) -> int:
        key = matrix.tobytes()
        if key not in self.assignments:
            self.assignments[key] = len(self.assignment_matrices)
            self.assignment_matrices.append(matrix)
        return self.assignments[key]

    def _evaluate(self, expr: Expr, store: Store) -> int | float:
        read = self.counters_of.get(id(expr))
        if read is None:
            read = self.counters_of[id(expr)] = sorted(self.flow.index[name] for name in expr.counters())
        key = (id(expr), tuple(store[i] for i in read))
        if key not in self.values:
            counters = {self.flow.counters[i]: store[i] for i in read}
            self.values[key] = expr.evaluate(self.compared, counters)
        return self.values[key]

    def _snapshot(self, followed: int) -> Graph:
        part = self.followed[:followed]
        known = 1 + max((max([v, *targets]) for v, _, targets in part), default=0)
        targets_of: list[list[int]] = [[] for _ in range(known)]
        trace_of = [-1] * known
        for vertex, number, targets in part:
            targets_of[vertex] = targets
            trace_of[vertex] = number
        numbers: dict[Key, int] = {}
        kinds = [numbers.setdefault(key(t.ops, t.assignments), len(numbers)) for t in self.traces]
        last: dict[int, list[int]] = {END: [], ABORT: [], FAILURE: []}
        outside: list[int] = []
        for v in range(known):
            if trace_of[v] < 0:
                last.get(self.points[v], outside).append(v)
        return Graph(
            points=self.points[:known],
            stores=self.stores[:known],
            followed=[v for v, _, _ in part],
            ends=last[END],
            aborted=last[ABORT],
            frontier=outside,
            failures={v: self.failures[v] for v in last[FAILURE]},
            traces=list(self.traces),
            assignments=list(self.assignment_matrices),
            counted=self.counted,
            trace=trace_of,
            targets=targets_of,
            runs=Runs(self.flow, list(self.instances), list(self.runs), self.dimension),
            tosses=[(expression, row) for expression, row, _ in self.tosses],
            masks=[traces.mask(qubits, kept, self.dimension) for qubits, kept in self.masks],
            resets={
                op[3]: ResetMap.on(op[3], self.dimension)
                for trace in self.traces
                for op in trace.ops
                if op[0] == traces.RESET
            },
            rows=np.array(self.rows.keys, dtype=float).reshape(len(self.rows.keys), -1).T,
            stages=schedule(targets_of, [kinds[trace] if trace >= 0 else -1 for trace in trace_of]),
            channels=list(self.channels),
        )
