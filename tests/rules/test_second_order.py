"""Second derivatives as programs: the pair tangent and the pair family against exact Hessians."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from amounts import examples
from hypothesis import given, settings
from reference.interpreter import expectation, run
from rules.kinds import PROGRAM, Matrix, Subject, derivative, inputs, ran, subjects
from rules.renderings import Answered, check_few_refused, weight_at
from strategies import cases

from qdiff.errors import ParameterError, QdiffError
from qdiff.lang.check import check
from qdiff.lang.expr import Parameter
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Gate, Program
from qdiff.objective import expectation as objective
from qdiff.rules.derivative import differentiate
from qdiff.rules.nested import second_terms
from qdiff.rules.pair_family import PairFamily
from qdiff.rules.registry import applicable
from qdiff.rules.second_order import SecondDerivativeProgram
from qdiff.rules.workspace import Workspace

STRAIGHT = """qubit: q, r
para: t, u
Ry(t*u)[q]; Rx(t)[r]; CNOT[q, r]; Ry(u)[r]; Rzz(t)[q, r]; Rx(0.3)[q]; Rx(t*t)[r]; H[q]
"""
SHORT = "qubit: q, r para: t, u Ry(t*u)[q]; Rx(t)[r]; CNOT[q, r]; Rx(t*t)[r]; H[q]"
LOOP = """qubit: q, r
para: t, u
count: c
Ry(t*u)[q];
while M[q] = 1 do
    Ry(t + 0.3)[q]; C_Rx(t*t)[q][r]; c++; Rz(u*t)[r]; H[r];
    if c < 3 then Ry(u*c)[r] fi; CNOT[r, q]; Ry(0.6)[q]
od
"""
NOISY = """qubit: q, r
para: t, u
Ry(t)[q]; damp(t*u/4)[q]; C_Ry(u)[q][r]; if flip(t/4) and M[q] = 1 then Rx(u)[r] fi; dephase(u/3)[r];
depolarize(t/9)[q]; Ry(t - u)[r]
"""
AT = {"t": 0.7, "u": 0.4}
PAIRS = tuple(itertools.product("tu", repeat=2))


def tangent_value(
    derivative: SecondDerivativeProgram, observable: Observable, params: Mapping[str, float]
) -> float:
    """The mixed derivative of the tangent program by its two probabilities, at 0."""
    tangent = derivative.tangent
    check(tangent.program)
    assert parse(str(tangent)) == tangent.program
    at = {**params, **dict.fromkeys(tangent.parameters, 0.0)}
    f = objective(tangent.program, observable * tangent.readout)
    return float(f.hessian(at, wrt=tangent.parameters)[0, 1])


def family_value(family: PairFamily, observable: Observable, params: Mapping[str, float], most: int) -> float:
    """Σ over pairs of occurrences up to `most` and all choices, by the reference interpreter."""
    total = []
    readout = family.weight(params)
    first, second, both = family.most_terms
    for k, occurrence in itertools.product(range(1, most + 1), repeat=2):
        same = k == occurrence
        for j, i in itertools.product(range(both if same else first), range(1 if same else second)):
            member = family.at(k, j, occurrence, i)
            for store, rho in run(member, params).items():
                weight = weight_at(readout, dict(zip(member.counters, store, strict=True)))
                if weight:
                    total.append(weight * float(expectation(member, observable, {store: rho}).real))
    return math.fsum(total)


@pytest.mark.parametrize("rule", ["shift", "shift-paper"])
@pytest.mark.parametrize("pair", PAIRS)
def test_tangent_in_a_loop(pair: tuple[str, str], rule: str) -> None:
    program, observable = parse(LOOP), parse_observable("c + Z[r]*c + X[r]")
    exact = objective(program, observable).hessian(AT)
    found = tangent_value(differentiate(program, pair, rule), observable, AT)
    assert found == pytest.approx(exact["tu".index(pair[0]), "tu".index(pair[1])], abs=1e-9)


@pytest.mark.parametrize(
    ("pair", "rule"),
    [(("t", "t"), "shift"), (("t", "u"), "shift"), (("t", "u"), "hadamard"), (("t", "u"), "commutator")],
)
def test_family_of_a_straight_program(pair: tuple[str, str], rule: str) -> None:
    text = SHORT if rule == "commutator" else STRAIGHT
    program, observable = parse(text), parse_observable("Z[q] + Y[q]*Z[r] + X[r]")
    exact = objective(program, observable).hessian(AT)["tu".index(pair[0]), "tu".index(pair[1])]
    derivative = differentiate(program, pair, rule)
    check(derivative.family.program)
    assert parse(str(derivative)) == derivative.family.program
    found = family_value(derivative.family, observable, AT, len(derivative.sites))
    assert found == pytest.approx(exact, abs=1e-9)


def test_members_of_the_family_one_by_one() -> None:
    program = parse("qubit: q para: t, u Ry(t*u)[q]; Rx(u)[q]")
    observable, params = parse_observable("Z[q] + 0.5*X[q]"), {"t": 0.7, "u": 0.4}
    made = differentiate(program, ("t", "u")).family
    weighted = observable * made.weight(params)
    assert made.most_terms == (2, 2, 4)
    total = []
    for k, l in itertools.product((1, 2), repeat=2):  # noqa: E741
        for j, i in itertools.product(range(4 if k == l else 2), range(1 if k == l else 2)):
            total.append(float(objective(made.at(k, j, l, i), weighted)(params)))
    exact = objective(program, observable).hessian(params)[0, 1]
    assert math.fsum(total) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize("pair", PAIRS)
def test_channels_and_flips(pair: tuple[str, str]) -> None:
    program, observable = parse(NOISY), parse_observable("Z[q]*X[r] + Z[r] + X[q]")
    exact = objective(program, observable).hessian(AT)["tu".index(pair[0]), "tu".index(pair[1])]
    derivative = differentiate(program, pair)
    assert tangent_value(derivative, observable, AT) == pytest.approx(exact, abs=1e-9)


def test_the_family_of_channels_and_flips() -> None:
    program = parse("qubit: q para: t, u Ry(t)[q]; damp(t*u/4)[q]; if flip(t/4) then Rx(u)[q] fi")
    observable = parse_observable("Z[q] + X[q]")
    exact = objective(program, observable).hessian(AT)[0, 1]
    family = differentiate(program, ("t", "u")).family
    assert family_value(family, observable, AT, 4) == pytest.approx(exact, abs=1e-9)


def second_derivative(subject: Subject, at: float, rho: Matrix) -> dict[int, Matrix]:
    """d²E/da² (ρ): extrapolated differences of the exact first derivative."""
    if not isinstance(subject.primitive, Gate):
        at = min(max(at, 0.1), 0.9)
    tables: dict[int, list[Matrix]] = {}
    for level in range(5):
        h = 0.08 / 2**level
        ahead, behind = derivative(subject, at + h, rho), derivative(subject, at - h, rho)
        for value in ahead:
            tables.setdefault(value, []).append((ahead[value] - behind[value]) / (2 * h))
    return {value: _limit(table) for value, table in tables.items()}


def _limit(table: list[Matrix]) -> Matrix:
    for order in range(1, len(table)):
        table = [finer + (finer - coarser) / (4**order - 1) for coarser, finer in itertools.pairwise(table)]
    return table[0]


SMALL = [subject for subject in subjects() if len(subject.qubits) <= 3]


@pytest.mark.parametrize("subject", SMALL, ids=str)
def test_every_rule_twice(subject: Subject) -> None:
    rho = inputs(len(subject.qubits))
    for rule in applicable(subject.kind):
        if rule.size(subject.kind) > 16:
            continue  # hundreds of terms, by the same code
        if rule.ancillas(subject.kind) + len(subject.qubits) > 5:
            continue  # large matrices, by the same code
        workspace = Workspace(PROGRAM)
        terms = second_terms(rule, subject.primitive, subject.kind, Parameter("a"), workspace)
        for at in subject.arguments[1:2]:
            at = at if isinstance(subject.primitive, Gate) else min(max(at, 0.1), 0.9)
            found, exact = ran(terms, workspace, subject, at, rho), second_derivative(subject, at, rho)
            scale = max(1.0, max(float(np.abs(matrix).max()) for matrix in exact.values()))
            for value, matrix in exact.items():
                assert np.abs(found.get(value, 0) - matrix).max() <= 1e-8 * scale, (rule.name, at)


def test_random_programs() -> None:
    answered: Answered = Counter()

    @settings(deadline=None, max_examples=examples(8))
    @given(cases(unbounded=False))
    def compare(case: tuple[Program, Observable, dict[str, float]]) -> None:
        program, observable, params = case
        names = program.trainable
        if not names:
            return
        try:
            exact = objective(program, observable).hessian(params, wrt=names)
        except QdiffError as error:  # no second derivative at these parameters
            answered[str(error)[:90]] += 1
            return
        scale = 1 + float(np.abs(exact).max(initial=0.0))
        pairs = list(itertools.combinations_with_replacement(enumerate(names), 2))
        for (a, one), (b, other) in pairs[:2]:
            derivative = differentiate(program, (one, other))
            if derivative.sites:
                assert abs(tangent_value(derivative, observable, params) - exact[a, b]) <= 1e-9 * scale
                answered["compared"] += 1
            else:
                assert exact[a, b] == 0
                answered["zero"] += 1

    compare()
    check_few_refused(answered, least=0.6)


def test_without_inputs_it_is_the_original() -> None:
    program, observable = parse(LOOP), parse_observable("c + Z[r]")
    derivative = differentiate(program, ("t", "u"))
    value = objective(program, observable)(AT)
    assert objective(derivative.family.program, observable)(AT) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("angle", "pair", "missing"),
    [("1", "tu", "t or u"), ("t*u - u*t + t", "tu", "u"), ("t*(u - u)", "tt", "t")],
)
def test_exactly_zero(angle: str, pair: str, missing: str) -> None:
    derivative = differentiate(parse(f"qubit: q para: t, u Ry({angle})[q]"), (pair[0], pair[1]))
    assert str(derivative) == (
        f"# d²/d{pair[0]} d{pair[1]} by shift: exactly zero, no angle or probability depends on {missing}\n"
        "qubit: q\npara: t, u\nabort\n"
    )
    assert bool(derivative.sites) == (angle == "t*u - u*t + t")


def test_refusals() -> None:
    program = parse(STRAIGHT)
    with pytest.raises(ParameterError, match="There is no parameter 'x'"):
        differentiate(program, ("t", "x"))
    with pytest.raises(QdiffError, match=r"There is no rule 'shft'.*Did you mean `shift`"):
        differentiate(program, ("t", "u"), "shft")
    family = differentiate(program, ("t", "u")).family
    with pytest.raises(QdiffError, match=r"numbered from 1 and choices from 0, j up to 1") as error:
        family.at(0, 0, 1)
    assert str(error.value) == (
        "Occurrences are numbered from 1 and choices from 0, j up to 1 and i up to 1; one occurrence that is "
        "replaced for both parameters (k = l) has j up to 3 and i = 0. Got (k, j, l, i) = (0, 0, 1, 0)."
    )
    for numbers in ((1, 0, 1, 1), (1, 4, 1, 0), (1, 2, 2, 0), (2, 0, 1, 2), (1, -1, 2, 0), (1, 0, 2, -1)):
        with pytest.raises(QdiffError, match=rf"^Occ.*Got \(k, j, l, i\) = {re.escape(str(numbers))}\.$"):
            family.at(*numbers)
    nothing = differentiate(parse("qubit: q para: t, u Ry(t)[q]"), ("t", "u")).family
    assert nothing.at(1, 0, 2, 0).body[1:]


@pytest.mark.parametrize("angle", ["t^(c + 1)", "t^(c + 1)*w[c]^2", "(w[c]*t)^(c + 2)/9"])
def test_exponents_that_read_counters(angle: str) -> None:
    """Derivatives of powers hold [exponent = 0] inside each other: the tangent's text parses."""
    program = parse(
        f"qubit: q para: t, w[2] count: c c++; Ry({angle})[q]; if flip(({angle})^2/9) then H[q] fi"
    )
    observable, params = parse_observable("Z[q] + X[q]"), {"t": 0.7, "w[0]": 0.4, "w[1]": 0.9}
    exact = objective(program, observable).hessian(params, wrt=["t"])[0, 0]
    derivative = differentiate(program, ("t", "t"))
    assert tangent_value(derivative, observable, params) == pytest.approx(exact, abs=1e-9)
    assert family_value(derivative.family, observable, params, 2) == pytest.approx(exact, abs=1e-9)


def test_a_lost_second_order_term_is_noticed() -> None:
    program, observable = parse(STRAIGHT), parse_observable("Z[q] + Y[q]*Z[r] + X[r]")
    exact = objective(program, observable).hessian(AT)[0, 1]
    derivative = differentiate(program, ("t", "u"))
    first = derivative.sites[0]
    broken = SecondDerivativeProgram(
        program,
        ("t", "u"),
        "shift",
        (type(first)(first.site, first.other_slope, first.site.slope), *derivative.sites[1:]),
    )
    assert abs(tangent_value(broken, observable, AT) - exact) > 1e-3


def test_the_text_of_the_family() -> None:
    family = differentiate(parse("qubit: q para: t, u Ry(t*u)[q]"), ("t", "u")).family
    assert str(family).split("qubit:")[0] == (
        "# Inputs: begin with `k := …; j := …; l := …; i := …;`, k, l: which occurrence is replaced for the\n"
        "# first and for the second parameter, from 1; j, i: how, from 0; k = l: one for both, with i = 0.\n"
        "# A run counts hit_k*hit_l * observable * the coefficient of each line that holds (0 where one was "
        "not replaced):\n"
        "# site_k = 1, j = 0, same = 0: 1/2*u\n"
        "# site_k = 1, j = 1, same = 0: -1/2*u\n"
        "# site_l = 1, i = 0, same = 0: 1/2*t\n"
        "# site_l = 1, i = 1, same = 0: -1/2*t\n"
        "# site_k = 1, j = 0, same = 1: 1/2*u*t\n"
        "# site_k = 1, j = 1, same = 1: -1/2*u*t\n"
        "# site_k = 1, j = 2, same = 1: 1/2\n"
        "# site_k = 1, j = 3, same = 1: -1/2\n"
    )
