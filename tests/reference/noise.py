"""The noise channels by their definitions (docs/language.md), and how they change with p.

dephase      (1-p) ρ + p ZρZ
depolarize   (1-p) ρ + p I/2 ⊗ tr_q ρ
damp         K₀ ρ K₀† + K₁ ρ K₁†,  K₀ = diag(1, √(1-p)),  K₁ = √p |0⟩⟨1|
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference.operators import Matrix, dagger, lowering, projector, sandwiched, times


def noisy(name: str, p: Any, place: int, n: int, rho: Matrix) -> Matrix:
    """The channel on one qubit of ρ, or of a stack (..., 2ⁿ, 2ⁿ)."""
    if name == "damp":
        root = np.sqrt(1 - p)
        return _damped(1, root, place, n, rho) + p * sandwiched(lowering(place, 1, n), rho)
    return (1 - p) * rho + p * _other(name, place, n, rho)


def noise_slope(name: str, p: Any, place: int, n: int, rho: Matrix) -> Matrix:
    """d/dp of the channel on ρ."""
    if name == "damp":
        root = np.sqrt(1 - p)
        changed = _damped(0, -1 / (2 * root), place, n, rho, 1, root)  # dK₀ ρ K₀†
        return changed + dagger(changed) + sandwiched(lowering(place, 1, n), rho)
    return _other(name, place, n, rho) - rho


def _other(name: str, place: int, n: int, rho: Matrix) -> Matrix:
    """What is mixed in."""
    zero, one = (projector((place,), bit, n) for bit in (0, 1))
    match name:
        case "dephase":  # Z = |0⟩⟨0| - |1⟩⟨1|
            return sandwiched(zero - one, rho)
        case "depolarize":  # ½ Σ_ab |a⟩⟨b| ρ |b⟩⟨a|
            down, up = lowering(place, 1, n), lowering(place, 1, n).conj().T
            return (
                sandwiched(zero, rho) + sandwiched(one, rho) + sandwiched(down, rho) + sandwiched(up, rho)
            ) / 2
        case _:
            raise AssertionError(f"what is {name}?")


def _damped(first: Any, second: Any, place: int, n: int, rho: Matrix, *right: Any) -> Matrix:
    """diag(first, second) ρ diag(right)†; `right` is the same where it is left out."""
    zero, one = (projector((place,), bit, n) for bit in (0, 1))
    after, before = right or (first, second)
    left = first * times(zero, rho) + second * times(one, rho)
    turned = dagger(left)
    return dagger(after * times(zero, turned) + before * times(one, turned))
