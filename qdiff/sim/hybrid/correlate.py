"""Sums over all visits: what gradients and the analysis need from a solved graph.

One goes through each trace once forwards with the states and once backwards with the observables of all
vertices that have it; on few qubits through all traces of one shape at once (`by_shape`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.hybrid import by_shape, traces
from qdiff.sim.hybrid.coordinates import Reals, decode
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.runs import Runs
from qdiff.sim.hybrid.solver import Solver
from qdiff.sim.hybrid.stacks import product_sum, side_by_side, split
from qdiff.sim.hybrid.superoperators import MatrixSteps
from qdiff.sim.hybrid.traces import Maps, Stack

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
            elif code == traces.CHANNEL:
                tosses[graph.channels[arg].toss] += mass
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
        products: for every run that contains a rotated gate, Σ R A just before it, (P, k, D, D),
            None where it is 0; or of all runs, (P, runs, k, D, D).
        by_toss: for every toss, tr(A_true R - A_false R), of a channel tr(A d𝓔/dp(R)), (P, k, T).
    """

    products: list[Stack | None] | Stack
    by_toss: Floats


def correlate(solver: Solver, maps: Maps, states: Field, observables: Field, columns: int) -> Correlations:
    """Return the correlations of states (P, n, D²) with observables (P, columns·n, D²)."""
    if isinstance(solver.steps, MatrixSteps):
        return Correlations(*by_shape.correlations(solver.steps, states, observables, columns))
    graph = solver.graph
    products: list[Stack | None] = [None] * len(graph.runs.pieces)
    by_toss = np.zeros((solver.rows, columns, len(graph.tosses)))
    for part in parts(solver, states, observables, columns):
        wanted = dependent(graph, part.ops)
        if not wanted:
            continue
        kept = kept_states(maps, part, wanted)

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
            elif code == traces.CHANNEL:
                change = maps.noise.forward(arg, kept[i], 1)
                by_toss[:, :, graph.channels[arg].toss] += overlap(split(after, columns), change)
            else:
                found = overlap(split(after, columns), kept[i])
                by_toss[:, :, arg] += found if code == traces.TOSS else -found

        maps.backward(part.ops, part.leaves, backwards, first=wanted[0])
    return Correlations(products, by_toss)


@dataclass(frozen=True)
class Part:
    """One trace with what is at its start and at its leaves.

    Attributes:
        trace: its number.
        states: (P, J, D, D).
        leaves: (P, k·J, D, D).
    """

    trace: int
    ops: Sequence[traces.Op]
    states: Stack
    leaves: list[Stack]


def parts(solver: Solver, states: Field, observables: Field, columns: int) -> Iterator[Part]:
    """Yield every trace with the states and observables of the vertices that have it."""
    graph, d, n = solver.graph, solver.dimension, solver.moments
    for trace, vertices in graph.members.items():
        ops = graph.traces[trace].ops
        reached = [i for i, v in enumerate(vertices) if v in states]
        step = max(1, CHUNK // (d * d * len(ops) * n * (1 + columns)))
        for first in range(0, len(reached), step):
            some = reached[first : first + step]
            stack = side_by_side(states, [vertices[i] for i in some])
            yield Part(
                trace,
                ops,
                decode(stack, d),
                [decode(leaf, d) for leaf in leaf_stacks(solver, trace, observables, columns, some)],
            )


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
    for assignment, targets in zip(
        graph.traces[trace].assignments, graph.targets_by_leaf[trace], strict=True
    ):
        places = targets if some is None else [targets[i] for i in some]
        found = observables.array[places].reshape(len(places), solver.rows, columns, n, size)
        stack = np.moveaxis(found, 0, 2)  # (P, columns, members, n, D²)
        if assignment:
            stack = graph.assignments[assignment].T @ stack
        result.append(stack.reshape(solver.rows, -1, size))
    return result


def dependent(graph: Graph, ops: Sequence[traces.Op]) -> list[int]:
    """The places of the operations that a derivative depends on: tosses, channels, runs with a rotation."""
    return [
        i
        for i, (code, _, _, arg) in enumerate(ops)
        if code in traces.TOSSED or (code == traces.UNITARY and graph.runs.varying[arg])
    ]


def kept_states(maps: Maps, part: Part, wanted: Sequence[int]) -> dict[int, Stack]:
    """The states before some operations, by their place in the trace."""
    kept: dict[int, Stack] = {}

    def forwards(i: int, x: Stack) -> None:
        if i in wanted:
            kept[i] = x

    maps.forward(part.ops, part.states, forwards, last=wanted[-1])
    return kept


def overlap(a: Stack, x: Stack) -> Floats:
    """Σ_j tr(A_j X_j) for Hermitian (..., k, J, D, D) and (..., J, D, D): (..., k)."""
    flat = x.reshape(*x.shape[:-3], 1, -1)
    return np.asarray((a.reshape(*a.shape[:-3], -1).conj() * flat).sum(axis=-1).real)
