"""One record per noise channel: the single source of what a channel is.

A channel acts on one qubit and has one argument, a probability p. All of them keep the populations
apart from the coherence,

    (ρ₀₀, ρ₁₁) ← (1 + p·M) (ρ₀₀, ρ₁₁),    ρ₀₁ ← c(p) ρ₀₁,

with a constant 2×2 matrix M whose columns sum to 0, a decreasing and concave c whose derivatives are
monotonic, and Kraus operators that make the same map. Where c is affine in p the channel is a mixture
(1-p)·identity + p·𝓔₁. Source: Nielsen and Chuang, "Quantum Computation and Quantum Information", 8.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError, did_you_mean
from qdiff.lang.gates import PAULI, Matrix

Numbers: TypeAlias = NDArray[Any]  # float64, or longdouble in extended precision
Number: TypeAlias = float | np.longdouble
Factors: TypeAlias = tuple[Numbers, Numbers]  # of the populations (..., 2, 2), of the coherence (...)

LOWERED: Matrix = np.array([[0, 1], [0, 0]], dtype=complex)  # |0><1|
ROUNDED = 16  # units: the relative error of c' is less than this, a root and a quotient


@dataclass(frozen=True, eq=False)
class ChannelRecord:
    """What is known of one channel ρ → Σ_k K_k(p) ρ K_k(p)† on one qubit.

    Attributes:
        name: as written in a program.
        summary: one line for the documentation.
        moved: M, (2, 2): column b says where the population of |b> goes.
        coherences: c(p), c'(p), c''(p), as functions of 1 - p (...) in [0, 1], which is exact where p is
            close to 1; inf where it does not exist.
        operators: p (...) → Kraus operators (..., K, 2, 2). slopes: p → their derivatives, alike.
        mixture: whether c is affine in p; then every later derivative by p is 0.
    """

    name: str
    summary: str
    moved: NDArray[np.float64]
    coherences: tuple[Callable[[Numbers], Numbers], ...]
    operators: Callable[[NDArray[np.float64]], Matrix]
    slopes: Callable[[NDArray[np.float64]], Matrix]
    mixture: bool

    @property
    def qubits(self) -> int:
        """Number of qubits it acts on."""
        return 1

    def kraus(self, p: float | NDArray[np.float64]) -> Matrix:
        """Return the Kraus operators for probabilities (...) in [0, 1], complex (..., K, 2, 2)."""
        return self.operators(np.asarray(p, dtype=float))

    def kraus_slopes(self, p: float | NDArray[np.float64]) -> Matrix:
        """Return dK/dp of the Kraus operators, complex (..., K, 2, 2); not finite where it does not exist."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.slopes(np.asarray(p, dtype=float))

    def factors(self, p: Numbers, order: int = 0) -> Factors:
        """Return what populations and coherence are multiplied with, or its derivatives by p.

        Args:
            p: (...) in [0, 1], doubles or extended precision; order: of the derivative, 0, 1 or 2.

        Returns:
            (..., 2, 2) and (...); inf where the derivative does not exist.
        """
        one = np.ones_like(p)[..., None, None]
        if order == 0:
            populations = np.eye(2) * one + p[..., None, None] * self.moved
        else:
            populations = (self.moved if order == 1 else np.zeros((2, 2))) * one
        with np.errstate(divide="ignore"):
            return np.asarray(populations), np.asarray(self.coherences[order](1 - p))

    def rule(self, p: Numbers) -> tuple[Numbers, ...]:
        """Return the coefficients c_j(p) of the derivative rule d𝓔/dp = Σ_j c_j 𝓕_j, each (...).

        A mixture has (+1, 𝓔₁), (-1, identity); the others (+1, reset to |0>), and identity and Z·Z with
        (c' - 1)/2 and (-c' - 1)/2: -1/2 ∓ 1/(4√(1-p)) for `damp`.
        """
        one = np.ones_like(p)
        if self.mixture:
            return one, -one
        with np.errstate(divide="ignore"):
            slope = self.coherences[1](1 - p)
        return one, (slope - 1) / 2, (-slope - 1) / 2

    def l1(self, p: Numbers) -> Numbers:
        """Return Σ_j |c_j(p)| of the derivative rule, (...): it bounds the norm of d𝓔/dp."""
        return np.asarray(sum(np.abs(c) for c in self.rule(p)))

    def majorant(self, p: Numbers) -> Factors:
        """Return Σ_j |c_j| 𝓕_j as `factors`: a positive map above |d𝓔/dp (R)| for every R ≥ 0."""
        if self.mixture:
            populations, coherence = self.factors(np.ones_like(p))
            return populations + np.eye(2), coherence + 1
        _, same, turned = (np.abs(c) for c in self.rule(p))
        reset = np.array([[1.0, 1.0], [0.0, 0.0]])
        return np.asarray(reset + (same + turned)[..., None, None] * np.eye(2)), same - turned

    def change(self, p: Number, error: float) -> float:
        """Return a bound of the norm of 𝓔_p - 𝓔_q for all q in [0, 1] with |p - q| ≤ error."""
        if self.mixture or not error:
            return 2 * error
        kept = float(1 - p)
        if error < kept / 2:
            coherence = error * abs(float(self.coherences[1](np.array(kept / 2))))
        else:  # steep: by the values at the ends
            highest, lowest = self.coherences[0](np.array([min(kept + error, 1.0), 0.0]))
            coherence = float(highest - lowest)
        return 2 * error + coherence

    def slope_change(self, p: Number, error: float, unit: float) -> float:
        """Return a bound of the norm of d𝓔/dp as computed at p, minus d𝓔/dp at q, |p - q| ≤ error.

        Args:
            unit: the unit roundoff that it is computed with.
        """
        if self.mixture:
            return 0.0
        kept = float(1 - p)
        if not error < kept / 2:
            return math.inf
        slope = abs(float(self.coherences[1](np.array(kept))))
        return ROUNDED * unit * slope + error * abs(float(self.coherences[2](np.array(kept / 2))))

    def moves(self) -> bool:
        """Whether it moves population from one basis state to the other."""
        return bool(self.moved.any())


_RECORDS: dict[str, ChannelRecord] = {}


def register_channel(entry: ChannelRecord) -> None:
    """Add a channel to the registry; a name is given once."""
    if entry.name in _RECORDS:
        raise QdiffError(f"Channel `{entry.name}` is registered already.")
    _RECORDS[entry.name] = entry


def known_channels() -> tuple[str, ...]:
    """Names of all registered channels, in the order of the documentation."""
    return tuple(_RECORDS)


def is_channel(name: str) -> bool:
    """Whether `name` is a registered channel."""
    return name in _RECORDS


def channel_record(name: str) -> ChannelRecord:
    """Return the record of a channel.

    Raises:
        QdiffError: no such channel; the nearest name is suggested.
    """
    if name not in _RECORDS:
        raise QdiffError(f"There is no channel `{name}`. {did_you_mean(name, _RECORDS)}".rstrip())
    return _RECORDS[name]


def _weighted(*pairs: tuple[NDArray[np.float64], Matrix]) -> Matrix:
    """√w K for pairs of weights w (...) and operators K (2, 2), (..., pairs, 2, 2)."""
    return np.stack([np.sqrt(weight)[..., None, None] * operator for weight, operator in pairs], axis=-3)


def _weighted_slopes(*parts: tuple[NDArray[np.float64], float, Matrix]) -> Matrix:
    """d√w K for weights w with slopes w' and operators K, w'/(2√w) K: (..., parts, 2, 2)."""
    return np.stack(
        [(slope / (2 * np.sqrt(weight)))[..., None, None] * operator for weight, slope, operator in parts],
        axis=-3,
    )


def _damping(p: NDArray[np.float64]) -> Matrix:
    kept = np.broadcast_to(np.diag([1.0 + 0j, 0.0]), (*p.shape, 2, 2)).copy()
    kept[..., 1, 1] = np.sqrt(1 - p)
    return np.stack([kept, np.sqrt(p)[..., None, None] * LOWERED], axis=-3)


def _damping_slopes(p: NDArray[np.float64]) -> Matrix:
    kept = np.zeros((*p.shape, 2, 2), dtype=complex)
    kept[..., 1, 1] = -0.5 / np.sqrt(1 - p)
    return np.stack([kept, (0.5 / np.sqrt(p))[..., None, None] * LOWERED], axis=-3)


register_channel(
    ChannelRecord(
        "dephase",
        "Z with probability p: ρ → (1-p) ρ + p ZρZ",
        moved=np.zeros((2, 2)),
        coherences=(lambda kept: 2 * kept - 1, lambda kept: np.full_like(kept, -2), np.zeros_like),
        operators=lambda p: _weighted((1 - p, PAULI["I"]), (p, PAULI["Z"])),
        slopes=lambda p: _weighted_slopes((1 - p, -1, PAULI["I"]), (p, 1, PAULI["Z"])),
        mixture=True,
    )
)
register_channel(
    ChannelRecord(
        "depolarize",
        "lost with probability p: ρ → (1-p) ρ + p I/2 ⊗ tr_q ρ",
        moved=np.array([[-0.5, 0.5], [0.5, -0.5]]),
        coherences=(lambda kept: kept, lambda kept: np.full_like(kept, -1), np.zeros_like),
        operators=lambda p: _weighted(
            (1 - 3 * p / 4, PAULI["I"]), (p / 4, PAULI["X"]), (p / 4, PAULI["Y"]), (p / 4, PAULI["Z"])
        ),
        slopes=lambda p: _weighted_slopes(
            (1 - 3 * p / 4, -0.75, PAULI["I"]), *((p / 4, 0.25, PAULI[letter]) for letter in "XYZ")
        ),
        mixture=True,
    )
)
register_channel(
    ChannelRecord(
        "damp",
        "amplitude damping: K₀ = diag(1, √(1-p)), K₁ = √p |0><1|",
        moved=np.array([[0.0, 1.0], [0.0, -1.0]]),
        coherences=(
            np.sqrt,
            lambda kept: -0.5 / np.sqrt(kept),
            lambda kept: -0.25 / np.sqrt(kept) ** 3,
        ),
        operators=_damping,
        slopes=_damping_slopes,
        mixture=False,
    )
)
