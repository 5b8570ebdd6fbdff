"""Programs that draw their own occurrence: their mean is the derivative, under both laws."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from amounts import examples
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.renderings import (
    RULES,
    WIDEST,
    Answered,
    check_few_refused,
    derivative_of,
    weight_at,
    weighted,
)
from strategies import cases

from qdiff.errors import QdiffError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.objective import expectation
from qdiff.rules.derivative import differentiate
from qdiff.rules.self_contained import LAWS, Law

STRAIGHT = parse(
    "qubit: q, r para: t, p count: c Ry(t)[q]; if M[q] = 1 then c := 2; C_Rx(t*c)[q][r] fi;"
    "if flip(p*t) then Rz(-t)[r]; H[r] fi; damp(t/2)[q]; Rx(t^2)[r]"
)
LOOP = parse("qubit: q, r para: t count: c Ry(t)[q]; while M[q] = 1 do c++; Rx(t)[r]; q := |0>; Ry(t)[q] od")
OPPOSITE = parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(-t)[q] od")
INDEXED = parse("qubit: q para: w[2], s count: c c := 1; Ry(w[c]*w[0])[q]; c := 0; Rx(w[c]*s)[q]")
DAMPED = parse("qubit: q para: t Ry(1.1)[q]; damp(t)[q]; Rx(0.4)[q]")
DAMPED_BY_COUNTER = parse("qubit: q para: t count: c c := 2; Ry(1.1)[q]; damp(t*c)[q]; Rx(0.4)[q]; c := 0")


def slope(program: Program, observable: Observable, params: dict[str, object], wrt: str) -> float:
    return float(expectation(program, observable).grad(params, wrt=wrt)[0])


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rule", RULES)
def test_the_mean_is_the_derivative(rule: str, law: str) -> None:
    observable, params = parse_observable("c + Z[r] + 0.3*X[q]*c^2"), {"t": 0.8, "p": 0.6}
    made = derivative_of(STRAIGHT, "t", rule).self_contained(law)
    exact = float(expectation(STRAIGHT, observable).grad(params, wrt="t")[0])
    assert_close(weighted(made.program, made, observable, params), exact, 1e-9)


def test_the_mean_of_random_programs_is_the_derivative() -> None:
    answered: Answered = Counter()

    @settings(max_examples=examples(12))
    @given(cases(unbounded=False), st.sampled_from(RULES), st.sampled_from(LAWS), st.integers(0, 100))
    def compare(case: tuple[Program, Observable, dict[str, float]], rule: str, law: str, pick: int) -> None:
        program, observable, params = case
        if not program.trainable:
            return
        parameter = program.trainable[pick % len(program.trainable)]
        made = derivative_of(program, parameter, rule).self_contained(law)
        if len(made.program.qubits) > WIDEST:
            answered[f"more than {WIDEST} qubits"] += 1
            return
        try:
            exact = float(expectation(program, observable).grad(params, wrt=parameter)[0])
            found = weighted(made.program, made, observable, params)
        except QdiffError as error:
            answered[str(error)[:90]] += 1
            return
        assert_close(found, exact, 1e-9)
        answered["compared"] += 1

    compare()
    check_few_refused(answered, least=0.8)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("program", "text", "params", "wrt"),
    [
        (OPPOSITE, "c", {"t": 1.1}, "t"),
        (OPPOSITE, "1/(c + 1) + Z[q]*[c = 2]", {"t": 1.1}, "t"),
        (INDEXED, "Z[q] + 0.5*Y[q]", {"w": [0.7, 0.4], "s": 0.9}, "w[0]"),
        (INDEXED, "Z[q] + 0.5*Y[q]", {"w": [0.7, 0.4], "s": 0.9}, "w[1]"),
    ],
)
def test_the_expectation_of_a_self_contained_program_is_the_derivative(
    program: Program, text: str, params: dict[str, object], wrt: str, law: str
) -> None:
    observable = parse_observable(text)
    drawn = differentiate(program, wrt).self_contained(law)
    readout = drawn.weight(params)
    assert parse_observable(str(readout)) == readout
    g = expectation(drawn.program, observable * readout)
    assert g(params) == pytest.approx(slope(program, observable, params, wrt), abs=1e-9)


@pytest.mark.parametrize("law", LAWS)
def test_the_bound_is_proved_where_the_stores_are_finite(law: str) -> None:
    observable, params = parse_observable("c + Z[r]"), {"t": 0.8, "p": 0.6}
    drawn = differentiate(STRAIGHT, "t").self_contained(law)
    g = expectation(drawn.program, observable * drawn.weight(params))
    bound = g.analyze(params).error_bound
    assert abs(g(params) - slope(STRAIGHT, observable, params, "t")) <= bound + 1e-13
    assert bound < 1e-9


def test_no_bound_is_claimed_for_weights_that_grow() -> None:
    drawn = differentiate(OPPOSITE, "t").self_contained("geometric")
    found = expectation(drawn.program, parse_observable("c") * drawn.weight()).analyze({"t": 1.1})
    assert math.isinf(found.error_bound)
    assert "the observable contains a function of counters for which no bound is proved" in found.reason


@pytest.mark.parametrize("law", LAWS)
def test_samples_of_a_loop_have_the_derivative_as_their_mean(law: str) -> None:
    """Within 5 standard errors, and not suspiciously near."""
    params, observable, shots = {"t": 0.9}, parse_observable("c"), 20_000
    made = differentiate(LOOP, "t").self_contained(law)
    g = expectation(made.program, observable * made.weight(params))
    found = g.estimate(params, shots=shots, seed=7)
    exact = float(expectation(LOOP, observable).grad(params)[0])
    assert g(params) == pytest.approx(exact, abs=1e-9)
    assert abs(found.value - exact) <= 5 * found.stderr
    assert found.stderr < 0.25 * abs(exact)  # so that the test says something
    wrong = expectation(LOOP, observable)(params)
    assert abs(found.value - wrong) > 5 * found.stderr


def test_estimates_are_calibrated() -> None:
    """Σ z² of 20 estimates is χ² with 20 degrees of freedom: beyond 4 … 55 once in 10⁴."""
    program = parse("qubit: q para: t count: c Ry(t)[q]; if M[q] = 1 then c := 2; Ry(t*c)[q] fi")
    observable, params = parse_observable("c + Z[q]"), {"t": 0.9}
    drawn = differentiate(program, "t").self_contained("geometric")
    g = expectation(drawn.program, observable * drawn.weight(params))
    exact = slope(program, observable, params, "t")
    assert g(params) == pytest.approx(exact, abs=1e-12)
    found = [g.estimate(params, shots=400, seed=seed) for seed in range(20)]
    scores = [(one.value - exact) / one.stderr for one in found]
    assert 4 < math.fsum(z * z for z in scores) < 55
    assert max(map(abs, scores)) < 5


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("gamma", [0.75, np.nextafter(0.75, 0), np.nextafter(0.75, 1), 0.749999, 0.8, 0.3])
def test_a_term_with_coefficient_zero_never_fails(gamma: float, law: str) -> None:
    """At γ = 3/4 the coefficient of Z is exactly 0: it is drawn with probability 0."""
    observable = parse_observable("Z[q] + Y[q]")
    for program, params in ((DAMPED, {"t": float(gamma)}), (DAMPED_BY_COUNTER, {"t": float(gamma) / 2})):
        drawn = differentiate(program, "t").self_contained(law)
        g = expectation(drawn.program, observable * drawn.weight(params))
        exact = slope(program, observable, dict(params), "t")
        assert g(params) == pytest.approx(exact, abs=1e-9)
        assert math.isfinite(g.estimate(params, shots=20, seed=1).value)


def test_weights_are_those_computed_by_hand() -> None:
    """Two terms ±1/2 of L1 = 1 at site 1 (slope 2): ±2/μ(k); geometric μ(k) = h(1-h)^(k-1)."""
    program = parse("qubit: q para: t while M[q] = 0 do Ry(2*t)[q] od")
    made = differentiate(program, "t").self_contained("geometric", 0.25)
    names = made.program.counters
    assert names == ("hit", "k", "j", "site")
    rows = [(1, 1, 0, 1), (1, 1, 1, 1), (1, 3, 0, 1), (0, 4, 0, 0), (1, 3, 2, 1)]
    expected = [2 / 0.25, -2 / 0.25, 2 / (0.25 * 0.75**2), 0, 0]
    readout = made.weight()
    assert_close([weight_at(readout, dict(zip(names, row, strict=True))) for row in rows], expected, 1e-12)
    mass = "(0.25*(1 - 0.25)^(k - 1))"
    assert str(readout) == f"2*hit*[j = 0]*[site = 1]/{mass} - 2*hit*[j = 1]*[site = 1]/{mass}"
    assert parse_observable(str(readout)) == readout
    log_power = differentiate(program, "t").self_contained()
    z, k = 4.791206906872, 3
    mu = 1 / (z * k * math.log(k + math.e) ** 1.25)
    store = dict(zip(names, (1, k, 1, 1), strict=True))
    assert_close(weight_at(log_power.weight(), store), -2 / mu, 1e-9)
    family = differentiate(program, "t").family
    assert str(family.weight()) == "hit*[j = 0]*[site = 1] - hit*[j = 1]*[site = 1]"


def test_weights_use_the_counters_as_they_were_at_the_site() -> None:
    program = parse("qubit: q para: t count: c c := 3; Ry(t*c)[q]; c := 5")
    made = differentiate(program, "t").family
    assert "at_c" in made.program.counters
    observable = parse_observable("Z[q]")
    for j, sign in enumerate((1, -1)):
        shifted = math.cos(3 * 0.7 + sign * math.pi / 2)
        found = weighted(made.at(1, j), made, observable, {"t": 0.7})
        assert_close(found, 3 * sign * 0.5 * shifted, 1e-12)


@pytest.mark.parametrize(
    ("law", "shape", "message"),
    [
        ("zipf", None, "The law of the occurrence is one of log-power, geometric, not 'zipf'."),
        ("log-power", 0.0, "The δ of a log-power law is above 0 and at most 10, got 0.0."),
        ("log-power", math.inf, "The δ of a log-power law is above 0 and at most 10, got inf."),
        ("geometric", 0.0, "The geometric law needs a hazard above 0 and below 1, got 0.0."),
        ("geometric", 1.0, "The geometric law needs a hazard above 0 and below 1, got 1.0."),
        ("geometric", 1.5, "The geometric law needs a hazard above 0 and below 1, got 1.5."),
    ],
)
def test_laws_are_checked(law: str, shape: float | None, message: str) -> None:
    with pytest.raises(QdiffError) as error:
        differentiate(LOOP, "t").self_contained(law, shape)
    assert str(error.value) == message


def test_the_hazard_is_that_of_the_law() -> None:
    from qdiff.lang.expr import number

    h = Law("geometric", 0.25)
    mu = [1 / float(h.inverse(number(k)).evaluate()) for k in range(1, 40)]
    assert_close(mu[:3], [0.25, 0.1875, 0.140625], 1e-12)
    law = Law()
    left = 1.0
    for k in range(1, 30):
        mass = 1 / float(law.inverse(number(k)).evaluate())
        assert_close(float(law.hazard(number(k)).evaluate()), mass / left, 1e-9)
        left -= mass


@pytest.mark.parametrize("law", LAWS)
def test_a_site_on_which_nothing_depends_does_not_shift_the_others(law: str) -> None:
    """A gate that is a phase has a site without terms; the next site keeps its own."""
    program = parse(
        "qubit: q para: t gate Phase(a)[p] = exp(-i a/2 * (0.8*I)) Phase(3*t)[q]; Ry(2*t)[q]; Rx(t)[q]"
    )
    observable, params = parse_observable("Z[q] + Y[q]"), {"t": 0.7}
    made = differentiate(program, "t")
    assert [len(site.coefficients) for site in made.sites] == [0, 2, 2]
    drawn = made.self_contained(law)
    exact = float(expectation(program, observable).grad(params)[0])
    assert_close(weighted(drawn.program, drawn, observable, params), exact, 1e-9)
