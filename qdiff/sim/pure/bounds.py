"""How far value and derivatives may be off: rounding, what was merged, what was not followed.

With δ_g the error of gate g (`rounding.gate_error`), w_g the expected number of times it is executed,
Δ the largest sum of δ along a run, D the dimension, N = Σ|coefficients| >= ‖O‖ = max over ends:

    value:       ‖O‖ (Σ_g 2 w_g δ_g + Δ²)  +  2u (terms + D/4 + 8) N
    derivative:  Σ_occurrences w s ‖O‖ (|∂a| (4Δ + σ) + error of ∂a),
                 σ = (D + 16)u + τ + 2u (terms + 8) N/‖O‖,

s = ‖G‖ for a gate exp(-i a G/2), 2 for a flip: |Im <λ|G|ψ>| <= ‖O‖‖G‖ (with a drift ‖K‖ <= ‖G‖, and
|∂a| times the error of K is added to the error of ∂a), ψ and λ are each off by at most
2Δ (forward, and back), and a sum of n products in any order is off by at most (n + 2)u; τ is by how much
what is found from transition matrices may be off besides. u is that of the states' amplitudes. Terms of
second order in u are covered by the factor `SLACK`.

Where runs were not followed, ‖O‖ must bound what they still see. An observable that grows with
counters is bounded there by E[Σ |coefficient| max_c |c|^degree at the end], from wherever they are
(`sim/uniform`), and so is its pulled-back form at every node that was followed. The same bound of the
passes to come bounds the derivatives of what is repeated there:

    Σ_left w · E[occurrences to come] · max s |∂a| · ‖O‖ .
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qdiff.lang.observable import Observable
from qdiff.lang.running import PROBABILITY_SLACK
from qdiff.sim.analysis import LoopVisits
from qdiff.sim.exact import Parameters
from qdiff.sim.flow import Flow, Toss
from qdiff.sim.function_sizes import UNBOUNDED, largest_value
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.rounding import UNIT, expression_error, gate_error, generator_error, generator_norm
from qdiff.sim.uniform import uniform_bound

SLACK = 1.01
SPLIT_ERROR = 8 * UNIT  # of the weight of a branch: a probability, a root, a product
WHOLE = "rounding is bounded gate by gate"

Place = tuple[int, int]  # expression and row of counters, or gate and row


class Errors:
    """Errors of a program's gates, probabilities and derivatives at one set of parameters."""

    def __init__(self, flow: Flow, numbers: Numbers, parameters: Parameters) -> None:
        self.flow = flow
        self.numbers = numbers
        self.parameters = parameters
        self.of_gates: dict[Place, float] = {}
        self.of_expressions: dict[Place, float] = {}
        self.strength = np.zeros(len(flow.expressions))
        for gate in flow.gates:
            if gate.expression >= 0:
                norm = generator_norm(gate)
                self.strength[gate.expression] = max(self.strength[gate.expression], norm)
        for instruction in flow.instructions:
            if isinstance(instruction, Toss):
                self.strength[instruction.expression] = max(self.strength[instruction.expression], 2.0)

    def gate(self, gate: int, row: int) -> float:
        """δ of a gate at a row of counters."""
        small = self.flow.gates[gate]
        key = (gate, row if small.expression >= 0 else 0)
        if key not in self.of_gates:
            angle, error = small.angle or 0.0, abs(small.angle or 0.0) * 8 * UNIT
            if small.expression >= 0:
                angle = float(self.numbers.at(row)[small.expression, 0])
                error = self.expression(small.expression, row)
            self.of_gates[key] = gate_error(small, angle, error)
        return self.of_gates[key]

    def expression(self, expression: int, row: int) -> float:
        """Error of an angle or a probability."""
        if (expression, row) not in self.of_expressions:
            self.of_expressions[expression, row] = expression_error(
                self.flow.expressions[expression], self.parameters, self.numbers.counters(row)
            )
        return self.of_expressions[expression, row]

    def probability(self, expression: int, row: int) -> float:
        """Error of a probability, that it is clipped into [0, 1] included."""
        value = float(self.numbers.at(row)[expression, 0])
        clipped = abs(value - min(max(value, 0.0), 1.0))
        return self.expression(expression, row) + min(clipped, PROBABILITY_SLACK)

    def _generator_error(self, expression: int, row: int) -> float:
        """What the generator of a gate with this angle may be off by: only that of a gate with a drift is."""
        drifting = [g for g in self.flow.gates if g.expression == expression and g.record.drift is not None]
        if not drifting:
            return 0.0
        angle, error = float(self.numbers.at(row)[expression, 0]), self.expression(expression, row)
        return max(generator_error(gate.record, angle, error) for gate in drifting)

    def steepest(self) -> list[float]:
        """Return for every parameter of `wrt` the largest s |∂a|; inf where it depends on counters."""
        source = self.numbers.source
        result = [0.0] * len(source.wrt)
        for i, (e, p) in enumerate(source.pairs, start=source.of_pairs.start):
            slope = abs(float(self.numbers.at(0)[i, 0]))
            known = math.isfinite(slope) and not source.outputs[i].counters()
            result[p] = max(result[p], float(self.strength[e]) * slope if known else math.inf)
        return result

    def slopes(self, executed: Mapping[Place, float]) -> list[list[tuple[float, float]]]:
        """Return for every parameter of `wrt` its (w s |∂a|, w s error of ∂a), one a place."""
        source = self.numbers.source
        rows_of: dict[int, list[tuple[int, float]]] = {}
        for (e, row), times in executed.items():
            rows_of.setdefault(e, []).append((row, times))
        result: list[list[tuple[float, float]]] = [[] for _ in source.wrt]
        for i, (e, p) in enumerate(source.pairs, start=source.of_pairs.start):
            for row, times in rows_of.get(e, ()):
                slope = abs(float(self.numbers.at(row)[i, 0]))
                error = expression_error(source.outputs[i], self.parameters, self.numbers.counters(row))
                scale = times * float(self.strength[e])
                turning = times * slope * self._generator_error(e, row)
                result[p].append((scale * slope, scale * error + turning))
        return result


@dataclass
class Followed:
    """What was followed of a program, for its bounds.

    Attributes:
        executed: (expression, row) → expected executions.
        drift: Σ 2 w δ. longest: Δ. norm: ‖O‖; absolute: N; terms: number of terms. off: by how much
            functions of counters may be off.
        unit: u. found: τ.
        dimension: D. merged: Σ mass · distance of what was merged.
        left: mass not followed where derivatives are asked for, and by the value alone; ‖O‖ is a bound
            there too (`see_further`). unbounded: why it is not, or "".
        left_carried: mass of the derivatives of flips not followed.
        beyond: parameters with occurrences beyond what was followed. to_come: a bound of E[Σ s |∂a|] over
            those from any node on, where one is proved. unproved: why one is not, or "".
    """

    executed: dict[Place, float] = field(default_factory=dict)
    drift: float = 0.0
    longest: float = 0.0
    norm: float = 0.0
    absolute: float = 0.0
    terms: int = 0
    off: float = 0.0
    unit: float = UNIT
    found: float = 0.0
    dimension: int = 1
    merged: float = 0.0
    left: float = 0.0
    left_by_value: float = 0.0
    left_carried: float = 0.0
    unbounded: str = ""
    beyond: frozenset[str] = frozenset()
    to_come: dict[str, float] = field(default_factory=dict)
    unproved: str = ""

    def behind(self, name: str) -> float:
        """`to_come` of a parameter; inf where nothing is proved."""
        return self.to_come.get(name, math.inf) if name in self.beyond else 0.0


def see_further(found: Followed, errors: Errors, observable: Observable, largest: int) -> None:
    """Find what bounds the runs that were not followed, or say why nothing does.

    Args:
        largest: the largest |counter| at any node, followed or not.
    """
    numbers, why = errors.numbers, ""
    sizes = [abs(term.coefficient) * largest_value(term.functions) for term in observable.terms]
    if math.isinf(sum(sizes)):
        found.unbounded = found.unproved = UNBOUNDED
        return
    if observable.functions and not observable.degree:
        found.norm = max(found.norm, sum(sizes))
    uniform = uniform_bound(errors.flow, dict(errors.parameters))
    if math.isinf(uniform.passes):
        why = uniform.reason
    elif observable.degree and math.isinf(uniform.growth):
        why = "no bound is proved of what a pass may add to the counters"
    if observable.degree and why:
        found.unbounded = f"the observable grows with a counter on runs that were not followed; {why}"
    if why:
        found.unproved = why
        return
    if observable.degree:
        # A node may lie between two meeting points: one more step to the next of them.
        value = max(largest, uniform.floor) + uniform.growth
        bound = sum(
            size * uniform.at_end(term.degree, value)
            for size, term in zip(sizes, observable.terms, strict=True)
        )
        found.norm = max(found.norm, bound)
        found.unproved = "the observable grows with a counter there"
        return
    for name, steepest in zip(numbers.source.wrt, errors.steepest(), strict=True):
        often = uniform.occurrences.get(name, 0)
        found.to_come[name] = often * (1 + uniform.passes) * steepest if often else 0.0
        if math.isinf(found.to_come[name]):
            found.unproved = "an angle or a probability depends on counters there"


def value_bound(found: Followed) -> float:
    """Return a bound of |f - computed f|."""
    left = max(found.left, found.left_by_value)
    if found.unbounded and left:
        return math.inf
    applied = 2 * found.unit * (found.terms + found.dimension / 4 + 8) * found.absolute
    rounding = found.norm * (found.drift + found.longest**2) + applied
    return SLACK * (rounding + found.off + 2 * found.norm * found.merged + found.norm * left)


def gradient_bounds(found: Followed, errors: Errors) -> dict[str, float]:
    """Return a bound of |∂f - computed ∂f| for every parameter of `wrt`."""
    names: Sequence[str] = errors.numbers.source.wrt
    if math.isinf(found.off):
        return dict.fromkeys(names, math.inf)
    result: dict[str, float] = {}
    summed = ((found.dimension + 16) * found.unit + found.found) * found.norm
    summed += 2 * found.unit * (found.terms + 8) * found.absolute + found.off
    for name, places in zip(names, errors.slopes(found.executed), strict=True):
        total = 0.0
        if found.left + found.left_carried:
            if found.unbounded or math.isinf(found.behind(name)):
                result[name] = math.inf
                continue
            # Rounding and merging may have moved some more mass to where nothing was followed.
            total += found.norm * (found.left + found.drift + 2 * found.merged) * found.behind(name)
        for slope, error in places:
            total += slope * (4 * found.longest * found.norm + summed) + error * found.norm
            # A derivative in front of what was merged, or behind it: 2‖O‖ η either way. What was left
            # out takes at most √left of the amplitude of any derivative in front of it.
            total += 2 * slope * found.norm * (found.merged + math.sqrt(found.left))
        result[name] = SLACK * (total + found.norm * found.left_carried)
    return result


def loop_visits(flow: Flow, marks: Mapping[int, float]) -> tuple[LoopVisits, ...]:
    """Expected guard evaluations and passes of all loops from the mass at every mark."""
    return tuple(
        LoopVisits(loop.pos, marks.get(2 * i, 0.0), marks.get(2 * i + 1, 0.0))
        for i, loop in enumerate(flow.loops)
    )
