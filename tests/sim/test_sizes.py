"""Sizes in words."""

from __future__ import annotations

import pytest

from qdiff.sim.sizes import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "0.977 KiB"), (3 << 20, "3 MiB"), (16 * 4**16, "64 GiB"),
     (48 << 40, "48 TiB"), (3 << 60, "3 EiB"), (999 << 60, "999 EiB"), (1000 << 60, "about 2^39 GiB"),
     (2**70, "about 2^40 GiB"), (2.0**70, "about 2^40 GiB"),
     (2**5000, "about 2^4970 GiB")],
)  # fmt: skip
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text
