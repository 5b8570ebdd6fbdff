"""Arrays that calls leave for the next ones.

The operating system hands out memory in pages that are cleared one by one; on registers of 12 to 18 qubits
that took up to a quarter of a call. Arrays of moderate size are kept instead, a few of each shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[Any]
Shape = tuple[int, ...]

LARGEST = 8 << 20
"""Bytes of an array that is kept; larger ones take longer to fill than to get."""
OF_A_SHAPE = 4
SHAPES = 8


class Rooms:
    """Arrays without content, for as long as a `with` statement runs; several threads may ask at once."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._left: dict[Shape, list[Reals]] = {}

    @contextmanager
    def room(self, shape: Shape) -> Iterator[Reals]:
        """An array of a shape, with any content."""
        try:
            found = self._left[shape].pop()  # at once, whatever other threads do
        except (KeyError, IndexError):
            found = np.empty(shape, self.dtype)
        try:
            yield found
        finally:
            if found.nbytes <= LARGEST and (shape in self._left or len(self._left) < SHAPES):
                kept = self._left.setdefault(shape, [])
                if len(kept) < OF_A_SHAPE:
                    kept.append(found)
