"""Where the matrices of a trace are known to be zero.

After a measurement with one outcome, or a reset, a state occupies part of the basis only; a run of
gates need then be multiplied on that part. What a pulled-back observable is elsewhere, the next
operation back discards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.channels import Channel
from qdiff.sim.hybrid.traces import Op, ResetMap

Ints = NDArray[np.int64]
WORTHWHILE = 0.6  # of the basis: a part that is larger saves nothing


def occupied(
    ops: Sequence[Op],
    masks: Sequence[NDArray[np.float64]],
    resets: dict[int, ResetMap],
    dimension: int,
    channels: Sequence[Channel] = (),
) -> list[Ints | None]:
    """Return for every operation the basis states that its source register may occupy; None is all.

    Only runs of gates get an entry, and only where it saves work.
    """
    everything = np.ones(dimension, dtype=bool)
    registers = {0: everything}
    result: list[Ints | None] = []
    for code, src, dst, arg in ops:
        here = registers[src]
        found: Ints | None = None
        if code == traces.UNITARY:
            if here.sum() <= WORTHWHILE * dimension:
                found = np.flatnonzero(here)
            registers[src] = everything
        elif code == traces.MASK:
            registers[dst] = here & (np.diagonal(masks[arg]) > 0)
        elif code == traces.RESET:
            kept = np.zeros(dimension, dtype=bool)
            kept[resets[arg].kept] = True
            registers[src] = kept
        elif code == traces.CHANNEL:
            channel = channels[arg]
            if channel.record.moves():
                registers[src] = here | here[np.arange(dimension) ^ (1 << channel.qubit)]
        elif code in traces.BRANCHES:
            registers[dst] = here
        result.append(found)
    return result


def useless(ops: Sequence[Op], wanted: Sequence[bool]) -> frozenset[int]:
    """Return the operations that lead to no wanted leaf."""
    needed: dict[int, bool] = {}
    found: list[int] = []
    for i in range(len(ops) - 1, -1, -1):
        code, src, dst, arg = ops[i]
        if code == traces.LEAF:
            needed[src] = wanted[arg]
        elif code == traces.END:
            needed[src] = False
        elif code in traces.BRANCHES:
            needed[src] = needed[src] or needed[dst]
        if not needed[dst if code in traces.BRANCHES else src]:
            found.append(i)
    return frozenset(found)
