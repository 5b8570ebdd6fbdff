"""Members of additive derivatives, evaluated by the reference interpreter."""

from __future__ import annotations

import math
from collections.abc import Mapping

from reference.interpreter import expectation, run

from qdiff.lang.check import check
from qdiff.lang.observable import Observable
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
