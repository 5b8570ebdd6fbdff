"""The backend "merged": shots with equal point, store and state are one entry with a number.

It costs about as much as the distinct states that shots are expected to come to: 10⁹ shots take little
longer than 10⁶, and no more memory. Outcomes are unique rows with counts, of the same distribution as
those of trajectories; a merged shot has no identity. Where shots share too little for that to pay,
trajectories are run, and the `note` of the outcomes says so. That depends on the program, its parameters
and the number of shots; the outcomes depend on (seed, first) besides, not on threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from qdiff.errors import QdiffError, ResourceError
from qdiff.sim.machine.backend import TrajectoryBackend, expected
from qdiff.sim.machine.code import Lowered
from qdiff.sim.protocol import Job, Outcomes
from qdiff.sim.registry import register_backend

if TYPE_CHECKING:
    from qdiff.sim.merged.shares import Ends

MOST_SHOTS = 2**63 - 1


class MergedBackend(TrajectoryBackend):
    """Runs all shots at once, on one thread.

    Args:
        threads, progress: of trajectories, where they are run instead.
        step_limit: a run that would execute more instructions is cut.
        memory_limit: bytes, an integer; for states and outcomes.

    Raises:
        QdiffError: no integer, or one out of range.
    """

    name = "merged"
    capabilities = replace(TrajectoryBackend.capabilities, inputs_by_shot=False)
    _instead = ""

    def _run(self, job: Job, plan: Lowered, numbers: object) -> Outcomes:
        from qdiff.sim.machine.tables import Bound
        from qdiff.sim.merged.frontier import Frontier, TooManyStates
        from qdiff.sim.merged.shares import shared

        assert isinstance(numbers, Bound)
        if job.shots > MOST_SHOTS:
            raise QdiffError(f"Merged shots are counted in 64 bits: at most 2^63 - 1, got {job.shots}.")
        inputs = cast(Mapping[str, int], job.inputs)  # `run` has refused arrays
        frontier = Frontier(plan, numbers, inputs, self.step_limit, self.memory_limit)
        try:
            ends = shared(frontier, job.shots, job.seed, job.first)
        except TooManyStates as reason:
            try:
                outcomes = super()._run(job, plan, numbers)
            except ResourceError as error:
                raise ResourceError(f"Merging does not pay: {reason}. As trajectories: {error}") from None
            return replace(outcomes, note=f"run as trajectories, merging does not pay: {reason}")
        return _outcomes(plan, job.seed, ends)


def _outcomes(plan: Lowered, seed: int, ends: Ends) -> Outcomes:
    """Ends as unique rows with counts."""
    from qdiff.sim.machine.tables import ABORTED, CUT

    status, places = ends.status.astype(np.uint8), np.arange(len(plan.readout.qubits))
    return Outcomes(
        seed,
        ends.stores,
        (ends.bits[:, None] >> places & 1).astype(np.uint8),
        status == ABORTED,
        status == CUT,
        counts=ends.counts,
        expectations=expected(plan, ends.stores, status, ends.values) if plan.readout.expectations else None,
    )


register_backend(MergedBackend.name, MergedBackend.capabilities, MergedBackend)
