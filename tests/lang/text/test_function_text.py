"""Functions of counters in the text of observables: what they mean, and that they print and parse back."""

from __future__ import annotations

import math

import pytest
from expressions import STORE as EXPRESSION_STORE
from expressions import counters, integer_expressions, real_numbers
from hypothesis import given
from hypothesis import strategies as st

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang.expr import (
    Call,
    Expr,
    Indicator,
    LogPowerHazard,
    Number,
    Power,
    add,
    divide,
    multiply,
    negate,
)
from qdiff.lang.logpower import hazard
from qdiff.lang.observable import Observable, Z, constant, count
from qdiff.lang.observable_expression import from_expression
from qdiff.lang.text.observable_text import parse_observable

STORE = {"c": 3, "k": 2, "site": 1, "m[1]": -4}


def value(observable: Observable, store: dict[str, int] = STORE) -> float:
    """The number that an observable without operators is at a store."""
    found = observable.coefficients(store)
    assert set(found) <= {()}
    return float(found.get((), 0j).real)


@pytest.mark.parametrize(
    ("text", "expected", "printed"),
    [
        ("log(k + 1)^1.25", math.log(3) ** 1.25, "log(k + 1)^1.25"),
        ("1/k", 0.5, "1/k"),
        ("-1/k", -0.5, "-1/k"),
        ("3*c/k/2", 2.25, "1.5*c/k"),
        ("c/(k*c)", 0.5, "c/(k*c)"),
        ("1/k/k", 0.25, "(1/k)^2"),
        ("1/-k", -0.5, "-1/k"),
        ("k^-1", 0.5, "k^(-1)"),
        ("k^0.5*k^0.5", 2.0, "(k^0.5)^2"),
        ("0.5^(k - 1)", 0.5, "0.5^(k - 1)"),
        ("c^k", 9.0, "c^k"),
        ("(-1)^k", 1.0, "(-1)^k"),
        ("exp(-c)*2*sin(m[1])", 2 * math.exp(-3) * math.sin(-4), "2*exp(-c)*sin(m[1])"),
        ("exp(c)*exp(c)", math.exp(6), "exp(c)^2"),
        ("exp(c) + exp(c)", 2 * math.exp(3), "2*exp(c)"),
        ("exp(c) - exp(c)", 0.0, "0"),
        ("(1/k + 1)^2", 2.25, "1 + 2/k + (1/k)^2"),
        ("abs(m[1])", 4.0, "abs(m[1])"),
        ("logpower_hazard(k, 0.25)", float(hazard(2, 0.25)), "logpower_hazard(k, 0.25)"),
        ("logpower_hazard(2, 0.25)", float(hazard(2, 0.25)), repr(float(hazard(2, 0.25)))),
        ("[site = 1]", 1.0, "[site = 1]"),
        ("[site = 2]*c", 0.0, "c*[site = 2]"),
        ("[m[1] = -4]", 1.0, "[m[1] = -4]"),
        ("[c mod 2 = 1]*[c div 2 = 1]", 1.0, "[c div 2 = 1]*[c mod 2 = 1]"),
        ("[site = 1]*[site = 1]", 1.0, "[site = 1]"),
        ("[site = 1]*[site = 2]", 0.0, "0"),
        ("([site = 1] + 2*[site = 2])^2", 1.0, "[site = 1] + 4*[site = 2]"),
        ("[1 = 1] + [2 = 1]", 1.0, "1"),
        ("1/(c + [c = 0])", 1 / 3, "1/(c + [c = 0])"),
    ],
)
def test_values_and_texts(text: str, expected: float, printed: str) -> None:
    found = parse_observable(text)
    assert value(found) == pytest.approx(expected, rel=1e-14)
    assert str(found) == printed
    assert parse_observable(printed) == found


def test_functions_multiply_operators_and_numbers() -> None:
    found = parse_observable("2*c*Z[q]*log(k)/k - 0.5*[site = 1]*Z[q]")
    assert str(found) == "-0.5*[site = 1]*Z[q] + 2*c*log(k)*Z[q]/k"
    assert found.counters == ("c", "k", "site")
    assert found.read == {"k", "site"}
    assert found.degree == 1
    assert found.is_hermitian
    assert found.coefficients(STORE) == pytest.approx({(("q", "Z"),): 3 * math.log(2) - 0.5})
    assert found == Z("q") * parse_observable("2*c*log(k)/k - 0.5*[site = 1]")
    assert hash(found) == hash(parse_observable(str(found)))
    assert not (1j * found).is_hermitian


def _nodes(x: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    pair = st.tuples(x, x)
    return st.one_of(
        pair.map(lambda p: add(*p)),
        pair.map(lambda p: multiply(*p)),
        pair.map(lambda p: divide(*p)),
        x.map(negate),
        st.tuples(x, st.integers(0, 3).map(Number)).map(lambda p: Power(*p)),
        st.tuples(x, real_numbers).map(lambda p: Power(*p)),
        st.tuples(real_numbers, x).map(lambda p: Power(*p)),
        st.tuples(st.sampled_from(["sin", "exp", "log", "sqrt", "abs", "atan"]), x).map(lambda p: Call(*p)),
    )


selections = st.builds(Indicator, integer_expressions, st.integers(-3, 9))
hazards = st.builds(LogPowerHazard, counters, st.sampled_from([Number(0.25), Number(2)]))
real_expressions = st.recursive(st.one_of(counters, real_numbers, selections, hazards), _nodes, max_leaves=6)


@given(real_expressions, real_expressions)
def test_sums_and_products_are_those_of_the_values(left: Expr, right: Expr) -> None:
    store = EXPRESSION_STORE
    try:
        a, b = float(left.evaluate({}, store)), float(right.evaluate({}, store))
        one, other = from_expression(left), from_expression(right)
    except QdiffError:
        return
    for observable, expected in ((one, a), (one + other, a + b), (one * other, a * b), (one**2, a * a)):
        assert parse_observable(str(observable)) == observable
        try:
            found = value(observable, store)
        except EvaluationError:
            return  # 0·f where f has no value, or too large once it is expanded
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * (1 + a * a + b * b))


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_what_is_not_selected_is_not_read(site: int, k: int) -> None:
    observable = parse_observable("[site = 1]/k + c")
    store = {"site": site, "k": k, "c": 5}
    if site != 1:
        assert value(observable, store) == 5
    elif k:
        assert value(observable, store) == 5 + 1 / k


def test_a_function_without_a_value_says_where() -> None:
    with pytest.raises(EvaluationError) as error:
        parse_observable("1 + 2*[site = 1]/k").coefficients({"site": 1, "k": 0})
    assert str(error.value) == (
        "The term `2*[site = 1]/k` of the observable has no value at {'site': 1, 'k': 0}: "
        "`1/k` divides by zero."
    )
    with pytest.raises(EvaluationError) as error:
        parse_observable("exp(k)^2").coefficients({"k": 700})
    assert str(error.value) == (
        "The term `exp(k)^2` of the observable has no value at {'k': 700}: `exp(k)^2` is too large a number."
    )
    with pytest.raises(QdiffError) as other:
        parse_observable("[site = 1]/k").coefficients({"site": 0})
    assert str(other.value) == "The counter `k` has no value. Values are given for: site."


def test_a_thousand_selections() -> None:
    text = " + ".join(f"{i}*[site = {i}]" for i in range(1, 1000))
    found = parse_observable(text)
    assert [value(found, {"site": i}) for i in (0, 1, 500, 999, 1000)] == [0, 1, 500, 999, 0]
    assert len((found * count("c")).terms) == 999
    assert value(found + constant(2), {"site": 7}) == 9
