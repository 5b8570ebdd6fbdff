"""The parent's side: a peer in a process of its own, asked for shots one run after the other.

    with Peer.start("aer", loop, threads=1, python=sys.executable) as peer:
        answer = peer.run(shots=1000, seed=1)

A peer that is not installed, crashes or does not answer raises `NotRun` with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.contests import Answer
from benchmarks.figures import NotRun
from benchmarks.peers.loop import Loop
from benchmarks.peers.process import Process, launched

PEERS = {"aer": "Qiskit Aer", "qsharp": "Q#", "catalyst": "Catalyst", "qulacs": "Qulacs"}


@dataclass
class Peer(Process):
    """A running peer.

    Attributes:
        tried: every way to run the loop that was tried, to its shots/s or why it fails.
        settings: the fastest of them, which is the one that runs.
    """

    version: str = ""
    settings: str = ""
    compile_s: float = 0.0
    tried: dict[str, object] = field(default_factory=dict)

    @classmethod
    def start(cls, name: str, loop: Loop, *, threads: int, python: str) -> Peer:
        """Start a process and let it choose its settings."""
        peer = cls(launched(f"benchmarks.peers.{name}", python=python, threads=threads))
        try:
            first = peer.ask(loop=loop.to_json(), threads=threads)
        except NotRun:
            peer.stop()
            raise
        for key, value in first.items():
            setattr(peer, key, value)
        return peer

    def run(self, shots: int, seed: int) -> Answer:
        """Run and time so many shots."""
        return Answer(shots, **self.ask(shots=shots, seed=seed))
