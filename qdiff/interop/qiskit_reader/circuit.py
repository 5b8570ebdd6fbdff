"""Qiskit circuits as programs, control flow and classical memory included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qdiff.errors import QdiffError, listed
from qdiff.interop import values
from qdiff.interop.errors import ConversionError
from qdiff.interop.names import Names
from qdiff.interop.qiskit_reader.angles import angle
from qdiff.interop.qiskit_reader.declared import declared_parameters, last_measurements
from qdiff.interop.qiskit_reader.gates import GateReader
from qdiff.interop.qiskit_reader.memory import Expressions, Memory, width_of
from qdiff.interop.qiskit_reader.unrolling import MOST_STATEMENTS, Sizes
from qdiff.interop.structured import Branch, Item, Leave, Loop, Passes, lowered
from qdiff.interop.values import Truth, Whole
from qdiff.lang import expr as ex
from qdiff.lang.check import check
from qdiff.lang.expr import Expr
from qdiff.lang.origin import Origin
from qdiff.lang.tree import Assign, Compare, Measure, Program, Register, Reset, Skip

LOOSE = "qubits"  # qubits in no register
MOST_ARMS = 8
"""Cases of a `switch` that are nested in one another; more are asked one after the other."""


def from_qiskit(circuit: Any, *, drop_final_measurements: bool = False) -> Program:
    """Return the program that means the same as a Qiskit circuit.

    Qubits keep their order; those of a register are elements of an array. Classical bits are counters 0 and
    1, variables (`add_var`) are counters; integers of w bits are computed modulo 2^w, as Qiskit says.
    `Parameter`s are parameters in the order of `circuit.parameters`; a `ParameterVector` all of whose
    elements occur is an array. Names that are no ASCII identifiers are mapped (θ to theta); the original, and
    the `Parameter` itself, can be used wherever values are given. `for_loop` is unrolled, or counted where
    that is long; `break_loop` and `continue_loop` become counters. The global phase of the circuit is
    dropped, and so are barriers and delays. A gate with a definition means its definition: a
    `PauliEvolutionGate` whose terms do not commute is what Qiskit synthesizes for it.

    Args:
        circuit: a `qiskit.QuantumCircuit`.
        drop_final_measurements: leave out measurements of the circuit itself behind which nothing happens to
            qubit and bit but barriers, delays and other such measurements; what they would have stored is 0
            then. They are kept otherwise, and an observable that does not commute with them is met with a
            warning.

    Raises:
        ConversionError: an instruction cannot be expressed: which, and where.
        QdiffError: it is no circuit, has no qubits, or inputs without values.
    """
    from qiskit import QuantumCircuit

    if not isinstance(circuit, QuantumCircuit):
        raise QdiffError(f"Expected a qiskit.QuantumCircuit, got {type(circuit).__name__}.")
    return _Reader(circuit, drop_final_measurements).program()


@dataclass(frozen=True)
class Scope:
    """What the bits and parameters of a circuit, or of a block in it, stand for."""

    qubits: Mapping[Any, str]
    bits: Mapping[Any, str]
    parameters: Mapping[Any, Expr]
    path: str = ""


class _Reader:
    def __init__(self, circuit: Any, drop: bool) -> None:
        self.circuit = circuit
        self.names = Names()
        self.qubit_registers: list[Register] = []
        self.qubits: dict[Any, str] = {}
        for register in circuit.qregs:
            self._declare(register.name, [q for q in register if q not in self.qubits])
        self._declare(LOOSE, [q for q in circuit.qubits if q not in self.qubits])
        if not self.qubits:
            raise QdiffError("The circuit has no qubits.")
        self.parameter_registers, parameters = declared_parameters(circuit, self.names)
        self.memory = Memory(self.names)
        self.memory.declare_bits(circuit)
        self.last = last_measurements(circuit)
        self.dropped = frozenset(self.last) if drop else frozenset[int]()
        self.count = 0
        self.sizes = Sizes()
        self.gates = GateReader(self.names, self._angle)
        self.scope = Scope(self.qubits, self.memory.bits, parameters)

    def _declare(self, name: str, qubits: Sequence[Any]) -> None:
        if qubits:
            register = Register(self.names.give(name, "q"), len(qubits))
            self.qubit_registers.append(register)
            self.qubits.update(zip(qubits, register.elements, strict=True))

    def _angle(self, value: Any) -> Expr:
        return angle(value, self.scope.parameters)

    def program(self) -> Program:
        inputs = [variable.name for variable in self.circuit.iter_input_vars()]
        if inputs:
            raise QdiffError(
                f"The circuit has input variables without a value: {listed(inputs)}. Give them values with "
                "`add_var(name, initial)`."
            )
        items = list(self.block(self.circuit, self.scope))
        body = lowered(items, lambda: self.memory.counter("leave")) or (Skip(),)
        measured = {} if self.dropped else self.last
        program = Program(
            tuple(self.qubit_registers),
            tuple(self.parameter_registers),
            tuple(self.memory.registers),
            body,
            gate_declarations=tuple(self.gates.declared.values()),
            origin=Origin(
                f"the circuit `{self.circuit.name}`",
                dict(self.names.aliases),
                frozenset(self.qubits[q] for q in measured.values()),
            ),
        )
        return check(program)

    # --- blocks ---

    def block(self, circuit: Any, scope: Scope) -> Iterator[Item]:
        """The items of a circuit or block.

        Raises:
            ConversionError: an instruction cannot be expressed; says which.
        """
        for variable in circuit.iter_declared_vars():
            if variable not in self.memory.variables:  # a pass of a loop before this one declared it
                self.memory.declare_variable(variable)
        outer = self.scope
        for i, instruction in enumerate(circuit.data):
            if circuit is self.circuit and i in self.dropped:
                continue
            self.count += 1
            if self.count > MOST_STATEMENTS:
                raise QdiffError(f"The circuit has more than {MOST_STATEMENTS} instructions once unrolled.")
            self.scope = scope
            operation = instruction.operation
            where = f"{scope.path}{i}"
            try:
                yield from self.instruction(operation, instruction, scope, where)
            except ConversionError:
                raise
            except (QdiffError, RecursionError) as error:
                why = "it is nested too deep." if isinstance(error, RecursionError) else str(error)
                raise ConversionError(
                    f"Instruction {where}, `{operation.name}`, cannot be expressed: {why.rstrip('.')}."
                ) from None
            finally:
                self.scope = outer

    def instruction(self, operation: Any, instruction: Any, scope: Scope, where: str) -> Iterator[Item]:
        from qiskit.circuit import BreakLoopOp, ContinueLoopOp, ControlFlowOp, Gate, Store
        from qiskit.circuit import Measure as Measurement
        from qiskit.circuit import Reset as Resetting

        qubits = tuple(scope.qubits[q] for q in instruction.qubits)
        if isinstance(operation, BreakLoopOp | ContinueLoopOp):
            yield Leave(isinstance(operation, BreakLoopOp))
        elif isinstance(operation, ControlFlowOp):
            yield from self.control(operation, instruction, scope, where)
        elif isinstance(operation, Measurement):
            yield Measure(scope.bits[instruction.clbits[0]], qubits)
        elif isinstance(operation, Resetting):
            yield from map(Reset, qubits)
        elif isinstance(operation, Store):
            yield from self.store(operation, Expressions(self.memory, scope.bits))
        elif isinstance(operation, Gate) or hasattr(operation, "modifiers") or not instruction.clbits:
            yield from self.unitary_or_not(operation, instruction, qubits, scope, where)
        elif operation.definition is not None:
            yield from self.inside(operation.definition, instruction, scope, where)
        else:
            raise QdiffError("it has no definition")

    def unitary_or_not(
        self, operation: Any, instruction: Any, qubits: tuple[str, ...], scope: Scope, where: str
    ) -> Iterator[Item]:
        """A gate, or what has a definition with resets, as `initialize`."""
        from qiskit.circuit import Barrier, Delay, Gate

        unlike_instructions = hasattr(operation, "modifiers") or hasattr(operation, "to_instruction")
        if isinstance(operation, Gate | Barrier | Delay) or unlike_instructions:
            yield from self.gates.read(operation, qubits)
        elif getattr(operation, "definition", None) is not None:
            yield from self.inside(operation.definition, instruction, scope, where)
        else:
            raise QdiffError("it has no definition")

    def inside(self, block: Any, instruction: Any, scope: Scope, where: str) -> Iterator[Item]:
        """A circuit on the qubits and bits of an instruction."""
        yield from self.block(block, _inner(block, instruction, scope, where))

    # --- classical memory ---

    def store(self, operation: Any, expressions: Expressions) -> Iterator[Item]:
        """Assign to a bit, a register, a variable, or one bit of these."""
        from qiskit.circuit.classical import expr

        target = operation.lvalue
        index: Whole | None = None
        if isinstance(target, expr.Index):
            index, target = expressions.whole(target.index), target.target
        if not isinstance(target, expr.Var):
            raise QdiffError(f"`{target}` cannot be assigned to")
        place = None if index is None else values.constant(index.expr)
        if place is not None and place >= (size := _size_of(target)):
            raise QdiffError(f"it stores at bit {place} of {size}")
        if index is not None and place is None:
            raise QdiffError("it stores at an index that is not constant")
        value = expressions.value(operation.rvalue)
        found = self._written(target, place, value, expressions)
        yield from expressions.before
        yield from found

    def _written(
        self, target: Any, place: int | None, value: Truth | Whole, expressions: Expressions
    ) -> list[Item]:
        from qiskit.circuit import Clbit

        if not target.standalone:
            bits = [target.var] if isinstance(target.var, Clbit) else list(target.var)
            bits = bits if place is None else [bits[place]]
            names = [expression.name for expression in map(expressions.bit, bits)]  # type: ignore[attr-defined]
            if isinstance(value, Truth):
                return _set(names[0], value, expressions)
            whole = self.memory.counter("value")
            parts = [Assign(name, values.bit_of(ex.Counter(whole), i)) for i, name in enumerate(names)]
            return [Assign(whole, value.expr), *parts]
        name = self.memory.variables.get(target)
        if name is None:
            raise QdiffError(f"the variable `{target.name}` belongs to another circuit")
        if place is not None:
            assert isinstance(value, Truth)
            bit = expressions.as_whole(value).expr
            change = ex.add(bit, ex.negate(values.bit_of(ex.Counter(name), place)))
            changed = ex.add(ex.Counter(name), ex.multiply(ex.number(1 << place), change))
            return [Assign(name, changed)]
        if isinstance(value, Truth):
            return _set(name, value, expressions)
        return [Assign(name, value.expr)]

    # --- control flow ---

    def control(self, operation: Any, instruction: Any, scope: Scope, where: str) -> Iterator[Item]:
        from qiskit.circuit import controlflow as flow

        match operation:
            case flow.BoxOp():
                yield from self.inside(operation.body, instruction, scope, where)
            case flow.IfElseOp():
                expressions = Expressions(self.memory, scope.bits)
                condition = expressions.condition(operation.condition)
                yield from expressions.before
                then, *rest = (
                    list(self.inside(block, instruction, scope, where)) for block in operation.blocks
                )
                yield Branch(condition, then, rest[0] if rest else [])
            case flow.WhileLoopOp():
                expressions = Expressions(self.memory, scope.bits)
                condition = expressions.condition(operation.condition)
                body = list(self.inside(operation.blocks[0], instruction, scope, where))
                yield Loop(condition, body, expressions.before)
            case flow.ForLoopOp():
                yield from self.for_loop(operation, instruction, scope, where)
            case flow.SwitchCaseOp():
                yield from self.switch(operation, instruction, scope, where)
            case _:
                raise QdiffError("this kind of control flow is not known")

    def for_loop(self, operation: Any, instruction: Any, scope: Scope, where: str) -> Iterator[Item]:
        """One pass after the other, or a loop over a counter."""
        from qiskit.circuit.classical import expr

        indices, parameter, body = operation.params
        inner = _inner(body, instruction, scope, where)
        variable: str | None = None
        width: int | None = None
        if isinstance(parameter, expr.Var):
            if parameter not in self.memory.variables:
                self.memory.declare_variable(parameter)
            variable = self.memory.variables[parameter]
            width = width_of(parameter.type, f"the variable `{parameter.name}`")

        def one_pass(index: Expr) -> list[Item]:
            known = inner.parameters
            first: list[Item] = []
            if variable is not None:
                first.append(Assign(variable, values.wrapped(index, width, signed=False)))
            elif parameter is not None:
                known = {**known, parameter: index}
            return [*first, *self.block(body, replace(inner, parameters=known))]

        if self.sizes.is_counted(indices, body):
            yield from self.counted(indices, one_pass)
            return
        if self.count + self.sizes.of_loop(indices, body) > MOST_STATEMENTS:
            raise QdiffError(f"it is more than {MOST_STATEMENTS} instructions once unrolled")
        yield Passes([one_pass(ex.number(int(index))) for index in indices])

    def counted(self, indices: range, one_pass: Callable[[Expr], list[Item]]) -> Iterator[Item]:
        """A loop over a counter: the passes of an unrolled one would be too many statements."""
        name = self.memory.counter("k")
        index = ex.add(ex.number(indices.start), ex.multiply(ex.number(indices.step), ex.Counter(name)))
        yield Assign(name, ex.ZERO)
        condition = Compare(ex.Counter(name), "<", ex.number(len(indices)))
        yield Loop(condition, one_pass(index), step=[Assign(name, ex.add(ex.Counter(name), ex.ONE))])

    def switch(self, operation: Any, instruction: Any, scope: Scope, where: str) -> Iterator[Item]:
        """The arms of which one is taken; the target is evaluated once."""
        expressions = Expressions(self.memory, scope.bits)
        from qiskit.circuit.classical import expr

        target = operation.target
        found = (
            expressions.value(target)
            if isinstance(target, expr.Expr)
            else expressions.bit_or_register(target)
        )
        whole = expressions.as_whole(found) if isinstance(found, Truth) else found
        plain = isinstance(whole.expr, ex.Counter)
        value = whole.expr if plain else ex.Counter(expressions.kept(whole.expr))
        yield from expressions.before
        arms, default = [], list[Item]()
        for labels, block in operation.cases_specifier():
            items = list(self.inside(block, instruction, scope, where))
            if any(not isinstance(label, int | bool) for label in labels):
                default = items
            else:
                arms.append(([int(label) for label in labels], items))
        if len(arms) <= MOST_ARMS:
            yield from _nested(value, arms, default)
            return
        if plain:  # an arm may change it
            name = self.memory.counter("value")
            yield Assign(name, value)
            value = ex.Counter(name)
        for labels, items in arms:
            yield Branch(_is_one_of(value, labels), items)
        if default:
            every = [label for labels, _ in arms for label in labels]
            yield Branch(values.opposite(Truth(_is_one_of(value, every))).condition, default)


def _size_of(target: Any) -> int:
    """How many bits a variable or register has."""
    from qiskit.circuit import Clbit

    if target.standalone:
        return width_of(target.type, f"the variable `{target.name}`")
    return 1 if isinstance(target.var, Clbit) else len(target.var)


def _inner(block: Any, instruction: Any, scope: Scope, where: str) -> Scope:
    """The scope of a block on the qubits and bits of an instruction."""
    qubits = {
        inner: scope.qubits[outer] for inner, outer in zip(block.qubits, instruction.qubits, strict=True)
    }
    bits = {inner: scope.bits[outer] for inner, outer in zip(block.clbits, instruction.clbits, strict=True)}
    return Scope(qubits, bits, scope.parameters, f"{where}.")


def _set(name: str, value: Truth, expressions: Expressions) -> list[Item]:
    if value.bit is not None:
        return [Assign(name, value.bit)]
    return [Branch(expressions.settled(value), [Assign(name, ex.ONE)], [Assign(name, ex.ZERO)])]


def _is_one_of(value: Expr, labels: Sequence[int]) -> Any:
    parts = [Truth(Compare(value, "=", ex.number(label))) for label in labels]
    return values.joined("or", parts).condition


def _nested(value: Expr, arms: Sequence[tuple[list[int], list[Item]]], default: list[Item]) -> list[Item]:
    """if … else if … else."""
    found = default
    for labels, items in reversed(arms):
        found = [Branch(_is_one_of(value, labels), items, found)]
    return found
