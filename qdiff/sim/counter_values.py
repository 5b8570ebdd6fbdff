"""Which values counters can have on entry to each instruction, as far as a program shows by itself.

The values of each counter are carried along the flow: assignments replace them, comparisons with numbers
select some. Where they become many nothing is known any more; that is more than `MOST_FOLLOWED`, unless
constants, outcomes and finite arithmetic give the counter a *closed* set of them. What several counters have
to do with each other is not seen. (Constant propagation with sets: Kildall, "A unified approach to global
program optimization", 1973.)
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TypeAlias

from qdiff.errors import EvaluationError
from qdiff.lang import tree as t
from qdiff.lang.expr import Expr
from qdiff.lang.running import COMPARE, LARGEST_COUNTER, LEAST_COUNTER
from qdiff.sim.control import assignments
from qdiff.sim.flow import Decide, Flow, RecordBits, Set
from qdiff.sim.liveness import successors

MOST_CLOSED = 64
MOST_FOLLOWED = 8
MOST_COMBINED = 256  # values of the counters that an assignment reads, together

Values: TypeAlias = frozenset[int]
Known: TypeAlias = tuple[Values | None, ...]  # of each counter of the program; None where they are many


def closed_values(flow: Flow) -> dict[int, Values]:
    """Return the values of the counters that have a closed set of at most `MOST_CLOSED` of them."""
    own = range(flow.own)
    values: dict[int, Values] = dict.fromkeys(own, frozenset((0,)))
    for instruction in flow.instructions:
        if isinstance(instruction, RecordBits) and instruction.counter in values:
            outcomes = 1 << len(instruction.qubits)
            if outcomes > MOST_CLOSED:
                del values[instruction.counter]
            else:
                values[instruction.counter] |= frozenset(range(outcomes))
    rules = list(dict.fromkeys((a.counter, a.value) for a in assignments(flow) if a.counter in own))
    readers: dict[int, list[int]] = {}
    for i, (_, value) in enumerate(rules):
        for name in value.counters():
            readers.setdefault(flow.index[name], []).append(i)
    waiting = dict.fromkeys(range(len(rules)))
    while waiting:
        rule = next(iter(waiting))
        del waiting[rule]
        counter, value = rules[rule]
        if counter not in values:
            continue
        new = _assigned(value, {name: values.get(flow.index[name]) for name in value.counters()})
        if new is not None:
            new |= values[counter]
        if new is None or len(new) > MOST_CLOSED:
            del values[counter]
        elif len(new) > len(values[counter]):
            values[counter] = new
        else:
            continue
        waiting.update(dict.fromkeys(readers.get(counter, ())))
    return values


def _assigned(value: Expr, read: Mapping[str, Values | None]) -> Values | None:
    """The values that an integer expression takes; None where they are not known, or many."""
    sets = [values for values in read.values() if values is not None]
    if len(sets) < len(read) or math.prod(map(len, sets)) > MOST_COMBINED:
        return None
    found: set[int] = set()
    for chosen in product(*sets):
        try:
            new = value.evaluate({}, dict(zip(read, chosen, strict=True)))
        except EvaluationError:
            continue  # the run ends with an error
        if isinstance(new, int) and LEAST_COUNTER <= new <= LARGEST_COUNTER:
            found.add(new)
    return frozenset(found)


def values_at_points(flow: Flow) -> dict[int, Known]:
    """Return the values of counters on entry to each instruction that a run can come to."""
    following = _Following(flow)
    found: dict[int, Known] = {flow.entry: (frozenset((0,)),) * flow.own}
    waiting, queued = [-flow.entry], {flow.entry}  # the highest index first: flows are built from their ends
    while waiting:
        point = -heapq.heappop(waiting)
        queued.discard(point)
        for target, after in following.steps(point, found[point]):
            before = found.get(target)
            either = after if before is None or before == after else following.union(before, after)
            if either != before:
                found[target] = either
                if target not in queued:
                    queued.add(target)
                    heapq.heappush(waiting, -target)
    return found


class _Following:
    """What an instruction makes of the values of counters."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        closed = closed_values(flow)
        self.most = [MOST_CLOSED if i in closed else MOST_FOLLOWED for i in range(flow.own)]
        self.memo: dict[tuple[int, Known], Values | None] = {}
        self.compared: dict[int, int | None] = {}
        self.kept: dict[tuple[int, bool, Values], Values] = {}

    def union(self, one: Known, other: Known) -> Known:
        """What either of two is."""
        return tuple(
            [
                None if a is None or b is None else self.limited(i, a | b)
                for i, (a, b) in enumerate(zip(one, other, strict=True))
            ]
        )

    def limited(self, counter: int, values: Values | None) -> Values | None:
        """The values, None where they are many."""
        return None if values is None or len(values) > self.most[counter] else values

    def steps(self, point: int, known: Known) -> Iterator[tuple[int, Known]]:
        """Where an instruction may go on, and with which values."""
        match self.flow.instructions[point]:
            case Set(counter=counter, value=value, next=target) if counter < len(known):
                values = self.assigned(point, value, known)
                if values is None or values:  # else every run ends with an error
                    yield target, self.replaced(known, counter, values)
            case RecordBits(qubits=qubits, counter=counter, next=target):
                few = 1 << len(qubits) <= self.most[counter]
                yield (
                    target,
                    self.replaced(known, counter, frozenset(range(1 << len(qubits))) if few else None),
                )
            case Decide(condition=condition, if_true=if_true, if_false=if_false):
                for way, target in ((True, if_true), (False, if_false)):
                    after = self.selected(point, condition, known, way)
                    if after is not None:
                        yield target, after
            case instruction:
                for target in dict.fromkeys(successors(instruction)):
                    yield target, known

    def replaced(self, known: Known, counter: int, values: Values | None) -> Known:
        """The same with other values of one counter."""
        return (*known[:counter], self.limited(counter, values), *known[counter + 1 :])

    def assigned(self, point: int, value: Expr, known: Known) -> Values | None:
        """The values after an assignment; an empty set where every run ends with an error."""
        read = {name: known[self.flow.index[name]] for name in sorted(value.counters())}
        key = point, tuple(read.values())
        if key not in self.memo:
            self.memo[key] = _assigned(value, read)
        return self.memo[key]

    def selected(self, point: int, condition: t.Compare, known: Known, way: bool) -> Known | None:
        """What is left where a comparison of one counter with numbers goes one way; None if nothing is."""
        if point not in self.compared:
            self.compared[point] = self.only_counter(condition)
        counter = self.compared[point]
        before = None if counter is None else known[counter]
        if counter is None or before is None:
            return known
        key = point, way, before
        if key not in self.kept:
            name = self.flow.counters[counter]
            self.kept[key] = frozenset(v for v in before if _holds(condition, {name: v}) is way)
        return self.replaced(known, counter, self.kept[key]) if self.kept[key] else None

    def only_counter(self, condition: t.Compare) -> int | None:
        """The counter of the program that a comparison reads, None where it reads anything else."""
        sides = condition.left, condition.right
        names = sides[0].counters() | sides[1].counters()
        if len(names) != 1 or any(side.parameters() for side in sides):
            return None
        (name,) = names
        return self.flow.index[name] if self.flow.index[name] < len(self.most) else None


def _holds(condition: t.Compare, counters: Mapping[str, int]) -> bool | None:
    """Whether a comparison is true; None where a side has no value."""
    try:
        left, right = (side.evaluate({}, counters) for side in (condition.left, condition.right))
    except EvaluationError:
        return None
    return bool(COMPARE[condition.operator](left, right))
