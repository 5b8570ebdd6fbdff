"""Arrays in the results of processes travel by files.

A process that is killed while it writes a long message to its pool leaves a part of it, and the pool waits
for the rest for ever. Short messages, up to PIPE_BUF bytes (at least 512, on Linux 4096), are written at once
or not at all. So a message holds a result without its arrays; these stand in a file, as bytes, in no format.
"""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

R = TypeVar("R")

SMALL = 1024
"""Arrays of so many bytes together may stay in the message."""


@dataclass(frozen=True)
class Filed(Generic[R]):
    """A result whose arrays are in a file.

    Attributes:
        outline: the result pickled without the content of its arrays.
        sizes: bytes of each array, in their order in the file.
    """

    outline: bytes
    sizes: tuple[int, ...]
    path: str

    def taken(self) -> R:
        """Return the result, and remove the file."""
        content = memoryview(bytearray(Path(self.path).read_bytes()))
        os.remove(self.path)
        arrays, first = [], 0
        for size in self.sizes:
            arrays.append(content[first : first + size])
            first += size
        result: R = pickle.loads(self.outline, buffers=arrays)
        return result


def filed(result: R, path: str) -> R | Filed[R]:
    """Return a result, or, when its large arrays have been written to a file, what stands for it."""
    outline = io.BytesIO()
    arrays: list[pickle.PickleBuffer] = []
    _Outliner(outline, protocol=5, buffer_callback=arrays.append).dump(result)
    contents = [array.raw() for array in arrays]
    sizes = tuple([content.nbytes for content in contents])
    if sum(sizes) <= SMALL:
        return result
    with open(path, "xb") as file:
        for content in contents:
            file.write(content)
    return Filed(outline.getvalue(), sizes, path)


class _Outliner(pickle.Pickler):
    """It leaves out the content of every array of numbers; pickle would keep that of slices."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.ndarray) and not (value.dtype.hasobject or value.flags.forc):
            return np.ascontiguousarray(value).__reduce_ex__(5)
        return NotImplemented
