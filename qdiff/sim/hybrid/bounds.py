"""How far a computed value and computed derivatives may be from the true ones.

A solution R̃, Ã, refined in extended precision where that fits (`extended`), satisfies
R̃ = R_start + T(R̃) - ρ and Ã = T†(Ã) - s up to known ρ and s and the rounding of one step. With f̃ and
∂f̃ computed from it,

    |f - f̂| ≤ |f̃ - f̂| + Σ_v ‖A_v‖ ‖ρ_v‖₁ + what was not followed,
    |∂f - ∂f̂| ≤ |∂f̃ - ∂f̂| + Σ_ℓ ‖∂𝓔_ℓ‖ (‖A_ℓ‖ ‖R_ℓ - R̃_ℓ‖₁ + ‖A_ℓ - Ã_ℓ‖ ‖R̃_ℓ‖₁) + what was not followed,

f̂ and ∂f̂ what the engine returns, ℓ over the primitives that contain the parameter. Norms of A, of A - Ã,
and of what ρ_v becomes until it is observed are bounded by certified solutions of the adjoint equations
(`dominating`). Where no bound is proved it is inf, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qdiff.lang.observable import Observable
from qdiff.sim.exact import Floats
from qdiff.sim.function_sizes import rounding
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.accuracy import Accuracy, accuracy
from qdiff.sim.hybrid.dominating import Dominating
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.outside import Outside
from qdiff.sim.hybrid.passage import OUTWARDS, longest
from qdiff.sim.hybrid.solution import Solution
from qdiff.sim.hybrid.sweeps import States
from qdiff.sim.rounding import generator_norm

STEEP = "a function of counters in the observable is too steep for a bound of its rounding"
FLIP = 2.0  # ‖∂𝓔/∂p‖ of a flip: what goes into one branch comes out of the other
WITHIN = 3.0  # times the noise of a trace: pulling back in it, and sums over gates and over visits


@dataclass(frozen=True)
class ErrorBounds:
    """Proved bounds of one solution, inf where there is none.

    Attributes:
        value: of |f - returned f|; gradient: parameter → of the derivative.
        reason: where they come from, or why there is none.
    """

    value: float
    gradient: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class Returned:
    """What the engine gives at these parameters: f, one or several times, and ∂f/∂wrt."""

    values: Sequence[float]
    derivatives: Sequence[float]


def error_bounds(
    solution: Solution, observable: Observable, pulled: Field, residuals: States, returned: Returned
) -> ErrorBounds:
    """Return the bounds for a solution at one set of parameters.

    Args:
        pulled: the observable at every vertex. residuals: of that solve, at the heads of loops.
        returned: what the bounds are about.
    """
    wrt = solution.numbers.source.wrt
    nothing = dict.fromkeys(wrt, math.inf)
    caught = float(solution.lost[0])
    exact = all(solution.solver.loops.leak(stage) == 0.0 for stage in solution.solver.loops.traps)
    outside = Outside(solution, observable)
    if outside.unproved:
        return ErrorBounds(math.inf, nothing, f"no bound is proved: {outside.unproved}")
    dominating = Dominating(solution)
    n = solution.solver.moments
    norms = _norms(solution, observable)
    off = _rounding(solution, observable)
    if not all(math.isfinite(x) for error in off.values() for x in error.flat):
        return ErrorBounds(math.inf, nothing, f"no bound is proved: {STEEP}")
    stops = dict(norms)
    for vertex in solution.frontier:
        stops[vertex] = outside.norms[vertex][None]
    if not stops:
        return ErrorBounds(0.0, dict.fromkeys(wrt, 0.0), "no run ends: the value is 0")
    alpha = dominating.upper(stops, {})
    if alpha is None:
        return ErrorBounds(
            math.inf, nothing, "no bound is proved: too many passes for the rounding of a check"
        )
    absolute = dominating.solver if outside.moments else None
    known = accuracy(
        solution, observable, pulled, residuals, projected=exact or caught > 0, absolute=absolute
    )
    found = _Work(solution, dominating, alpha[:, 0], known, off)
    value = found.value(norms, returned.values) + found.outside(outside.norms)
    why = "residuals" + (" in extended precision" if known.extended else " and rounding")
    why += ", times certified bounds of the observable on the way"
    if outside.any:
        why += "; what was not followed is bounded"
    if caught > 0 and not exact:
        # A trap found by rounding may leak: the caught mass might still end.
        largest = max((float(x[0, 0]) for x in norms.values()), default=0.0)
        grows = n > 1 or bool(observable.counters)
        value = math.inf if grows else value + caught * largest
        return ErrorBounds(
            value,
            nothing,
            f"that runs are caught with probability {caught:.3g} is known up to rounding only, and it is "
            "part of the bound; none is proved for derivatives",
        )
    gradient = found.gradient(returned.derivatives) if wrt else {}
    if gradient is None:
        return ErrorBounds(value, nothing, why + "; none is proved for derivatives: too many passes")
    return ErrorBounds(
        value, {name: gradient[name] + outside.derivative(name) for name in wrt}, why + outside.remark
    )


class _Work:
    """The terms of the bounds.

    Args:
        alpha: bounds of ‖A‖, (vertices, n).
        off: what functions of counters are off by at the ends, (1, n) each.
    """

    def __init__(
        self,
        solution: Solution,
        dominating: Dominating,
        alpha: Floats,
        known: Accuracy,
        off: Mapping[int, Floats],
    ) -> None:
        self.solution = solution
        self.graph = solution.graph
        self.dominating = dominating
        self.alpha = alpha
        self.known = known
        self.off = off
        trace = np.array(self.graph.trace)
        self.noise = np.where(trace >= 0, np.append(known.noise, 0.0)[trace], 0.0)[:, None]
        self.rho = known.states_residual + self.noise * known.states
        runs = self.graph.runs
        self.strengths = np.array([generator_norm(runs.gates[i]) for i in runs.rotated])

    def value(self, norms: Mapping[int, Floats], returned: Sequence[float]) -> float:
        """|f̃ - f̂| + Σ_v ‖A_v‖ ‖ρ_v‖₁, and the rounding of Σ tr(O R)."""
        off = max(float(abs(self.known.value - np.longdouble(x))) for x in returned)
        off += sum(float(error[0] @ self.known.states[v]) for v, error in self.off.items())
        ends = sum(float(norms[v][0] @ self.known.states[v]) for v in norms)
        return OUTWARDS * (off + float((self.alpha * self.rho).sum()) + self.known.summing * ends)

    def outside(self, norms: Mapping[int, Floats]) -> float:
        """Σ over the frontier of ‖A_v‖ ‖R_v‖₁, of moments with absolute values of counters."""
        if self.known.absolute is None:
            return OUTWARDS * sum(float(norms[v] @ self.known.states[v]) for v in norms)
        states, residual = self.known.absolute
        there = sum(float(norms[v] @ states[v]) for v in norms)
        return OUTWARDS * (there + float((self.alpha * (residual + self.noise * states)).sum()))

    def gradient(self, returned: Sequence[float]) -> dict[str, float] | None:
        """The bounds by parameter; None where they are not proved."""
        numbers, graph = self.solution.numbers, self.graph
        slopes = numbers.slopes(gates=True)
        n = self.dominating.moments
        weights = self._weights(slopes.gates[0], slopes.tosses[0])
        error = self.known.observables_residual + self.noise * self.alpha
        sources = {v: np.stack([error[v], weights[graph.trace[v]] * self.alpha[v]]) for v in graph.followed}
        if not sources:
            return dict.fromkeys(numbers.source.wrt, 0.0)
        stops = dict.fromkeys([*graph.ends, *graph.frontier], np.zeros((2, n)))
        stops |= {v: np.concatenate([error, np.zeros((1, n))]) for v, error in self.off.items()}
        found = self.dominating.upper(stops, sources)
        if found is None:
            return None
        # Whatever the parameter: what ρ becomes.
        states_error = float((found[:, 1] * self.rho).sum())
        own = found[:, 0] + WITHIN * self.noise * self.alpha
        by_trace = np.zeros(len(graph.traces))
        np.add.at(by_trace, graph.trace, (own * self.known.states).sum(axis=1) * (np.array(graph.trace) >= 0))
        held = np.zeros(len(graph.traces))
        np.add.at(
            held, graph.trace, (self.alpha * self.known.states).sum(axis=1) * (np.array(graph.trace) >= 0)
        )
        result = {}
        for p, name in enumerate(numbers.source.wrt):
            gates, tosses = self._slopes_of(p)
            total = float(abs(self.known.derivatives[p] - np.longdouble(returned[p])))
            if gates.any() or tosses.any():
                total += float(self._weights(gates, tosses) @ by_trace) + states_error
                total += float(self._off(gates, tosses) @ held)
            result[name] = OUTWARDS * (total + float(self.known.slope_errors[p]))
        return result

    def _weights(self, gates: Floats, tosses: Floats) -> Floats:
        """Σ ‖∂𝓔‖ on the worst way through every trace, from slopes of angles (G,) and probabilities (T,)."""
        of_runs = [
            float((gates * self.strengths)[rotations].sum()) for rotations in self.graph.runs.rotations
        ]

        def weight(code: int, arg: int) -> float:
            if code == traces.UNITARY:
                return of_runs[arg]
            if code == traces.CHANNEL:
                slope = float(tosses[self.graph.channels[arg].toss])
                return slope * float(self.solution.maps.noise.l1(arg)[0]) if slope else 0.0
            return FLIP * float(tosses[arg]) if code in (traces.TOSS, traces.TOSS_NOT) else 0.0

        return np.array([longest(trace, weight) for trace in self.graph.traces])

    def _off(self, gates: Floats, tosses: Floats) -> Floats:
        """Σ of what derivatives of gates and channels are off by, on the worst way through every trace."""
        of_gates = gates * self.known.generator_errors
        of_runs = [float(of_gates[rotations].sum()) for rotations in self.graph.runs.rotations]

        def weight(code: int, arg: int) -> float:
            if code == traces.UNITARY:
                return of_runs[arg]
            if code != traces.CHANNEL:
                return 0.0
            toss = self.graph.channels[arg].toss
            return float(tosses[toss] * self.known.channel_errors[toss]) if tosses[toss] else 0.0

        return np.array([longest(trace, weight) for trace in self.graph.traces])

    def _slopes_of(self, parameter: int) -> tuple[Floats, Floats]:
        """|∂angle| of every gate and |∂probability| of every toss by one parameter."""
        numbers = self.solution.numbers
        direction = np.zeros((1, len(numbers.source.wrt)))
        direction[0, parameter] = 1.0
        gates, tosses = numbers.rates(direction)
        return np.abs(gates[0]), np.abs(tosses[0])


def _rounding(solution: Solution, observable: Observable) -> dict[int, Floats]:
    """What functions of counters are off by at every end, (1, n); nothing where there are none."""
    if not observable.functions:
        return {}
    names = solution.numbers.source.flow.counters
    parts = solution.graph.counted.split(observable, names)
    result = {}
    for vertex in solution.graph.ends:
        errors = result[vertex] = np.zeros((1, solution.solver.moments))
        for moment, part in parts.items():
            errors[0, moment] = rounding(part, solution.store(vertex))
    return result


def _norms(solution: Solution, observable: Observable) -> dict[int, Floats]:
    """Norms of the observable's parts at every end, (1, n)."""
    graph = solution.graph
    names = solution.numbers.source.flow.counters
    parts = graph.counted.split(observable, names)
    result = {}
    for vertex in graph.ends:
        norms = np.zeros((1, solution.solver.moments))
        for moment, part in parts.items():
            norms[0, moment] = part.norm_bound(solution.store(vertex))
        result[vertex] = norms
    return result
