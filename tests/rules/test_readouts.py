"""The weight of a derivative program as an observable: its expectation is the derivative."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from qdiff.errors import EvaluationError, ParameterError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.objective import expectation
from qdiff.rules.derivative import differentiate
from qdiff.rules.self_contained import LAWS

STRAIGHT = parse(
    "qubit: q, r para: t, p count: c Ry(t)[q]; if M[q] = 1 then c := 2; C_Rx(t*c)[q][r] fi;"
    "if flip(p*t) then Rz(-t)[r]; H[r] fi; damp(t/2)[q]; Rx(t^2)[r]"
)
LOOP = parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(-t)[q] od")
INDEXED = parse("qubit: q para: w[2], s count: c c := 1; Ry(w[c]*w[0])[q]; c := 0; Rx(w[c]*s)[q]")
DAMPED = parse("qubit: q para: t Ry(1.1)[q]; damp(t)[q]; Rx(0.4)[q]")
DAMPED_BY_COUNTER = parse("qubit: q para: t count: c c := 2; Ry(1.1)[q]; damp(t*c)[q]; Rx(0.4)[q]; c := 0")


def slope(program: Program, observable: Observable, params: dict[str, object], wrt: str) -> float:
    return float(expectation(program, observable).grad(params, wrt=wrt)[0])


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("program", "text", "params", "wrt"),
    [
        (STRAIGHT, "c + Z[r] + 0.3*X[q]*c^2", {"t": 0.8, "p": 0.6}, "t"),
        (LOOP, "c", {"t": 1.1}, "t"),
        (LOOP, "1/(c + 1) + Z[q]*[c = 2]", {"t": 1.1}, "t"),
        (INDEXED, "Z[q] + 0.5*Y[q]", {"w": [0.7, 0.4], "s": 0.9}, "w[0]"),
        (INDEXED, "Z[q] + 0.5*Y[q]", {"w": [0.7, 0.4], "s": 0.9}, "w[1]"),
    ],
)
def test_the_expectation_of_a_self_contained_program_is_the_derivative(
    program: Program, text: str, params: dict[str, object], wrt: str, law: str
) -> None:
    observable = parse_observable(text)
    drawn = differentiate(program, wrt).self_contained(law)
    readout = drawn.readout(params)
    assert parse_observable(str(readout)) == readout
    g = expectation(drawn.program, observable * readout)
    assert g(params) == pytest.approx(slope(program, observable, params, wrt), abs=1e-9)


@pytest.mark.parametrize("law", LAWS)
def test_the_bound_is_proved_where_the_stores_are_finite(law: str) -> None:
    observable, params = parse_observable("c + Z[r]"), {"t": 0.8, "p": 0.6}
    drawn = differentiate(STRAIGHT, "t").self_contained(law)
    g = expectation(drawn.program, observable * drawn.readout(params))
    bound = g.analyze(params).error_bound
    assert abs(g(params) - slope(STRAIGHT, observable, params, "t")) <= bound + 1e-13
    assert bound < 1e-9


def test_no_bound_is_claimed_for_weights_that_grow() -> None:
    drawn = differentiate(LOOP, "t").self_contained("geometric")
    found = expectation(drawn.program, parse_observable("c") * drawn.readout()).analyze({"t": 1.1})
    assert math.isinf(found.error_bound)
    assert "the observable contains a function of counters for which no bound is proved" in found.reason


def test_members_of_a_family() -> None:
    params, observable = {"t": 1.1}, parse_observable("c + 0.5^c")
    made = differentiate(LOOP, "t").family
    assert made.most_terms is not None
    weighted = observable * made.readout()
    total = math.fsum(
        float(expectation(made.at(k, j), weighted)(params))
        for k, j in itertools.product(range(1, 22), range(made.most_terms))
    )
    assert total == pytest.approx(slope(LOOP, observable, params, "t"), abs=1e-9)


def test_members_of_a_family_have_proved_bounds() -> None:
    """A selection is at most 1: the weights ±1/2 do not grow."""
    params, made = {"t": 1.1}, differentiate(LOOP, "t").family
    found = expectation(made.at(3, 0), parse_observable("c") * made.readout()).analyze(params)
    assert found.error_bound < 1e-9


def test_members_of_a_pair_family() -> None:
    program = parse("qubit: q para: t, u Ry(t*u)[q]; Rx(u)[q]")
    observable, params = parse_observable("Z[q] + 0.5*X[q]"), {"t": 0.7, "u": 0.4}
    made = differentiate(program, ("t", "u")).family
    weighted = observable * made.readout(params)
    total = []
    for k, l in itertools.product((1, 2), repeat=2):  # noqa: E741
        both = max(map(len, made.both))
        for j, i in itertools.product(range(both if k == l else 2), range(1 if k == l else 2)):
            total.append(float(expectation(made.at(k, j, l, i), weighted)(params)))
    exact = expectation(program, observable).hessian(params)[0, 1]
    assert math.fsum(total) == pytest.approx(exact, abs=1e-9)


def test_estimates_are_calibrated() -> None:
    """Σ z² of 20 estimates is χ² with 20 degrees of freedom: beyond 4 … 55 once in 10⁴."""
    program = parse("qubit: q para: t count: c Ry(t)[q]; if M[q] = 1 then c := 2; Ry(t*c)[q] fi")
    observable, params = parse_observable("c + Z[q]"), {"t": 0.9}
    drawn = differentiate(program, "t").self_contained("geometric")
    g = expectation(drawn.program, observable * drawn.readout(params))
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
        g = expectation(drawn.program, observable * drawn.readout(params))
        exact = slope(program, observable, dict(params), "t")
        assert g(params) == pytest.approx(exact, abs=1e-9)
        assert math.isfinite(g.estimate(params, shots=20, seed=1).value)


def test_what_is_missing_is_said() -> None:
    drawn = differentiate(STRAIGHT, "t").self_contained()
    with pytest.raises(ParameterError) as error:
        drawn.readout()
    assert str(error.value) == "Parameter values: no value for t, p. Parameters: t, p."
    root = differentiate(parse("qubit: q para: t Ry(sqrt(t))[q]"), "t")
    with pytest.raises(EvaluationError) as other:
        root.family.readout({"t": 0})
    assert str(other.value).startswith("The coefficient of `site = 1, j = 0` has no value: ")


def test_a_rule_with_infinitely_many_terms_has_one_readout() -> None:
    """Riesz: c_j = 4ω(-1)^j/(π(2j+1))², ω = 1 the largest frequency."""
    made = differentiate(parse("qubit: q para: t Ry(t)[q]"), "t", "riesz").family
    readout = made.readout()
    assert parse_observable(str(readout)) == readout
    for j in (-2, -1, 0, 3):
        store = {"hit": 1, "k": 0, "j": j, "site": 1}
        expected = 4 * (-1) ** j / (math.pi * (2 * j + 1)) ** 2
        assert readout.coefficients(store)[()] == pytest.approx(expected)
    g = expectation(made.at(1, -1), parse_observable("Z[q]") * readout)
    assert g({"t": 0.3}) == pytest.approx(-4 / math.pi**2 * math.cos(0.3 - math.pi / 2))
