"""One term at one site as a program: what replaces the primitive there, and how its runs are read.

In a loop the site is executed more than once, and the input k says which execution is replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from qdiff.errors import QdiffError
from qdiff.lang.expr import ZERO, Counter, Expr, add, number
from qdiff.lang.observable import Observable, count
from qdiff.lang.printer import program_text
from qdiff.lang.tree import Assign, Block, Compare, If, Program
from qdiff.rules.family import Recorder
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class DerivativeTerm:
    """One summand of a derivative: ∂f/∂θ = Σ over terms, and over k in loops, of E[coefficient·readout·O].

    Attributes:
        source: the program that is differentiated.
        sites: all sites of the parameter.
        site: which of them is replaced here.
        term: by which term of its rule, from 0.
    """

    source: Program
    sites: Sequence[Site]
    site: Site
    term: int

    @property
    def coefficient(self) -> Expr:
        """c_j · ∂a/∂θ, over the parameters, and the counters that `program` records at the site."""
        return self._made[2]

    @property
    def program(self) -> Program:
        """The program with the primitive replaced; `occurrence` is its input where the site is in a loop."""
        return self._made[0]

    @property
    def readout(self) -> Observable:
        """The factor of the observable: 0 on runs that do not reach the site, else 1, or a sign ±1."""
        return self._made[3]

    @property
    def occurrence(self) -> str:
        """The counter whose start value k says which execution is replaced, from 1; "" without a loop."""
        return self._made[1]

    def at(self, occurrence: int) -> Program:
        """Return the program that replaces one execution of the site, numbered from 1."""
        if type(occurrence) is not int or not 1 <= occurrence < 2**63:
            raise QdiffError(f"Occurrences are numbered from 1, got {occurrence!r}.")
        if not self.occurrence:
            if occurrence > 1:
                raise QdiffError("This site is not in a loop: it is executed once at most.")
            return self.program
        first = Assign(self.occurrence, number(occurrence))
        return replace(self.program, body=(first, *self.program.body))

    def __str__(self) -> str:
        inputs = f"; input {self.occurrence}" if self.occurrence else ""
        return (
            f"# {self.site}, term {self.term}{inputs}\n"
            f"# counts {self.readout} * observable * ({self.coefficient})\n" + program_text(self.program)
        )

    @cached_property
    def _made(self) -> tuple[Program, str, Expr, Observable]:
        site = self.site
        workspace = Workspace(self.source)
        occurrence = workspace.counter("k") if site.looped else ""
        record = Recorder([site], workspace)

        def one(other: Site, same: Block) -> Block:
            if other.number != site.number:
                return same
            _, *notes = record.at(site)
            replaced = (*notes, *record.blocks(site)[self.term])
            if not occurrence:
                return replaced
            k = Counter(occurrence)
            count_down = If(Compare(k, ">", number(1)), (Assign(occurrence, add(k, number(-1))),))
            return (
                If(
                    Compare(k, "=", number(1)),
                    (Assign(occurrence, ZERO), *replaced),
                    (count_down, *same),
                ),
            )

        workspace.counters.remove(record.site)  # there is one site
        made = replaced_at(self.source, self.sites, one, workspace)
        return made, occurrence, record.coefficients(site)[self.term], count(workspace.hit)
