"""Observables: normal form, names, text, groups for measurement."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from qdiff.errors import QdiffError
from qdiff.lang.observable import P0, P1, Observable, Term, X, Z, constant, count

# --- Normal form --------------------------------------------------------------------------------


def test_terms_are_merged_sorted_and_not_zero() -> None:
    o = Observable(
        [
            Term(2, operators=(("r", "Z"), ("q", "X"))),
            Term(1, counters=(("c", 1),)),
            Term(0.5, operators=(("q", "X"), ("r", "Z"))),
            Term(-1, counters=(("c", 1),)),
            Term(3, counters=(("m[10]", 1), ("m[2]", 2), ("c", 1), ("c", 1))),
        ]
    )
    assert o.terms == (
        Term(3, counters=(("c", 2), ("m[2]", 2), ("m[10]", 1))),
        Term(2.5, operators=(("q", "X"), ("r", "Z"))),
    )
    assert all(type(term.coefficient) is complex for term in o.terms)


def test_properties() -> None:
    o = count("c") ** 2 * P1("data[10]") / 10 + count("m[0]") * Z("data[2]") * X("q") + 1
    assert o.qubits == ("data[2]", "data[10]", "q")
    assert o.counters == ("c", "m[0]")
    assert o.degree == 2
    assert [term.degree for term in o.terms] == [0, 2, 1]
    nothing = Z("q") - Z("q")
    assert (nothing.terms, nothing.qubits, nothing.counters, nothing.degree) == ((), (), (), 0)
    assert (count("c") * count("m[0]") ** 2).degree == 3


def test_equality_and_hash() -> None:
    one = Z("q") * Z("r") + 0.5 * X("q")
    other = 0.5 * X("q") + Z("r") * Z("q")
    assert one == other
    assert hash(one) == hash(other)
    assert one != one + 1
    assert one != "Z[q]"
    assert constant(2) != 2
    assert copy.deepcopy(one) == one


def test_an_observable_is_immutable() -> None:
    o = Z("q")
    with pytest.raises(AttributeError, match="An observable is immutable: `terms` cannot be set"):
        o.terms = ()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        o.new = 1  # type: ignore[attr-defined]
    _ = o + 1, o * 2, -o, o / 2
    assert o == Z("q")


def test_a_long_sum_is_built_term_by_term() -> None:
    total = constant(0)
    for i in range(3000):
        total = total + 0.5 * Z(f"q[{i}]")
    assert len(total.terms) == 3000
    assert total == sum(0.5 * Z(f"q[{i}]") for i in range(3000))


# --- Names and terms ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["q", "data[2]", "_x", "A_1", "w[10]"])
def test_names(name: str) -> None:
    assert Z(name).qubits == (name,)
    assert count(name).counters == (name,)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1q",
        "q r",
        "q[",
        "q[]",
        "q[a]",
        "q[-1]",
        "q[01]",
        "q[1][2]",
        "q]",
        "\u0437",
        "q\n",
        3,
        None,
        ("q",),
    ],
)
def test_names_that_are_none(name: Any) -> None:
    expected = 'is no name of a {}. Names look like "q", or "data[2]" in an array.'
    with pytest.raises(QdiffError) as caught:
        Z(name)
    assert str(caught.value) == f"{name!r} {expected.format('qubit')}"
    with pytest.raises(QdiffError) as caught:
        count(name)
    assert str(caught.value) == f"{name!r} {expected.format('counter')}"


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (Term(1, operators=(("q", "W"),)), "There is no operator 'W'. Operators: X, Y, Z, P0, P1."),
        (Term(1, operators=(("q", "I"),)), "There is no operator 'I'. Operators: X, Y, Z, P0, P1."),
        (
            Term(1, operators=(("q", "X"), ("q", "Z"))),
            "The qubit `q` stands twice in one term; multiply observables instead.",
        ),
        (Term(1, counters=(("c", 0),)), "The power of the counter `c` is a whole number from 1, not 0."),
        (
            Term(1, counters=(("c", 1.5),)),  # type: ignore[arg-type]
            "The power of the counter `c` is a whole number from 1, not 1.5.",
        ),
        (
            Term(1, counters=(("c", True),)),
            "The power of the counter `c` is a whole number from 1, not True.",
        ),
    ],
)
def test_terms_that_are_none(term: Term, message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        Observable([term])
    assert str(caught.value) == message


def test_an_observable_is_made_of_terms() -> None:
    with pytest.raises(QdiffError) as caught:
        Observable("Z[q]")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "An observable is made of terms, not of a str. Use qd.observable(text) for a text."
    )


def test_names_are_checked_against_a_program() -> None:
    o = count("cc") * Z("data[1]")
    o.check_names(["q", "data[1]"], ["cc"])
    with pytest.raises(QdiffError) as caught:
        o.check_names(["q", "data[0]"], ["cc"])
    assert str(caught.value) == (
        "The observable `cc*Z[data[1]]` names the qubit `data[1]`, which is not declared. "
        "Declared: q, data[0]. Did you mean `data[0]`?"
    )
    with pytest.raises(QdiffError) as caught:
        o.check_names(["data[1]"], [])
    assert str(caught.value) == (
        "The observable `cc*Z[data[1]]` names the counter `cc`, which is not declared. Declared: none."
    )


# --- Text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("o", "text"),
    [
        (constant(0), "0"),
        (constant(1), "1"),
        (constant(-0.5), "-0.5"),
        (0.5 * count("c") * P1("r") + Z("q") * Z("r"), "0.5*c*P1[r] + Z[q]*Z[r]"),
        (1 - P0("data[2]"), "1 - P0[data[2]]"),
        (-Z("q") - 0.25 * X("r"), "-Z[q] - 0.25*X[r]"),
        (count("c") / 4, "0.25*c"),
        (count("c") ** 2 - 3 * count("m[1]"), "-3*m[1] + c^2"),
        (count("c") / 3, f"{1 / 3!r}*c"),
        (1e300 * Z("q") + 1e-7, "1e-07 + 1e+300*Z[q]"),
        (constant(2.0**60), "1.152921504606847e+18"),
        (constant(123456789), "123456789"),
        (Z("q[10]") + Z("q[2]") + X("q[2]"), "X[q[2]] + Z[q[2]] + Z[q[10]]"),
        (1j * Z("q") + (1 + 2j), "(1+2j) + (1j)*Z[q]"),
    ],
)
def test_text(o: Observable, text: str) -> None:
    assert str(o) == text
    assert repr(o) == f"Observable({text!r})"


def test_text_of_a_term() -> None:
    assert [str(term) for term in (1 - 2 * count("c") * P0("q")).terms] == ["1", "-2*c*P0[q]"]
