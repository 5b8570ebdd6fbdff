"""Paths: what a program does from one place until it measures, resets, flips, meets itself or stops.

Gates, counters and comparisons in between are decided by the store alone. A path that comes back to
the same instruction with the same store never ends; one that goes on for very long is refused, so
that a loop which counts for ever is answered within about a second.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from qdiff.errors import EvaluationError
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import Counter, Expr, Negate, Number, Sum
from qdiff.lang.running import COMPARE, checked_counter, located
from qdiff.lang.source import Position
from qdiff.sim.flow import Apply, Decide, Flow, Mark, Set
from qdiff.sim.readings import Rows

Store = tuple[int, ...]

MOST_STEPS = 1 << 17  # beyond the length of the program: about a second


@dataclass
class Path:
    """Where a path leads.

    Attributes:
        gates: (gate, row of counters) in order. marks: passages of loops, as in `flow.Mark`.
        point, store: where it stops. error: why it cannot go on, where it cannot.
        repeated: where it comes back to the same counters and never ends, how many gates and marks come
            before what is repeated; else None.
    """

    point: int
    store: Store
    gates: list[tuple[int, int]] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    error: EvaluationError | None = None
    repeated: tuple[int, int] | None = None

    @property
    def for_ever(self) -> tuple[list[tuple[int, int]], list[int]]:
        """Gates and marks that are passed infinitely often."""
        if self.repeated is None:
            return [], []
        gates, marks = self.repeated
        return self.gates[gates:], self.marks[marks:]


class Walker:
    """Follows paths of one program at one set of compared parameters; knows those it has followed.

    Args:
        rows: receives the counter values that angles read.
        forgotten: counters that nobody asks for: what is assigned to them is not computed.
    """

    def __init__(
        self, flow: Flow, rows: Rows, compared: Mapping[str, float], forgotten: Container[int] = ()
    ) -> None:
        self.flow = flow
        self.rows = rows
        self.compared = compared
        self.forgotten = forgotten
        self.read: dict[int, list[int]] = {}
        self.sums: dict[int, tuple[int, tuple[int, ...]] | None] = {}
        self.values: dict[tuple[int, tuple[int, ...]], int | float] = {}

    def follow(self, point: int, store: Store, stops: Container[int]) -> Path:
        """Follow a program from a point to the next of `stops`, or to what this path cannot decide."""
        path = Path(point, store)
        met: dict[tuple[int, Store], tuple[int, int]] = {}
        steps, allowed = 0, MOST_STEPS + len(self.flow.instructions)
        while True:
            instruction = self.flow.instructions[path.point]
            try:
                match instruction:
                    case Apply(gate=gate, next=following):
                        expression = self.flow.gates[gate].expression
                        row = self.rows.row(expression, path.store) if expression >= 0 else 0
                        path.gates.append((gate, row))
                    case Mark(index=index, next=following):
                        # Every pass of a loop goes by a mark: a store met there before comes again.
                        if (path.point, path.store) in met:
                            path.repeated = met[path.point, path.store]
                            return path
                        met[path.point, path.store] = len(path.gates), len(path.marks)
                        path.marks.append(index)
                    case Set(counter=counter, value=value, position=position, next=following):
                        if counter not in self.forgotten:
                            path.store = self._assign(path.store, counter, value, position)
                    case Decide(condition=test, if_true=if_true, if_false=if_false):
                        left, right = (
                            self._evaluate(test.left, path.store),
                            self._evaluate(test.right, path.store),
                        )
                        following = if_true if COMPARE[test.operator](left, right) else if_false
                    case _:
                        return path
            except ValueFailure as failure:
                path.error = located(self.flow.program, failure.message, failure.node.place())
                return path
            except EvaluationError as overflow:
                path.error = overflow
                return path
            path.point = following
            steps += 1
            if path.point in stops:
                return path
            if steps > allowed:
                path.error = EvaluationError(
                    f"A loop does not end: it still runs after {steps} steps that decide nothing at random. "
                    "Where it is entered, a run neither ends nor aborts."
                )
                return path

    def _assign(self, store: Store, counter: int, value: Expr, position: Position | None) -> Store:
        name = self.flow.counters[counter]
        result = checked_counter(self.flow.program, name, self._evaluate(value, store), position)
        return (*store[:counter], result, *store[counter + 1 :])

    def _evaluate(self, expr: Expr, store: Store) -> int | float:
        key_of = id(expr)
        if key_of not in self.sums:
            self.sums[key_of] = self._as_sum(expr)
        plain = self.sums[key_of]
        if plain is not None:
            return plain[0] + sum([store[i] for i in plain[1]])
        return self._evaluate_any(expr, store)

    def _as_sum(self, expr: Expr) -> tuple[int, tuple[int, ...]] | None:
        """An integer and counters whose sum an expression is: what most loops count with."""
        total, counters = 0, []
        for term in expr.terms if isinstance(expr, Sum) else (expr,):
            negative, inner = isinstance(term, Negate), term.operand if isinstance(term, Negate) else term
            if isinstance(inner, Number) and isinstance(inner.value, int):
                total += -inner.value if negative else inner.value
            elif isinstance(inner, Counter) and not negative:
                counters.append(self.flow.index[inner.name])
            else:
                return None
        return total, tuple(counters)

    def _evaluate_any(self, expr: Expr, store: Store) -> int | float:
        read = self.read.get(id(expr))
        if read is None:
            read = self.read[id(expr)] = sorted(self.flow.index[name] for name in expr.counters())
        key = (id(expr), tuple([store[i] for i in read]))
        if key not in self.values:
            counters = {self.flow.counters[i]: store[i] for i in read}
            self.values[key] = expr.evaluate(self.compared, counters)
        return self.values[key]
