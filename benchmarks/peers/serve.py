"""A peer's side: set up, try each way to run the loop, then answer requests for shots with times.

Lines of JSON: the parent sends {"loop", "threads"}, the peer answers {"version", "settings", "tried",
"compile_s"}; then {"shots", "seed"} is answered by {"seconds", "sum", "squares", "memory_mib"}, where sum
and squares are over the counter of all shots. A peer that is not installed answers {"missing"}.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks.peers.loop import Loop

TRIAL_SECONDS = 0.3

Run = Callable[[int, int], tuple[int, int]]  # shots, seed -> sum and sum of squares of the counter
Way = Callable[[Loop, int], Run]  # loop, threads -> compiled


def totals(values: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Sum and sum of squares of (value, how often)."""
    total = squares = 0
    for value, times in values:
        total += value * times
        squares += value * value * times
    return total, squares


def rate(run: Run, seconds: float = TRIAL_SECONDS) -> float:
    """Shots in a second, from as many as take about so long."""
    shots = 1
    while True:
        begun = time.perf_counter()
        run(shots, shots)
        taken = time.perf_counter() - begun
        if taken >= seconds:
            return shots / taken
        shots *= 2 if taken > seconds / 4 else 4


def peak_mib() -> float:
    """The largest memory of this process, in MiB; where Linux tells, without its parent's, which
    `ru_maxrss` of a new process starts from."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 2**10
    except (OSError, StopIteration):
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return size / 2 ** (20 if sys.platform == "darwin" else 10)


def fastest(ways: Mapping[str, Way], loop: Loop, threads: int) -> tuple[str, Run, float, dict[str, object]]:
    """Compile and try every way; return the fastest one that runs, its compile time, and all rates."""
    tried: dict[str, object] = {}
    runs: dict[str, tuple[float, Run, float]] = {}
    for name, way in ways.items():
        begun = time.perf_counter()
        try:
            run = way(loop, threads)
            run(1, 1)
            compiled = time.perf_counter() - begun
            runs[name] = rate(run), run, compiled
            tried[name] = runs[name][0]
        except Exception as error:  # whatever a foreign library raises: the next way may work
            tried[name] = f"fails: {error}"
    if not runs:
        raise RuntimeError(f"no way to run the loop works: {tried}")
    best = max(runs, key=lambda name: runs[name][0])
    return best, runs[best][1], runs[best][2], tried


def serve(ways: Callable[[], tuple[str, Mapping[str, Way]]]) -> None:
    """Answer until the input ends.

    Args:
        ways: imports the peer, and returns its version and the ways to run a loop.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr, not between the answers

    def answer(**content: object) -> None:
        print(json.dumps(content), file=out, flush=True)

    first = json.loads(sys.stdin.readline())
    try:
        version, found = ways()
    except ModuleNotFoundError as error:
        return answer(missing=error.name)
    name, run, compiled, tried = fastest(found, Loop.from_json(first["loop"]), first["threads"])
    answer(version=version, settings=name, tried=tried, compile_s=compiled)
    for line in sys.stdin:
        request = json.loads(line)
        begun = time.perf_counter()
        total, squares = run(request["shots"], request["seed"])
        seconds = time.perf_counter() - begun
        answer(seconds=seconds, sum=total, squares=squares, memory_mib=peak_mib())
