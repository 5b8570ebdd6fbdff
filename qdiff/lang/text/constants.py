"""The value of an expression without names."""

from __future__ import annotations

from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import FUNCTIONS
from qdiff.lang.text.names import Scope
from qdiff.lang.text.references import References
from qdiff.lang.text.resolve import Resolver
from qdiff.lang.text.syntax import Element, Expression, Fault, Name, place, shown, walk


def constant_number(expression: Expression) -> float | int:
    """Return the value of an expression of numbers, `pi`, functions and operators.

    Raises:
        Fault: a name occurs, it is a condition, or it has no finite real value.
    """
    for node in walk(expression):
        if isinstance(node, Name | Element):
            raise Fault(
                f"`{shown(node)}` has no value here.",
                place(node),
                f"A value is made of numbers, pi, + - * / ^ and {', '.join(FUNCTIONS)}.",
            )
    number = Resolver(References()).number(expression, Scope({}, {}))
    try:
        return number.evaluate()
    except ValueFailure as failure:
        raise Fault(failure.message, failure.node.place() or place(expression)) from None
