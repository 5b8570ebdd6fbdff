"""Rules with one thing wrong: the comparison of channels and the tangent of a program both notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from helpers import assert_close
from rules.kinds import PROGRAM, Subject, is_derivative, subjects, terms_of, with_coefficient

from qdiff.lang.expr import Expr, add, negate, number
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Block, Gate, Program
from qdiff.objective import expectation
from qdiff.rules import rules
from qdiff.rules.finding import Finder
from qdiff.rules.primitive import Kind, Primitive
from qdiff.rules.registry import select
from qdiff.rules.tangent import tangent
from qdiff.rules.term import Rule, Term
from qdiff.rules.workspace import Workspace

Break = Callable[[tuple[Term, ...]], tuple[Term, ...]]


def _scaled(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    first, *others = terms
    return (with_coefficient(first, add(first.coefficient, number(1e-6))), *others)


def _opposite(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    *others, last = terms
    return (*others, with_coefficient(last, negate(last.coefficient)))


def _without_one(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    return terms[1:]


def _turned(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """The last gate of the first block, turned a little further."""
    first, *others = terms
    *before, gate = first.block
    assert isinstance(gate, Gate)
    moved = replace(gate, angles=(add(gate.angles[0], number(1e-3)),))
    return (replace(first, block=(*before, moved)), *others)


MISTAKES: dict[str, Break] = {
    "a wrong coefficient": _scaled,
    "a wrong sign": _opposite,
    "a missing term": _without_one,
    "a wrong shift": _turned,
}


def of(name: str) -> Subject:
    return next(s for s in subjects() if str(s) == name)


PAIRS = [
    ("Ry", "two-term"),
    ("Rxx, 1 controls", "equidistant"),
    ("Ry, 1 controls", "four-term-paper"),
    ("Irregular", "least-l1"),
    ("Driven", "stochastic"),
    ("Levels", "commutator"),
]


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize(("subject", "rule"), PAIRS)
def test_the_comparison_of_channels_finds_it(subject: str, rule: str, mistake: str) -> None:
    [chosen] = [r for r in rules() if r.name == rule]
    workspace = Workspace(PROGRAM)
    terms = terms_of(chosen, of(subject), workspace)
    assert is_derivative(terms, workspace, of(subject))
    assert not is_derivative(MISTAKES[mistake](terms), workspace, of(subject))


@pytest.mark.parametrize(
    ("subject", "mistake"),
    [(s, m) for s in ("flip", "dephase", "depolarize", "damp") for m in list(MISTAKES)[:3]],
)
def test_the_comparison_finds_mistakes_of_flip_and_channels(subject: str, mistake: str) -> None:
    workspace = Workspace(PROGRAM)
    terms = terms_of(select("shift", of(subject).kind), of(subject), workspace)
    assert is_derivative(terms, workspace, of(subject))
    assert not is_derivative(MISTAKES[mistake](terms), workspace, of(subject))


# --- In a program ---------------------------------------------------------------------------------


class Broken(Rule):
    """Another rule with a mistake."""

    name = "broken"

    def __init__(self, rule: Rule, mistake: Break) -> None:
        self.rule, self.mistake = rule, mistake

    def refusal(self, kind: Kind) -> str:
        return self.rule.refusal(kind)

    def coefficients(self, kind: Kind, argument: Expr) -> tuple[Expr, ...]:
        primitive = Gate(kind.name, (argument,), (), ("q",))
        return tuple(term.coefficient for term in self.terms(primitive, kind, argument, Workspace(LOOP)))

    def blocks(self, primitive: Primitive, kind: Kind, workspace: Workspace) -> tuple[Block, ...]:
        raise AssertionError("terms() is overridden")

    def l1(self, kind: Kind) -> float:
        return self.rule.l1(kind)

    def terms(
        self, primitive: Primitive, kind: Kind, argument: Expr, workspace: Workspace
    ) -> tuple[Term, ...]:
        return self.mistake(self.rule.terms(primitive, kind, argument, workspace))


LOOP = parse(
    "qubit: q, r para: t count: c Ry(t)[q]; while M[q] = 1 do Rx(-2*t)[r]; c++; q := |0>; Ry(t)[q] od"
)
OBSERVABLE = parse_observable("c + Z[r] + 0.3*Y[r]")


def slope(program: Program, observable: Observable, broken: Callable[[Rule], Rule]) -> float:
    """The derivative by t at 1.1, by the tangent whose rules are changed."""
    sites = Finder(program, ("t",)).sites()
    made = tangent(program, [replace(site, rule=broken(site.rule)) for site in sites])
    objective = expectation(made.program, observable * made.readout, engine="hybrid")
    return float(objective.grad({"t": 1.1, made.parameter: 0.0}, wrt=made.parameter)[0])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_tangent_of_a_loop_finds_it(mistake: str) -> None:
    exact = float(expectation(LOOP, OBSERVABLE).grad({"t": 1.1})[0])
    assert_close(slope(LOOP, OBSERVABLE, lambda rule: rule), exact, 1e-9)
    found = slope(LOOP, OBSERVABLE, lambda rule: Broken(rule, MISTAKES[mistake]))
    assert abs(found - exact) > 1e-7


def test_the_tangent_finds_a_lost_sign() -> None:
    """-t read as a name of its own has slope 0; read as t it has slope +1."""
    exact = float(expectation(LOOP, OBSERVABLE).grad({"t": 1.1})[0])
    for lost in (0.0, 1.0):
        sites = [
            replace(site, slope=number(lost)) if "-2*t" in str(site.argument) else site
            for site in Finder(LOOP, ("t",)).sites()
        ]
        made = tangent(LOOP, sites)
        objective = expectation(made.program, OBSERVABLE * made.readout, engine="hybrid")
        found = float(objective.grad({"t": 1.1, made.parameter: 0.0}, wrt=made.parameter)[0])
        assert abs(found - exact) > 1e-3
