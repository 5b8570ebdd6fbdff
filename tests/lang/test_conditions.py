"""Conditions from their leaves."""

from __future__ import annotations

from hypothesis import given
from random_parts import Budget, Scope, conditions

from qdiff.lang.conditions import conjunction, disjunction, rebuilt
from qdiff.lang.expr import Number
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import And, Flip, Measured, Not, Or

SCOPE = Scope(("q", "r"), ("t",), (), (), ("c",), ("c",), (), False, Budget(0))
A, B, C = (Flip(Number(p)) for p in (0.1, 0.2, 0.3))


@given(conditions(SCOPE))
def test_the_same_leaves_give_the_same_condition(condition):
    assert rebuilt(condition, lambda leaf: leaf) == condition


def test_leaves_are_replaced_in_normal_form():
    condition = And((Not(A), Or((B, C)), B))
    swapped = rebuilt(condition, lambda leaf: {A: B, B: Or((A, C)), C: And((A, B))}[leaf])
    assert swapped == And((Not(B), Or((A, C, And((A, B)))), Or((A, C))))
    nested = rebuilt(condition, lambda leaf: And((A, leaf)))
    assert nested == And((Not(And((A, A))), Or((And((A, B)), And((A, C)))), A, B))
    program = parse("qubit: q if flip(0.1) and flip(0.2) then skip fi")
    assert program.body[0].condition == conjunction([A, B])


def test_joining():
    assert conjunction([A]) == disjunction([A]) == A
    assert conjunction([A, And((B, C))]) == And((A, B, C))
    assert disjunction([Or((A, B)), And((B, C))]) == Or((A, B, And((B, C))))


def test_depth_is_no_limit():
    condition = Measured(("q",), 0)
    for _ in range(20_000):
        condition = Not(condition)
    assert rebuilt(condition, lambda leaf: leaf) == condition
