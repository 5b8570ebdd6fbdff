"""What this machine can do on one thread: bytes copied, and multiply-adds of float64, a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

REPEAT = 15
MATRIX = 256  # rows: three such matrices stay in the second cache


def copy_rate(size: int) -> float:
    """Bytes a second, read and written together, of copying an array of so many bytes."""
    source, target = np.ones(size // 8), np.zeros(size // 8)
    return 2 * source.nbytes / least(lambda: np.copyto(target, source))


def multiply_adds() -> float:
    """Multiply-adds of float64 a second, by the product of two matrices, on as many threads as BLAS has."""
    left, right, out = (np.full((MATRIX, MATRIX), 0.5) for _ in range(3))
    return MATRIX**3 / least(lambda: np.matmul(left, right, out=out))


def least(action: Callable[[], object]) -> float:
    """The least time of an action."""
    times = []
    for _ in range(REPEAT):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return min(times)
