"""Renderings of derivatives in tests: by which rule, what they are worth, and that they are programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from helpers import assert_close
from reference.operators import pauli_product

from qdiff.errors import QdiffError
from qdiff.final_state import HybridState, state
from qdiff.lang.check import check
from qdiff.lang.observable import Observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.objective import expectation
from qdiff.rules import names
from qdiff.rules.derivative import DerivativeProgram
from qdiff.rules.finding import Finder
from qdiff.rules.primitive import GateKind, Kind
from qdiff.rules.registry import applicable, select
from qdiff.rules.single import DerivativeTerm
from qdiff.rules.term import Rule
from qdiff.rules.weights import Weighted
from qdiff.sim.exact import Mixture

OWN = ("flip", "mixture", "damping")  # of flip and channels: there is no choice
RULES = [name for name in names() if name not in (*OWN, "riesz")]
TOLERANCE = 1e-9
WIDEST = 6  # qubits, ancillas included
Answered = Counter[str]  # "compared", and why there was nothing to compare


def check_few_refused(answered: Answered, least: float = 0.9) -> None:
    """Assert that nearly all random programs were compared."""
    assert answered["compared"] >= least * answered.total() > 0, answered


def rule_at(rule: str) -> Callable[[Kind], Rule]:
    """A rule where it applies, the default rule elsewhere."""

    def chosen(kind: Kind) -> Rule:
        named = [r for r in applicable(kind) if r.name == rule]
        if named or not isinstance(kind, GateKind):
            return named[0] if named else select("shift", kind)
        try:
            return select(rule, kind)
        except QdiffError:
            return select("shift", kind)

    return chosen


def derivative_of(program: Program, parameter: str, rule: str) -> DerivativeProgram:
    """The derivative by a rule where it applies, and by the default rule elsewhere."""
    sites = Finder(program, (parameter,)).sites()
    chosen = rule_at(rule)
    return DerivativeProgram(
        program, parameter, rule, tuple(replace(site, rule=chosen(site.kind)) for site in sites)
    )


def flat(params: Mapping[str, Any]) -> dict[str, float]:
    """Parameters by element: w = [1, 2] is w[0] = 1, w[1] = 2."""
    found: dict[str, float] = {}
    for name, entry in params.items():
        elements = enumerate(entry) if isinstance(entry, list) else ()
        found |= {f"{name}[{i}]": x for i, x in elements} or {name: entry}
    return found


def tangent_slope(made: DerivativeProgram, observable: Observable, params: Mapping[str, float]) -> float:
    """The derivative by ε at ε = 0, from one linear system."""
    t = made.tangent
    objective = expectation(t.program, observable * t.readout, engine="hybrid")
    return float(objective.grad({**params, t.parameter: 0.0}, wrt=t.parameter)[0])


def weighted(program: Program, made: Weighted, observable: Observable, params: Mapping[str, float]) -> float:
    """Σ over stores of weight(store) · tr(O(store) ρ)."""
    ended = state(program, dict(params))
    return weighted_state(ended, made, observable, params)


def weighted_state(
    ended: HybridState, made: Weighted, observable: Observable, params: Mapping[str, float]
) -> float:
    if not len(ended):
        return 0.0
    weight_of_run = made.weight(params)
    values = []
    for row, mixture in ended.stores.items():
        store = dict(zip(ended.counters, row, strict=True))
        weight = weight_at(weight_of_run, store)
        values.append(weight * _value(observable, ended.qubits, store, mixture) if weight else 0.0)
    return math.fsum(values)


def weight_at(readout: Observable, store: Mapping[str, int]) -> float:
    """The number that a readout is at the end of a run."""
    found = readout.coefficients(store)
    assert set(found) <= {()}
    return float(found.get((), 0j).real)


def _value(
    observable: Observable, qubits: tuple[str, ...], counters: Mapping[str, int], mixture: Mixture
) -> float:
    """tr(O(store) ρ)."""
    rho, total = mixture.density_matrix(), 0.0
    for term in observable.terms:
        letters = dict(term.operators)
        operator = pauli_product([letters.get(q, "I") for q in qubits])
        power = math.prod(counters[name] ** power for name, power in term.counters)
        total += float((term.coefficient * power * np.trace(operator @ rho)).real)
    return total


def check_text(program: Program) -> None:
    """Assert that it is a program of the language, and its text means the same."""
    check(program)
    assert parse(str(program)) == program


def check_renderings(made: DerivativeProgram) -> None:
    """Assert that everything which is printed parses to what it came from."""
    for program in (made.family.program, made.tangent.program, made.self_contained().program):
        check_text(program)
    for whole in (made.family, made.tangent, made.self_contained(), *made.terms[:2]):
        assert parse(str(whole)) == whole.program
    if made.sites:
        assert parse(str(made)) == made.family.program
        check_text(made.family.at(3, 0))


def check_start(
    made: DerivativeProgram, observable: Observable, params: Mapping[str, float], value: float
) -> None:
    """Assert that nothing is replaced at ε = 0, nor without inputs."""
    t = made.tangent
    for program, at in ((t.program, {**params, t.parameter: 0.0}), (made.family.program, dict(params))):
        assert_close(expectation(program, observable, engine="hybrid")(at), value)


def term_value(
    term: DerivativeTerm, occurrence: int, observable: Observable, params: Mapping[str, float]
) -> float:
    """E[coefficient · readout · O] of one execution of a site replaced by one term."""
    made = term.at(occurrence)
    check_text(made)
    ended = state(made, dict(params))
    values = [
        float(term.coefficient.evaluate(params, dict(zip(ended.counters, store, strict=True))))
        * _value(
            term.readout * observable, ended.qubits, dict(zip(ended.counters, store, strict=True)), mixture
        )
        for store, mixture in ended.stores.items()
    ]
    return math.fsum(values)
