"""A program as other languages write it: measurements are statements, nothing aborts, nothing is random else.

    if M[q] = 1 then S fi     s := M[q]; if s = 1 then S fi
    while M[q] = 1 do S od    s := M[q]; while s = 1 do S; s := M[q] od
    B and M[q] = 1            a later part is measured only where it would be: if B then s := M[q] fi
    case M[q, r] of 2: S …    s := M[q, r]; if s = 2 then S fi; …
    flip(p)                   a := |0>; Ry(2 asin √p)[a]; s := M[a], and then s = 1
    abort                     f := 1, and what follows stands in: if f = 0 then … fi
    while{T} B do S od        k := 0; while f = 0 and B do S; k := k + 1; if k = T then f := 1 fi od

The expectation of O is that of O (1 - f) in the explicit program. The qubit a is |0> before and measured
after each use; f, s, k and a are new names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.conditions import conjunction, disjunction
from qdiff.lang.expr import Expr
from qdiff.lang.fresh_names import FreshNames
from qdiff.lang.printer import head_text
from qdiff.lang.running import PROBABILITY_SLACK
from qdiff.lang.source import Position, refusal
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
    Register,
    Reset,
    Skip,
    Statement,
    While,
)


class Inexpressible(Exception):
    """Why something cannot be written; who knows the statement says where."""

    def __init__(self, why: str, position: Position | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.position = position


@dataclass(frozen=True)
class Explicit:
    """A program of `Skip`, `Reset`, `Gate`, `Assign`, `Measure`, `If` and unbounded `While` on comparisons.

    Attributes:
        aborted: the counter that is 1 where the original aborts, None where it cannot.
        ancilla: the qubit that tosses coins, None where there are none.
        scratch: the counters that were added, `aborted` among them.
    """

    program: Program
    aborted: str | None = None
    ancilla: str | None = None
    scratch: tuple[str, ...] = ()


def explicit(program: Program, *, named_passes: int = 0) -> Explicit:
    """Return the explicit form of a program.

    Args:
        named_passes: bounded loops of up to so many passes count them with constants only, as in
            `if k = 1 then k := 2 fi`, for machines that cannot add.

    Raises:
        QdiffError: it contains noise, or a probability that is none.
    """
    return _Rewriting(program, named_passes).result()


class _Rewriting:
    def __init__(self, program: Program, named_passes: int) -> None:
        self.program = program
        self.named_passes = named_passes
        self.names = FreshNames(program)
        self.scratch: list[str] = []
        self.pools: dict[str, list[str]] = {}
        self.ancilla: str | None = None
        self.measured = 0  # outcomes that the condition at hand has kept
        self.cases = self.loops = 0  # statements around the one at hand

    def result(self) -> Explicit:
        body, _ = self.block(self.program.body)
        if not self.scratch and self.ancilla is None:
            return Explicit(self.program)
        coins = () if self.ancilla is None else (Register(self.ancilla),)
        found = replace(
            self.program,
            qubit_registers=(*self.program.qubit_registers, *coins),
            counter_registers=(*self.program.counter_registers, *map(Register, self.scratch)),
            body=body,
        )
        aborted = self.pools.get("aborted", [None])[0]
        return Explicit(found, aborted, self.ancilla, tuple(self.scratch))

    # --- Statements -----------------------------------------------------------------------------

    def block(self, block: Block) -> tuple[Block, bool]:
        """A rewritten block, and whether it may set the flag; one Python frame a level of nesting."""
        groups: list[list[Statement]] = [[]]  # all but the first stand behind what may abort
        for statement in block:
            here = groups[-1]
            pos = statement.pos
            aborts = False
            match statement:
                case Skip() | Reset() | Gate() | Assign() | Measure():
                    here.append(statement)
                case Abort():
                    here.append(Assign(self.flag, ex.ONE, pos=pos))
                    return self.joined(groups), True
                case Channel():
                    raise refusal(
                        self.program.source,
                        f"`{head_text(statement)}` is noise, which belongs to the machine, not to a circuit.",
                        pos,
                        "Leave it out, and give the simulator that runs the circuit a noise model.",
                    )
                case If(condition=condition, then=then, otherwise=otherwise):
                    before, test = self.evaluated(condition)
                    then, first = self.block(then)
                    otherwise, second = self.block(otherwise)
                    here += (*before, If(test, then, otherwise, pos=pos))
                    aborts = first or second
                case Case(qubits=qubits, arms=arms, otherwise=otherwise):
                    value = self.kept("chosen", self.cases)
                    here.append(Measure(value, qubits, pos=pos))
                    self.cases += 1
                    bodies = []
                    for label, body in arms:
                        body, may = self.block(body)
                        bodies.append((label, body))
                        aborts |= may
                    otherwise, may = self.block(otherwise)
                    self.cases -= 1
                    here += _arms(value, len(qubits), bodies, otherwise, pos)
                    aborts |= may
                case While(condition=condition, body=body, bound=bound):
                    before, test = self.evaluated(condition)
                    before = [*self.cleared(), *before]
                    self.loops += 1
                    body, may = self.block(body)
                    self.loops -= 1
                    here += self.loop(tuple(before), test, body, may, bound, pos)
                    aborts = may or bound is not None
                case _:
                    assert_never(statement)
            if aborts:
                groups.append([])
        return self.joined(groups), len(groups) > 1

    def joined(self, groups: Sequence[Sequence[Statement]]) -> Block:
        """Groups of statements, all but the first where nothing has been aborted."""
        first, *others = groups
        return (*first, *(If(self.alive, tuple(group)) for group in others if group))

    def loop(
        self, before: Block, test: Condition, body: Block, may: bool, bound: int | None, pos: Position | None
    ) -> Block:
        """A loop; `before` finds what its condition reads, `may` says whether its body may set the flag."""
        if bound is None:
            again = (If(self.alive, before),) if may and before else before
            guard = conjunction((self.alive, test)) if may else test
            return (*before, While(guard, (*body, *again), pos=pos))
        if bound == 1:
            return (*before, If(test, (*body, Assign(self.flag, ex.ONE)), pos=pos))
        passes = self.kept("passes", self.loops)
        after: Block
        if bound <= self.named_passes:
            last = If(_equals(passes, bound - 1), (Assign(self.flag, ex.ONE),))
            others = [
                If(_equals(passes, k), (Assign(passes, ex.number(k + 1)),))
                for k in reversed(range(bound - 1))
            ]
            after = (last, *others, *((If(self.alive, before),) if before else ()))
        else:
            count = Assign(passes, ex.add(ex.Counter(passes), ex.ONE))
            after = (count, If(_equals(passes, bound), (Assign(self.flag, ex.ONE),), before))
        if may:
            after = (If(self.alive, after),)
        start = Assign(passes, ex.ZERO)
        return (start, *before, While(conjunction((self.alive, test)), (*body, *after), pos=pos))

    # --- Conditions -----------------------------------------------------------------------------

    def evaluated(self, condition: Condition) -> tuple[list[Statement], Condition]:
        """Statements that measure, and the condition on what they found."""
        self.measured = 0
        return self.condition(condition)

    def cleared(self) -> list[Statement]:
        """What the condition at hand may leave as it was becomes 0, so that few stores meet in a loop."""
        return [Assign(self.kept("outcome", i), ex.ZERO) for i in range(1, self.measured)]

    def condition(self, condition: Condition) -> tuple[list[Statement], Condition]:
        pos = condition.pos
        match condition:
            case Compare():
                return [], condition
            case Measured(qubits=qubits, value=value):
                outcome = self.outcome()
                return [Measure(outcome, qubits, pos=pos)], _equals(outcome, value, pos)
            case Flip(probability=probability):
                outcome, coin = self.outcome(), self.coin
                turn = Gate("Ry", (self.turn(probability, pos),), (), (coin,), pos=pos)
                toss: list[Statement] = [Reset(coin, pos=pos), turn, Measure(outcome, (coin,), pos=pos)]
                return toss, _equals(outcome, 1, pos)
            case Not(operand=operand):
                before, test = self.condition(operand)
                return before, Not(test, pos=pos)
            case And(parts=parts) | Or(parts=parts):
                every = [self.condition(part) for part in parts]
                steps: list[Statement] = []
                for (_, earlier), (before, _) in zip(every[-2::-1], every[:0:-1], strict=True):
                    steps = [*before, *steps]
                    if steps:  # where the earlier part does not decide
                        undecided = earlier if isinstance(condition, And) else Not(earlier)
                        steps = [If(undecided, tuple(steps))]
                join = conjunction if isinstance(condition, And) else disjunction
                return [*every[0][0], *steps], join([test for _, test in every], pos)
            case _:
                assert_never(condition)

    def turn(self, probability: Expr, pos: Position | None) -> Expr:
        """The angle after which a qubit |0> is 1 with this probability."""
        if probability.parameters() or probability.counters():
            return ex.multiply(ex.Number(2), ex.Call("asin", ex.Call("sqrt", probability)))
        try:
            value = float(probability.evaluate())
        except EvaluationError as error:
            raise refusal(self.program.source, str(error), probability.place() or pos) from None
        clipped = min(max(value, 0.0), 1.0)
        if abs(value - clipped) > PROBABILITY_SLACK:
            message = f"the probability `{probability}` is {value!r}, outside [0, 1]."
            raise refusal(self.program.source, message, probability.place() or pos)
        if clipped == 0.5:
            return ex.divide(ex.Pi(), ex.Number(2))
        return ex.number(2 * math.asin(math.sqrt(clipped)))

    # --- What is new ----------------------------------------------------------------------------

    def kept(self, what: str, index: int) -> str:
        """The counter of a kind with this index; neighbours share one."""
        pool = self.pools.setdefault(what, [])
        while len(pool) <= index:
            pool.append(self.names.fresh(what))
            self.scratch.append(pool[-1])
        return pool[index]

    def outcome(self) -> str:
        """A counter that the condition at hand has not used yet."""
        self.measured += 1
        return self.kept("outcome", self.measured - 1)

    @property
    def coin(self) -> str:
        """The qubit that is tossed."""
        if self.ancilla is None:
            self.ancilla = self.names.fresh("coin")
        return self.ancilla

    @property
    def flag(self) -> str:
        """The counter that is 1 where the program has aborted."""
        return self.kept("aborted", 0)

    @property
    def alive(self) -> Condition:
        """Nothing has been aborted."""
        return _equals(self.flag, 0)


def _equals(counter: str, value: int, pos: Position | None = None) -> Compare:
    return Compare(ex.Counter(counter), "=", ex.number(value), pos=pos)


def _arms(
    value: str, qubits: int, arms: Sequence[tuple[int, Block]], otherwise: Block, pos: Position | None
) -> list[Statement]:
    """The arm of a value: one question after the other, as no arm changes the value."""
    arms = list(arms)
    if len(arms) == 1 << qubits:  # the last needs no question
        _, otherwise = arms.pop()
    if otherwise == (Skip(),):
        otherwise = ()
    if len(arms) == 1:
        return [If(_equals(value, arms[0][0], pos), arms[0][1], otherwise, pos=pos)]
    found: list[Statement] = [If(_equals(value, label, pos), body, pos=pos) for label, body in arms]
    if otherwise:
        none = [Compare(ex.Counter(value), "!=", ex.number(label), pos=pos) for label, _ in arms]
        found.append(If(conjunction(none), otherwise, pos=pos))
    return found
