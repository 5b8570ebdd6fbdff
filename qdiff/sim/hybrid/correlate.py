"""Sums over all visits: what gradients and the analysis need from a solved graph.

The state x at an operation of a trace is linear in the states at its start, and so is the observable
in those at its leaves. On few qubits one therefore goes through each trace once with a basis in place
of states, and with Σ_v R_v ⊗ A_v, summed over the vertices that have the trace, in place of observables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.coordinates import Reals, decode
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.steps import MatrixSteps
from qdiff.sim.hybrid.traces import Maps, Stack
from qdiff.sim.hybrid.unitaries import Runs

Floats = NDArray[np.float64]

CHUNK = 1 << 22  # matrix entries handled at a time


# --- Counting -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """Expected executions at one set of parameters.

    Attributes:
        runs, tosses: of every run of gates and of every toss.
        marks: {2l: guard evaluations of loop l, 2l + 1: its passes}.
    """

    runs: Floats
    tosses: Floats
    marks: dict[int, float]

    def gates(self, runs: Runs) -> Floats:
        """Expected executions of every rotated gate instance."""
        result = np.zeros(len(runs.rotated))
        for rotations, executed in zip(runs.rotations, self.runs, strict=True):
            np.add.at(result, rotations, executed)
        return result


def count(graph: Graph, maps: Maps, masses: Mapping[int, Stack]) -> Counts:
    """Go once through all traces with states (1, 1, D, D) at their starts."""
    runs = np.zeros(len(graph.runs.pieces))
    tosses = np.zeros(len(graph.tosses))
    marks: dict[int, float] = {}
    for trace, everywhere in graph.members.items():
        vertices = [v for v in everywhere if v in masses]
        if not vertices:
            continue
        ops = graph.traces[trace].ops

        def forwards(i: int, x: Stack, ops: Sequence[traces.Op] = ops) -> None:
            code, _, _, arg = ops[i]
            mass = float(np.einsum("pbii->", x).real)
            if code == traces.UNITARY:
                runs[arg] += mass
            elif code == traces.TOSS:
                tosses[arg] += mass
            elif code == traces.MARK:
                marks[arg] = marks.get(arg, 0.0) + mass

        step = max(1, CHUNK // (masses[vertices[0]].size * len(ops)))
        for first in range(0, len(vertices), step):
            maps.forward(
                ops, np.concatenate([masses[v] for v in vertices[first : first + step]], axis=1), forwards
            )
    return Counts(runs, tosses, marks)


# --- Correlations -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Correlations:
    """Correlations of states with k observables, summed over all visits.

    Attributes:
        products: for every run that contains a rotated gate, Σ R A just before it, (P, k, D, D);
            None where it is 0.
        by_toss: for every toss, tr(A_true R - A_false R), (P, k, T).
    """

    products: list[Stack | None]
    by_toss: Floats


def correlate(solver: Solver, maps: Maps, states: Field, observables: Field, columns: int) -> Correlations:
    """Return the correlations of states (P, n, D²) with observables (P, columns·n, D²)."""
    graph = solver.graph
    products: list[Stack | None] = [None] * len(graph.runs.pieces)
    by_toss = np.zeros((solver.rows, columns, len(graph.tosses)))
    for part in parts(solver, states, observables, columns):
        kept = kept_states(graph, maps, part)

        def backwards(
            i: int, after: Stack, before: Stack, part: Part = part, kept: dict[int, Stack] = kept
        ) -> None:
            code, _, _, arg = part.ops[i]
            if i not in kept:
                return
            if code == traces.UNITARY:
                product = product_sum(kept[i], split(before, columns))
                earlier = products[arg]
                products[arg] = product if earlier is None else earlier + product
            else:
                found = overlap(split(after, columns), kept[i])
                by_toss[:, :, arg] += found if code == traces.TOSS else -found

        maps.backward(part.ops, part.leaves, backwards)
    return Correlations(products, by_toss)


@dataclass(frozen=True)
class Part:
    """One trace with what is at its start and at its leaves.

    Attributes:
        trace: its number.
        states: (P, J, D, D), or None for the basis, whose states on the way are known.
        leaves: (P, k·J, D, D).
    """

    trace: int
    ops: Sequence[traces.Op]
    states: Stack | None
    kept: dict[int, Stack] | None
    leaves: list[Stack]


def parts(solver: Solver, states: Field, observables: Field, columns: int) -> Iterator[Part]:
    """Yield every trace with the states and observables of the vertices that have it."""
    graph, d, n = solver.graph, solver.dimension, solver.moments
    for trace, vertices in graph.members.items():
        ops = graph.traces[trace].ops
        if isinstance(solver.steps, MatrixSteps):
            if not solver.steps.kept(trace):
                continue  # nothing in it depends on a parameter
            leaves = [
                decode(outer.reshape(solver.rows, -1, d * d), d)
                for outer in outer_sums(solver, trace, states, observables, columns)
            ]
            yield Part(trace, ops, None, solver.steps.kept(trace), leaves)
            continue
        reached = [i for i, v in enumerate(vertices) if v in states]
        step = max(1, CHUNK // (d * d * len(ops) * n * (1 + columns)))
        for first in range(0, len(reached), step):
            some = reached[first : first + step]
            stack = side_by_side(states, [vertices[i] for i in some])
            yield Part(
                trace,
                ops,
                decode(stack, d),
                None,
                [decode(leaf, d) for leaf in leaf_stacks(solver, trace, observables, columns, some)],
            )


def side_by_side(field: Field, vertices: Sequence[int]) -> Reals:
    """Several vertices as columns, (P, vertices·C, D²)."""
    found = field.array[vertices]  # (vertices, P, C, D²)
    return found.swapaxes(0, 1).reshape(found.shape[1], -1, found.shape[3])


def outer_sums(solver: Solver, trace: int, states: Field, observables: Field, columns: int) -> list[Reals]:
    """Σ_v R_v ⊗ A_leaf(v), summed over moments, for every leaf: (P, columns, D², D²)."""
    stack = side_by_side(states, solver.graph.members[trace]).swapaxes(1, 2)  # (P, D², members·n)
    return [
        stack[:, None] @ leaf.reshape(leaf.shape[0], columns, -1, leaf.shape[2])
        for leaf in leaf_stacks(solver, trace, observables, columns)
    ]


def leaf_stacks(
    solver: Solver, trace: int, observables: Field, columns: int, some: Sequence[int] | None = None
) -> list[Reals]:
    """The observables at every leaf, moments as they are at the start: (P, columns·members·n, D²).

    Args:
        some: places among the members of the trace; all of them where it is left out.
    """
    graph, n, size = solver.graph, solver.moments, solver.size
    result: list[Reals] = []
    for moment, targets in zip(graph.traces[trace].moments, graph.targets_by_leaf[trace], strict=True):
        places = targets if some is None else [targets[i] for i in some]
        found = observables.array[places].reshape(len(places), solver.rows, columns, n, size)
        stack = np.moveaxis(found, 0, 2)  # (P, columns, members, n, D²)
        if moment:
            stack = graph.moments[moment].T @ stack
        result.append(stack.reshape(solver.rows, -1, size))
    return result


def kept_states(graph: Graph, maps: Maps, part: Part) -> dict[int, Stack]:
    """The states before every operation that a derivative depends on, by its place in the trace."""
    if part.kept is not None:
        return part.kept
    assert part.states is not None
    kept: dict[int, Stack] = {}

    def forwards(i: int, x: Stack) -> None:
        code, _, _, arg = part.ops[i]
        if code in (traces.TOSS, traces.TOSS_NOT) or (code == traces.UNITARY and graph.runs.varying[arg]):
            kept[i] = x

    maps.forward(part.ops, part.states, forwards)
    return kept


def split(a: Stack, columns: int) -> Stack:
    """(P, k·J, D, D) as (P, k, J, D, D)."""
    return a.reshape(a.shape[0], columns, -1, *a.shape[2:])


def product_sum(x: Stack, a: Stack) -> Stack:
    """Σ_j X_j A_j as one product, for (..., J, D, D) and (..., k, J, D, D): (..., k, D, D)."""
    j, d = x.shape[-3:-1]
    side_by_side = x.swapaxes(-3, -2).reshape(*x.shape[:-3], 1, d, j * d)
    stacked = a.reshape(*a.shape[:-3], j * d, d)
    return np.asarray(side_by_side @ stacked)


def overlap(a: Stack, x: Stack) -> Floats:
    """Σ_j tr(A_j X_j) for Hermitian (..., k, J, D, D) and (..., J, D, D): (..., k)."""
    flat = x.reshape(*x.shape[:-3], 1, -1)
    return np.asarray((a.reshape(*a.shape[:-3], -1).conj() * flat).sum(axis=-1).real)
