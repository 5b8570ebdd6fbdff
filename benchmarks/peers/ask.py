"""The parent's side: a peer in a process of its own, asked for shots one run after the other.

    with Peer.start("aer", loop, threads=1, python=sys.executable) as peer:
        answer = peer.run(shots=1000, seed=1)

A peer that is not installed, crashes or does not answer raises `NotRun` with the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from benchmarks.contests import Answer
from benchmarks.figures import NotRun
from benchmarks.peers.loop import Loop
from benchmarks.workloads import ROOT

PEERS = {"aer": "Qiskit Aer", "qsharp": "Q#", "catalyst": "Catalyst", "qulacs": "Qulacs"}
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
ANSWER_SECONDS = 300


@dataclass
class Peer:
    """A running peer.

    Attributes:
        tried: every way to run the loop that was tried, to its shots/s or why it fails.
        settings: the fastest of them, which is the one that runs.
    """

    name: str
    process: subprocess.Popen[str]
    version: str = ""
    settings: str = ""
    compile_s: float = 0.0
    tried: dict[str, object] = field(default_factory=dict)

    @classmethod
    def start(cls, name: str, loop: Loop, *, threads: int, python: str) -> Peer:
        """Start a process and let it choose its settings."""
        process = subprocess.Popen(
            [python, "-m", f"benchmarks.peers.{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))},
        )
        peer = cls(name, process)
        try:
            first = peer.ask(loop=loop.to_json(), threads=threads)
            if "missing" in first:
                raise NotRun(f"`{first['missing']}` is not installed")
        except NotRun:
            peer.stop()
            raise
        for key, value in first.items():
            setattr(peer, key, value)
        return peer

    def run(self, shots: int, seed: int) -> Answer:
        """Run and time so many shots."""
        return Answer(shots, **self.ask(shots=shots, seed=seed))

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a line and return the answer."""
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
        return dict(json.loads(line))

    def stop(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
