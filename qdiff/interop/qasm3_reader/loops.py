"""Loops: `for` over constants is unrolled; what is too long for that is a `while`.

So is a loop whose bounds are known only when a program runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from qdiff.interop import values
from qdiff.interop.qasm3_reader import convert
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.classical import Evaluator
from qdiff.interop.qasm3_reader.control import ControlReader
from qdiff.interop.qasm3_reader.scope import (
    Bits,
    Constant,
    FloatVariable,
    Kind,
    Real,
    Scope,
    Value,
    Variable,
)
from qdiff.interop.structured import Item, Loop, Passes
from qdiff.interop.values import Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Assign, Compare

MOST_UNROLLED = 100_000
"""Statements of one loop; longer ones are a `while`."""


class LoopReader(ControlReader):
    """Reads loops."""

    def while_(self, node: sx.While, scope: Scope) -> list[Item]:
        """The condition is evaluated before each pass."""
        at = self.evaluator(scope, node.pos)
        condition = at.truth(node.condition)
        self.repeated += 1
        with self.context("loop") as context:
            body = self.inner(node.body, scope)
        self.repeated -= 1
        return [Loop(condition.condition, body, at.before), *self._after(context)]

    def for_(self, node: sx.For, scope: Scope) -> list[Item]:
        """One pass after the other, or a `while`."""
        at = self.evaluator(scope, node.pos)
        kind = at.kind(node.type)
        match node.values:
            case sx.Range() as given:
                start, step, stop = self._bounds(given, node, at)
                numbers = [values.constant(part.expr) for part in (start, stop)]
                if numbers[0] is None or numbers[1] is None:
                    return [*at.before, *self._counted(node, kind, (start, step, stop), at, scope)]
                passes = range(numbers[0], numbers[1] + (1 if step > 0 else -1), step)
                number = max(0, (numbers[1] - numbers[0]) // step + 1)  # what `len` cannot say of long ones
                if number * self._cost(node.body, scope) > MOST_UNROLLED:
                    return [*at.before, *self._counted(node, kind, (start, step, stop), at, scope)]
                given_values: list[Value] = [
                    Whole(ex.number(i), *convert.integer_type(kind)) if kind.name in ("int", "uint")
                    else convert.literal(i)
                    for i in passes
                ]  # fmt: skip
            case sx.IndexSet(items=items):
                given_values = [self._as_now(at.value(item), at) for item in items]
            case other:
                value = at.value(other)
                if not isinstance(value, Bits):
                    raise Fault("a loop runs over a range, a set or a register of bits.", other.pos)
                given_values = [values.of_bit(bit) for bit in value.bits]
        return [*at.before, *self._unrolled(node, kind, given_values, scope)]

    def _bounds(self, given: sx.Range, node: sx.For, at: Evaluator) -> tuple[Whole, int, Whole]:
        if given.start is None or given.stop is None:
            raise Fault("a loop has a first and a last value.", node.pos)
        step = 1 if given.step is None else at.constant_integer(given.step, "the step")
        if step == 0:
            raise Fault("the step of a range is not 0.", given.pos)
        stop = at.value(given.stop)
        if isinstance(stop, Real) and stop.whole:  # an input, which the condition of a `while` compares
            return at.integer(given.start), step, Whole(stop.expr, None, True)
        return at.integer(given.start), step, at.integer(given.stop)

    def _as_now(self, value: Value, at: Evaluator) -> Value:
        """A value that stays what it is before the loop, whatever the passes do."""
        match value:
            case _ if convert.is_constant(value):
                return value
            case Real():
                return self.kept(value, at)
            case Truth():
                return values.of_bit(self._copied(at.bit(value), at))
            case Whole(expr=expr, width=width, signed=signed):
                return Whole(self._copied(expr, at), width, signed)
            case _:
                return value

    def _copied(self, expr: Expr, at: Evaluator) -> Expr:
        name = self.memory.temporary()
        at.before.append(Assign(name, expr))
        return ex.Counter(name)

    def _unrolled(self, node: sx.For, kind: Kind, given: Sequence[Value], scope: Scope) -> list[Item]:
        changed = assigned(node.body, node.name.text)
        bodies: list[list[Item]] = []
        with self.context("loop") as context:
            outer = self.region
            if leaves(node.body):
                self._regions += 1
                self.region = self._regions
            for value in given:
                inner = Scope(scope)
                at = self.evaluator(scope, node.pos)
                first = self.bound(
                    node.name, self.converted(at, value, kind, node.pos), kind, changed, inner, at
                )
                bodies.append([*at.before, *first, *self.inner(node.body, inner, conditional=False)])
            self.region = outer
        return [Passes(bodies), *self._after(context)]

    def bound(
        self, name: sx.Name, value: Value, kind: Kind, changed: bool, scope: Scope, at: Evaluator
    ) -> list[Item]:
        """Give a value a name: as a constant where it is one and stays so."""
        if not changed and convert.is_constant(value):
            scope.names[name.text] = Constant(value)
            return []
        if isinstance(value, Real):
            scope.names[name.text] = FloatVariable(kind, self.kept(value, at), self.region)
            return []
        variable, _ = self.site(name, name, kind)
        scope.names[name.text] = variable
        return self.store(variable, value, at, name.pos)

    def _counted(
        self, node: sx.For, kind: Kind, bounds: tuple[Whole, int, Whole], at: Evaluator, scope: Scope
    ) -> list[Item]:
        """A loop with a counter; the variable of the loop is another one where it may differ."""
        if kind.name not in ("int", "uint"):
            raise Fault(f"a variable of the type `{kind}` cannot count this loop.", node.pos)
        start, step, stop = bounds
        why = f"`{node.name.text}` is counted when the program runs: its loop is too long or its bounds vary."
        width, signed = convert.integer_type(kind)
        variable, _ = self.site(node.name, node.name, kind)
        variable = Variable(kind, variable.counters, why)
        hidden = variable.counters[0]
        narrow = width is not None and not all(_within(part, width, signed) for part in (start, stop))
        if narrow or assigned(node.body, node.name.text):
            hidden = self.memory.counter(f"{node.name.text}_next")
        count = ex.Counter(hidden)
        last = stop.expr
        before: list[Item] = [Assign(hidden, start.expr, pos=node.pos)]
        if last.counters():  # as it is now, whatever the passes do to it
            name = self.memory.counter(f"{node.name.text}_last")
            before.insert(0, Assign(name, last))
            last = ex.Counter(name)
        inner = Scope(scope)
        inner.names[node.name.text] = variable
        self.repeated += 1
        with self.context("loop") as context:
            first: list[Item] = []
            if hidden != variable.counters[0]:
                first = [Assign(variable.counters[0], values.wrapped(count, width, signed))]
            body = [*first, *self.inner(node.body, inner)]
        self.repeated -= 1
        further: list[Item] = [Assign(hidden, ex.add(count, ex.number(step)))]
        condition = Compare(count, "<=" if step > 0 else ">=", last)
        return [*before, Loop(condition, body, step=further), *self._after(context)]

    def _cost(self, block: sx.Block, scope: Scope) -> int:
        """About how many statements a block becomes, as far as constants say; at least 1."""
        total = 1
        for node in block:
            total += 1
            factor = 1
            if isinstance(node, sx.For):
                if isinstance(node.values, sx.IndexSet):
                    factor = len(node.values.items)
                elif isinstance(node.values, sx.Range):
                    factor = self._passes(node.values, scope)
            total += sum(factor * self._cost(inner, scope) for inner in sx.blocks_of(node))
        return total

    def _passes(self, given: sx.Range, scope: Scope) -> int:
        at = self.evaluator(scope)
        try:
            start, stop = (
                0 if part is None else at.constant_integer(part, "") for part in (given.start, given.stop)
            )
            step = 1 if given.step is None else at.constant_integer(given.step, "")
        except Fault:  # known inside of the loop only, or an error, which is met there
            return 1
        return max(1, abs(stop - start) // max(1, abs(step)))


def _within(part: Whole, width: int, signed: bool) -> bool:
    """Whether an integer is in the range of a type for sure."""
    number = values.constant(part.expr)
    if number is not None:
        return convert.fits(number, width, signed)
    return part.width is not None and part.width <= width and part.signed == signed


def assigned(block: sx.Block, name: str) -> bool:
    """Whether a block may assign to a name."""
    for node in block:
        if isinstance(node, sx.Assign) and node.target is not None:
            target: sx.Expression = node.target
            while isinstance(target, sx.Indexed):
                target = target.of
            if isinstance(target, sx.Name) and target.text == name:
                return True
        if any(assigned(inner, name) for inner in sx.blocks_of(node)):
            return True
    return False


def leaves(block: sx.Block) -> bool:
    """Whether a block holds `break`, `continue`, `end` or `return`."""
    return any(
        isinstance(node, sx.Leave | sx.Return) or any(map(leaves, sx.blocks_of(node))) for node in block
    )
