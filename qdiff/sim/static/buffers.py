"""Arrays that calls leave for the next ones.

The operating system hands out memory in pages that are cleared one by one; on registers of 12 to 18 qubits
that took up to a quarter of a call. Arrays of moderate size are kept instead, those that were used last.
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
MOST_BYTES, MOST_ARRAYS = 32 << 20, 32
"""What a pool keeps at most."""


class BufferPool:
    """Arrays without content, for as long as a `with` statement runs; several threads may ask at once."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._kept: dict[int, Reals] = {}  # by their ids, those that were used last at the end

    @property
    def bytes(self) -> int:
        """Of what is kept."""
        return sum(array.nbytes for array in list(self._kept.values()))

    @contextmanager
    def buffer(self, shape: Shape) -> Iterator[Reals]:
        """An array of a shape, with any content."""
        found = self._taken(shape)
        if found is None:
            found = np.empty(shape, self.dtype)
        try:
            yield found
        finally:
            if found.nbytes <= LARGEST:
                self._keep(found)

    # A list of a dictionary is made at once, whatever other threads do, and so is taking out of it.

    def _taken(self, shape: Shape) -> Reals | None:
        for key, array in reversed(list(self._kept.items())):
            if array.shape == shape and self._kept.pop(key, None) is not None:
                return array
        return None

    def _keep(self, array: Reals) -> None:
        self._kept[id(array)] = array
        kept = list(self._kept)
        while kept and (len(kept) > MOST_ARRAYS or self.bytes > MOST_BYTES):
            self._kept.pop(kept.pop(0), None)
