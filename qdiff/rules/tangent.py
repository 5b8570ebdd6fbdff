"""The tangent rendering: a program whose derivative by one probability is the sum over all occurrences.

At every site, while nothing has been replaced, term j is chosen with probability ε·c_j·∂a/∂θ. At ε = 0
it is the original program, and

    ∂/∂ε E[hit · O] at ε = 0  =  Σ_{k≥1} Σ_j c_j f_{k,j}  =  ∂f/∂θ,

because the derivative of a product of choices leaves exactly one. An exact engine that differentiates
`flip` gets all occurrences from one linear system in this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qdiff.lang.expr import Parameter, multiply
from qdiff.lang.observable import Observable, count
from qdiff.lang.tree import Block, If, Program
from qdiff.rules.offers import Printable, offered
from qdiff.rules.printed import printed
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.statements import compare
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class Tangent:
    """A program that is the original at ε = 0 and whose derivative there is that of the original.

    Attributes:
        program: has one more parameter.
        parameter: the name of ε.
        readout: the observable `hit`; multiply the observable of the original with it.
    """

    program: Program = field(repr=False)
    parameter: str
    readout: Observable

    def __str__(self) -> str:
        head = f"# The derivative of E[{self.readout} * observable] by {self.parameter} where it is 0."
        return printed([head], self.program)


def tangent(program: Program, sites: Sequence[Site]) -> Tangent:
    """Return the tangent program of some sites; they are in printed order."""
    workspace = Workspace(program)
    epsilon = workspace.parameter("eps")
    untouched = compare(workspace.hit, "=", 0)

    def chosen(site: Site, same: Block) -> Block:
        printable = Printable(workspace)
        chances = [multiply(Parameter(epsilon), printable(c)) for c in site.coefficients]
        offers = list(zip(chances, site.replacements(workspace), strict=True))
        return (If(untouched, (*printable.evaluated(), *offered(offers, untouched, same)), same),)

    return Tangent(replaced_at(program, sites, chosen, workspace), epsilon, count(workspace.hit))
