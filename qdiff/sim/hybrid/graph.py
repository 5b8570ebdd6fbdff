"""Which meeting points and stores a program can reach, and how runs go from one to the next.

A *vertex* is a meeting point of the flow together with a store (the values of all counters). From
each vertex the program is followed, with its concrete store, to the next vertices: comparisons are
decided, neighbouring gates collected into *runs*, outcomes listed as a *trace* (see `traces`).
Vertices whose traces are equal, targets aside, share one. The result depends on the program and on
the values of compared parameters only, so one graph serves a whole training run.

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
    Decide,
    Flow,
    Mark,
    MeasureBits,
    RecordBits,
    ResetBits,
    Set,
    Toss,
)
from qdiff.sim.hybrid import linear, traces
from qdiff.sim.hybrid.schedule import Stage, schedule
from qdiff.sim.hybrid.traces import Op, ResetMap
from qdiff.sim.hybrid.unitaries import Runs

Store = tuple[int, ...]

FAILURE = -1  # the meeting point of a vertex that stands for an error


@dataclass(frozen=True, eq=False)
class Graph:
    """A followed part of a program, without numbers.

    Attributes:
        stores: store of every vertex; vertex 0 is the start.
        followed: vertices that have a trace, in the order in which they were followed.
        ends: vertices at the end of the program; aborted: where runs abort, if they can.
        frontier: vertices that were not followed.
        failures: vertices that stand for an error, with it.
        traces: the distinct traces; trace: the one of each vertex (-1 where it was not followed).
        targets: the vertices that the leaves of a vertex's trace lead to.
        runs: the gates of the traces. tosses: (expression, row) of every toss.
        masks: for every set of outcomes the entries it keeps, (D, D). resets: by bit mask.
        rows: distinct values of the counters that angles and probabilities read, (counters, rows).
        stages: the order in which vertices are solved.
    """

    stores: list[Store]
    followed: list[int]
    ends: list[int]
    aborted: list[int]
    frontier: list[int]
    failures: dict[int, EvaluationError]
    traces: list[tuple[Op, ...]]
    trace: list[int]
    targets: list[list[int]]
    runs: Runs
    tosses: list[tuple[int, int]]
    masks: list[NDArray[np.float64]]
    resets: dict[int, ResetMap]
    rows: NDArray[np.float64]
    stages: list[Stage]

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.frontier


@dataclass
class _Trace:
    """What following one vertex yields."""

    ops: list[Op] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)


class Explorer:
    """Follows a program from its start; keeps what it has followed."""

    def __init__(self, flow: Flow, compared: Mapping[str, float]) -> None:
        self.flow = flow
        self.compared = compared
        self.dimension = 1 << len(flow.program.qubits)
        self.index = {name: i for i, name in enumerate(flow.counters)}
        self.read = [sorted(self.index[c] for c in e.counters()) for e in flow.expressions]
        self.angle_counters = sorted({i for read in self.read for i in read})
        self.vertex: dict[tuple[int, Store], int] = {}
        self.points: list[int] = []
        self.stores: list[Store] = []
        self.failures: dict[int, EvaluationError] = {}
        self.traces: dict[tuple[Op, ...], int] = {}
        self.followed: list[tuple[int, int, list[int]]] = []  # vertex, its trace, its targets
        self.waiting: deque[int] = deque()
        self.runs: dict[tuple[int, ...], int] = {}
        self.instances: dict[tuple[int, int], int] = {}
        self.rows: dict[tuple[int, ...], int] = {(0,) * len(self.angle_counters): 0}
        self.tosses: dict[tuple[int, int], int] = {}
        self.masks: dict[tuple[tuple[int, ...], frozenset[int]], int] = {}
        self.counters_of: dict[int, list[int]] = {}
        self.values: dict[tuple[int, tuple[int, ...]], int | float] = {}
        self.graphs: dict[int, Graph] = {}
        self._vertex(flow.entry, (0,) * len(flow.counters))

    def follow(self, limit: int) -> None:
        """Follow vertices until there are `limit` of them, or no more. Nothing large is allocated."""
        while self.waiting and len(self.followed) < limit:
            self._follow(self.waiting.popleft())

    def matrices(self) -> int:
        """How many matrices of full size it takes to solve what was followed, at most.

        States and observables of all vertices; masks; runs with their adjoints and pieces; the
        registers of the longest trace and what a sum over it keeps; the basis of an iterative solve.
        """
        longest = max((len(ops) for ops in self.traces), default=0)
        pieces = sum(2 + 2 * len(run) for run in self.runs)
        iterated = self.flow.loops and self.dimension**2 > linear.DENSE_UP_TO
        basis = linear.KRYLOV_BASIS if iterated else 0
        return 2 * len(self.points) + len(self.masks) + pieces + 2 * longest + basis

    def graph(self, limit: int) -> Graph:
        """Return the graph of the first `limit` vertices (fewer if there are no more)."""
        self.follow(limit)
        followed = min(limit, len(self.followed))
        if followed not in self.graphs:
            self.graphs[followed] = self._snapshot(followed)
        return self.graphs[followed]

    # --- following ---

    def _vertex(self, point: int, store: Store) -> int:
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
        trace = _Trace()
        self._walk(trace, self.points[vertex], self.stores[vertex], 0, [], start=True)
        key = tuple(trace.ops)
        number = self.traces.setdefault(key, len(self.traces))
        self.followed.append((vertex, number, trace.targets))

    def _walk(
        self, trace: _Trace, point: int, store: Store, register: int, run: list[int], start: bool = False
    ) -> None:
        """Follow one outcome to the next meeting points; `run` holds the gates not yet emitted."""
        while True:
            if point == ABORT:
                self._leaf(trace, register, run, self._vertex(ABORT, ()))
                return
            if point in self.flow.meeting and not start:
                self._leaf(trace, register, run, self._vertex(point, store))
                return
            start = False
            instruction = self.flow.instructions[point]
            try:
                match instruction:
                    case Apply(gate=gate, next=point):
                        run.append(self._instance(gate, store))
                        continue
                    case Set(counter=counter, value=value, position=position, next=point):
                        store = self._assign(store, counter, value, position)
                        continue
                    case Decide(condition=test, if_true=if_true, if_false=if_false):
                        left, right = self._evaluate(test.left, store), self._evaluate(test.right, store)
                        point = if_true if COMPARE[test.operator](left, right) else if_false
                        continue
            except ValueFailure as failure:
                error = located(self.flow.program, failure.message, failure.node.place())
                self._leaf(trace, register, run, self._failure(error))
                return
            except EvaluationError as overflow:
                self._leaf(trace, register, run, self._failure(overflow))
                return
            self._flush(trace, register, run)
            match instruction:
                case ResetBits(bits=bits, next=point):
                    trace.ops.append((traces.RESET, register, 0, bits))
                case Mark(index=index, next=point):
                    trace.ops.append((traces.MARK, register, 0, index))
                case MeasureBits(qubits=qubits, targets=targets):
                    outcomes: dict[int, list[int]] = {}
                    for outcome, target in enumerate(targets):
                        outcomes.setdefault(target, []).append(outcome)
                    for target, kept in outcomes.items():
                        self._branch(trace, register, traces.MASK, self._mask(qubits, kept), target, store)
                    trace.ops.append((traces.END, register, 0, 0))
                    return
                case RecordBits(qubits=qubits, counter=counter, next=point):
                    for outcome in range(1 << len(qubits)):
                        after = (*store[:counter], outcome, *store[counter + 1 :])
                        self._branch(
                            trace, register, traces.MASK, self._mask(qubits, [outcome]), point, after
                        )
                    trace.ops.append((traces.END, register, 0, 0))
                    return
                case Toss(expression=expression, if_true=if_true, if_false=if_false):
                    key = (expression, self._row(expression, store))
                    toss = self.tosses.setdefault(key, len(self.tosses))
                    self._branch(trace, register, traces.TOSS, toss, if_true, store)
                    self._branch(trace, register, traces.TOSS_NOT, toss, if_false, store)
                    trace.ops.append((traces.END, register, 0, 0))
                    return
                case _:
                    raise AssertionError(f"unexpected instruction {instruction}")

    def _branch(self, trace: _Trace, register: int, code: int, arg: int, point: int, store: Store) -> None:
        trace.ops.append((code, register, register + 1, arg))
        self._walk(trace, point, store, register + 1, [])

    def _leaf(self, trace: _Trace, register: int, run: list[int], target: int) -> None:
        self._flush(trace, register, run)
        trace.ops.append((traces.LEAF, register, 0, len(trace.targets)))
        trace.targets.append(target)

    def _flush(self, trace: _Trace, register: int, run: list[int]) -> None:
        if run:
            number = self.runs.setdefault(tuple(run), len(self.runs))
            trace.ops.append((traces.UNITARY, register, 0, number))
            run.clear()

    def _instance(self, gate: int, store: Store) -> int:
        expression = self.flow.gates[gate].expression
        row = self._row(expression, store) if expression >= 0 else 0
        return self.instances.setdefault((gate, row), len(self.instances))

    def _row(self, expression: int, store: Store) -> int:
        read = self.read[expression]
        if not read:
            return 0
        key = tuple(store[i] if i in read else 0 for i in self.angle_counters)
        return self.rows.setdefault(key, len(self.rows))

    def _mask(self, qubits: tuple[int, ...], kept: list[int]) -> int:
        return self.masks.setdefault((qubits, frozenset(kept)), len(self.masks))

    def _assign(self, store: Store, counter: int, value: Expr, position: Position | None) -> Store:
        name = self.flow.counters[counter]
        result = checked_counter(self.flow.program, name, self._evaluate(value, store), position)
        return (*store[:counter], result, *store[counter + 1 :])

    def _evaluate(self, expr: Expr, store: Store) -> int | float:
        read = self.counters_of.get(id(expr))
        if read is None:
            read = self.counters_of[id(expr)] = sorted(self.index[name] for name in expr.counters())
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
        last: dict[int, list[int]] = {END: [], ABORT: [], FAILURE: []}
        outside: list[int] = []
        for v in range(known):
            if trace_of[v] < 0:
                last.get(self.points[v], outside).append(v)
        return Graph(
            stores=self.stores[:known],
            followed=[v for v, _, _ in part],
            ends=last[END],
            aborted=last[ABORT],
            frontier=outside,
            failures={v: self.failures[v] for v in last[FAILURE]},
            traces=list(self.traces),
            trace=trace_of,
            targets=targets_of,
            runs=Runs(self.flow, list(self.instances), list(self.runs), self.dimension),
            tosses=list(self.tosses),
            masks=[traces.mask(qubits, kept, self.dimension) for qubits, kept in self.masks],
            resets={
                op[3]: ResetMap.on(op[3], self.dimension)
                for ops in self.traces
                for op in ops
                if op[0] == traces.RESET
            },
            rows=np.array(list(self.rows), dtype=float).reshape(len(self.rows), -1).T,
            stages=schedule(targets_of, trace_of),
        )
