"""What both kinds of observables do: move the bits of an index, and divide by a power of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]


def moved_bits(numbers: Ints, places: Sequence[int]) -> Ints:
    """Return numbers of any shape with bit i at places[i]."""
    result = np.zeros_like(numbers)
    for i, place in enumerate(places):
        result |= ((numbers >> i) & 1) << place
    return result


def divided(numbers: NDArray[Any], exponent: int) -> NDArray[Any]:
    """Return real or complex numbers / 2^exponent: exactly, unless they become too small."""
    if np.iscomplexobj(numbers):
        return np.asarray(np.ldexp(numbers.real, -exponent) + 1j * np.ldexp(numbers.imag, -exponent))
    return np.asarray(np.ldexp(numbers, -exponent))
