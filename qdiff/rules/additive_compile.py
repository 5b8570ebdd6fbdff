"""From a program to its additive derivative: every block once, from the inside out."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from qdiff.lang.expr import Expr
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
from qdiff.rules.additive_guards import GuardTerm, Reached, flips
from qdiff.rules.additive_parts import Branching, DerivedBlock, Looping, Part, Replaced, covers
from qdiff.rules.finding import Finder, located
from qdiff.rules.primitive import Primitive, argument
from qdiff.rules.registry import DEFAULT_RULE
from qdiff.rules.sites import Site

Guard = dict[Expr, list[GuardTerm]]


class Compiler:
    """Compiles the blocks of a program for one parameter.

    Args:
        program: the program.
        parameter: its name.
        rule: for the gates that it applies to; the others take the rule `shift`.

    Raises:
        ParameterError, QdiffError: as of `Finder`; an unbounded loop with the parameter in it.
    """

    def __init__(self, program: Program, parameter: str, rule: str) -> None:
        self.program = program
        self.parameter = parameter
        self.finder = Finder(program, (parameter,), rule, otherwise=DEFAULT_RULE)
        self.sites = 0

    def block(self, block: Block, *, looped: bool = False) -> DerivedBlock:
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
                    replaced = self._replaced(self._primitives(statement), looped)
                    if replaced.sites:
                        parts[i] = replaced
                        occurrences += len(replaced.sites)
                case If(condition=condition, then=then, otherwise=otherwise):
                    here = self._flips(condition, looped)
                    branches = (self.block(then, looped=looped), self.block(otherwise, looped=looped))
                    first, second = (branch.aborts for branch in branches)
                    aborts = aborts or (first and second)
                    occurrences += len(here) + max(b.occurrences for b in branches)
                    parts[i] = Branching(statement, branches, _guard(here, first, second))
                case Case(arms=arms, otherwise=otherwise):
                    several: list[DerivedBlock] = []
                    for _, body in arms:
                        several.append(self.block(body, looped=looped))
                    if not covers(statement):
                        several.append(self.block(otherwise, looped=looped))
                    aborts = aborts or all(branch.aborts for branch in several)
                    occurrences += max(branch.occurrences for branch in several)
                    parts[i] = Branching(statement, tuple(several), {})
                case While(condition=condition, body=body, bound=bound):
                    here = self._flips(condition, True)
                    derived = self.block(body, looped=True)
                    each = len(here) + derived.occurrences
                    if each and bound is None:
                        raise located(self.program, self._unbounded(), statement.pos)
                    if each and bound is not None:
                        occurrences += bound * each
                        guard, last = _guard(here, derived.aborts, False), _guard(here, True, False)
                        parts[i] = Looping(statement, bound, derived, guard, last)
                case _:
                    assert_never(statement)
            if i in parts and not parts[i].counts:
                del parts[i]
        return DerivedBlock(block, parts, aborts, occurrences)

    @property
    def rules_used(self) -> tuple[str, ...]:
        """The names of the rules that were taken for the blocks compiled so far, each once."""
        return tuple(dict.fromkeys(rule.name for rule in self.finder.rules.values()))

    # --- Primitives -----------------------------------------------------------------------------

    def _primitives(self, statement: Gate | Channel) -> list[Primitive]:
        """The primitives that a statement is, one after the other; none where it has no argument."""
        if isinstance(statement, Channel):
            return [statement]
        if not any(map(self.finder.occurs, statement.angles)):
            return []
        parts = self.program.record(statement.name).parts
        if not parts:
            return [statement]
        return [replace(statement, name=p.gate, angles=(statement.angles[p.angle],)) for p in parts]

    def _replaced(self, primitives: list[Primitive], looped: bool) -> Replaced:
        terms: dict[Expr, list[tuple[int, int]]] = {}
        sites: list[Site] = []
        before: list[Block] = []
        after: list[Block] = []
        for i, primitive in enumerate(primitives):
            if not self.finder.occurs(argument(primitive)):
                continue
            site = self._site(primitive, looped)
            for j, coefficient in enumerate(site.coefficients):
                terms.setdefault(coefficient, []).append((len(sites), j))
            sites.append(site)
            before.append(tuple(primitives[:i]))  # type: ignore[arg-type]  # flips stand in conditions
            after.append(tuple(primitives[i + 1 :]))  # type: ignore[arg-type]
        return Replaced(tuple(sites), tuple(before), tuple(after), terms)

    def _site(self, primitive: Primitive, looped: bool) -> Site:
        self.sites += 1
        return self.finder.site(primitive, self.sites, looped)

    def _flips(self, condition: Condition, looped: bool) -> list[tuple[Reached, Site]]:
        """The flips of a condition with the parameter."""
        found = [reached for reached in flips(condition) if self.finder.occurs(reached.flip.probability)]
        return [(reached, self._site(reached.flip, looped)) for reached in found]

    # --- Refusals -------------------------------------------------------------------------------

    def _unbounded(self) -> str:
        return (
            f"There is no additive form of an unbounded loop: `{self.parameter}` occurs in it, and it would "
            "have infinitely many members. Give the loop a bound, as in `while{20} … do … od`, or take "
            "another form of the derivative: the family, or the self-contained program."
        )


def _guard(here: list[tuple[Reached, Site]], then_aborts: bool, otherwise_aborts: bool) -> Guard:
    terms: Guard = {}
    for reached, site in here:
        for value, coefficient in zip((True, False), site.coefficients, strict=True):
            term = GuardTerm(coefficient, reached, value)
            if not term.aborts(then_aborts, otherwise_aborts):
                terms.setdefault(coefficient, []).append(term)
    return terms
