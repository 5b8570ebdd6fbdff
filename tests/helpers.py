"""What the tests share: the one tolerance by which numbers are called equal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

TOLERANCE = 1e-8


def assert_close(actual: object, expected: object, tolerance: float = TOLERANCE) -> None:
    """Assert |actual - expected| <= tolerance * max(1, |expected|), entry by entry.

    Args:
        actual, expected: numbers, arrays of one shape, or mappings with the same keys to either.
    """
    if isinstance(expected, Mapping):
        assert isinstance(actual, Mapping), f"expected a mapping, got {actual!r}"
        assert set(actual) == set(expected), f"keys {sorted(actual)} instead of {sorted(expected)}"
        for key, entry in expected.items():
            try:
                assert_close(actual[key], entry, tolerance)
            except AssertionError as error:
                raise AssertionError(f"at {key!r}: {error}") from None
        return
    a, e = _numbers(actual), _numbers(expected)
    assert a.shape == e.shape, f"shape {a.shape} instead of {e.shape}"
    finite = np.isfinite(a).all() and np.isfinite(e).all()
    assert finite, f"{actual} or {expected} is not finite"
    excess = np.abs(a - e) / np.maximum(1, np.abs(e))
    assert np.all(excess <= tolerance), f"{actual} is not close to {expected}: off by {np.max(excess):.3g}"


def _numbers(value: object) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    like: ArrayLike = value  # type: ignore[assignment]
    return np.asarray(like, dtype=complex)
