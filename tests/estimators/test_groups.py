"""Terms that one run can read together."""

from __future__ import annotations

from hypothesis import given
from observables import observables

from qdiff.estimators.groups import qubitwise_groups
from qdiff.lang.observable import P1, Observable, Term, X, Y, Z, constant, count


def test_terms_that_share_a_basis_are_measured_together() -> None:
    o = 1 + count("c") + Z("q") + P1("q") * Z("r") + X("q") + X("q") * Y("r") + Y("r") + X("q") * Z("r")
    groups = qubitwise_groups(o)
    assert [[str(term) for term in group] for group in groups] == [
        ["1", "c", "X[q]", "Y[r]", "X[q]*Y[r]"],
        ["Z[q]", "P1[q]*Z[r]"],
        ["X[q]*Z[r]"],
    ]
    assert qubitwise_groups(o) == groups


def test_groups_of_little() -> None:
    assert qubitwise_groups(constant(0)) == ()
    assert qubitwise_groups(1 + count("c")) == ((Term(1), Term(1, counters=(("c", 1),))),)


@given(observables)
def test_groups_hold_every_term_once_and_one_basis_a_qubit(o: Observable) -> None:
    groups = qubitwise_groups(o)
    assert sorted(map(str, (term for group in groups for term in group))) == sorted(map(str, o.terms))
    for group in groups:
        bases = {(q, letter if letter in "XY" else "Z") for term in group for q, letter in term.operators}
        assert len({qubit for qubit, _ in bases}) == len(bases)
