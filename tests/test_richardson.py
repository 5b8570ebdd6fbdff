"""The extrapolation that references rest on."""

from __future__ import annotations

import math

import numpy as np
from helpers import assert_close
from richardson import limit


def test_even_powers_are_taken_away() -> None:
    steps = [0.5 / 2**level for level in range(4)]
    assert_close(limit([3 + 2 * h**2 - h**4 + 5 * h**6 for h in steps]), 3, tolerance=1e-14)
    assert abs(limit([3 + h for h in steps]) - 3) > 1e-3  # an odd power stays


def test_arrays_and_derivatives() -> None:
    x = np.array([0.2, 1.1])
    steps = [0.1 / 2**level for level in range(5)]
    assert_close(limit([(np.sin(x + h) - np.sin(x - h)) / (2 * h) for h in steps]), np.cos(x), 1e-13)
    assert limit([math.pi]) == math.pi
