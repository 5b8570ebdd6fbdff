"""The plain sampler: every shot walks the program tree with one pure state and one store.

Shot i of a job draws its numbers from numpy's Philox with the job's seed as key and i·2¹²⁸ as
counter: u = (word >> 11)·2⁻⁵³, one for each measurement, reset, flip, channel and read-out, in the
order in which they happen; neighbouring resets of a block happen in declared order. Of a channel one
Kraus operator acts (a quantum trajectory; Dalibard, Castin and Mølmer, 1992). So its outcome depends on
(seed, i) and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

import numpy as np
from reference.interpreter import expectation
from sim.machine.pure_state import PureState

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
    Statement,
    While,
)
from qdiff.sim.protocol import Capabilities, Job, Outcomes, Prepared, Readout

STEP_LIMIT = 10**6
_TO_THE_BASIS = {"X": ("H",), "Y": ("Sdg", "H"), "Z": ()}


class PlainSampler:
    """Runs each shot on its own, in plain NumPy: readable, for small programs and as a reference.

    Args:
        step_limit: a run that would execute more statements and loop guards than this is cut.
    """

    name = "plain"
    capabilities = Capabilities(
        loops=True,
        nested_ifs=True,
        counters=True,
        reset=True,
        flip=True,
        mid_circuit_measurement=True,
        noise=True,
        expectations=True,
        inputs_by_shot=True,
    )

    def __init__(self, *, step_limit: int = STEP_LIMIT) -> None:
        self.step_limit = step_limit

    def prepare(self, program: Program, readout: Readout) -> Prepared:
        """See `Backend.prepare`."""
        return Prepared(self.name, program, readout)

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        """See `Backend.run`."""
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> Outcomes:
        program, readout = job.prepared.program, job.prepared.readout
        counters = np.zeros((job.shots, len(program.counters)), dtype=np.int64)
        bits = np.zeros((job.shots, len(readout.qubits)), dtype=np.uint8)
        aborted = np.zeros(job.shots, dtype=np.bool_)
        cut = np.zeros(job.shots, dtype=np.bool_)
        expectations = np.zeros((job.shots, len(readout.expectations)))
        machine = _Machine(job, self.step_limit)
        for row in range(job.shots):
            try:
                machine.shot(row)
                expectations[row] = machine.expectations()
                bits[row] = machine.readout()
            except _Aborted:
                aborted[row] = True
            except _Cut:
                cut[row] = True
            counters[row] = list(machine.store.values())
        found = expectations if readout.expectations else None
        return Outcomes(job.seed, counters, bits, aborted, cut, expectations=found)


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

    def shot(self, row: int) -> None:
        """Run the shot of a row up to the read-out."""
        self.state = PureState(len(self.program.qubits), self.program.record)
        starts = {name: np.broadcast_to(value, self.job.shots) for name, value in self.job.inputs.items()}
        self.store = {name: int(starts[name][row]) if name in starts else 0 for name in self.program.counters}
        self.random = np.random.Philox(key=self.job.seed, counter=(self.job.first + row) << 128)
        self.steps = 0
        self.block(self.program.body)

    def expectations(self) -> list[float]:
        """The expectation of every observable of the read-out, in the state as it is."""
        psi = self.state.tensor.ravel()
        final = {tuple(self.store.values()): np.outer(psi, psi.conj())}
        return [float(expectation(self.program, o, final)) for o in self.job.prepared.readout.expectations]

    def readout(self) -> list[int]:
        """Measure the qubits of the read-out in their bases."""
        readout = self.job.prepared.readout
        for qubit, basis in zip(readout.qubits, readout.bases, strict=True):
            for gate in _TO_THE_BASIS[basis]:
                self.state.apply(gate, (), (), self.numbers(qubit))
        outcome = self.measure(readout.qubits) if readout.qubits else 0
        return [outcome >> j & 1 for j in range(len(readout.qubits))]

    def block(self, block: Block) -> None:
        """Execute a block."""
        for statement in self.ordered(block):
            self.step()
            match statement:
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

    def ordered(self, block: Block) -> Iterator[Statement]:
        """The statements of a block, neighbouring resets as one: each qubit once, in declared order."""
        waiting: set[str] = set()
        for statement in (*block, None):
            match statement:
                case Reset(qubit=qubit):
                    waiting.add(qubit)
                    continue
                case Skip():
                    continue
            for qubit in sorted(waiting, key=self.program.qubits.index):
                yield Reset(qubit)
            waiting.clear()
            if statement is not None:
                yield statement

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
                for part in parts:  # noqa: SIM110
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
