"""Derivatives by replacement rules, exactly: what the rules say, summed over all occurrences and terms.

The tangent program of a rule (`qdiff.rules.tangent`) has one more probability ε, and

    ∂f/∂θ = ∂/∂ε E[hit · O] at ε = 0,

which an exact engine answers. Nothing of the engine's own differentiation of gates and channels is used,
so a rule and an engine that agree prove each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from qdiff.errors import QdiffError
from qdiff.lang.tree import Program
from qdiff.lang.walk import statements
from qdiff.objective.scalar import Objective
from qdiff.rules.derivative import DerivativeProgram, differentiate
from qdiff.rules.registry import checked_name
from qdiff.sim.choice import HYBRID, candidates_for
from qdiff.sim.engines import Engines
from qdiff.sim.exact import ExactEngine, Floats, Parameters

RULES = ("shift", "shift-paper", "commutator", "hadamard")
PHASES = 3


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
        used = tuple([tuple([site.rule for site in derivative.sites]) for derivative in derivatives])
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
    asked = {i: _answering(f, d.tangent.program) for i, d in enumerate(derivatives) if d.sites}
    operations = sum(each for _, each in asked.values())
    if operations > most_operations:
        raise QdiffError(
            f"It would take about {operations:.1g} operations, more than {most_operations:.1g}; it answers "
            "if it is named: rules=[…]."
        )
    means = f.chain.means([parameters])
    return [
        _slope(f, parameters, derivative, asked[i][0], means) if i in asked else 0.0
        for i, derivative in enumerate(derivatives)
    ]


def _answering(f: Objective, program: Program) -> tuple[ExactEngine, float]:
    """The engine that takes least for a tangent program, and about how many operations.

    The cost model knows nothing of how the counters of a program it sees hang together. Those that a
    tangent adds tell at most apart what is not replaced, and replaced with either sign.
    """
    before = {candidate.name: candidate.operations for candidate in candidates_for(f.program)}
    longer = _length(program) / _length(f.program)
    wider = len(program.qubits) - len(f.program.qubits)
    found: dict[str, float] = {}
    for candidate in candidates_for(program):
        if candidate.fits(f.engines.max_memory):
            grown = PHASES * longer * (4 if candidate.name == HYBRID else 2) ** wider * before[candidate.name]
            found[candidate.name] = float(min(candidate.operations, grown))
    engines = Engines(program, f.engines.max_memory)
    if not found:
        return engines.chosen, math.inf  # the error says what does not fit
    name = min(found, key=lambda name: found[name])
    return engines.named(name), found[name]


def _length(program: Program) -> int:
    return sum(1 for _ in statements(program.body))


def _slope(
    f: Objective, parameters: Parameters, derivative: DerivativeProgram, engine: ExactEngine, means: Floats
) -> float:
    tangent = derivative.tangent
    observables = [observable * tangent.readout for observable in f.chain.observables]
    row = {**parameters, tangent.parameter: 0.0}
    _, slopes = engine.gradients([row], observables, [tangent.parameter])
    return float(f.chain.combined(means, slopes)[0, 0, 0])
