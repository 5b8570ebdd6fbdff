"""Programs × rules: every rendering is a program of the language, and means the derivative."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from amounts import examples
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from random_parts import CHANNELS
from reference.semantics import PassLimitReached
from rules.renderings import (
    RULES,
    TOLERANCE,
    WIDEST,
    Answered,
    check_few_refused,
    check_renderings,
    derivative_of,
    rule_at,
    tangent_slope,
    term_value,
    weighted,
)
from rules.replacing import replaced_value
from strategies import cases

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.objective import expectation
from qdiff.rules.derivative import differentiate

PASSES = 2000


# --- Random programs ------------------------------------------------------------------------------

MOST_TERMS = 100  # of all sites together, that are printed


def check_tangent(
    case: tuple[Program, Observable, dict[str, float]], rule: str, pick: int, answered: Answered
) -> None:
    """Assert that all renderings are programs, and that the tangent has the gradient."""
    program, observable, params = case
    if not program.trainable:
        return
    parameter = program.trainable[pick % len(program.trainable)]
    made = derivative_of(program, parameter, rule)
    terms = sum(len(site.coefficients) for site in made.sites)
    if terms <= MOST_TERMS and pick % 4 == 0:
        check_renderings(made)
    if len(made.tangent.program.qubits) > WIDEST:
        answered[f"more than {WIDEST} qubits"] += 1
        return
    try:
        exact = float(expectation(program, observable).grad(params, wrt=parameter)[0])
        found = tangent_slope(made, observable, params)
    except QdiffError as error:
        answered[str(error)[:90]] += 1
        return
    assert_close(found, exact, TOLERANCE)
    answered["compared"] += 1


# Two halves, so that two processes share them.
@pytest.mark.parametrize("noise", [(), CHANNELS], ids=["without noise", "with noise"])
def test_the_tangent_of_random_programs_is_the_gradient(noise: tuple[str, ...]) -> None:
    answered: Answered = Counter()

    @settings(max_examples=examples(80))
    @given(cases(noise=noise), st.sampled_from(RULES), st.integers(0, 100))
    def compare(case: tuple[Program, Observable, dict[str, float]], rule: str, pick: int) -> None:
        check_tangent(case, rule, pick, answered)

    compare()
    check_few_refused(answered)


def test_the_tangent_of_random_programs_with_declared_gates_is_the_gradient() -> None:
    answered: Answered = Counter()

    @settings(max_examples=examples(16))
    @given(
        cases(declared=True, unbounded=False), st.sampled_from(["shift", "commutator"]), st.integers(0, 100)
    )
    def compare(case: tuple[Program, Observable, dict[str, float]], rule: str, pick: int) -> None:
        check_tangent(case, rule, pick, answered)

    compare()
    check_few_refused(answered, least=0.7)  # commutators of declared gates take many ancillas


def test_members_of_the_family_one_by_one() -> None:
    answered: Answered = Counter()

    @settings(max_examples=examples(9))
    @given(cases(), st.sampled_from(RULES), st.integers(0, 100))
    def compare(case: tuple[Program, Observable, dict[str, float]], rule: str, pick: int) -> None:
        program, observable, params = case
        if not program.trainable:
            return
        parameter = program.trainable[pick % len(program.trainable)]
        made = derivative_of(program, parameter, rule)
        chosen = rule_at(rule)
        if len(made.family.program.qubits) > WIDEST - 1:
            return
        # All terms of every fourth program, three of the others.
        most = made.family.most_terms or 0
        some = range(most) if pick % 4 == 0 else {0, most - 1, pick % max(most, 1)}
        terms = sorted({*some} & {*range(most)})
        for k in (1, 2, 5):
            for j in terms:
                try:
                    right = replaced_value(program, observable, params, parameter, chosen, k, j, PASSES)
                    found = weighted(made.family.at(k, j), made.family, observable, params)
                except (PassLimitReached, QdiffError) as error:
                    answered[str(error)[:90]] += 1
                    continue
                assert_close(found, right, 1e-8)
                answered["compared"] += 1

    compare()
    check_few_refused(answered)


# --- Single terms ---------------------------------------------------------------------------------


def test_single_terms_sum_to_the_gradient() -> None:
    """Programs none of whose sites is in a loop."""
    answered: Answered = Counter()

    @settings(max_examples=examples(16))
    @given(cases(unbounded=False), st.sampled_from(["shift", "hadamard"]), st.integers(0, 100))
    def compare(case: tuple[Program, Observable, dict[str, float]], rule: str, pick: int) -> None:
        program, observable, params = case
        if not program.trainable:
            return
        parameter = program.trainable[pick % len(program.trainable)]
        made = derivative_of(program, parameter, rule)
        if any(site.looped for site in made.sites) or len(made.terms) > 30:
            answered["sites in loops, or many terms"] += 1
            return
        total = math.fsum(term_value(term, 1, observable, params) for term in made.terms)
        exact = float(expectation(program, observable).grad(params, wrt=parameter)[0])
        assert_close(total, exact, TOLERANCE)
        answered["compared"] += 1

    compare()
    check_few_refused(answered, least=0.5)


LOOPED = "qubit: q, r para: t count: c Ry(t)[q]; while M[q] = 1 do c++; Rx(t*c)[r]; q := |0>; Ry(-t)[q] od"


def test_single_terms_in_loops_sum_to_the_gradient() -> None:
    program, observable, params = parse(LOOPED), parse_observable("c + Z[r]"), {"t": 0.8}
    made = differentiate(program, "t")
    assert [term.occurrence for term in made.terms] == ["", "", "k", "k", "k", "k"]
    total = math.fsum(
        term_value(term, k, observable, params)
        for term in made.terms
        for k in (range(1, 14) if term.occurrence else (1,))
    )
    assert_close(total, float(expectation(program, observable).grad(params)[0]), 1e-9)


def test_a_single_site_in_a_loop_is_numbered_as_in_the_family() -> None:
    program = parse("qubit: q para: t count: c while not flip(0.4) do c++; Rx(t*c)[q] od")
    observable, params = parse_observable("Z[q] + c*Y[q]"), {"t": 0.8}
    made = differentiate(program, "t")
    for k in range(1, 6):
        for term in made.terms:
            found = weighted(made.family.at(k, term.j), made.family, observable, params)
            assert_close(term_value(term, k, observable, params), found, 1e-9)


def test_numbers_of_occurrences_are_checked() -> None:
    made = differentiate(parse(LOOPED), "t")
    for term, occurrence, message in (
        (made.terms[0], 2, "This site is not in a loop: it is executed once at most."),
        (made.terms[2], 0, "Occurrences are numbered from 1, got 0."),
        (made.terms[2], True, "Occurrences are numbered from 1, got True."),
    ):
        with pytest.raises(QdiffError) as error:
            term.at(occurrence)
        assert str(error.value) == message
    with pytest.raises(
        QdiffError, match=r"^Occurrences are numbered from 1 and terms 0 \.\. 1, got 1 and 2\.$"
    ):
        made.family.at(1, 2)


@pytest.mark.parametrize("wrt", [["t"], ("t", "t", "t"), (), ("t", ["t"]), {}, 3, None])
def test_what_is_no_parameter(wrt: object) -> None:
    with pytest.raises(QdiffError, match="wrt is the name of a parameter, or a pair of names, not "):
        qd.differentiate(qd.parse("qubit: q para: t Ry(t)[q]"), wrt)


def test_arguments_of_other_types() -> None:
    program = qd.parse("qubit: q para: t while M[q] = 0 do Ry(t)[q] od")
    with pytest.raises(QdiffError, match="A program is differentiated, such as"):
        qd.differentiate("qubit: q", "t")
    derivative = qd.differentiate(program, "t")
    with pytest.raises(QdiffError, match="Occurrence and term are integers, got '1' and 0"):
        derivative.family.at("1", 0)
    with pytest.raises(QdiffError, match="Occurrences are numbered from 1"):
        derivative.family.at(2**70, 0)
    with pytest.raises(QdiffError, match="Occurrences are numbered from 1"):
        derivative.terms[0].at(2**70)
    with pytest.raises(QdiffError, match="The shape of a law is a number, got 'x'"):
        derivative.self_contained("geometric", "x")
    with pytest.raises(QdiffError, match=r"one of log-power, geometric, not \['geometric'\]\."):
        derivative.self_contained(["geometric"])
    with pytest.raises(QdiffError, match="Occurrences and choices are integers"):
        qd.differentiate(program, ("t", "t")).family.at("1", 0, 1)


def test_members_of_a_family_without_terms() -> None:
    for text in ("Ry(u)[q]", "Phase(t)[q]"):
        program = qd.parse(f"qubit: q para: t, u gate Phase(a)[x] = exp(-i a/2 * (0.8*I)) {text}")
        with pytest.raises(QdiffError) as error:
            qd.differentiate(program, "t").family.at(1, 0)
        assert str(error.value) == (
            "The derivative is exactly zero: there is no term that replaces an occurrence."
        )


def test_derivatives_are_shown_in_a_line() -> None:
    made = qd.differentiate(qd.parse("qubit: q para: t while M[q] = 0 do Ry(t)[q] od"), "t")
    second = qd.differentiate(made.source, ("t", "t"))
    shown = {
        made: "DerivativeProgram(parameter='t', rule='shift', sites=1)",
        made.sites[0]: "<site 1: line 1: Ry(t)[q] by two-term>",
        made.terms[1]: "<term 1 of site 1: line 1: Ry(t)[q] by two-term>",
        made.family: "Family(inputs=('k', 'j'), most_terms=2)",
        made.tangent: "Tangent(parameter='eps', readout=Observable('hit'))",
        made.self_contained(): ("SelfContained(law=Law(name='log-power', shape=0.25), occurrence='k')"),
        second: "SecondDerivativeProgram(parameters=('t', 't'), rule='shift', sites=1)",
        second.family: "PairFamily(inputs=('k', 'j', 'l', 'i'), most_terms=(2, 2, 2))",
        second.tangent: "PairTangent(parameters=('eps', 'eta'), readout=Observable('hit_k*hit_l'))",
    }
    assert [repr(one) for one in shown] == list(shown.values())
