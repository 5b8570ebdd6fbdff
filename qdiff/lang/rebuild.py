"""Rebuilding an expression with new operands, in normal form."""

from __future__ import annotations

from collections.abc import Mapping

from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr


def rebuild(node: Expr, operands: list[Expr]) -> Expr:
    """Return a node of the same kind over `operands`, in normal form."""
    match node:
        case ex.Number() | ex.Pi() | ex.Parameter() | ex.Counter():
            return node
        case ex.ParameterElement(array=array, size=size):
            return ex.ParameterElement(array, size, operands[0], pos=node.pos)
        case ex.Sum():
            return ex.add(*operands, pos=node.pos)
        case ex.Product():
            return ex.multiply(*operands, pos=node.pos)
        case ex.Negate():
            return ex.negate(operands[0], node.pos)
        case ex.Reciprocal():
            return ex.divide(ex.ONE, operands[0], node.pos)
        case ex.Power():
            return ex.Power(operands[0], operands[1], pos=node.pos)
        case ex.Call(function=function):
            return ex.Call(function, operands[0], pos=node.pos)
        case ex.IntegerQuotient():
            return ex.IntegerQuotient(operands[0], operands[1], pos=node.pos)
        case ex.Modulo():
            return ex.Modulo(operands[0], operands[1], pos=node.pos)
        case ex.LogPowerHazard():
            return ex.LogPowerHazard(operands[0], operands[1], pos=node.pos)
        case ex.Indicator(value=value):
            return ex.Indicator(operands[0], value, pos=node.pos)
        case _:
            raise AssertionError(f"unknown expression {type(node).__name__}")


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """Return `expr` with parameters replaced by the expressions in `values`.

    An element whose index is read from counters stays as it is: which value it takes is only
    known when the program runs.
    """

    def combine(node: Expr, operands: list[Expr]) -> Expr:
        if isinstance(node, ex.Parameter):
            return values.get(node.name, node)
        return rebuild(node, operands)

    return expr.fold(combine)
