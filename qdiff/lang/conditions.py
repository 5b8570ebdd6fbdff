"""Rebuilding conditions from their leaves, in the normal form in which printing and parsing are inverse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias, assert_never

from qdiff.lang.source import Position
from qdiff.lang.tree import And, Compare, Condition, Flip, Measured, Not, Or

Leaf: TypeAlias = Measured | Flip | Compare


def rebuilt(condition: Condition, leaf: Callable[[Leaf], Condition]) -> Condition:
    """Return the condition with `leaf(part)` in place of each part that holds no other; no recursion."""
    done: list[Condition] = []
    pending: list[tuple[Condition, bool]] = [(condition, False)]
    while pending:
        part, ready = pending.pop()
        match part:
            case Measured() | Flip() | Compare():
                done.append(leaf(part))
            case Not(operand=operand):
                if ready:
                    done.append(Not(done.pop(), pos=part.pos))
                else:
                    pending += ((part, True), (operand, False))
            case And(parts=parts) | Or(parts=parts):
                if ready:
                    joined = done[-len(parts) :]
                    del done[-len(parts) :]
                    join = conjunction if isinstance(part, And) else disjunction
                    done.append(join(joined, part.pos))
                else:
                    pending.append((part, True))
                    pending.extend((inner, False) for inner in reversed(parts))
            case _:
                assert_never(part)
    return done[0]


def conjunction(parts: Iterable[Condition], pos: Position | None = None) -> Condition:
    """All of one or more conditions; conjunctions among them are opened."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))]
    return flat[0] if len(flat) == 1 else And(tuple(flat), pos=pos)


def disjunction(parts: Iterable[Condition], pos: Position | None = None) -> Condition:
    """Any of one or more conditions; disjunctions among them are opened."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))]
    return flat[0] if len(flat) == 1 else Or(tuple(flat), pos=pos)
