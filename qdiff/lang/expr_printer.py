"""Expressions as text that parses back to the same tree."""

from __future__ import annotations

from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr

# How tightly a printed form binds: an operand that binds less than its place needs brackets.
SUM, PRODUCT, UNARY, POWER, ATOM = range(5)


def expr_text(expr: Expr) -> str:
    """Return the text of an expression."""
    return expr.fold(_combine)[0]


def _bracketed(part: tuple[str, int], needed: int) -> str:
    text, binds = part
    return text if binds >= needed else f"({text})"


def _combine(node: Expr, x: list[tuple[str, int]]) -> tuple[str, int]:
    match node:
        case ex.Number(value=value):
            return repr(value), ATOM
        case ex.Pi():
            return "pi", ATOM
        case ex.Parameter(name=name) | ex.Counter(name=name):
            return name, ATOM
        case ex.ParameterElement(array=array):
            return f"{array}[{x[0][0]}]", ATOM
        case ex.Sum(terms=terms):
            return _sum_text(terms, x), SUM
        case ex.Product(factors=factors):
            return _product_text(factors, x), PRODUCT
        case ex.Negate():
            # -a*b reads as (-a)*b and has the same normal form as -(a*b).
            return f"-{_bracketed(x[0], PRODUCT)}", UNARY
        case ex.Reciprocal():
            return f"1/{_bracketed(x[0], POWER)}", PRODUCT
        case ex.Power():
            return f"{_bracketed(x[0], ATOM)}^{_bracketed(x[1], POWER)}", POWER
        case ex.Call(function=function):
            return f"{function}({x[0][0]})", ATOM
        case ex.IntegerQuotient():
            return f"{_bracketed(x[0], POWER)} div {_bracketed(x[1], POWER)}", SUM
        case ex.Modulo():
            return f"{_bracketed(x[0], POWER)} mod {_bracketed(x[1], POWER)}", SUM
        case ex.LogPowerHazard():
            return f"{ex.HAZARD}({x[0][0]}, {x[1][0]})", ATOM
        case ex.Indicator(value=value):
            return f"[{x[0][0]} = {value}]", ATOM
        case _:
            raise AssertionError(f"unknown expression {type(node).__name__}")


def _sum_text(terms: tuple[Expr, ...], x: list[tuple[str, int]]) -> str:
    text = _bracketed(x[0], PRODUCT)
    for term, part in zip(terms[1:], x[1:], strict=True):
        if isinstance(term, ex.Negate):
            # `part` prints the sign itself; its operand never binds less than a product.
            text += f" - {part[0][1:]}"
        else:
            text += f" + {_bracketed(part, PRODUCT)}"
    return text


def _product_text(factors: tuple[Expr, ...], x: list[tuple[str, int]]) -> str:
    text = _bracketed(x[0], PRODUCT if isinstance(factors[0], ex.Reciprocal) else POWER)
    for factor, part in zip(factors[1:], x[1:], strict=True):
        if isinstance(factor, ex.Reciprocal):
            text += part[0][1:]  # "1/x" becomes "/x"
        else:
            text += f"*{_bracketed(part, POWER)}"
    return text
