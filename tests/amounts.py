"""How many random examples tests look at: `make test-long` looks at ten times as many."""

from __future__ import annotations

import os

FACTOR = int(os.environ.get("QDIFF_EXAMPLES", "1"))


def examples(number: int) -> int:
    """Return how many examples a test looks at that looks at so many by default."""
    return number * FACTOR
