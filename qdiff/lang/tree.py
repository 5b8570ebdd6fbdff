"""What a program is: an immutable tree of statements over declared qubits, parameters and counters.

A block is a tuple of statements. `for` loops are unrolled and procedures inlined before a tree
exists, so the kinds of statements and conditions below are all there are: match on them and end
with `assert_never`. Controls are part of a gate; `CNOT[a, b]` is the gate X with one control.
Nodes that hold others are `Nested`: comparing, hashing and showing them does not recurse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from qdiff.lang.expr import Expr
from qdiff.lang.source import Position, Source
from qdiff.lang.structural import Nested

if TYPE_CHECKING:
    from qdiff.lang.gates import GateRecord
    from qdiff.lang.origin import Origin


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """Base of everything that stands at a place in a text; places do not count in comparisons."""

    pos: Position | None = field(default=None, compare=False, repr=False, kw_only=True)


# --- Conditions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured(Located):
    """M[qubits] = value: all qubits are measured anew; the first is the least significant bit."""

    qubits: tuple[str, ...]
    value: int


@dataclass(frozen=True, slots=True)
class Flip(Located):
    """True with this probability."""

    probability: Expr


@dataclass(frozen=True, slots=True)
class Compare(Located):
    """left operator right, the operator one of `= != < <= > >=`; exact."""

    left: Expr
    operator: str
    right: Expr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Not(Nested, Located):
    """The opposite of a condition."""

    operand: Condition


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class And(Nested, Located):
    """All of two or more conditions, evaluated from the left until one is false."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Or(Nested, Located):
    """Any of two or more conditions, evaluated from the left until one is true."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Measured | Flip | Compare | Not | And | Or

OPERATORS = ("=", "!=", "<", "<=", ">", ">=")

# --- Statements ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Skip(Located):
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Abort(Located):
    """The run ends and counts 0."""


@dataclass(frozen=True, slots=True)
class Reset(Located):
    """q := |0>."""

    qubit: str


@dataclass(frozen=True, slots=True)
class Gate(Located):
    """A gate on targets, where all controls are 1. `name` is never a named controlled gate."""

    name: str
    angles: tuple[Expr, ...]
    controls: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Channel(Located):
    """A noise channel on qubits, of a probability."""

    name: str
    probability: Expr
    qubits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assign(Located):
    """counter := integer expression."""

    counter: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Measure(Located):
    """counter := M[qubits]; the first qubit is the least significant bit."""

    counter: str
    qubits: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class If(Nested, Located):
    """if condition then … else … fi; `otherwise` is () where there is nothing to do."""

    condition: Condition
    then: Block
    otherwise: Block = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Case(Nested, Located):
    """case M[qubits] of value: … esac; outcomes without an arm take `otherwise`."""

    qubits: tuple[str, ...]
    arms: tuple[tuple[int, Block], ...]
    otherwise: Block = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class While(Nested, Located):
    """while condition do … od; with a bound T, runs whose condition is true T times abort.

    With a bound a run survives only if the condition is false at one of its first T evaluations;
    the body of its T-th pass still runs before the abort.
    """

    condition: Condition
    body: Block
    bound: int | None = None


Statement: TypeAlias = Skip | Abort | Reset | Gate | Channel | Assign | Measure | If | Case | While
Block: TypeAlias = tuple[Statement, ...]

# --- Programs -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Register(Located):
    """A declared name: a single thing, or an array of `size` elements name[0], name[1], …"""

    name: str
    size: int | None = None

    @property
    def elements(self) -> tuple[str, ...]:
        """The names of its elements, or its own name if it is no array."""
        if self.size is None:
            return (self.name,)
        return tuple(f"{self.name}[{i}]" for i in range(self.size))


PauliTerm: TypeAlias = tuple[float, str]  # coefficient, one letter of I X Y Z for each qubit


@dataclass(frozen=True, slots=True)
class GateDeclaration(Located):
    """gate name(angle)[qubits] = …: a sum of Pauli words as generator, with or without a drift, or a matrix.

    exp(-i angle·G/2) for the generator G, exp(-i (angle·G/2 + B)) with a drift B, or the matrix
    itself, its rows over the qubits' values with the first qubit as the least significant bit.
    """

    name: str
    angle: str | None
    qubits: tuple[str, ...]
    generator: tuple[PauliTerm, ...] = ()
    drift: tuple[PauliTerm, ...] = ()
    matrix: tuple[tuple[complex, ...], ...] = ()


@dataclass(frozen=True)
class Program:
    """A program: declarations and a body. Build one with `qd.parse` or `qd.load`.

    `str(program)` is its canonical text, and `qd.parse(str(program)) == program`.
    """

    qubit_registers: tuple[Register, ...]
    parameter_registers: tuple[Register, ...]
    counter_registers: tuple[Register, ...]
    body: Block
    source: Source | None = field(default=None, compare=False, repr=False)
    gate_declarations: tuple[GateDeclaration, ...] = ()
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @cached_property
    def qubits(self) -> tuple[str, ...]:
        """Names of the qubits; the first is the least significant bit of a state."""
        return _elements(self.qubit_registers)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters in declared order, array elements as "w[0]"."""
        return _elements(self.parameter_registers)

    @cached_property
    def counters(self) -> tuple[str, ...]:
        """Names of the counters in declared order, array elements as "m[0]"."""
        return _elements(self.counter_registers)

    @cached_property
    def compared(self) -> frozenset[str]:
        """Names of the parameters that occur in a comparison."""
        from qdiff.lang.walk import compared_parameters

        return compared_parameters(self)

    @cached_property
    def trainable(self) -> tuple[str, ...]:
        """Parameters that occur in some angle or probability and in no comparison, in declared order."""
        from qdiff.lang.walk import differentiable_parameters

        occurring = differentiable_parameters(self)
        return tuple(p for p in self.parameters if p in occurring and p not in self.compared)

    def record(self, name: str) -> GateRecord:
        """Return what is known of a gate that this program declares, or that every program has.

        Raises:
            QdiffError: no such gate; the nearest name is suggested.
        """
        from qdiff.lang.declared_gates import record_of
        from qdiff.lang.gates import record

        declared = self._declared_gates.get(name)
        if declared is None:
            return record(name)
        return record_of(declared)

    @cached_property
    def _declared_gates(self) -> dict[str, GateDeclaration]:
        return {declaration.name: declaration for declaration in self.gate_declarations}

    def bind(self, values: object = None, /, **named: object) -> Program:
        """Return the program with parameters fixed to numbers.

        Args:
            values, named: parameter name to number, array name to a sequence of its length.

        Raises:
            ParameterError: an unknown name, a value that is no finite number, an array of the wrong
                length, a single element of an array, an array whose index is read from a counter.
        """
        from qdiff.lang.bind import bind

        return bind(self, values, named)

    def to_qiskit(self, params: object = None, *, counters: str = "auto", counter_bits: int = 32) -> Any:
        """Return a `qiskit.QuantumCircuit` that means the same.

        Parameters stay symbolic, under the names that they had in Qiskit if they come from there.

        Args:
            params: values, as an objective takes them; needed where comparisons read parameters.
            counters: "bits" (classical registers), "vars" (`Var`s of the type Uint), or "auto": bits where
                a counter holds measured bits and small constants only.
            counter_bits: of a `Var`; larger counters would overflow in Qiskit.

        Raises:
            QdiffError: something has no counterpart in Qiskit; says what, and where.
        """
        from qdiff.lang.formats import EXPORT, exporters

        export = exporters.find(f"{EXPORT}qiskit")
        return export(self, params, counters=counters, counter_bits=counter_bits)

    def to_qasm3(self) -> str:
        """Return the program as an OpenQASM 3 text.

        Raises:
            QdiffError: something has no counterpart in OpenQASM; says what, and where.
        """
        from qdiff.lang.formats import writers

        return writers.find("qasm3")(self)

    def __str__(self) -> str:
        from qdiff.lang.printer import program_text

        return program_text(self)


def _elements(registers: tuple[Register, ...]) -> tuple[str, ...]:
    return tuple(name for register in registers for name in register.elements)
