"""A peer's process as the parent sees it: a line of JSON for each request, and one for each answer.

What ends, or does not answer in time, raises `NotRun` with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from benchmarks.figures import NotRun
from benchmarks.workloads import ROOT

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
ANSWER_SECONDS = 300


def launched(module: str, *, python: str, threads: int, **environment: str) -> subprocess.Popen[str]:
    """Start a module in an interpreter, with so many threads for whatever library it uses."""
    return subprocess.Popen(
        [python, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **environment},
    )


@dataclass
class Process:
    """A running peer; ends with its `with` block."""

    process: subprocess.Popen[str]

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a line and return the answer.

        Raises:
            NotRun: the process ended, or said that a module is missing.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        alarm = threading.Timer(ANSWER_SECONDS, self.process.kill)
        alarm.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            raise NotRun(f"its process ended with status {self.process.wait()}")
        found = dict(json.loads(line))
        if "missing" in found:
            raise NotRun(f"`{found['missing']}` is not installed")
        return found

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
