"""Second derivatives as programs: ordered pairs of occurrences, and the same one twice.

Number the occurrences of θ_a and θ_b jointly. With a_k the argument at the k-th,

    ∂²f/∂θ_a∂θ_b = Σ_{k≠l} ∂_a a_k ∂_b a_l Σ_{j,i} c_j c_i f_{(k,j),(l,i)}
                 + Σ_k [ ∂_a a_k ∂_b a_k d²E/da² + ∂²a_k/∂θ_a∂θ_b dE/da ]_k,

k replaced for θ_a and l for θ_b, in either order along the run; the later one is counted in the run that
was changed at the earlier one. At k = l the terms of d²E/da² come first, then those of dE/da.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from qdiff.lang.expr import is_number
from qdiff.lang.tree import Program
from qdiff.rules.finding import Finder, slope
from qdiff.rules.pair_family import PairFamily, pair_family
from qdiff.rules.pair_tangent import PairTangent, pair_tangent
from qdiff.rules.pairs import PairSite
from qdiff.rules.printed import headed, printed
from qdiff.rules.statements import ABORT


@dataclass(frozen=True, repr=False)
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
        slopes = zip(*((pair.site.slope, pair.other_slope) for pair in self.sites), strict=True)
        found = [any(not is_number(slope, 0) for slope in of_one) for of_one in slopes] or [False, False]
        missing = dict.fromkeys([name for name, some in zip(self.parameters, found, strict=True) if not some])
        if missing:
            why = f"no angle or probability depends on {' or '.join(missing)}"
            return printed([f"{head}: exactly zero, {why}"], replace(self.source, body=ABORT))
        sites = [f"# site {pair.site.number}: {pair.site}" for pair in self.sites]
        return headed([head, *sites], str(self.family))

    def __repr__(self) -> str:
        many = len(self.sites)
        return f"SecondDerivativeProgram(parameters={self.parameters!r}, rule={self.rule!r}, sites={many})"


def differentiate_twice(program: Program, first: str, second: str, rule: str) -> SecondDerivativeProgram:
    """Return the second derivative by two parameters, which may be the same."""
    finder = Finder(program, (first, second), rule)
    pairs = []
    for site in finder.sites():
        _, other = finder.slopes(site.argument)
        pairs.append(PairSite(site, other, slope(site.slope, second)))
    return SecondDerivativeProgram(program, (first, second), rule, tuple(pairs))
