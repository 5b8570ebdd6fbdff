"""Expressions where the values of counters are known."""

from __future__ import annotations

from collections.abc import Mapping

from qdiff.errors import EvaluationError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.rebuild import rebuild


def at_store(expr: Expr, store: Mapping[str, int]) -> Expr:
    """Return an expression with numbers for counters; elements of parameter arrays become parameters.

    Raises:
        EvaluationError: an index is out of range.
    """

    def combine(node: Expr, operands: list[Expr]) -> Expr:
        match node:
            case ex.Counter(name=name) if name in store:
                return ex.number(store[name], node.pos)
            case ex.ParameterElement(array=array, size=size) if not operands[0].counters():
                index = operands[0].evaluate()
                if not isinstance(index, int) or not 0 <= index < size:
                    raise EvaluationError(f"the index of `{node}` is {index}, outside 0 .. {size - 1}")
                return ex.Parameter(f"{array}[{index}]", pos=node.pos)
            case ex.Indicator(value=value) if not operands[0].counters():
                return ex.number(int(operands[0].evaluate() == value))
            case _:
                return rebuild(node, operands) if operands else node

    return expr.fold(combine)


def at_element(expr: Expr, element: ex.ParameterElement, index: int) -> Expr:
    """Return an expression where an element of a parameter array that a counter chooses is this one."""

    def combine(node: Expr, operands: list[Expr]) -> Expr:
        if node == element:
            return ex.Parameter(f"{element.array}[{index}]", pos=node.pos)
        return rebuild(node, operands) if operands else node

    return expr.fold(combine)
