"""The sites of two parameters together, and all ways to replace one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qdiff.lang.expr import ONE, Counter, Expr, is_number, multiply
from qdiff.lang.tree import Assign, Block
from qdiff.rules.nested import second_terms
from qdiff.rules.sites import Site
from qdiff.rules.term import Term
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class PairSite:
    """A primitive that depends on one of the two parameters, or on both.

    Attributes:
        site: the site, its slope by the first parameter.
        other_slope: its slope by the second one.
        curvature: ∂²a/∂θ_a∂θ_b.
    """

    site: Site
    other_slope: Expr
    curvature: Expr


@dataclass(frozen=True)
class Choice:
    """One way to replace a site: what runs, and with which coefficient."""

    coefficient: Expr
    term: Term


@dataclass(frozen=True)
class Choices:
    """All ways to replace one site."""

    first: tuple[Choice, ...]
    second: tuple[Choice, ...]
    both: tuple[Choice, ...]

    @classmethod
    def at(cls, pair: PairSite, workspace: Workspace) -> Choices:
        """Return the choices at a site."""
        site = pair.site
        arguments = (site.primitive, site.kind, site.argument, workspace)
        terms = site.rule.terms(*arguments)
        first, second = _weighted(terms, site.slope), _weighted(terms, pair.other_slope)
        if not (first and second):
            return cls(first, second, ())
        square = multiply(site.slope, pair.other_slope)
        twice = _weighted(second_terms(site.rule, *arguments), square)
        return cls(first, second, (*twice, *_weighted(terms, pair.curvature)))

    @property
    def read(self) -> frozenset[str]:
        """The counters that coefficients read."""
        every = (*self.first, *self.second, *self.both)
        return frozenset().union(*(choice.coefficient.counters() for choice in every))


def _weighted(terms: Sequence[Term], slope: Expr) -> tuple[Choice, ...]:
    if is_number(slope, 0):
        return ()
    return tuple([Choice(multiply(term.coefficient, slope), term) for term in terms])


def run(choice: Choice, workspace: Workspace, *signs: str) -> Block:
    """Return what runs for a choice, its sign kept in the first of the counters, 1 in the others."""
    sign, *others = signs
    block = choice.term.block
    kept: Block = (Assign(sign, Counter(workspace.hit)),) if choice.term.signed else (Assign(sign, ONE),)
    return (*block, *kept, *(Assign(other, ONE) for other in others))
