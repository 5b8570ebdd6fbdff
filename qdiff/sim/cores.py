"""How many threads: as many as there are cores, or as many as are asked for."""

from __future__ import annotations

import os

from qdiff.errors import QdiffError
from qdiff.sim.seeds import integer


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def checked_threads(threads: object) -> int:
    """Return the number of threads; None is one for each core.

    Raises:
        QdiffError: no whole number from 1 to the number of cores.
    """
    if threads is None:
        return cores()
    number = integer(threads)
    if number is None or not 1 <= number <= cores():
        raise QdiffError(
            f"The number of threads is an integer from 1 to the {cores()} cores here, got {threads!r}."
        )
    return number
