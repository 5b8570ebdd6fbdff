"""Answers that published systems got wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers import assert_close
from rules.test_programs import RULES, derivative_of, tangent_slope

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.lang.expr import ZERO
from qdiff.lang.load import load
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.objective import expectation
from qdiff.rules.derivative import differentiate

ROOT = Path(__file__).resolve().parents[2]
AMPLITUDE = ROOT / "casestudies/amplitude_amplification/program.qprog"

# Feedback: the angle of the second gate stands behind a measurement of the first qubit.
FEEDBACK = "qubit: q0, q1 para: t count: m Ry(t)[q0]; m := M[q0]; if m = 1 then Ry(t)[q1] fi"


def test_a_parameter_with_a_minus_sign_is_not_lost() -> None:
    """`a` occurs in amplitude amplification as a, -a and a; the artifact lost the second."""
    program = load(AMPLITUDE)
    made = differentiate(program, "a")
    assert [str(site.argument) for site in made.sites] == ["a", "-a", "a"]
    assert [float(site.slope.evaluate()) for site in made.sites] == [1, -1, 1]
    assert [site.position.line for site in made.sites if site.position] == [8, 10, 10]
    params, observable = {"t": 1.4342, "a": 0.2003348423231196, "n": 40}, parse_observable("c*P1[r]/10")
    exact = float(expectation(program, observable).grad(params, wrt="a")[0])
    assert_close(tangent_slope(made, observable, params), exact, 1e-9)
    # Without the occurrence at -a the derivative is another number.
    lost = [replace(site, slope=ZERO) if str(site.argument) == "-a" else site for site in made.sites]
    found = tangent_slope(replace(made, sites=tuple(lost)), observable, params)
    assert abs(found - exact) > 0.1 * abs(exact)


@pytest.mark.parametrize("rule", RULES)
def test_feedback_is_differentiated(rule: str) -> None:
    """⟨Z1⟩ = 1 - sin²(t/2)(1 - cos t), gradient -sin t (1 - cos t): 0.97235 and -0.15149 at t = 0.7."""
    program, observable = parse(FEEDBACK), Observable(parse_observable("Z[q1]").terms)
    f = expectation(program, observable)
    assert_close(f({"t": 0.7}), 0.97235, 5e-6)
    assert_close(f.grad({"t": 0.7})[0], -0.15149, 5e-6)
    made = derivative_of(program, "t", rule)
    assert_close(tangent_slope(made, observable, {"t": 0.7}), float(f.grad({"t": 0.7})[0]), 1e-9)


def test_a_sum_of_opposite_occurrences_is_zero() -> None:
    program, observable = parse("qubit: q para: a Ry(a)[q]; Ry(-a)[q]"), parse_observable("Z[q] + X[q]")
    made = differentiate(program, "a")
    assert len(made.sites) == 2
    assert_close(tangent_slope(made, observable, {"a": 0.7}), 0.0, 1e-12)


# --- Reviewed: what was wrong once ------------------------------------------------------------------


def test_a_large_multiple_of_the_identity_is_only_a_phase() -> None:
    program = qd.parse("qubit: q para: t gate G(a)[x] = exp(-i a/2 * (3e12*I + X)) Ry(0.3)[q]; G(t)[q]")
    (site,) = qd.differentiate(program, "t").sites
    assert (site.rule, len(site.coefficients)) == ("two-term", 2)


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


@pytest.mark.parametrize("wrt", [["t"], ("t", "t", "t"), (), ("t", ["t"]), {}, 3, None])
def test_what_is_no_parameter(wrt: object) -> None:
    with pytest.raises(QdiffError, match="wrt is the name of a parameter, or a pair of names, not "):
        qd.differentiate(qd.parse("qubit: q para: t Ry(t)[q]"), wrt)


def test_arguments_of_other_types() -> None:
    program = qd.parse("qubit: q para: t while M[q] = 0 do Ry(t)[q] od")
    with pytest.raises(QdiffError, match="A program is differentiated, such as"):
        qd.differentiate("qubit: q", "t")
    with pytest.raises(QdiffError, match="chosen for the name of a gate, such as `C_Ry`, not for 3"):
        qd.rules.choose(3)
    derivative = qd.differentiate(program, "t")
    with pytest.raises(QdiffError, match="Occurrence and term are integers, got '1' and 0"):
        derivative.family.at("1", 0)
    with pytest.raises(QdiffError, match="Occurrences are numbered from 1"):
        derivative.family.at(2**70, 0)
    with pytest.raises(QdiffError, match="Occurrences are numbered from 1"):
        derivative.terms[0].at(2**70)
    with pytest.raises(QdiffError, match="The shape of a law is a number, got 'x'"):
        derivative.self_contained("geometric", "x")
    with pytest.raises(QdiffError, match="Occurrences and choices are integers"):
        qd.differentiate(program, ("t", "t")).family.at("1", 0, 1)
