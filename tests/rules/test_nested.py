"""A rule applied to its own terms: closed forms, the signs of two ancillas, and what a lost term changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from rules.kinds import PROGRAM, Matrix, Subject, inputs, ran, subjects

from qdiff.lang.expr import Parameter
from qdiff.lang.tree import Assign
from qdiff.rules.nested import PLACEHOLDER, applied_twice, second_terms
from qdiff.rules.registry import select
from qdiff.rules.term import Term
from qdiff.rules.workspace import Workspace

RY = next(subject for subject in subjects() if str(subject) == "Ry")
AT = 0.9


def terms_of(rule: str, workspace: Workspace, subject: Subject = RY) -> tuple[Term, ...]:
    arguments = (subject.primitive, subject.kind, Parameter("a"), workspace)
    return applied_twice(select(rule, subject.kind), *arguments)


def closed_form(rho: Matrix) -> Matrix:
    """d²/da² of exp(-iaY/2) ρ exp(iaY/2): -½(σ - YσY), σ the rotated state."""
    c, s = math.cos(AT / 2), math.sin(AT / 2)
    turned = np.array([[c, -s], [s, c]])
    y = np.array([[0, -1j], [1j, 0]])
    sigma = turned @ rho @ turned.T
    return np.asarray(-(sigma - y @ sigma @ y) / 2)


@pytest.mark.parametrize("rule", ["two-term", "hadamard", "commutator"])
def test_the_second_derivative_of_a_rotation(rule: str) -> None:
    workspace, rho = Workspace(PROGRAM), inputs(1)
    terms = terms_of(rule, workspace)
    found = ran(terms, workspace, RY, AT, rho)[0]
    assert np.abs(found - closed_form(rho)).max() < 1e-12
    lost = ran(terms[1:], workspace, RY, AT, rho).get(0, 0)
    assert np.abs(lost - closed_form(rho)).max() > 1e-3


def test_two_signs_are_multiplied() -> None:
    workspace = Workspace(PROGRAM)
    (term,) = terms_of("hadamard", workspace)
    assert term.signed
    assert [s.counter for s in term.block if isinstance(s, Assign)][-1] == workspace.hit
    assert workspace.sign in workspace.counters
    # Without the product the second sign alone is another map.
    last = max(i for i, s in enumerate(term.block) if isinstance(s, Assign))
    broken = Term(term.coefficient, (*term.block[:last], *term.block[last + 1 :]), signed=True)
    rho = inputs(1)
    assert np.abs(ran((broken,), workspace, RY, AT, rho)[0] - closed_form(rho)).max() > 1e-3


def test_the_argument_is_put_back() -> None:
    for rule in ("two-term", "hadamard", "commutator"):
        for term in terms_of(rule, Workspace(PROGRAM)):
            assert PLACEHOLDER not in str(term.coefficient) + str(term.block)


def test_a_rule_with_a_shorter_form_uses_it() -> None:
    """Shifts by ±π/2 twice: ½[E(a + π) - E(a)] in two terms, where the rule applied twice has four."""
    workspace, rho = Workspace(PROGRAM), inputs(1)
    arguments = (RY.primitive, RY.kind, Parameter("a"), workspace)
    own = second_terms(select("two-term", RY.kind), *arguments)
    assert (len(own), len(terms_of("two-term", workspace))) == (2, 4)
    assert np.abs(ran(own, workspace, RY, AT, rho)[0] - closed_form(rho)).max() < 1e-12
