"""The family rendering: one program with two integer inputs, the occurrence k and the term j.

Executions of sites are numbered 1, 2, … along a run. The k-th runs its term j in place of the
primitive; which site that was, and the counters that its coefficient reads, are recorded. So

    ∂f/∂θ = Σ_{k≥1} Σ_j E[weight · O]      over runs started with the counters (k, j).

Source: Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qdiff.errors import QdiffError
from qdiff.lang.expr import ONE, ZERO, Counter, Expr, add, multiply, number
from qdiff.lang.printer import program_text
from qdiff.lang.tree import Assign, Block, Compare, If, Program, Statement
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.weights import Weights, recorded
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class Family:
    """All derivative programs of a parameter as one.

    Attributes:
        program: the program; without inputs (k = 0) it does what the original does.
        occurrence, term: the counters k (from 1) and j (from 0), given as start values.
        terms: the largest number of terms at a site: j < terms; None where a rule has infinitely many,
            and j may be any integer.
        weights: what a run counts.
    """

    program: Program
    occurrence: str
    term: str
    terms: int | None
    weights: Weights

    def at(self, occurrence: int, term: int) -> Program:
        """Return the member that replaces one occurrence by one term, as a program without inputs.

        Args:
            occurrence: k, from 1.
            term: j, from 0; any integer where a rule has infinitely many terms.

        Raises:
            QdiffError: k below 1, or a j that no site has. A k that no run reaches is no error: the
                member counts 0.
        """
        if type(occurrence) is not int or type(term) is not int:
            raise QdiffError(f"Occurrence and term are integers, got {occurrence!r} and {term!r}.")
        if not 1 <= occurrence < 2**63 or (self.terms is not None and not 0 <= term < self.terms):
            of_terms = "" if self.terms is None else f" and terms 0 .. {self.terms - 1}"
            raise QdiffError(f"Occurrences are numbered from 1{of_terms}, got {occurrence} and {term}.")
        inputs = (Assign(self.occurrence, number(occurrence)), Assign(self.term, number(term)))
        return replace(self.program, body=(*inputs, *self.program.body))

    def __str__(self) -> str:
        head = [
            f"# Inputs: start values of {self.occurrence} (which occurrence is replaced, from 1) and "
            f"{self.term} (by which term, from 0).",
            f"# A run counts {self.weights.hit} * observable * coefficient (0 where nothing was replaced):",
            *self.weights.lines(),
        ]
        return "\n".join(head) + "\n" + program_text(self.program)


def family(program: Program, sites: Sequence[Site]) -> Family:
    """Return the family of derivative programs of some sites; they are in printed order."""
    workspace = Workspace(program)
    occurrence, term = workspace.counter("k"), workspace.counter("j")
    record = Recorder(sites, workspace)
    count_down = If(_compare(occurrence, ">", 1), (_set(occurrence, add(Counter(occurrence), number(-1))),))

    def members(site: Site, same: Block) -> Block:
        choices: list[Statement] = [_set(occurrence, ZERO), *record.at(site)]
        if site.rule_used.infinite:
            _, block = site.rule_used.entry(site.primitive, site.kind, Counter(term))
            choices += [_set(workspace.hit, ONE), *block]
        else:
            choices += [If(_compare(term, "=", j), block) for j, block in enumerate(record.blocks(site))]
        return (If(_compare(occurrence, "=", 1), tuple(choices), (count_down, *same)),)

    made = replaced_at(program, sites, members, workspace)
    coefficients = tuple([_coefficients(site, record, Counter(term)) for site in sites])
    weights = Weights(made.counters, record.site, term, workspace.hit, coefficients)
    finite = [c for c in coefficients if not isinstance(c, Expr)]
    terms = max(map(len, finite), default=0) if len(finite) == len(coefficients) else None
    return Family(made, occurrence, term, terms, weights)


def _coefficients(site: Site, record: Recorder, term: Counter) -> tuple[Expr, ...] | Expr:
    if not site.rule_used.infinite:
        return record.coefficients(site)
    coefficient, _ = site.rule_used.entry(site.primitive, site.kind, term)
    return multiply(coefficient, recorded(site.slope, record.names))


class Recorder:
    """The statements at a replaced site that note which it was, and the counters its coefficients read."""

    def __init__(self, sites: Sequence[Site], workspace: Workspace) -> None:
        self.workspace = workspace
        self.site = workspace.counter("site")
        self.names: dict[str, str] = {}
        for site in sites:
            for name in site.read:
                if name not in self.names:
                    self.names[name] = workspace.counter(f"at_{name.replace('[', '_').rstrip(']')}")

    def at(self, site: Site) -> Block:
        """Return the statements that record a site and what its coefficients read."""
        noted = [Assign(self.names[name], Counter(name)) for name in site.read]
        return (Assign(self.site, number(site.number)), *noted)

    def blocks(self, site: Site) -> list[Block]:
        """Return what runs for each term, the sign of the run included."""
        blocks = site.rule_used.blocks(site.primitive, site.kind, self.workspace)
        if site.rule_used.signed:
            return list(blocks)
        return [(Assign(self.workspace.hit, ONE), *block) for block in blocks]

    def coefficients(self, site: Site) -> tuple[Expr, ...]:
        """Return the coefficients over recorded counters."""
        return tuple([recorded(c, self.names) for c in site.coefficients]) if site.read else site.coefficients


def _set(counter: str, value: Expr) -> Assign:
    return Assign(counter, value)


def _compare(counter: str, operator: str, value: int) -> Compare:
    return Compare(Counter(counter), operator, number(value))
