"""A job with inputs for each shot, as jobs with inputs for all of their shots.

    outcomes = backend.run([part for _, part in by_inputs(job)])

This serves backends that lack `inputs_by_shot`. They may sum up their shots: those of one part have the same
inputs, so which of them gave what does not matter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.protocol import Job
from qdiff.sim.seeds import derived_seed


def by_inputs(job: Job) -> list[tuple[NDArray[np.int64], Job]]:
    """Split a job into one for each combination of inputs that occurs.

    The shots of different parts are independent: part i has a seed of its own, a function of i and of the
    job's `seed` and `first`. They are other shots than those of the job as a whole, of the same distribution.

    Returns:
        For each part, in the order of its inputs: int64 (shots of the part,), in ascending order, which shots
        of the job it stands for; and the part. A job without arrays is its only part, as it is.
    """
    names = job.inputs_by_shot
    if not names:
        return [(np.arange(job.shots, dtype=np.int64), job)]
    columns = np.stack([np.asarray(job.inputs[name]) for name in names], axis=1)
    found, part_of, sizes = np.unique(columns, axis=0, return_inverse=True, return_counts=True)
    rows = np.argsort(part_of.reshape(-1), kind="stable")
    shots = np.split(rows, np.cumsum(sizes)[:-1])
    return [
        (
            shots[i],
            replace(
                job,
                shots=len(shots[i]),
                seed=derived_seed(job.seed, job.first, i),
                inputs={**job.inputs, **dict(zip(names, values, strict=True))},
                first=0,
            ),
        )
        for i, values in enumerate(found.tolist())
    ]
