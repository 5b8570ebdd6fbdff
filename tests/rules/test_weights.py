"""Weights: the expectation of a derivative program's observable times its weight is the derivative."""

from __future__ import annotations

import itertools
import math

import pytest

from qdiff.errors import EvaluationError, ParameterError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.objective import expectation
from qdiff.rules.additive import additive
from qdiff.rules.derivative import differentiate

LOOP = parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(-t)[q] od")
READING = parse(
    "qubit: q, r para: t count: c Ry(t)[q]; while{3} M[q] = 1 do c++; Rx(t/c)[r]; damp(t/(c + 1))[r]; "
    "q := |0>; Ry(-t*c)[q] od; c := 0"
)


def slope(program: Program, observable: Observable, params: dict[str, float], wrt: str) -> float:
    return float(expectation(program, observable).grad(params, wrt=wrt)[0])


def test_members_of_a_family() -> None:
    params, observable = {"t": 1.1}, parse_observable("c + 0.5^c")
    made = differentiate(LOOP, "t").family
    assert made.most_terms is not None
    weighted = observable * made.weight()
    total = math.fsum(
        float(expectation(made.at(k, j), weighted)(params))
        for k, j in itertools.product(range(1, 19), range(made.most_terms))
    )
    assert total == pytest.approx(slope(LOOP, observable, params, "t"), abs=1e-9)


def test_members_of_a_family_have_proved_bounds() -> None:
    """A selection is at most 1: the weights ±1/2 do not grow."""
    params, made = {"t": 1.1}, differentiate(LOOP, "t").family
    found = expectation(made.at(3, 0), parse_observable("c") * made.weight()).analyze(params)
    assert found.error_bound < 1e-9


@pytest.mark.parametrize("rule", ["shift", "commutator", "hadamard"])
def test_single_terms(rule: str) -> None:
    """Sites with coefficients like 1/c: runs that do not reach them count 0, c as recorded or not."""
    observable, params = parse_observable("Z[r] + 0.4*Z[q]*Y[r]"), {"t": 0.9}
    terms = differentiate(READING, "t", "shift").terms
    if rule != "shift":
        plain = parse("qubit: q para: t count: c c++; if M[q] = 1 then Ry(t/c)[q] fi; Ry(t/(c + 1))[q]")
        terms, observable = differentiate(plain, "t", rule).terms, parse_observable("Z[q]")
    total = math.fsum(
        float(expectation(term.at(k), observable * term.weight(params))(params))
        for term in terms
        for k in range(1, 4 if term.occurrence else 2)
    )
    assert total == pytest.approx(slope(terms[0].source, observable, params, "t"), abs=1e-9)


def test_the_weight_of_a_term_is_its_coefficient_times_its_sign() -> None:
    first, second, *_ = differentiate(LOOP, "t").terms
    assert (str(first.weight()), str(second.weight({"t": 1}))) == ("0.5*hit", "-0.5*hit")
    assert (str(first.readout), str(first.coefficient)) == ("hit", "1/2")
    (term,) = differentiate(parse("qubit: q para: t count: c Ry(t*c)[q]"), "t", "hadamard").terms
    assert str(term.weight()) == "at_c*hit*[hit = -1] + at_c*hit*[hit = 1]"
    (term, _) = differentiate(parse("qubit: q para: t count: c Ry(t*c)[q]"), "t").terms
    assert str(term.weight()) == "0.5*at_c*hit*[hit = 1]"


@pytest.mark.parametrize("rule", ["shift", "hadamard"])
def test_members_of_additive_derivatives(rule: str) -> None:
    observable, params = parse_observable("Z[r] + 0.4*Z[q]*Y[r]"), {"t": 0.9}
    made = additive(READING, "t", rule)
    exact = slope(READING, observable, params, "t")
    members = [(member.program, member.weight(params)) for member in made]
    joined = made.joined.weight(params)
    selected = [(made.joined.at(i), joined) for i in range(1, made.count + 1)]
    for programs in (members, selected):
        total = math.fsum(float(expectation(p, observable * weight)(params)) for p, weight in programs)
        assert total == pytest.approx(exact, abs=1e-9)


def test_the_weight_of_joined_members() -> None:
    made = additive(parse("qubit: q para: t Ry(t)[q]; Rx(3*t)[q]"), "t")
    assert str(made.joined.weight()) == "hit*[member = 1] + 3*hit*[member = 2]"
    assert [str(member.weight()) for member in made] == ["hit", "3*hit"]
    equal = additive(parse("qubit: q para: t Ry(2*t)[q]; Rx(2*t)[q]"), "t")
    assert str(equal.joined.weight()) == "2*hit"
    assert str(additive(parse("qubit: q para: t Ry(t)[q]; abort"), "t").joined.weight()) == "0"


def test_what_is_missing_is_said() -> None:
    program = parse("qubit: q para: t, p Ry(t*p)[q]")
    made, members = differentiate(program, "t"), additive(program, "t")
    for form in (
        made.family,
        made.self_contained(),
        made.terms[0],
        members[0],
        members.joined,
    ):
        with pytest.raises(ParameterError) as error:
            form.weight()
        assert str(error.value) == "Parameter values: no value for t, p. Parameters: t, p."
    root = differentiate(parse("qubit: q para: t Ry(sqrt(t))[q]"), "t")
    with pytest.raises(EvaluationError) as other:
        root.family.weight({"t": 0})
    assert str(other.value).startswith(
        "The coefficient `1/2/(2*sqrt(t))` of `site = 1, j = 0` (line 1) has no value: "
    )
    with pytest.raises(EvaluationError) as single:
        root.terms[0].weight({"t": 0})
    assert str(single.value).startswith("The coefficient `1/2/(2*sqrt(t))` (line 1) has no value: ")


def test_a_rule_with_infinitely_many_terms_has_one_weight() -> None:
    """Riesz: c_j = 4ω(-1)^j/(π(2j+1))², ω = 1 the largest frequency."""
    made = differentiate(parse("qubit: q para: t Ry(t)[q]"), "t", "riesz").family
    readout = made.weight()
    assert parse_observable(str(readout)) == readout
    for j in (-2, -1, 0, 3):
        store = {"hit": 1, "k": 0, "j": j, "site": 1}
        expected = 4 * (-1) ** j / (math.pi * (2 * j + 1)) ** 2
        assert readout.coefficients(store)[()] == pytest.approx(expected)
    g = expectation(made.at(1, -1), parse_observable("Z[q]") * readout)
    assert g({"t": 0.3}) == pytest.approx(-4 / math.pi**2 * math.cos(0.3 - math.pi / 2))
