"""Which values the counters of an explicit program can have, proved from its assignments.

    ranges: least ≤ c ≤ most wherever a run is    values: the few values of c where an expression is evaluated

The first does not follow the order of statements: an assignment that makes a counter larger than before,
again and again, makes it as large as one likes. The second follows the program, so it sees the conditions of
loops.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import product

from qdiff.lang.expr import Counter, Expr, IntegerQuotient, Modulo
from qdiff.lang.tree import Assign, Measure, Program
from qdiff.lang.walk import statements
from qdiff.sim.counter_values import Values, values_at_points
from qdiff.sim.flow import Apply, Decide, Set, lower
from qdiff.sim.intervals import Possible, exactly, possible

MOST_STORES = 64
"""Combinations of values that are told apart: 6 bits."""
STEPS = 3
"""How often a bound may move before it is given up."""


class Ranges:
    """What is known of the counters of a program without noise."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @cached_property
    def counters(self) -> dict[str, Possible]:
        """What each counter may be anywhere."""
        found = dict.fromkeys(self.program.counters, exactly(0))
        rules: dict[tuple[str, Expr], None] = {}
        for statement in statements(self.program.body):
            match statement:
                case Measure(counter=counter, qubits=qubits):
                    found[counter] = _either(found[counter], Possible(0, 2.0 ** len(qubits) - 1, (0, 1)))
                case Assign(counter=counter, value=value):
                    rules[counter, value] = None
        readers: dict[str, list[tuple[str, Expr]]] = {}
        for rule in rules:
            for name in rule[1].counters():
                readers.setdefault(name, []).append(rule)
        moved = dict.fromkeys(self.program.counters, 0)
        waiting = dict(rules)
        while waiting:
            rule = next(iter(waiting))
            del waiting[rule]
            counter, value = rule
            before = found[counter]
            after = _either(before, possible(value, {}, {}, found))
            if after == before:
                continue
            moved[counter] += 1
            if moved[counter] > STEPS:
                after = Possible(
                    before.least if after.least == before.least else -math.inf,
                    before.most if after.most == before.most else math.inf,
                    (0, 1),
                )
            found[counter] = after
            waiting.update(dict.fromkeys(readers.get(counter, ())))
        return found

    def of(self, expr: Expr) -> tuple[float, float]:
        """The least and the most that an integer expression may be."""
        if isinstance(expr, Counter):
            found = self.counters[expr.name]
        else:
            found = possible(expr, {}, {}, self.counters)
        return found.least, found.most

    def least(self, expr: Expr) -> float:
        """The least that what is divided may be: by its interval, or by the values that there are."""
        least, _ = self.of(expr)
        stores = self.stores(expr) if least < 0 else None
        if not stores:
            return least
        return min(expr.evaluate({}, store) for store in stores)

    def stores(self, expr: Expr, *, angle: bool = False) -> list[dict[str, int]] | None:
        """The values of the counters of an expression where it is evaluated; None where they are many.

        Args:
            angle: as an angle; else where it is assigned, compared or divided.
        """
        names = sorted(expr.counters())
        found: list[list[int]] = []
        points = self._at.get((angle, expr))
        for i, name in enumerate(names):
            least, most = self.of(Counter(name))
            few = None if points is None else points[i]
            if few is not None:
                found.append(sorted(few))
            elif most - least < MOST_STORES:
                found.append(list(range(int(least), int(most) + 1)))
            else:
                return None
        if math.prod(map(len, found)) > MOST_STORES:
            return None
        return [dict(zip(names, chosen, strict=True)) for chosen in product(*found)]

    @cached_property
    def _at(self) -> dict[tuple[bool, Expr], list[Values | None]]:
        """The values of the counters of each expression, as an angle or not, in alphabetical order."""
        flow = lower(self.program)
        found: dict[tuple[bool, Expr], list[Values | None]] = {}
        for point, known in values_at_points(flow).items():
            read: tuple[Expr, ...]
            match flow.instructions[point]:
                case Apply():
                    read = flow.written.get(point, ())
                case Set(value=value):
                    read = (value,)
                case Decide(condition=condition):
                    read = (condition.left, condition.right)
                case _:
                    continue
            angle = isinstance(flow.instructions[point], Apply)
            for key in (*((angle, expr) for expr in read), *((False, expr) for expr in _divided(read))):
                expr = key[1]
                names = sorted(expr.counters())
                if not names:
                    continue
                here = [known[flow.index[name]] for name in names]
                before = found.get(key)
                found[key] = here if before is None else list(map(_union, before, here))
        return found


def _divided(expressions: Iterable[Expr]) -> Iterator[Expr]:
    """What is divided inside expressions."""
    for expr in expressions:
        for node in expr.walk():
            if isinstance(node, IntegerQuotient | Modulo):
                yield node.left


def _either(one: Possible, other: Possible) -> Possible:
    return Possible(min(one.least, other.least), max(one.most, other.most), (0, 1))


def _union(one: Values | None, other: Values | None) -> Values | None:
    return None if one is None or other is None else one | other
