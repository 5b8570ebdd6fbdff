"""Derivatives by replacement rules, exactly: what the rules say, summed over all occurrences and terms.

The tangent program of a rule (`qdiff.rules.tangent`) has one more probability ε, and

    ∂f/∂θ = ∂/∂ε E[hit · O] at ε = 0,

which an exact engine answers. Nothing of the engine's own differentiation of gates and channels is used,
so a rule and an engine that agree prove each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qdiff.errors import QdiffError
from qdiff.lang.observable import Observable
from qdiff.objective.scalar import Objective
from qdiff.rules.derivative import DerivativeProgram, differentiate
from qdiff.rules.registry import checked_name
from qdiff.rules.tangent import Tangent
from qdiff.sim.engines import Engines
from qdiff.sim.exact import Floats, Parameters

RULES = ("shift", "shift-paper", "commutator", "hadamard")


def rule_slopes(
    f: Objective,
    parameters: Parameters,
    names: Sequence[str],
    rules: Sequence[str],
    most_operations: float,
    notes: list[str],
) -> dict[str, Floats]:
    """Return rule → ∂f/∂names (d,), for the rules that apply everywhere and are bearable.

    Args:
        most_operations: of all tangent programs of a rule together.
        notes: what is left out is appended, with the reason.
    """
    found: dict[str, Floats] = {}
    seen: dict[tuple[tuple[str, ...], ...], str] = {}
    for rule in rules:
        checked_name(rule)
        try:
            derivatives = [differentiate(f.program, name, rule) for name in names]
        except QdiffError as error:
            notes.append(f"rule {rule}: left out. {str(error).splitlines()[0]}")
            continue
        used = tuple([tuple([site.rule.name for site in derivative.sites]) for derivative in derivatives])
        if used in seen:
            notes.append(f"rule {rule}: left out, it is {seen[used]} at every site of this program.")
            continue
        seen[used] = rule
        try:
            found[rule] = np.array(_slopes(f, parameters, derivatives, most_operations))
        except QdiffError as error:
            notes.append(f"rule {rule}: no answer. {str(error).splitlines()[0]}")
    return found


def _slopes(
    f: Objective, parameters: Parameters, derivatives: Sequence[DerivativeProgram], most_operations: float
) -> list[float]:
    asked = {i: _engines(f, d.tangent) for i, d in enumerate(derivatives) if d.sites}
    operations = sum(engines.choice.operations for engines in asked.values())
    if operations > most_operations:
        raise QdiffError(
            f"It would take about {operations:.1g} operations, more than {most_operations:.1g}; it answers "
            "if it is named: rules=[…]."
        )
    means = f.chain.means([parameters])
    return [
        _slope(f, parameters, derivative, asked[i], means) if i in asked else 0.0
        for i, derivative in enumerate(derivatives)
    ]


def _engines(f: Objective, tangent: Tangent) -> Engines:
    return Engines(tangent.program, f.engines.max_memory, observables=_observables(f, tangent))


def _observables(f: Objective, tangent: Tangent) -> list[Observable]:
    return [observable * tangent.readout for observable in f.chain.observables]


def _slope(
    f: Objective, parameters: Parameters, derivative: DerivativeProgram, engines: Engines, means: Floats
) -> float:
    tangent = derivative.tangent
    row = {**parameters, tangent.parameter: 0.0}
    _, slopes = engines.chosen.gradients([row], _observables(f, tangent), [tangent.parameter])
    return float(f.chain.combined(means, slopes)[0, 0, 0])
