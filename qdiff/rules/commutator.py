"""The commutator rule: a partial swap with ancillas in a mixed state made of the generator's eigenstates.

With G/2 = λσ + const, σ a density operator, and S the swap of the gate's qubits with ancillas in the state σ,

    tr_anc[e^{-iαS} (ρ⊗σ) e^{iαS}] = cos²α ρ + sin²α σ - (i/2) sin 2α [σ, ρ],

so that the difference of α = π/4 and -π/4, times λ, is -i[G/2, ρ]. λ = tr(G/2) - d·min(G/2), or from the
largest eigenvalue with the opposite sign, whichever is smaller. Source: Fang, Ying and Wu, "Differentiable
quantum programming with unbounded loops" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.expr import Expr, Pi, divide, negate, number
from qdiff.lang.tree import Block, Flip, Gate, If, Reset
from qdiff.rules.primitive import GateKind, Kind, Primitive
from qdiff.rules.registry import register
from qdiff.rules.shifts import exact
from qdiff.rules.term import GateRule, gate_of
from qdiff.rules.workspace import Workspace

LARGEST_SUPPORT = 4  # qubits of a mixed state that is prepared eigenstate by eigenstate


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
class Commutator(GateRule):
    """Two terms: the partial swap at α = π/4 and -π/4."""

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

    def needs(self, kind: GateKind) -> str:
        if kind.record.generator is None and not kind.record.pauli:
            return "its generator is not known"
        if support(kind) > LARGEST_SUPPORT:
            return f"its mixed state has {support(kind)} qubits, more than {LARGEST_SUPPORT}"
        return ""

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        mixture = _mixture(gate_of(kind))
        if not mixture.size:
            return ()  # a phase: nothing depends on the angle
        size = exact(mixture.sign * mixture.size)
        return (size, negate(size))

    def l1(self, kind: Kind) -> float:
        return 2 * _mixture(gate_of(kind)).size

    def ancillas(self, kind: Kind) -> int:
        kind = gate_of(kind)
        m = support(kind) if _mixture(kind).size else 0
        return m + (m > 1)

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        assert isinstance(primitive, Gate)
        kind = gate_of(kind)
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
    after = [_inverse(step) for step in reversed(before)]
    return tuple(before), tuple(after), gate.targets[-1:]


def _inverse(gate: Gate) -> Gate:
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
    chance = Flip(exact(float(one.sum() / total)))
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
