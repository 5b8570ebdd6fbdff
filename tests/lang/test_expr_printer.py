"""The text of expressions. (That it parses back is tested with the parser.)"""

from __future__ import annotations

import pytest
from expressions import C, S, T

from qdiff.lang.expr import (
    ONE,
    Call,
    Expr,
    Indicator,
    IntegerQuotient,
    Modulo,
    Number,
    Parameter,
    ParameterElement,
    Pi,
    Power,
    add,
    divide,
    multiply,
    negate,
    number,
)

TWO = Number(2)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (Number(2), "2"),
        (Number(0.1), "0.1"),
        (Number(1e300), "1e+300"),
        (Number(2.0), "2.0"),
        (Number(2**70), "1180591620717411303424"),
        (Pi(), "pi"),
        (Parameter("w[0]"), "w[0]"),
        (ParameterElement("w", 3, add(C, ONE)), "w[c + 1]"),
        (add(T, S, C), "t + s + c"),
        (add(T, negate(S)), "t - s"),
        (add(negate(T), S), "-t + s"),
        (add(T, negate(add(S, C))), "t - (s + c)"),
        (add(T, negate(multiply(S, C))), "t - s*c"),
        (add(T, number(-2)), "t - 2"),
        (multiply(T, add(S, ONE)), "t*(s + 1)"),
        (multiply(T, negate(S)), "-t*s"),
        (negate(add(T, S)), "-(t + s)"),
        (divide(T, S), "t/s"),
        (divide(T, multiply(S, C)), "t/(s*c)"),
        (divide(divide(T, S), C), "t/s/c"),
        (divide(ONE, T), "1/t"),
        (divide(ONE, divide(ONE, T)), "1/(1/t)"),
        (multiply(divide(ONE, T), S), "1/t*s"),
        (divide(T, Power(S, TWO)), "t/s^2"),
        (divide(T, negate(S)), "-t/s"),
        (Power(T, TWO), "t^2"),
        (negate(Power(TWO, TWO)), "-2^2"),
        (Power(number(-2), TWO), "(-2)^2"),
        (Power(T, number(-2)), "t^(-2)"),
        (Power(T, Power(S, C)), "t^s^c"),
        (Power(Power(T, S), C), "(t^s)^c"),
        (Power(add(T, S), divide(ONE, TWO)), "(t + s)^(1/2)"),
        (Power(Call("sin", T), TWO), "sin(t)^2"),
        (multiply(TWO, Call("asin", divide(ONE, T))), "2*asin(1/t)"),
        (IntegerQuotient(add(C, ONE), TWO), "(c + 1) div 2"),
        (IntegerQuotient(multiply(C, C), TWO), "(c*c) div 2"),
        (Modulo(IntegerQuotient(C, TWO), Number(3)), "(c div 2) mod 3"),
        (add(Modulo(C, TWO), ONE), "(c mod 2) + 1"),
        (multiply(TWO, Modulo(C, TWO)), "2*(c mod 2)"),
        (IntegerQuotient(negate(C), TWO), "(-c) div 2"),
        (negate(IntegerQuotient(C, TWO)), "-(c div 2)"),
        (multiply(T, Indicator(add(C, ONE), 3)), "t*[c + 1 = 3]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_text(expr: Expr, text: str) -> None:
    assert str(expr) == text
