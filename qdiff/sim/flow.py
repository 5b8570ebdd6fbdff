"""Lowering: a program becomes a control-flow graph of small instructions.

Every instruction names its successors by index. Gates are split into *small gates* (one or two
targets, declared gates up to six; any controls, at most one angle): `U` into its three primitives, a
rotation about a Pauli string of three letters or more into a rotation about Z between Cliffords. A
bounded loop counts its passes in a hidden counter, which is one more entry of the store.

A noise channel is one instruction, a linear map on density matrices. For engines that follow pure
states a mixture is *unravelled*: dephase(p) is Z with probability p, depolarize(p) with probability p
a reset and then X with probability 1/2.

*Meeting points* are the instructions where runs with different outcomes come together (loop heads,
the end of a branch that measures or flips, the end of the program). Between two of them a program is
a tree of outcomes, so an engine needs a state at meeting points only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang import tree as t
from qdiff.lang.channels import ChannelRecord, channel_record
from qdiff.lang.expr import ONE, ZERO, Counter, Expr, add, number
from qdiff.lang.gates import GateRecord, record
from qdiff.lang.source import Position
from qdiff.lang.walk import conditions, statements


@dataclass(frozen=True, slots=True)
class SmallGate:
    """A gate on few targets: one or two, or as many as a declared gate has.

    Attributes:
        expression: index into `Flow.expressions`, -1 where the matrix is constant.
        controls: bit mask.
        angle: of a rotation by a constant, in radians.
    """

    record: GateRecord
    expression: int
    targets: tuple[int, ...]
    controls: int
    angle: float | None = None

    def constant(self) -> NDArray[np.complex128]:
        """The matrix of a gate that does not depend on parameters or counters."""
        return self.record.matrix() if self.angle is None else self.record.matrix(self.angle)

    @property
    def spectrum(self) -> NDArray[np.float64]:
        """Eigenvalues of G, controls included: where one of them is 0, G is 0; empty for a fixed gate."""
        found = self.record.spectrum
        return np.append(found, 0.0) if self.controls and len(found) else found

    @property
    def frequency(self) -> float:
        """The largest difference of eigenvalues of G/2, ‖∂𝓔/∂a‖ of the channel; 0 for a fixed gate."""
        found = self.spectrum
        return float(found.max() - found.min()) / 2 if len(found) else 0.0


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply `Flow.gates[gate]`."""

    gate: int
    next: int


@dataclass(frozen=True, slots=True)
class ResetBits:
    """Set the qubits of a bit mask to |0>."""

    bits: int
    next: int


@dataclass(frozen=True, slots=True)
class MeasureBits:
    """Measure qubits; outcome u (first qubit least significant) goes on at `targets[u]`."""

    qubits: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RecordBits:
    """Measure qubits and write the outcome into a counter."""

    qubits: tuple[int, ...]
    counter: int
    next: int


@dataclass(frozen=True, slots=True)
class Toss:
    """Go on at `if_true` with the probability `Flow.expressions[expression]`.

    `channel` names the channel that it is a part of, "" for a flip.
    """

    expression: int
    if_true: int
    if_false: int
    channel: str = ""


@dataclass(frozen=True, slots=True)
class ChannelBits:
    """Apply a noise channel to a qubit, with the probability `Flow.expressions[expression]`."""

    record: ChannelRecord
    qubit: int
    expression: int
    next: int


@dataclass(frozen=True, slots=True)
class Decide:
    """Compare two expressions of counters and compared parameters."""

    condition: t.Compare
    if_true: int
    if_false: int


@dataclass(frozen=True, slots=True)
class Set:
    """counter := integer expression."""

    counter: int
    value: Expr
    position: Position | None
    next: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Count a passage: 2l at each evaluation of the guard of loop l, 2l + 1 at each pass."""

    index: int
    next: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The end of the program, or an abort."""

    aborted: bool


Instruction: TypeAlias = (
    Apply | ResetBits | MeasureBits | RecordBits | Toss | ChannelBits | Decide | Set | Mark | Stop
)


@dataclass
class Flow:
    """A lowered program.

    Attributes:
        entry: where it starts; instruction 0 is its end, 1 the abort.
        meeting: indices of the meeting points (entry and end included).
        gates, expressions: tables that instructions index; expressions hold angles and probabilities.
        counters: names of the entries of a store: the program's counters, then hidden ones.
        loops: the loops in printed order.
        written: by instruction, the angles or the probability of what it was made from, as they stand in the
            text: `expressions` keeps one of several that are equal.
    """

    program: t.Program
    instructions: list[Instruction] = field(default_factory=list)
    entry: int = 0
    meeting: set[int] = field(default_factory=set)
    gates: list[SmallGate] = field(default_factory=list)
    expressions: list[Expr] = field(default_factory=list)
    counters: list[str] = field(default_factory=list)
    loops: list[t.While] = field(default_factory=list)
    written: dict[int, tuple[Expr, ...]] = field(default_factory=dict)

    @property
    def own(self) -> int:
        """How many counters are the program's; the hidden ones follow them."""
        return len(self.program.counters)

    @cached_property
    def index(self) -> dict[str, int]:
        """Name → index of every counter; of a flow that is complete."""
        return {name: i for i, name in enumerate(self.counters)}


END, ABORT = 0, 1


def lower(program: t.Program, *, unravel: bool = False) -> Flow:
    """Return the control-flow graph of a program.

    Args:
        unravel: whether channels become tosses, gates and resets; all of them are mixtures then.
    """
    return _Lowering(program, unravel).flow


class _Lowering:
    """Builds the graph from its end to its beginning, so that successors exist before they are named."""

    def __init__(self, program: t.Program, unravel: bool) -> None:
        self.unravel = unravel
        self.flow = Flow(program, [Stop(aborted=False), Stop(aborted=True)], counters=list(program.counters))
        self.qubit = {name: i for i, name in enumerate(program.qubits)}
        self.counter = {name: i for i, name in enumerate(program.counters)}
        self.expression_index: dict[Expr, int] = {}
        self.gate_index: dict[tuple[object, ...], int] = {}
        self.flow.loops = loops_of(program.body)
        self.unnumbered = len(self.flow.loops)
        self.flow.entry = self.block(program.body, END)
        self.flow.meeting |= {self.flow.entry, END}

    def emit(self, instruction: Instruction, written: tuple[Expr, ...] = ()) -> int:
        self.flow.instructions.append(instruction)
        index = len(self.flow.instructions) - 1
        if written:
            self.flow.written[index] = written
        return index

    def expression(self, expr: Expr) -> int:
        if expr not in self.expression_index:
            self.expression_index[expr] = len(self.flow.expressions)
            self.flow.expressions.append(expr)
        return self.expression_index[expr]

    def block(self, block: t.Block, following: int) -> int:
        """Lower a block that goes on at `following`; return where it starts."""
        end = following
        for statement in reversed(block):
            match statement:
                case t.Skip():
                    pass
                case t.Abort():
                    following = ABORT
                case t.Reset(qubit=qubit):
                    following = self.reset(1 << self.qubit[qubit], following, merge=following != end)
                case t.Gate():
                    for gate in reversed(self.small_gates(statement)):
                        following = self.emit(Apply(gate, following), statement.angles)
                case t.Channel():
                    following = self.channel(statement, following)
                case t.Assign(counter=counter, value=value):
                    following = self.emit(Set(self.counter[counter], value, statement.pos, following))
                case t.Measure(counter=counter, qubits=qubits):
                    following = self.emit(RecordBits(self.bits(qubits), self.counter[counter], following))
                case t.If(condition=condition, then=then, otherwise=otherwise):
                    if is_random(condition):
                        self.flow.meeting.add(following)
                    if_false = self.block(otherwise, following)
                    if_true = self.block(then, following)
                    following = self.condition(condition, if_true, if_false)
                case t.Case(qubits=qubits, arms=arms, otherwise=otherwise):
                    self.flow.meeting.add(following)
                    elsewhere = self.block(otherwise, following)
                    targets = [elsewhere] * (1 << len(qubits))
                    for outcome, body in reversed(arms):
                        targets[outcome] = self.block(body, following)
                    following = self.emit(MeasureBits(self.bits(qubits), tuple(targets)))
                case t.While():
                    following = self.loop(statement, following)
                case _:
                    assert_never(statement)
        return following

    def loop(self, loop: t.While, following: int) -> int:
        # Loops are met from the end, but numbered as they are printed: a loop before those inside it.
        index = self.unnumbered - 1 - len(loops_of(loop.body))
        hidden = None
        if loop.bound is not None:
            hidden = len(self.flow.counters)
            self.flow.counters.append(f"passes of loop {hidden}")  # no such name can be declared
            following = self.emit(Set(hidden, ZERO, None, following))
        if is_random(loop.condition):
            self.flow.meeting.add(following)
        head = self.emit(Stop(aborted=True))  # filled in below: the body must know where it is
        self.flow.meeting.add(head)
        start = self.emit(Mark(2 * index + 1, self.block(loop.body, head)))
        self.unnumbered = index
        if hidden is not None:
            passes = Counter(self.flow.counters[hidden])
            start = self.emit(Set(hidden, add(passes, ONE), None, start))
        guard = self.emit(Mark(2 * index, self.condition(loop.condition, start, following)))
        if hidden is None:
            self.flow.instructions[head] = self.flow.instructions[guard]
            return head
        assert loop.bound is not None
        enough = t.Compare(passes, ">=", number(loop.bound))
        self.flow.instructions[head] = Decide(enough, ABORT, guard)
        return head

    def condition(self, condition: t.Condition, if_true: int, if_false: int) -> int:
        """Lower a condition; return where its evaluation starts."""
        match condition:
            case t.Measured(qubits=qubits, value=value):
                targets = [if_false] * (1 << len(qubits))
                targets[value] = if_true
                return self.emit(MeasureBits(self.bits(qubits), tuple(targets)))
            case t.Flip(probability=probability):
                return self.emit(Toss(self.expression(probability), if_true, if_false), (probability,))
            case t.Compare():
                return self.emit(Decide(condition, if_true, if_false))
            case t.Not(operand=operand):
                return self.condition(operand, if_false, if_true)
            case t.And(parts=parts):
                self._meet(condition, if_false)
                for part in reversed(parts):
                    if_true = self.condition(part, if_true, if_false)
                return if_true
            case t.Or(parts=parts):
                self._meet(condition, if_true)
                for part in reversed(parts):
                    if_false = self.condition(part, if_true, if_false)
                return if_false
            case _:
                assert_never(condition)

    def _meet(self, condition: t.Condition, target: int) -> None:
        """Several parts of a condition can go on at `target`."""
        if is_random(condition) and target != ABORT:
            self.flow.meeting.add(target)

    def reset(self, bits: int, following: int, *, merge: bool = False) -> int:
        # Neighbouring resets of a block act on different qubits and commute: one instruction does them all.
        after = self.flow.instructions[following]
        if merge and isinstance(after, ResetBits) and following not in self.flow.meeting:
            return self.emit(ResetBits(bits | after.bits, after.next))
        return self.emit(ResetBits(bits, following))

    def channel(self, channel: t.Channel, following: int) -> int:
        entry, expression = channel_record(channel.name), self.expression(channel.probability)
        (qubit,) = self.bits(channel.qubits)
        if not self.unravel:
            noise = ChannelBits(entry, qubit, expression, following)
            return self.emit(noise, (channel.probability,))
        self.flow.meeting.add(following)
        match entry.name:
            case "dephase":
                happens = self.emit(Apply(self._gate(record("Z"), None, (qubit,), 0), following))
            case "depolarize":
                turned = self.emit(Apply(self._gate(record("X"), None, (qubit,), 0), following))
                coin = self.emit(Toss(self.expression(number(0.5)), turned, following, entry.name))
                happens = self.reset(1 << qubit, coin)
            case _:
                raise QdiffError(f"The channel `{entry.name}` is no mixture of gates and resets.")
        return self.emit(Toss(expression, happens, following, entry.name))

    def bits(self, qubits: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(self.qubit[name] for name in qubits)

    def small_gates(self, gate: t.Gate) -> list[int]:
        """Indices of the small gates that make up a gate, first applied first."""
        controls = sum(1 << self.qubit[name] for name in gate.controls)
        targets = self.bits(gate.targets)
        entry = self.flow.program.record(gate.name)
        if entry.parts:
            return [
                self._gate(record(part.gate), gate.angles[part.angle], targets, controls)
                for part in entry.parts
            ]
        angle = gate.angles[0] if gate.angles else None
        if len(entry.pauli) > 2:
            before, after = _to_z_string(entry.pauli, targets)
            middle = self._gate(record("Rz"), angle, targets[-1:], controls)
            return [*self._fixed(before), middle, *self._fixed(after)]
        return [self._gate(entry, angle, targets, controls)]

    def _fixed(self, gates: list[tuple[str, int, int]]) -> list[int]:
        return [self._gate(record(name), None, (target,), controls) for name, target, controls in gates]

    def _gate(self, entry: GateRecord, angle: Expr | None, targets: tuple[int, ...], controls: int) -> int:
        value = None if angle is None else _constant(angle)
        expression = -1 if angle is None or value is not None else self.expression(angle)
        key = (entry.name, expression, value, targets, controls)
        if key not in self.gate_index:
            self.gate_index[key] = len(self.flow.gates)
            self.flow.gates.append(SmallGate(entry, expression, targets, controls, value))
        return self.gate_index[key]


def _constant(angle: Expr) -> float | None:
    """The value of an angle without parameters and counters; None where it varies or does not exist."""
    if angle.parameters() or angle.counters():
        return None
    try:
        return float(angle.evaluate())
    except (EvaluationError, OverflowError):
        return None  # an error where it is reached, and only there


def loops_of(block: t.Block) -> list[t.While]:
    """The loops of a block in printed order."""
    return [statement for statement in statements(block) if isinstance(statement, t.While)]


def is_random(condition: t.Condition) -> bool:
    """Whether evaluating a condition measures or flips."""
    return any(isinstance(part, t.Measured | t.Flip) for part in conditions(condition))


def _to_z_string(
    letters: str, targets: tuple[int, ...]
) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """Gates (name, target, control mask) that turn a Pauli string into Z on its last qubit, and back."""
    before: list[tuple[str, int, int]] = []
    after: list[tuple[str, int, int]] = []
    for letter, target in zip(letters, targets, strict=True):
        if letter == "Y":
            before.append(("Sdg", target, 0))
            after.append(("S", target, 0))
        if letter in "XY":
            before.append(("H", target, 0))
            after.insert(len(after) - (letter == "Y"), ("H", target, 0))
    ladder = [("X", b, 1 << a) for a, b in pairwise(targets)]
    return before + ladder, ladder[::-1] + after
