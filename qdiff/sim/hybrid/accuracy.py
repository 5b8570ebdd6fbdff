"""What is known of one solution: values of f and ∂f, and how far its states are from being a solution.

In extended precision where dimension and graph allow it; in doubles otherwise, where residuals are known
at the heads of loops, and rounding is bounded everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qdiff.lang.observable import Observable
from qdiff.sim.exact import Floats
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.coordinates import decode
from qdiff.sim.hybrid.correlate import correlate
from qdiff.sim.hybrid.dominating import UNIT, rounding
from qdiff.sim.hybrid.extended import LARGEST_DIMENSION, LARGEST_WORK, Extended, work
from qdiff.sim.hybrid.extended_numbers import CHANGE, RATIO, ExtendedNumbers, LongFloats
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.passage import Stack, longest, operator_norms, trace_norms
from qdiff.sim.hybrid.solution import Solution
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.sweeps import States
from qdiff.sim.rounding import generator_error


@dataclass(frozen=True)
class Accuracy:
    """A solution R, A, and what it is off by.

    Attributes:
        value, derivatives: f and ∂f/∂wrt computed from it, (d,).
        slope_errors: what the slopes of angles add to the errors of the derivatives, (d,).
        channel_errors: of every toss the norm that the derivative of its channel is off by, (T,).
        generator_errors: of every rotated gate instance the norm that its generator is off by, (G,).
        states: ‖R_v‖₁ of every moment, (vertices, n).
        states_residual, observables_residual: ‖R_start + T(R) - R‖₁ and ‖T†(A) - A‖, as computed.
        noise: for every trace what rounding, and errors of angles and probabilities, do in it, relative to
            what enters; of observables the same.
        summing: relative error of Σ tr(O R).
        extended: whether it is known in extended precision.
        absolute: ‖·‖₁ and residuals of a solution whose moments are of absolute values of counters.
    """

    value: np.longdouble
    derivatives: LongFloats
    slope_errors: Floats
    channel_errors: Floats
    generator_errors: Floats
    states: Floats
    states_residual: Floats
    observables_residual: Floats
    noise: Floats
    summing: float
    extended: bool
    absolute: tuple[Floats, Floats] | None


def accuracy(
    solution: Solution,
    observable: Observable,
    pulled: Field,
    residuals: States,
    *,
    projected: bool,
    absolute: Solver | None,
) -> Accuracy:
    """Return what is known of a solution and of its observables `pulled` back.

    Args:
        residuals: of the backward solve, at heads of loops.
        projected: whether traps are known exactly.
        absolute: a solver whose assignments have absolute values, if that solution is wanted.
    """
    d = solution.solver.dimension
    if d <= LARGEST_DIMENSION and work(solution) <= LARGEST_WORK:
        found = Extended(solution, observable, pulled, projected=projected)
        derivatives, slope_errors = found.derivatives()
        return Accuracy(
            found.value(),
            derivatives,
            slope_errors,
            _channel_errors(solution.graph, found.numbers, 1.0),
            _generator_errors(solution.graph, found.numbers, 1.0),
            trace_norms(found.states),
            trace_norms(found.states_residual),
            operator_norms(found.observables_residual),
            _noise(solution.graph, found.numbers, d, RATIO),
            _summing(solution, RATIO),
            True,
            None if absolute is None else _norms(*found.absolute_states(absolute)),
        )
    numbers = ExtendedNumbers(solution.numbers)
    derivatives, slope_errors = _derivatives(solution, pulled, numbers)
    shape = (len(solution.graph.trace), solution.solver.moments)
    states_residual, observables_residual = np.zeros(shape), np.zeros(shape)
    for v, y in solution.residuals.items():
        states_residual[v] = trace_norms(decode(y[0], d))
    for v, y in residuals.items():
        observables_residual[v] = operator_norms(decode(y[0], d))
    return Accuracy(
        np.longdouble(_value(solution, pulled)),
        derivatives,
        slope_errors,
        _channel_errors(solution.graph, numbers, 1 / RATIO),
        _generator_errors(solution.graph, numbers, 1 / RATIO),
        trace_norms(decode(solution.states.array[:, 0], d)),
        states_residual,
        observables_residual,
        _noise(solution.graph, numbers, d, 1.0),
        _summing(solution, 1.0),
        False,
        None if absolute is None else _absolute(absolute),
    )


def _norms(states: Stack, residual: Stack) -> tuple[Floats, Floats]:
    return trace_norms(states), trace_norms(residual)


def _absolute(solver: Solver) -> tuple[Floats, Floats]:
    states = decode(solver.push_forward(solver.start()).array[:, 0], solver.dimension)
    residual = np.zeros_like(states)
    for v, y in solver.residuals.items():
        residual[v] = decode(y[0], solver.dimension)
    return _norms(states, residual)


def _noise(graph: Graph, numbers: ExtendedNumbers, dimension: int, ratio: float) -> Floats:
    """‖error‖₁ / ‖R‖₁ of every trace; `ratio`: of the unit roundoff to that of doubles.

    Both branches of a toss come from one register, so that each counts with what both are off by. What
    arrives at a vertex is added up there: an addend is off by a unit for every other one. Masks only keep
    or drop entries.
    """
    unit = UNIT * ratio
    product = rounding(dimension, unit)
    flat = [t for v in graph.followed for t in graph.targets[v]]
    arriving = int(np.bincount(flat).max()) if flat else 0
    entries = arriving + len(graph.counted.basis) + 2
    gates = [min(CHANGE, off * ratio / RATIO) for _, off in numbers.gates]
    tosses = np.minimum(1.0, numbers.probability_errors * ratio / RATIO)

    def weight(code: int, arg: int) -> float:
        if code == traces.UNITARY:
            run = graph.runs.runs[arg]
            return (2 + len(run)) * product + sum(gates[i] for i in run)
        if code == traces.CHANNEL:
            channel = graph.channels[arg]
            p = numbers.probabilities[channel.toss]
            return product + channel.record.change(p, float(tosses[channel.toss]))
        if code in (traces.TOSS, traces.TOSS_NOT):
            return 2 * float(tosses[arg]) + 4 * unit
        if code == traces.LEAF:
            return dimension * entries * unit
        return product if code == traces.RESET else 0.0

    return np.array([longest(trace, weight) for trace in graph.traces])


def _channel_errors(graph: Graph, numbers: ExtendedNumbers, scale: float) -> Floats:
    """What the derivatives of channels are off by; `scale`: of errors to those in extended precision."""
    result = np.zeros(len(graph.tosses))
    for channel in graph.channels:
        p, error = numbers.probabilities[channel.toss], float(numbers.probability_errors[channel.toss])
        result[channel.toss] = channel.record.slope_change(p, scale * error, scale * RATIO * UNIT)
    return result


def _generator_errors(graph: Graph, numbers: ExtendedNumbers, scale: float) -> Floats:
    """What the generators of gates are off by; `scale`: of errors of angles, as for channels."""
    found = zip(graph.runs.records, numbers.angles, numbers.angle_errors, strict=True)
    return np.array([generator_error(record, float(a), scale * float(error)) for record, a, error in found])


def _summing(solution: Solution, ratio: float) -> float:
    ends = len(solution.graph.ends) * solution.solver.moments
    return rounding(solution.solver.dimension, UNIT * ratio) + ends * UNIT * ratio


def _value(solution: Solution, pulled: Field) -> float:
    ends = solution.graph.ends
    return float((solution.states.array[ends] * pulled.array[ends]).sum())


def _derivatives(solution: Solution, pulled: Field, numbers: ExtendedNumbers) -> tuple[LongFloats, Floats]:
    """∂f/∂wrt in doubles, and what slopes are off by."""
    found = correlate(solution.solver, solution.maps, solution.states, pulled, 1)
    by_angle = solution.unitaries.angle_gradients(found.products, 1)
    derivatives = solution.numbers.chain_rule(by_angle, found.by_toss)[0, 0]
    _, errors = numbers.chain_rule(by_angle[0, 0], found.by_toss[0, 0])
    return derivatives.astype(np.longdouble), errors / RATIO
