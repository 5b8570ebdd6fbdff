"""A plan for derivatives: where the parameters stand in a lowered program, and the derivatives of its
expressions.

The plan is the one that runs shots, fusion included, so shots are the same; its expressions are followed by
the derivatives by the parameters asked for. A *site* is where a parameter acts:

    an op        a pass whose gates read it; one effective generator K for each parameter,
                 dU/dθ = -(i/2) K U,   K = Σ_j ∂a_j/∂θ W_j K_j W_j†,   W_j what comes behind gate j in the op
    an event     an instruction that reads numbers while the program runs (a flip, a gate whose angle
                 reads counters) or chooses a Kraus operator: a list of (parameter, derivative)

An observable is Σ_m m(σ) O_m with monomials m of counters. The operators O_m that are no multiples of the
identity are *rows* of `Sites.weights`: each needs a sweep of its own, whatever the counters are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import NamedTuple

import numpy as np

from qdiff.lang.expr import Expr
from qdiff.lang.observable_terms import Counters
from qdiff.sim.expressions import Derivatives
from qdiff.sim.machine import code as c
from qdiff.sim.machine.adjoint_events import Events, events_of
from qdiff.sim.machine.bytecode import compile_expressions
from qdiff.sim.pure.plan import KIND

LEAST_LOGGED = 16
"""Floats that the log needs for a channel besides derivatives: a Kraus operator and its derivative."""


PAIRS, PAIRS_END, GENERATOR = range(3)
"""Columns of `Sites.ops`, and the first two of `Sites.events`."""


class Sites(NamedTuple):
    """Where parameters stand.

    Attributes:
        ops: (ops, 3) first pair, end of pairs (parameter, where its generator begins); where the generator of
            a gate begins whose angle reads counters, -1 for others.
        events: (instructions, 2) first pair, end of pairs (parameter, expression of the derivative).
        pairs: (…, 2).
        weights: (G, K) coefficients of the K products of operators in each O_m.
    """

    ops: c.Ints
    events: c.Ints
    pairs: c.Ints
    weights: c.Floats


@dataclass(frozen=True)
class Row:
    """An operator O_m: of which observable, by number, and its monomial m."""

    observable: int
    monomial: Counters


@dataclass(frozen=True, eq=False)
class GradientPlan:
    """A lowered program with the derivatives by some parameters.

    Attributes:
        plan: the lowered program, the derivatives behind its expressions.
        wrt: the parameters.
        sites: see `Sites`. events: see `adjoint_events`.
        slopes: for each expression, (position in wrt, expression) of its derivatives that are not literally
            0.
        generators: how many numbers the table of generators holds.
        transposed: (matrices,) where the transposed matrix of each op has its numbers; permutations stay.
        rows: what the rows of `Sites.weights` belong to.
        logged: how many floats the log needs at most for one instruction.
    """

    plan: c.Lowered
    wrt: tuple[str, ...]
    sites: Sites
    events: Events
    slopes: dict[int, list[tuple[int, int]]]
    generators: int
    transposed: c.Ints
    rows: tuple[Row, ...]
    logged: int


def differentiated(plan: c.Lowered, wrt: Sequence[str]) -> GradientPlan:
    """Return the plan with derivatives by the parameters `wrt`.

    Args:
        plan: its read-out has expectations and no qubits.
    """
    read = sorted(
        {gate.expression for gate in plan.gates if gate.expression >= 0}
        | {int(row[c.A]) for row in plan.code.instructions if row[c.OP] in (c.TOSS, c.CHANNEL)}
    )
    found = Derivatives.of([plan.expressions[e] for e in read], wrt)
    expressions: list[Expr] = list(plan.expressions)
    known: dict[Expr, int] = {}
    slopes: dict[int, list[tuple[int, int]]] = {e: [] for e in read}
    for (e, p), derivative in zip(found.pairs, found.first, strict=True):
        if derivative not in known:
            known[derivative] = len(expressions)
            expressions.append(derivative)
        slopes[read[e]].append((p, known[derivative]))
    extended = _extended(plan, expressions)
    pairs: list[tuple[int, int]] = []
    ops, generators = _op_sites(extended, slopes, pairs)
    events = _event_sites(extended, slopes, pairs)
    rows, weights = _rows(extended)
    sites = Sites(ops, events, _table(pairs, 2), weights)
    matrices = extended.code.ops[extended.code.ops[:, c.LIVE] >= 0, c.NUMBERS]
    logged = 4 * int(matrices.max(initial=0)) + len(wrt) + LEAST_LOGGED
    transposed = _transposed(extended)
    return GradientPlan(
        extended, tuple(wrt), sites, events_of(extended), slopes, generators, transposed, rows, logged
    )


def _extended(plan: c.Lowered, expressions: Sequence[Expr]) -> c.Lowered:
    compiled = compile_expressions(expressions, plan.program.parameters, plan.counters)
    code = plan.code._replace(
        starts=compiled.starts,
        rows=compiled.rows,
        floats=compiled.floats,
        modes=compiled.modes,
        whole=compiled.whole,
        hazards=compiled.hazards,
    )
    return replace(plan, code=code, expressions=tuple(expressions), longest=compiled.longest)


def _op_sites(
    plan: c.Lowered, slopes: dict[int, list[tuple[int, int]]], pairs: list[tuple[int, int]]
) -> tuple[c.Ints, int]:
    rows, place = [], 0
    for op, row in enumerate(plan.code.ops.tolist()):
        of_op = sorted({p for g in plan.gates_of(op) for p, _ in slopes.get(plan.gates[g].expression, ())})
        start, live = len(pairs), -1
        if row[c.LIVE] >= 0 and of_op:
            live = place
            place += row[c.NUMBERS]
            of_op = []
        for p in of_op:
            pairs.append((p, place))
            place += row[c.NUMBERS]
        rows.append((start, len(pairs), live))
    return _table(rows, 3), place


def _event_sites(
    plan: c.Lowered, slopes: dict[int, list[tuple[int, int]]], pairs: list[tuple[int, int]]
) -> c.Ints:
    rows = []
    for row in plan.code.instructions.tolist():
        start = len(pairs)
        match row[c.OP]:
            case c.TOSS | c.CHANNEL:
                pairs += slopes[row[c.A]]
            case c.LIVE_GATE:
                pairs += slopes[plan.gates[plan.code.ops[row[c.A], c.LIVE]].expression]
        rows.append((start, len(pairs)))
    return _table(rows, 2)


def _transposed(plan: c.Lowered) -> c.Ints:
    index = np.arange(plan.matrices)
    for row in plan.code.ops.tolist():
        if row[KIND] != c.MONOMIAL:
            start, size = row[c.MATRIX], isqrt(row[c.NUMBERS])
            block = index[start : start + size * size]
            block[:] = block.reshape(size, size).T.ravel().copy()
    return index


def _rows(plan: c.Lowered) -> tuple[tuple[Row, ...], c.Floats]:
    """The operators O_m of all observables that are no multiples of the identity."""
    column = {operators: i for i, operators in enumerate(plan.operators)}
    found: dict[Row, c.Floats] = {}
    for o, observable in enumerate(plan.readout.expectations):
        for term in observable.terms:
            if term.operators:
                row = found.setdefault(Row(o, term.counters), np.zeros(len(column)))
                row[column[term.operators]] += complex(term.coefficient).real
    return tuple(found), np.array(list(found.values())).reshape(len(found), len(column))


def _table(rows: Sequence[tuple[int, ...]], columns: int) -> c.Ints:
    return np.array(rows, dtype=np.int64).reshape(len(rows), columns)
