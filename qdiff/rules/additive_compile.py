"""From a program to its additive derivative: every block once, from the inside out."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from qdiff.errors import QdiffError
from qdiff.lang.expr import Expr, is_number, multiply
from qdiff.lang.tree import (
    Abort,
    Assign,
    Block,
    Case,
    Channel,
    Condition,
    Gate,
    If,
    Measure,
    Program,
    Reset,
    Skip,
    While,
)
from qdiff.rules.additive_guards import GuardTerm, flips
from qdiff.rules.additive_parts import Branching, DerivedBlock, Looping, Part, Replaced, Site, covers
from qdiff.rules.primitive import FlipKind, Kind, Primitive, argument, kind_of
from qdiff.rules.registry import checked_name, select
from qdiff.rules.sites import located, select_at
from qdiff.rules.term import Rule

DEFAULT_RULE = "shift"

Guard = dict[Expr, list[GuardTerm]]


class Compiler:
    """Compiles the blocks of a program for one parameter.

    Args:
        program: the program.
        parameter: a checked name.
        rule: for the gates that it applies to; the others take the rule `shift`.

    Raises:
        QdiffError: an unbounded loop with the parameter in it; no rule for a gate.
    """

    def __init__(self, program: Program, parameter: str, rule: str) -> None:
        self.program = program
        self.parameter = parameter
        self.rule = checked_name(rule)
        self.slopes: dict[Expr, Expr] = {}
        self.rules: dict[Kind, Rule] = {}

    def block(self, block: Block) -> DerivedBlock:
        """Return the derivative of a block; one Python frame a level of nesting."""
        parts: dict[int, Part] = {}
        aborts = False
        occurrences = 0
        for i, statement in enumerate(block):
            match statement:
                case Skip() | Reset() | Assign() | Measure():
                    pass
                case Abort():
                    aborts = True
                case Gate() | Channel():
                    primitives = self._primitives(statement)
                    count = sum(self._occurs(argument(primitive)) for primitive in primitives)
                    if count:
                        parts[i] = self._replaced(primitives)
                        occurrences += count
                case If(condition=condition, then=then, otherwise=otherwise):
                    branches = (self.block(then), self.block(otherwise))
                    first, second = (branch.aborts for branch in branches)
                    aborts = aborts or (first and second)
                    occurrences += self._flips(condition) + max(b.occurrences for b in branches)
                    parts[i] = Branching(statement, branches, self._guard(condition, first, second))
                case Case(arms=arms, otherwise=otherwise):
                    several: list[DerivedBlock] = []
                    for _, body in arms:
                        several.append(self.block(body))
                    if not covers(statement):
                        several.append(self.block(otherwise))
                    aborts = aborts or all(branch.aborts for branch in several)
                    occurrences += max(branch.occurrences for branch in several)
                    parts[i] = Branching(statement, tuple(several), {})
                case While(condition=condition, body=body, bound=bound):
                    derived = self.block(body)
                    each = self._flips(condition) + derived.occurrences
                    if each and bound is None:
                        raise located(self.program, self._unbounded(), statement.pos)
                    if each and bound is not None:
                        occurrences += bound * each
                        guard = self._guard(condition, derived.aborts, False)
                        last = self._guard(condition, True, False)
                        parts[i] = Looping(statement, bound, derived, guard, last)
                case _:
                    assert_never(statement)
            if i in parts and not parts[i].counts:
                del parts[i]
        return DerivedBlock(block, parts, aborts, occurrences)

    @property
    def rules_used(self) -> tuple[str, ...]:
        """The names of the rules that were taken for the blocks compiled so far, each once."""
        return tuple(dict.fromkeys(rule.name for rule in self.rules.values()))

    # --- Primitives -----------------------------------------------------------------------------

    def _slope(self, expression: Expr) -> Expr:
        if expression not in self.slopes:
            self.slopes[expression] = expression.diff(self.parameter)
        return self.slopes[expression]

    def _occurs(self, expression: Expr) -> bool:
        return not is_number(self._slope(expression), 0)

    def _primitives(self, statement: Gate | Channel) -> list[Primitive]:
        """The primitives that a statement is, one after the other; none where it has no argument."""
        if isinstance(statement, Channel):
            return [statement]
        if not any(map(self._occurs, statement.angles)):
            return []
        parts = self.program.record(statement.name).parts
        if not parts:
            return [statement]
        return [replace(statement, name=p.gate, angles=(statement.angles[p.angle],)) for p in parts]

    def _replaced(self, primitives: list[Primitive]) -> Replaced:
        terms: dict[Expr, list[tuple[int, int]]] = {}
        sites: list[Site] = []
        before: list[Block] = []
        after: list[Block] = []
        for i, primitive in enumerate(primitives):
            if not self._occurs(argument(primitive)):
                continue
            site = self._site(primitive)
            slope = self._slope(argument(primitive))
            for j, c in enumerate(site.rule.coefficients(site.kind, argument(primitive))):
                terms.setdefault(multiply(c, slope), []).append((len(sites), j))
            sites.append(site)
            before.append(tuple(primitives[:i]))  # type: ignore[arg-type]  # flips stand in conditions
            after.append(tuple(primitives[i + 1 :]))  # type: ignore[arg-type]
        return Replaced(tuple(sites), tuple(before), tuple(after), terms)

    def _site(self, primitive: Primitive) -> Site:
        kind = kind_of(primitive, self.program)
        if kind not in self.rules:
            try:
                self.rules[kind] = select(self.rule, kind)
            except QdiffError:  # the name is known: the rule does not apply here
                self.rules[kind] = select_at(DEFAULT_RULE, kind, primitive, self.program)
        return Site(primitive, kind, self.rules[kind])

    # --- Conditions -----------------------------------------------------------------------------

    def _flips(self, condition: Condition) -> int:
        return sum(self._occurs(reached.flip.probability) for reached in flips(condition))

    def _guard(self, condition: Condition, then_aborts: bool, otherwise_aborts: bool) -> Guard:
        terms: Guard = {}
        kind = FlipKind()
        for reached in flips(condition):
            probability = reached.flip.probability
            if not self._occurs(probability):
                continue
            if kind not in self.rules:
                self.rules[kind] = select(self.rule, kind)
            coefficients = self.rules[kind].coefficients(kind, probability)
            for value, c in zip((True, False), coefficients, strict=True):
                term = GuardTerm(multiply(c, self._slope(probability)), reached, value)
                if not term.aborts(then_aborts, otherwise_aborts):
                    terms.setdefault(term.coefficient, []).append(term)
        return terms

    # --- Refusals -------------------------------------------------------------------------------

    def _unbounded(self) -> str:
        return (
            f"There is no additive form of an unbounded loop: `{self.parameter}` occurs in it, and it would "
            "have infinitely many members. Give the loop a bound, as in `while{20} … do … od`, or take "
            "another form of the derivative: the family, or the self-contained program."
        )
