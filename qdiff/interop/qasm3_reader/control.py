"""Control flow: blocks, branches, `switch`, and what leaves loops.

`break` and `continue` leave the innermost loop. `end` and `return` leave several: a counter says so, and each
loop around looks at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from qdiff.interop import values
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.scope import (
    FloatVariable,
    Scope,
    Variable,
)
from qdiff.interop.qasm3_reader.statements import StatementReader
from qdiff.interop.structured import Branch, Item, Leave
from qdiff.interop.values import Truth
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Assign, Compare, Condition

MOST_ARMS = 8
"""Cases of a `switch` that are nested in one another; more are asked one after the other."""


@dataclass(eq=False)
class Context:
    """A loop, a subroutine or the whole program, while its statements are read.

    Attributes:
        left: whether a statement inside leaves it. ended, returned: whether `end` or `return` goes beyond it.
        returns: of a subroutine: where its value is kept. flag: the counter that says that it has returned.
    """

    kind: str
    left: bool = False
    ended: bool = False
    returned: bool = False
    returns: Variable | FloatVariable | None = None
    flag: str = ""


class ControlReader(StatementReader):
    """Reads blocks, branches and what leaves loops."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts = [Context("program")]
        self._ended = ""  # the counter that says that the program has ended
        self._regions = 0
        self._readers: dict[type, Callable[..., list[Item]]] = {}

    def statements(self, block: sx.Block, scope: Scope) -> list[Item]:
        """The items of statements, in the names of a scope."""
        found: list[Item] = []
        for node in block:
            mark = self.memory.mark()
            items = self._readers[type(node)](node, scope)
            self.memory.release(mark)
            self.gates.counted(node.pos, 1 + len(items))
            found += items
        return found

    def inner(self, block: sx.Block, scope: Scope, conditional: bool = True) -> list[Item]:
        """The items of a block with names of its own; `conditional` where not every run does it."""
        outer = self.region
        if conditional:
            self._regions += 1
            self.region = self._regions
        found = self.statements(block, Scope(scope))
        self.region = outer
        return found

    def scope_(self, node: sx.Scope, scope: Scope) -> list[Item]:
        """{ … }"""
        return self.inner(node.body, scope, conditional=False)

    # --- Branches --------------------------------------------------------------------------------------

    def if_(self, node: sx.If, scope: Scope) -> list[Item]:
        """Arms are asked one after the other; what an arm needs to be evaluated runs when it is its turn."""
        asked: list[tuple[list[Item], Condition | None, list[Item]]] = []
        for condition, body in node.arms:
            at = self.evaluator(scope, node.pos)
            truth = at.truth(condition)
            known = values.known(truth)
            if known is False and not at.before:
                continue  # in an unrolled loop this may be what holds only for other passes
            if known is True and not at.before:
                asked.append(([], None, self.inner(body, scope, conditional=bool(asked))))
                break
            asked.append((at.before, truth.condition, self.inner(body, scope)))
        else:
            asked.append(([], None, self.inner(node.otherwise, scope, conditional=bool(asked))))
        found: list[Item] = []
        for before, found_condition, items in reversed(asked):
            found = items if found_condition is None else [*before, Branch(found_condition, items, found)]
        return found

    def switch(self, node: sx.Switch, scope: Scope) -> list[Item]:
        """The target is evaluated once, one arm is done."""
        at = self.evaluator(scope, node.pos)
        target = at.integer(node.target)
        known = values.constant(target.expr)
        seen: set[int] = set()
        arms: list[tuple[list[int], list[Item]]] = []
        taken = node.default or ()
        for labels, body in node.cases:
            numbers = [at.constant_integer(label, "a label") for label in labels]
            for label, number in zip(labels, numbers, strict=True):
                if number in seen:
                    raise Fault(f"the label {number} stands twice.", label.pos)
                seen.add(number)
            if known is None:
                arms.append((numbers, self.inner(body, scope)))
            elif known in numbers:
                taken = body
        if known is not None:
            return [*at.before, *self.inner(taken, scope, conditional=False)]
        default = self.inner(node.default or (), scope)
        value = at.plain(target.expr)
        if len(arms) <= MOST_ARMS:
            found = default
            for numbers, items in reversed(arms):
                found = [Branch(_is_one_of(value, numbers), items, found)]
            return [*at.before, *found]
        name = self.memory.temporary()
        value = ex.Counter(name)
        found = [*at.before, Assign(name, target.expr)]
        found += [Branch(_is_one_of(value, numbers), items) for numbers, items in arms]
        if default:
            found.append(Branch(values.opposite(Truth(_is_one_of(value, sorted(seen)))).condition, default))
        return found

    # --- Leaving ---------------------------------------------------------------------------------------

    def leave(self, node: sx.Leave, scope: Scope) -> list[Item]:
        """break, continue, end."""
        if node.word == "end":
            return self._end(node.pos)
        if self.contexts[-1].kind != "loop":
            raise Fault(f"`{node.word}` stands outside of loops.", node.pos)
        self.contexts[-1].left = True
        return [Leave(loop=node.word == "break")]

    def _end(self, pos: Position) -> list[Item]:
        if any(context.kind == "routine" for context in self.contexts):
            raise Fault("`end` in a subroutine is not read.", pos)
        for context in self.contexts:
            context.left = True
        if len(self.contexts) == 1:
            return [Leave(loop=True)]
        for context in self.contexts[1:]:
            context.ended = True
        self._ended = self._ended or self.memory.counter("ended")
        return [Assign(self._ended, ex.ONE), Leave(loop=True)]

    def _after(self, context: Context) -> list[Item]:
        """What stands behind a loop that `end` or `return` may have left."""
        flags = [self._ended] if context.ended else []
        if context.returned:
            flags.append(next(one.flag for one in reversed(self.contexts) if one.kind == "routine"))
        return [Branch(Compare(ex.Counter(flag), "=", ex.ONE), [Leave(loop=True)]) for flag in flags]

    @contextmanager
    def context(self, kind: str) -> Iterator[Context]:
        """Read the statements of a loop or subroutine."""
        found = Context(kind)
        self.contexts.append(found)
        try:
            yield found
        finally:
            self.contexts.pop()


def _is_one_of(value: Expr, labels: Sequence[int]) -> Condition:
    parts = [Truth(Compare(value, "=", ex.number(label))) for label in labels]
    return values.joined("or", parts).condition
