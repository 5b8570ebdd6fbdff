"""The derivative of a program as programs: `qd.differentiate`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import overload

from qdiff.errors import ParameterError
from qdiff.lang.tree import Assign, Measure, Program
from qdiff.lang.walk import statements
from qdiff.rules.family import Family, family
from qdiff.rules.finding import Finder
from qdiff.rules.printed import headed, printed
from qdiff.rules.registry import DEFAULT_RULE
from qdiff.rules.second_order import SecondDerivativeProgram, differentiate_twice
from qdiff.rules.self_contained import SHAPES, Law, SelfContained, self_contained
from qdiff.rules.single import DerivativeTerm
from qdiff.rules.sites import Site
from qdiff.rules.statements import ABORT
from qdiff.rules.tangent import Tangent, tangent


@dataclass(frozen=True, repr=False)
class DerivativeProgram:
    """∂f/∂θ of a program, for every observable, as data. Made by `qd.differentiate`.

    With occurrences of θ numbered along a run,

        ∂f/∂θ = Σ_{k≥1} Σ_j c_j ∂a_k/∂θ · f_{k,j},

    f_{k,j} the value of the program whose k-th executed occurrence is replaced by term j of its rule,
    runs that end before it counting 0. Absolutely convergent where the expected number of occurrences
    is finite and the observable bounded.

    Attributes:
        source: the program that is differentiated.
        parameter: by which parameter.
        rule: the name of the rule, or of a selection of rules.
        sites: where the parameter occurs, in printed order.
    """

    source: Program
    parameter: str
    rule: str
    sites: tuple[Site, ...]

    @cached_property
    def terms(self) -> tuple[DerivativeTerm, ...]:
        """One program for each site and term of its rule; each is made when it is looked at."""
        return tuple(
            [
                DerivativeTerm(self.source, self.sites, site, j)
                for site in self.sites
                for j in range(len(site.coefficients))
            ]
        )

    @cached_property
    def family(self) -> Family:
        """One program with the integer inputs (k, j)."""
        return family(self.source, self.sites)

    @cached_property
    def family_with_history(self) -> Family:
        """The family, which also records the counters of the source before the replaced occurrence."""
        assigned = {s.counter for s in statements(self.source.body) if isinstance(s, Assign | Measure)}
        return family(self.source, self.sites, [name for name in self.source.counters if name in assigned])

    @cached_property
    def tangent(self) -> Tangent:
        """One program whose derivative by a probability sums over all k and j: for exact engines."""
        return tangent(self.source, self.sites)

    def self_contained(self, law: str = "log-power", shape: float | None = None) -> SelfContained:
        """Return the program that draws k and j itself, by a coin at each occurrence.

        Args:
            law: "log-power" (as published) or "geometric".
            shape: δ in (0, 10] of the log-power law (0.25 if it is not given), or the hazard in (0, 1) of
                the geometric one (0.5).

        Raises:
            QdiffError: another law, or a shape out of range.
        """
        usual = [of_law for name, of_law in SHAPES.items() if name == law]
        return self_contained(self.source, self.sites, Law(law, *(usual if shape is None else [shape])))

    def __str__(self) -> str:
        head = f"# d/d{self.parameter} by {self.rule}"
        if not self.sites:
            why = f"no angle or probability depends on {self.parameter}"
            return printed([f"{head}: exactly zero, {why}"], replace(self.source, body=ABORT))
        sites = [f"# site {site.number}: {site}" for site in self.sites]
        return headed([head, *sites], str(self.family))

    def __repr__(self) -> str:
        many = len(self.sites)
        return f"DerivativeProgram(parameter={self.parameter!r}, rule={self.rule!r}, sites={many})"


@overload
def differentiate(program: Program, wrt: str, rule: str = ...) -> DerivativeProgram: ...


@overload
def differentiate(
    program: Program, wrt: tuple[str, str], rule: str = DEFAULT_RULE
) -> SecondDerivativeProgram: ...


def differentiate(
    program: Program, wrt: str | tuple[str, str], rule: str = DEFAULT_RULE
) -> DerivativeProgram | SecondDerivativeProgram:
    """Differentiate a program as a program: what its derivative is can be run, printed and counted.

        ∂f/∂θ = Σ_{k≥1} Σ_j c_j ∂a_k/∂θ · f_{k,j}

    k numbers the executed occurrences of θ along a run, a_k is the argument of the k-th (an angle in radians,
    or a probability), and f_{k,j} the value of the program with term j of its rule in its place. For a pair
    see `SecondDerivativeProgram`.

    Args:
        program: any program.
        wrt: a parameter, an array element as "w[0]"; a pair of parameters for the second derivative.
        rule: "shift" (the least L1 known for each gate), "shift-paper" (the published shifts),
            "commutator" or "hadamard" (gadgets with ancillas), or one rule of `qd.rules.names()`. It
            chooses among the rules for gates; `flip` and channels always use their own.

    Returns:
        The derivative: `.sites`, `.terms`, `.family`, `.self_contained()`, `.tangent`; `str()` prints it.
        A parameter that occurs nowhere, or cancels as in `Ry(t - t)`, has no sites: its derivative is
        exactly zero.

    Raises:
        ParameterError: the parameter is unknown, an array, or occurs in a comparison.
        QdiffError: no such rule, or it does not apply to some gate: which, why, and the rules that do.

    See docs/rules.md. Source: Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops"
    (2023).
    """
    if isinstance(wrt, str):
        return DerivativeProgram(program, wrt, rule, Finder(program, (wrt,), rule).sites())
    if isinstance(wrt, list | tuple) and len(wrt) == 2 and all(isinstance(name, str) for name in wrt):
        first, second = wrt
        return differentiate_twice(program, first, second, rule)
    raise ParameterError(f"wrt is the name of a parameter, or a pair of names, not {wrt!r}.")
