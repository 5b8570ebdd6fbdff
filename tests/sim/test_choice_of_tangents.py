"""The cost model's engine answers for tangent programs, whose counters mostly hang together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qdiff as qd
from qdiff.lang.text.observable_text import parse_observable

CASES = {
    case["name"]: case
    for case in json.loads(
        (Path(__file__).parent.parent / "reference/cases.json").read_text(encoding="utf-8")
    )
}

# Everything that can be differentiated: gates, controls, parts, channels, flips, declared gates.
EVERY_KIND = """qubit: q, r
para: t, u
count: c
gate G(a)[p, s] = exp(-i a/2 * (0.5*X Z + 0.2*Z Y))
gate W(a)[p] = exp(-i (a * 0.5*X + 0.3*Z))
U(t, u, 0.3)[q]; C_Ry(t*u)[q][r]; Rzz(t)[q, r]; G(u)[q, r];
if flip(t/4) and M[q] = 1 then W(t)[r] fi;
damp(t*u/4)[q]; dephase(u/3)[r]; depolarize(t/9)[q];
while{2} M[q] = 1 do c++; Ry(t - u)[q] od
"""
LOOP = """qubit: q, r
para: t, u
count: c
Ry(t*u)[q];
while M[q] = 1 do
    Ry(t + 0.3)[q]; C_Rx(t*t)[q][r]; c++; Rz(u*t)[r]; H[r];
    if c < 3 then Ry(u*c)[r] fi; CNOT[r, q]; Ry(0.6)[q]
od
"""
GIVEN = {
    "every kind": (EVERY_KIND, "c + Z[r]*X[q]", {"t": 0.7, "u": 0.4}),
    "loop": (LOOP, "c + Z[r]*c + X[r]", {"t": 0.7, "u": 0.4}),
}


def given(name: str) -> tuple[str, str, dict[str, object]]:
    """A program, an observable and parameters."""
    if name in GIVEN:
        text, observable, at = GIVEN[name]
        return text, observable, dict(at)
    case = CASES[name]
    return case["program"], case["observable"], case["params"]


@pytest.mark.parametrize(
    ("name", "wrt", "rule"),
    [
        ("quantum_walk_at_2", "t1", "commutator"),
        ("amplitude_amplification_10", "a", "commutator"),
        ("amplitude_amplification_10", "t", "shift"),
        ("repeat_until_success", "t1", "commutator"),
        ("repeat_until_success", "t2", "hadamard"),
        ("nested_loops", "a", "commutator"),
        ("all_parametrised_gates", "t", "commutator"),
        ("bounded_aborts", "t", "commutator"),
        ("flip_loop", "p", "shift"),
        ("loop", "u", "commutator"),
        ("every kind", "t", "shift"),
    ],
)
def test_first_derivatives(name: str, wrt: str, rule: str) -> None:
    text, observable, at = given(name)
    program, asked = qd.parse(text), parse_observable(observable)
    tangent = qd.differentiate(program, wrt, rule).tangent
    found = qd.expectation(tangent.program, asked * tangent.readout)
    exact = qd.expectation(program, asked).grad(at, wrt=wrt)[0]
    slope = found.grad({**at, tangent.parameter: 0.0}, wrt=tangent.parameter)[0]
    assert slope == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "pair", "rule"),
    [
        ("quantum_walk_at_2", ("t1", "t2"), "shift"),
        ("quantum_walk_at_2", ("t1", "t2"), "commutator"),
        ("amplitude_amplification_10", ("t", "a"), "shift"),
        ("repeat_until_success", ("t1", "t1"), "commutator"),
        ("nested_loops", ("a", "b"), "shift"),
        ("nested_loops", ("a", "b"), "commutator"),
        ("flip_loop", ("p", "p"), "shift"),
        ("conditions", ("t", "t"), "commutator"),
        ("all_parametrised_gates", ("t", "u"), "shift"),
        ("bounded_aborts", ("t", "t"), "shift"),
        ("loop", ("t", "u"), "shift"),
        ("every kind", ("t", "t"), "shift"),
    ],
)
def test_second_derivatives(name: str, pair: tuple[str, str], rule: str) -> None:
    text, observable, at = given(name)
    program, asked = qd.parse(text), parse_observable(observable)
    tangent = qd.differentiate(program, pair, rule).tangent
    found = qd.expectation(tangent.program, asked * tangent.readout)
    hessian = qd.expectation(program, asked).hessian(at, wrt=tuple(dict.fromkeys(pair)))
    both = {**at, **dict.fromkeys(tangent.parameters, 0.0)}
    mixed = found.hessian(both, wrt=tangent.parameters)[0, 1]
    assert mixed == pytest.approx(hessian[0, -1], abs=1e-9 * (1 + abs(hessian[0, -1])))
