"""What engines keep from call to call: something for each of the last few keys.

What depends on the structure of a program alone is kept by the values of its *compared* parameters: only
they decide which way a run can take.
"""

from __future__ import annotations

from typing import TypeVar

from qdiff.lang.tree import Program
from qdiff.sim.exact import Parameters

KEPT = 16

Key = TypeVar("Key")
Value = TypeVar("Value")


def compared(program: Program, row: Parameters) -> dict[str, float]:
    """Return the values of the parameters that occur in comparisons."""
    return {name: row[name] for name in program.parameters if name in program.compared}


def keep(cache: dict[Key, Value], key: Key, value: Value) -> Value | None:
    """Put a value into a cache; return the oldest one if it had to go, else None."""
    gone = cache.pop(next(iter(cache))) if len(cache) >= KEPT else None
    cache[key] = value
    return gone
