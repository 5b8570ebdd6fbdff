"""The text form of observables."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.lang.observable import P0, P1, Observable, Term, X, Y, Z, constant, count
from qdiff.lang.text.observable_text import parse_observable

CASES = json.loads((Path(__file__).parents[2] / "reference" / "cases.json").read_text())

c, d = count("c"), count("d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c * P1[r] / 40", c * P1("r") / 40),
        ("Z[q]*Z[r] + 0.5*X[q]", Z("q") * Z("r") + 0.5 * X("q")),
        ("c/4", c / 4),
        ("1 - P0[data[2]]", 1 - P0("data[2]")),
        ("c^2", c**2),
        ("1", constant(1)),
        ("0", Observable()),
        ("0*Z[q]", Observable()),
        ("Y[q]", Y("q")),
        ("-Y[q]", -Y("q")),
        ("--Y[q]", Y("q")),
        ("2*-Y[q]", -2 * Y("q")),
        ("((Y[q]))", Y("q")),
        ("m[3]", count("m[3]")),
        ("m[3]*P0[q] - m[2]", count("m[3]") * P0("q") - count("m[2]")),
        ("sqrt(2)/2*X[q]", (math.sqrt(2) / 2) * X("q")),
        ("X[q]/sqrt(2)", X("q") / math.sqrt(2)),
        ("pi*X[q]", math.pi * X("q")),
        ("cos(pi/3)^2*X[q]", constant(math.pow(math.cos(math.pi / 3), 2)) * X("q")),
        ("2^3^2", constant(512)),
        ("-2^2", constant(-4)),
        ("(-2)^2", constant(4)),
        ("2^-1*c", 0.5 * c),
        ("2^0.5", constant(math.sqrt(2))),
        ("c^0", constant(1)),
        ("c^1", c),
        ("c*c", c**2),
        ("c*d*c/2/5", c**2 * d / 2 / 5),
        ("(c + 1)*(c - 1)", c**2 - 1),
        ("(c + d)^3", (c + d) ** 3),
        ("(c + Z[q])*(d - X[r])", (c + Z("q")) * (d - X("r"))),
        ("(Z[q] + Z[r])/4", (Z("q") + Z("r")) / 4),
        ("Z[q] - (Z[r] - 1)", Z("q") - Z("r") + 1),
        ("2*(3 - c)*P1[q]", 2 * (3 - c) * P1("q")),
        ("P0*P1", count("P0") * count("P1")),
        ("x + S[1] + T", count("x") + count("S[1]") + count("T")),
        ("c - c", Observable()),
        (" c # a comment", c),
    ],
)
def test_texts(text: str, expected: Observable) -> None:
    assert parse_observable(text) == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_reference_observables(case: dict[str, str]) -> None:
    found = parse_observable(case["observable"])
    assert parse_observable(str(found)) == found


FUNCTIONS = "sin, cos, tan, asin, acos, atan, exp, log, sqrt, abs"


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "the text is empty."),
        (" \n", 1, "the text is empty."),
        ("Z[q] Z[r]", 6, "expected an operator or the end of the text, but found `Z`."),
        ("Z[q] +", 7, "expected an expression, but the text ends."),
        ("Z", 1, "`Z` acts on a qubit. Write `Z[q]`."),
        ("2*X", 3, "`X` acts on a qubit. Write `X[q]`."),
        ("Z[q, r]", 1, "`Z` acts on one qubit, got 2. Multiply operators."),
        ("Z[1]", 3, "expected a qubit, found an expression."),
        ("Z[q + r]", 3, "expected a qubit, found an expression."),
        ("Z[data[i]]", 3, "the index of a qubit is one integer, as in `data[2]`."),
        ("Z[data[0, 1]]", 3, "the index of a qubit is one integer, as in `data[2]`."),
        ("m[i]", 1, "the index of a counter is one integer, as in `m[2]`."),
        ("2*I[q]", 3, "there is no operator `I`: operators are X, Y, Z, P0, P1; the identity is left out."),
        ("H[q]", 1, "there is no operator `H`: operators are X, Y, Z, P0, P1; the identity is left out."),
        ("m[1.0]", 1, "the index of a counter is one integer, as in `m[2]`."),
        ("X[q]*Z[q]", 6, "the qubit `q` stands twice in one term."),
        ("Z[q]*2*c*Z[q]", 10, "the qubit `q` stands twice in one term."),
        ("Z[data[1]]*Z[data[1]]", 12, "the qubit `data[1]` stands twice in one term."),
        ("(X[q] + Z[r])*(1 - P0[r])", 15, "the qubit `r` stands twice in one term."),
        ("P0[q]^2", 1, "only numbers and counters have powers. X, Y and Z square to 1, P0 and P1 to"
                       " themselves."),
        ("(c + Z[q])^2", 1, "only numbers and counters have powers. X, Y and Z square to 1, P0 and P1 to"
                            " themselves."),
        ("Z[q]^0.5", 1, "only numbers and counters have powers. X, Y and Z square to 1, P0 and P1 to"
                        " themselves."),
        ("2^Z[q]", 3, "the exponent is made of numbers and counters."),
        ("c^Z[q]", 3, "the exponent is made of numbers and counters."),
        ("1/Z[q]", 2, "only numbers and counters divide in an observable."),
        ("1/(c + Z[q])", 2, "only numbers and counters divide in an observable."),
        ("log(Z[q])", 1, "`log` takes numbers and counters, not operators."),
        ("logpower_hazard(Z[q], 1)", 1, "`logpower_hazard` takes numbers and counters, not operators."),
        ("logpower_hazard(k, 11)", 1, "`logpower_hazard(k, 11)`: the δ of a log-power law is above 0 and at"
                                      " most 10, got 11.0."),
        ("logpower_hazard(k, k)", 1, "The second argument of `logpower_hazard` is a constant, got `k`."),
        ("logpower_hazard(0, 1)", 1, "`logpower_hazard(0.0, 1.0)` needs an integer from 1 to 2^63 - 1, got"
                                     " 0."),
        ("[c]", 2, "a selection is a counter and its value, as in `[site = 1]`."),
        ("[c > 1]", 2, "a selection is a counter and its value, as in `[site = 1]`."),
        ("[c = 0.5]", 6, "a selection compares with an integer, as in `[site = 1]`."),
        ("[c = d]", 6, "a selection compares with an integer, as in `[site = 1]`."),
        ("[Z[q] = 1]", 2, "the operator `Z` cannot stand in a function of counters."),
        ("[sin(c) div 2 = 1]", 2, "`sin` cannot stand in this selection."),
        ("[not c = 1]", 2, "a selection is a counter and its value, as in `[site = 1]`."),
        ("[Z = 1]", 2, "`Z` acts on a qubit. Write `Z[q]`."),
        ("exp(1000*c - c)*[c = 1", 23, "expected `]`, but the text ends."),
        ("Z[q]/0", 5, "division by zero."),
        ("Z[q]/(1 - 1)", 5, "division by zero."),
        ("sqrt(-1)", 1, "`sqrt(-1.0)` has no finite real value (operands: -1)."),
        ("1e200*1e200", 1, "the number is inf, not finite."),
        ("1e200*1e200*c", 1, "A coefficient of an observable is a finite number, not inf."),
        ("c^1001", 1, "The counters of a term have a total power of at most 1000."),
        ("c^1000000000000", 1, "The counters of a term have a total power of at most 1000."),
        ("(a + b + c + d)^200", 1, "the product has too many terms once it is expanded."),
        ("c div 2", 3, "`div` cannot stand in an observable."),
        ("c mod 2", 3, "`mod` cannot stand in an observable."),
        ("c < 2", 1, "expected a sum of products, found a condition."),
        ("not c", 1, "expected a sum of products, found a condition."),
        ("flip(0.5)", 1, "expected a sum of products, found a condition."),
        ("M[q]", 1, "nothing is measured in an observable. The probability of a 1 is `P1[q]`."),
        ("|0>", 1, "expected an expression, but found `|0>`. A qubit is reset by `q := |0>`."),
        ("Z⊗Z", 2, "`⊗` (U+2297, CIRCLED TIMES) is not an ASCII character; outside comments a program is"
                   " ASCII."),
        ("__import__('os').system('x')", 11, "expected `[`, an operator or the end of the text, but found"
         f" `(`. `__import__` is not a function. Functions: {FUNCTIONS}."),
    ],
)  # fmt: skip
def test_refusals(text: str, column: int, message: str) -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        parse_observable(text)
    assert str(caught.value).split("\n")[0] == f"<observable>:1:{column}: {message}"


def test_refusals_show_the_place() -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        parse_observable("Z[q] + X[r]*Y[r]")
    assert str(caught.value) == (
        "<observable>:1:13: the qubit `r` stands twice in one term.\n"
        "    Z[q] + X[r]*Y[r]\n"
        "                ^^^^"
    )


def test_long_sums_and_products() -> None:
    many = 3000
    total = parse_observable(" + ".join(f"{i}*Z[q[{i}]]" for i in range(1, many)))
    assert len(total.terms) == many - 1
    product = parse_observable("*".join(f"Z[q[{i}]]" for i in range(many)))
    assert len(product.qubits) == many
    wide = " + ".join(f"c{i}" for i in range(150))
    assert len(parse_observable(f"({wide})*({wide})").terms) == 150 * 151 // 2
    with pytest.raises(QdiffSyntaxError, match="too many terms"):
        parse_observable(f"({wide})^3")


def test_five_hundred_levels() -> None:
    assert parse_observable("(" * 500 + "c" + ")" * 500) == c
    with pytest.raises(QdiffSyntaxError, match="brackets are nested more than 500 deep"):
        parse_observable("(" * 501 + "c" + ")" * 501)


# --- Round trips --------------------------------------------------------------------------------

names = st.sampled_from(["q", "r", "S", "data[0]", "data[10]"])
letters = st.sampled_from(["X", "Y", "Z", "P0", "P1"])
counters = st.sampled_from(["c", "T", "m[0]", "m[12]"])
terms = st.builds(
    lambda coefficient, powers, operators: Term(coefficient, tuple(powers.items()), tuple(operators.items())),
    st.floats(-1e9, 1e9),
    st.dictionaries(counters, st.integers(1, 5), max_size=3),
    st.dictionaries(names, letters, max_size=3),
)


@given(st.lists(terms, max_size=5))
def test_printed_observables_parse_back(some: list[Term]) -> None:
    observable = Observable(some)
    assert parse_observable(str(observable)) == observable


WORDS = [
    "X[q]",
    "Z[r]",
    "P0[d[1]]",
    "c",
    "m[2]",
    "2",
    "0.5",
    "+",
    "-",
    "*",
    "/",
    "^",
    "(",
    ")",
    "pi",
    "sin(",
    "log(",
    "logpower_hazard(",
    "=",
    "div",
    ",",
    "[",
    "]",
    "<",
    "not",
]


@given(st.lists(st.sampled_from(WORDS), max_size=15))
@example(["2", "*", "c", "/", "log(", "c", ")", "^", "2"])
def test_any_row_of_words(words: list[str]) -> None:
    try:
        found = parse_observable(" ".join(words))
    except QdiffError as error:
        assert str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert parse_observable(str(found)) == found
