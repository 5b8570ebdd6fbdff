"""How many random examples tests look at: `make test-long` looks at more than ten times as many."""

from __future__ import annotations

import os

FACTOR = float(os.environ.get("QDIFF_EXAMPLES", "0.7"))


def examples(number: int) -> int:
    """Return how many examples a test looks at: `number` times the factor asked for."""
    return max(2, round(number * FACTOR))
