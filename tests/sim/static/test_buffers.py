"""Arrays that are kept from call to call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from qdiff.sim.static.buffers import LARGEST, MOST_ARRAYS, MOST_BYTES, BufferPool


def left(pool: BufferPool, shape: tuple[int, ...]) -> int:
    """Where the array is in memory that a call leaves."""
    with pool.buffer(shape) as array:
        assert array.shape == shape
        return array.ctypes.data


def test_an_array_is_used_again() -> None:
    pool = BufferPool(np.dtype(np.float32))
    first = left(pool, (3, 5))
    assert pool.bytes == 60
    assert left(pool, (3, 5)) == first
    left(pool, (5, 3))
    assert pool.bytes == 120
    with pool.buffer((3, 5)) as one, pool.buffer((3, 5)) as other:
        assert not np.may_share_memory(one, other)
        assert one.dtype == np.float32
        assert pool.bytes == 60  # those in use are not kept
    assert pool.bytes == 180


def test_large_arrays_are_not_kept() -> None:
    pool = BufferPool(np.dtype(np.float64))
    left(pool, (LARGEST // 8 + 1,))
    assert pool.bytes == 0
    left(pool, (LARGEST // 8,))
    assert pool.bytes == LARGEST


def test_the_oldest_go() -> None:
    pool = BufferPool(np.dtype(np.float64))
    for i in range(8):
        left(pool, (LARGEST // 16 + i,))
        assert pool.bytes <= MOST_BYTES
    assert pool.bytes > MOST_BYTES - LARGEST
    pool = BufferPool(np.dtype(np.float64))
    for i in range(1, MOST_ARRAYS + 2):
        left(pool, (i,))
    assert pool.bytes == 8 * sum(range(2, MOST_ARRAYS + 2))


def test_no_two_threads_have_the_same_array() -> None:
    pool = BufferPool(np.dtype(np.float64))

    def mark(number: int) -> bool:
        with pool.buffer((200,)) as array:
            array[:] = number
            for _ in range(20):
                if (array != number).any():
                    return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(mark, range(2000)))
    assert pool.bytes <= 8 * 200 * 8
