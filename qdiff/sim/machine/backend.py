"""The default backend: runs each shot on its own, compiled, on as many threads as there are cores.

Shot i of a job draws its numbers from Philox with the job's seed as key and i·2¹²⁸ as counter, one for each
measurement, reset, flip, channel and read-out, in the order in which they happen. Of a channel one Kraus
operator acts (a quantum trajectory; Dalibard, Castin and Mølmer, 1992). So its outcome depends on (seed, i)
and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qdiff.errors import BackendError, ParameterError, QdiffError, ResourceError, listed
from qdiff.lang.tree import Program
from qdiff.sim.cores import checked_threads
from qdiff.sim.distinct_rows import distinct_rows
from qdiff.sim.machine.code import Lowered
from qdiff.sim.protocol import Capabilities, Gradients, Job, Outcomes, Prepared, Readout
from qdiff.sim.registry import register_backend, require, require_inputs
from qdiff.sim.seeds import integer
from qdiff.sim.sizes import size_text

if TYPE_CHECKING:
    from qdiff.lang.observable import Observable
    from qdiff.sim.machine.adjoint_code import GradientPlan

STEP_LIMIT = 10**7
MEMORY_LIMIT = 4 * 2**30
BYTES_PER_AMPLITUDE = 3 * 16
"""The state, room for a second one, and the weights of as many outcomes."""
MOST = 2**63 - 1
"""Of a limit: it is compared in 64 bits."""
BLOCK_BYTES = 2**20
"""Expectations of shots whose operators fill so much are read at a time."""


class TrajectoryBackend:
    """Runs every shot as a pure state of its own.

    Args:
        threads: how many to use, at most as many as there are cores; None uses them all. It changes no
            result.
        step_limit: a run that would execute more instructions (gates, measurements, assignments, decisions)
            is cut.
        memory_limit: bytes, an integer; a program that would need more is refused before it runs.
        progress: whether a bar on standard error shows how far a long run is.

    Raises:
        QdiffError: no integer, or one out of range.
    """

    name = "trajectory"
    capabilities = Capabilities(
        loops=True,
        nested_ifs=True,
        counters=True,
        reset=True,
        flip=True,
        mid_circuit_measurement=True,
        noise=True,
        expectations=True,
        tangents=True,
        inputs_by_shot=True,
    )
    _instead = 'or backend="merged" (`--backend merged`), which counts equal outcomes, '

    def __init__(
        self,
        *,
        threads: int | None = None,
        step_limit: int = STEP_LIMIT,
        memory_limit: int = MEMORY_LIMIT,
        progress: bool = False,
    ) -> None:
        self.threads = checked_threads(threads)
        self.step_limit = checked_limit("step_limit", step_limit)
        self.memory_limit = checked_limit("memory_limit", memory_limit)
        self.progress = progress

    def prepare(self, program: Program, readout: Readout) -> Prepared:
        """See `Backend.prepare`."""
        from qdiff.sim.machine.plans import plan_of

        require(self, program, readout)
        unknown = [qubit for qubit in readout.qubits if qubit not in program.qubits]
        if unknown:
            raise QdiffError(
                f"The read-out names unknown qubits: {listed(unknown)}. Declared: {listed(program.qubits)}."
            )
        most = (self.memory_limit // BYTES_PER_AMPLITUDE).bit_length() - 1
        if len(program.qubits) > most:
            needed = size_text(BYTES_PER_AMPLITUDE << len(program.qubits))
            raise ResourceError(
                f"One run on {_qubits(len(program.qubits))} needs {needed} of memory; the limit is "
                f"{size_text(self.memory_limit)}, enough for {_qubits(max(most, 0))}. Use fewer qubits "
                f"(reset and reuse them), or raise the limit: {type(self).__name__}(memory_limit=...)."
            )
        return Prepared(self.name, program, readout, plan_of(program, readout))

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        """See `Backend.run`.

        An interrupt is heard within a second; the jobs of the call are then lost as a whole.
        """
        from qdiff.sim.machine.binding import bound, real_parameters
        from qdiff.sim.machine.tables import Bound

        require_inputs(self, jobs)
        known: dict[tuple[int, tuple[tuple[str, float], ...]], Bound] = {}
        outcomes = []
        for job in jobs:
            plan = self._plan(job)
            params = real_parameters(plan.program, job.params)
            key = id(plan), tuple(params.items())
            if key not in known:
                known[key] = bound(plan, params)
            outcomes.append(self._run(job, plan, known[key]))
        return outcomes

    def prepare_gradient(
        self, program: Program, observables: Sequence[Observable], wrt: Sequence[str]
    ) -> Prepared:
        """See `TangentBackend.prepare_gradient`."""
        from qdiff.sim.machine.plans import gradient_plan_of

        unknown = [name for name in wrt if name not in program.parameters]
        if unknown:
            raise ParameterError(
                f"There is no derivative by `{unknown[0]}`. Parameters: {listed(program.parameters)}."
            )
        compared = [name for name in wrt if name in program.compared]
        if compared:
            raise ParameterError(
                f"There is no derivative by `{compared[0]}`: it occurs in a comparison, where the mean "
                "may jump."
            )
        prepared = self.prepare(program, Readout(expectations=tuple(observables)))
        assert isinstance(prepared.lowered, Lowered)
        return replace(prepared, lowered=gradient_plan_of(prepared.lowered, tuple(wrt)))

    def run_gradients(self, jobs: Sequence[Job]) -> list[Gradients]:
        """See `TangentBackend.run_gradients`."""
        from qdiff.sim.machine.adjoint_code import GradientPlan

        require_inputs(self, jobs)
        found = []
        for job in jobs:
            gradient = job.prepared.lowered
            if job.prepared.backend != self.name or not isinstance(gradient, GradientPlan):
                raise BackendError(
                    "Derivatives need a program that this backend's `prepare_gradient` made ready; this was "
                    f"prepared by backend `{job.prepared.backend}`."
                )
            found.append(self._gradients(job, gradient))
        return found

    def _gradients(self, job: Job, gradient: GradientPlan) -> Gradients:
        from qdiff.sim.machine.adjoint_binding import bound_slopes
        from qdiff.sim.machine.adjoint_events import surprises_of
        from qdiff.sim.machine.adjoint_running import Log, differentiate
        from qdiff.sim.machine.binding import bound, real_parameters
        from qdiff.sim.machine.running import Request
        from qdiff.sim.machine.tables import ABORTED, CUT

        plan, names = gradient.plan, len(gradient.wrt)
        columns = len(plan.readout.expectations) * (1 + names) + names + len(gradient.events.sums)
        log = Log.fitting(plan.qubits)
        states = log.entries + log.checkpoints + len(gradient.rows) + 8
        each = (states << plan.qubits) * 16
        needed = 8 * job.shots * columns + each
        if needed > self.memory_limit:
            raise ResourceError(
                f"The derivatives of {job.shots} shots on {plan.qubits} qubits need {size_text(needed)} "
                f"of memory; the limit is {size_text(self.memory_limit)}. Use fewer shots, or several jobs "
                "with different `first`, or raise the limit: TrajectoryBackend(memory_limit=...)."
            )
        numbers = bound(plan, real_parameters(plan.program, job.params))
        request = Request(
            plan, numbers, job.shots, job.seed, job.first, job.inputs, self.step_limit, progress=self.progress
        )
        threads = min(self.threads, job.shots, max(1, (self.memory_limit - needed) // each))
        found = differentiate(request, gradient, bound_slopes(gradient, numbers), threads, log)
        aborted, cut = found.status == ABORTED, found.status == CUT
        surprises = surprises_of(gradient.events, found.surprises, found.met, job.shots)
        return Gradients(job.seed, found.values, found.slopes, found.scores, aborted, cut, surprises)

    def _plan(self, job: Job) -> Lowered:
        if job.prepared.backend == self.name and not isinstance(job.prepared.lowered, Lowered):
            raise BackendError("This was prepared for derivatives: hand it to `run_gradients`.")
        if job.prepared.backend != self.name or not isinstance(job.prepared.lowered, Lowered):
            raise BackendError(
                f"This was prepared by backend `{job.prepared.backend}`, not by `{self.name}`."
            )
        return job.prepared.lowered

    def _run(self, job: Job, plan: Lowered, numbers: object) -> Outcomes:
        from qdiff.sim.machine.running import Request, execute
        from qdiff.sim.machine.tables import ABORTED, CUT, Bound

        assert isinstance(numbers, Bound)
        readout = plan.readout
        numbers_of_a_shot = len(plan.program.counters) + len(plan.operators) + len(readout.expectations)
        needed = job.shots * (8 * numbers_of_a_shot + len(readout.qubits) + 3)
        if needed > self.memory_limit:
            raise ResourceError(
                f"The outcomes of {job.shots} shots need {size_text(needed)} of memory; the limit is "
                f"{size_text(self.memory_limit)}. Use fewer shots, {self._instead}or raise the limit: "
                f"{type(self).__name__}(memory_limit=...)."
            )
        # Each thread has states of its own.
        fitting = max(1, self.memory_limit // (BYTES_PER_AMPLITUDE << plan.qubits))
        request = Request(
            plan, numbers, job.shots, job.seed, job.first, job.inputs, self.step_limit, progress=self.progress
        )
        results = execute(request, self.threads, fitting)
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


def checked_limit(name: str, value: object) -> int:
    """Return a limit of a backend.

    Raises:
        QdiffError: no integer from 1 to 2⁶³ - 1.
    """
    number = integer(value)
    if number is None or not 1 <= number <= MOST:
        what = f"{name}, in bytes," if name == "memory_limit" else name
        raise QdiffError(f"{what} must be an integer from 1 to 2^63 - 1, got {value!r}.")
    return number


def _qubits(number: int) -> str:
    return "1 qubit" if number == 1 else f"{number} qubits"


def expected(
    plan: Lowered,
    counters: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    status: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    operators: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The expectation of each observable in each run's final state, 0 where it did not end.

    Args:
        operators: (rows, operators) expectations. The work goes over few rows at a time, so that it takes
            little room besides them.
    """
    observables = plan.readout.expectations
    values = np.zeros((len(status), len(observables)))
    size = max(1, BLOCK_BYTES // (8 * max(1, len(plan.operators) * len(observables))))
    known: dict[tuple[int, ...], np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}
    for start in range(0, len(status), size):
        rows = start + np.flatnonzero(status[start : start + size] == 0)
        if not len(rows):
            continue
        stores, which = distinct_rows(counters[rows])
        # Few stores come again and again; those of one block are little to keep.
        known = {
            store: known[store] if store in known else _scales(plan, store)
            for store in map(tuple, stores.tolist())
        }
        scales = np.stack(list(known.values()))
        for o in range(len(observables)):
            values[rows, o] = np.einsum("rk,rk->r", scales[which, o], operators[rows])
    return values


def _scales(plan: Lowered, store: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """float (observables, operators): the coefficient of each operator at one store."""
    column = {operator: i for i, operator in enumerate(plan.operators)}
    scales = np.zeros((len(plan.readout.expectations), len(column)))
    named: Mapping[str, int] = dict(zip(plan.program.counters, store, strict=True))
    for row, observable in zip(scales, plan.readout.expectations, strict=True):
        for operator, coefficient in observable.coefficients(named).items():
            row[column[operator]] = complex(coefficient).real
    return scales


register_backend(TrajectoryBackend.name, TrajectoryBackend.capabilities, TrajectoryBackend)
