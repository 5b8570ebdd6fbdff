"""Programs as Qiskit circuits: parameters as symbols, counters as bits or variables, loops as loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qdiff.errors import EvaluationError, QdiffError, listed
from qdiff.interop.explicit import Inexpressible, explicit
from qdiff.interop.explicit.bits import constant
from qdiff.interop.explicit.ranges import MOST_STORES, Ranges
from qdiff.interop.explicit.stores import at_store
from qdiff.interop.qiskit_writer.angles import Angles
from qdiff.interop.qiskit_writer.conditions import Conditions
from qdiff.interop.qiskit_writer.gates import GateWriter
from qdiff.interop.qiskit_writer.memory import CHOICES, Memory
from qdiff.lang import expr as ex
from qdiff.lang.parameter_values import Collected
from qdiff.lang.parameters import resolve
from qdiff.lang.printer import head_text
from qdiff.lang.source import refusal
from qdiff.lang.tree import (
    Assign,
    Block,
    Gate,
    If,
    Measure,
    Program,
    Reset,
    Skip,
    Statement,
    While,
)

MOST_NAMED_PASSES = 32
"""Passes of a bounded loop that bits can count, one constant after the other."""

WIDEST = 62
"""Bits of a variable: as many as can be read back."""


def to_qiskit(
    program: Program, params: object = None, *, counters: str = "auto", counter_bits: int = 32
) -> Any:
    """Return the Qiskit circuit that means the same.

    Arrays of qubits become registers of their size, single qubits registers of size 1. Parameters become
    `Parameter`s (arrays `ParameterVector`s) under the names that they had where the program comes from.
    Measurements in conditions are stored first; `flip` turns and measures a further qubit, `coin`; `abort`
    and the end of a bounded loop set a further bit, `aborted`: runs with 1 there are those that the program
    aborts. `Var`s hold counters modulo 2^counter_bits, in two's complement: unlike here, they overflow
    silently. Gates have the same matrices up to a global phase; controlled ones that Qiskit has no class for
    are `AnnotatedOperation`s, which the transpiler resolves. An angle that reads counters becomes a `switch`.

    Args:
        params: numbers for some or all parameters, or for none: the others stay symbols. A compared parameter
            needs a number. A flat sequence gives values to all.
        counters: "bits": classical registers, for counters into which only measurements and constants up to
            65535 are written; "vars": variables of the type Uint(counter_bits); "auto": bits where possible.
        counter_bits: bits of a variable, 2 to 62.

    Returns:
        A `qiskit.QuantumCircuit`.

    Raises:
        ParameterError: values that are unknown, not finite, or of the wrong size.
        QdiffError: something that a circuit cannot express: what, and where.
    """
    if not isinstance(program, Program):
        raise QdiffError(f"Expected a Program (qd.parse, qd.load), got {type(program).__name__}.")
    if counters not in CHOICES:
        raise QdiffError(f"counters is one of {listed(CHOICES)}, got {counters!r}.")
    if type(counter_bits) is not int or not 2 <= counter_bits <= WIDEST:
        raise QdiffError(f"counter_bits is an integer from 2 to {WIDEST}, got {counter_bits!r}.")
    try:
        return _Writer(program, _numbers(program, params), counters, counter_bits).circuit
    except RecursionError:
        raise QdiffError("The program is nested too deep for a Qiskit circuit.") from None


def qiskit_text(program: Program) -> str:
    """Return the drawing of the Qiskit circuit of a program, as text, and a line on what it leaves out.

    Raises:
        QdiffError: as `to_qiskit`.
    """
    circuit = to_qiskit(program)
    text = f"{circuit.draw('text', fold=100)}\n"
    variables = [variable.name for variable in circuit.iter_declared_vars()]
    return f"{text}Not drawn: what is stored in the variables {listed(variables)}.\n" if variables else text


def _numbers(program: Program, params: object) -> dict[str, float]:
    """Values of some of the parameters; of all where they come as a sequence."""
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        return resolve(program, params)
    collected = Collected(program)
    collected.add_mapping(params)
    collected.finish()
    return {name: float(value) for name, value in collected.numbers.items()}


class _Writer:
    def __init__(self, program: Program, values: dict[str, float], counters: str, width: int) -> None:
        from qiskit import QuantumCircuit, QuantumRegister

        form = explicit(program, named_passes=0 if counters == "vars" else MOST_NAMED_PASSES)
        self.program = form.program
        name = None if program.origin is None else _name_of(program.origin.what)
        self.circuit = QuantumCircuit(name=name)
        self.qubits: dict[str, Any] = {}
        for register in self.program.qubit_registers:
            qubits = QuantumRegister(register.size or 1, register.name)
            self.circuit.add_register(qubits)
            self.qubits.update(zip(register.elements, qubits, strict=True))
        self.ranges = Ranges(self.program)
        self.memory = Memory(self.circuit, self.program, program.counters, counters, width)
        self.angles = Angles(self.program, values)
        self.conditions = Conditions(self.memory, self.ranges, values)
        self.gates = GateWriter(self.program, self.angles.angle)
        self.whole, self.part = self.circuit, self.circuit.copy_empty_like()
        self.block(self.program.body)

    def block(self, block: Block) -> None:
        """Append the statements of a block where the circuit is being built; one frame a level."""
        for statement in block:
            circuit = self.circuit
            try:
                match statement:
                    case Skip():
                        pass
                    case Reset(qubit=qubit):
                        circuit.reset(self.qubits[qubit])
                    case Gate():
                        self.gate(statement)
                    case Measure(counter=counter, qubits=qubits):
                        self.memory.measure(tuple(self.qubits[q] for q in qubits), counter)
                    case Assign():
                        self.assign(statement)
                    case If(condition=condition, then=then, otherwise=otherwise):
                        test = self.conditions.condition(condition)
                        if isinstance(test, bool):
                            self.block(then if test else otherwise)
                            continue
                        apart = otherwise and circuit is self.whole
                        if apart:
                            circuit = self.memory.circuit = self.circuit = self.part
                        with circuit.if_test(test) as elsewhere:
                            self.hold(then)
                            self.block(then)
                        if otherwise:
                            with elsewhere:
                                self.block(otherwise)
                        if apart:
                            self.joined()
                    case While(condition=condition, body=body):
                        test = self.conditions.condition(condition)
                        if test is False:
                            continue
                        with circuit.while_loop(_lifted(test)):
                            self.hold(body)
                            self.block(body)
                    case _:
                        raise AssertionError(f"{type(statement).__name__} is not explicit")
            except Inexpressible as problem:
                raise self.refused(statement, problem) from None

    def joined(self) -> None:
        """Append what was built apart: `else` takes its `if` out of the circuit again, which is slow."""
        self.memory.circuit = self.circuit = self.whole
        for instruction in self.part.data:
            self.circuit.append(instruction, copy=False)
        self.part.clear()

    def hold(self, block: Block) -> None:
        """Let a block that would only store act on a qubit: Aer always runs a block without qubits."""
        if all(isinstance(statement, Assign | Skip) for statement in block):
            self.circuit.barrier(next(iter(self.qubits.values())))

    def refused(self, statement: Statement, problem: Inexpressible) -> QdiffError:
        return refusal(
            self.program.source,
            f"`{head_text(statement)}` cannot be written as a part of a Qiskit circuit: {problem.why}.",
            problem.position or statement.pos,
        )

    def assign(self, statement: Assign) -> None:
        number = constant(statement.value)
        if number is not None:
            self.memory.store(statement.counter, number)
        else:
            value = self.conditions.whole(statement.value)
            self.circuit.store(self.memory.variables[statement.counter], value)

    def gate(self, gate: Gate) -> None:
        reading = [angle for angle in gate.angles if angle.counters()]
        if reading:
            self.switched(gate, reading)
        else:
            self.plain(gate)

    def plain(self, gate: Gate) -> None:
        for operation, qubits in self.gates.write(gate):
            self.circuit.append(operation, [self.qubits[q] for q in qubits])

    def switched(self, gate: Gate, reading: list[ex.Expr]) -> None:
        """A gate for each of the values that counters in its angles can have."""
        names = sorted(frozenset().union(*(angle.counters() for angle in reading)))
        stores: list[dict[str, int]] = [{}]
        for angle in reading:
            found = self.ranges.stores(angle, angle=True)
            stores = [
                one | other
                for one in stores
                for other in found or ()
                if all(one[name] == other[name] for name in one.keys() & other.keys())
            ]
            if found is None or len(stores) > MOST_STORES:
                raise Inexpressible(
                    f"its angle reads {', '.join(f'`{name}`' for name in names)} with more than {MOST_STORES}"
                    " values, or values that are not known, and angles in Qiskit read no memory",
                    angle.place(),
                )
        self.arms(gate, names, stores)

    def arms(self, gate: Gate, names: list[str], stores: list[dict[str, int]]) -> None:
        """switch over the first counter, and inside over the others."""
        name, rest = names[0], names[1:]
        by_value: dict[int, list[dict[str, int]]] = {}
        for store in stores:
            by_value.setdefault(store[name], []).append(store)
        if len(by_value) == 1:
            self.arm(gate, rest, stores)
            return
        labels, target = self.labels(name, list(by_value))
        with self.circuit.switch(target) as case:
            for label, same in zip(labels, by_value.values(), strict=True):
                with case(label):
                    self.arm(gate, rest, same)

    def arm(self, gate: Gate, rest: list[str], stores: list[dict[str, int]]) -> None:
        if rest:
            self.arms(gate, rest, stores)
            return
        try:
            angles = tuple(at_store(angle, stores[0]) for angle in gate.angles)
        except EvaluationError as error:
            raise Inexpressible(_where(str(error).rstrip("."), stores[0])) from None
        try:
            self.plain(Gate(gate.name, angles, gate.controls, gate.targets))
        except Inexpressible as problem:
            raise Inexpressible(_where(problem.why, stores[0]), problem.position) from None

    def labels(self, name: str, values: list[int]) -> tuple[list[Any], Any]:
        """What Qiskit compares a counter with, and what it compares."""
        bits = self.memory.bits.get(name)
        if bits is None:
            return [value % (1 << self.memory.width) for value in values], self.memory.whole(name)
        target = self.memory.target(bits)
        return (list(map(bool, values)) if bits.width == 1 else values), target


def _lifted(test: Any) -> Any:
    from qiskit.circuit.classical import expr

    return expr.lift(test)


def _where(why: str, store: dict[str, int]) -> str:
    return f"{why}, where {', '.join(f'{name} = {value}' for name, value in store.items())}"


def _name_of(what: str) -> str | None:
    """The name of the circuit in "the circuit `name`"."""
    head, _, name = what.partition("`")
    return name.rstrip("`") if head == "the circuit " and name else None
