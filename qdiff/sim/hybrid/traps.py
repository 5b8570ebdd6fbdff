"""Traps: the part of a loop's space that never leaves it.

With 𝓔 one sweep through a loop and e = I - 𝓔†(I) the chance of leaving it in that sweep, what leaves at
all is the smallest space that contains the support of e and is closed under 𝓔†; its complement is the
trap, which 𝓔 maps into itself. Observables pulled back through the loop vanish on the trap (the minimal
solution of A = b + 𝓔†(A)), and only the rest of the state counts, Σ 𝓔ⁿ of which converges: the part
outside the trap, and its coherences with the trap.

A trap that exists only at special parameters (a rotation by 0 inside a loop) makes f jump or bend
there. If runs are caught in it, or a derivative enters it, there is no derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid.coordinates import Reals, decode, encode, identity

SUPPORT = 1e-13  # eigenvalues up to this times the dimension are rounding


@dataclass(frozen=True, eq=False)
class Leaving:
    """The part of a loop's space that leaves it.

    Attributes:
        projectors: onto it, at every head, (P, heads, D, D).
        ranks: its dimension, heads added up, (P,).
    """

    projectors: NDArray[np.complex128]
    ranks: NDArray[np.int64]

    @property
    def everything(self) -> bool:
        """Whether there is no trap."""
        heads, dimension = self.projectors.shape[1:3]
        return bool((self.ranks == heads * dimension).all())

    def project(self, y: Reals) -> Reals:
        """Return X - (1-Π) X (1-Π) at every head, for coordinates (P, C, heads·D²).

        Coherences with the trap stay: they die out, and a trap that turns with a parameter needs them
        for its derivative.
        """
        return y - self.rest(y)

    def rest(self, y: Reals) -> Reals:
        """Return (1-Π) X (1-Π) at every head: the part in the trap."""
        return _both_sides(np.eye(self.projectors.shape[-1]) - self.projectors, y)


def _both_sides(projectors: NDArray[np.complex128], y: Reals) -> Reals:
    heads, dimension = projectors.shape[1:3]
    x = decode(y.reshape(*y.shape[:2], heads, dimension**2), dimension)
    onto = projectors[:, None]
    return encode(onto @ x @ onto).reshape(y.shape)


def leaving_spaces(pull_back: Callable[[Reals], Reals], heads: int, dimension: int, rows: int) -> Leaving:
    """Return what leaves a loop.

    Args:
        pull_back: 𝓔† on coordinates (P, C, heads·D²).
    """
    one = np.broadcast_to(np.tile(identity(dimension), heads), (rows, 1, heads * dimension**2))

    def matrices(y: Reals) -> NDArray[np.complex128]:
        return decode(y.reshape(rows, heads, dimension**2), dimension)

    projectors, ranks = _support(matrices(one - pull_back(one)), dimension)
    while True:
        y = encode(projectors).reshape(rows, 1, -1)
        wider, wider_ranks = _support(matrices(y + pull_back(y)), dimension)
        if (wider_ranks <= ranks).all():
            return Leaving(projectors, ranks)
        projectors, ranks = wider, wider_ranks


def _support(x: NDArray[np.complex128], dimension: int) -> tuple[NDArray[np.complex128], NDArray[np.int64]]:
    """Projectors on the supports of positive matrices (P, heads, D, D), and their ranks, (P,)."""
    values, vectors = np.linalg.eigh(x)
    kept = values > SUPPORT * dimension
    inside = vectors * kept[..., None, :]
    ranks = kept.sum(axis=(1, 2))
    return inside @ vectors.conj().swapaxes(-1, -2), ranks
