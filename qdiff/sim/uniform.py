"""A bound, the same for infinitely many stores, on how often a run still visits a meeting point.

Let T† pull operators back from the meeting points to the meeting points before them (runs that stop
count 0), so that (T†)ⁿ(1) at a place is the operator of "n further meeting points are visited". With
a map above T† that forgets the counters (`upper_maps`), X_0 = 1, X_{n+1} ≥ T†(X_n) and s_n = ‖X_n‖:

    s_k ≤ λ < 1    ⟹    (T†)^{mk+j}(1) ≤ λᵐ s_j    ⟹    E[visits from here] ≤ Σ_{j<k} s_j / (1 - λ)

from every reachable place and every state there, reached with probability 0 or not. (T† is positive
and linear; the map above it need be neither. A Foster-Lyapunov argument; compare Chakarov and
Sankaranarayanan, "Probabilistic program analysis with martingales", 2013.)

If every assignment adds at most a constant to the largest |counter|, the same numbers bound moments
of counters that grow without limit. Rounding is covered: see `upper_maps`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from qdiff.sim.abstract_graph import AbstractGraph, explore
from qdiff.sim.flow import Flow
from qdiff.sim.partitions import WHOLE_LINE, Partition
from qdiff.sim.per_visit import per_visit
from qdiff.sim.upper_maps import Operator, UpperMaps, norm

LARGEST_DIMENSION = 64
LARGEST_GRAPH = 256  # vertices
# Of counters without limit: first nothing is known.
PARTITIONS = (WHOLE_LINE, Partition(tuple(range(-4, 5))))
MOST_VISITS = 512
WORK = 4e9  # multiplications, about: a few seconds
ENOUGH = 0.5  # contraction at which the search ends
EQUAL = 1e-9  # of operators, after which another step brings nothing
MARGIN = 1e-6  # of the contraction: 1 - λ is at least this
OUTWARDS = 1 + 1e-9  # sums and quotients of doubles are rounded up by this


@dataclass(frozen=True)
class UniformBound:
    """What is proved of runs from any reachable meeting point, store and state.

    Attributes:
        passes: the expected number of visits of meeting points, this one included and the end not;
            inf where nothing is proved.
        contraction: (k, λ); survival: s_0, …, s_{k-1}, bounds of the probability that as many further
            meeting points are visited.
        operations: the most gates, channels, resets, measurements and tosses between two meeting points.
        occurrences: parameter → the most primitives there that contain it.
        growth, floor, scale: n visits make the largest |counter| at most scale · (max(value, floor)
            + growth · n); growth is inf where this is not proved.
        reason: what the proof rests on, or why there is none.
    """

    passes: float
    contraction: tuple[int, float] | None
    survival: tuple[float, ...]
    operations: int
    occurrences: Mapping[str, int] = field(default_factory=dict)
    growth: float = math.inf
    floor: float = 0.0
    scale: float = 1.0
    reason: str = ""

    def occurrences_to_come(self, name: str) -> float:
        """Return a bound of the expected number of primitives with a parameter that are still executed."""
        often = self.occurrences.get(name, 0)
        return often * self.passes if often else 0.0

    def at_end(self, degree: int, value: float, mass: float = 1.0) -> float:
        """Return a bound of E[max_c |c|^d at the end] of runs that are at meeting points now.

        With v = max(value, floor), g = growth and f = scale, N visits and the end make
        f^d E[(v + gN)^d] ≤ f^d (v^d + Σ_{n≥0} s_n ((v + gn + g)^d - (v + gn)^d)).

        Args:
            degree: d; value: of the largest |counter| now; mass: probability of these runs.
        """
        v = max(float(value), self.floor)
        return self._total(degree, mass, [_power(v, degree), *self._terms(degree, v)[1:]])

    def over_visits(self, degree: int, value: float, mass: float = 1.0) -> float:
        """Return a bound of E[Σ_visits max_c |c|^d], of what |c| may be up to the next meeting points.

        f^d Σ_{n≥0} s_n (v + gn + g)^d; arguments as of `at_end`. Degree 0 gives mass · passes.
        """
        return self._total(degree, mass, self._terms(degree, max(float(value), self.floor)))

    def _terms(self, degree: int, v: float) -> list[float]:
        """binom(d, i) g^i Σ_n s_n (v + gn)^{d-i} for i = 0, …, d."""
        if self.contraction is None or (degree and math.isinf(self.growth)):
            return [math.inf] * (degree + 1)
        g = self.growth if degree else 0.0
        steps, factor = self.contraction
        # Σ_m λᵐ mⁱ; from Σ λᵐ mⁱ = λ Σ λᵐ (m+1)ⁱ for i ≥ 1.
        series = [1 / (1 - factor)]
        for i in range(1, degree + 1):
            series.append(sum(math.comb(i, j) * series[j] for j in range(i)) * factor / (1 - factor))
        moments = [
            sum(
                s * math.comb(e, i) * _power(v + g * n, e - i) * _power(g * steps, i) * series[i]
                for n, s in enumerate(self.survival)
                for i in range(e + 1)
            )
            for e in range(degree + 1)
        ]
        return [math.comb(degree, i) * _power(g, i) * moments[degree - i] for i in range(degree + 1)]

    def _total(self, degree: int, mass: float, terms: list[float]) -> float:
        factor = _power(self.scale, degree) if degree else 1.0
        return mass * sum(terms) * factor * OUTWARDS if mass else 0.0


def uniform_bound(flow: Flow, parameters: Mapping[str, float], work: float = WORK) -> UniformBound:
    """Return what can be proved at these parameters.

    Counters that take few values are followed, of the others the smallest values at most.

    Args:
        flow: of any program; parameters: every element name → value.
        work: how many multiplications may be spent, about; the answer depends on it, never on time.
    """
    dimension = 1 << len(flow.program.qubits)
    if dimension > LARGEST_DIMENSION:
        return _unproved(f"more than {LARGEST_DIMENSION.bit_length() - 1} qubits")
    bound = _unproved(f"more than {LARGEST_GRAPH} meeting points")
    for partition in PARTITIONS:
        graph = explore(flow, parameters, LARGEST_GRAPH, partition)
        if graph is None:
            break
        most = int(min(MOST_VISITS, work / (10 * dimension**3 * max(1, len(graph.steps)))))
        bound = _bound(graph, most)
        if bound.contraction or not graph.unknown:
            break
    return bound


def _bound(graph: AbstractGraph, most: int) -> UniformBound:
    found, best, why = _contraction(graph, most)
    counted = per_visit(graph)
    return UniformBound(
        passes=found,
        contraction=best and best[0],
        survival=best[1] if best else (),
        operations=counted.operations,
        occurrences=counted.occurrences,
        growth=counted.growth,
        floor=counted.floor,
        scale=counted.scale,
        reason=why,
    )


def _unproved(reason: str) -> UniformBound:
    return UniformBound(math.inf, None, (), 0, reason=f"no uniform bound is proved: {reason}")


_Proof = tuple[tuple[int, float], tuple[float, ...]]


def _contraction(graph: AbstractGraph, most: int) -> tuple[float, _Proof | None, str]:
    """Return the least bound found of the visits, with (k, λ) and s_0 … s_{k-1}, and why."""
    maps = UpperMaps(graph)
    one = np.eye(maps.dimension, dtype=complex)
    current: list[Operator | None] = [one] * len(graph.vertices)
    survival, total = [1.0], 1.0
    passes, best = math.inf, None
    for k in range(1, most + 1):
        before, current = current, [_at_most_one(x, one) for x in maps.pull_back(current)]
        # (T†)ⁿ(1) decreases with n, whatever is lost by its bounds.
        norms = [0.0 if x is None else norm(x) for x in current]
        factor = min(survival[-1], float(max(norms)))
        if 1 - factor >= MARGIN and total / (1 - factor) < passes:
            passes, best = total / (1 - factor), ((k, factor), tuple(survival))
        if factor <= ENOUGH:
            break
        if all(_equal(a, b) for a, b in zip(before, current, strict=True)):
            break  # a trap, or forgetting the counters loses too much
        survival.append(factor)
        total += factor
    if best is None:
        why = (
            f"no uniform bound is proved: for all that is known of the counters, {len(survival)} further "
            f"visits may have probability {survival[-1]:.6g}"
        )
        return math.inf, None, why
    (k, factor), _ = best
    why = f"whatever the counters are, {k} further visits have probability {factor:.3g} at most"
    return passes * OUTWARDS, best, why


def _at_most_one(x: Operator | None, one: Operator) -> Operator | None:
    """A probability is at most 1, so the operator of one is at most the identity."""
    return one if x is not None and np.trace(x).real >= len(x) else x


def _equal(a: Operator | None, b: Operator | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.abs(a - b).max() <= EQUAL)


def _power(base: float, exponent: int) -> float:
    try:
        return base**exponent
    except OverflowError:
        return math.inf
