"""What engines keep from call to call: something for each of the last few keys.

What depends on the structure of a program alone is kept by the values of its *compared* parameters: only
they decide which way a run can take.
"""

from __future__ import annotations

from typing import TypeVar

from qdiff.lang.tree import Program
from qdiff.sim.exact import Parameters

KEPT = 16
MANY = 256  # of what is small: gradients are often asked for one parameter or observable at a time

Key = TypeVar("Key")
Value = TypeVar("Value")


def compared(program: Program, row: Parameters) -> dict[str, float]:
    """Return the values of the parameters that occur in comparisons."""
    return {name: row[name] for name in program.parameters if name in program.compared}


def keep(cache: dict[Key, Value], key: Key, value: Value, most: int = KEPT) -> Value | None:
    """Put a value into a cache; return the oldest one if it had to go, else None.

    Several threads may do so at once; whoever needs the value afterwards keeps it: another may push it out.
    """
    gone = None
    if len(cache) >= most:
        oldest = next(iter(list(cache)), key)  # a list is made at once, whatever other threads do
        gone = cache.pop(oldest, None)
    cache[key] = value
    return gone
