"""Rules that need further qubits: the Hadamard test and the commutator (partial swap).

Hadamard test (Zhu, Hung, Chakrabarti and Wu, 2020), for G² = I: with an ancilla A in |+>, R(a) where
A = 0 and R(a + π) = -iG R(a) where A = 1, A measured at once in the X basis: the mean of the outcome's
sign times O is -(i/2)⟨[O, G]⟩, the derivative.

Commutator (Fang, Ying and Wu, 2023): with G/2 = λσ + const, σ a density operator, and S the swap of the
gate's qubits with ancillas in the state σ,

    tr_anc[e^{-iαS} (ρ⊗σ) e^{iαS}] = cos²α ρ + sin²α σ - (i/2) sin 2α [σ, ρ],

so that the difference of α = π/4 and -π/4, times λ, is -i[G/2, ρ]. λ = tr(G/2) - d·min(G/2), or from the
largest eigenvalue with the opposite sign, whichever is smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.expr import ONE, Counter, Expr, Pi, add, divide, multiply, negate, number
from qdiff.lang.tree import Assign, Block, Flip, Gate, If, Measure, Reset
from qdiff.rules.primitive import GateKind, Kind, Primitive
from qdiff.rules.registry import register
from qdiff.rules.shifts import fraction_or_float
from qdiff.rules.term import Rule
from qdiff.rules.workspace import Workspace

LARGEST_SUPPORT = 4  # qubits of a mixed state that is prepared eigenstate by eigenstate
NO_GATE = "it is no gate"
VARYING = "its generator depends on the angle"


@register
class Hadamard(Rule):
    """One term: the gate in a Hadamard test whose outcome multiplies the result of the run."""

    name = "hadamard"
    summary = "one term with one ancilla, measured at once, for rotations exp(-i a G/2) with G² = I"
    formula = "dE/da = z·(gate, then gate(π) where an ancilla in |+> is 1), z = ±1 the ancilla's X outcome"
    details = (
        "The ancilla is measured at once in the X basis, and its sign multiplies the result of the run. "
        "For G² = I without controls. L1 = 1, one extra qubit."
    )
    source = "Zhu, Hung, Chakrabarti and Wu (2020)"

    def refusal(self, kind: Kind) -> str:
        if not isinstance(kind, GateKind):
            return NO_GATE
        if kind.record.drift is not None:
            return VARYING
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

    @property
    def signed(self) -> bool:
        return True

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
                _gate("H", ancilla),
                minus,
                _gate("H", ancilla),
                Measure(hit, (ancilla,)),
                Assign(hit, sign),
            ),
        )


@dataclass(frozen=True, eq=False)
class _Mixture:
    """G/2 = ±λσ + const on some of the gate's qubits.

    Attributes:
        sign: the sign in front of λσ.
        size: λ.
        weights: of σ in a basis of eigenvectors, (2^m,), first qubit least significant.
        vectors: the eigenvectors as columns of a unitary on the targets, None for the basis states.
    """

    sign: int
    size: float
    weights: NDArray[np.float64]
    vectors: NDArray[np.complex128] | None


@register
class Commutator(Rule):
    """Two terms: a partial swap with ancillas in a mixed state made of the generator's eigenstates."""

    name = "commutator"
    summary = "two terms with as many ancillas as the gate's support, for every generator"
    formula = "dE/da = λ/sin 2α [gate after e^{-iα SWAP} - gate after e^{+iα SWAP}], α = π/4, ancillas in σ"
    details = (
        "The mixed state is σ = (G/2 - g_min)/λ, λ = tr(G/2) - d·g_min, or from the largest eigenvalue "
        f"with the opposite sign, whichever λ is smaller. For every generator of up to {LARGEST_SUPPORT} "
        "qubits, controls included; a Pauli string is first brought to one qubit. L1 = 2λ; as many extra "
        "qubits as the support of G, and one more beyond one."
    )
    source = "Fang, Ying and Wu (2023)"

    def refusal(self, kind: Kind) -> str:
        if not isinstance(kind, GateKind):
            return NO_GATE
        if kind.record.drift is not None:
            return VARYING
        if kind.record.generator is None and not kind.record.pauli:
            return "its generator is not known"
        if support(kind) > LARGEST_SUPPORT:
            return f"its mixed state has {support(kind)} qubits, more than {LARGEST_SUPPORT}"
        return ""

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        assert isinstance(kind, GateKind)
        mixture = _mixture(kind)
        if not mixture.size:
            return ()  # a phase: nothing depends on the angle
        size = _exact(mixture.sign * mixture.size)
        return (size, negate(size))

    def l1(self, kind: Kind) -> float:
        assert isinstance(kind, GateKind)
        return 2 * _mixture(kind).size

    def ancillas(self, kind: Kind) -> int:
        assert isinstance(kind, GateKind)
        m = support(kind) if _mixture(kind).size else 0
        return m + (m > 1)

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        assert isinstance(primitive, Gate)
        assert isinstance(kind, GateKind)
        mixture = _mixture(kind)
        if not mixture.size:
            return ()
        ancillas = workspace.ancillas(self.ancillas(kind))
        m = support(kind)
        before, after, last = _to_z(primitive, kind)
        qubits = (*primitive.controls, *last)
        prepare: Block = (
            *(Reset(qubit) for qubit in ancillas),
            *_drawn(ancillas[:m], mixture.weights),
        )
        if mixture.vectors is not None:
            name = workspace.unitary(f"{primitive.name}_eigenstates", mixture.vectors)
            prepare = (*prepare, Gate(name, (), (), ancillas[m - kind.record.targets : m]))
        return tuple(
            [
                (*prepare, *before, *_partial_swap(qubits, ancillas, sign), *after, primitive)
                for sign in (1, -1)
            ]
        )


def support(kind: GateKind) -> int:
    """Return the number of qubits of σ: a Pauli string is brought to one qubit first."""
    return kind.controls + (1 if kind.record.pauli else kind.record.targets)


def _mixture(kind: GateKind) -> _Mixture:
    if kind.record.pauli:
        values, vectors = np.array([0.5, -0.5]), None
    else:
        assert kind.record.generator is not None
        generator = kind.record.generator / 2
        if np.count_nonzero(generator - np.diag(np.diag(generator))):
            values, vectors = np.linalg.eigh(generator)
        else:
            values, vectors = np.diag(generator).real.copy(), None
    every = np.zeros(len(values) << kind.controls)
    every[(np.arange(len(values)) << kind.controls) | ((1 << kind.controls) - 1)] = values
    below, above = every - every.min(), every.max() - every
    sign, weights = (1, below) if below.sum() <= above.sum() else (-1, above)
    size = float(weights.sum())
    return _Mixture(sign, size, weights / size if size else weights, vectors)


def _to_z(gate: Gate, kind: GateKind) -> tuple[Block, Block, tuple[str, ...]]:
    """Gates that turn a Pauli string into Z on its last qubit, their inverse, and the qubits σ acts on."""
    if not kind.record.pauli:
        return (), (), gate.targets
    before: list[Gate] = []
    for letter, qubit in zip(kind.record.pauli, gate.targets, strict=True):
        before += [_gate("Sdg", qubit)] * (letter == "Y") + [_gate("H", qubit)] * (letter in "XY")
    before += [Gate("X", (), (one,), (other,)) for one, other in pairwise(gate.targets)]
    after = [replace_inverse(step) for step in reversed(before)]
    return tuple(before), tuple(after), gate.targets[-1:]


def replace_inverse(gate: Gate) -> Gate:
    """The inverse of one of the gates H, Sdg, CNOT."""
    return _gate("S", *gate.targets) if gate.name == "Sdg" else gate


def _drawn(qubits: tuple[str, ...], weights: NDArray[np.float64]) -> Block:
    """Statements that turn |0…0> into the basis state b with probability weights[b] / Σ weights."""
    if not qubits:
        return ()
    total = weights.sum()
    if total == 0:
        return ()
    last, half = qubits[-1], len(weights) // 2
    zero, one = weights[:half], weights[half:]
    if one.sum() == 0:
        return _drawn(qubits[:-1], zero)
    flip_it: Block = (_gate("X", last),)
    if zero.sum() == 0:
        return (*flip_it, *_drawn(qubits[:-1], one))
    chance = Flip(_exact(float(one.sum() / total)))
    if np.allclose(zero / zero.sum(), one / one.sum(), rtol=0, atol=1e-15):
        return (If(chance, flip_it), *_drawn(qubits[:-1], zero))
    return (If(chance, (*flip_it, *_drawn(qubits[:-1], one)), _drawn(qubits[:-1], zero)),)


def _partial_swap(qubits: tuple[str, ...], ancillas: tuple[str, ...], sign: int) -> Block:
    """e^{-iα S} for sign +1, e^{+iα S} for -1; α = π/4, S the swap of `qubits` with the first ancillas."""
    quarter = divide(Pi(), number(4))
    angle = quarter if sign > 0 else negate(quarter)
    if len(qubits) == 1:
        # The swap is (I + XX + YY + ZZ)/2.
        pair = (qubits[0], ancillas[0])
        return tuple(Gate(name, (angle,), (), pair) for name in ("Rxx", "Ryy", "Rzz"))
    # In the Bell basis the swap of a pair is -1 where both are 1: the parity of those goes to an ancilla.
    parity = ancillas[len(qubits)]
    to_bell: list[Gate] = []
    for qubit, ancilla in zip(qubits, ancillas, strict=False):
        to_bell += [Gate("X", (), (qubit,), (ancilla,)), _gate("H", qubit)]
    marks = [Gate("X", (), (q, a), (parity,)) for q, a in zip(qubits, ancillas, strict=False)]
    half = divide(Pi(), number(2))
    turn = Gate("Rz", (half if sign > 0 else negate(half),), (), (parity,))
    return (*to_bell, *marks, turn, *reversed(marks), *reversed(to_bell))


def _gate(name: str, *targets: str) -> Gate:
    return Gate(name, (), (), targets)


def _exact(value: float) -> Expr:
    found = fraction_or_float(value)
    if isinstance(found, float):
        return number(found)
    top = number(found.numerator)
    return top if found.denominator == 1 else divide(top, number(found.denominator))
