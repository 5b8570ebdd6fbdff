"""The shift rules: the same gate at other angles. See `shifts` for the tables."""

from __future__ import annotations

import math
import sys
from abc import abstractmethod
from dataclasses import replace

from qdiff.errors import QdiffError
from qdiff.lang.expr import Expr, add
from qdiff.lang.tree import Block, Gate
from qdiff.rules import shifts
from qdiff.rules.primitive import GateKind, Kind, Primitive
from qdiff.rules.registry import register
from qdiff.rules.term import GateRule, Term, gate_of
from qdiff.rules.workspace import Workspace


class ShiftRule(GateRule):
    """A rule whose terms are the gate itself at shifted angles."""

    @abstractmethod
    def table(self, kind: GateKind) -> shifts.Table:
        """Return the coefficients and shifts for a kind that is not refused."""

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        return tuple([shift.coefficient for shift in self.table(gate_of(kind))])

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        assert isinstance(primitive, Gate)
        return tuple([shifted(primitive, shift.by) for shift in self.table(gate_of(kind))])

    def l1(self, kind: Kind) -> float:
        return shifts.l1(self.table(gate_of(kind)))

    def second(
        self, primitive: Primitive, kind: Kind, argument: Expr, workspace: Workspace
    ) -> tuple[Term, ...]:
        assert isinstance(primitive, Gate)
        frequencies = gate_of(kind).frequencies
        base = shifts.base_frequency(frequencies) if frequencies else None
        table = shifts.squared(self.table(gate_of(kind)), 2 * math.pi / base if base else None)
        return tuple([Term(shift.coefficient, shifted(primitive, shift.by)) for shift in table])


def shifted(gate: Gate, by: Expr) -> Block:
    """Return the gate with `by` added to its angle."""
    return (replace(gate, angles=(add(gate.angles[0], by),)),)


@register
class TwoTerm(ShiftRule):
    """exp(-i a G/2) with two eigenvalues of G/2, ω apart."""

    name = "two-term"
    summary = "two shifts, for generators with two eigenvalues"
    formula = "dE/da = ω/2 [E(a + π/2ω) - E(a - π/2ω)]"
    details = (
        "ω is the distance of the two eigenvalues of G/2: Pauli rotations, `P`, controlled `P`, every "
        "generator with two eigenvalues. L1 = ω."
    )
    source = (
        "Mitarai, Negoro, Kitagawa and Fujii (2018); Schuld, Bergholm, Gogolin, Izaac and Killoran (2019)"
    )

    def needs(self, kind: GateKind) -> str:
        found = len(kind.frequencies)
        return "" if found <= 1 else f"it has {found} frequencies, the rule is for one"

    def table(self, kind: GateKind) -> shifts.Table:
        # Without a frequency the gate is a phase of all states: nothing depends on its angle.
        return shifts.two_term(kind.frequencies[0]) if kind.frequencies else ()


@register
class PaperFourTerm(ShiftRule):
    """Controlled Pauli rotations, with the shifts published in 2023."""

    name = "four-term-paper"
    summary = "four shifts for controlled Pauli rotations, as published"
    formula = "dE/da = 1/2 [E(a + π/2) - E(a - π/2)] + (1 - √2)/4 [E(a + π) - E(a - π)]"
    details = "For the frequencies 1/2 and 1. L1 = 1.2071."
    source = "Fang, Ying and Wu (2023)"

    def needs(self, kind: GateKind) -> str:
        if shifts.solves(shifts.paper_four_term(), kind.frequencies):
            return ""
        return "the published shifts are for the frequencies 1/2 and 1"

    def table(self, kind: GateKind) -> shifts.Table:
        return shifts.paper_four_term()


@register
class Equidistant(ShiftRule):
    """Frequencies that are multiples of one base frequency."""

    name = "equidistant"
    summary = "2R shifts for frequencies that are multiples of one, the largest the R-fold"
    formula = (
        "dE/da = Σ_{μ=1}^{2R} ω₀(-1)^{μ-1}/(4R sin²(x_μ/2)) E(a + x_μ/ω₀), x_μ = (2μ-1)π/2R, R = ω_max/ω₀"
    )
    details = (
        f"ω₀ is the one frequency, and R at most {shifts.LARGEST_MULTIPLE}. L1 = ω_max. For controlled "
        "rotations these are four shifts, ±π/2 and ±3π/2."
    )
    source = "Wierichs, Izaac, Wang and Lin (2022); Anselmetti, Wierichs, Gogolin and Parrish (2021)"

    def needs(self, kind: GateKind) -> str:
        if not kind.frequencies:
            return "nothing depends on its angle"
        if shifts.base_frequency(kind.frequencies) is not None:
            return ""
        return f"its frequencies are not multiples, up to {shifts.LARGEST_MULTIPLE}, of one"

    def table(self, kind: GateKind) -> shifts.Table:
        base = shifts.base_frequency(kind.frequencies)
        assert base is not None
        return shifts.equidistant(base, round(kind.frequencies[-1] / base))


@register
class LeastL1(ShiftRule):
    """Any frequencies: the linear programme of least L1."""

    name = "least-l1"
    summary = "the shifts with the least L1 for any frequencies, by a linear programme"
    formula = "dE/da = Σ_j c_j [E(a + s_j) - E(a - s_j)], 2 Σ_j c_j sin(ω s_j) = ω for every ω, Σ|c_j| least"
    details = (
        "L1 = ω_max for any frequencies, with at most one pair of shifts a frequency. Refused where "
        f"shifts beyond {shifts.WIDEST}π/ω_max would be needed: the nearer other frequencies are to ω_max, "
        "the larger they are. One frequency may be as near to it as 8·10⁻¹⁰ ω_max, two to about "
        "10⁻⁴ ω_max. How near frequencies below it are to each other does not matter."
    )

    def needs(self, kind: GateKind) -> str:
        if not kind.frequencies:
            return "nothing depends on its angle"
        found = shifts.least_l1(kind.frequencies)
        return "" if found else "its largest frequency is too close to others"

    def table(self, kind: GateKind) -> shifts.Table:
        return shifts.least_l1(kind.frequencies)


@register
class Riesz(ShiftRule):
    """Any spectrum: infinitely many shifts, as functions of j."""

    name = "riesz"
    summary = "infinitely many shifts, for every spectrum; for the family only, whose j is any integer"
    formula = "dE/da = 4ω_max/π² Σ_j (-1)^j/(2j+1)² E(a + (2j+1)π/2ω_max), j = …, -1, 0, 1, …"
    details = (
        "It needs to know nothing of a spectrum but its largest frequency. L1 = ω_max. The family has all "
        "of its terms; what lists them refuses it. The part -K ≤ j < K is off by at most 2ω_max/(π²K) "
        "times ‖O‖."
    )
    source = "M. Riesz (1914)"
    infinite = True

    def needs(self, kind: GateKind) -> str:
        return "" if kind.frequencies else "nothing depends on its angle"

    def table(self, kind: GateKind) -> shifts.Table:
        raise QdiffError(
            "The rule `riesz` has infinitely many terms. The family of a first derivative has them all, its "
            "input j may be any integer; for everything that lists the terms take another rule, such as "
            "`least-l1`."
        )

    def entry(self, primitive: Primitive, kind: Kind, j: Expr) -> tuple[Expr, Block]:
        assert isinstance(primitive, Gate)
        shift = shifts.riesz_entry(gate_of(kind).frequencies[-1], j)
        return shift.coefficient, shifted(primitive, shift.by)

    def l1(self, kind: Kind) -> float:
        return gate_of(kind).frequencies[-1]

    def size(self, kind: Kind) -> int:
        return sys.maxsize
