"""Compiled code on disk: a later process loads it, and nothing that only compiling needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import qdiff as qd
from qdiff.sim.machine.kept import kept

TEXT = "qubit: q\npara: t\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q] od"
SCRIPT = f"""
import sys
import qdiff as qd
samples = qd.sample(qd.parse({TEXT!r}), [1.3], shots=50, seed=4, threads=1)
print(samples.counter_counts["c"])
print("numba" in sys.modules, "numba.np.arraymath" in sys.modules, "scipy.linalg" in sys.modules)
"""


def test_a_later_process_imports_no_compiler() -> None:
    expected = qd.sample(qd.parse(TEXT), [1.3], shots=50, seed=4, threads=1)  # on disk now
    environment = {**os.environ, "PYTHONPATH": str(Path(qd.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, env=environment
    )
    assert run.stdout == f"{expected.counter_counts['c']}\nTrue False False\n"


def test_code_that_allocates_is_not_kept() -> None:
    def double(x: float) -> float:
        return 2 * x

    with pytest.raises(ValueError, match=r"^`double` may allocate: compile it with _nrt=False\.$"):
        kept(numba.njit(double))
    function = kept(numba.njit(_nrt=False)(double))
    assert (function(1.5), function(2.5)) == (3.0, 5.0)
    assert function.stats.cache_path
