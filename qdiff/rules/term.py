"""A rule: what runs in place of a primitive, and with which coefficients.

    d/da E_a = Σ_j c_j F_j

Each *term* j is a coefficient c_j and a block of statements F_j that any backend can run. Where the
derivative is a difference of outcomes within one run, the block leaves ±1 in a counter, by which the
result of the run is multiplied (`signed`). A rule is asked for terms only at kinds that it does not refuse.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from qdiff.lang.expr import ONE, Expr
from qdiff.lang.tree import Assign, Block
from qdiff.rules.primitive import GateKind, Kind, Primitive
from qdiff.rules.workspace import Workspace


@dataclass(frozen=True)
class Term:
    """One term of a rule at one primitive.

    Attributes:
        coefficient: c_j; a number, or an expression of the primitive's argument.
        block: what runs in place of the primitive; () is nothing at all.
        signed: the block leaves +1 or -1 in the counter `Workspace.hit`.
    """

    coefficient: Expr
    block: Block
    signed: bool = False

    def marked(self, workspace: Workspace) -> Block:
        """Return what runs in place of the primitive: after it `Workspace.hit` is the sign, 1 without one."""
        return self.block if self.signed else (Assign(workspace.hit, ONE), *self.block)


class Rule(ABC):
    """One way to differentiate some kinds of primitives; docs/rules.md is made of what it says of itself.

    Attributes:
        name: as `qd.differentiate` takes it.
        summary: what it is, in a line.
        formula: of dE/da.
        details: when it applies, L1, further qubits.
        source: who found it, "" where it is plain.
        infinite: it has a term for every integer j, and no list of them.
        signed: its blocks leave ±1 in the counter `Workspace.hit`.
    """

    name: str
    summary: str
    formula: str
    details: str
    source: str = ""
    infinite = False
    signed = False

    def __str__(self) -> str:
        return f"{self.name}: {self.formula}"

    def __repr__(self) -> str:
        return f"<rule {self}>"

    @abstractmethod
    def refusal(self, kind: Kind) -> str:
        """Return why the rule does not apply to a kind; "" where it does."""

    @abstractmethod
    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        """Return c_j of all terms for a primitive with this argument."""

    @abstractmethod
    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        """Return F_j of all terms, in the order of the coefficients."""

    def entry(self, primitive: Primitive, kind: Kind, j: Expr) -> tuple[Expr, Block]:
        """Return c_j and F_j of an infinite rule as functions of j, which may be a counter."""
        raise AssertionError(f"the terms of the rule {self.name} are a list")

    @abstractmethod
    def l1(self, kind: Kind) -> float:
        """Return Σ_j |c_j| in units of 1/a, a in radians or a probability, without the factor ∂a/∂θ.

        Where the coefficients depend on the argument it is the infimum over all arguments.
        """

    def ancillas(self, kind: Kind) -> int:
        """Return the number of qubits that the terms need besides the primitive's own."""
        return 0

    def size(self, kind: Kind) -> int:
        """Return the number of terms."""
        return len(self.coefficients(kind, ONE))

    def second(
        self, primitive: Primitive, kind: Kind, argument: Expr, workspace: Workspace
    ) -> tuple[Term, ...] | None:
        """Return the terms of d²E_a/da² if the rule has fewer than applied to its own terms, else None."""
        return None

    def terms(
        self, primitive: Primitive, kind: Kind, argument: Expr, workspace: Workspace
    ) -> tuple[Term, ...]:
        """Return all terms at one primitive."""
        pairs = zip(self.coefficients(kind, argument), self.blocks(primitive, kind, workspace), strict=True)
        return tuple([Term(c, block, self.signed) for c, block in pairs])


class GateRule(Rule):
    """A rule for gates with one angle.

    Attributes:
        varying: it is for gates whose generator depends on the angle, and for no others.
    """

    varying = False

    def refusal(self, kind: Kind) -> str:
        if not isinstance(kind, GateKind):
            return "it is no gate"
        if (kind.record.drift is not None) != self.varying:
            return f"its generator {'does not depend' if self.varying else 'depends'} on the angle"
        return self.needs(kind)

    @abstractmethod
    def needs(self, kind: GateKind) -> str:
        """Return what is missing for the rule to apply to a gate; "" if nothing is."""


def gate_of(kind: Kind) -> GateKind:
    """Return the kind that a rule for gates is asked about."""
    assert isinstance(kind, GateKind), "other kinds are refused"
    return kind
