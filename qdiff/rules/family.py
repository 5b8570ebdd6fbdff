"""The family rendering: one program with two integer inputs, the occurrence k and the term j.

Executions of sites are numbered 1, 2, … along a run. The k-th runs its term j in place of the
primitive; which site that was, and the counters that its coefficient reads, are recorded. So

    ∂f/∂θ = Σ_{k≥1} Σ_j E[weight · O]      over runs that begin with k := …; j := …

Source: Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from qdiff.errors import QdiffError
from qdiff.lang.expr import ONE, ZERO, Counter, Expr, multiply, number
from qdiff.lang.tree import Assign, Block, If, Program, Statement
from qdiff.rules.printed import printed
from qdiff.rules.recording import Recorder
from qdiff.rules.sites import Site, replaced_at
from qdiff.rules.statements import compare, count_down, started
from qdiff.rules.weights import Weighted, Weights, site_weights
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class Family(Weighted):
    """All derivative programs of a parameter as one.

    Attributes:
        program: the program; without inputs (k = 0) it does what the original does.
        inputs: the counters k (from 1) and j (from 0), set at the beginning of a run.
        most_terms: the largest number of terms at a site: j < most_terms; None where a rule has
            infinitely many, and j may be any integer.
        history: counter of the source → the one that holds, at the end of a run, what it was before the
            replaced occurrence; of those that were asked for.
    """

    program: Program = field(repr=False)
    inputs: tuple[str, str]
    most_terms: int | None
    history: Mapping[str, str] = field(hash=False, repr=False)
    _weights: Weights = field(repr=False)

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
        most = self.most_terms
        if most == 0:
            raise QdiffError("The derivative is exactly zero: there is no term that replaces an occurrence.")
        if not 1 <= occurrence < 2**63 or (most is not None and not 0 <= term < most):
            of_terms = "" if most is None else f" and terms 0 .. {most - 1}"
            raise QdiffError(f"Occurrences are numbered from 1{of_terms}, got {occurrence} and {term}.")
        return started(self.program, dict(zip(self.inputs, (occurrence, term), strict=True)))

    def __str__(self) -> str:
        k, j = self.inputs
        head = (
            f"# Inputs: begin with `{k} := …; {j} := …;`, {k}: which occurrence is replaced, from 1; "
            f"{j}: by which term, from 0."
        )
        return printed([head, *self._weights.lines()], self.program)


def family(program: Program, sites: Sequence[Site], history: Iterable[str] = ()) -> Family:
    """Return the family of derivative programs of some sites; they are in printed order.

    Args:
        history: counters to record before the replaced occurrence, besides those that coefficients read.
    """
    kept = frozenset(history)
    workspace = Workspace(program)
    k, j, which = (workspace.counter(name) for name in ("k", "j", "site"))
    record = Recorder(workspace)

    def members(site: Site, same: Block) -> Block:
        chosen = Assign(k, ZERO), Assign(which, number(site.number)), *record.noted(site.read | kept)
        picked: list[Statement] = []
        if site.rule.infinite:
            _, block = site.rule.entry(site.primitive, site.kind, Counter(j))
            picked += [Assign(workspace.hit, ONE), *block]
        else:
            blocks = site.replacements(workspace)
            picked += [If(compare(j, "=", term), block) for term, block in enumerate(blocks)]
        return (If(compare(k, "=", 1), (*chosen, *picked), (count_down(k), *same)),)

    made = replaced_at(program, sites, members, workspace)
    coefficients = tuple([_coefficients(site, record, Counter(j)) for site in sites])
    weights = site_weights(made, sites, (which, j, workspace.hit), coefficients)
    finite = [c for c in coefficients if not isinstance(c, Expr)]
    most_terms = max(map(len, finite), default=0) if len(finite) == len(coefficients) else None
    noted = {name: record.names[name] for name in sorted(kept) if name in record.names}
    return Family(made, (k, j), most_terms, noted, weights)


def _coefficients(site: Site, record: Recorder, term: Counter) -> tuple[Expr, ...] | Expr:
    if not site.rule.infinite:
        return tuple([record.over(c) for c in site.coefficients]) if site.read else site.coefficients
    coefficient, _ = site.rule.entry(site.primitive, site.kind, term)
    return multiply(coefficient, record.over(site.slope))
