"""Large registers: one shot at a time, its state shared by all threads.

Gates, measurements and resets of registers of `WIDE_QUBITS` qubits or more are cut into slices, one for each
thread, where there are fewer shots than threads. Weights are summed over blocks of a fixed size and then in
order, as one thread does it, so the results are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from qdiff.sim.machine import code as c
from qdiff.sim.machine import states
from qdiff.sim.machine.streams import random_block
from qdiff.sim.machine.tables import DRAWS, PC, Bound, Work
from qdiff.sim.machine.tree import draw
from qdiff.sim.pure.plan import COUNT, OUTER, SECOND

WIDE_QUBITS = 18
"""From here on a gate takes so long that handing it to threads costs little."""


class Team:
    """Threads that share the instructions of one worker; to be used in a `with` statement."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()

    def carry_out(self, plan: c.Lowered, bound: Bound, work: Work, shot: int, seed: int) -> None:
        """Carry out the instruction at which a run stands, and go on to the next."""
        code, context, psi = plan.code, work.context, work.psi
        row = code.instructions[context[PC]]
        a, b = int(row[c.A]), int(row[c.B])
        if row[c.OP] in (c.GATES, c.LIVE_GATE):
            for op in range(a, b):
                self.op(code, psi, op, bound.matrices)
            context[PC] = row[c.NEXT]
            return
        qubits = np.array([a]) if row[c.OP] == c.RESET else code.qubits[a : a + b]
        weights = self.weights(psi, qubits)
        outcome = draw(np.cumsum(weights), self.uniform(work, shot, seed))
        mask = sum(1 << int(q) for q in qubits)
        value = sum((outcome >> i & 1) << int(q) for i, q in enumerate(qubits))
        scale = float(1 / np.sqrt(weights[outcome]))
        self.slices(
            psi.shape[1], lambda begin, end: states.share_scale(psi, mask, value, 0, scale, begin, end)
        )
        if row[c.OP] == c.RESET and outcome:
            halves = psi.reshape(2, -1, 2, 1 << a)
            halves[:, :, 0] = halves[:, :, 1]
            halves[:, :, 1] = 0.0
        if row[c.OP] == c.RECORD:
            work.store[row[c.C]] = outcome
        context[PC] = code.targets[row[c.C] + outcome] if row[c.OP] == c.MEASURE else row[c.NEXT]

    def op(self, code: c.Code, psi: c.Floats, op: int, matrices: c.Complexes) -> None:
        """Apply one op."""
        room = max(int(code.ops[op, SECOND]), 2)  # local states, where there are several targets
        self.slices(
            int(code.ops[op, OUTER] * code.ops[op, COUNT]),
            lambda begin, end: states.share_op(code, psi, op, matrices, np.empty((2, room)), begin, end),
        )

    def weights(self, psi: c.Floats, qubits: c.Ints) -> c.Floats:
        """The weight of each outcome of some qubits."""
        blocks = psi.shape[1] // states.BLOCK
        parts = np.empty((blocks, 1 << len(qubits)))
        self.slices(blocks, lambda begin, end: states.share_weights(psi, qubits, parts, begin, end))
        total = np.zeros(parts.shape[1])
        for part in parts:  # in order
            total += part
        return total

    def slices(self, number: int, task: Callable[[int, int], None]) -> None:
        """Call task(begin, end) for the parts of 0 … number."""
        edges = [number * i // self.threads for i in range(self.threads + 1)]
        for done in [self.pool.submit(task, *edge) for edge in pairwise(edges) if edge[0] < edge[1]]:
            done.result()

    @staticmethod
    def uniform(work: Work, shot: int, seed: int) -> float:
        """The next random number of the run."""
        draws = int(work.context[DRAWS])
        block, words = draws // 4 + 1, np.zeros(4, dtype=np.uint64)
        random_block(block, np.uint64(shot), np.uint64(seed), words)
        work.context[DRAWS] += 1
        return float(int(words[draws % 4]) >> 11) * 2.0**-53
