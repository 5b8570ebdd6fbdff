"""Qiskit's parameters and the expressions over them, as expressions here."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from qdiff.errors import QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr

MOST_PARTS_OF_PI = 64
"""A number that is π k/n for n up to this is written so."""


def angle(value: Any, known: Mapping[Any, Expr]) -> Expr:
    """Return a number or a ParameterExpression as an expression.

    Args:
        known: parameters and what they stand for.

    Raises:
        QdiffError: it is complex, not finite, or holds what the language has no word for.
    """
    if not hasattr(value, "parameters"):
        return real(value)
    free = list(value.parameters)
    if foreign := [p.name for p in free if p not in known]:
        raise QdiffError(f"its parameter `{foreign[0]}` is none of the circuit")
    if not free:
        return real(value.numeric())
    if value.is_symbol() and len(free) == 1:  # what has cancelled may still be listed
        return known[free[0]]
    try:
        slopes = {p: value.gradient(p) for p in free}
    except RuntimeError:  # Qiskit does not differentiate everything
        return _by_sympy(value, {p: known[p] for p in free})
    if all(isinstance(slope, numbers.Number) for slope in slopes.values()):
        start = value.bind(dict.fromkeys(free, 0)).numeric()
        names = sorted((p for p in free if slopes[p] != 0), key=lambda p: str(p.name))
        terms = (_folded(ex.multiply(real(slopes[p]), known[p])) for p in names)
        return _folded(ex.add(*terms, real(start)))
    return _by_sympy(value, {p: known[p] for p in free})


def real(value: Any) -> Expr:
    """Return a number as an expression, a simple part of π as that.

    Raises:
        QdiffError: it is not real or not finite.
    """
    if isinstance(value, complex) or (hasattr(value, "imag") and not isinstance(value, numbers.Real)):
        if value.imag != 0:
            raise QdiffError(f"the angle {value} is not real")
        value = value.real
    if not isinstance(value, numbers.Real):
        raise QdiffError(f"an angle is a number or a ParameterExpression, not {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise QdiffError(f"the angle {number} is not finite")
    if number == int(number):
        return ex.number(int(number))
    part = Fraction(number / math.pi).limit_denominator(MOST_PARTS_OF_PI)
    found = ex.multiply(ex.number(part.numerator), ex.Pi())
    if part.denominator > 1:
        found = ex.divide(found, ex.number(part.denominator))
    return found if found.evaluate() == number else ex.number(number)


def _folded(expr: Expr) -> Expr:
    """A constant as its number: indices of loops are numbers in angles."""
    if isinstance(expr, ex.Number | ex.Pi) or expr.parameters() or expr.counters():
        return expr
    return real(expr.evaluate())


def _by_sympy(value: Any, known: Mapping[Any, Expr]) -> Expr:
    from qiskit.circuit import Parameter

    from qdiff.lang.sympy_bridge import from_sympy

    # Names of Qiskit may be any text; these are names everywhere.
    plain = {p: Parameter(f"p{i}") for i, p in enumerate(known)}
    try:
        found = from_sympy(value.subs(plain).sympify())
    except QdiffError as error:
        raise QdiffError(f"the expression `{value}`: {error}") from None
    return found.substitute({plain[p].name: expr for p, expr in known.items()})
