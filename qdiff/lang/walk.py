"""Going through the statements and conditions of a program, without recursion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from qdiff.lang.expr import Expr
from qdiff.lang.tree import (
    Abort,
    And,
    Assign,
    Block,
    Case,
    Channel,
    Compare,
    Condition,
    Flip,
    Gate,
    If,
    Measure,
    Measured,
    Not,
    Or,
    Program,
    Reset,
    Skip,
    Statement,
    While,
)


def blocks_of(statement: Statement) -> tuple[Block, ...]:
    """The blocks inside a statement, in printed order."""
    match statement:
        case Skip() | Abort() | Reset() | Gate() | Channel() | Assign() | Measure():
            return ()
        case If(then=then, otherwise=otherwise):
            return (then, otherwise)
        case Case(arms=arms, otherwise=otherwise):
            return (*(body for _, body in arms), otherwise)
        case While(body=body):
            return (body,)
        case _:
            assert_never(statement)


def statements(block: Block) -> Iterator[Statement]:
    """Yield every statement of a block in printed order, a loop before its body."""
    pending: list[Iterator[Statement]] = [iter(block)]
    while pending:
        statement = next(pending[-1], None)
        if statement is None:
            pending.pop()
            continue
        yield statement
        pending.extend(iter(inner) for inner in reversed(blocks_of(statement)))


def unbounded_loops(program: Program) -> list[While]:
    """The loops without a bound, in printed order: with one a run may be of any length."""
    return [s for s in statements(program.body) if isinstance(s, While) and s.bound is None]


def condition_of(statement: Statement) -> Condition | None:
    """The condition of an `if` or a `while`."""
    return statement.condition if isinstance(statement, If | While) else None


def conditions(condition: Condition) -> Iterator[Condition]:
    """Yield a condition and all conditions inside it, in printed order."""
    pending: list[Condition] = [condition]
    while pending:
        part = pending.pop()
        yield part
        match part:
            case Measured() | Flip() | Compare():
                pass
            case Not(operand=operand):
                pending.append(operand)
            case And(parts=parts) | Or(parts=parts):
                pending.extend(reversed(parts))
            case _:
                assert_never(part)


def all_conditions(block: Block) -> Iterator[Condition]:
    """Yield every condition of a block, those inside other conditions too."""
    for statement in statements(block):
        condition = condition_of(statement)
        if condition is not None:
            yield from conditions(condition)


def differentiable_expressions(block: Block) -> Iterator[Expr]:
    """Yield every angle and every probability of a block."""
    for statement in statements(block):
        if isinstance(statement, Gate):
            yield from statement.angles
        elif isinstance(statement, Channel):
            yield statement.probability
    for condition in all_conditions(block):
        if isinstance(condition, Flip):
            yield condition.probability


def differentiable_parameters(program: Program) -> frozenset[str]:
    """Names of the parameters that occur in some angle or probability."""
    return frozenset().union(*(e.parameters() for e in set(differentiable_expressions(program.body))))


def compared_parameters(program: Program) -> frozenset[str]:
    """Names of the parameters that occur in some comparison."""
    compared: set[str] = set()
    for condition in all_conditions(program.body):
        if isinstance(condition, Compare):
            compared |= condition.left.parameters() | condition.right.parameters()
    return frozenset(compared)
