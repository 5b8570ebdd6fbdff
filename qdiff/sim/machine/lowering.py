"""Lowering: the control-flow graph of a program, and its read-out, become a flat plan.

Neighbouring gates between two other instructions are collected and fused (`fusion`); a gate whose angle reads
a counter stays alone, its matrix is made while the program runs. Parameters play no part: a plan is made
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np

from qdiff.lang.channels import ChannelRecord
from qdiff.lang.expr import Counter, Expr, Negate, Number, Sum
from qdiff.lang.gates import record
from qdiff.lang.observable import Observable, Term
from qdiff.lang.pauli_algebra import Operators
from qdiff.lang.tree import OPERATORS, Program
from qdiff.sim import flow as f
from qdiff.sim.machine import code as c
from qdiff.sim.machine.bytecode import compile_expressions
from qdiff.sim.machine.fusion import LISTED_QUBITS, Block, fuse, pattern
from qdiff.sim.protocol import Readout
from qdiff.sim.pure.operators import Masks
from qdiff.sim.pure.plan import FIELDS, FIELDS_END, FIRST, GENERAL, KIND, MANY, SECOND, Layout, placed

STEEPEST = 2**62
MOST_AMPLITUDES = 2**25
"""That one instruction passes over: a tenth of a second."""
TO_THE_BASIS = {"X": ("H",), "Y": ("Sdg", "H"), "Z": ()}


def lower(program: Program, readout: Readout) -> c.Lowered:
    """Return the plan of a program that ends with a read-out."""
    return _Lowering(program, readout).lowered()


@dataclass
class _Tables:
    """The growing tables of `Code`."""

    targets: list[int] = field(default_factory=list)
    qubits: list[int] = field(default_factory=list)
    ops: list[list[int]] = field(default_factory=list)
    fields: list[tuple[int, int]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    perms: list[int] = field(default_factory=list)
    members: list[list[int]] = field(default_factory=list)
    member_starts: list[int] = field(default_factory=lambda: [0])
    data: list[complex] = field(default_factory=list)


class _Lowering:
    def __init__(self, program: Program, readout: Readout) -> None:
        self.program = program
        self.readout = readout
        self.flow = f.lower(program)
        self.n = len(program.qubits)
        self.number = {name: i for i, name in enumerate(program.qubits)}
        self.gates = list(self.flow.gates)
        self.expressions: list[Expr] = list(self.flow.expressions)
        self.known = {expression: i for i, expression in enumerate(self.expressions)}
        self.tables = _Tables()
        self.rows: list[list[int]] = []
        self.sources: list[f.Instruction | None] = []
        self.written: dict[int, tuple[Expr, ...]] = {}
        self.channels: dict[int, ChannelRecord] = {}
        self.matrices = self.kraus = 0
        self.outcomes = c.KRAUS

    def lowered(self) -> c.Lowered:
        entry = self.instructions()
        operators, masks, phases = self.operators()
        gates, gate_matrices = self.gate_table()
        t = self.tables
        compiled = compile_expressions(self.expressions, self.program.parameters, self.flow.counters)
        code = c.Code(
            instructions=_table(self.rows, c.WIDTH),
            targets=_row(t.targets),
            qubits=_row(t.qubits),
            ops=_table(t.ops, c.OP_WIDTH),
            low=_row([(1 << position) - 1 for position, _ in t.fields]),
            width=_row([width for _, width in t.fields]),
            places=_row(t.places),
            perms=_row(t.perms),
            members=_table(t.members, c.MEMBER_WIDTH),
            member_starts=_row(t.member_starts),
            gates=gates,
            data=np.array(t.data, dtype=np.complex128),
            starts=compiled.starts,
            rows=compiled.rows,
            floats=compiled.floats,
            modes=compiled.modes,
            whole=compiled.whole,
            hazards=compiled.hazards,
            masks=masks,
            phases=phases,
        )
        return c.Lowered(
            program=self.program,
            readout=self.readout,
            code=code,
            entry=entry,
            qubits=self.n,
            counters=tuple(self.flow.counters),
            expressions=tuple(self.expressions),
            gates=tuple(self.gates),
            channels=self.channels,
            operators=tuple(operators),
            sources=tuple(self.sources),
            written=self.written,
            matrices=self.matrices,
            gate_matrices=gate_matrices,
            kraus=self.kraus,
            longest=compiled.longest,
            outcomes=self.outcomes,
        )

    # --- Instructions -----------------------------------------------------------------------------

    def instructions(self) -> int:
        """Write all instructions that can be reached; return where the program starts."""
        entered = self.entered()
        place: dict[int, int] = {}
        start = self.unmarked(self.flow.entry)
        pending = [start]
        patches: list[tuple[int, int, int]] = []  # row, column, instruction of the flow
        target_patches: list[tuple[int, int]] = []
        while pending:
            index = pending.pop()
            if index in place:
                continue
            place[index] = len(self.rows)
            before = len(self.tables.targets)
            follows = self.instruction(index, entered)
            last = len(self.rows) - 1
            for column, marked in follows:
                following = self.unmarked(marked)
                patches.append((last, column, following))
                pending.append(following)
            for i in range(before, len(self.tables.targets)):
                following = self.unmarked(self.tables.targets[i])
                target_patches.append((i, following))
                pending.append(following)
        for row, column, following in patches:
            self.rows[row][column] = place[following]
        for i, following in target_patches:
            self.tables.targets[i] = place[following]
        return place[start]

    def unmarked(self, index: int) -> int:
        """Pass over marks: the machine counts steps, not passages."""
        while isinstance(mark := self.flow.instructions[index], f.Mark):
            index = mark.next
        return index

    def entered(self) -> dict[int, int]:
        """How many ways lead to each instruction of the flow."""
        start = self.unmarked(self.flow.entry)
        count = {start: 1}
        pending, seen = [start], {start}
        while pending:
            for following in map(self.unmarked, _followers(self.flow.instructions[pending.pop()])):
                count[following] = count.get(following, 0) + 1
                if following not in seen:
                    seen.add(following)
                    pending.append(following)
        return count

    def instruction(self, index: int, entered: dict[int, int]) -> list[tuple[int, int]]:
        """Write one instruction, or a run of gates; return the columns that wait for their successors."""
        if index == f.END:
            return self.ending()
        instruction = self.flow.instructions[index]
        match instruction:
            case f.Apply():
                return self.run_of_gates(index, entered)
            case f.Mark():
                raise AssertionError("marks are passed over")
            case f.MeasureBits(qubits=qubits, targets=targets):
                start = len(self.tables.targets)
                self.tables.targets += targets
                self.emit(c.MEASURE, instruction, *self.qubits(qubits), start)
                return []
            case f.RecordBits(qubits=qubits, counter=counter, next=following):
                self.emit(c.RECORD, instruction, *self.qubits(qubits), counter)
                return [(c.NEXT, following)]
            case f.ResetBits(bits=bits, next=following):
                if bits == (1 << self.n) - 1 and self.n > 1:
                    self.emit(c.CLEAR, instruction, self.n)
                    return [(c.NEXT, following)]
                reset = [q for q in range(self.n) if bits >> q & 1]
                for q in reset[:-1]:
                    self.chained(c.RESET, q)
                self.emit(c.RESET, instruction, reset[-1])
                return [(c.NEXT, following)]
            case f.Toss(expression=expression, if_true=if_true, if_false=if_false):
                self.written[len(self.rows)] = self.flow.written[index]
                self.emit(c.TOSS, instruction, expression)
                return [(c.NEXT, if_true), (c.ELSE, if_false)]
            case f.ChannelBits(record=entry, qubit=qubit, expression=expression, next=following):
                self.channels[len(self.rows)] = entry
                self.written[len(self.rows)] = self.flow.written[index]
                self.emit(c.CHANNEL, instruction, expression, qubit, self.kraus)
                self.kraus += 4 * c.KRAUS
                return [(c.NEXT, following)]
            case f.Decide(condition=condition, if_true=if_true, if_false=if_false):
                left, right = self.expression(condition.left), self.expression(condition.right)
                self.written[len(self.rows)] = condition.left, condition.right
                self.emit(c.DECIDE, instruction, left, right, OPERATORS.index(condition.operator))
                return [(c.NEXT, if_true), (c.ELSE, if_false)]
            case f.Set(counter=counter, value=value, next=following):
                step = _step(self.flow.counters[counter], value)
                self.written[len(self.rows)] = (value,)
                if step is None:
                    self.emit(c.SET, instruction, self.expression(value), counter)
                else:
                    self.emit(c.STEP, instruction, counter, step, self.expression(value))
                return [(c.NEXT, following)]
            case f.Stop(aborted=aborted):
                self.emit(c.STOP, instruction, int(aborted))
                return []
            case _:
                assert_never(instruction)

    def emit(self, op: int, source: f.Instruction | None, a: int = 0, b: int = 0, other: int = 0) -> None:
        self.rows.append([op, a, b, other, 0, 0, 1])
        self.sources.append(source)

    def qubits(self, qubits: Sequence[int]) -> tuple[int, int]:
        start = len(self.tables.qubits)
        self.tables.qubits += qubits
        self.outcomes = max(self.outcomes, 1 << len(qubits))
        return start, len(qubits)

    def expression(self, expression: Expr) -> int:
        if expression not in self.known:
            self.known[expression] = len(self.expressions)
            self.expressions.append(expression)
        return self.known[expression]

    def ending(self) -> list[tuple[int, int]]:
        """The end of the program: turn to the bases of the read-out, measure, take expectations."""
        readout = self.readout
        turned = [
            self.fixed_gate(name, self.number[qubit])
            for qubit, basis in zip(readout.qubits, readout.bases, strict=True)
            for name in TO_THE_BASIS[basis]
        ]
        if readout.expectations:
            number, most = len(self.products()), max(MOST_AMPLITUDES >> self.n, 1)
            for first in range(0, max(number, 1), most):
                self.chained(c.EXPECT, first, min(first + most, number))
                self.rows[-1][c.COST] = int(first == 0)
        if turned:
            self.fused(turned, (), None)
            self.rows[-1][c.NEXT] = len(self.rows)
        if readout.qubits:
            self.chained(c.READ, *self.qubits([self.number[qubit] for qubit in readout.qubits]))
        self.emit(c.STOP, self.flow.instructions[f.END])
        return []

    def chained(self, op: int, a: int = 0, b: int = 0) -> None:
        self.emit(op, None, a, b)
        self.rows[-1][c.NEXT] = len(self.rows)

    # --- Gates ------------------------------------------------------------------------------------

    def run_of_gates(self, index: int, entered: dict[int, int]) -> list[tuple[int, int]]:
        """Collect gates up to one that reads counters, or to where other ways join."""
        first = self.flow.instructions[index]
        sequence: list[int] = []
        written: list[Expr] = []
        following = index
        while isinstance(instruction := self.flow.instructions[following], f.Apply):
            if sequence and (entered[following] > 1 or self.is_live(instruction.gate)):
                break
            sequence.append(instruction.gate)
            written += self.flow.written.get(following, ())
            following = self.unmarked(instruction.next)
            if self.is_live(sequence[0]):
                break
        self.fused(sequence, tuple(written), first)
        if self.is_live(sequence[0]):
            self.rows[-1][c.OP] = c.LIVE_GATE
        return [(c.NEXT, following)]

    def is_live(self, gate: int) -> bool:
        expression = self.gates[gate].expression
        return expression >= 0 and bool(self.expressions[expression].counters())

    def fused(self, sequence: Sequence[int], written: tuple[Expr, ...], source: f.Instruction | None) -> None:
        """Write instructions for a sequence of gates, each short enough for an interrupt behind it."""
        start, blocks = len(self.tables.ops), fuse(sequence, self.gates, self.n)
        for block in blocks:
            self.op(block)
        most, end = max(MOST_AMPLITUDES >> self.n, 1), len(self.tables.ops)
        costs = [len(block.gates) for block in blocks]
        left = max(len(sequence), 1)  # with identities, which are in no block
        for first in range(start, max(end, start + 1), most):
            if first > start:
                self.rows[-1][c.NEXT] = len(self.rows)
            self.written[len(self.rows)] = written
            last = min(first + most, end)
            self.emit(c.GATES, source, first, last)
            cost = left if last == end else sum(costs[first - start : last - start])
            self.rows[-1][c.COST], left = cost, left - cost

    def op(self, block: Block) -> None:
        """Write one pass over the amplitudes."""
        t = self.tables
        register = sorted(block.qubits)
        alone = len(block.gates) == 1
        if alone:
            [g] = block.gates
            gate = self.gates[g]
            layout = self.layout(gate.targets, gate.controls)
            size, live = 4**gate.record.targets, g if self.is_live(g) else -1
            members = [(g, Layout((0,) * 9, (), ()))]
        elif block.whole:
            layout = Layout((c.DENSE, 0, 0, 0, 0, 0, 1, 1, 1), (), ())
            size, live = 4**self.n, -1
            members = [(g, self.within(g, range(self.n))) for g in block.gates]
        elif block.monomial and self.n <= LISTED_QUBITS:
            layout = Layout((c.MONOMIAL, len(t.perms), 0, 0, 0, 0, 1, 1, 1), (), ())
            t.perms += self.permutation(block.gates)
            size, live = 1 << self.n, -1
            members = [(g, self.within(g, range(self.n))) for g in block.gates]
        else:
            layout = self.layout(register, 0)
            size, live = 4 ** len(register), -1
            members = [(g, self.within(g, register)) for g in block.gates]
        t.ops.append([*self.where(layout), self.matrices, size, live])
        self.matrices += size
        for g, local in members:
            t.members.append([*self.where(local), g])
        t.member_starts.append(len(t.members))

    def layout(self, targets: Sequence[int], controls: int) -> Layout:
        """Where a block acts on the register."""
        if self.n > LISTED_QUBITS:
            return placed(_loop(len(targets)), targets, controls, self.n, near=True)
        fixed = controls | sum(1 << q for q in targets)
        bases = [i for i in range(1 << self.n) if i & fixed == controls]
        start = len(self.tables.perms)
        self.tables.perms += bases
        if len(targets) == 1:
            return Layout((c.LISTED, 1 << targets[0], 2, 0, start, start, len(bases), 0, 1), (), ())
        places = placed(MANY, targets, 0, self.n).places
        return Layout((c.LISTED_MANY, 0, 0, 0, start, start, len(bases), 0, 1), (), (), places)

    def within(self, g: int, register: Sequence[int]) -> Layout:
        """Where a gate acts within a block on the qubits of `register`."""
        gate, local = self.gates[g], {q: i for i, q in enumerate(register)}
        controls = sum(1 << local[q] for q in range(self.n) if gate.controls >> q & 1)
        return placed(_loop(len(gate.targets)), [local[q] for q in gate.targets], controls, len(register))

    def where(self, layout: Layout) -> list[int]:
        """The columns of a layout, its fields and places put into the tables."""
        t, row = self.tables, list(layout.row)
        if row[KIND] in (GENERAL, MANY):
            row[FIELDS], row[FIELDS_END] = len(t.fields), len(t.fields) + len(layout.fields)
            t.fields += layout.fields
        if row[KIND] in (MANY, c.LISTED_MANY):
            row[FIRST], row[SECOND] = len(t.places), len(layout.places)
            t.places += layout.places
        return row

    def permutation(self, sequence: Sequence[int]) -> list[int]:
        """Where each amplitude comes from after monomial gates."""
        source = np.arange(1 << self.n)
        for g in sequence:
            gate = self.gates[g]
            columns = pattern(gate).argmax(axis=1)
            index = np.arange(1 << self.n)
            local = sum(((index >> q & 1) << i) for i, q in enumerate(gate.targets))
            came = columns[local]
            before = index.copy()
            for i, q in enumerate(gate.targets):
                before = before & ~(1 << q) | ((came >> i & 1) << q)
            acts = (index & gate.controls) == gate.controls
            source = source[np.where(acts, before, index)]
        return [int(i) for i in source]

    def fixed_gate(self, name: str, qubit: int) -> int:
        self.gates.append(f.SmallGate(record(name), -1, (qubit,), 0))
        return len(self.gates) - 1

    def gate_table(self) -> tuple[c.Ints, int]:
        """How the matrix of every gate follows from its angle."""
        rows, place = [], 0
        for gate in self.gates:
            entry, start = gate.record, len(self.tables.data)
            size = 1 << entry.targets
            if gate.expression < 0:
                how = c.FIXED
                numbers = [gate.constant()]
            elif entry.drift is not None:
                how, numbers = c.DRIFTING, []
            elif entry.pauli:
                assert entry.generator is not None
                how, numbers = c.INVOLUTION, [entry.generator]
            else:
                values, vectors = entry.eigen
                how, numbers = c.SPECTRAL, [vectors, values.astype(complex)]
            for array in numbers:
                self.tables.data += [complex(x) for x in np.ravel(array)]
            rows.append([how, gate.expression, size, start, place])
            place += size * size
        return _table(rows, 5), place

    def operators(self) -> tuple[list[Operators], c.Ints, c.Complexes]:
        """The products of operators in the read-out, and as bit masks."""
        found = self.products()
        masks = [
            Masks.of(Observable([Term(1.0, (), operators)]), {}, self.program.qubits) for operators in found
        ]
        rows = [[int(m.flips[0]), int(m.signs[0]), int(m.kept[0]), int(m.ones[0])] for m in masks]
        phases = np.array([m.coefficients[0] for m in masks], dtype=np.complex128)
        return found, _table(rows, 4), phases

    def products(self) -> list[Operators]:
        """The products of one-qubit operators in the expectations of the read-out."""
        terms = (term for observable in self.readout.expectations for term in observable.terms)
        return list(dict.fromkeys(term.operators for term in terms))


def _loop(targets: int) -> int:
    """The kind of loop for a block on so many targets."""
    return GENERAL if targets == 1 else MANY


def _step(counter: str, value: Expr) -> int | None:
    """By how much an assignment raises its counter; None for any other assignment."""
    match value:
        case Sum(terms=(Counter(name=name), Number(value=int() as step))) if name == counter:
            return step if step < STEEPEST else None
        case Sum(terms=(Counter(name=name), Negate(operand=Number(value=int() as step)))) if name == counter:
            return -step if step < STEEPEST else None
        case _:
            return None


def _followers(instruction: f.Instruction) -> Sequence[int]:
    match instruction:
        case f.MeasureBits(targets=targets):
            return targets
        case f.Toss(if_true=if_true, if_false=if_false) | f.Decide(if_true=if_true, if_false=if_false):
            return (if_true, if_false)
        case f.Stop():
            return ()
        case _:
            return (instruction.next,)


def _row(numbers: Sequence[int]) -> c.Ints:
    return np.array(numbers, dtype=np.int64)


def _table(rows: Sequence[Sequence[int]], columns: int) -> c.Ints:
    return np.array(rows, dtype=np.int64).reshape(len(rows), columns)
