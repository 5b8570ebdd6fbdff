"""Running a program a number of times: what was measured, what was counted, what was lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.lang.noise.model import NoiseModel, checked_noise
from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Program
from qdiff.sim.distinct_rows import distinct_rows
from qdiff.sim.protocol import Backend, Job, Outcomes, Readout
from qdiff.sim.registry import backend_on_threads
from qdiff.sim.seeds import checked_seed, checked_shots

LONGEST_SHOWN_COUNTS = 8


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """The outcomes of all shots.

    Attributes:
        qubits, counter_names: first declared first.
        outcomes: a row for each shot in the order of their indices; of the backend "merged", unique rows with
            `outcomes.counts`: then nobody knows which shot gave what, and what is a value for each shot
            (`bits`, `counters`, `aborted_mask`, `cut_mask`) is an error.
    """

    qubits: tuple[str, ...]
    counter_names: tuple[str, ...]
    outcomes: Outcomes

    @property
    def bits(self) -> NDArray[np.uint8]:
        """uint8 (shots, qubits): column i is qubits[i]; 0 where the run was aborted or cut."""
        return self._by_shot("bits").bits

    @property
    def counters(self) -> dict[str, NDArray[np.int64]]:
        """Name to int64 (shots,), where the run ended."""
        columns = self._by_shot("counters").counters
        return {name: columns[:, i] for i, name in enumerate(self.counter_names)}

    @property
    def aborted_mask(self) -> NDArray[np.bool_]:
        """bool (shots,): the run aborted."""
        return self._by_shot("aborted_mask").aborted

    @property
    def cut_mask(self) -> NDArray[np.bool_]:
        """bool (shots,): the run was stopped at the step limit."""
        return self._by_shot("cut_mask").cut

    @property
    def seed(self) -> int:
        """Repeats them."""
        return self.outcomes.seed

    @property
    def note(self) -> str:
        """What the backend did otherwise than asked, and why, or ""."""
        return self.outcomes.note

    @property
    def shots(self) -> int:
        """The number of runs."""
        return self.outcomes.shots

    @property
    def aborted(self) -> int:
        """How many runs aborted."""
        return int(self.outcomes.weights[self.outcomes.aborted].sum())

    @property
    def cut(self) -> int:
        """How many runs were stopped at the step limit."""
        return int(self.outcomes.weights[self.outcomes.cut].sum())

    @cached_property
    def counts(self) -> dict[str, int]:
        """Bit string to number of runs that came to their end; the first declared qubit is rightmost."""
        rows, numbers = self._numbers(self.outcomes.bits[:, ::-1])
        return {"".join(map(str, row)): number for row, number in zip(rows, numbers, strict=True)}

    @cached_property
    def counter_counts(self) -> dict[str, dict[int, int]]:
        """Of each counter, value to number of runs that came to their end with it."""
        found = {}
        for i, name in enumerate(self.counter_names):
            rows, numbers = self._numbers(self.outcomes.counters[:, i : i + 1])
            found[name] = {value: number for [value], number in zip(rows, numbers, strict=True)}
        return found

    def _numbers(self, columns: NDArray[Any]) -> tuple[list[list[int]], list[int]]:
        """The unique rows of finished runs, sorted, and how many runs have each."""
        finished = self.outcomes.finished
        rows, which = distinct_rows(columns[finished].astype(np.int64, copy=False))
        numbers = np.zeros(len(rows), dtype=np.int64)
        np.add.at(numbers, which, self.outcomes.weights[finished])
        return rows.tolist(), numbers.tolist()

    def _by_shot(self, name: str) -> Outcomes:
        if self.outcomes.counts is not None:
            raise QdiffError(
                f"`{name}` has a value for each shot, but these {self.shots} shots were merged: they are "
                f"{len(self.outcomes.counts)} unique rows with counts. Use counts, counter_counts or "
                'outcomes, or sample with backend="trajectory".'
            )
        return self.outcomes

    def __repr__(self) -> str:
        shown = sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))
        text = ", ".join(f"{bits}: {number}" for bits, number in shown[:LONGEST_SHOWN_COUNTS])
        more = len(shown) - LONGEST_SHOWN_COUNTS
        notes = [f"{self.shots} shots", f"seed {self.seed}"]
        notes += [f"{self.aborted} aborted"] if self.aborted else []
        notes += [f"{self.cut} cut at the step limit"] if self.cut else []
        notes += [self.note] if self.note else []
        return f"Samples({text}{f' and {more} more' if more > 0 else ''}; {', '.join(notes)})"


def sample(
    program: Program,
    params: object = None,
    *,
    shots: int,
    seed: int | None = None,
    backend: str | Backend | None = None,
    noise: NoiseModel | None = None,
    threads: int | None = None,
) -> Samples:
    """Run a program `shots` times and measure all its qubits at the end of each run.

    Args:
        params: as for an objective: a mapping of names to numbers or sequences, or a flat sequence.
        shots: a positive integer.
        seed: an integer from 0 to 2⁶⁴ - 1; None draws one. It is in the result and repeats it: shot
            i depends on the seed and on i only.
        backend: a registered name or a backend object; None is the trajectory sampler. "merged" runs shots
            that come to equal states together, any number of them, and gives unique rows with counts.
        noise: runs the program with this noise, and reads its qubits with errors; parameters of the noise
            are given values in `params`.
        threads: how many the trajectory sampler uses, at most as many as there are cores; None: one for
            each core. It changes no result.

    Raises:
        QdiffError: bad parameters, shots, seed or threads; noise that does not fit the program; what the
            program does has no value.
        BackendError: the backend cannot run the program.
        ResourceError: the register, or the outcomes, would not fit in memory.
    """
    run = program if noise is None else checked_noise(noise).measured(program)
    values = resolve(run, params)
    shots, seed = checked_shots(shots), checked_seed(seed)
    chosen = backend_on_threads(backend, threads)
    prepared = chosen.prepare(run, Readout(program.qubits))
    [outcomes] = chosen.run([Job(prepared, values, shots, seed)])
    # The counters of the noise come last and are left out.
    return Samples(program.qubits, program.counters, outcomes)
