"""All members of an additive derivative as one program, with an integer input that selects one.

∂f/∂θ = Σ_i E[coefficient_i · readout · O]        over runs started with member = i.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from qdiff.errors import QdiffError, ResourceError
from qdiff.lang.expr import Counter, Expr, number
from qdiff.lang.observable import Observable, count
from qdiff.lang.printer import program_text
from qdiff.lang.tree import Abort, Assign, Compare, If, Or, Program, Statement
from qdiff.rules.additive_parts import ABORT, NOTHING, DerivedBlock, Maker
from qdiff.rules.weights import recorded
from qdiff.rules.workspace import Workspace

MOST_JOINED = 10_000


@dataclass(frozen=True)
class Joined:
    """The members one below the other; runs with no member selected abort.

    Attributes:
        program: one `if` for each member.
        selected: the counter whose start value selects a member, from 1.
        readout: the factor of the observable.
        coefficients: how many members in turn have which coefficient.
    """

    program: Program
    selected: str
    readout: Observable
    coefficients: tuple[tuple[int, Expr], ...]

    @property
    def count(self) -> int:
        """The number of members."""
        return sum(many for many, _ in self.coefficients)

    def at(self, member: int) -> Program:
        """Return the program with one member selected, from 1, so that it has no input."""
        if not 1 <= member <= self.count:
            raise QdiffError(f"Members are numbered from 1 to {self.count}, got {member}.")
        first = Assign(self.selected, number(member))
        return replace(self.program, body=(first, *self.program.body))

    def __str__(self) -> str:
        lines: list[str] = []
        if self.coefficients:
            lines += [
                f"# Input: the start value of {self.selected}, 1 .. {self.count}; the derivative is the sum.",
                f"# A run counts {self.readout} * observable * coefficient:",
            ]
        first = 1
        for many, coefficient in self.coefficients:
            last = first + many - 1
            which = f"{first}" if many == 1 else f"{first} .. {last}"
            lines.append(f"# {self.selected} = {which}: {coefficient}")
            first = last + 1
        return "\n".join([*lines, program_text(self.program)])


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
    maker = Maker(Workspace(source))
    selected = Counter(maker.workspace.counter("member"))
    body: list[Statement] = [Abort()]
    if members:
        outside = Or((Compare(selected, "<", number(1)), Compare(selected, ">", number(members))))
        body = [If(outside, ABORT)]
    for coefficient, many in derived.counts.items():
        for index in range(many):
            block = derived.member(coefficient, index, maker) or NOTHING
            body.append(If(Compare(selected, "=", number(len(body))), block))
    coefficients = tuple([(many, recorded(c, maker.recorded)) for c, many in derived.counts.items()])
    program = maker.workspace.completed(replace(source, body=tuple(body)))
    return Joined(program, selected.name, count(maker.workspace.hit), coefficients)
