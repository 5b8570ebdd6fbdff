"""Programs as OpenQASM 3: inputs for parameters, integers and bits for counters, loops as loops."""

from __future__ import annotations

from qdiff.errors import QdiffError
from qdiff.interop.explicit import Explicit, Inexpressible, explicit
from qdiff.interop.explicit.bits import bits_needed, constant
from qdiff.interop.explicit.ranges import Ranges
from qdiff.interop.explicit.stores import at_element
from qdiff.interop.qasm3_writer.expressions import Expressions, bits_compared
from qdiff.interop.qasm3_writer.gates import Gates
from qdiff.interop.qasm3_writer.names import TextNames
from qdiff.lang import expr as ex
from qdiff.lang.printer import head_text
from qdiff.lang.source import refusal
from qdiff.lang.tree import (
    Assign,
    Block,
    Compare,
    Gate,
    If,
    Measure,
    Program,
    Reset,
    Skip,
    Statement,
    While,
)
from qdiff.lang.walk import all_conditions, statements

_INDENT = "    "


def to_qasm3(program: Program) -> str:
    """Return the OpenQASM 3 text that means the same.

    Parameters become `input float[64]`, those of an array one by one (`w_0`, `w_1`, …). Counters become
    `int[64]`, or bits where only outcomes and small constants are written and comparisons with numbers read
    them. Measurements in conditions are stored first; `flip` turns and measures a further qubit, `coin`;
    `abort` and the end of a bounded loop set a further bit, `aborted`: runs with 1 there are those that the
    program aborts. All qubits start in |0>, as everywhere in practice. Integers overflow silently, and where
    the index of a parameter array is out of range nothing is done. Gates have the same matrices up to a
    global phase, and right phases under controls. Names that OpenQASM needs itself get a `_`.

    Raises:
        QdiffError: something that OpenQASM cannot express: what, and where.
    """
    if not isinstance(program, Program):
        raise QdiffError(f"Expected a Program (qd.parse, qd.load), got {type(program).__name__}.")
    try:
        return _Writer(explicit(program)).text()
    except RecursionError:
        raise QdiffError("The program is nested too deep for OpenQASM.") from None


class _Writer:
    def __init__(self, form: Explicit) -> None:
        self.form = form
        self.program = form.program
        self.names = TextNames(self.program)
        self.bits = _in_bits(self.program)
        self.declarations = [*self._qubits(), *self._counters()]
        self.ranges = Ranges(self.program)
        self.expressions = Expressions(self.names.of, self.bits, self.ranges)
        self.gates = Gates(self.program, self.names, self.expressions.text)
        self.outcomes: dict[int, str] = {}
        self.lines: list[str] = []

    def text(self) -> str:
        """The whole text."""
        self.block(self.program.body, "")
        inputs = [f"input float[64] {self.names.of[name]};" for name in self.program.parameters]
        measured = [f"bit[{many}] {name};" for many, name in self.outcomes.items()]
        head = ["OPENQASM 3.0;", 'include "stdgates.inc";']
        every = [*head, *self.gates.definitions, *inputs, *self.declarations, *measured, *self.lines]
        return "\n".join(every) + "\n"

    def _qubits(self) -> list[str]:
        lines = []
        for register in self.program.qubit_registers:
            size = "" if register.size is None else f"[{register.size}]"
            lines.append(f"qubit{size} {self.names.registers[register.name]};")
        return lines

    def _counters(self) -> list[str]:
        lines = []
        for register in self.program.counter_registers:
            widths = [self.bits.get(name) for name in register.elements]
            name = self.names.registers[register.name]
            if register.size is not None and all(width == 1 for width in widths):
                lines.append(f'bit[{register.size}] {name} = "{"0" * register.size}";')
                continue
            if register.size is not None:
                self.names.one_by_one(register)
            for element, width in zip(register.elements, widths, strict=True):
                name = self.names.of[element]
                if width is None:
                    lines.append(f"int[64] {name} = 0;")
                elif width == 1:
                    lines.append(f"bit {name} = 0;")
                else:
                    lines.append(f'bit[{width}] {name} = "{"0" * width}";')
            if register.name == self.form.aborted:
                lines[-1] += " // 1 where the program aborts: such runs do not count"
        return lines

    # --- Statements -----------------------------------------------------------------------------

    def block(self, block: Block, indent: str) -> None:
        """Write the statements of a block; one frame a level."""
        inner = indent + _INDENT
        for statement in block:
            try:
                match statement:
                    case Skip():
                        pass
                    case Reset(qubit=qubit):
                        self.lines.append(f"{indent}reset {self.names.of[qubit]};")
                    case Gate():
                        self.gate(statement, indent)
                    case Measure():
                        self.measure(statement, indent)
                    case Assign():
                        self.assign(statement, indent)
                    case If(condition=condition, then=then, otherwise=otherwise):
                        self.lines.append(f"{indent}if ({self.expressions.condition(condition)}) {{")
                        self.block(then, inner)
                        if otherwise:
                            self.lines.append(f"{indent}}} else {{")
                            self.block(otherwise, inner)
                        self.lines.append(f"{indent}}}")
                    case While(condition=condition, body=body):
                        self.lines.append(f"{indent}while ({self.expressions.condition(condition)}) {{")
                        self.block(body, inner)
                        self.lines.append(f"{indent}}}")
                    case _:
                        raise AssertionError(f"{type(statement).__name__} is not explicit")
            except Inexpressible as problem:
                raise self.refused(statement, problem) from None

    def refused(self, statement: Statement, problem: Inexpressible) -> QdiffError:
        return refusal(
            self.program.source,
            f"`{head_text(statement)}` cannot be written in OpenQASM: {problem.why}.",
            problem.position or statement.pos,
        )

    def gate(self, gate: Gate, indent: str) -> None:
        """A gate; an element of a parameter array that a counter chooses is asked for first."""
        chosen = next(
            (node for angle in gate.angles for node in angle.walk() if isinstance(node, ex.ParameterElement)),
            None,
        )
        if chosen is None:
            self.lines += [indent + line for line in self.gates.write(gate)]
            return
        index = self.expressions.written(chosen.index).text
        for k in range(chosen.size):
            angles = tuple(at_element(angle, chosen, k) for angle in gate.angles)
            self.lines.append(f"{indent}if ({index} == {k}) {{")
            self.gate(Gate(gate.name, angles, gate.controls, gate.targets), indent + _INDENT)
            self.lines.append(f"{indent}}}")

    def measure(self, statement: Measure, indent: str) -> None:
        counter, many = statement.counter, len(statement.qubits)
        width = self.bits.get(counter)
        if width is not None:
            cells = self.cells(counter, width)
        else:
            if many not in self.outcomes:
                self.outcomes[many] = self.names.fresh(f"measured_{many}")
            cells = [f"{self.outcomes[many]}[{i}]" for i in range(many)]
        for qubit, cell in zip(statement.qubits, cells, strict=False):
            self.lines.append(f"{indent}{cell} = measure {self.names.of[qubit]};")
        if width is None:
            value = f"int[64](uint[{many}]({self.outcomes[many]}))"
            self.lines.append(f"{indent}{self.names.of[counter]} = {value};")
        else:
            self.lines += [f"{indent}{cell} = 0;" for cell in cells[many:]]

    def assign(self, statement: Assign, indent: str) -> None:
        name, width = self.names.of[statement.counter], self.bits.get(statement.counter)
        if width is None:
            self.lines.append(f"{indent}{name} = {self.expressions.text(statement.value)};")
            return
        value = constant(statement.value)
        assert value is not None
        for i, cell in enumerate(self.cells(statement.counter, width)):
            self.lines.append(f"{indent}{cell} = {value >> i & 1};")

    def cells(self, counter: str, width: int) -> list[str]:
        """The bits of a counter, the least significant first."""
        name = self.names.of[counter]
        return [name] if width == 1 else [f"{name}[{i}]" for i in range(width)]


def _in_bits(program: Program) -> dict[str, int]:
    """Counters that are written as bits can be and read by comparisons with numbers, and how many bits."""
    needed, more = bits_needed(program)
    read = set(more)
    for statement in statements(program.body):
        if isinstance(statement, Assign):
            read |= statement.value.counters()
        elif isinstance(statement, Gate):
            read.update(*(angle.counters() for angle in statement.angles))
    for condition in all_conditions(program.body):
        if isinstance(condition, Compare) and bits_compared(condition) is None:
            read |= condition.left.counters() | condition.right.counters()
    return {name: width for name, width in needed.items() if name not in read}
