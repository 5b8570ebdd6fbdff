"""A flip inside a condition: what leads to it, and what is left to decide once it is forced."""

from __future__ import annotations

import pytest

import qdiff as qd
from qdiff.lang import tree as qt
from qdiff.lang.expr import ONE
from qdiff.lang.printer import condition_text
from qdiff.rules.additive_guards import GuardTerm, flips


def condition(text: str) -> qt.Condition:
    (statement,) = qd.parse(f"qubit: q, r, s para: t if {text} then X[q] fi").body
    assert isinstance(statement, qt.If)
    return statement.condition


def texts(left: object) -> str:
    return str(left) if isinstance(left, bool) else condition_text(left)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "before", "true", "false"),
    [
        ("flip(t)", [], "True", "False"),
        ("not flip(t)", [], "False", "True"),
        ("M[q] = 1 and flip(t)", ["M[q] = 1"], "True", "False"),
        ("flip(t) and M[q] = 1", [], "M[q] = 1", "False"),
        ("flip(t) or M[q] = 1", [], "True", "M[q] = 1"),
        ("M[q] = 1 or flip(t) or M[r] = 1 or M[s] = 1", ["not M[q] = 1"], "True", "M[r] = 1 or M[s] = 1"),
        (
            "M[q] = 1 and (M[r] = 1 or flip(t)) and M[s] = 1",
            ["M[q] = 1", "not M[r] = 1"],
            "M[s] = 1",
            "False",
        ),
        ("not (flip(t) and M[q] = 1) and M[r] = 1", [], "not M[q] = 1 and M[r] = 1", "M[r] = 1"),
        ("(flip(t) or M[q] = 1) and M[r] = 1", [], "M[r] = 1", "M[q] = 1 and M[r] = 1"),
    ],
)
def test_before_and_after(text: str, before: list[str], true: str, false: str) -> None:
    (reached,) = flips(condition(text))
    assert [condition_text(part) for part in reached.before()] == before
    assert (texts(reached.after(True)), texts(reached.after(False))) == (true, false)


def test_flips_in_the_order_of_evaluation() -> None:
    found = flips(condition("flip(0.1) and (flip(0.2) or not flip(0.3)) or flip(0.4)"))
    assert [str(reached.flip.probability) for reached in found] == ["0.1", "0.2", "0.3", "0.4"]


def test_which_terms_abort() -> None:
    (first,) = flips(condition("flip(t) and M[q] = 1"))
    true, false = GuardTerm(ONE, first, True), GuardTerm(ONE, first, False)
    # After `true` either branch may follow, after `false` only the second.
    assert [true.aborts(*x) for x in ((True, True), (True, False), (False, True))] == [True, False, False]
    assert [false.aborts(*x) for x in ((True, True), (True, False), (False, True))] == [True, False, True]


def test_the_statement_of_a_term() -> None:
    (reached,) = flips(condition("M[r] = 1 and flip(t) and M[s] = 1"))
    then, otherwise, abort = (qt.Gate("X", (), (), ("q",)),), (qt.Skip(),), (qt.Abort(),)
    (inner,) = qd.parse("qubit: q, s if M[s] = 1 then X[q] fi").body
    assert GuardTerm(ONE, reached, True).block(then, otherwise) == (
        qt.If(qt.Measured(("r",), 1), (inner,), abort),
    )
    assert GuardTerm(ONE, reached, False).block(then, ()) == (
        qt.If(qt.Measured(("r",), 1), (qt.Skip(),), abort),
    )


def test_deep_conditions() -> None:
    part: qt.Condition = qt.Flip(ONE)
    for i in range(3000):
        part = qt.Not(part) if i % 3 else (qt.Or if i % 2 else qt.And)((part, qt.Measured(("q",), 1)))
    (reached,) = flips(part)
    assert len(reached.path) == 3000
    assert reached.before() == ()
    assert reached.after(True) is not None
