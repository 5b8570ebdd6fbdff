"""Every rule on every trainable parameter of the reference cases: one linear system has the gradient.

Rules that are the same at every site of a parameter are asked once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import assert_close
from rules.renderings import RULES, TOLERANCE, check_start, derivative_of, flat, tangent_slope

from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.objective import expectation
from qdiff.rules.derivative import DerivativeProgram

REFERENCE = Path(__file__).parent.parent / "reference/cases.json"
CASES = json.loads(REFERENCE.read_text(encoding="utf-8"))
CONTRACT = ("shift", "shift-paper", "commutator", "hadamard")
SUBJECTS = [(case, name) for case in CASES for name in parse(case["program"]).trainable]


def different(case: dict[str, Any], parameter: str) -> list[DerivativeProgram]:
    """The derivatives by all rules, those of the contract first; what is the same at every site once."""
    program = parse(case["program"])
    found: dict[tuple[str, ...], DerivativeProgram] = {}
    for rule in (*CONTRACT, *RULES):
        made = derivative_of(program, parameter, rule)
        found.setdefault(tuple(site.rule.name for site in made.sites), made)
    return list(found.values())


@pytest.mark.parametrize(("case", "parameter"), SUBJECTS, ids=[f"{case['name']}-{p}" for case, p in SUBJECTS])
def test_every_rule_has_the_gradient(case: dict[str, Any], parameter: str) -> None:
    params, observable = flat(case["params"]), parse_observable(case["observable"])
    derivatives = different(case, parameter)
    program = derivatives[0].source
    exact = float(expectation(program, observable).grad(params, wrt=parameter)[0])
    assert_close(exact, case["gradient"][parameter])
    for made in derivatives:
        assert_close(tangent_slope(made, observable, params), exact, TOLERANCE)
        # Single rules differ from the selections at few sites: their start at one parameter is enough.
        if made.rule in CONTRACT or parameter == program.trainable[0]:
            check_start(made, observable, params, case["value"])


def test_no_rule_is_left_out() -> None:
    """What the cases have no site for: noise, and generators that depend on the angle."""
    used = {
        site.rule.name for case, name in SUBJECTS for made in different(case, name) for site in made.sites
    }
    assert {*RULES, "flip"} - used == {"shift", "shift-paper", "stochastic"}
