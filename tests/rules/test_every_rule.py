"""Every kind of primitive × every rule: the terms are the derivative, as superoperators, or it is refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_close
from rules.kinds import PROGRAM, Subject, is_derivative, subjects, terms_of

import qdiff as qd
from qdiff import rules
from qdiff.errors import QdiffError
from qdiff.lang.channels import channel_record, known_channels
from qdiff.lang.expr import Parameter
from qdiff.lang.tree import Channel, Flip, Gate
from qdiff.rules.primitive import ChannelKind, GateKind
from qdiff.rules.registry import SELECTIONS, select
from qdiff.rules.term import Rule
from qdiff.rules.workspace import Workspace

# The infinite rule is tested with its cut table, and in the family.
PAIRS = [(subject, rule) for subject in subjects() for rule in rules.rules() if not rule.infinite]
APPLY = [(s, r) for s, r in PAIRS if not r.refusal(s.kind)]
REFUSED = [(s, r) for s, r in PAIRS if r.refusal(s.kind)]


def name(value: object) -> str:
    return value.name if isinstance(value, Rule) else str(value)


@pytest.mark.parametrize(("subject", "rule"), APPLY, ids=name)
def test_terms_sum_to_the_derivative(subject: Subject, rule: Rule) -> None:
    workspace = Workspace(PROGRAM)
    terms = terms_of(rule, subject, workspace)
    assert is_derivative(terms, workspace, subject)
    # What the rule claims of itself.
    made = workspace.completed(PROGRAM)
    assert len(terms) == rule.size(subject.kind)
    assert len(made.qubits) - len(PROGRAM.qubits) == rule.ancillas(subject.kind)
    found = [sum(abs(float(t.coefficient.evaluate({"a": at}))) for t in terms) for at in subject.arguments]
    assert_close(min(found), rule.l1(subject.kind), 1e-12)


def refused(rule: str, subject: str) -> str:
    """The message of a rule at a subject by its name."""
    [found] = [r.refusal(s.kind) for s, r in REFUSED if r.name == rule and str(s) == subject]
    return found


def test_every_kind_has_a_rule() -> None:
    assert {str(s) for s, _ in APPLY} == {str(s) for s, _ in PAIRS}


@pytest.mark.parametrize(
    ("rule", "subject", "message"),
    [
        ("two-term", "Ry, 1 controls", "it has 2 frequencies, the rule is for one"),
        ("two-term", "flip", "it is no gate"),
        ("two-term", "Driven", "its generator depends on the angle"),
        ("four-term-paper", "Levels", "the published shifts are for the frequencies 1/2 and 1"),
        ("equidistant", "Irregular", "its frequencies are not multiples, up to 64, of one"),
        ("equidistant", "Phase", "nothing depends on its angle"),
        ("least-l1", "Phase", "nothing depends on its angle"),
        ("stochastic", "Ry", "its generator does not depend on the angle"),
        ("stochastic", "damp", "it is no gate"),
        ("hadamard", "P", "its generator does not square to the identity"),
        (
            "hadamard",
            "Ry, 1 controls",
            "it has controls, so that its generator does not square to the identity",
        ),
        ("hadamard", "Driven", "its generator depends on the angle"),
        ("hadamard", "flip", "it is no gate"),
        ("commutator", "dephase", "it is no gate"),
        ("commutator", "Swept", "its generator depends on the angle"),
        ("commutator", "Three, 2 controls", "its mixed state has 5 qubits, more than 4"),
        ("flip", "Ry", "it is no `flip`"),
        ("mixture", "Ry", "it is no mixture of two channels"),
        ("mixture", "damp", "it is no mixture of two channels"),
        ("damping", "depolarize", "it is no amplitude damping"),
    ],
)
def test_refusals_say_why(rule: str, subject: str, message: str) -> None:
    assert refused(rule, subject) == message


@pytest.mark.parametrize("name", known_channels())
def test_coefficients_of_channels_are_those_of_their_records(name: str) -> None:
    """Engines take them from the record, rules write them as expressions."""
    kind = ChannelKind(channel_record(name))
    coefficients = select("shift", kind).coefficients(kind, Parameter("p"))
    for p in (0.0, 0.3, 0.9):
        found = [float(c.evaluate({"p": p})) for c in coefficients]
        assert_close(found, [float(c) for c in kind.record.rule(np.array(p))], 1e-12)


def test_what_applies_is_decided_by_the_kind() -> None:
    """Gates by rules for gates, with or without a drift; `flip` and channels by their own."""
    for subject, rule in APPLY:
        match subject.primitive:
            case Gate():
                assert rule.name not in ("flip", "mixture", "damping")
                drift = PROGRAM.record(subject.primitive.name).drift is not None
                assert (rule.name == "stochastic") == drift
            case Flip():
                assert rule.name == "flip"
            case Channel(name=channel):
                assert rule.name == ("damping" if channel == "damp" else "mixture")


@pytest.mark.parametrize("selection", SELECTIONS)
def test_selections_use_their_cheapest_rule_everywhere_or_say_why_not(selection: str) -> None:
    for subject in subjects():
        try:
            rule = select(selection, subject.kind)
        except QdiffError as error:
            text = str(error)
            assert text.startswith(f"The rule `{selection}` does not apply to `{subject.kind.name}`: ")
            assert "Rules that do: " in text
            assert selection == "shift-paper"
            continue
        assert not rule.refusal(subject.kind)
        if isinstance(subject.kind, GateKind):
            assert rule.name in SELECTIONS[selection]


def test_a_large_multiple_of_the_identity_is_only_a_phase() -> None:
    program = qd.parse("qubit: q para: t gate G(a)[x] = exp(-i a/2 * (3e12*I + X)) Ry(0.3)[q]; G(t)[q]")
    (site,) = qd.differentiate(program, "t").sites
    assert (site.rule.name, len(site.coefficients)) == ("two-term", 2)


@pytest.mark.parametrize("rule", ["shift", "commutator"])
def test_a_generator_that_is_the_identity_has_no_terms(rule: str) -> None:
    program = qd.parse("qubit: q para: t gate G(a)[x] = exp(-i a/2 * (0.7*I)) H[q]; G(t)[q]")
    derivative = qd.differentiate(program, "t", rule)
    assert derivative.terms == ()
    for made in (derivative.family, derivative.tangent, derivative.self_contained()):
        assert qd.parse(str(made)) == made.program


def test_the_stochastic_rule_has_no_value_where_it_is_not_accurate() -> None:
    program = qd.parse("qubit: q para: t gate D(a)[x] = exp(-i (a*0.5*X + 0.3*Z)) D(t)[q]")
    tangent = qd.differentiate(program, "t").tangent
    f = qd.expectation(program, "X[q] + Z[q]")
    g = qd.expectation(tangent.program, (qd.X("q") + qd.Z("q")) * tangent.readout)
    inside = {"t": 6.2, tangent.parameter: 0.0}
    assert g.grad(inside, wrt=tangent.parameter)[0] == pytest.approx(f.grad({"t": 6.2})[0], abs=1e-9)
    with pytest.raises(QdiffError, match=r"`acos\(t/\(2\*pi\)\)` has no finite real value"):
        g.grad({"t": 6.3, tangent.parameter: 0.0}, wrt=tangent.parameter)
