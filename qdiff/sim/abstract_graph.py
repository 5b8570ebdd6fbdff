"""A flow followed with some counters unknown: finitely many vertices that stand for all stores.

A counter that takes few values is followed. Of the others only the part of a `Partition` is known that
they are in. A comparison of unknown counters may go either way. Every store that a run can reach, with
probability 0 or not, is one that some vertex stands for. (Cousot and Cousot, "Abstract interpretation",
1977.)

Built from what a program compares: `thresholds` finds the hints, `partitions` the parts; read by `endless`
(which runs never end), `uniform` (how often points are visited) and `derivative_bounds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import ge, gt, le, lt
from typing import TypeAlias, assert_never

from qdiff.errors import EvaluationError
from qdiff.lang import tree as t
from qdiff.lang.expr import Expr
from qdiff.sim import flow as fl
from qdiff.sim.congruences import meet
from qdiff.sim.flow import ABORT, END, Flow, Instruction
from qdiff.sim.intervals import EVERYTHING, Interval, Possible, exactly, growth, possible
from qdiff.sim.partitions import WHOLE_LINE, Cell, Partition, Value

AbstractStore: TypeAlias = tuple[Value, ...]

STOP = -1  # where nothing goes on: the end, an abort, an error

STEPS = 8  # for each vertex and each instruction, at most

_ORDER = {"<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction at one abstract store.

    Attributes:
        next: where it may go on: a step by its index, a vertex v as -2 - v, or STOP. For measurements
            one entry an outcome, for a Toss (true, false); of a Decide or a Set any may be taken.
        value: what an angle or a probability may be.
        scale, rest: an assignment makes a counter at most scale · (largest counter) + rest.
    """

    instruction: Instruction
    next: tuple[int, ...]
    value: Interval = (0.0, 0.0)
    scale: float = 0.0
    rest: float = 0.0


@dataclass
class AbstractGraph:
    """Steps between vertices, successors before what leads to them.

    Attributes:
        vertices: (meeting point, abstract store); starts: the first step of each.
        stores: the abstract store of each step; ends: those in which runs may end.
        unknown: indices of the counters that are not followed; partition: what is known of them.
    """

    flow: Flow
    unknown: frozenset[int]
    partition: Partition
    vertices: list[tuple[int, AbstractStore]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    stores: list[AbstractStore] = field(default_factory=list)
    ends: dict[AbstractStore, None] = field(default_factory=dict)

    def known(self, store: AbstractStore) -> dict[str, int]:
        """Counters whose value is known."""
        named = zip(self.flow.counters, store, strict=True)
        return {name: value for name, value in named if isinstance(value, int)}

    def others(self, store: AbstractStore) -> dict[str, Possible]:
        """What is known of the others."""
        named = zip(self.flow.counters, store, strict=True)
        return {name: value.possible() for name, value in named if isinstance(value, Cell)}


def explore(
    flow: Flow, parameters: Mapping[str, float], limit: int, partition: Partition = WHOLE_LINE
) -> AbstractGraph | None:
    """Return a graph of at most `limit` vertices, as many counters followed as that allows.

    The counter with most values is given up first, where values multiply between meeting points all
    that have more than half as many. None if that is not enough.
    """
    unknown: frozenset[int] = frozenset()
    while True:
        explorer = _Explorer(flow, parameters, AbstractGraph(flow, unknown, partition), limit)
        if explorer.follow():
            return explorer.graph
        values = {
            i: len({store[i] for store in explorer.seen()})
            for i in range(len(flow.counters))
            if i not in unknown
        }
        if not values:
            return None
        most = max(values, key=lambda i: values[i])
        many = {i for i in values if values[i] > values[most] / 2}
        unknown |= many if explorer.too_many_steps() else {most}


class _Explorer:
    def __init__(self, flow: Flow, parameters: Mapping[str, float], graph: AbstractGraph, limit: int) -> None:
        self.flow, self.parameters, self.limit = flow, parameters, limit
        self.graph = graph
        self.most_steps = STEPS * (limit + len(flow.instructions))
        self.pending = 0
        self.vertex_index: dict[tuple[int, AbstractStore], int] = {}
        self.step_index: dict[tuple[int, AbstractStore], int] = {}
        self.values: dict[tuple[Value, ...], Interval] = {}
        self.read = [[flow.index[name] for name in sorted(e.counters())] for e in flow.expressions]

    def follow(self) -> bool:
        """Build the graph; False if it has too many vertices or steps."""
        start: AbstractStore = (0,) * len(self.flow.counters)
        for i in self.graph.unknown:
            (start,) = self.changed(start, i, exactly(0))
        self.place(self.flow.entry, start)
        for vertex in self.graph.vertices:  # grows meanwhile
            if len(self.graph.vertices) > self.limit:
                return False
            self.graph.starts.append(self.expand(*vertex))
            if self.too_many_steps():
                return False
        self.graph.steps = [
            self.valued(*pair) for pair in zip(self.graph.steps, self.graph.stores, strict=True)
        ]
        return True

    def too_many_steps(self) -> bool:
        """Whether values multiply between meeting points, where nothing limits them."""
        return len(self.graph.steps) + self.pending > self.most_steps

    def seen(self) -> Iterator[AbstractStore]:
        """Every abstract store that was met."""
        yield from self.graph.stores
        for _, store in self.graph.vertices:
            yield store

    def valued(self, step: Step, store: AbstractStore) -> Step:
        """The step with what its angle or probability may be."""
        index = expression_of(self.flow, step.instruction)
        if index < 0:
            return step
        key = (index, *(store[i] for i in self.read[index]))
        if key not in self.values:
            self.values[key] = self.value(self.flow.expressions[index], store)
        return replace(step, value=self.values[key])

    def place(self, instruction: int, store: AbstractStore) -> int | None:
        """What `Step.next` holds for a place, None if it is a step that has not been made."""
        if instruction in (END, ABORT):
            if instruction == END:
                self.graph.ends[store] = None
            return STOP
        key = (instruction, store)
        if instruction not in self.flow.meeting:
            return self.step_index.get(key)
        if key not in self.vertex_index:
            self.vertex_index[key] = len(self.graph.vertices)
            self.graph.vertices.append(key)
        return -2 - self.vertex_index[key]

    def expand(self, instruction: int, store: AbstractStore) -> int:
        """Make the steps from a vertex to the next vertices; return the first of them."""
        pending = [(instruction, store)]
        while True:
            here, known = pending[-1]
            step, successors = self.successors(self.flow.instructions[here], known)
            places = [self.place(*successor) for successor in successors]
            missing = [s for s, place in zip(successors, places, strict=True) if place is None]
            if missing:
                pending += missing
                self.pending = len(pending)
                if self.too_many_steps():
                    return STOP
                continue
            pending.pop()
            if pending and (here, known) in self.step_index:
                continue  # met on two ways
            self.graph.steps.append(replace(step, next=tuple(p for p in places if p is not None)))
            self.graph.stores.append(known)
            index = len(self.graph.steps) - 1
            if not pending or self.too_many_steps():
                return index
            self.step_index[here, known] = index

    def successors(
        self, instruction: Instruction, store: AbstractStore
    ) -> tuple[Step, list[tuple[int, AbstractStore]]]:
        """The step of an instruction, its `next` to be filled in, and where it goes."""
        step = Step(instruction, ())
        match instruction:
            case fl.Apply(next=following) | fl.ResetBits(next=following) | fl.Mark(next=following):
                return step, [(following, store)]
            case fl.ChannelBits(next=following):
                return step, [(following, store)]
            case fl.MeasureBits(targets=targets):
                return step, [(target, store) for target in targets]
            case fl.RecordBits(qubits=qubits, counter=counter, next=following):
                outcomes = range(1 << len(qubits))
                step = Step(instruction, (), rest=float(len(outcomes) - 1))
                # One way an outcome, whatever is known of the counter afterwards.
                ways = [self.changed(store, counter, exactly(u)) for u in outcomes]
                return step, [(following, changed) for (changed,) in ways]
            case fl.Toss(if_true=if_true, if_false=if_false):
                return step, [(if_true, store), (if_false, store)]
            case fl.Decide(condition=condition, if_true=if_true, if_false=if_false):
                taken = self.ways(condition, store)
                return step, [(if_true if way else if_false, store) for way in taken]
            case fl.Set(counter=counter, value=value, next=following):
                known = self.graph.known(store)
                hidden = counter >= self.flow.own
                scale, rest = (0.0, 0.0) if hidden else growth(value, known)
                if value.counters() <= known.keys():
                    try:
                        new = exactly(int(value.evaluate({}, known)))
                    except EvaluationError:
                        return step, []  # the run ends with an error
                else:
                    new = possible(value, {}, known, self.graph.others(store))
                step = Step(instruction, (), scale=scale, rest=rest)
                return step, [(following, changed) for changed in self.changed(store, counter, new)]
            case fl.Stop():
                return step, []
            case _:
                assert_never(instruction)

    def ways(self, condition: t.Compare, store: AbstractStore) -> tuple[bool, ...]:
        """How a comparison may turn out."""
        known = self.graph.known(store)
        left, right = condition.left, condition.right
        if left.counters() | right.counters() <= known.keys():
            try:
                a, b = left.evaluate(self.parameters, known), right.evaluate(self.parameters, known)
            except EvaluationError:
                return ()
            equal = condition.operator in ("=", "!=")
            holds = (a == b) == (condition.operator == "=") if equal else _ORDER[condition.operator](a, b)
            return (bool(holds),)
        others = self.graph.others(store)
        one, other = (possible(side, self.parameters, known, others) for side in (left, right))
        if condition.operator in ("=", "!="):
            ways = _equal_ways(one, other)
            return ways if condition.operator == "=" else tuple(not way for way in ways)
        compare = _ORDER[condition.operator]
        ways = compare(one.least, other.most), compare(one.most, other.least)
        return ways if ways[0] != ways[1] else ways[:1]

    def value(self, expression: Expr, store: AbstractStore) -> Interval:
        """What an angle or a probability may be; both ends are its value if its counters are known."""
        known = self.graph.known(store)
        if not expression.counters() <= known.keys():
            found = possible(expression, self.parameters, known, self.graph.others(store))
            return found.least, found.most
        try:
            value = float(expression.evaluate(self.parameters, known))
        except EvaluationError:
            return EVERYTHING  # the run ends with an error
        return value, value

    def changed(self, store: AbstractStore, counter: int, new: Possible) -> list[AbstractStore]:
        """The stores in which a counter may have any of the integers that are possible."""
        values = self.graph.partition.values(new, counter not in self.graph.unknown)
        return [(*store[:counter], value, *store[counter + 1 :]) for value in values]


def _equal_ways(a: Possible, b: Possible) -> tuple[bool, ...]:
    """Whether two numbers may be equal, and whether they may differ."""
    if a.most < b.least or b.most < a.least:
        return (False,)
    if a.congruence is not None and b.congruence is not None and not meet(a.congruence, b.congruence):
        return (False,)
    return (True,) if a.least == a.most == b.least == b.most else (True, False)


def expression_of(flow: Flow, instruction: Instruction) -> int:
    """Index of the angle or probability of an instruction, -1 where there is none."""
    match instruction:
        case fl.Apply(gate=gate):
            return flow.gates[gate].expression
        case fl.Toss(expression=expression) | fl.ChannelBits(expression=expression):
            return expression
        case _:
            return -1
