"""Arithmetic of observables: they add and multiply as operators, and refuse what is none."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import assume, given
from observables import ATOMS, STORE, dense, observables

from qdiff.errors import QdiffError, ResourceError
from qdiff.lang.observable import P0, P1, Observable, X, Y, Z, constant, count
from qdiff.lang.observable_input import observable


@pytest.mark.parametrize("left", ATOMS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("right", ATOMS, ids=lambda make: make.__name__)
def test_operators_on_one_qubit_multiply_as_matrices(
    left: Callable[[str], Observable], right: Callable[[str], Observable]
) -> None:
    product = left("r") * right("r")
    assert np.array_equal(dense(product), dense(left("r")) @ dense(right("r")))


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        (X("q") * Y("q"), 1j * Z("q")),
        (Y("q") * X("q"), -1j * Z("q")),
        (X("q") * X("q"), constant(1)),
        (P0("q") * P0("q"), P0("q")),
        (P0("q") * P1("q"), constant(0)),
        (Z("q") * P0("q"), P0("q")),
        (P1("q") * Z("q"), -P1("q")),
        (X("q") * P0("q"), (X("q") - 1j * Y("q")) / 2),
        (X("q") * Z("r"), Z("r") * X("q")),
    ],
    ids=str,
)
def test_products(product: Observable, expected: Observable) -> None:
    assert product == expected


@given(observables, observables)
def test_arithmetic_is_that_of_matrices(a: Observable, b: Observable) -> None:
    assert_close(dense(a + b), dense(a) + dense(b), 1e-12)
    assert_close(dense(a - b), dense(a) - dense(b), 1e-12)
    assert_close(dense(a * b), dense(a) @ dense(b), 1e-12)
    assert_close(dense(-a), -dense(a), 1e-12)
    assert_close(dense(a**2), dense(a) @ dense(a), 1e-12)


@given(observables)
def test_a_number_stands_on_either_side(o: Observable) -> None:
    assert 2 * o == o * 2 == o + o
    assert o + 1 == 1 + o
    assert 1 - o == -(o - 1)
    assert o / 4 == o * 0.25
    assert +o == o
    assert o - o == constant(0)


@pytest.mark.parametrize(
    "two",
    [2, 2.0, 2 + 0j, np.float64(2), np.float32(2), np.int64(2), np.complex128(2), np.uint8(2)],
    ids=repr,
)
def test_numbers_of_all_types(two: Any) -> None:
    o = Z("q") + count("c")
    assert two * o == o * two == o + o
    assert two + o == o + two == o + 2
    assert two - o == 2 - o
    assert o - two == o - 2
    assert o / two == 0.5 * o
    assert constant(two) == constant(2)


def test_division_divides_once() -> None:
    assert (count("c") / 49).coefficients({"c": 1}) == {(): 1 / 49}
    assert (Z("q") / 2j) == -0.5j * Z("q")


@pytest.mark.parametrize(
    ("quotient", "text"),
    [
        (1 / count("k"), "1/k"),
        (Z("q") / count("k"), "Z[q]/k"),
        ((1 + count("c")) / (count("k") + 1), "(1 + c)/(1 + k)"),
        (2 / (-3 * count("k") ** 2 * count("c")), "-2/(3*c*k^2)"),
        (1 / (0.1 * count("k") - 2**60), "1/(-1152921504606846976.0 + 0.1*k)"),
        (1 / (1 / count("k")), "1/(1/k)"),
        (1 / (1 + 2 / count("k")) / (1 + 2 / count("k")), "(1/(1 + 2/k))^2"),
        (1 / (count("c") * observable("[k = 1]*log(k + 1)^2/(k + 1)/(k + 1)")),
         "1/(c*[k = 1]*log(k + 1)^2*(1/(k + 1))^2)"),
        (count("k") / constant(4), "k/4"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_division_by_counters_is_what_texts_mean(quotient: Observable, text: str) -> None:
    assert quotient == observable(text)


@given(observables, observables)
def test_quotients_multiply_back(a: Observable, b: Observable) -> None:
    divisor = sum((Observable((term,)) for term in b.terms if not term.operators), start=constant(0))
    value = divisor.coefficients(STORE).get((), 0j)
    assume(value)
    assert_close(dense(a / divisor) * value, dense(a), 1e-12)
    if not any(term.coefficient.imag for term in a.terms):
        assert a / divisor == observable(f"({a})/({divisor})")


def test_powers() -> None:
    assert Z("q") ** 0 == constant(1)
    assert Z("q") ** 1 == Z("q")
    assert X("q") ** 10**9 == constant(1)
    assert (count("c") + 1) ** 2 == count("c") ** 2 + 2 * count("c") + 1
    assert (Z("q") + X("q")) ** np.int64(2) == constant(2)


JOINS = (
    'joins an observable with an observable or a number, not with {}. Write qd.Z("q") or qd.count("c") '
    "for an operator or a counter, qd.observable(text) for a text."
)


@pytest.mark.parametrize(("sign", "join"), [("+", operator.add), ("-", operator.sub), ("*", operator.mul)])
@pytest.mark.parametrize(
    ("other", "kind"),
    [
        ("Z[q]", "a str"),
        (None, "a NoneType"),
        (np.ones(2), "a ndarray"),
        ([1], "a list"),
        (object(), "an object"),
    ],
    ids=lambda value: "object" if type(value) is object else repr(value),
)
def test_other_types_are_refused(sign: str, join: Callable[[Any, Any], Any], other: Any, kind: str) -> None:
    for left, right in ((Z("q"), other), (other, Z("q"))):
        with pytest.raises(QdiffError) as caught:
            join(left, right)
        assert str(caught.value) == f"`{sign}` {JOINS.format(kind)}"


@pytest.mark.parametrize(
    "bad", [math.nan, math.inf, -math.inf, np.float64("nan"), complex(0, math.inf), 10**400]
)
def test_numbers_that_are_not_finite_are_refused(bad: Any) -> None:
    for join in (operator.add, operator.sub, operator.mul, operator.truediv):
        with pytest.raises(QdiffError, match=r"of an observable is a finite number, not "):
            join(Z("q"), bad)
    with pytest.raises(QdiffError, match=r"^A coefficient of an observable is a finite number, not "):
        constant(bad)


def test_coefficients_stay_finite() -> None:
    message = "A coefficient of an observable became too large for a floating-point number."
    huge = 1e200 * Z("q")
    for overflow in (lambda: huge * huge, lambda: huge / 1e-200, lambda: 1.5e308 * Z("q") + 1.5e308 * Z("q")):
        with pytest.raises(QdiffError) as caught:
            overflow()
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        (lambda: Z("q") / 0, "An observable cannot be divided by 0."),
        (
            lambda: Z("q") / "k",  # type: ignore[operator]
            "An observable can be divided by a number or by counters, not by a str. "
            'Write `observable / 2` or `observable / qd.count("c")`.',
        ),
        (
            lambda: 1 / (count("k") + Z("q")),
            "Nothing can be divided by `k + Z[q]`, which acts on a qubit: a divisor is a number, or contains "
            'counters only, such as qd.count("c").',
        ),
        (
            lambda: Z("q") / (1j * count("k")),
            "Nothing can be divided by `(1j)*k`: a divisor with counters has real coefficients.",
        ),
        (lambda: count("k") / (count("k") - count("k")), "An observable cannot be divided by 0."),
        (lambda: "k" / count("k"), f"`/` {JOINS.format('a str')}"),
        (lambda: Z("q") ** -1, "The exponent of an observable is a whole number from 0, not -1."),
        (lambda: Z("q") ** 0.5, "The exponent of an observable is a whole number from 0, not 0.5."),
        (lambda: Z("q") ** "2", "The exponent of an observable is a whole number from 0, not '2'."),
        (lambda: constant("1"), "A coefficient of an observable is a number, not a str."),  # type: ignore[arg-type]
        (lambda: constant(math.nan), "A coefficient of an observable is a finite number, not nan."),
        (
            lambda: constant(1j * math.inf),
            "A coefficient of an observable is a finite number, not (nan+infj).",
        ),
    ],
)
def test_messages_of_arithmetic(fail: Callable[[], Observable], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        fail()
    assert str(caught.value) == message


def test_powers_and_products_have_a_limit() -> None:
    assert (count("c") ** 1000).degree == 1000
    with pytest.raises(ResourceError, match=r"^The counters of a term have a total power of at most 1000\.$"):
        count("c") ** 1001
    total = sum(X(f"q[{i}]") + count(f"c[{i}]") for i in range(240))
    assert isinstance(total, Observable)
    with pytest.raises(ResourceError, match=r"^The product of two observables has more than 100000 terms\.$"):
        total * total
    raised = math.prod((X(f"q[{i}]") for i in range(40)), start=constant(1))
    projected = math.prod((P0(f"q[{i}]") for i in range(40)), start=constant(1))
    with pytest.raises(ResourceError, match="more than 100000 terms"):
        raised * projected
