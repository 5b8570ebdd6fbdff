"""How large a program is to each exact engine, read off its tree: no parameter, no run, no clock.

One branch that enters a block is followed: measurements, resets, flips and channels split it, gates are work
for every branch there is, a comparison goes one way (the larger one is counted). With o outcomes,
o_t of them true, and b branches out of the body, a loop bounded by T lets Σ_{k<T} (o - o_t)(o_t b)^k
branches out. What an unbounded loop does is not known: what measures in it makes the number of
branches inf, and its gates are counted as if it made `UNKNOWN_PASSES`. Stores are counted by `reachable`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import assert_never

from qdiff.lang import tree as t
from qdiff.lang.channels import channel_record
from qdiff.lang.gates import is_gate
from qdiff.lang.observable import Observable
from qdiff.lang.walk import conditions, statements
from qdiff.sim.flow import lower
from qdiff.sim.randomness import what_is_inseparable, what_is_random
from qdiff.sim.reachable import reachable

UNKNOWN_PASSES = 32
LARGEST_REGISTER = 16  # one density operator on more qubits takes a TiB, whatever the stores are


@dataclass(frozen=True)
class Census:
    """What happens to one branch that enters.

    Attributes:
        branches: how many leave for it; inf where that is not known.
        gates: executed on the longest single branch.
        work: gates executed over all branches.
        nodes: states at the places where branches split, over all branches.
        points: places where runs with different outcomes meet, passes of bounded loops apart.
        unbounded: whether there is an unbounded loop that measures, resets or flips.
    """

    branches: float = 1.0
    gates: float = 0.0
    work: float = 0.0
    nodes: float = 0.0
    points: float = 0.0
    unbounded: bool = False

    def then(self, after: Census) -> Census:
        """One after the other."""
        return Census(
            branches=_times(self.branches, after.branches),
            gates=self.gates + after.gates,
            work=self.work + _times(self.branches, after.work),
            nodes=self.nodes + _times(self.branches, after.nodes),
            points=self.points + after.points,
            unbounded=self.unbounded or after.unbounded,
        )


@dataclass(frozen=True)
class Size:
    """A program's size.

    Attributes:
        qubits: how many it has.
        whole: the census of its body.
        points: meeting points, the start and the end among them.
        vertices: meeting points with the values that its counters can take together there, at most.
        random: what splits a branch first, "" where nothing does.
        inseparable: what is no mixture of gates and resets, "" where nothing is.
    """

    qubits: int
    whole: Census
    points: float
    vertices: float
    random: str
    inseparable: str


def size_of(program: t.Program, observables: Collection[Observable] | None = None) -> Size:
    """Return the size of a program.

    Args:
        observables: what is asked for; all final stores if it is left out.
    """
    whole = _block(program.body, _inside(program.body))
    random = what_is_random(program)
    points = 2 + whole.points
    vertices = points  # with nothing random there is one store at each
    if random and len(program.qubits) <= LARGEST_REGISTER:
        stores = max(1.0, whole.branches)  # at a point: each belongs to a branch at least
        vertices = min(reachable(lower(program), observables), points * stores)
    return Size(
        qubits=len(program.qubits),
        whole=whole,
        points=points,
        vertices=vertices,
        random=random,
        inseparable=what_is_inseparable(program),
    )


# --- Branches -------------------------------------------------------------------------------------


def _inside(body: t.Block) -> dict[int, Census]:
    """The census of every statement, by identity: those inside come before those that hold them."""
    found: dict[int, Census] = {}
    for statement in reversed(list(statements(body))):
        found[id(statement)] = _statement(statement, found)
    return found


def _block(block: t.Block, found: dict[int, Census]) -> Census:
    total = Census()
    for statement in block:
        total = total.then(found[id(statement)])
    return total


def _statement(statement: t.Statement, found: dict[int, Census]) -> Census:
    match statement:
        case t.Skip() | t.Assign():
            return Census()
        case t.Abort():
            return Census(branches=0.0)
        case t.Gate(name=name, targets=targets):
            # A declared gate is a matrix with 2ⁿ entries a row; others become gates on few qubits.
            cost = 1.0 if is_gate(name) else 2.0 ** (len(targets) - 1)
            return Census(gates=cost, work=cost)
        case t.Channel(name=name):
            # A mixture that moves population resets, too: two outcomes more, and a coin.
            branches = 5.0 if channel_record(name).moves() else 2.0
            return Census(branches=branches, gates=1.0, work=branches - 1, nodes=2 * (branches - 1))
        case t.Reset():
            return Census(branches=2.0, nodes=2.0, points=1.0)
        case t.Measure(qubits=qubits):
            outcomes = _power(2.0, len(qubits))
            return Census(branches=outcomes, nodes=outcomes, points=1.0)
        case t.Case(qubits=qubits, arms=arms, otherwise=otherwise):
            rest = _power(2.0, len(qubits)) - len(arms)
            ways = [(1.0, _block(body, found)) for _, body in arms]
            return _forked([*ways, (rest, _block(otherwise, found))])
        case t.If(condition=condition, then=then, otherwise=otherwise):
            first, second = _block(then, found), _block(otherwise, found)
            yes, no = _outcomes(condition)
            return _forked([(yes, first), (no, second)]) if yes + no > 1 else _larger(first, second)
        case t.While(condition=condition, body=body, bound=bound):
            return _loop(_outcomes(condition), _block(body, found), bound)
        case _:
            assert_never(statement)


def _forked(ways: list[tuple[float, Census]]) -> Census:
    """Every way is taken by so many of the outcomes."""
    return Census(
        branches=sum(_times(share, way.branches) for share, way in ways),
        gates=max(way.gates for _, way in ways),
        work=sum(_times(share, way.work) for share, way in ways),
        nodes=sum(_times(share, 1 + way.nodes) for share, way in ways),
        points=1 + sum(way.points for _, way in ways),
        unbounded=any(way.unbounded for _, way in ways),
    )


def _larger(first: Census, second: Census) -> Census:
    """One of two ways, decided by a comparison."""
    return Census(
        branches=max(first.branches, second.branches),
        gates=max(first.gates, second.gates),
        work=max(first.work, second.work),
        nodes=max(first.nodes, second.nodes),
        points=first.points + second.points,
        unbounded=first.unbounded or second.unbounded,
    )


def _loop(outcomes: tuple[float, float], body: Census, bound: int | None) -> Census:
    yes, no = outcomes
    random = yes + no > 1
    growth = _times(yes if random else 1.0, body.branches)
    if bound is None:
        repeated = _passes(body, UNKNOWN_PASSES, 1.0)
        if not random and growth == 1:
            return replace(repeated, points=body.points)
        return replace(
            repeated, branches=math.inf, work=math.inf, nodes=math.inf, points=1 + body.points, unbounded=True
        )
    # Branches inside at the k-th evaluation of the guard: growth^k.
    inside = _geometric(growth, bound)
    leaving = _times(no, inside) if random else max(1.0, _power(growth, bound - 1))
    return Census(
        branches=leaving,
        gates=bound * body.gates,
        work=_times(_times(inside, yes if random else 1.0), body.work),
        nodes=_times(inside, (yes + no if random else 0.0) + body.nodes),
        points=bound * (body.points + (1 if random else 0)),
        unbounded=body.unbounded,
    )


def _passes(body: Census, passes: int, branches: float) -> Census:
    return replace(
        body, branches=branches, gates=passes * body.gates, work=passes * body.work, nodes=passes * body.nodes
    )


def _outcomes(condition: t.Condition) -> tuple[float, float]:
    """How many outcomes make a condition true and false; a mere comparison has one together."""
    total, random = 1.0, False
    for part in conditions(condition):
        match part:
            case t.Measured(qubits=qubits):
                total, random = _times(total, _power(2.0, len(qubits))), True
            case t.Flip():
                total, random = total * 2, True
            case t.Compare() | t.Not() | t.And() | t.Or():
                pass
            case _:
                assert_never(part)
    match condition:
        case t.Measured() | t.Flip():
            return 1.0, total - 1
        case t.Not(operand=t.Measured() | t.Flip()):
            return total - 1, 1.0
        case _:
            # Short circuits stop early, so half of all outcomes each way is rarely exceeded.
            return (total / 2, total / 2) if random else (1.0, 0.0)


def _geometric(ratio: float, terms: int) -> float:
    if ratio == 1:
        return float(terms)
    if ratio == 0:
        return 1.0
    power = _power(ratio, terms)
    return (power - 1) / (ratio - 1) if math.isfinite(power) else math.inf


def _power(base: float, exponent: int) -> float:
    try:
        return base**exponent
    except OverflowError:
        return math.inf


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b  # 0 · inf: no branch does the work
