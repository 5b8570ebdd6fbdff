"""The command line as processes: pipes that close, signals, and what is imported when."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.programs import AT

import qdiff as package
from qdiff.cli import main

QDIFF = [sys.executable, "-m", "qdiff"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
TRAIN = ["train", "walk.qprog", "-O", "c", *AT, "--log", "run.jsonl", "--json"]


def start(*words: str, **options) -> subprocess.Popen:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([*QDIFF, *words], env=ENVIRONMENT, text=True, **options)


def ended(*words: str, **options) -> tuple[int, str, str]:
    process = start(*words, **options)
    out, err = process.communicate()
    return process.returncode, out, err


def wait_for_lines(log: Path, count: int, process: subprocess.Popen) -> None:
    while process.poll() is None:
        if log.exists() and log.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.005)
    pytest.fail(f"ended too early: {process.communicate()}")


def test_python_m_qdiff():
    assert ended("--version") == (0, f"qdiff {package.__version__}\n", "")
    assert ended("check", "none.qprog") == (2, "", "qdiff: error: There is no file `none.qprog`.\n")


def test_a_killed_training_run_resumes_to_the_identical_result(folder, capsys):
    words = [*TRAIN, "--steps", "80"]
    log = folder / "run.jsonl"
    for lines in (5, 20):
        process = start(*words, "--resume")
        wait_for_lines(log, lines, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    status, resumed, _ = ended(*words, "--resume")
    assert status == 0
    logged = log.read_bytes()
    log.unlink()
    assert main(words) == 0
    assert json.loads(resumed) == json.loads(capsys.readouterr().out)
    assert log.read_bytes() == logged


def test_ctrl_c_says_how_to_continue(folder):
    process = start(*TRAIN, "--steps", "100000")
    wait_for_lines(folder / "run.jsonl", 4, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert err.endswith(
        "\nInterrupted. `run.jsonl` keeps every evaluation: the same command with --resume continues.\n"
    )


def test_a_reader_that_has_seen_enough():
    read, write = os.pipe()
    os.close(read)
    assert ended("show", "walk.qprog", stdout=write) == (0, None, "")
    assert ended("--help", stdout=write) == (0, None, "")
    os.close(write)


def test_nobody_reads_stderr():
    read, write = os.pipe()
    os.close(read)
    assert ended("check", "none.qprog", stderr=write) == (2, "", None)
    os.close(write)


def test_a_terminal_without_the_letters(monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "PYTHONIOENCODING", "ascii")
    words = ("value", "turn.qprog", "-O", "Z[q]", "-p", "t=1", "--shots", "100", "--seed", "1")
    status, out, err = ended(*words)
    assert (status, err) == (0, "")
    assert " ? " in out


def test_help_imports_nothing_heavy():
    script = (
        "import sys, qdiff; before = set(sys.modules); from qdiff.cli import main; main(['train', '-h']); "
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('qdiff.cli')))"
    )
    run = [sys.executable, "-c", script]
    out = subprocess.run(run, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    assert set(ast.literal_eval(out.splitlines()[-1])) <= {"argparse", "gettext"}
