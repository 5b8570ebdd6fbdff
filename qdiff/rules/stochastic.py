"""The rule of gates exp(-i(aG/2 + B)) with two generators: shifts in the middle of the evolution.

With H = aG/2 + B, G = Σ_l g_l P_l, and E^s the channel of e^{-isH},

    d/da E_a = Σ_l g_l ∫₀¹ ds Σ_j c_j E^s ∘ R_{P_l}(x_j) ∘ E^{1-s},

(c_j, x_j) the shift rule of the Pauli rotation at angle 0. The integral is a Gauss-Legendre list, accurate
to 1e-13 for angles within ±2π; L1 = Σ_l |g_l| where there is no control. Source: Banchi and Crooks,
"Measuring analytic gradients of general quantum evolution with the stochastic parameter shift rule" (2021).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.declared_gates import pauli_terms
from qdiff.lang.expr import ZERO, Call, Expr, Pi, divide, multiply, negate, number
from qdiff.lang.tree import Block, Gate, GateDeclaration, PauliTerm
from qdiff.rules import shifts
from qdiff.rules.primitive import GateKind, Kind, Primitive
from qdiff.rules.registry import register
from qdiff.rules.shifts import Table
from qdiff.rules.term import GateRule, gate_of
from qdiff.rules.workspace import Workspace

LARGEST_ANGLE = 2 * math.pi
ACCURACY = 1e-14


@register
class Stochastic(GateRule):
    """Gates whose generator depends on the angle."""

    name = "stochastic"
    summary = (
        "for exp(-i(aG/2 + B)), a within ±2π: a list of points on the way, each with the shifts of a Pauli "
        "rotation"
    )
    formula = "dE/da = Σ_l g_l Σ_i w_i Σ_j c_j E^{s_i} ∘ R_l(x_j) ∘ E^{1-s_i}"
    details = (
        "With G = Σ_l g_l P_l the gate is run a part of the way, the Pauli rotation of the term l by a "
        "shift, and the gate the rest of the way; the integral over the way is a Gauss–Legendre list "
        "accurate to 1e-13 for angles within ±2π. For others its coefficients have no value (the factor "
        "`exp(0*acos(a/(2*pi)))`), which is an error. L1 = Σ|g_l| without controls."
    )
    source = "Banchi and Crooks (2021)"
    varying = True

    def needs(self, kind: GateKind) -> str:
        return ""

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        kind = gate_of(kind)
        _, weights = nodes(_spread(kind))
        within = _within_range(argument)
        return tuple(
            [
                multiply(number(coefficient * weight), shift.coefficient, within)
                for coefficient, word in _words(kind)
                for weight in weights.tolist()
                for shift in _table(kind, word)
            ]
        )

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        kind = gate_of(kind)
        assert isinstance(primitive, Gate)
        points, _ = nodes(_spread(kind))
        parts = [workspace.gate(_part(kind, s, i)) for i, s in enumerate(points.tolist(), 1)]
        out: list[Block] = []
        for _, word in _words(kind):
            for i, name in enumerate(parts):
                # Gauss-Legendre points are symmetric: 1 - s is the point at the other end of the list.
                before = _named(primitive, parts[-1 - i])
                after = _named(primitive, name)
                out += [(before, _rotation(primitive, word, shift.by), after) for shift in _table(kind, word)]
        return tuple(out)

    def l1(self, kind: Kind) -> float:
        kind = gate_of(kind)
        return math.fsum(abs(g) * shifts.l1(_table(kind, word)) for g, word in _words(kind))


def _within_range(argument: Expr) -> Expr:
    """1 for angles within ±2π, without a value beyond: an error, where the list is no longer accurate."""
    share = divide(argument, multiply(number(2), Pi()))
    return Call("exp", multiply(ZERO, Call("acos", share)))


@cache
def nodes(spread: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points in (0, 1) and weights that integrate e^{iωs} to 1e-14 for |ω| ≤ spread."""
    omega = np.linspace(0, spread, 65)
    truth = np.exp(0.5j * omega) * np.sinc(omega / (2 * np.pi))
    count = 2
    while True:
        points, weights = np.polynomial.legendre.leggauss(count)
        points, weights = (points + 1) / 2, weights / 2
        if np.abs(np.exp(1j * np.outer(omega, points)) @ weights - truth).max() <= ACCURACY * max(
            1, count / 8
        ):
            return points, weights
        count += 1


def _spread(kind: GateKind) -> float:
    """The largest frequency along the way: both evolutions together turn phases no faster."""
    assert kind.record.generator is not None
    assert kind.record.drift is not None
    largest = sum(
        scale * float(np.ptp(np.append(np.linalg.eigvalsh(matrix), [0.0] * bool(kind.controls))))
        for scale, matrix in ((LARGEST_ANGLE / 2, kind.record.generator), (1.0, kind.record.drift))
    )
    return 2 * largest


def _words(kind: GateKind) -> list[PauliTerm]:
    """The Pauli words of G that act: a multiple of the identity does where there are controls."""
    assert kind.record.generator is not None
    words = pauli_terms(kind.record.generator)
    return [(g, word) for g, word in words if kind.controls or set(word) != {"I"}]


def _table(kind: GateKind, word: str) -> Table:
    """The shifts of the rotation about a word: a phase exp(-i x/2) where a word is the identity."""
    if set(word) == {"I"}:
        return shifts.two_term(0.5)
    return shifts.equidistant(0.5, 2) if kind.controls else shifts.two_term(1.0)


def _rotation(gate: Gate, word: str, angle: Expr) -> Gate:
    acting = [(letter, qubit) for letter, qubit in zip(word, gate.targets, strict=True) if letter != "I"]
    if not acting:
        # exp(-i x/2) where all controls are 1.
        *controls, target = gate.controls
        return Gate("P", (multiply(negate(angle), number(0.5)),), tuple(controls), (target,))
    letters = "".join(letter for letter, _ in acting)
    single = {"X": "Rx", "Y": "Ry", "Z": "Rz"}
    name = single.get(letters, f"R_{letters}")
    return Gate(name, (angle,), gate.controls, tuple(qubit for _, qubit in acting))


def _named(gate: Gate, name: str) -> Gate:
    return Gate(name, gate.angles, gate.controls, gate.targets)


def _part(kind: GateKind, share: float, index: int) -> GateDeclaration:
    """The gate that goes a share of the way: exp(-i·share·(aG/2 + B))."""
    assert kind.record.generator is not None
    assert kind.record.drift is not None

    def scaled(matrix: NDArray[np.complex128]) -> tuple[PauliTerm, ...]:
        return tuple([(share * value, word) for value, word in pauli_terms(matrix)])

    qubits = tuple(f"x{i}" for i in range(kind.record.targets))
    return GateDeclaration(
        f"{kind.record.name}_part{index}",
        "a",
        qubits,
        scaled(kind.record.generator),
        scaled(kind.record.drift),
    )
