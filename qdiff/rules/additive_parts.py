"""The additive program of a derivative, counted without being written out.

The derivative of a block is a sum over its statements, and so on inwards; compiled, it is a multiset
of ordinary programs, its *members*. With #S the number of members of ∂S that do not abort,

    #(gate, channel or flip) = number of terms of its rule, 0 without the parameter
    #(S1; …; Sn)             = Σ #Si,   0 where some Si aborts
    #(case M of k: Sk)       = max #Sk        (branches are paired, the shorter ones filled with abort)
    #(while{T} B do S)       = (T - 1)·#S     (the T-th pass ends in abort),

and member number i is found by going down with i. A member has a coefficient; branches are paired where
their coefficients are equal, so the counts above are kept for every coefficient. (In the published
language all are 1.) Conditions with a `flip` of the parameter add the terms of `additive_guards`.

Source: Zhu, Hung, Chakrabarti and Wu, "On the principles of differentiable quantum programming
languages", PLDI 2020: the transformation, and the compilation by "fill and break".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from qdiff.lang.expr import ONE, ZERO, Counter, Expr, add
from qdiff.lang.tree import Assign, Block, Case, If, Statement, While
from qdiff.rules.additive_guards import GuardTerm, conditional
from qdiff.rules.recording import Recorder
from qdiff.rules.sites import Site
from qdiff.rules.statements import ABORT, NOTHING, compare

Counts: TypeAlias = Mapping[Expr, int]  # coefficient → number of members


# --- Parts of a block ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Replaced:
    """A statement that is one primitive, or several (`U`), replaced by a term of a rule.

    Attributes:
        before, after: for each site the primitives of the same statement around it.
        terms: coefficient → (which site, which term), in order.
    """

    sites: tuple[Site, ...]
    before: tuple[Block, ...]
    after: tuple[Block, ...]
    terms: Mapping[Expr, list[tuple[int, int]]]

    @cached_property
    def counts(self) -> Counts:
        return {coefficient: len(terms) for coefficient, terms in self.terms.items()}

    def member(self, coefficient: Expr, index: int, record: Recorder) -> Block:
        i, j = self.terms[coefficient][index]
        replacement = self.sites[i].replacements(record.workspace)[j]
        noted = record.noted(coefficient.counters())
        return (*self.before[i], *noted, *replacement, *self.after[i])


@dataclass(frozen=True, eq=False)
class Branching:
    """An `if` or a `case`: one member of each branch at once, or a flip of the condition forced."""

    statement: If | Case
    branches: tuple[DerivedBlock, ...]  # in printed order, without an `else` that no outcome takes
    guard: Mapping[Expr, list[GuardTerm]]

    @cached_property
    def counts(self) -> Counts:
        return _sum([_lengths(self.guard), _largest([branch.counts for branch in self.branches])])


@dataclass(frozen=True, eq=False)
class Looping:
    """A bounded loop: passes as they are, then one that is replaced, then the loop that is left.

    Attributes:
        guard, last_guard: the forced flips of its condition before the last evaluation, and at the
            last, where what follows the true outcome aborts.
    """

    statement: While
    bound: int
    body: DerivedBlock
    guard: Mapping[Expr, list[GuardTerm]]
    last_guard: Mapping[Expr, list[GuardTerm]]

    @cached_property
    def in_a_pass(self) -> Counts:
        """Members for each pass but the last."""
        return _sum([_lengths(self.guard), self.body.counts])

    @property
    def full_passes(self) -> int:
        """Passes that end where something is left to do; a body that aborts has none."""
        return 0 if self.body.aborts else self.bound - 1

    @cached_property
    def counts(self) -> Counts:
        repeated = {c: self.full_passes * many for c, many in self.in_a_pass.items()}
        return _sum([repeated, _lengths(self.last_guard)])


Part: TypeAlias = Replaced | Branching | Looping


# --- Blocks -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class DerivedBlock:
    """The derivative of a block.

    Attributes:
        statements: the block.
        parts: place in the block → what its derivative is, where it has one.
        aborts: no run comes to its end.
        occurrences: executions of the parameter at most, bounded loops unrolled.
    """

    statements: Block
    parts: Mapping[int, Part]
    aborts: bool
    occurrences: int

    @cached_property
    def counts(self) -> Counts:
        """The number of members by coefficient, in the order of the text."""
        return {} if self.aborts else _sum([part.counts for part in self.parts.values()])

    @cached_property
    def _ends(self) -> dict[Expr, tuple[list[int], list[int]]]:
        """For each coefficient the places of the parts that have it, and the members up to their ends."""
        found: dict[Expr, tuple[list[int], list[int]]] = {}
        for place, part in self.parts.items():
            for coefficient, many in part.counts.items():
                places, ends = found.setdefault(coefficient, ([], []))
                places.append(place)
                ends.append(many + (ends[-1] if ends else 0))
        return found

    def member(self, coefficient: Expr, index: int, record: Recorder) -> Block:
        """Return one member; one Python frame a level of nesting.

        Args:
            coefficient, index: which: index < counts[coefficient].
        """
        places, ends = self._ends[coefficient]
        which = bisect_right(ends, index)
        index -= ends[which - 1] if which else 0
        place = places[which]
        part = self.parts[place]
        replaced: Block
        match part:
            case Replaced():
                replaced = part.member(coefficient, index, record)
            case Branching(statement=statement, branches=branches, guard=guard):
                forced = guard.get(coefficient, ())
                if index < len(forced):
                    assert isinstance(statement, If)
                    replaced = _forced(forced[index], statement.then, statement.otherwise, record)
                else:
                    index -= len(forced)
                    blocks: list[Block] = []
                    for branch in branches:
                        if index < branch.counts.get(coefficient, 0):
                            blocks.append(branch.member(coefficient, index, record))
                        else:
                            blocks.append(ABORT)
                    replaced = (_with_blocks(statement, blocks),)
            case Looping():
                loop, body = part.statement, part.body
                forced = part.guard.get(coefficient, ())
                each = part.in_a_pass.get(coefficient, 0)
                done = min(index // each, part.full_passes) if each else part.full_passes
                index -= done * each
                left = part.bound - done - 1
                last = done == part.full_passes
                if last:
                    forced = part.last_guard[coefficient]
                if last or index < len(forced):
                    then = (*loop.body, *(_loop(loop, left) if left else ABORT))
                    replaced = _forced(forced[index], then, (), record)
                else:
                    inner = body.member(coefficient, index - len(forced), record)
                    replaced = (conditional(loop.condition, inner, ABORT, loop.pos), *_loop(loop, left))
                replaced = (*_passes(loop, done, record), *replaced)
        return (*self.statements[:place], *replaced, *self.statements[place + 1 :])


def _forced(term: GuardTerm, then: Block, otherwise: Block, record: Recorder) -> Block:
    noted = record.noted(term.coefficient.counters())
    return (*noted, Assign(record.workspace.hit, ONE), *term.block(then, otherwise))


def _with_blocks(statement: If | Case, blocks: Sequence[Block]) -> Statement:
    if isinstance(statement, If):
        return conditional(statement.condition, blocks[0], blocks[1], statement.pos)
    arms = [(label, block or NOTHING) for (label, _), block in zip(statement.arms, blocks, strict=False)]
    otherwise = () if covers(statement) or blocks[-1] == NOTHING else blocks[-1]
    return Case(statement.qubits, tuple(arms), otherwise, pos=statement.pos)


def covers(case: Case) -> bool:
    """Whether every outcome of a `case` has its arm."""
    return len(case.arms) == 1 << len(case.qubits)


def _loop(loop: While, bound: int) -> Block:
    return (While(loop.condition, loop.body, bound, pos=loop.pos),)


def _passes(loop: While, number_of_passes: int, record: Recorder) -> Block:
    """Statements that make exactly so many passes; a run whose condition is false before aborts."""
    one: Block = (If(loop.condition, loop.body, ABORT, pos=loop.pos),)
    if number_of_passes < 2:
        return one * number_of_passes
    passes = record.workspace.passes
    step = Assign(passes, add(Counter(passes), ONE))
    repeated = While(compare(passes, "<", number_of_passes), (*one, step), number_of_passes + 1)
    return (Assign(passes, ZERO), repeated)


# --- Counts -------------------------------------------------------------------------------------


def _lengths(terms: Mapping[Expr, list[GuardTerm]]) -> Counts:
    return {coefficient: len(some) for coefficient, some in terms.items()}


def _sum(counts: Iterable[Counts]) -> Counts:
    total: dict[Expr, int] = {}
    for some in counts:
        for coefficient, many in some.items():
            if many:
                total[coefficient] = total.get(coefficient, 0) + many
    return total


def _largest(counts: Iterable[Counts]) -> Counts:
    largest: dict[Expr, int] = {}
    for some in counts:
        for coefficient, many in some.items():
            largest[coefficient] = max(largest.get(coefficient, 0), many)
    return largest
