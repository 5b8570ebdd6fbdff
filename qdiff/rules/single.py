"""One term at one site as a program: what replaces the primitive there, and how its runs are read.

In a loop the site is executed more than once, and the input k says which execution is replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from qdiff.errors import QdiffError
from qdiff.lang.expr import ZERO, Expr
from qdiff.lang.observable import Observable, count
from qdiff.lang.tree import Assign, Block, If, Program
from qdiff.rules.printed import printed
from qdiff.rules.recording import Recorder
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.statements import compare, count_down, started
from qdiff.rules.weights import Case, Weighted, Weights
from qdiff.rules.workspace import Workspace


class _Made(NamedTuple):
    """What a term is, made when it is looked at."""

    program: Program
    occurrence: str
    coefficient: Expr
    hit: str


@dataclass(frozen=True, repr=False)
class DerivativeTerm(Weighted):
    """One summand of a derivative: ∂f/∂θ = Σ over terms, and over k in loops, of E[weight · O].

    The weight is coefficient · readout, which `weight` returns as one observable.

    Attributes:
        source: the program that is differentiated.
        sites: all sites of the parameter.
        site: which of them is replaced here.
        j: by which term of its rule, from 0.
    """

    source: Program
    sites: Sequence[Site]
    site: Site
    j: int

    @property
    def coefficient(self) -> Expr:
        """c_j · ∂a/∂θ, over the parameters, and the counters that `program` records at the site."""
        return self._made.coefficient

    @property
    def program(self) -> Program:
        """The program with the primitive replaced; `occurrence` is its input where the site is in a loop."""
        return self._made.program

    @property
    def readout(self) -> Observable:
        """The factor of the observable: 0 on runs that do not reach the site, else 1, or a sign ±1."""
        return count(self._made.hit)

    @property
    def occurrence(self) -> str:
        """The counter that says, set at the beginning, which execution is replaced; "" without a loop."""
        return self._made.occurrence

    def at(self, occurrence: int) -> Program:
        """Return the program that replaces one execution of the site, numbered from 1."""
        if type(occurrence) is not int or not 1 <= occurrence < 2**63:
            raise QdiffError(f"Occurrences are numbered from 1, got {occurrence!r}.")
        if self.occurrence:
            return started(self.program, {self.occurrence: occurrence})
        if occurrence > 1:
            raise QdiffError("This site is not in a loop: it is executed once at most.")
        return self.program

    def __str__(self) -> str:
        head = [f"# {self.site}, term {self.j}"]
        if self.occurrence:
            head.append(
                f"# Input: begin with `{self.occurrence} := …;`, which execution is replaced, from 1."
            )
        counts = f"# counts {self.readout} * observable * ({self.coefficient})"
        return printed([*head, counts], self.program)

    def __repr__(self) -> str:
        return f"<term {self.j} of site {self.site.number}: {self.site}>"

    @cached_property
    def _weights(self) -> Weights:
        coefficient, hit = self.coefficient, self._made.hit
        line = self.site.line
        cases = [Case((), coefficient, line=line)]
        if coefficient.counters():  # which nothing has recorded where the site was not reached
            signs = (1, -1) if self.site.rule.signed else (1,)
            cases = [Case(((hit, sign),), coefficient, line=line) for sign in signs]
        return Weights(self.program, self.readout, ((tuple(cases),),))

    @cached_property
    def _made(self) -> _Made:
        workspace = Workspace(self.source)
        k = workspace.counter("k") if self.site.looped else ""
        record = Recorder(workspace)

        def one(site: Site, same: Block) -> Block:
            if site.number != self.site.number:
                return same
            replaced = (*record.noted(site.read), *site.replacements(workspace)[self.j])
            if not k:
                return replaced
            return (If(compare(k, "=", 1), (Assign(k, ZERO), *replaced), (count_down(k), *same)),)

        program = replaced_at(self.source, self.sites, one, workspace)
        coefficient = record.over(self.site.coefficients[self.j])
        return _Made(program, k, coefficient, workspace.hit)
