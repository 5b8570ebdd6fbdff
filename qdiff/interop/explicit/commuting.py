"""Sums of Pauli words whose exponential is the product of those of the words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from qdiff.lang.tree import PauliTerm


def commuting(terms: Sequence[PauliTerm]) -> bool:
    """Whether all Pauli words commute: an even number of places where they have different letters."""
    return all(
        sum(a != b and "I" not in (a, b) for a, b in zip(one, other, strict=True)) % 2 == 0
        for (_, one), (_, other) in combinations(terms, 2)
    )
