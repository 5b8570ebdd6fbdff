"""Programs that use the names which a transformation would invent: theirs stay theirs."""

from __future__ import annotations

import pytest
from helpers import assert_close
from rules.renderings import (
    check_renderings,
    check_start,
    derivative_of,
    rule_at,
    tangent_slope,
    weighted,
)
from rules.replacing import replaced_value

from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.objective import expectation
from qdiff.rules.derivative import differentiate

TAKEN = """qubit: coin, ancilla[2], site
para: eps, w[2], hit2, p
count: hit, k, j, at_k, is, outcome, passes, m[2], at_m_0, eps2
gate Levels(a)[q] = exp(-i a/2 * (0.3*X + 0.4*Z + 0.1*I))
gate Levels_eigenstates[q] = [[1, 0], [0, 1]]
gate Swept(a)[q] = exp(-i (a * 0.5*X + 0.7*Z))
gate Swept_part1[q] = [[0, 1], [1, 0]]
Ry(eps*hit2)[coin]; k := 1; is := M[coin]; hit := 2;
C_Ry(w[is]*k + eps)[coin][ancilla[0]];
while{2} M[coin] = 1 and flip(p*eps/4) do
    k++; j := j + 2; outcome++; Levels(eps*k)[coin]; Ry(0.4)[ancilla[1]]; passes := passes - 1
od;
if not (flip(p) or M[ancilla[0], ancilla[1]] = 1) then Swept(eps + w[m[0]])[site]; hit++; m[0]++ fi;
Levels_eigenstates[site]; damp(p)[coin]; Rx(eps)[coin]; Swept_part1[ancilla[1]]
"""
PARAMS = {"eps": 0.9, "w[0]": 0.4, "w[1]": -1.3, "hit2": 1.2, "p": 0.6}
OBSERVABLE = parse_observable("hit + k*Z[coin] + is*P1[site] - j*m[0] + outcome*X[ancilla[0]] + passes")


@pytest.mark.parametrize(
    ("parameter", "rule"),
    [("eps", "shift"), ("w[1]", "shift"), ("hit2", "commutator"), ("p", "shift"), ("eps", "hadamard")],
)
def test_invented_names_are_new(parameter: str, rule: str) -> None:
    program = parse(TAKEN)
    made = derivative_of(program, parameter, rule)
    f = expectation(program, OBSERVABLE, engine="hybrid")
    check_renderings(made)
    exact = float(f.grad(PARAMS, wrt=parameter)[0])
    assert_close(tangent_slope(made, OBSERVABLE, PARAMS), exact, 1e-9)
    check_start(made, OBSERVABLE, PARAMS, f(PARAMS))
    found = weighted(made.family.at(2, 1), made.family, OBSERVABLE, PARAMS)
    assert_close(found, replaced_value(program, OBSERVABLE, PARAMS, parameter, rule_at(rule), 2, 1))


def test_which_names_are_invented() -> None:
    made = differentiate(parse(TAKEN), "eps")
    assert {"hit3", "k2", "j2"} <= set(made.family.program.counters)
    assert made.tangent.parameter == "eps3"
    plain = differentiate(parse("qubit: q para: t Ry(t)[q]"), "t")
    assert plain.family.program.counters == ("hit", "k", "j", "site")
    assert plain.tangent.parameter == "eps"
    assert plain.self_contained().program.qubits == ("q", "coin")
