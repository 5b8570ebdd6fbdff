"""From a program to its additive derivative: every block once, from the inside out."""

from __future__ import annotations

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
from qdiff.rules.primitive import argument, primitives_of
from qdiff.rules.registry import DEFAULT_RULE
from qdiff.rules.sites import Site

Guard = dict[Expr, list[GuardTerm]]


class Compiler:
    """Compiles the blocks of a program for one parameter; they are met in the order of its sites.

    Args:
        program: the program.
        parameter: its name.
        rule: for the gates that it applies to; the others take the rule `shift`.

    Raises:
        ParameterError, QdiffError: as of `Finder`; an unbounded loop with the parameter in it.
    """

    def __init__(self, program: Program, parameter: str, rule: str) -> None:
        self.finder = Finder(program, (parameter,), rule, otherwise=DEFAULT_RULE)
        self.program = program
        self.parameter = parameter
        self.sites = self.finder.sites()
        self._following = iter(self.sites)

    def compiled(self) -> DerivedBlock:
        """Return the derivative of the program's body."""
        whole = self._block(self.program.body)
        assert next(self._following, None) is None, "every site was compiled"
        return whole

    def _block(self, block: Block) -> DerivedBlock:
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
                    replaced = self._replaced(statement)
                    if replaced.sites:
                        parts[i] = replaced
                        occurrences += len(replaced.sites)
                case If(condition=condition, then=then, otherwise=otherwise):
                    here = self._flips(condition)
                    branches = (self._block(then), self._block(otherwise))
                    first, second = (branch.aborts for branch in branches)
                    aborts = aborts or (first and second)
                    occurrences += len(here) + max(b.occurrences for b in branches)
                    parts[i] = Branching(statement, branches, _guard(here, first, second))
                case Case(arms=arms, otherwise=otherwise):
                    several: list[DerivedBlock] = []
                    for _, body in arms:
                        several.append(self._block(body))
                    rest = self._block(otherwise)
                    if not covers(statement):
                        several.append(rest)
                    aborts = aborts or all(branch.aborts for branch in several)
                    occurrences += max(branch.occurrences for branch in several)
                    parts[i] = Branching(statement, tuple(several), {})
                case While(condition=condition, body=body, bound=bound):
                    here = self._flips(condition)
                    derived = self._block(body)
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

    # --- Primitives -----------------------------------------------------------------------------

    def _replaced(self, statement: Gate | Channel) -> Replaced:
        terms: dict[Expr, list[tuple[int, int]]] = {}
        sites: list[Site] = []
        before: list[Block] = []
        after: list[Block] = []
        primitives = primitives_of(statement, self.program)
        for i, primitive in enumerate(primitives):
            if not self.finder.occurs(argument(primitive)):
                continue
            site = next(self._following)
            for j, coefficient in enumerate(site.coefficients):
                terms.setdefault(coefficient, []).append((len(sites), j))
            sites.append(site)
            before.append(primitives[:i])
            after.append(primitives[i + 1 :])
        return Replaced(tuple(sites), tuple(before), tuple(after), terms)

    def _flips(self, condition: Condition) -> list[tuple[Reached, Site]]:
        """The flips of a condition with the parameter."""
        found = [reached for reached in flips(condition) if self.finder.occurs(reached.flip.probability)]
        return [(reached, next(self._following)) for reached in found]

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
