"""Rules of `flip` and of the channels: sums of outcomes or channels, one for each coefficient.

flip(p):        d/dp = (forced true) - (forced false)
mixtures:       (1-p) E0 + p E1: d/dp = E1 - E0
damp(γ):        with s = √(1-γ): d/dγ = (reset) - (1/2 + 1/4s) (nothing) - (1/2 - 1/4s) Z·Z
"""

from __future__ import annotations

from dataclasses import replace

from qdiff.lang.expr import ONE, ZERO, Call, Expr, add, divide, multiply, negate, number
from qdiff.lang.tree import Assign, Block, Channel, Gate, Reset
from qdiff.rules.primitive import ChannelKind, FlipKind, Kind, Primitive
from qdiff.rules.registry import register
from qdiff.rules.statements import NOTHING
from qdiff.rules.term import Rule
from qdiff.rules.workspace import Workspace

MINUS = negate(ONE)


@register
class ForcedFlip(Rule):
    """`flip`: both outcomes, forced."""

    name = "flip"
    summary = "two terms for flip: forced true, forced false"
    formula = "dE/dp = (forced true) - (forced false)"
    details = "L1 = 2."

    def refusal(self, kind: Kind) -> str:
        return "" if isinstance(kind, FlipKind) else "it is no `flip`"

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        return (ONE, MINUS)

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        return ((Assign(workspace.outcome, ONE),), (Assign(workspace.outcome, ZERO),))

    def l1(self, kind: Kind) -> float:
        return 2.0


@register
class Mixture(Rule):
    """Channels (1-p) E0 + p E1."""

    name = "mixture"
    summary = "two terms for channels that are a mixture: with certainty, and not at all"
    formula = "dE/dp = E1 - E0"
    details = "For `dephase` and `depolarize`. L1 = 2."

    def refusal(self, kind: Kind) -> str:
        mixed = isinstance(kind, ChannelKind) and kind.record.mixture
        return "" if mixed else "it is no mixture of two channels"

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        return (ONE, MINUS)

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        assert isinstance(primitive, Channel)
        return ((replace(primitive, probability=ONE),), NOTHING)

    def l1(self, kind: Kind) -> float:
        return 2.0


@register
class Damping(Rule):
    """`damp`, which is no mixture in γ."""

    name = "damping"
    summary = "three terms for amplitude damping: reset, nothing, Z"
    formula = "dE/dγ = (reset) - (1/2 + 1/4s)·(nothing) - (1/2 - 1/4s)·(Z), s = √(1-γ)"
    details = "L1 = 2 for s ≥ 1/2, else 1 + 1/2s; there is no derivative at γ = 1."

    def refusal(self, kind: Kind) -> str:
        return "" if isinstance(kind, ChannelKind) and kind.name == "damp" else "it is no amplitude damping"

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        root = Call("sqrt", add(ONE, negate(argument)))
        part = divide(ONE, multiply(number(4), root))
        half = divide(ONE, number(2))
        return (ONE, negate(add(half, part)), add(part, negate(half)))

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        assert isinstance(primitive, Channel)
        (qubit,) = primitive.qubits
        return ((Reset(qubit),), NOTHING, (Gate("Z", (), (), (qubit,)),))

    def l1(self, kind: Kind) -> float:
        return 2.0

    def size(self, kind: Kind) -> int:
        return 3
