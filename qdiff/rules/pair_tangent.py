"""The tangent rendering of a second derivative: two probabilities, and the mixed derivative by them.

At ε = η = 0, ∂²/∂ε∂η E[hit_k · hit_l · O] leaves one occurrence chosen for θ_a with probability ε·c·∂_a a
and one for θ_b with η·c·∂_b a, or one for both with ε·η·(its coefficient): all pairs of the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from qdiff.lang.expr import Expr, Parameter, multiply
from qdiff.lang.observable import Observable, count
from qdiff.lang.tree import And, Block, If, Program
from qdiff.rules.offers import Printable, offered
from qdiff.rules.pairs import Choice, Choices, PairSite, run
from qdiff.rules.printed import printed
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.statements import compare
from qdiff.rules.workspace import Workspace

Offer = tuple[Expr, Block]


@dataclass(frozen=True)
class PairTangent:
    """A program whose mixed derivative by two probabilities at 0 is the second derivative.

    Attributes:
        program: has two more parameters.
        parameters: their names.
        readout: multiply the observable of the original with it.
    """

    program: Program = field(repr=False)
    parameters: tuple[str, str]
    readout: Observable

    def __str__(self) -> str:
        one, other = self.parameters
        head = f"# The derivative of E[{self.readout} * observable] by {one} and {other}, both 0."
        return printed([head], self.program)


def pair_tangent(program: Program, pairs: Sequence[PairSite]) -> PairTangent:
    """Return the tangent program of some sites; they are in printed order."""
    workspace = Workspace(program)
    one, other = workspace.parameter("eps"), workspace.parameter("eta")
    signs = workspace.counter("hit_k"), workspace.counter("hit_l")

    def offers(of: Sequence[Choice], scale: Expr, printable: Printable, *kept: str) -> list[Offer]:
        return [(multiply(scale, printable(c.coefficient)), run(c, workspace, *kept)) for c in of]

    def chosen(site: Site, same: Block) -> Block:
        some = Choices.at(pairs[site.number - 1], workspace)
        a, b = Parameter(one), Parameter(other)
        known = Printable(workspace)
        no_k, no_l = (compare(sign, "=", 0) for sign in signs)
        both = offers(some.both, multiply(a, b), known, *signs)
        first, second = offers(some.first, a, known, signs[0]), offers(some.second, b, known, signs[1])
        anything = offered([*both, *first, *second], And((no_k, no_l)), same)
        inner: Block = (If(no_l, anything, offered(first, no_k, same)),)
        outer: Block = (If(no_l, offered(second, no_l, same), same),)
        return (*known.evaluated(), If(no_k, inner, outer))

    made = replaced_at(program, [pair.site for pair in pairs], chosen, workspace)
    return PairTangent(made, (one, other), count(signs[0]) * count(signs[1]))
