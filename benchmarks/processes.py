"""Figures that need a process of their own: memory, and first calls."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable

from benchmarks.figures import Found, amount
from benchmarks.peers.process import THREAD_VARIABLES
from benchmarks.workloads import ROOT


def printed(script: str, threads: int = 1, **environment: str) -> list[float]:
    """Run a script in a new process and return the numbers that it prints."""
    run = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **environment},
    )
    return [float(number) for number in run.stdout.split()]


def first_calls(script: str, repeat: int) -> tuple[Callable[[], Found], Callable[[], Found]]:
    """How to measure a first call without, and with, compiled code on the disk.

    Args:
        script: prints its seconds, and how many of them importing Numba took.
    """

    def installed() -> Found:
        with tempfile.TemporaryDirectory() as folder:
            return first_call(printed(script, NUMBA_CACHE_DIR=folder))

    def later() -> Found:
        with tempfile.TemporaryDirectory() as folder:
            _, *runs = [printed(script, NUMBA_CACHE_DIR=folder) for _ in range(1 + repeat)]
        return first_call([statistics.median(column) for column in zip(*runs, strict=True)])

    return installed, later


def first_call(times: list[float]) -> Found:
    """What such a script printed."""
    total, importing = times
    return Found(total, f"of it {amount(importing, 's')} for importing Numba")
