"""Sizes of memory in words."""

from __future__ import annotations

import math

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size_text(size: float) -> str:
    """A number of bytes for people, however large: "3.2 GiB", "about 2^70 GiB"."""
    if size >= 1000 << 60:
        exponent = size.bit_length() - 1 if isinstance(size, int) else math.frexp(size)[1] - 1
        return f"about 2^{exponent - 30} GiB"
    unit = 0
    while size >= 1000:
        size, unit = size / 1024, unit + 1
    return f"{size:.3g} {UNITS[unit]}"
