"""Rewriting a program where its primitives depend on a parameter: tree in, tree out.

A statement that is replaced stands where the primitive stood. `flip` stands in conditions, where no
statement can: a condition with such a flip is evaluated in steps into a counter first,

    if B then S else S' fi     →   <outcome := B>; if outcome = 1 then S else S' fi
    while B do S od            →   outcome := 1; while outcome = 1 do <outcome := B>;
                                   if outcome = 1 then S; outcome := 1 fi od

(with a bound T, passes are counted and the T-th one aborts), so that every primitive stays one place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from qdiff.lang.expr import ONE, ZERO, Counter, Expr, add, negate
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
from qdiff.lang.walk import conditions
from qdiff.rules.primitive import Primitive, argument, primitives_of
from qdiff.rules.statements import ABORT, compare
from qdiff.rules.workspace import Workspace

# What to run in place of a primitive, given the statements that do the same, and whether it is in a loop.
Replace = Callable[[Primitive, Block, bool], Block]


class Rewriter:
    """Puts other statements in the place of primitives.

    Args:
        program: whose body is rewritten.
        occurs: whether the argument of a primitive makes it one to be replaced.
        replace: what runs in its place.
        workspace: gives the counters that are needed.
    """

    def __init__(
        self, program: Program, occurs: Callable[[Expr], bool], replace: Replace, workspace: Workspace
    ) -> None:
        self.program = program
        self.occurs = occurs
        self.replace = replace
        self.workspace = workspace

    def body(self) -> Block:
        """Return the rewritten body of the program."""
        return self.block(self.program.body, looped=False)

    def block(self, block: Block, *, looped: bool) -> Block:
        """Return a rewritten block; one Python frame a level of nesting."""
        out: list[Statement] = []
        for statement in block:
            match statement:
                case Skip() | Abort() | Reset() | Assign() | Measure():
                    out.append(statement)
                case Gate() | Channel():
                    out.extend(self._primitives(statement, looped))
                case If(condition=condition, then=then, otherwise=otherwise):
                    condition = self._condition(condition, out, looped)
                    bodies = self.block(then, looped=looped), self.block(otherwise, looped=looped)
                    out.append(If(condition, *bodies, pos=statement.pos))
                case Case(qubits=qubits, arms=arms, otherwise=otherwise):
                    rewritten = tuple([(label, self.block(body, looped=looped)) for label, body in arms])
                    rest = self.block(otherwise, looped=looped)
                    out.append(Case(qubits, rewritten, rest, pos=statement.pos))
                case While(condition=condition, body=body, bound=bound):
                    if self._touched(condition):
                        passes = self.workspace.counter("passes") if bound is not None else ""
                        guard = self._evaluated(condition, looped=True)
                        out.extend(self._in_steps(statement, passes, guard, self.block(body, looped=True)))
                    else:
                        out.append(While(condition, self.block(body, looped=True), bound, pos=statement.pos))
                case _:
                    assert_never(statement)
        return tuple(out)

    def _primitives(self, statement: Gate | Channel, looped: bool) -> Block:
        primitives = primitives_of(statement, self.program)
        replaced = [self.occurs(argument(primitive)) for primitive in primitives]
        if not any(replaced):
            return (statement,)
        out: list[Statement] = []
        for primitive, here in zip(primitives, replaced, strict=True):
            out.extend(self.replace(primitive, (primitive,), looped) if here else (primitive,))
        return tuple(out)

    def _in_steps(self, loop: While, passes: str, guard: Block, body: Block) -> Block:
        """A loop whose condition is evaluated by `guard`; `passes` counts where it has a bound."""
        outcome = self.workspace.outcome
        begin: Block = (Assign(outcome, ONE),)
        count: Block = ()
        if loop.bound is not None:
            begin = (Assign(passes, ZERO), *begin)
            count = (
                Assign(passes, add(Counter(passes), ONE)),
                If(compare(passes, "=", loop.bound), ABORT),
            )
        true = compare(outcome, "=", 1)
        again = If(true, (*body, *count, Assign(outcome, ONE)))
        return (*begin, While(true, (*guard, again), pos=loop.pos))

    # --- Conditions -----------------------------------------------------------------------------

    def _touched(self, condition: Condition) -> bool:
        return any(isinstance(c, Flip) and self.occurs(c.probability) for c in conditions(condition))

    def _condition(self, condition: Condition, before: list[Statement], looped: bool) -> Condition:
        if not self._touched(condition):
            return condition
        before.extend(self._evaluated(condition, looped=looped))
        return compare(self.workspace.outcome, "=", 1)

    def _evaluated(self, condition: Condition, *, looped: bool) -> Block:
        """Statements that leave 1 in the counter `outcome` where the condition is true, else 0."""
        outcome = self.workspace.outcome
        same: Block = (If(condition, (Assign(outcome, ONE),), (Assign(outcome, ZERO),)),)
        if not self._touched(condition):
            return same
        match condition:
            case Flip():
                return self.replace(condition, same, looped)
            case Not(operand=operand):
                opposite = Assign(outcome, add(ONE, negate(Counter(outcome))))
                return (*self._evaluated(operand, looped=looped), opposite)
            case And(parts=parts) | Or(parts=parts):
                undecided = compare(outcome, "=", 1 if isinstance(condition, And) else 0)
                first, *others = [self._evaluated(part, looped=looped) for part in parts]
                return (*first, *(If(undecided, steps) for steps in others))
            case Measured() | Compare():
                raise AssertionError("a condition without a flip is not touched")
            case _:
                assert_never(condition)
