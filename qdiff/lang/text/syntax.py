"""What a text says, before names are resolved: the nodes that the grammar's rules make.

They exist only between `parser.py` and `elaborate.py`. Every node knows its place. An expression
may be a condition, a number or a qubit; which of them is decided by where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from qdiff.lang import expr as ex
from qdiff.lang import tree
from qdiff.lang.source import Position

LONGEST_QUOTED = 60
SELECTION = "[]"  # the operator of `[e = 1]`
_QUOTED = re.compile(r"`([^`]*)`")


class Fault(Exception):
    """A text that is refused: what is wrong, where, and what to do. Becomes a QdiffSyntaxError.

    What is quoted from the text between backticks is shortened: a name may be megabytes long.
    """

    def __init__(self, message: str, pos: Position, hint: str = "") -> None:
        self.message = _QUOTED.sub(_shortened, message)
        super().__init__(self.message)
        self.pos = pos
        self.hint = _QUOTED.sub(_shortened, hint)


def _shortened(quoted: re.Match[str]) -> str:
    return quoted[0] if len(quoted[1]) <= LONGEST_QUOTED else f"`{quoted[1][:LONGEST_QUOTED]}…`"


# --- Expressions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A name that stands alone."""

    text: str
    pos: Position


@dataclass(frozen=True, slots=True)
class Element:
    """name[indices]"""

    name: Name
    indices: tuple[Expression, ...]
    pos: Position


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator over operands.

    The operators are those of the text, `M`, `flip` and the names of functions; in the exponent of
    a declared gate also `""` over operands that stand side by side. A sum or a product
    has all its operands in one node: an operand of `+` that is subtracted is wrapped in a `-` of
    one operand, and an operand of `*` that is divided by in a `/`, `div` or `mod` of one operand.
    `bracketed` says that brackets stand around it.
    """

    operator: str
    operands: tuple[Expression, ...]
    pos: Position
    bracketed: bool = False


Expression: TypeAlias = Name | Element | Operation | ex.Number | ex.Pi


def place(expression: Expression) -> Position:
    """The position of an expression."""
    assert expression.pos is not None  # numbers from a text have one
    return expression.pos


def span(first: Position, last: Position) -> Position:
    """The place from `first` to `last`, or `first` alone where they are on different lines."""
    if first.line != last.line:
        return first
    return Position(first.line, first.column, last.column + last.length - first.column)


def position_at(text: str, offset: int, length: int = 1) -> Position:
    """The position of text[offset]."""
    return Position(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset), length)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and everything in it, in the order of the text."""
    pending: list[Expression] = [expression]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, Operation):
            pending.extend(reversed(node.operands))
        elif isinstance(node, Element):
            pending.extend(reversed(node.indices))


def shown(reference: Name | Element) -> str:
    """A short text of a name or an element for a message."""
    if isinstance(reference, Name):
        return reference.text
    index = reference.indices[0]
    inner = str(index.value) if isinstance(index, ex.Number) else getattr(index, "text", "…")
    return f"{reference.name.text}[{inner}]"


# --- Statements ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reset:
    """target := |0>"""

    target: Name | Element
    pos: Position


@dataclass(frozen=True, slots=True)
class Assign:
    """target := value, where value may be a measurement."""

    target: Name | Element
    value: Expression
    pos: Position


@dataclass(frozen=True, slots=True)
class Apply:
    """A gate or a procedure: name(angles)[…]…[…]; angles is None where no `(` stands."""

    name: Name
    angles: tuple[Expression, ...] | None
    brackets: tuple[tuple[Expression, ...], ...]
    pos: Position


@dataclass(frozen=True, slots=True)
class If:
    """if condition then … else … fi"""

    condition: Expression
    then: Block
    otherwise: Block | None
    pos: Position


@dataclass(frozen=True, slots=True)
class Arm:
    """label: body, or else: body where the label is None."""

    label: int | None
    body: Block
    pos: Position


@dataclass(frozen=True, slots=True)
class Case:
    """case measurement of … esac"""

    subject: Expression
    arms: tuple[Arm, ...]
    pos: Position


@dataclass(frozen=True, slots=True)
class While:
    """while{bound} condition do … od"""

    condition: Expression
    body: Block
    bound: Expression | None
    pos: Position


@dataclass(frozen=True, slots=True)
class For:
    """for index in low..high do … od"""

    index: Name
    low: Expression
    high: Expression
    body: Block
    pos: Position


Statement: TypeAlias = tree.Skip | tree.Abort | Reset | Assign | Apply | If | Case | While | For
Block: TypeAlias = tuple[Statement, ...]


def blocks_of(statement: Statement) -> tuple[Block, ...]:
    """The blocks inside a statement, in the order of the text."""
    match statement:
        case tree.Skip() | tree.Abort() | Reset() | Assign() | Apply():
            return ()
        case If(then=then, otherwise=otherwise):
            return (then, otherwise or ())
        case Case(arms=arms):
            return tuple([arm.body for arm in arms])
        case While(body=body) | For(body=body):
            return (body,)
        case _:
            assert_never(statement)


# --- Programs -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registers:
    """qubit: …, para: … or count: …"""

    kind: Literal["qubit", "para", "count"]
    registers: tuple[tree.Register, ...]
    pos: Position


@dataclass(frozen=True, slots=True)
class Definition:
    """def name(angles)[qubits] do … od"""

    name: Name
    angles: tuple[Name, ...]
    qubits: tuple[Name, ...]
    body: Block
    pos: Position


@dataclass(frozen=True, slots=True)
class Exponential:
    """exp(-i exponent)"""

    exponent: Expression
    pos: Position


@dataclass(frozen=True, slots=True)
class MatrixRows:
    """[[…], […]]"""

    rows: tuple[tuple[Expression, ...], ...]
    pos: Position


@dataclass(frozen=True, slots=True)
class GateDefinition:
    """gate name(angles)[qubits] = value"""

    name: Name
    angles: tuple[Name, ...]
    qubits: tuple[Name, ...]
    value: Exponential | MatrixRows
    pos: Position


@dataclass(frozen=True, slots=True)
class Text:
    """A whole program."""

    declarations: tuple[Registers | Definition | GateDefinition, ...]
    body: Block
