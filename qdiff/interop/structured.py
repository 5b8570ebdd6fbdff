"""Loops that are left in the middle, lowered to loops that are not.

`break` and `continue` become a counter of the loop, 0 at first, and what stands behind them is done where it
is still 0:

    while B do S1; if C then break fi; S2 od
    ─► e := 0; while e != 2 and B do e := 0; S1; if C then e := 2 fi; if e = 0 then S2 fi od

A condition may need statements that find its values; they run before each evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from qdiff.errors import QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.limits import DEEPEST
from qdiff.lang.tree import And, Assign, Block, Compare, Condition, If, Skip, Statement, While

CONTINUED, BROKEN = 1, 2
TOO_DEEP = f"blocks are nested more than {DEEPEST} deep, or nearly so."


@dataclass(frozen=True)
class Leave:
    """Leave the innermost loop, or this pass of it."""

    loop: bool


@dataclass(frozen=True, eq=False)
class Branch:
    """if condition then … else …"""

    condition: Condition
    then: list[Item]
    otherwise: list[Item] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Loop:
    """while condition do body; `before` runs before each evaluation, `step` behind each pass, left or not."""

    condition: Condition
    body: list[Item]
    before: list[Item] = field(default_factory=list)
    step: list[Item] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Passes:
    """The passes of a loop one after the other: one that is unrolled."""

    bodies: list[list[Item]]


Item: TypeAlias = Statement | Leave | Branch | Loop | Passes


def lowered(items: Sequence[Item], counter: Callable[[], str]) -> Block:
    """Return statements for items; `counter` gives a new counter.

    Raises:
        QdiffError: blocks are nested too deep; a `Leave` stands outside of loops.
    """
    try:
        return tuple(_Lowering(counter).block(items, None, 0))
    except RecursionError:
        raise QdiffError(TOO_DEEP) from None


class _Lowering:
    def __init__(self, counter: Callable[[], str]) -> None:
        self.counter = counter
        self._leaving: dict[int, bool] = {}

    def block(self, items: Sequence[Item], leave: str | None, depth: int) -> list[Statement]:
        if depth > DEEPEST:
            raise QdiffError(TOO_DEEP)
        found: list[Statement] = []
        for i, item in enumerate(items):
            match item:
                case Leave(loop=loop):
                    if leave is None:
                        raise QdiffError(f"`{'break' if loop else 'continue'}` stands outside of loops.")
                    found.append(Assign(leave, ex.number(BROKEN if loop else CONTINUED)))
                    return found
                case Branch():
                    then = self.block(item.then, leave, depth + 1)
                    otherwise = self.block(item.otherwise, leave, depth + 1)
                    if then or otherwise:
                        found.append(If(item.condition, tuple(then) or (Skip(),), tuple(otherwise)))
                case Loop():
                    found += self.loop(item, depth)
                case Passes(bodies=bodies):
                    found += self.passes(bodies, depth)
                case _:
                    found.append(item)
            if leave is not None and self.leaves(item):
                rest = self.block(items[i + 1 :], leave, depth + 1)
                if rest:
                    found.append(If(Compare(ex.Counter(leave), "=", ex.ZERO), tuple(rest)))
                return found
        return found

    def loop(self, loop: Loop, depth: int) -> list[Statement]:
        leave = self.counter() if any(map(self.leaves, loop.body)) else None
        before = self.block(loop.before, None, depth + 1)
        again = [*self.block(loop.step, None, depth + 1), *before]
        if leave is None:
            body = [*self.block(loop.body, None, depth + 1), *again]
            return [*before, While(loop.condition, tuple(body) or (Skip(),))]
        start = Assign(leave, ex.ZERO)
        stays = Compare(ex.Counter(leave), "!=", ex.number(BROKEN))
        parts = loop.condition.parts if isinstance(loop.condition, And) else (loop.condition,)
        body = [start, *self.block(loop.body, leave, depth + 1)]
        if again:
            body.append(If(stays, tuple(again)))
        return [start, *before, While(And((stays, *parts)), tuple(body))]

    def passes(self, bodies: Sequence[Sequence[Item]], depth: int) -> list[Statement]:
        if not any(self.leaves(item) for body in bodies for item in body):
            return [statement for body in bodies for statement in self.block(body, None, depth)]
        leave = self.counter()
        stays = Compare(ex.Counter(leave), "!=", ex.number(BROKEN))
        found: list[Statement] = [Assign(leave, ex.ZERO)]
        for i, body in enumerate(bodies):
            done = self.block(body, leave, depth + 1)
            if i and done:
                done = [If(stays, (Assign(leave, ex.ZERO), *done))]
            found += done
        return found

    def leaves(self, item: Item) -> bool:
        """Whether an item may leave the loop that it stands in."""
        known = self._leaving.get(id(item))
        if known is None:
            match item:
                case Leave():
                    known = True
                case Branch(then=then, otherwise=otherwise):
                    known = any(self.leaves(inner) for inner in (*then, *otherwise))
                case _:
                    known = False
            self._leaving[id(item)] = known
        return known
