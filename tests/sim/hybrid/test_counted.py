"""Which counters are followed as moments, and what assignments do to monomials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdiff.lang import expr as ex
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Assign
from qdiff.objective import expectation
from qdiff.sim.flow import lower
from qdiff.sim.hybrid.counted import LARGEST_BASIS, Affine, Counted, StepTooLarge, affine, counted_counters

INDEX = {"c": 0, "k": 1, "n": 2}


def expression(text: str) -> ex.Expr:
    """The right-hand side of an assignment."""
    (statement,) = parse(f"qubit: q count: c, k, n c := {text}").body
    assert isinstance(statement, Assign)
    return statement.value


@pytest.mark.parametrize(
    ("text", "coefficients"),
    [
        ("c + 1", {0: 1}),
        ("c", {0: 1}),
        ("7", {}),
        ("-c", {0: -1}),
        ("3 - 2*k", {1: -2}),
        ("c + k + c", {0: 2, 1: 1}),
        ("c - c", {}),
        ("2*(c - 3*(k - 1)) + n", {0: 2, 1: -6}),
        ("c + n*n", {0: 1}),
        ("c + n div 2", {0: 1}),
        ("0*c + 4", {}),
    ],
)
def test_affine_expressions(text: str, coefficients: dict[int, int]) -> None:
    expr = expression(text)
    form = affine(expr, INDEX, {2})
    assert form is not None
    assert dict(form.coefficients) == coefficients
    for store in ({"c": 3, "k": -2, "n": 5}, {"c": -7, "k": 11, "n": 2}):
        total = sum(a * store[["c", "k", "n"][c]] for c, a in form.coefficients)
        # What is followed as moments is 0 in the store.
        assert total + form.rest.evaluate({}, {**store, "c": 0, "k": 0}) == expr.evaluate({}, store)


@pytest.mark.parametrize("text", ["c*k", "c*c", "n*c", "c div 2", "c mod 2", "2 div c", "c + (k mod 3)"])
def test_other_expressions_are_not_affine(text: str) -> None:
    assert affine(expression(text), INDEX, {2}) is None


def test_a_factor_without_value_is_left_to_where_it_is_reached() -> None:
    assert affine(expression("(1 div 0)*c"), INDEX, set()) is None


def found(body: str, *observables: str) -> Counted:
    flow = lower(parse(f"qubit: q para: t count: c, k, n {body}"))
    return counted_counters(flow, [parse_observable(o) for o in observables])


@pytest.mark.parametrize(
    ("body", "asked", "counters", "forgotten"),
    [
        ("c++", ["c"], (0,), {1, 2}),
        ("c++", ["Z[q]"], (), {0, 1, 2}),
        ("c := c + k; k++", ["c"], (0, 1), {2}),
        ("c := c + k; k++", ["k"], (1,), {0, 2}),
        ("c++; if c < 3 then k++ fi", ["k"], (1,), {2}),
        ("c++; Ry(t*c)[q]", ["c"], (), {1, 2}),
        ("c := 2*c", ["c"], (0,), {1, 2}),
        ("while flip(t) do c := 2*c od", ["c"], (), {1, 2}),
        ("c := -c; k := 3*c", ["k"], (0, 1), {2}),
        ("c := k; k := c", ["c"], (0, 1), {2}),
        ("while flip(t) do c := k; k := c od", ["c"], (), {2}),
        ("while{2} flip(t) do c := k; k := c od", ["c"], (), {2}),
        ("c := c mod 3; k := k + c", ["k"], (1,), {2}),
        ("c := k mod 3; k++", ["c"], (), {2}),  # k is read by what is not affine, so it is no moment
        ("if c = 1 then c := k fi; k++", ["n"], (2,), set()),  # an explicit counter reads k
        ("c := M[q]", ["c^2"], (0,), {1, 2}),
        ("n := c; c := k; k++", ["n"], (0, 1, 2), set()),
    ],
)
def test_which_counters_are_counted(
    body: str, asked: list[str], counters: tuple[int, ...], forgotten: set[int]
) -> None:
    result = found(body, *asked)
    assert (result.counters, set(result.forgotten)) == (counters, forgotten)
    assert result.tracked == set(counters) | forgotten


def test_bases() -> None:
    assert found("c++", "c^3").basis == ((0,), (1,), (2,), (3,))
    assert set(found("c := c + k; k++", "c^2").basis) == {(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0)}
    assert found("c := 0", "c^2").basis == ((0,), (2,))
    assert found("c++", "c", "c^2").basis == ((0,), (1,), (2,))


def test_lower_monomials_come_first() -> None:
    counted = found("c := c + k; k := k + 2; n := n - c", "n^2 + c")
    for matrix in (
        counted.matrix(0, ((0, 1), (1, 1)), 0),
        counted.matrix(1, ((1, 1),), 2),
        counted.matrix(2, ((2, 1), (0, -1)), 0),
    ):
        assert np.array_equal(matrix, np.tril(matrix))


def test_too_many_monomials_are_followed_as_values() -> None:
    assert len(found("c++", f"c^{LARGEST_BASIS - 1}").basis) == LARGEST_BASIS
    assert found("c++", f"c^{LARGEST_BASIS}") == Counted()


@settings(max_examples=60)
@given(
    st.lists(st.integers(-5, 5), min_size=3, max_size=3),
    st.lists(st.integers(-3, 3), min_size=2, max_size=2),
    st.integers(-4, 4),
    st.integers(0, 2),
)
def test_the_matrix_of_an_assignment(store: list[int], others: list[int], rest: int, at: int) -> None:
    """Λ takes the monomials of the old values to those of the new ones."""
    basis = tuple(
        sorted(((i, j, k) for i in range(4) for j in range(4) for k in range(4) if i + j + k <= 3), key=sum)
    )
    counted = Counted((0, 1, 2), frozenset(), basis, {})
    names = [c for c in range(3) if c != at]
    coefficients = ((at, -1), (names[0], others[0]), (names[1], others[1]))
    after = list(store)
    after[at] = -store[at] + others[0] * store[names[0]] + others[1] * store[names[1]] + rest

    def monomials(values: list[int]) -> list[int]:
        return [values[0] ** i * values[1] ** j * values[2] ** k for i, j, k in basis]

    matrix = counted.matrix(at, coefficients, rest)
    assert (matrix @ np.array(monomials(store))).tolist() == monomials(after)


def test_large_steps_are_refused() -> None:
    Counted.check_step(2**31)
    Counted.check_step(-(2**31))
    with pytest.raises(StepTooLarge):
        Counted.check_step(2**31 + 1)
    with pytest.raises(StepTooLarge):
        found("c++", "c").matrix(0, ((0, 1),), -(2**31) - 1)


def test_an_observable_by_monomials() -> None:
    counted = found("c++; if k < 3 then k++ fi", "c^2*Z[q]*k + 3*c*X[q] + k^2 + 0.5*c*X[q]")
    assert counted.basis == ((0,), (1,), (2,))
    parts = counted.split(parse_observable("c^2*Z[q]*k + 3*c*X[q] + k^2 + 0.5*c*X[q]"), ["c", "k", "n"])
    assert parts == {
        0: parse_observable("k^2"),
        1: parse_observable("3.5*X[q]"),
        2: parse_observable("Z[q]*k"),
    }


def test_forms_are_kept_by_expression() -> None:
    flow = lower(parse("qubit: q count: c c := c + 3"))
    counted = counted_counters(flow, [parse_observable("c")])
    assert counted.assignments is not None
    (form,) = counted.assignments.values()
    assert isinstance(form, Affine)
    assert (form.coefficients, form.rest.evaluate()) == (((0, 1),), 3)


@pytest.mark.parametrize(
    ("text", "observable"),
    [
        ("qubit: q count: c, e H[q]; c := M[q]; if c = 1 then X[q] fi; H[q]; e := c", "e"),
        (
            "qubit: q para: t count: c, e, d Ry(t)[q]; c := M[q];"
            "while M[q] = 1 do Ry(t)[q]; if c = 1 then d++ fi od; e := 2*c + d",
            "e*Z[q]",
        ),
        (
            "qubit: q para: t count: c, e, d Ry(t)[q]; c := M[q]; d := c + 1;"
            "while M[q] = 1 do Ry(t + 0.3*c)[q]; e := e + 3*c - d od",
            "e^2",
        ),
    ],
)
def test_a_counted_counter_is_read_from_one_that_is_followed(text: str, observable: str) -> None:
    """What it is assigned keeps the other one alive."""
    program = parse(text)
    params = dict.fromkeys(program.parameters, 0.7)
    found, expected = (
        expectation(program, observable, engine=name).value_and_grad(params)
        for name in ("hybrid", "branching")
    )
    assert expected[0] != 0
    assert found[0] == pytest.approx(expected[0], abs=1e-12)
    assert found[1] == pytest.approx(expected[1], abs=1e-10)
