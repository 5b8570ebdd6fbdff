"""What expressions and conditions mean: which operator binds what, and the trees they become."""

from __future__ import annotations

import pytest

from qdiff.lang import expr as ex
from qdiff.lang.expr import Counter, Number, Parameter
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import And, Assign, Block, Compare, Condition, Flip, Gate, If, Measured, Not, Or

HEADER = "qubit: q, r, data[4]\npara: t, w[3]\ncount: c, m[2]\n"

q, t, c = "q", Parameter("t"), Counter("c")


def body(text: str) -> Block:
    return parse(HEADER + text).body


def angle(text: str) -> ex.Expr:
    (gate,) = body(f"Ry({text})[q]")
    assert isinstance(gate, Gate)
    return gate.angles[0]


def condition(text: str) -> Condition:
    (statement,) = body(f"if {text} then skip fi")
    assert isinstance(statement, If)
    return statement.condition


# --- Conditions ---------------------------------------------------------------------------------

A, B, C = Measured((q,), 0), Flip(t), Compare(c, "<", Number(3))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("M[q] = 0", A),
        ("M[q, data[1]] = 2", Measured((q, "data[1]"), 2)),
        ("flip(t)", B),
        ("c<3", C),
        *((f"c {operator} t", Compare(c, operator, t)) for operator in ("=", "!=", "<", "<=", ">", ">=")),
        ("c >= t*2 + 1", Compare(c, ">=", ex.add(ex.multiply(t, Number(2)), Number(1)))),
        ("(c) < (3)", C),
        ("((c < 3))", C),
        ("not M[q] = 0", Not(A)),
        ("not not c < 3", Not(Not(C))),
        ("not (c < 3)", Not(C)),
        ("M[q] = 0 and flip(t) and c < 3", And((A, B, C))),
        ("(M[q] = 0 and flip(t)) and c < 3", And((And((A, B)), C))),
        ("M[q] = 0 and (flip(t) and c < 3)", And((A, And((B, C))))),
        ("M[q] = 0 or flip(t) or c < 3", Or((A, B, C))),
        ("M[q] = 0 or flip(t) and c < 3", Or((A, And((B, C))))),
        ("M[q] = 0 and flip(t) or c < 3", Or((And((A, B)), C))),
        ("(M[q] = 0 or flip(t)) and c < 3", And((Or((A, B)), C))),
        ("not M[q] = 0 and flip(t)", And((Not(A), B))),
        ("not (M[q] = 0 and flip(t))", Not(And((A, B)))),
        ("-c < 3", Compare(ex.negate(c), "<", Number(3))),
        ("not -c < 3", Not(Compare(ex.negate(c), "<", Number(3)))),
        ("w[c] < 1", Compare(ex.ParameterElement("w", 3, c), "<", Number(1))),
    ],
)  # fmt: skip
def test_conditions(text: str, expected: Condition) -> None:
    assert condition(text) == expected


# --- Expressions --------------------------------------------------------------------------------

two, three = Number(2), Number(3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", two),
        ("0.5", Number(0.5)),
        (".5", Number(0.5)),
        ("2.", Number(2.0)),
        ("1e-3", Number(0.001)),
        ("2.5E+4", Number(25000.0)),
        ("2.e1", Number(20.0)),
        ("pi", ex.Pi()),
        ("t", t),
        ("w[2]", Parameter("w[2]")),
        ("w[1 + 1]", Parameter("w[2]")),
        ("w[c]", ex.ParameterElement("w", 3, c)),
        ("w[m[1] mod 3]", ex.ParameterElement("w", 3, ex.Modulo(Counter("m[1]"), three))),
        ("m[1]", Counter("m[1]")),
        ("-t", ex.Negate(t)),
        ("--t", t),
        ("- - -t", ex.Negate(t)),
        ("2*-t", ex.Negate(ex.multiply(two, t))),
        ("2 - -t", ex.add(two, t)),
        ("-2^2", ex.Negate(ex.Power(two, two))),
        ("(-2)^2", ex.Power(ex.Negate(two), two)),
        ("2^3^t", ex.Power(two, ex.Power(three, t))),
        ("(2^3)^t", ex.Power(ex.Power(two, three), t)),
        ("2^-t", ex.Power(two, ex.Negate(t))),
        ("2^-t^2", ex.Power(two, ex.Negate(ex.Power(t, two)))),
        ("2*t^2", ex.multiply(two, ex.Power(t, two))),
        ("-t*2", ex.Negate(ex.multiply(t, two))),
        ("t + 2 + 3", ex.Sum((t, two, three))),
        ("t - 2 - 3", ex.Sum((t, ex.Negate(two), ex.Negate(three)))),
        ("t - (2 - 3)", ex.Sum((t, ex.Negate(ex.Sum((two, ex.Negate(three))))))),
        ("t * 2 * 3", ex.Product((t, two, three))),
        ("t / 2 / 3", ex.Product((t, ex.Reciprocal(two), ex.Reciprocal(three)))),
        ("t / (2 / 3)", ex.Product((t, ex.Reciprocal(ex.Product((two, ex.Reciprocal(three))))))),
        ("t / 2 * 3", ex.Product((t, ex.Reciprocal(two), three))),
        ("2*t + 3*c - t/2", ex.add(ex.multiply(two, t), ex.multiply(three, c),
                                    ex.negate(ex.divide(t, two)))),
        ("sin(t + 2)", ex.Call("sin", ex.add(t, two))),
        ("abs(-t)", ex.Call("abs", ex.Negate(t))),
        ("((t))", t),
    ],
)  # fmt: skip
def test_expressions(text: str, expected: ex.Expr) -> None:
    assert angle(text) == expected


@pytest.mark.parametrize("function", ex.FUNCTIONS)
def test_functions(function: str) -> None:
    assert angle(f"{function}(t)") == ex.Call(function, t)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c div 2", ex.IntegerQuotient(c, two)),
        ("c mod 2", ex.Modulo(c, two)),
        ("2*c div 3", ex.IntegerQuotient(ex.multiply(two, c), three)),
        ("2*(c div 3)", ex.multiply(two, ex.IntegerQuotient(c, three))),
        ("c div 2 * 3", ex.multiply(ex.IntegerQuotient(c, two), three)),
        ("c div 2 mod 3", ex.Modulo(ex.IntegerQuotient(c, two), three)),
        ("-c div 2", ex.IntegerQuotient(ex.Negate(c), two)),
        ("c + 2 mod 3", ex.add(c, ex.Modulo(two, three))),
        ("(c + 2) mod -3", ex.Modulo(ex.add(c, two), ex.Negate(three))),
        ("m[0] - m[1]*c", ex.add(Counter("m[0]"), ex.negate(ex.multiply(Counter("m[1]"), c)))),
        ("9223372036854775807", Number(2**63 - 1)),
        ("-9223372036854775808", ex.Negate(Number(2**63))),
    ],
)
def test_integer_expressions(text: str, expected: ex.Expr) -> None:
    assert body(f"c := {text}") == (Assign("c", expected),)


def test_long_sums_and_products_are_flat() -> None:
    many = 20_000
    total = angle("+".join(["t"] * many))
    assert isinstance(total, ex.Sum)
    assert len(total.terms) == many
    product = angle("*".join(["t"] * many))
    assert isinstance(product, ex.Product)
    assert len(product.factors) == many
