"""Proved bounds of the derivatives of an objective by one parameter; `majorants` has the mathematics.

Asked of the program: for every gate exp(-i a(θ, σ) G/2) and flip(p(θ, σ)) that a run can reach, in every
store σ, Ω |a⁽ᵐ⁾(θ)| with Ω the largest difference of eigenvalues of G/2, or 2 |p⁽ᵐ⁾(θ)|, for m = 1, 2, …
A channel that is a mixture counts as a flip. damp(p), with s = √(1-p), is p·reset + (1-p+s)/2·identity
+ (1-p-s)/2·Z, so that its m-th derivative is bounded by |p⁽ᵐ⁾| + max(|p⁽ᵐ⁾|, |s⁽ᵐ⁾|).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from qdiff.errors import EvaluationError, QdiffError
from qdiff.lang import expr as ex
from qdiff.lang.expr import Expr
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim import flow as fl
from qdiff.sim.abstract_graph import AbstractGraph, AbstractStore, explore, expression_of
from qdiff.sim.choice import HYBRID
from qdiff.sim.flow import lower
from qdiff.sim.intervals import possible
from qdiff.sim.majorants import DerivativeBounds as DerivativeBounds
from qdiff.sim.majorants import OccurrenceBounds as OccurrenceBounds
from qdiff.sim.uniform import uniform_bound

if TYPE_CHECKING:
    from qdiff.sim.engines import Engines

LARGEST_GRAPH = 1024  # vertices
KEPT = 4  # graphs
HIGHEST_DEGREE = 16  # of a polynomial all of whose derivatives are taken
ORDERS = 4  # derivatives of what is no polynomial
ROUNDING = 1 + 1e-12


@runtime_checkable
class CountsOccurrences(Protocol):
    """An engine that knows how often a parameter is met."""

    program: Program

    def occurrences_to_come(self, parameters: Mapping[str, float], wrt: str) -> OccurrenceBounds:
        """Return bounds of E[N] and w for one parameter."""


def counting(engines: Engines) -> CountsOccurrences:
    """Return the engine that answers for a program, or the hybrid one: whichever counts occurrences.

    Raises:
        QdiffError: an engine was handed in, and no other can.
    """
    for engine in (engines.chosen, engines.named(HYBRID)):
        if isinstance(engine, CountsOccurrences):
            return engine
    raise QdiffError("No engine of this objective can tell how often a parameter is met.")


def derivative_bounds(
    engine: CountsOccurrences,
    parameters: Mapping[str, float],
    observable: Observable,
    name: str,
    orders: int = ORDERS,
) -> DerivativeBounds:
    """Return proved bounds of the derivatives of an objective by one parameter.

    Args:
        engine: of the program; parameters: every element name → value.
        name: a parameter (an array element as "w[0]") that is in no comparison.
        orders: how many orders are bounded where an angle is no polynomial in the parameter.

    Raises:
        QdiffError: no such parameter, or it is compared: f may jump.
    """
    program = engine.program
    if name not in program.parameters:
        raise QdiffError(f"There is no parameter `{name}`. Declared: {', '.join(program.parameters)}.")
    if name in program.compared:
        raise QdiffError(f"`{name}` is compared in a condition: f may jump, and no derivative is bounded.")
    graph = _explored(program, tuple(parameters.items()))
    if graph is None:
        return _unproved(f"there are more than {LARGEST_GRAPH} meeting points")
    occurrences = engine.occurrences_to_come(parameters, name)
    if math.isinf(occurrences.to_come) or math.isinf(occurrences.expected):
        occurrences = _uniformly(occurrences, graph, parameters, name)
    gates, flips, complete, problem = _suprema(graph, parameters, name, orders)
    norm, growing = _norm(graph, observable)
    reasons = [growing, problem]
    if math.isinf(occurrences.to_come):
        reasons.append(occurrences.reason)
    if not complete:
        reasons.append(f"an angle or probability is no polynomial in `{name}`: {orders} orders are bounded")
    return DerivativeBounds(norm, occurrences, gates, flips, complete, "; ".join(filter(None, reasons)))


@lru_cache(maxsize=KEPT)
def _explored(program: Program, values: tuple[tuple[str, float], ...]) -> AbstractGraph | None:
    """What can be reached: the same for every observable and parameter."""
    return explore(lower(program), dict(values), LARGEST_GRAPH)


def degree(expression: Expr, name: str) -> float:
    """The degree of a polynomial in a parameter, inf for what is none (as far as can be seen)."""
    return expression.fold(lambda node, x: _degree(node, x, name))


def _degree(node: Expr, x: list[float], name: str) -> float:
    match node:
        case ex.Parameter(name=own):
            return float(own == name)
        case ex.ParameterElement(array=array):
            return float(name.partition("[")[0] == array)
        case ex.Sum() | ex.Negate():
            return max(x)
        case ex.Product():
            return sum(x)
        case ex.Power(exponent=ex.Number(value=int() as power)):
            return x[0] * power if power else 0.0
        case _:
            return math.inf if any(x) else 0.0


def _suprema(
    graph: AbstractGraph, parameters: Mapping[str, float], name: str, orders: int
) -> tuple[tuple[float, ...], tuple[float, ...], bool, str]:
    """Suprema over gates and over flips, whether no later derivative is left out, and what is unbounded."""
    flow, complete, problem = graph.flow, True, ""
    known: dict[tuple[int, bool], _Derivatives] = {}  # of an expression, or of its √(1-p)
    gates: list[float] = []
    flips: list[float] = []
    for step, store in zip(graph.steps, graph.stores, strict=True):
        index = expression_of(flow, step.instruction)
        if index < 0 or name not in flow.expressions[index].parameters():
            continue
        expression, damped = flow.expressions[index], _is_damped(step.instruction)
        if (index, False) not in known:
            known[index, False] = _Derivatives.of(expression, name, orders)
        if damped and (index, True) not in known:
            root = ex.Call("sqrt", ex.add(ex.ONE, ex.negate(expression)))
            known[index, True] = _Derivatives.of(root, name, orders)
        complete = complete and known[index, damped].complete
        magnitudes = known[index, False].magnitudes(graph, parameters, store)
        if damped:
            of_root = known[index, True].magnitudes(graph, parameters, store)
            pairs = zip_longest(magnitudes[: len(of_root)], of_root, fillvalue=0.0)
            magnitudes = [(p + max(p, s)) / 2 for p, s in pairs]
        if isinstance(step.instruction, fl.Apply):
            _raise(gates, flow.gates[step.instruction.gate].frequency, magnitudes)
        else:
            _raise(flips, 2.0, magnitudes)
        if math.isinf(sum(magnitudes)):
            problem = (
                f"a derivative of `{flow.expressions[index]}` by `{name}` is not bounded over the values "
                "that its counters may have"
                if not damped
                else f"a derivative of `damp({expression})` by `{name}` is not bounded: as far as is known, "
                "its probability may be 1"
            )
    if not complete:  # of some expression no more orders are known
        del gates[orders:], flips[orders:]
    return tuple(gates), tuple(flips), complete, problem


def _is_damped(instruction: fl.Instruction) -> bool:
    return isinstance(instruction, fl.ChannelBits) and not instruction.record.mixture


def _raise(largest: list[float], scale: float, magnitudes: list[float]) -> None:
    """Let `largest` be at least scale · magnitudes, entry by entry."""
    largest += [0.0] * (len(magnitudes) - len(largest))
    for i, magnitude in enumerate(magnitudes):
        largest[i] = max(largest[i], scale * magnitude)


@dataclass
class _Derivatives:
    """The derivatives of one expression by the parameter, first order first."""

    expressions: list[Expr]
    complete: bool

    @classmethod
    def of(cls, expression: Expr, name: str, orders: int) -> _Derivatives:
        highest = degree(expression, name)
        complete = highest <= HIGHEST_DEGREE
        expressions = []
        for _ in range(int(highest) if complete else orders):
            expression = expression.diff(name)
            expressions.append(expression)
        return cls(expressions, complete)

    def magnitudes(
        self, graph: AbstractGraph, parameters: Mapping[str, float], store: AbstractStore
    ) -> list[float]:
        known, others = graph.known(store), graph.others(store)
        found = [possible(e, parameters, known, others) for e in self.expressions]
        return [max(abs(x.least), abs(x.most)) * ROUNDING for x in found]


def _uniformly(
    occurrences: OccurrenceBounds, graph: AbstractGraph, parameters: Mapping[str, float], name: str
) -> OccurrenceBounds:
    """The same numbers from a bound that holds for all stores, where there is one."""
    uniform = uniform_bound(graph.flow, parameters)
    most = uniform.occurrences_to_come(name)
    return OccurrenceBounds(
        min(occurrences.expected, most),
        min(occurrences.to_come, most),
        occurrences.reason if math.isinf(most) else uniform.reason,
    )


def _norm(graph: AbstractGraph, observable: Observable) -> tuple[float, str]:
    """The largest ‖O(σ)‖ over the stores in which runs may end; why it is inf."""
    norms = [0.0]
    for store in graph.ends:
        known = graph.known(store)
        growing = [name for name in observable.counters if name not in known]
        if growing:
            return (
                math.inf,
                f"the observable is not bounded: too many values of `{growing[0]}` can be reached",
            )
        try:
            norms.append(observable.norm_bound(known))
        except EvaluationError:
            what = "has no value" if observable.functions else "is too large"
            return math.inf, f"the observable {what} at {known}"
    return max(norms) * ROUNDING, ""


def _unproved(reason: str) -> DerivativeBounds:
    return DerivativeBounds(
        math.inf, OccurrenceBounds(math.inf, math.inf, reason), complete=False, reason=reason
    )
