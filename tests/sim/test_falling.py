"""Masses that fall geometrically, like a power, late, and not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qdiff.sim.falling import Fall, fall


@pytest.mark.parametrize(
    ("mass", "found"),
    [
        (lambda n: 0.99**n, Fall.FAST),
        (lambda n: 0.9 ** (n**0.5), Fall.FAST),  # a store more at every pass
        (lambda n: n**-1.5, Fall.SLOW),
        (lambda n: 0.3, Fall.SLOW),
        (lambda n: 1.0, Fall.UNTOUCHED),
        (lambda n: 1 - 1e-10, Fall.UNTOUCHED),
        (lambda n: 0.0, Fall.FAST),
    ],
)
def test_how_a_mass_falls(mass: Callable[[int], float], found: Fall) -> None:
    assert fall(mass(1024), mass(512), 1.3) is found


def test_what_can_never_end_is_no_reason_to_wait_for() -> None:
    assert fall(0.6, 1.0, 1.1, ceiling=0.6) is Fall.UNTOUCHED
    assert fall(0.5, 0.5, 1.1, ceiling=0.6) is Fall.SLOW
