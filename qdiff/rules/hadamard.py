"""The Hadamard test: one run with an ancilla, whose outcome multiplies the result.

For G² = I: with an ancilla A in |+>, R(a) where A = 0 and R(a + π) = -iG R(a) where A = 1, A measured at
once in the X basis. The mean of the outcome's sign times O is -(i/2)⟨[O, G]⟩, the derivative. Source: Zhu,
Hung, Chakrabarti and Wu, "On the principles of differentiable quantum programming languages", PLDI 2020.
"""

from __future__ import annotations

import numpy as np

from qdiff.lang.expr import ONE, Counter, Expr, Pi, add, multiply, negate, number
from qdiff.lang.tree import Assign, Block, Gate, Measure, Reset
from qdiff.rules.primitive import GateKind, Kind, Primitive
from qdiff.rules.registry import register
from qdiff.rules.term import GateRule
from qdiff.rules.workspace import Workspace


@register
class Hadamard(GateRule):
    """One term: the gate in a Hadamard test whose outcome multiplies the result of the run."""

    name = "hadamard"
    summary = "one term with one ancilla, measured at once, for rotations exp(-i a G/2) with G² = I"
    formula = "dE/da = z·(gate, then gate(π) where an ancilla in |+> is 1), z = ±1 the ancilla's X outcome"
    details = (
        "The ancilla is measured at once in the X basis, and its sign multiplies the result of the run. "
        "For G² = I without controls. L1 = 1, one extra qubit."
    )
    source = "Zhu, Hung, Chakrabarti and Wu (2020)"
    signed = True

    def needs(self, kind: GateKind) -> str:
        if kind.controls:
            return "it has controls, so that its generator does not square to the identity"
        # With its phases: the gate at π is -iG only where G has no multiple of the identity.
        values = np.array([0.5]) if kind.record.pauli else kind.record.spectrum / 2
        return (
            ""
            if np.allclose(np.abs(values), 0.5, rtol=0, atol=1e-12)
            else "its generator does not square to the identity"
        )

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        return (ONE,)

    def l1(self, kind: Kind) -> float:
        return 1.0

    def ancillas(self, kind: Kind) -> int:
        return 1

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        assert isinstance(primitive, Gate)
        (ancilla,) = workspace.ancillas(1)
        hit = workspace.hit
        minus = Gate(primitive.name, (Pi(),), (ancilla,), primitive.targets)
        sign = add(ONE, negate(multiply(number(2), Counter(hit))))
        return (
            (
                primitive,
                Reset(ancilla),
                Gate("H", (), (), (ancilla,)),
                minus,
                Gate("H", (), (), (ancilla,)),
                Measure(hit, (ancilla,)),
                Assign(hit, sign),
            ),
        )
