"""How long vectors are, apart from what is compiled."""

from __future__ import annotations

VECTOR_BYTES = 64
LANES = VECTOR_BYTES // 8
"""Numbers of float64 in a vector."""
