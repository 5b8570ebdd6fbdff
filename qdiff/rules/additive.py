"""Additive derivatives: for programs with bounded loops, a finite multiset of derivative programs.

    ∂f/∂θ = Σ_{members} E[weight · O]        for every observable O.

In each member every run that survives has had exactly one occurrence of θ replaced; branches without
one abort. With the rule `hadamard` that is the published transformation and compilation. The multiset
is counted from the text and never written out; a member is made when it is asked for.

Source: Zhu, Hung, Chakrabarti and Wu, "On the principles of differentiable quantum programming
languages", PLDI 2020.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from qdiff.errors import ParameterError, QdiffError, ResourceError
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable, count
from qdiff.lang.tree import Program
from qdiff.rules.additive_compile import Compiler
from qdiff.rules.additive_joined import Joined, join
from qdiff.rules.additive_parts import DerivedBlock
from qdiff.rules.printed import headed, printed
from qdiff.rules.recording import Recorder
from qdiff.rules.sites import Site
from qdiff.rules.statements import NOTHING
from qdiff.rules.weights import Case, Weighted, Weights
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class Member(Weighted):
    """One program of an additive derivative: E[weight · O], weight = coefficient · readout.

    Attributes:
        coefficient: c_j · ∂a/∂θ, over the parameters and counters of `program`.
        program: an ordinary program, with names of its own for what it adds.
        readout: the factor of the observable: the counter that holds the sign ±1 of the run.
    """

    coefficient: Expr
    program: Program = field(repr=False)
    readout: Observable

    @cached_property
    def _weights(self) -> Weights:
        return Weights(self.program, self.readout, (((Case((), self.coefficient),),),))

    def __str__(self) -> str:
        return printed([f"# counts {self.readout} * observable * ({self.coefficient})"], self.program)


@dataclass(frozen=True, repr=False)
class AdditiveDerivative:
    """The members of ∂P/∂θ that do not abort. Made by `additive`; iterate over it, or index it.

    Attributes:
        source: the program.
        parameter: by which parameter.
        rule: the rule of the gates that it applies to.
        sites: where the parameter occurs, in printed order, with the rule there.
    """

    source: Program
    parameter: str
    rule: str
    sites: tuple[Site, ...]
    _derived: DerivedBlock = field(compare=False)

    @property
    def occurrences(self) -> int:
        """Executions of primitives with the parameter, at most: T times the body of a loop, the largest
        branch of an `if` or `case` (Definition 7.1 of the paper)."""
        return self._derived.occurrences

    @cached_property
    def count(self) -> int:
        """The number of members."""
        return sum(self._derived.counts.values())

    def __len__(self) -> int:
        if self.count > sys.maxsize:
            raise ResourceError(f"{self.count} members are more than `len` can say. Use `.count`.")
        return self.count

    def __bool__(self) -> bool:
        return self.count > 0

    def __iter__(self) -> Iterator[Member]:
        for coefficient, many in self._derived.counts.items():
            for index in range(many):
                yield self._member(coefficient, index)

    def __getitem__(self, index: int) -> Member:
        """Return one member, numbered from 0; negative numbers count from the end.

        Raises:
            IndexError: there are not so many.
        """
        try:
            left = operator.index(index)
        except TypeError:
            raise QdiffError(f"Members are numbered with integers, got {index!r}.") from None
        left += self.count if left < 0 else 0
        if not 0 <= left < self.count:
            raise IndexError(f"There is no member {index}: the derivative has {self.count}.")
        for coefficient, many in self._derived.counts.items():
            if left < many:
                return self._member(coefficient, left)
            left -= many
        raise AssertionError("the counts add up")

    def _member(self, coefficient: Expr, index: int) -> Member:
        record = Recorder(Workspace(self.source))
        body = self._derived.member(coefficient, index, record) or NOTHING
        program = record.workspace.completed(replace(self.source, body=body))
        return Member(record.over(coefficient), program, count(record.workspace.hit))

    @cached_property
    def joined(self) -> Joined:
        """All members as one program with an input that selects one.

        Raises:
            ResourceError: there are more than 10 000.
        """
        return join(self.source, self._derived, self.count)

    def __str__(self) -> str:
        if not self.count:
            nowhere = f"no angle or probability depends on {self.parameter}"
            why = "no run that comes to an end has an occurrence of it" if self.occurrences else nowhere
            return headed([f"# d/d{self.parameter}: exactly zero, {why}"], str(self.joined))
        *others, last = dict.fromkeys(site.rule.name for site in self.sites)
        by = f"{', '.join(others)} and {last}" if others else last
        return headed([f"# d/d{self.parameter} by {by}, additive"], str(self.joined))

    def __repr__(self) -> str:
        return f"AdditiveDerivative(parameter={self.parameter!r}, rule={self.rule!r}, count={self.count})"


def additive(program: Program, wrt: str, rule: str = "hadamard") -> AdditiveDerivative:
    """Differentiate a program with bounded loops into a multiset of programs.

        ∂f/∂θ = Σ_{members} E[weight · O]        for every observable O.

    Args:
        program: its loops with the parameter in them are bounded; others may be unbounded.
        wrt: a parameter, an array element as "w[0]".
        rule: for the gates that it applies to, "hadamard" as published (one term with one ancilla); the
            others, such as controlled rotations, take the rule "shift". `flip` and channels have their own.

    Returns:
        The derivative: `.occurrences`, `.count`, its members one by one by iterating or as `[i]`; `.joined`
        is all of them as one program with an input that selects one, and `str()` prints that.

    Raises:
        ParameterError: the parameter is unknown, an array, or occurs in a comparison; that is no name.
        QdiffError: an unbounded loop with the parameter in it; no such rule; no rule for some gate; that is
            no program.

    See docs/additive.md.
    """
    if not isinstance(wrt, str):
        raise ParameterError(
            f"wrt is the name of one parameter, not {wrt!r}: the additive form is that of first derivatives."
        )
    compiler = Compiler(program, wrt, rule)
    derived = compiler.compiled()
    return AdditiveDerivative(program, wrt, rule, compiler.sites, derived)
