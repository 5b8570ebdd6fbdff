"""All members of an additive derivative as one program, with an integer input that selects one.

∂f/∂θ = Σ_i E[weight · O]        over runs that begin with member := i.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from qdiff.errors import QdiffError, ResourceError
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable, count
from qdiff.lang.tree import If, Or, Program, Statement
from qdiff.rules.additive_parts import DerivedBlock
from qdiff.rules.printed import printed
from qdiff.rules.recording import Recorder
from qdiff.rules.statements import ABORT, NOTHING, compare, started
from qdiff.rules.weights import Case, Weighted, Weights
from qdiff.rules.workspace import Workspace

MOST_JOINED = 10_000


@dataclass(frozen=True)
class Joined(Weighted):
    """The members one below the other; runs with no member selected abort.

    Attributes:
        program: one `if` for each member.
        selected: the counter that selects a member, from 1, if it is set at the beginning.
        readout: the factor of the observable.
        coefficients: how many members in turn have which coefficient.
    """

    program: Program = field(repr=False)
    selected: str
    readout: Observable
    coefficients: tuple[tuple[int, Expr], ...] = field(repr=False)

    @property
    def count(self) -> int:
        """The number of members."""
        return sum(many for many, _ in self.coefficients)

    @cached_property
    def _weights(self) -> Weights:
        cases: list[Case] = []
        for many, coefficient in self.coefficients:
            cases += [Case(((self.selected, len(cases) + i),), coefficient) for i in range(1, many + 1)]
        if len(self.coefficients) == 1:
            cases = [Case((), self.coefficients[0][1])]
        return Weights(self.program, self.readout, ((tuple(cases),),))

    def at(self, member: int) -> Program:
        """Return the program with one member selected, from 1, so that it has no input."""
        if not 1 <= member <= self.count:
            raise QdiffError(f"Members are numbered from 1 to {self.count}, got {member}.")
        return started(self.program, {self.selected: member})

    def __str__(self) -> str:
        lines: list[str] = []
        if self.coefficients:
            lines += [
                f"# Input: begin with `{self.selected} := …;`, 1 .. {self.count}; the derivative is the sum.",
                f"# A run counts {self.readout} * observable * coefficient:",
            ]
        first = 1
        for many, coefficient in self.coefficients:
            last = first + many - 1
            which = f"{first}" if many == 1 else f"{first} .. {last}"
            lines.append(f"# {self.selected} = {which}: {coefficient}")
            first = last + 1
        return printed(lines, self.program)


def join(source: Program, derived: DerivedBlock, members: int) -> Joined:
    """Return all members of a derived program as one.

    Raises:
        ResourceError: there are more than 10 000.
    """
    if members > MOST_JOINED:
        raise ResourceError(
            f"The derivative has {members} programs; at most {MOST_JOINED} are joined to one. "
            "Count them, or take them one by one, as in `derivative[0]`."
        )
    record = Recorder(Workspace(source))
    selected = record.workspace.counter("member")
    outside = Or((compare(selected, "<", 1), compare(selected, ">", members)))
    body: list[Statement] = [If(outside, ABORT)] if members else [*ABORT]
    for coefficient, many in derived.counts.items():
        for index in range(many):
            block = derived.member(coefficient, index, record) or NOTHING
            body.append(If(compare(selected, "=", len(body)), block))
    coefficients = tuple([(many, record.over(c)) for c, many in derived.counts.items()])
    program = record.workspace.completed(replace(source, body=tuple(body)))
    return Joined(program, selected, count(record.workspace.hit), coefficients)
