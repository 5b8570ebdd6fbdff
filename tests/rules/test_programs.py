"""Programs × rules: every rendering is a program of the language, and means the derivative."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from random_parts import CHANNELS
from reference.operators import pauli_product
from reference.semantics import PassLimitReached
from rules.replacing import replaced_value
from strategies import cases

from qdiff.errors import QdiffError
from qdiff.final_state import HybridState, state
from qdiff.lang.check import check
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.objective import expectation
from qdiff.rules import names
from qdiff.rules.derivative import DerivativeProgram, differentiate
from qdiff.rules.primitive import GateKind, Kind
from qdiff.rules.registry import applicable, select
from qdiff.rules.single import DerivativeTerm
from qdiff.rules.sites import find_sites
from qdiff.rules.term import Rule
from qdiff.rules.weights import Weights
from qdiff.sim.exact import Mixture

REFERENCE = Path(__file__).parent.parent / "reference/cases.json"
CASES = json.loads(REFERENCE.read_text(encoding="utf-8"))
OWN = ("flip", "mixture", "damping")  # of flip and channels: there is no choice
RULES = [name for name in names() if name not in (*OWN, "riesz")]
CONTRACT = ("shift", "shift-paper", "commutator", "hadamard")
TOLERANCE = 1e-9
PASSES = 2000


def rule_at(rule: str) -> Callable[[Kind], Rule]:
    """A rule where it applies, the default rule elsewhere."""

    def chosen(kind: Kind) -> Rule:
        named = [r for r in applicable(kind) if r.name == rule]
        if named or not isinstance(kind, GateKind):
            return named[0] if named else select("shift", kind)
        try:
            return select(rule, kind)
        except QdiffError:
            return select("shift", kind)

    return chosen


def derivative_of(program: Program, parameter: str, rule: str) -> DerivativeProgram:
    """The derivative by a rule where it applies, and by the default rule elsewhere."""
    sites = find_sites(program, parameter)
    chosen = rule_at(rule)
    return DerivativeProgram(
        program, parameter, rule, tuple(replace(site, rule_used=chosen(site.kind)) for site in sites)
    )


def flat(params: Mapping[str, Any]) -> dict[str, float]:
    """Parameters by element: w = [1, 2] is w[0] = 1, w[1] = 2."""
    found: dict[str, float] = {}
    for name, entry in params.items():
        elements = enumerate(entry) if isinstance(entry, list) else ()
        found |= {f"{name}[{i}]": x for i, x in elements} or {name: entry}
    return found


# --- Values of renderings -------------------------------------------------------------------------


def tangent_slope(made: DerivativeProgram, observable: Observable, params: Mapping[str, float]) -> float:
    """The derivative by ε at ε = 0, from one linear system."""
    t = made.tangent
    objective = expectation(t.program, observable * t.readout, engine="hybrid")
    return float(objective.grad({**params, t.parameter: 0.0}, wrt=t.parameter)[0])


def weighted(
    program: Program, weights: Weights, observable: Observable, params: Mapping[str, float]
) -> float:
    """Σ over stores of weight(store) · tr(O(store) ρ)."""
    ended = state(program, dict(params))
    return weighted_state(ended, weights, observable, params)


def weighted_state(
    ended: HybridState, weights: Weights, observable: Observable, params: Mapping[str, float]
) -> float:
    if not len(ended):
        return 0.0
    found = weights(list(ended), params)
    values = [
        _value(observable, ended.qubits, dict(zip(ended.counters, store, strict=True)), mixture)
        for store, mixture in ended.stores.items()
    ]
    return math.fsum((found * np.array(values)).tolist())


def _value(
    observable: Observable, qubits: tuple[str, ...], counters: Mapping[str, int], mixture: Mixture
) -> float:
    """tr(O(store) ρ)."""
    rho, total = mixture.density_matrix(), 0.0
    for term in observable.terms:
        letters = dict(term.operators)
        operator = pauli_product([letters.get(q, "I") for q in qubits])
        power = math.prod(counters[name] ** power for name, power in term.counters)
        total += float((term.coefficient * power * np.trace(operator @ rho)).real)
    return total


def check_text(program: Program) -> None:
    """Assert that it is a program of the language, and its text means the same."""
    check(program)
    assert parse(str(program)) == program


def check_renderings(made: DerivativeProgram) -> None:
    """Assert that everything which is printed parses to what it came from."""
    for program in (made.family.program, made.tangent.program, made.self_contained().program):
        check_text(program)
    for whole in (made.family, made.tangent, made.self_contained(), *made.terms[:2]):
        assert parse(str(whole)) == whole.program
    if made.sites:
        assert parse(str(made)) == made.family.program
        check_text(made.family.at(3, 0))


def check_start(
    made: DerivativeProgram, observable: Observable, params: Mapping[str, float], value: float
) -> None:
    """Assert that nothing is replaced at ε = 0, nor without inputs."""
    t = made.tangent
    for program, at in ((t.program, {**params, t.parameter: 0.0}), (made.family.program, dict(params))):
        assert_close(expectation(program, observable, engine="hybrid")(at), value)


# --- The cases of the reference -------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reference_case(case: dict[str, Any], rule: str) -> None:
    program, params = parse(case["program"]), flat(case["params"])
    observable = parse_observable(case["observable"])
    # Single rules differ from the selections at few sites: one parameter is enough.
    for parameter in program.trainable[: None if rule in CONTRACT else 1]:
        made = derivative_of(program, parameter, rule)
        exact = float(expectation(program, observable).grad(params, wrt=parameter)[0])
        assert_close(exact, case["gradient"][parameter])
        assert_close(tangent_slope(made, observable, params), exact, TOLERANCE)
        check_start(made, observable, params, case["value"])


# --- Random programs ------------------------------------------------------------------------------

Answered = Counter[str]  # "compared", and why there was nothing to compare
WIDEST = 6  # qubits, ancillas included
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


def check_few_refused(answered: Answered, least: float = 0.9) -> None:
    """Assert that nearly all programs were compared."""
    assert answered["compared"] >= least * answered.total() > 0, answered


# Two halves, so that two processes share them.
@pytest.mark.parametrize("noise", [(), CHANNELS], ids=["without noise", "with noise"])
def test_the_tangent_of_random_programs_is_the_gradient(noise: tuple[str, ...]) -> None:
    answered: Answered = Counter()

    @settings(max_examples=260)
    @given(cases(noise=noise), st.sampled_from(RULES), st.integers(0, 100))
    def compare(case: tuple[Program, Observable, dict[str, float]], rule: str, pick: int) -> None:
        check_tangent(case, rule, pick, answered)

    compare()
    check_few_refused(answered)


def test_the_tangent_of_random_programs_with_declared_gates_is_the_gradient() -> None:
    answered: Answered = Counter()

    @settings(max_examples=40)
    @given(
        cases(declared=True, unbounded=False), st.sampled_from(["shift", "commutator"]), st.integers(0, 100)
    )
    def compare(case: tuple[Program, Observable, dict[str, float]], rule: str, pick: int) -> None:
        check_tangent(case, rule, pick, answered)

    compare()
    check_few_refused(answered, least=0.7)  # commutators of declared gates take many ancillas


def test_members_of_the_family_one_by_one() -> None:
    answered: Answered = Counter()

    @settings(max_examples=60)
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
        for k in range(1, 6):
            for j in {0, made.family.terms - 1, pick % max(made.family.terms, 1)} if made.sites else ():
                try:
                    right = replaced_value(program, observable, params, parameter, chosen, k, j, PASSES)
                    found = weighted(made.family.at(k, j), made.family.weights, observable, params)
                except (PassLimitReached, QdiffError) as error:
                    answered[str(error)[:90]] += 1
                    continue
                assert_close(found, right, 1e-8)
                answered["compared"] += 1

    compare()
    check_few_refused(answered)


# --- Single terms ---------------------------------------------------------------------------------


def term_value(
    term: DerivativeTerm, occurrence: int, observable: Observable, params: Mapping[str, float]
) -> float:
    """E[coefficient · readout · O] of one execution of a site replaced by one term."""
    made = term.at(occurrence)
    check_text(made)
    ended = state(made, dict(params))
    values = [
        float(term.coefficient.evaluate(params, dict(zip(ended.counters, store, strict=True))))
        * _value(
            term.readout * observable, ended.qubits, dict(zip(ended.counters, store, strict=True)), mixture
        )
        for store, mixture in ended.stores.items()
    ]
    return math.fsum(values)


@settings(max_examples=40)
@given(cases(unbounded=False), st.sampled_from(["shift", "hadamard"]), st.integers(0, 100))
def test_single_terms_sum_to_the_gradient(
    case: tuple[Program, Observable, dict[str, float]], rule: str, pick: int
) -> None:
    """Programs none of whose sites is in a loop."""
    program, observable, params = case
    if not program.trainable:
        return
    parameter = program.trainable[pick % len(program.trainable)]
    made = derivative_of(program, parameter, rule)
    if any(site.looped for site in made.sites) or len(made.terms) > 30:
        return
    total = math.fsum(term_value(term, 1, observable, params) for term in made.terms)
    exact = float(expectation(program, observable).grad(params, wrt=parameter)[0])
    assert_close(total, exact, TOLERANCE)


LOOPED = "qubit: q, r para: t count: c Ry(t)[q]; while M[q] = 1 do c++; Rx(t*c)[r]; q := |0>; Ry(-t)[q] od"


def test_single_terms_in_loops_sum_to_the_gradient() -> None:
    program, observable, params = parse(LOOPED), parse_observable("c + Z[r]"), {"t": 0.8}
    made = differentiate(program, "t")
    assert [term.occurrence for term in made.terms] == ["", "", "k", "k", "k", "k"]
    total = math.fsum(
        term_value(term, k, observable, params)
        for term in made.terms
        for k in (range(1, 25) if term.occurrence else (1,))
    )
    assert_close(total, float(expectation(program, observable).grad(params)[0]), 1e-9)


def test_a_single_site_in_a_loop_is_numbered_as_in_the_family() -> None:
    program = parse("qubit: q para: t count: c while not flip(0.4) do c++; Rx(t*c)[q] od")
    observable, params = parse_observable("Z[q] + c*Y[q]"), {"t": 0.8}
    made = differentiate(program, "t")
    for k in range(1, 6):
        for term in made.terms:
            found = weighted(made.family.at(k, term.term), made.family.weights, observable, params)
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
