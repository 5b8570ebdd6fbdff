"""Which channels of the language a map of one qubit is, whatever Kraus operators it is given by.

Its Pauli transfer matrix R_ij = tr(P_i E(P_j))/2, over 1 X Y Z, says all. A diagonal one is a mixture of
Pauli operators. One of the form

    R_XX = R_YY = c ≥ 0,    R_ZZ = λ ≥ c²,    R_Z1 = t,    else 0

is `damp(γ)`, γ = 1 - λ, that ends in |1> with probability (1 - t/γ)/2, and then `dephase(p)` with
1 - 2p = c/√λ: amplitude and phase damping, thermal relaxation. With c = λ it is a reset now and then.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.expr import number
from qdiff.lang.gates import PAULI, Matrix
from qdiff.lang.noise.channels import damp, dephase, depolarize, pauli, reset, sequence
from qdiff.lang.noise.noise_channel import NoiseChannel
from qdiff.lang.tree import Gate

Transfer: TypeAlias = NDArray[np.float64]

ROUNDING = 1e-9  # entries of two equal maps differ by less
SAME = 1e-13  # of numbers that are computed from entries
NOTHING = 1e-14  # a probability below is rounding
SIGNS = {"X": (1, -1, -1), "Y": (-1, 1, -1), "Z": (-1, -1, 1)}


def transfer(operators: Sequence[Matrix]) -> Transfer:
    """Return the Pauli transfer matrix of Kraus operators, float (4, 4)."""
    basis = list(PAULI.values())
    images = [sum(K @ P @ K.conj().T for K in operators) for P in basis]
    return np.array([[np.trace(P @ image).real / 2 for image in images] for P in basis])


def recognised(R: Transfer) -> NoiseChannel | None:
    """Return the channel with this Pauli transfer matrix, None if it is none of those above."""
    diagonal = np.diag(np.diag(R))
    if np.allclose(R, diagonal, rtol=0, atol=ROUNDING):
        return _mixture(R)
    damped = diagonal.copy()
    damped[3, 0] = R[3, 0]
    turns_alike = abs(R[1, 1] - R[2, 2]) <= ROUNDING and R[1, 1] >= -ROUNDING
    if turns_alike and np.allclose(R, damped, rtol=0, atol=ROUNDING):
        return _damping(R)
    return None


def _mixture(R: Transfer) -> NoiseChannel | None:
    """A mixture of Pauli operators: p_P = (1 + Σ_Q ±R_QQ)/4, + where P and Q commute."""
    stretched = np.diag(R)[1:]
    weights = {P: (1 + float(np.dot(signs, stretched))) / 4 for P, signs in SIGNS.items()}
    if min(weights.values()) < -ROUNDING:
        return None
    weights = {P: p for P, p in weights.items() if p > NOTHING}
    if set(weights) <= {"Z"}:
        return dephase(weights.get("Z", 0.0))
    largest, smallest = max(weights.values()), min(weights.values())
    if len(weights) == 3 and largest - smallest <= ROUNDING * largest and 4 * largest <= 1:
        return depolarize(4 * largest)
    return pauli(weights)


def _damping(R: Transfer) -> NoiseChannel | None:
    c, kept, t = max(float(R[1, 1]), 0.0), float(R[3, 3]), float(R[3, 0])
    if kept < c * c - ROUNDING or abs(t) > 1 - kept + ROUNDING:
        return None
    damped = min(1 - kept, 1.0)
    down, up = max((damped + t) / 2, 0.0), max((damped - t) / 2, 0.0)
    if abs(c - kept) <= SAME:
        return reset(down, up if up > NOTHING else 0.0)
    excited = 0.0 if up <= NOTHING else 1.0 if down <= NOTHING else up / damped
    root = math.sqrt(max(kept, 0.0))
    turned = 0.0 if root <= c else (1 - c / root) / 2
    relaxed = damp(damped, excited)
    return sequence([relaxed, dephase(turned)]) if turned > NOTHING else relaxed


def unitary_statement(matrix: Matrix, qubit: str) -> Gate:
    """Return the gate U(a, b, c) that a unitary matrix (2, 2) is, up to a phase."""
    a = 2 * math.atan2(abs(matrix[1, 0]), abs(matrix[0, 0]))
    if abs(matrix[0, 0]) < abs(matrix[1, 0]):  # b is free where the other entries vanish
        phase = cmath.phase(matrix[1, 0])
        b = 0.0 if abs(matrix[0, 0]) < ROUNDING else phase - cmath.phase(matrix[0, 0])
        c = cmath.phase(-matrix[0, 1]) - phase + b
    else:
        phase = cmath.phase(matrix[0, 0])
        b = 0.0 if abs(matrix[1, 0]) < ROUNDING else cmath.phase(matrix[1, 0]) - phase
        c = cmath.phase(matrix[1, 1]) - phase - b
    return Gate("U", (number(a), number(b), number(c)), (), (qubit,))
