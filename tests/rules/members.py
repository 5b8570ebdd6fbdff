"""Members of additive derivatives, evaluated by the reference interpreter."""

from __future__ import annotations

import math
from collections.abc import Mapping

from helpers import assert_close
from reference.derivatives import gradient
from reference.interpreter import expectation, run

from qdiff.lang.check import check
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.rules.additive import AdditiveDerivative, Member


def member_value(member: Member, observable: Observable, params: Mapping[str, float]) -> float:
    """Return E[coefficient · readout · O]; every run that ends has had something replaced."""
    check(member.program)
    return weighted(member.program, member, observable, params)


def weighted(program: Program, member: Member, observable: Observable, params: Mapping[str, float]) -> float:
    """Return E[coefficient · readout · O] of a program that records what the member records."""
    total = []
    for store, rho in run(program, params).items():
        counters = dict(zip(program.counters, store, strict=True))
        assert counters["hit"] in (1, -1)
        value = expectation(program, member.readout * observable, {store: rho})
        total.append(float(member.coefficient.evaluate(params, counters)) * float(value))
    return math.fsum(total)


def derivative_value(
    derivative: AdditiveDerivative, observable: Observable, params: Mapping[str, float]
) -> float:
    """Return the sum over all members."""
    return math.fsum(member_value(member, observable, params) for member in derivative)


def qwhile(text: str, declarations: str = "qubit: q, r para: t, u count: c ") -> Program:
    """A program on two qubits, with two parameters and a counter."""
    return parse(declarations + text)


def assert_gradient(derivative: AdditiveDerivative, observable: str, params: dict[str, float]) -> None:
    """Assert that the members sum to the derivative of the reference interpreter."""
    o = parse_observable(observable)
    exact = gradient(derivative.source, o, params, [derivative.parameter])[derivative.parameter]
    assert_close(derivative_value(derivative, o, params), exact, 1e-9)
