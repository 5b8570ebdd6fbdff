"""How many stores can come to each meeting point, as far as a program shows without values of parameters.

    V = Σ_p Π_{c live at p} (values of c at p)

over the meeting points p. Where the values of a counter become many (see `counter_values`) a guess is
counted. Counters hang together in no other way here, so V is an upper bound but for the guesses.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from qdiff.lang.expr import Counter
from qdiff.lang.observable import Observable
from qdiff.sim.control import assignments, closure, read_by_control
from qdiff.sim.counter_values import values_at_points
from qdiff.sim.flow import Decide, Flow
from qdiff.sim.liveness import live_counters


@dataclass(frozen=True)
class Reachable:
    """What comes to the meeting points of a program.

    Attributes:
        vertices: meeting points with their stores, passes of bounded loops apart.
        stores: the most at one of them, whatever passes of loops were counted.
    """

    vertices: float
    stores: float


def reachable(
    flow: Flow, guess: Mapping[str, float], observables: Collection[Observable] | None
) -> Reachable:
    """Return how many stores come to the meeting points.

    Args:
        guess: how many values a counter of the program has where they are not a closed set; 1 if left out.
        observables: what is asked for, so that counters that nothing else reads are only counted; None
            where it is all final stores.
    """
    own = len(flow.program.counters)
    everything = frozenset(range(len(flow.counters)))
    asked, explicit, moments = frozenset(range(own)), everything, 1
    if observables is not None:
        index = {name: i for i, name in enumerate(flow.counters)}
        asked = frozenset(index[name] for each in observables for name in each.counters)
        read = {index[name] for each in observables for name in each.read}
        hidden = everything.difference(range(own))
        explicit = hidden | closure(flow, read_by_control(flow) | read, assignments(flow))
        moments = _moments(observables, {flow.counters[i] for i in asked - explicit})
    live = live_counters(flow, asked & explicit, everything - explicit)
    bounds = _bounds(flow)
    at_points = values_at_points(flow)
    vertices, most = 0.0, 1.0
    for point in flow.meeting:
        known = at_points.get(point)
        if known is None:
            continue  # no run comes here
        stores = passes = 1.0
        for counter in live[point]:
            if counter >= own:
                passes *= bounds[counter]
                continue
            values, guessed = known[counter], guess.get(flow.counters[counter], 1.0)
            stores *= guessed if values is None else min(len(values), guessed)
        vertices += stores * passes * moments
        most = max(most, stores)
    return Reachable(vertices, most)


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
    own = len(flow.program.counters)
    index = {name: i for i, name in enumerate(flow.counters[own:], own)}
    found: dict[int, float] = {}
    for instruction in flow.instructions:
        if isinstance(instruction, Decide) and isinstance(instruction.condition.left, Counter):
            hidden = index.get(instruction.condition.left.name)
            if hidden is not None:
                found[hidden] = float(instruction.condition.right.evaluate())
    return found
