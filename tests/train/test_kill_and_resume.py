"""Runs that are really killed, at random instants, end where a run that nobody touched ends."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import qdiff.errors
from qdiff.train import minimize

SCRIPT = Path(__file__).parent / "toy_run.py"
ROOT = Path(qdiff.errors.__file__).parents[1]
KILLS = 4


@pytest.fixture(scope="module")
def toy_run():
    spec = importlib.util.spec_from_file_location("toy_run", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def begin(log: Path, optimizer: str, seed: int, target: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(log), optimizer, str(seed), str(target)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


@pytest.mark.parametrize("optimizer", ["adam", "gradient-descent", "l-bfgs-b"])
def test_a_killed_run_resumes_to_the_identical_result(tmp_path, toy_run, optimizer):
    log, target = tmp_path / "run.jsonl", tmp_path / "result.json"
    untouched = minimize(
        toy_run.value_and_grad, toy_run.START, optimizer=optimizer, steps=toy_run.STEPS,
        log=tmp_path / "untouched.jsonl",
    )  # fmt: skip
    moments = random.Random(optimizer)
    longest, killed = 0, 0
    for kill in range(KILLS):
        process = begin(log, optimizer, kill, target)
        before = size(log)
        while size(log) == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        # No evaluation that was logged is ever lost.
        assert size(log) >= longest
        longest = max(longest, log.read_bytes().rfind(b"\n") + 1)
    assert killed >= 2
    assert begin(log, optimizer, KILLS, target).wait() == 0
    assert json.loads(target.read_text()) == toy_run.fingerprint(untouched)
    assert log.read_bytes() == (tmp_path / "untouched.jsonl").read_bytes()
