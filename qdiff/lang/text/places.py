"""Where an expression stands, and which operators may stand there."""

from __future__ import annotations

from enum import Enum

from qdiff.lang.expr import FUNCTIONS, HAZARD
from qdiff.lang.source import Position
from qdiff.lang.text.names import LARGEST_INTEGER
from qdiff.lang.text.syntax import SELECTION, Fault, Operation
from qdiff.lang.tree import OPERATORS as COMPARISONS


class Place(Enum):
    """Where an expression stands: what it has to be."""

    CONDITION = "a condition"
    REAL = "a number"
    INTEGER = "an integer expression"


_CONDITIONS = frozenset({"or", "and", "not", "flip", *COMPARISONS})
_OPERATORS = {
    Place.CONDITION: _CONDITIONS,
    Place.REAL: frozenset({"+", "-", "*", "/", "^", *FUNCTIONS, HAZARD}),
    Place.INTEGER: frozenset({"+", "-", "*", "div", "mod"}),
}


def admit(node: Operation, where: Place) -> None:
    """Refuse an operator that cannot stand here.

    Raises:
        Fault: what was expected, what was found.
    """
    operator = node.operator
    if operator == SELECTION:
        raise Fault("`[… = …]` stands in observables only.", node.pos, "In a program use `if`.")
    if operator in _OPERATORS[where]:
        return
    if operator == "M":
        raise Fault(
            "a measurement stands alone.", node.pos, "Compare it, `M[q] = 1`, or store it, `c := M[q]`."
        )
    if where is Place.CONDITION:
        raise Fault("expected a condition, found a number.", node.pos, "Compare it, as in `c > 0`.")
    if operator in _CONDITIONS:
        raise Fault(f"expected {where.value}, found a condition.", node.pos)
    if where is Place.REAL:
        raise Fault(
            f"`{operator}` belongs to integer expressions.",
            node.pos,
            f"Assign it to a counter first, as in `d := c {operator} 2`.",
        )
    hint = "Integers are divided with `div`." if operator == "/" else "It is made of integers, + - * div mod."
    raise Fault(f"`{operator}` cannot stand in an integer expression.", node.pos, hint)


def require_integer(value: int | float, pos: Position) -> int:
    """Return an integer literal within 64 bits.

    Raises:
        Fault: it is a float, or too large.
    """
    if not isinstance(value, int):
        raise Fault(f"expected an integer, found {value}.", pos, "An integer is written without a point.")
    if value > LARGEST_INTEGER + 1:
        raise Fault("the integer is beyond 64 bits.", pos)
    return value
