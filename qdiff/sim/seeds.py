"""Numbers of shots and seeds: what is accepted, and how seeds of parts of the work are made."""

from __future__ import annotations

import operator
import secrets

import numpy as np

from qdiff.errors import QdiffError, shown

SEEDS = 2**64
"""Seeds are 0 .. SEEDS - 1."""


def checked_shots(shots: object) -> int:
    """Return `shots` as an int.

    Raises:
        QdiffError: it is no positive integer.
    """
    number = integer(shots)
    if number is None or number < 1:
        raise QdiffError(f"The number of shots must be a positive integer, got {shots!r}.")
    return number


def checked_seed(seed: object) -> int:
    """Return `seed` as an int; None draws one.

    Raises:
        QdiffError: it is no integer in 0 .. 2⁶⁴ - 1.
    """
    if seed is None:
        return secrets.randbits(53)  # any reader of JSON keeps these exactly
    number = integer(seed)
    if number is None or not 0 <= number < SEEDS:
        raise QdiffError(
            f"The seed must be an integer from 0 to 2^64 - 1, or None to draw one, got {shown(seed)}."
        )
    return number


def derived_seed(seed: int, *path: int) -> int:
    """Return the seed of a part of the work: a function of `seed` and of the part's numbers only."""
    return int(np.random.SeedSequence(seed, spawn_key=path).generate_state(1, np.uint64)[0])


def integer(value: object) -> int | None:
    """Return `value` as an int if it is an integer of any kind (a truth value is none), else None."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
