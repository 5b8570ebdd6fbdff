"""What an OpenQASM 3 text says, before names are resolved: the nodes that the grammar's rules make.

Every node knows its place. Blocks and expressions know how deep they are nested: what reads them recurses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from qdiff.lang.source import Position

# --- Expressions ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A name that stands alone; `$0` is the physical qubit 0."""

    text: str
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a truth value."""

    value: int | float | bool
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class BitString:
    """ "0110": bits, the last one the least significant."""

    text: str
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """100ns"""

    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Unary:
    """An operator `- ! ~` and what it acts on."""

    operator: str
    operand: Expression
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Two operands or more with operators of one rank between them, evaluated from the left."""

    operands: tuple[Expression, ...]
    operators: tuple[str, ...]
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Call:
    """function(arguments)"""

    name: Name
    arguments: tuple[Expression, ...]
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Cast:
    """type(operand)"""

    type: Type
    operand: Expression
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Range:
    """start:step:stop, ends included."""

    start: Expression | None
    step: Expression | None
    stop: Expression | None
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class IndexSet:
    """{0, 2, 3}"""

    items: tuple[Expression, ...]
    pos: Position
    depth: int


IndexItem: TypeAlias = "Expression | Range | IndexSet"


@dataclass(frozen=True, slots=True)
class Indexed:
    """of[items]"""

    of: Expression
    items: tuple[IndexItem, ...]
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Measured:
    """measure operand: not a value in the grammar of expressions, but where values are stored."""

    operand: Operand
    pos: Position
    depth: int = 0


Expression: TypeAlias = Name | Literal | BitString | Timing | Unary | Chain | Call | Cast | Indexed | Measured
Operand: TypeAlias = Name | Indexed  # of gates: names, indexed or not


@dataclass(frozen=True, slots=True)
class Type:
    """bit, int, uint, bool, float, angle or qubit, with a size or without."""

    name: str
    size: Expression | None
    pos: Position


@dataclass(frozen=True, slots=True)
class ArrayType:
    """array[type, sizes]"""

    element: Type
    sizes: tuple[Expression, ...]
    pos: Position


# --- Statements ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Include:
    """include "file";"""

    file: str
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Qubits:
    """qubit[size] name;"""

    name: Name
    size: Expression | None
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Declaration:
    """type name = value; `how` is "", "const", "input" or "output"."""

    type: Type | ArrayType
    name: Name
    value: Expression | None
    how: str
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Alias:
    """let name = part ++ part;"""

    name: Name
    parts: tuple[Expression, ...]
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class GateDefinition:
    """gate name(angles) qubits { body }"""

    name: Name
    angles: tuple[Name, ...]
    qubits: tuple[Name, ...]
    body: Block
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Subroutine:
    """def name(arguments) -> result { body }"""

    name: Name
    arguments: tuple[tuple[Type, Name], ...]
    result: Type | None
    body: Block
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Modifier:
    """`inv`, `pow`, `ctrl` or `negctrl`, with an argument or without."""

    name: str
    argument: Expression | None
    pos: Position


@dataclass(frozen=True, slots=True)
class GateCall:
    """modifiers @ name(angles) qubits;"""

    modifiers: tuple[Modifier, ...]
    name: Name
    angles: tuple[Expression, ...]
    qubits: tuple[Operand, ...]
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class CallStatement:
    """function(arguments);"""

    call: Call
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Assign:
    """target operator value; the operator is `=`, `+=`, …; no target: a measurement that is not stored."""

    target: Operand | None
    operator: str
    value: Expression
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Reset:
    """reset qubits;"""

    operand: Operand
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Nothing:
    """barrier, delay or nop on qubits."""

    operands: tuple[Operand, ...]
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class If:
    """if … else if … else …; each arm is a condition and a block."""

    arms: tuple[tuple[Expression, Block], ...]
    otherwise: Block
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class While:
    """while (condition) body"""

    condition: Expression
    body: Block
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class For:
    """for type name in values body"""

    type: Type
    name: Name
    values: Expression | Range | IndexSet
    body: Block
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Switch:
    """switch (target) { case labels { … } default { … } }; labels () for the default."""

    target: Expression
    cases: tuple[tuple[tuple[Expression, ...], Block], ...]
    default: Block | None
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Scope:
    """{ … }, also of a box."""

    body: Block
    pos: Position
    depth: int


@dataclass(frozen=True, slots=True)
class Leave:
    """break, continue or end."""

    word: str
    pos: Position
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Return:
    """return value;"""

    value: Expression | None
    pos: Position
    depth: int = 0


Statement: TypeAlias = (
    Include | Qubits | Declaration | Alias | GateDefinition | Subroutine | GateCall | CallStatement | Assign
    | Reset | Nothing | If | While | For | Switch | Scope | Leave | Return
)  # fmt: skip
Block: TypeAlias = tuple[Statement, ...]


def blocks_of(statement: Statement) -> tuple[Block, ...]:
    """The blocks that are done as a part of a statement; not the bodies of definitions."""
    match statement:
        case If(arms=arms, otherwise=otherwise):
            return (*(body for _, body in arms), otherwise)
        case While(body=body) | For(body=body) | Scope(body=body):
            return (body,)
        case Switch(cases=cases, default=default):
            return (*(body for _, body in cases), default or ())
        case _:
            return ()
