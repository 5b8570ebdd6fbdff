"""What was not followed: bounds of what it may add to a value and to its derivatives.

At a vertex v of the frontier the observable of the runs that go on is bounded by ‖A_v‖ ≤ Σ_m b_m |c^m|,
m over the moments of counted counters. With the probability and moments of absolute values that
arrive there,

    |f beyond| ≤ Σ_v Σ_m b_m ‖M_{v,m}‖₁,
    |∂f beyond| ≤ Σ_v Σ_visits |∂a| ‖A‖ beyond v + ‖A_v‖ × what derivatives carry to v.

A bound of the number of visits that are still to come (`uniform`) bounds what counters may grow to.
"""

from __future__ import annotations

import math
from itertools import zip_longest

import numpy as np

from qdiff.errors import EvaluationError, listed
from qdiff.lang.observable import Observable
from qdiff.sim.exact import Floats
from qdiff.sim.flow import ChannelBits, Flow
from qdiff.sim.function_sizes import UNBOUNDED, largest_value
from qdiff.sim.hybrid.checks import Checks
from qdiff.sim.hybrid.polynomials import Polynomial, polynomial_bound
from qdiff.sim.hybrid.solution import Solution
from qdiff.sim.uniform import UniformBound, uniform_bound

FLIP = 2.0  # ‖∂𝓔/∂p‖ of a flip, or of a channel that is a mixture


class Outside:
    """What lies beyond the frontier of one solution.

    Attributes:
        any: whether anything does.
        norms: b of every vertex of the frontier, (n,).
        moments: whether they are of moments of absolute values.
        unproved: why there is no bound, "" where there is one. remark: why there is none of derivatives.
    """

    def __init__(self, solution: Solution, observable: Observable) -> None:
        self.solution = solution
        self.observable = observable
        self.any = bool(solution.frontier)
        self.moments = False
        self.unproved = self.remark = ""
        self.norms: dict[int, Floats] = {}
        self.uniform: UniformBound | None = None
        if not self.any:
            return
        numbers = solution.numbers
        flow: Flow = numbers.source.flow
        if observable.counters or numbers.source.wrt:
            self.uniform = uniform_bound(flow, dict(numbers.rows[0]))
        if observable.degree:
            self.unproved = self._growing()
        elif math.isinf(self._bounded()):
            self.unproved = f"infinitely many counter values are reachable and {UNBOUNDED}"
        else:
            first = np.eye(1, solution.solver.moments)[0]
            self.norms = dict.fromkeys(solution.frontier, self._bounded() * first)
        if not self.unproved and self.uniform is not None and math.isinf(self.uniform.passes):
            self.remark = f"; none is proved for derivatives: {self.uniform.reason}"
        elif self.moments:
            self.remark = "; none is proved for derivatives of an observable that grows with a moment"
        elif steep := [name for name in numbers.source.wrt if math.isinf(self._strongest(name))]:
            self.remark = (
                f"; none is proved for derivatives by {listed(f'`{name}`' for name in steep)}: a `damp` with "
                "a probability that reads counters may be arbitrarily steep"
            )

    def _growing(self) -> str:
        """Bound an observable that grows with counters, where they grow by steps; or say why not."""
        assert self.uniform is not None
        solution = self.solution
        counted = solution.graph.counted
        why = (
            "infinitely many counter values are reachable and the observable grows with them "
            f"(probability {float(solution.mass(solution.frontier)[0]):.1e} was left outside)"
        )
        if math.isinf(self.uniform.passes) or math.isinf(self.uniform.growth):
            return f"{why}; {self.uniform.reason}"
        if math.isinf(sum(self._degrees().values())):
            return f"{why}; {UNBOUNDED}"
        self.moments = len(counted.basis) > 1
        least = max(1.0, self.uniform.floor)
        for vertex in solution.frontier:
            norms = self.norms[vertex] = np.zeros(len(counted.basis))
            for degree, coefficient in self._degrees().items():
                value = self._value(vertex)
                if not self.moments or not degree:
                    norms[0] += coefficient * self.uniform.at_end(degree, value)
                    continue
                # A polynomial in v = max |c| with positive coefficients is at most its value at u times
                # 1 + vᵈ, u ≥ 1; and vᵈ is at most the sum over all counters.
                scale = coefficient * self.uniform.at_end(degree, least)
                norms[0] += scale * (1 + value**degree)
                for counter in range(len(counted.counters)):
                    powers = [m[counter] for m in counted.basis if sum(m) == m[counter] >= degree]
                    if not powers:
                        return f"{why}; a moment that would bound it is not followed"
                    monomial = tuple(min(powers) * int(i == counter) for i in range(len(counted.counters)))
                    norms[counted.place[monomial]] += scale
                    norms[0] += scale if min(powers) > degree else 0.0  # |c|ᵈ ≤ 1 + |c|ʲ
        return ""

    def _bounded(self) -> float:
        """A bound of an observable without powers of counters, at all stores."""
        if not self.observable.functions:
            return self.observable.norm_bound({})
        return self._degrees().get(0, 0.0)

    def _degrees(self) -> dict[int, float]:
        """Σ |coefficient| sup|functions| of the terms of the observable by their degree in counters."""
        result: dict[int, float] = {}
        for term in self.observable.terms:
            size = abs(term.coefficient) * largest_value(term.functions)
            result[term.degree] = result.get(term.degree, 0.0) + size
        return result

    def _value(self, vertex: int) -> float:
        """The largest |counter| of those that are known at a vertex."""
        return float(max((abs(x) for x in self.solution.store(vertex).values()), default=0))

    def derivative(self, name: str) -> float:
        """A bound of what lies beyond the frontier in a derivative."""
        if not self.any:
            return 0.0
        assert self.uniform is not None
        if math.isinf(self.uniform.passes) or self.moments:
            return math.inf
        slope = self._slope(name)
        if slope is None:
            return math.inf  # it may grow like anything
        solution = self.solution
        often = float(self.uniform.occurrences.get(name, 0))
        if often:
            often *= max(self._strongest(name), float(solution.graph.runs.frequencies.max(initial=0.0)))
        if math.isinf(often):
            return math.inf  # whatever the mass there: 0·inf proves nothing
        beyond = largest = 0.0
        for vertex in solution.frontier:
            if vertex not in solution.states:
                continue
            mass, value = float(solution.mass([vertex])[0]), self._value(vertex)
            largest = max(largest, float(self.norms[vertex][0]))
            for degree, coefficient in enumerate(self._times_observable(slope)):
                if coefficient * often:
                    beyond += coefficient * often * self.uniform.over_visits(degree, value, mass)
        return beyond + largest * Checks(solution).carried_mass()

    def _strongest(self, name: str) -> float:
        """The largest ‖∂𝓔/∂p‖ of flips and of channels with a parameter, whatever the counters are."""
        numbers, strongest = self.solution.numbers, FLIP
        for instruction in numbers.source.flow.instructions:
            if not isinstance(instruction, ChannelBits) or instruction.record.mixture:
                continue
            expression = numbers.source.flow.expressions[instruction.expression]
            if name not in expression.parameters():
                continue
            if expression.counters():
                return math.inf
            try:
                p = min(max(float(expression.evaluate(numbers.rows[0])), 0.0), 1.0)
            except EvaluationError:
                return math.inf
            strongest = max(strongest, float(instruction.record.l1(np.array(p))))
        return strongest

    def _slope(self, name: str) -> Polynomial | None:
        """A bound of |∂e/∂name| of every expression, by powers of the largest |counter|."""
        numbers = self.solution.numbers
        p = numbers.source.wrt.index(name)
        largest: Polynomial = []
        for (_, parameter), expression in zip(numbers.source.pairs, numbers.source.derivatives, strict=True):
            if parameter == p:
                bound = polynomial_bound(expression, numbers.rows[0])
                if bound is None:
                    return None
                largest = [max(a, b) for a, b in zip_longest(largest, bound, fillvalue=0.0)]
        return largest

    def _times_observable(self, slope: Polynomial) -> Polynomial:
        """The slope times a bound of the observable from there on: of degree d, P_d(u) (1 + vᵈ)."""
        assert self.uniform is not None
        norm = [0.0]
        for degree, coefficient in self._degrees().items() if self.observable.degree else ():
            scale = coefficient * self.uniform.at_end(degree, max(1.0, self.uniform.floor))
            part = [scale, *[0.0] * (degree - 1), scale] if degree else [scale]
            norm = [a + b for a, b in zip_longest(norm, part, fillvalue=0.0)]
        if not self.observable.degree:
            norm = [self._bounded()]
        return [float(x) for x in np.convolve(slope, norm)] if slope else []
