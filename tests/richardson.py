"""Limits from values at halved steps whose errors have even powers of the step (Richardson, 1911)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any


def limit(values: Sequence[Any]) -> Any:
    """Return the limit of v(h), v(h/2), v(h/4), …: numbers, arrays of one shape."""
    table = list(values)
    for order in range(1, len(table)):
        table = [finer + (finer - coarser) / (4**order - 1) for coarser, finer in pairwise(table)]
    return table[0]
