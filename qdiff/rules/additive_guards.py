"""Derivatives of conditions: a `flip` forced to either outcome, and what is left to decide after it.

With P what must be true for the flip to be evaluated, and R(v) what the condition amounts to once it
came out as v, the terms of `if B then S else S' fi` are

    c_v:    if P then if R(v) then S else S' fi else abort fi,        v = true, false.

P and R(v) are conditions made of the parts of B before and after the flip; R(v) may be decided already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from qdiff.lang.expr import Expr
from qdiff.lang.source import Position
from qdiff.lang.tree import And, Block, Compare, Condition, Flip, If, Measured, Not, Or
from qdiff.rules.statements import ABORT, NOTHING

Decided: TypeAlias = Condition | bool


@dataclass(frozen=True)
class GuardTerm:
    """One term: a flip of a condition, forced.

    Attributes:
        coefficient: c_v times the slope of the probability.
        reached: which flip.
        value: v, what it is forced to.
    """

    coefficient: Expr
    reached: Reached
    value: bool

    def aborts(self, then_aborts: bool, otherwise_aborts: bool) -> bool:
        """Whether no run survives, for branches of which it is known whether they abort."""
        match self.reached.after(self.value):
            case True:
                return then_aborts
            case False:
                return otherwise_aborts
            case _:
                return then_aborts and otherwise_aborts

    def block(self, then: Block, otherwise: Block) -> Block:
        """Return the term of `if B then … else … fi` for these branches."""
        left, needed = self.reached.after(self.value), self.reached.before()
        if isinstance(left, bool):
            chosen = then if left else otherwise
        else:
            chosen = (conditional(left, then, otherwise, self.reached.flip.pos),)
        if not needed:
            return chosen
        first = needed[0] if len(needed) == 1 else And(needed)
        return (conditional(first, chosen, ABORT, self.reached.flip.pos),)


def conditional(condition: Condition, then: Block, otherwise: Block, pos: Position | None) -> If:
    """Return `if … then … else … fi` in normal form; a branch may be empty."""
    return If(condition, then or NOTHING, () if otherwise == NOTHING else otherwise, pos=pos)


@dataclass(frozen=True)
class Reached:
    """A flip inside a condition: what leads to it, from the outside in."""

    flip: Flip
    path: tuple[tuple[Condition, int], ...]  # each condition around it, and which of its parts

    def before(self) -> tuple[Condition, ...]:
        """Return what must be true for the flip to be evaluated, in the order of evaluation."""
        needed: list[Condition] = []
        for outer, place in self.path:
            if isinstance(outer, And):
                needed.extend(outer.parts[:place])
            elif isinstance(outer, Or):
                needed.extend([Not(part) for part in outer.parts[:place]])
        return tuple(needed)

    def after(self, value: bool) -> Decided:
        """Return what the whole condition amounts to once the flip came out as `value`."""
        left: Decided = value
        for outer, place in reversed(self.path):
            match outer:
                case Not():
                    left = not left if isinstance(left, bool) else Not(left)
                case And(parts=parts) | Or(parts=parts):
                    rest = parts[place + 1 :]
                    decides = isinstance(outer, Or)
                    if left is decides or not rest:
                        continue
                    if not isinstance(left, bool):
                        rest = (left, *rest)
                    left = rest[0] if len(rest) == 1 else type(outer)(rest)
                case _:
                    raise AssertionError("nothing stands inside this condition")
        return left


def flips(condition: Condition) -> list[Reached]:
    """Return all flips of a condition in the order of evaluation; no recursion."""
    found: list[Reached] = []
    pending: list[tuple[Condition, tuple[tuple[Condition, int], ...]]] = [(condition, ())]
    while pending:
        part, path = pending.pop()
        match part:
            case Measured() | Compare():
                pass
            case Flip():
                found.append(Reached(part, path))
            case Not(operand=operand):
                pending.append((operand, (*path, (part, 0))))
            case And(parts=parts) | Or(parts=parts):
                inner = [(one, (*path, (part, i))) for i, one in enumerate(parts)]
                pending.extend(reversed(inner))
            case _:
                assert_never(part)
    return found
