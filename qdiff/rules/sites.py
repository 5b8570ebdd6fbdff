"""A place where parameters occur in a program, with the rule that differentiates it there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from qdiff.lang.expr import Expr, multiply
from qdiff.lang.printer import condition_text, head_text
from qdiff.lang.source import Position
from qdiff.lang.tree import Block, Flip, Program
from qdiff.rules.primitive import Kind, Primitive, argument, place
from qdiff.rules.rewriting import Rewriter
from qdiff.rules.term import Rule
from qdiff.rules.workspace import Workspace

SHARED = 1024  # kinds of sites whose coefficients are kept: a program has many sites of few kinds

_counters = lru_cache(maxsize=SHARED)(Expr.counters)


@dataclass(frozen=True, repr=False)
class Site:
    """A primitive whose argument depends on the parameter.

    Attributes:
        number: counted from 1 in printed order.
        primitive: the gate, flip or channel; `U` is three.
        kind: what rules know of it.
        rule: the rule that replaces it; never a selection such as "shift".
        slope: ∂a/∂θ, the factor of the chain rule.
        looped: it stands in a `while`, and may be executed more than once in a run.
    """

    number: int
    primitive: Primitive
    kind: Kind
    rule: Rule
    slope: Expr
    looped: bool

    @property
    def argument(self) -> Expr:
        """The angle in radians, or the probability."""
        return argument(self.primitive)

    @property
    def position(self) -> Position | None:
        """Where it stands in the text (line and column from 1); None for a program without a text."""
        return place(self.primitive)

    @property
    def line(self) -> int:
        """The line that it stands in, from 1; 0 for a program without a text."""
        return self.position.line if self.position else 0

    @cached_property
    def coefficients(self) -> tuple[Expr, ...]:
        """c_j · ∂a/∂θ of all terms of the rule here."""
        return _coefficients(self.rule, self.kind, self.argument, self.slope)

    @cached_property
    def read(self) -> frozenset[str]:
        """The counters that the coefficients read."""
        of_rule = () if self.rule.infinite else self.rule.coefficients(self.kind, self.argument)
        return frozenset().union(*map(_counters, (self.slope, *of_rule)))

    def replacements(self, workspace: Workspace) -> list[Block]:
        """Return what runs in place of the primitive for each term; `workspace.hit` is ±1 after it."""
        terms = self.rule.terms(self.primitive, self.kind, self.argument, workspace)
        return [term.marked(workspace) for term in terms]

    @property
    def l1(self) -> float:
        """Σ_j |c_j| of the rule, without the factor of the chain rule."""
        return self.rule.l1(self.kind)

    def __str__(self) -> str:
        text = (
            condition_text(self.primitive) if isinstance(self.primitive, Flip) else head_text(self.primitive)
        )
        where = f"line {self.position.line}: " if self.position else ""
        return f"{where}{text} by {self.rule.name}"

    def __repr__(self) -> str:
        return f"<site {self.number}: {self}>"


@lru_cache(maxsize=SHARED)
def _coefficients(rule: Rule, kind: Kind, argument: Expr, slope: Expr) -> tuple[Expr, ...]:
    return tuple([multiply(c, slope) for c in rule.coefficients(kind, argument)])


def replaced_at(
    program: Program, sites: Sequence[Site], put: Callable[[Site, Block], Block], workspace: Workspace
) -> Program:
    """Return a program with other statements in the place of its sites, and what they need declared.

    Args:
        program: the one that the sites were found in.
        sites: all of a parameter, in printed order.
        put: what runs in place of a site, given the statements that do the same as its primitive.
        workspace: gives the names that are added.
    """
    # Expressions are compared as objects: walking them takes longer than everything else in long programs.
    arguments = {id(site.argument) for site in sites}
    following = iter(sites)

    def here(primitive: Primitive, same: Block, looped: bool) -> Block:
        return put(next(following), same)

    body = Rewriter(program, lambda expression: id(expression) in arguments, here, workspace).body()
    assert next(following, None) is None, "the sites are those of this program"
    return workspace.completed(replace(program, body=body))
