"""The tangent rendering: a program whose derivative by one probability is the sum over all occurrences.

At every site, while nothing has been replaced, term j is chosen with probability ε·c_j·∂a/∂θ. At ε = 0
it is the original program, and

    ∂/∂ε E[hit · O] at ε = 0  =  Σ_{k≥1} Σ_j c_j f_{k,j}  =  ∂f/∂θ,

because the derivative of a product of choices leaves exactly one. An exact engine that differentiates
`flip` gets all occurrences from one linear system in this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qdiff.lang.expr import ONE, ZERO, Counter, Expr, Indicator, Parameter, multiply, number
from qdiff.lang.observable import Observable, count
from qdiff.lang.printer import program_text
from qdiff.lang.rebuild import rebuild
from qdiff.lang.tree import Assign, Block, Compare, Condition, Flip, If, Program, Statement
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.workspace import Workspace

DEEPEST_CHAIN = 50  # flips inside each other's `else`


@dataclass(frozen=True)
class Tangent:
    """A program that is the original at ε = 0 and whose derivative there is that of the original.

    Attributes:
        program: has one more parameter.
        parameter: the name of ε.
        readout: the observable `hit`; multiply the observable of the original with it.
    """

    program: Program
    parameter: str
    readout: Observable

    def __str__(self) -> str:
        return (
            f"# The derivative of E[{self.readout} * observable] by {self.parameter} where it is 0.\n"
            + program_text(self.program)
        )


def tangent(program: Program, sites: Sequence[Site]) -> Tangent:
    """Return the tangent program of some sites; they are in printed order."""
    workspace = Workspace(program)
    epsilon = workspace.parameter("eps")
    untouched = Compare(Counter(workspace.hit), "=", ZERO)

    def chosen(site: Site, same: Block) -> Block:
        indicators: dict[Expr, str] = {}
        terms = site.rule_used.terms(site.primitive, site.kind, site.argument, workspace)
        offers: list[tuple[Expr, Block]] = []
        for term, coefficient in zip(terms, site.coefficients, strict=True):
            chance = multiply(Parameter(epsilon), printable(coefficient, indicators, workspace))
            done = term.block if term.signed else (Assign(workspace.hit, ONE), *term.block)
            offers.append((chance, done))
        known = [step for node, name in indicators.items() for step in evaluated(node, name)]
        return (If(untouched, (*known, *offered(offers, untouched, same)), same),)

    return Tangent(replaced_at(program, sites, chosen, workspace), epsilon, count(workspace.hit))


def offered(offers: Sequence[tuple[Expr, Block]], untouched: Condition, same: Block) -> Block:
    """Return statements that take the first offer whose flip is true, or do `same` where none is.

    Offers stand inside each other's `else`, so that runs come together once; a long list is split into
    groups, each for runs that are still untouched.
    """
    groups = [offers[i : i + DEEPEST_CHAIN] for i in range(0, len(offers), DEEPEST_CHAIN)] or [[]]
    out: list[Statement] = []
    for number_of_group, group in enumerate(groups):
        last = number_of_group == len(groups) - 1
        chain: Block = same if last else ()
        for chance, block in reversed(group):
            chain = (If(Flip(chance), block, chain),)
        out.extend((If(untouched, chain),) if number_of_group else chain)
    return tuple(out)


def printable(coefficient: Expr, indicators: dict[Expr, str], workspace: Workspace) -> Expr:
    """Return the coefficient with a counter in place of every [index = value], which has no text."""

    def named(node: Expr, operands: list[Expr]) -> Expr:
        if isinstance(node, Indicator):
            if node not in indicators:
                indicators[node] = workspace.counter("is")
            return Counter(indicators[node])
        return rebuild(node, operands) if operands else node

    return coefficient.fold(named)


def evaluated(indicator: Expr, name: str) -> Block:
    """Statements that leave the value of [index = value] in a counter."""
    assert isinstance(indicator, Indicator)
    # Comparisons are of real expressions, and have no `mod`.
    same = Compare(Counter(name), "=", number(indicator.value))
    return (Assign(name, indicator.index), If(same, (Assign(name, ONE),), (Assign(name, ZERO),)))
