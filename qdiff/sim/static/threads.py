"""Ranges of equal work, shared by threads: for compiled loops that let go of the interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

from qdiff.sim.cores import cores
from qdiff.sim.static.state_arrays import Reals

THREADS_FROM = 1 << 14
"""Up to so many amplitudes one thread is as fast as several."""


def shared_from(amplitudes: int) -> bool:
    """Whether threads share a state of so many amplitudes; below, each has states of its own."""
    return amplitudes > THREADS_FROM


def threads_for(psi: Reals, threads: int) -> int:
    """How many of the threads that may be used are worth it for a state (2, D)."""
    return threads if shared_from(psi.shape[1]) else 1


def over_ranges(some: Callable[[int, int], None], count: int, threads: int) -> None:
    """Call some(first, last) on consecutive ranges that make up range(count), one for each thread.

    `some` must not call this function: the threads that it would wait for may wait for it.
    """
    threads = max(1, min(threads, count))
    if threads == 1:
        some(0, count)
        return
    edges = [count * i // threads for i in range(threads + 1)]
    others = [_pool().submit(some, edges[i], edges[i + 1]) for i in range(1, threads)]
    try:
        some(edges[0], edges[1])
    finally:
        wait(others)  # they write where the caller reads
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that wait for work: to start one takes as long as a state of 2^15 amplitudes."""
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="qdiff")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has no threads
