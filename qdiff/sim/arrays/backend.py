"""The backend "arrays": runs side by side, their states the rows of an array of any library.

    f.estimate(params, shots=10_000, backend=qd.ArrayBackend(library="torch", device="cuda"))

The plan of a program, its random numbers and the order in which they are drawn are those of the trajectory
backend: for the same seed its shots are the same, but where a number falls within rounding of a probability.
The outcome of shot i depends on (seed, i) and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qdiff.errors import BackendError, QdiffError, ResourceError, listed
from qdiff.lang.tree import Program
from qdiff.sim.arrays.libraries import DEFAULT_DTYPE, DEFAULT_LIBRARY, open_library
from qdiff.sim.arrays.primitives import AMPLITUDE_BYTES
from qdiff.sim.machine.backend import MEMORY_LIMIT, STEP_LIMIT, TrajectoryBackend, checked_limit, expected
from qdiff.sim.machine.code import Lowered
from qdiff.sim.protocol import Job, Outcomes, Prepared, Readout
from qdiff.sim.registry import register_backend, require
from qdiff.sim.sizes import size_text

if TYPE_CHECKING:
    from qdiff.sim.machine.tables import Results

CAPABILITIES = replace(TrajectoryBackend.capabilities, tangents=False)


class ArrayBackend:
    """Runs shots side by side on arrays of NumPy, PyTorch, JAX or CuPy.

    Args:
        library: "numpy", "numba" (compiled loops), "torch", "jax" or "cupy".
        device: "cpu", "cuda", "cuda:1", …; None is "cuda" for CuPy, else "cpu".
        dtype: "complex128", or "complex64": half the memory, probabilities off by about 1e-6.
        step_limit: a run that would execute more instructions (gates, measurements, assignments, decisions)
            is cut.
        memory_limit: bytes, an integer; for states on the device, and for outcomes.

    Raises:
        QdiffError: an unknown library, device or dtype, one that is not installed; a limit out of range.
    """

    name = "arrays"
    capabilities = CAPABILITIES

    def __init__(
        self,
        *,
        library: str = DEFAULT_LIBRARY,
        device: str | None = None,
        dtype: str = DEFAULT_DTYPE,
        step_limit: int = STEP_LIMIT,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        self.library = open_library(library, device, dtype)
        self.step_limit = checked_limit("step_limit", step_limit)
        self.memory_limit = checked_limit("memory_limit", memory_limit)

    def prepare(self, program: Program, readout: Readout) -> Prepared:
        """See `Backend.prepare`."""
        from qdiff.sim.arrays.lockstep import ROOM
        from qdiff.sim.machine.plans import plan_of

        require(self, program, readout)
        unknown = [qubit for qubit in readout.qubits if qubit not in program.qubits]
        if unknown:
            raise QdiffError(
                f"The read-out names unknown qubits: {listed(unknown)}. Declared: {listed(program.qubits)}."
            )
        needed = ROOM * AMPLITUDE_BYTES[self.library.dtype] << len(program.qubits)
        if needed > self.memory_limit:
            raise ResourceError(
                f"One run on {len(program.qubits)} qubits needs {size_text(needed)} of memory; the limit is "
                f"{size_text(self.memory_limit)}. Use fewer qubits (reset and reuse them), "
                "dtype='complex64', or raise the limit: ArrayBackend(memory_limit=...)."
            )
        return Prepared(self.name, program, readout, plan_of(program, readout))

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        """See `Backend.run`."""
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> Outcomes:
        from qdiff.sim.arrays.lockstep import Lockstep, order_of, together
        from qdiff.sim.machine.binding import bound, real_parameters
        from qdiff.sim.machine.running import Request
        from qdiff.sim.machine.tables import ABORTED, CUT, Results

        plan = job.prepared.lowered
        if job.prepared.backend != self.name or not isinstance(plan, Lowered):
            raise BackendError(
                f"This was prepared by backend `{job.prepared.backend}`, not by `{self.name}`."
            )
        results = self._empty(job, plan)
        numbers = bound(plan, real_parameters(plan.program, job.params))
        order, size = order_of(plan), together(self.library, plan.qubits, self.memory_limit)
        for start in range(0, job.shots, size):
            some = slice(start, min(start + size, job.shots))
            inputs = {
                name: value[some] if isinstance(value, np.ndarray) else value
                for name, value in job.inputs.items()
            }
            first = (job.first + start) % 2**64
            request = Request(plan, numbers, some.stop - start, job.seed, first, inputs, self.step_limit)
            part = Results(
                results.counters[some], results.bits[some], results.status[some], results.expectations[some]
            )
            Lockstep(request, self.library, part, order).run()
        return Outcomes(
            job.seed,
            results.counters,
            results.bits,
            results.status == ABORTED,
            results.status == CUT,
            expectations=expected(plan, results.counters, results.status, results.expectations)
            if plan.readout.expectations
            else None,
        )

    def _empty(self, job: Job, plan: Lowered) -> Results:
        from qdiff.sim.machine.tables import Results

        shots, readout = job.shots, plan.readout
        numbers = len(plan.program.counters) + len(plan.operators) + len(readout.expectations)
        needed = shots * (8 * numbers + len(readout.qubits) + 3)
        if needed > self.memory_limit:
            raise ResourceError(
                f"The outcomes of {shots} shots need {size_text(needed)} of memory; the limit is "
                f"{size_text(self.memory_limit)}. Use fewer shots, or raise the limit: "
                "ArrayBackend(memory_limit=...)."
            )
        return Results(
            counters=np.zeros((shots, len(plan.program.counters)), dtype=np.int64),
            bits=np.zeros((shots, len(readout.qubits)), dtype=np.uint8),
            status=np.zeros(shots, dtype=np.uint8),
            expectations=np.zeros((shots, len(plan.operators))),
        )


register_backend(ArrayBackend.name, ArrayBackend.capabilities, ArrayBackend)
