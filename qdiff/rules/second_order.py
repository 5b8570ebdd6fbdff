"""Second derivatives as programs: ordered pairs of occurrences, and the same one twice.

Number the occurrences of θ_a and θ_b jointly. With a_k the argument at the k-th,

    ∂²f/∂θ_a∂θ_b = Σ_{k≠l} ∂_a a_k ∂_b a_l Σ_{j,i} c_j c_i f_{(k,j),(l,i)}
                 + Σ_k [ ∂_a a_k ∂_b a_k d²E/da² + ∂²a_k/∂θ_a∂θ_b dE/da ]_k,

k replaced for θ_a and l for θ_b, in either order along the run; the later one is counted in the run that
was changed at the earlier one. At k = l the terms of d²E/da² come first, then those of dE/da.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from qdiff.lang.expr import Expr, is_number
from qdiff.lang.tree import Block, Program
from qdiff.rules.pair_family import PairFamily, pair_family
from qdiff.rules.pair_tangent import PairTangent, pair_tangent
from qdiff.rules.pairs import PairSite
from qdiff.rules.primitive import Primitive, argument, kind_of
from qdiff.rules.registry import checked_name
from qdiff.rules.rewriting import Rewriter
from qdiff.rules.sites import Site, checked_parameter, select_at
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class SecondDerivativeProgram:
    """∂²f/∂θ_a∂θ_b of a program, for every observable, as data. Made by `qd.differentiate`.

    Attributes:
        source: the program that is differentiated.
        parameters: θ_a and θ_b.
        rule: the name of the rule, or of a selection of rules.
        sites: where one of them occurs, in printed order.
    """

    source: Program
    parameters: tuple[str, str]
    rule: str
    sites: tuple[PairSite, ...]

    @cached_property
    def family(self) -> PairFamily:
        """One program with the integer inputs (k, j, l, i)."""
        return pair_family(self.source, self.sites)

    @cached_property
    def tangent(self) -> PairTangent:
        """One program whose mixed derivative by two probabilities sums over all pairs."""
        return pair_tangent(self.source, self.sites)

    def __str__(self) -> str:
        head = f"# d²/d{self.parameters[0]} d{self.parameters[1]} by {self.rule}"
        if not self.sites:
            return f"{head}: exactly zero, neither parameter occurs\n"
        sites = [f"# site {pair.site.number}: {pair.site}" for pair in self.sites]
        return "\n".join([head, *sites, str(self.family)])


def differentiate_twice(program: Program, first: str, second: str, rule: str) -> SecondDerivativeProgram:
    """Return the second derivative by two parameters, which may be the same."""
    first, second = checked_parameter(program, first), checked_parameter(program, second)
    checked_name(rule)
    found: list[PairSite] = []
    slopes: dict[Expr, tuple[Expr, Expr]] = {}

    def note(primitive: Primitive, same: Block, looped: bool) -> Block:
        a, b = slopes[argument(primitive)]
        kind = kind_of(primitive, program)
        site = Site(len(found) + 1, primitive, kind, select_at(rule, kind, primitive, program), a, looped)
        found.append(PairSite(site, b, a.diff(second)))
        return same

    def occurs(expression: Expr) -> bool:
        if expression not in slopes:
            slopes[expression] = (expression.diff(first), expression.diff(second))
        return not all(is_number(slope, 0) for slope in slopes[expression])

    Rewriter(program, occurs, note, Workspace(program)).body()
    return SecondDerivativeProgram(program, (first, second), rule, tuple(found))
