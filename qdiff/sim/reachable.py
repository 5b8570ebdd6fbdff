"""How many stores can come to each meeting point, as far as a program shows without values of parameters.

    V = Σ_p Π_{c live at p} (values of c at p)

over the meeting points p, each pass of a bounded loop on its own. Where the values of a counter become many
(see `counter_values`) a guess is counted. Counters hang together in no other way here, so V is an upper bound
but for the guesses.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from qdiff.lang import tree as t
from qdiff.lang.expr import Counter
from qdiff.lang.observable import Observable
from qdiff.lang.walk import blocks_of
from qdiff.sim.control import assignments, closure, read_by_control
from qdiff.sim.counter_values import values_at_points
from qdiff.sim.flow import Decide, Flow
from qdiff.sim.liveness import live_counters

UNKNOWN_VALUES = 64  # of a counter that grows


def reachable(flow: Flow, observables: Collection[Observable] | None) -> float:
    """Return how many stores come to the meeting points, of all of them together.

    Args:
        observables: what is asked for, so that counters that nothing else reads are only counted; None
            where it is all final stores.
    """
    everything = frozenset(range(len(flow.counters)))
    asked, explicit, moments = frozenset(range(flow.own)), everything, 1
    if observables is not None:
        asked = frozenset(flow.index[name] for each in observables for name in each.counters)
        read = {flow.index[name] for each in observables for name in each.read}
        hidden = everything.difference(range(flow.own))
        explicit = hidden | closure(flow, read_by_control(flow) | read, assignments(flow))
        moments = _moments(observables, {flow.counters[i] for i in asked - explicit})
    live = live_counters(flow, asked & explicit, everything - explicit)
    bounds = _bounds(flow)
    at_points = values_at_points(flow)
    guesses = _guesses(flow.program)
    vertices = 0.0
    for point in flow.meeting:
        known = at_points.get(point)
        if known is None:
            continue  # no run comes here
        stores = passes = 1.0
        for counter in live[point]:
            if counter >= flow.own:
                passes *= bounds[counter]
                continue
            values, guessed = known[counter], guesses.get(flow.counters[counter], 1.0)
            stores *= guessed if values is None else min(len(values), guessed)
        vertices += stores * passes * moments
    return vertices


def _moments(observables: Collection[Observable], counted: Collection[str]) -> int:
    """How many products of powers of counted counters are followed: what is asked for, and its divisors."""
    monomials = {
        tuple([(name, power) for name, power in term.counters if name in counted])
        for observable in observables
        for term in observable.terms
    }
    return 1 + sum(math.prod(power + 1 for _, power in monomial) - 1 for monomial in monomials)


def _bounds(flow: Flow) -> dict[int, float]:
    """Hidden counter → the bound of its loop."""
    found: dict[int, float] = {}
    for instruction in flow.instructions:
        if isinstance(instruction, Decide) and isinstance(instruction.condition.left, Counter):
            counter = flow.index[instruction.condition.left.name]
            if counter >= flow.own:
                found[counter] = float(instruction.condition.right.evaluate())
    return found


def _guesses(program: t.Program) -> dict[str, float]:
    """Counter → how many values it can take, at most as far as its assignments show."""
    values: dict[str, float] = {}
    pending = [(program.body, False)]
    while pending:
        block, inside_loop = pending.pop()
        for statement in block:
            match statement:
                case t.Measure(counter=counter, qubits=qubits):
                    values[counter] = max(values.get(counter, 1.0), 2.0 ** len(qubits))
                case t.Assign(counter=counter) if inside_loop:
                    values[counter] = float(UNKNOWN_VALUES)
                case t.Assign(counter=counter):
                    values[counter] = min(values.get(counter, 1.0) + 1, UNKNOWN_VALUES)
                case _:
                    looping = inside_loop or isinstance(statement, t.While)
                    pending.extend((inner, looping) for inner in blocks_of(statement))
    return values
