"""The plain sampler: every shot walks the program tree with one pure state and one store.

Shot i of a job draws its numbers from numpy's Philox with the job's seed as key and i·2¹²⁸ as
counter: u = (word >> 11)·2⁻⁵³, one for each measurement, reset, flip, channel and read-out, in the
order in which they happen. Of a channel one Kraus operator acts (a quantum trajectory; Dalibard, Castin
and Mølmer, 1992). So its outcome depends on (seed, i) and on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from qdiff.errors import BackendError, QdiffError, ResourceError, listed
from qdiff.lang.channels import channel_record
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import Expr
from qdiff.lang.running import COMPARE, PROBABILITY_SLACK, checked_counter, improbable, located
from qdiff.lang.source import Position
from qdiff.lang.tree import (
    Abort,
    And,
    Assign,
    Block,
    Case,
    Channel,
    Compare,
    Condition,
    Flip,
    Gate,
    If,
    Measure,
    Measured,
    Not,
    Or,
    Program,
    Reset,
    Skip,
    While,
)
from qdiff.sim.protocol import Capabilities, Job, Outcomes, Prepared, Readout
from qdiff.sim.pure_state import BYTES_PER_AMPLITUDE, PureState
from qdiff.sim.registry import register_backend, require
from qdiff.sim.sizes import size_text

STEP_LIMIT = 10**6
MEMORY_LIMIT = 4 * 2**30
_TO_THE_BASIS = {"X": ("H",), "Y": ("Sdg", "H"), "Z": ()}


class TrajectoryBackend:
    """Runs each shot on its own, in plain NumPy: readable, for small programs and as a reference.

    Args:
        step_limit: a run that would execute more statements and loop guards than this is cut.
        memory_limit: bytes; a program that would need more is refused before it runs.
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
    )

    def __init__(self, *, step_limit: int = STEP_LIMIT, memory_limit: int = MEMORY_LIMIT) -> None:
        if step_limit < 1 or memory_limit < 1:
            raise QdiffError(
                f"step_limit and memory_limit must be positive, got {step_limit} and {memory_limit}."
            )
        self.step_limit = step_limit
        self.memory_limit = memory_limit

    def prepare(self, program: Program, readout: Readout) -> Prepared:
        """See `Backend.prepare`."""
        require(self, program, readout)
        unknown = [qubit for qubit in readout.qubits if qubit not in program.qubits]
        if unknown:
            raise QdiffError(
                f"The read-out names unknown qubits: {listed(unknown)}. Declared: {listed(program.qubits)}."
            )
        most = (self.memory_limit // BYTES_PER_AMPLITUDE).bit_length() - 1
        if len(program.qubits) > most:
            qubits, needed = len(program.qubits), size_text(BYTES_PER_AMPLITUDE << len(program.qubits))
            raise ResourceError(
                f"One run on {qubits} qubits needs {needed} of memory; the limit is "
                f"{size_text(self.memory_limit)}, enough for {max(most, 0)} qubits. Use fewer qubits (reset "
                "and reuse them), or raise the limit: TrajectoryBackend(memory_limit=...)."
            )
        return Prepared(self.name, program, readout)

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        """See `Backend.run`."""
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> Outcomes:
        if job.prepared.backend != self.name:
            raise BackendError(
                f"This was prepared by backend `{job.prepared.backend}`, not by `{self.name}`."
            )
        columns = len(job.prepared.program.counters), len(job.prepared.readout.qubits)
        needed = job.shots * (8 * columns[0] + columns[1] + 2)
        if needed > self.memory_limit:
            raise ResourceError(
                f"The outcomes of {job.shots} shots need {size_text(needed)} of memory; the limit is "
                f"{size_text(self.memory_limit)}. Use fewer shots, or several jobs with different `first`."
            )
        counters = np.zeros((job.shots, columns[0]), dtype=np.int64)
        bits = np.zeros((job.shots, columns[1]), dtype=np.uint8)
        aborted = np.zeros(job.shots, dtype=np.bool_)
        cut = np.zeros(job.shots, dtype=np.bool_)
        machine = _Machine(job, self.step_limit)
        for row in range(job.shots):
            try:
                bits[row] = machine.shot(job.first + row)
            except _Aborted:
                aborted[row] = True
            except _Cut:
                cut[row] = True
            counters[row] = list(machine.store.values())
        return Outcomes(job.seed, counters, bits, aborted, cut)


register_backend(TrajectoryBackend.name, TrajectoryBackend.capabilities, TrajectoryBackend)


class _Aborted(Exception):
    """The run executed `abort`."""


class _Cut(Exception):
    """The run reached the step limit."""


class _Machine:
    """Runs the shots of one job, one after the other."""

    def __init__(self, job: Job, step_limit: int) -> None:
        self.job = job
        self.program = job.prepared.program
        self.step_limit = step_limit
        self.number = {name: i for i, name in enumerate(self.program.qubits)}
        self.constants: dict[Expr, float | int] = {}

    def shot(self, index: int) -> list[int]:
        """Run shot `index` and return the read-out bits."""
        self.state = PureState(len(self.program.qubits), self.program.record)
        self.store = {name: self.job.inputs.get(name, 0) for name in self.program.counters}
        self.random = np.random.Philox(key=self.job.seed, counter=index << 128)
        self.steps = 0
        self.block(self.program.body)
        readout = self.job.prepared.readout
        for qubit, basis in zip(readout.qubits, readout.bases, strict=True):
            for gate in _TO_THE_BASIS[basis]:
                self.state.apply(gate, (), (), self.numbers(qubit))
        outcome = self.measure(readout.qubits) if readout.qubits else 0
        return [outcome >> j & 1 for j in range(len(readout.qubits))]

    def block(self, block: Block) -> None:
        """Execute a block; one Python frame for each level of nesting."""
        for statement in block:
            self.step()
            match statement:
                case Skip():
                    pass
                case Abort():
                    raise _Aborted
                case Reset(qubit=qubit):
                    if self.measure((qubit,)):
                        self.state.apply("X", (), (), self.numbers(qubit))
                case Gate(name=name, angles=angles, controls=controls, targets=targets, pos=pos):
                    values = tuple(float(self.value(angle, pos)) for angle in angles)
                    self.state.apply(name, values, self.numbers(*controls), self.numbers(*targets))
                case Channel(name=name, probability=probability, qubits=qubits, pos=pos):
                    kraus = channel_record(name).kraus(self.probability(probability, pos, name))
                    (place,) = self.numbers(*qubits)
                    self.state.disturb(kraus, place, self.uniform())
                case Assign(counter=counter, value=value, pos=pos):
                    self.assign(counter, self.value(value, pos), pos)
                case Measure(counter=counter, qubits=qubits):
                    self.store[counter] = self.measure(qubits)
                case If(condition=condition, then=then, otherwise=otherwise):
                    self.block(then if self.holds(condition) else otherwise)
                case Case(qubits=qubits, arms=arms, otherwise=otherwise):
                    self.block(dict(arms).get(self.measure(qubits), otherwise))
                case While(condition=condition, body=body, bound=bound):
                    passes = 0
                    while self.holds(condition):
                        self.block(body)
                        passes += 1
                        if passes == bound:
                            raise _Aborted
                        self.step()
                case _:
                    assert_never(statement)

    def holds(self, condition: Condition) -> bool:
        """Evaluate a condition, from the left and no further than needed."""
        match condition:
            case Measured(qubits=qubits, value=value):
                return self.measure(qubits) == value
            case Flip(probability=probability, pos=pos):
                return self.uniform() < self.probability(probability, pos)
            case Compare(left=left, operator=operator, right=right, pos=pos):
                return COMPARE[operator](self.value(left, pos), self.value(right, pos))
            case Not(operand=operand):
                return not self.holds(operand)
            case And(parts=parts):
                for part in parts:  # noqa: SIM110 (a generator would cost a second frame a level)
                    if not self.holds(part):
                        return False
                return True
            case Or(parts=parts):
                for part in parts:  # noqa: SIM110
                    if self.holds(part):
                        return True
                return False
            case _:
                assert_never(condition)

    def probability(self, expr: Expr, pos: Position | None, channel: str = "") -> float:
        """The value of a probability, clipped to [0, 1]."""
        p = self.value(expr, pos)
        if not -PROBABILITY_SLACK <= p <= 1 + PROBABILITY_SLACK:
            raise improbable(self.program, expr, p, pos, channel)
        return min(max(p, 0.0), 1.0)

    def step(self) -> None:
        """Count a statement or a loop guard."""
        if self.steps == self.step_limit:
            raise _Cut
        self.steps += 1

    def uniform(self) -> float:
        """The next random number of this shot, in [0, 1)."""
        return float(int(self.random.random_raw()) >> 11) * 2.0**-53

    def measure(self, qubits: tuple[str, ...]) -> int:
        return self.state.measure(self.numbers(*qubits), self.uniform())

    def numbers(self, *qubits: str) -> tuple[int, ...]:
        return tuple([self.number[qubit] for qubit in qubits])

    def assign(self, counter: str, value: float, pos: Position | None) -> None:
        self.store[counter] = checked_counter(self.program, counter, value, pos)

    def value(self, expr: Expr, pos: Position | None) -> float | int:
        """Evaluate an expression; what reads no counter is evaluated once a job."""
        if expr in self.constants:
            return self.constants[expr]
        try:
            value = expr.evaluate(self.job.params, self.store)
        except ValueFailure as failure:
            place = failure.node.place() or expr.place() or pos
            raise located(self.program, failure.message, place) from None
        if not expr.counters():
            self.constants[expr] = value
        return value
