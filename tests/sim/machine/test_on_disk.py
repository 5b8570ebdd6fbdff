"""Compiled code on disk: a later process loads it, and nothing that only compiling needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import qdiff as qd
from qdiff.sim.machine import on_disk
from qdiff.sim.machine.on_disk import kept, stamp

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


def started(cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a new process that keeps its code in a folder."""
    folder = str(Path(qd.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": folder, "NUMBA_CACHE_DIR": str(cache), **environment},
    )


def test_damaged_files_are_replaced(tmp_path: Path) -> None:
    """One process compiles for a small program; each later one finds another kind of damage."""
    first = started(tmp_path).stdout
    assert first.endswith("True True True\n")
    names = {file.name.split("-")[0]: file for file in tmp_path.rglob("*.nb?") if "keep" not in file.name}
    for damage in (b"", b"garbage", names["matrices.matrix"].read_bytes()[:100]):
        for file in tmp_path.rglob("matrices.matrix*.nb?"):
            file.write_bytes(damage)
        assert started(tmp_path).stdout.split("\n")[0] == first.split("\n")[0]
    assert started(tmp_path).stdout.endswith("True False False\n")


def test_code_is_old_where_any_source_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "machine").mkdir()
    source = tmp_path / "machine" / "tables.py"
    source.write_text("A = 1")
    monkeypatch.setattr(on_disk, "FOLDER", tmp_path)
    stamps = []
    for text in ("A = 1", "A = 1\nB = 2"):
        source.write_text(text)
        stamp.cache_clear()
        stamps.append(stamp())
        function = kept(numba.njit(_nrt=False)(lambda x: x))
        assert function._cache._cache_file._source_stamp[1] == stamps[-1]
    stamp.cache_clear()
    assert stamps[0] != stamps[1]
    monkeypatch.undo()
    stamp.cache_clear()
    assert {"tables.py", "code.py", "expansion.py", "plan.py"} <= {name for name, _, _ in stamp()}


def test_without_the_compiler(tmp_path: Path) -> None:
    run = started(tmp_path, NUMBA_DISABLE_JIT="1")
    assert run.stderr.endswith("Shots run on compiled code, and NUMBA_DISABLE_JIT is set. Unset it.\n")


def test_code_that_allocates_is_not_kept() -> None:
    def double(x: float) -> float:
        return 2 * x

    with pytest.raises(ValueError, match=r"^`double` may allocate: compile it with _nrt=False\.$"):
        kept(numba.njit(double))
    function = kept(numba.njit(_nrt=False)(double))
    assert (function(1.5), function(2.5)) == (3.0, 5.0)
    assert function.stats.cache_path
