"""Gate calls as gates: modifiers, definitions and broadcasting, phases kept under controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

import numpy as np

from qdiff.errors import did_you_mean
from qdiff.interop.names import Names
from qdiff.interop.qasm3_reader import convert
from qdiff.interop.qasm3_reader import syntax as sx
from qdiff.interop.qasm3_reader.classical import Evaluator
from qdiff.interop.qasm3_reader.operations import (
    BUILT_IN,
    STANDARD,
    TURNS,
    Controlled,
    Defined,
    Inverse,
    Operation,
    Phase,
    Power,
    Primitive,
    Steps,
    Turn,
    inverse,
    power,
)
from qdiff.interop.qasm3_reader.scope import (
    Constant,
    DefinedGate,
    Memory,
    Qubits,
    Real,
    Scope,
    StandardGate,
)
from qdiff.lang import expr as ex
from qdiff.lang.declared_gates import LARGEST_DECLARED
from qdiff.lang.expr import Expr
from qdiff.lang.gates import Matrix, controlled, record
from qdiff.lang.gates_from_matrices import gate as given_gate
from qdiff.lang.source import Position
from qdiff.lang.text.syntax import Fault
from qdiff.lang.tree import Gate, GateDeclaration

MOST_STATEMENTS = 1_000_000
"""Statements once loops, gates and subroutines are written out, as in the language."""
MOST_MODIFIERS = 40
DEEPEST_DEFINITION = 40
"""Gates that are made of gates, each of gates in turn: each level is a few calls."""

Application = tuple[Operation, tuple[str, ...]]


class GateReader:
    """Reads gates.

    Args:
        names: all names that are taken. memory: gives out counters.

    Attributes:
        declared: gates that are given by a matrix. count: statements and gates that were made.
    """

    def __init__(self, names: Names, memory: Memory) -> None:
        self.names = names
        self.memory = memory
        self.declared: dict[bytes, GateDeclaration] = {}
        self.count = 0
        self._level = 0

    def counted(self, pos: Position, number: int = 1) -> None:
        """Count statements.

        Raises:
            Fault: there are too many.
        """
        self.count += number
        if self.count > MOST_STATEMENTS:
            raise Fault(f"there are more than {MOST_STATEMENTS} statements once all is written out.", pos)

    # --- Definitions -----------------------------------------------------------------------------------

    def define(self, node: sx.GateDefinition, scope: Scope) -> None:
        """Define a gate; its body is looked at once, with angles that have no values.

        Raises:
            Fault: the definition does not fit.
        """
        names = [name.text for name in (*node.angles, *node.qubits)]
        for i, name in enumerate((*node.angles, *node.qubits)):
            if name.text in names[:i]:
                raise Fault(f"`{name.text}` is an argument of `{node.name.text}` twice.", name.pos)
        gate = DefinedGate(node, scope)
        angles = tuple(ex.Parameter(name.text) for name in node.angles)
        self._body(gate, angles, tuple(name.text for name in node.qubits))
        scope.declare(node.name, gate)

    def _body(
        self, gate: DefinedGate, angles: Sequence[Expr], qubits: Sequence[str]
    ) -> list[tuple[Operation, tuple[str, ...]]]:
        """The operations of a gate of the text."""
        inner = Scope(gate.scope, closed=True)
        for name, angle in zip(gate.node.angles, angles, strict=True):
            inner.names[name.text] = Constant(Real(angle))
        for name, qubit in zip(gate.node.qubits, qubits, strict=True):
            inner.names[name.text] = Qubits((qubit,), True)
        return list(self._statements(gate.node.body, inner))

    def _statements(self, body: sx.Block, scope: Scope) -> Iterator[Application]:
        at = Evaluator(self.memory, scope, _no_calls)
        for node in body:
            self.counted(node.pos)
            match node:
                case sx.GateCall():
                    operation, operands = self.operation(node, at)
                    qubits = tuple(self._alone(at.operand(operand), operand.pos) for operand in operands)
                    distinct(qubits, node)
                    yield operation, qubits
                case sx.Nothing(operands=operands):
                    for operand in operands:
                        at.operand(operand)
                case sx.For(values=sx.Range() as given):
                    first, last = (
                        at.constant_integer(_there(part, node), "a bound")
                        for part in (given.start, given.stop)
                    )
                    step = 1 if given.step is None else at.constant_integer(given.step, "the step")
                    if step == 0:
                        raise Fault("the step of a range is not 0.", given.pos)
                    self.counted(given.pos, max(0, (last - first) // step + 1))
                    for i in range(first, last + (1 if step > 0 else -1), step):
                        inner = Scope(scope)
                        inner.names[node.name.text] = Constant(convert.literal(i))
                        yield from self._statements(node.body, inner)
                case _:
                    raise Fault("a gate is made of gates.", node.pos)

    def _alone(self, found: Qubits, pos: Position) -> str:
        if not found.single:
            raise Fault("a qubit is expected, not a register.", pos)
        return found.qubits[0]

    # --- Calls -----------------------------------------------------------------------------------------

    def call(self, node: sx.GateCall, at: Evaluator) -> list[Gate]:
        """The gates of a statement, once for each qubit of the registers that it names.

        Raises:
            Fault: it does not fit.
        """
        operation, operands = self.operation(node, at)
        given = [at.operand(operand) for operand in operands]
        sizes = {len(qubits.qubits) for qubits in given if not qubits.single}
        if len(sizes) > 1:
            shown = " and ".join(map(str, sorted(sizes)))
            raise Fault(f"the registers have different sizes: {shown}.", node.pos)
        size = sizes.pop() if sizes else 1
        found: list[Gate] = []
        for i in range(size):
            qubits = tuple([one.qubits[0 if one.single else i] for one in given])
            distinct(qubits, node)
            found += self.emit(operation, qubits, (), node.pos)
        return found

    def operation(self, node: sx.GateCall, at: Evaluator) -> tuple[Operation, tuple[sx.Operand, ...]]:
        """What a call does, and on which operands.

        Raises:
            Fault: there is no such gate, or it has other numbers of angles or qubits.
        """
        name = node.name.text
        found = at.scope.find(name)
        match found:
            case StandardGate(angles=angles, qubits=qubits):
                pass
            case DefinedGate(node=definition):
                angles, qubits = len(definition.angles), len(definition.qubits)
            case _:
                raise _no_gate(node.name, at.scope)
        if len(node.angles) != angles:
            plural = "angle" if angles == 1 else "angles"
            raise Fault(f"the gate `{name}` has {angles} {plural}, got {len(node.angles)}.", node.pos)
        given = tuple([at.angle(angle) for angle in node.angles])
        if isinstance(found, StandardGate):
            operation = (BUILT_IN.get(name) or STANDARD[name])[2](*given)
        else:
            operation = Defined(found, given)
        if len(node.modifiers) > MOST_MODIFIERS:
            raise Fault(f"a gate has at most {MOST_MODIFIERS} modifiers.", node.pos)
        for modifier in reversed(node.modifiers):
            operation, controls = self._modified(operation, modifier, len(node.qubits), at)
            qubits += controls
        if len(node.qubits) != qubits:
            plural = "qubit" if qubits == 1 else "qubits"
            raise Fault(f"this acts on {qubits} {plural}, got {len(node.qubits)}.", node.pos)
        return operation, node.qubits

    def _modified(
        self, operation: Operation, modifier: sx.Modifier, most: int, at: Evaluator
    ) -> tuple[Operation, int]:
        """The operation with a modifier, and how many controls that adds."""
        if modifier.name == "inv":
            return inverse(operation), 0
        argument = modifier.argument
        if modifier.name == "pow":
            assert argument is not None
            value = at.value(argument)
            exponent = at.angle(argument) if isinstance(value, Real) else at.as_real(value, argument.pos)
            return power(operation, exponent, convert.constant_real(Real(exponent))), 0
        count = 1 if argument is None else at.constant_integer(argument, "the number of controls")
        if count < 1:
            raise Fault("the number of controls is at least 1.", modifier.pos)
        if count > most:
            raise Fault(f"there are {count} controls, and {most} operands.", modifier.pos)
        return Controlled(operation, (modifier.name == "ctrl",) * count), count

    # --- Operations as gates ---------------------------------------------------------------------------

    def emit(
        self, operation: Operation, qubits: tuple[str, ...], controls: tuple[str, ...], pos: Position
    ) -> Iterator[Gate]:
        """Yield gates for an operation on qubits, where all controls are 1."""
        match operation:
            case Primitive(name=name, angles=angles):
                yield Gate(name, angles, controls, qubits, pos=pos)
            case Phase(angle=angle):
                if controls and not ex.is_number(angle, 0):
                    yield Gate("P", (angle,), controls[:-1], controls[-1:], pos=pos)
            case Controlled(of=of, states=states):
                own = qubits[: len(states)]
                flipped = [q for q, one in zip(own, states, strict=True) if not one]
                yield from (Gate("X", (), (), (q,), pos=pos) for q in flipped)
                yield from self.emit(of, qubits[len(states) :], controls + own, pos)
                yield from (Gate("X", (), (), (q,), pos=pos) for q in flipped)
            case Turn(name=name, angle=angle):
                if ex.is_number(angle, 0):
                    return
                there = TURNS[name][1]
                for step in there:
                    yield Gate(step.name, step.angles, (), qubits, pos=pos)
                yield Gate("P", (angle,), controls, qubits, pos=pos)
                for back in map(inverse, reversed(there)):
                    assert isinstance(back, Primitive)
                    yield Gate(back.name, back.angles, (), qubits, pos=pos)
            case Steps(steps=steps):
                for part, places in steps:
                    yield from self.emit(part, tuple([qubits[i] for i in places]), controls, pos)
            case Defined() | Inverse():
                for part, on in self._expanded(operation, qubits, pos):
                    yield from self._one_deeper(part, on, controls, pos)
            case Power():
                yield from self._power(operation, qubits, controls, pos)

    def _one_deeper(
        self, operation: Operation, qubits: tuple[str, ...], controls: tuple[str, ...], pos: Position
    ) -> Iterator[Gate]:
        self.counted(pos)
        self._level += 1
        if self._level > DEEPEST_DEFINITION:
            raise Fault(f"gates are defined by gates more than {DEEPEST_DEFINITION} deep.", pos)
        try:
            yield from self.emit(operation, qubits, controls, pos)
        finally:
            self._level -= 1

    def _expanded(
        self, operation: Defined | Inverse, qubits: tuple[str, ...], pos: Position
    ) -> list[tuple[Operation, tuple[str, ...]]]:
        if isinstance(operation, Inverse):
            body = self._body(operation.of.gate, operation.of.angles, qubits)
            return [(inverse(part), on) for part, on in reversed(body)]
        return self._body(operation.gate, operation.angles, qubits)

    def _power(
        self, operation: Power, qubits: tuple[str, ...], controls: tuple[str, ...], pos: Position
    ) -> Iterator[Gate]:
        """Repeated, or that of the only step, or a matrix."""
        of, exponent = operation.of, operation.exponent
        constant = convert.constant_real(Real(exponent))
        if isinstance(of, Defined | Inverse):
            body = self._expanded(of, qubits, pos)
            if len(body) == 1:
                part, on = body[0]
                yield from self._one_deeper(power(part, exponent, constant), on, controls, pos)
                return
        if constant is None:
            raise Fault("the exponent of this gate is a constant: it is more than one turn.", pos)
        if constant == int(constant):
            times = int(constant)
            self.counted(pos, abs(times))
            once = of if times > 0 else inverse(of)
            for _ in range(abs(times)):
                yield from self._one_deeper(once, qubits, controls, pos)
            return
        yield Gate(self._by_matrix(of, constant, len(qubits), pos), (), controls, qubits, pos=pos)

    def _by_matrix(self, of: Operation, exponent: float, size: int, pos: Position) -> str:
        """Declare a power of an operation by its matrix and return the name."""
        if not 1 <= size <= LARGEST_DECLARED:
            raise Fault(f"a fractional power is of gates on at most {LARGEST_DECLARED} qubits.", pos)
        local = tuple(map(str, range(size)))
        gates = list(self.emit(of, local, ("control",), pos))
        if any(angle.parameters() or angle.counters() for gate in gates for angle in gate.angles):
            raise Fault("a fractional power of this gate needs angles that are constants.", pos)
        matrix = _principal_power(self._matrix(gates, (*local, "control"))[2**size :, 2**size :], exponent)
        key = matrix.tobytes()
        if key not in self.declared:
            self.declared[key] = given_gate(unitary=matrix).named(self.names.give("power", "gate"))
        return self.declared[key].name

    def _matrix(self, gates: Sequence[Gate], qubits: tuple[str, ...]) -> Matrix:
        """The product of gates, the first qubit the least significant bit of rows and columns."""
        size = len(qubits)
        known = {declaration.name: declaration for declaration in self.declared.values()}
        total = np.eye(2**size, dtype=complex).reshape((2,) * size + (2**size,))
        for gate in gates:
            if gate.name in known:
                own = np.array(known[gate.name].matrix, dtype=complex)
            else:
                own = record(gate.name).matrix(*(float(angle.evaluate()) for angle in gate.angles))
            on = (*gate.controls, *gate.targets)
            own = controlled(own, len(gate.controls)).reshape((2,) * (2 * len(on)))
            # Axis 0 is the most significant bit.
            axes = [size - 1 - qubits.index(q) for q in reversed(on)]
            total = np.tensordot(own, total, (range(len(on), 2 * len(on)), axes))
            total = np.moveaxis(total, range(len(on)), axes)
        return np.asarray(total.reshape(2**size, 2**size))


def _principal_power(matrix: Matrix, exponent: float) -> Matrix:
    """Eigenvalues exp(iφ), -π < φ <= π, to the power."""
    from scipy.linalg import schur

    triangle, vectors = schur(matrix, output="complex")
    phases = np.angle(np.diag(triangle))
    phases = np.where(phases < -np.pi + 1e-9, phases + 2 * np.pi, phases)
    return np.asarray((vectors * np.exp(1j * exponent * phases)) @ vectors.conj().T)


def distinct(qubits: tuple[str, ...], node: sx.GateCall) -> None:
    """Refuse a qubit that stands twice."""
    if len(set(qubits)) != len(qubits):
        twice = next(qubit for i, qubit in enumerate(qubits) if qubit in qubits[:i])
        raise Fault(f"the qubit `{twice}` stands twice in `{node.name.text}`.", node.pos)


def _there(part: sx.Expression | None, node: sx.For) -> sx.Expression:
    if part is None:
        raise Fault("a loop has a first and a last value.", node.pos)
    return part


def _no_calls(call: sx.Call, scope: Scope) -> NoReturn:
    raise Fault(f"the subroutine `{call.name.text}` cannot be called in a gate.", call.pos)


def _no_gate(name: sx.Name, scope: Scope) -> Fault:
    found = scope.find(name.text)
    if found is not None:
        return Fault(f"`{name.text}` is {found}, not a gate.", name.pos)
    if name.text in STANDARD:
        return Fault(
            f"the gate `{name.text}` is not defined.", name.pos, 'It is in `include "stdgates.inc";`.'
        )
    known = [word for word, what in scope.visible() if isinstance(what, StandardGate | DefinedGate)]
    return Fault(f"the gate `{name.text}` is not defined.", name.pos, did_you_mean(name.text, known))
