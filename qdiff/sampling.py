"""Running a program a number of times: what was measured, what was counted, what was lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Program
from qdiff.sim.protocol import Backend, Job, Outcomes, Readout
from qdiff.sim.registry import find_backend
from qdiff.sim.seeds import checked_seed, checked_shots

LONGEST_SHOWN_COUNTS = 8


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """The outcomes of all shots, in the order of their indices.

    Attributes:
        qubits: names, first declared first.
        bits: uint8 (shots, qubits): column i is qubits[i]; 0 where the run was aborted or cut.
        counters: name to int64 (shots,), where the run ended.
        aborted_mask, cut_mask: bool (shots,): the run aborted; it was stopped at the step limit.
        seed: repeats them.
    """

    qubits: tuple[str, ...]
    bits: NDArray[np.uint8]
    counters: dict[str, NDArray[np.int64]]
    aborted_mask: NDArray[np.bool_]
    cut_mask: NDArray[np.bool_]
    seed: int

    @property
    def shots(self) -> int:
        """The number of runs."""
        return len(self.bits)

    @property
    def aborted(self) -> int:
        """How many runs aborted."""
        return int(self.aborted_mask.sum())

    @property
    def cut(self) -> int:
        """How many runs were stopped at the step limit."""
        return int(self.cut_mask.sum())

    @cached_property
    def counts(self) -> dict[str, int]:
        """Bit string to number of runs that came to their end; the first declared qubit is rightmost."""
        finished = self.bits[~(self.aborted_mask | self.cut_mask)][:, ::-1]
        rows, numbers = np.unique(finished, axis=0, return_counts=True)
        return {
            "".join(map(str, row)): number
            for row, number in zip(rows.tolist(), numbers.tolist(), strict=True)
        }

    def __repr__(self) -> str:
        shown = sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        text = ", ".join(f"{bits}: {number}" for bits, number in shown[:LONGEST_SHOWN_COUNTS])
        more = len(shown) - LONGEST_SHOWN_COUNTS
        notes = [f"{self.shots} shots", f"seed {self.seed}"]
        notes += [f"{self.aborted} aborted"] if self.aborted else []
        notes += [f"{self.cut} cut at the step limit"] if self.cut else []
        return f"Samples({text}{f' and {more} more' if more > 0 else ''}; {', '.join(notes)})"


def sample(
    program: Program,
    params: object = None,
    *,
    shots: int,
    seed: int | None = None,
    backend: str | Backend | None = None,
) -> Samples:
    """Run a program `shots` times and measure all its qubits at the end of each run.

    Args:
        params: as for an objective: a mapping of names to numbers or sequences, or a flat sequence.
        shots: a positive integer.
        seed: an integer from 0 to 2⁶⁴ - 1; None draws one. It is in the result and repeats it: shot
            i depends on the seed and on i only.
        backend: a registered name or a backend object; None is the trajectory sampler.

    Raises:
        QdiffError: bad parameters, shots or seed; what the program does has no value.
        BackendError: the backend cannot run the program.
        ResourceError: the register, or the outcomes, would not fit in memory.
    """
    values = resolve(program, params)
    shots, seed = checked_shots(shots), checked_seed(seed)
    chosen = find_backend(backend)
    prepared = chosen.prepare(program, Readout(program.qubits))
    [outcomes] = chosen.run([Job(prepared, values, shots, seed)])
    return _samples(program, outcomes)


def _samples(program: Program, outcomes: Outcomes) -> Samples:
    row = np.repeat(np.arange(len(outcomes.aborted)), outcomes.weights)
    return Samples(
        qubits=program.qubits,
        bits=outcomes.bits[row],
        counters={name: outcomes.counters[row, i] for i, name in enumerate(program.counters)},
        aborted_mask=outcomes.aborted[row],
        cut_mask=outcomes.cut[row],
        seed=outcomes.seed,
    )
