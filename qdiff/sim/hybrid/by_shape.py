"""Sums over all visits, for all traces of one shape at once, on few qubits.

What `correlate` and `perturbed` do trace after trace with matrices (P, C, D, D), in Hermitian
coordinates (P, lanes, J, D²), J the vertices of a lane with all their moments.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qdiff.sim.exact import Floats
from qdiff.sim.hybrid.channels import MAJORANT
from qdiff.sim.hybrid.coordinates import Reals, decode
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.perturbed import Injections, Steepest
from qdiff.sim.hybrid.shapes import Ints, Lanes, Places, Shape
from qdiff.sim.hybrid.stacks import added, product_sum, side_by_side, split
from qdiff.sim.hybrid.superoperators import TOGETHER, MatrixSteps, conjugation
from qdiff.sim.hybrid.traces import (
    BRANCHES,
    CHANNEL,
    END,
    LEAF,
    MARK,
    TOSS,
    TOSS_NOT,
    TOSSED,
    UNITARY,
    Stack,
)

CHUNK = 1 << 22  # numbers handled at a time


def correlations(steps: MatrixSteps, states: Field, observables: Field, columns: int) -> tuple[Stack, Floats]:
    """Return Σ R A before every run, (P, runs, k, D, D), and tr(A_true R - A_false R), (P, k, T).

    Of a channel the latter is tr(A d𝓔/dp(R)).

    Args:
        states: (P, n, D²). observables: (P, k·n, D²). columns: k.
    """
    graph, d = steps.graph, steps.dimension
    rows, n = states.array.shape[1:3]
    products = np.zeros((rows, len(graph.runs.runs), columns, d, d), dtype=complex)
    by_toss = np.zeros((rows, columns, len(graph.tosses)))
    for shape, lanes in _parts(graph, d, n * (1 + columns)):
        if not shape.wanted:
            continue  # nothing in it depends on a parameter
        kept = _kept(steps, shape, lanes, side_by_side(states, lanes.vertices))
        registers: dict[int, Reals] = {}
        leaves = [
            _at_leaf(graph, assignment, observables, targets, columns, n)
            for assignment, targets in zip(shape.assignments, lanes.targets, strict=True)
        ]
        for i in range(len(shape.ops) - 1, shape.wanted[0] - 1, -1):
            code, src, dst, arg = shape.ops[i]
            numbers = lanes.numbers[i]
            if code == LEAF:
                registers[src] = leaves[arg]
            elif code == END:
                registers.pop(src, None)
            if code in (LEAF, END, MARK):
                continue
            after = registers[dst if code in BRANCHES else src]
            if code in TOSSED:
                x = kept[i] @ steps.noise(1)[:, numbers] if code == CHANNEL else kept[i]
                found = (split(after, columns, axis=-2) * x[:, :, None]).sum(axis=(-2, -1))
                place = _toss_of(graph, code, numbers)
                _add(by_toss.swapaxes(1, 2), place, -found if code == TOSS_NOT else found)
            before = steps.apply_adjoint(code, arg, numbers, after)
            if code == UNITARY and i in kept:
                _add(products, numbers, product_sum(decode(kept[i], d), split(decode(before, d), columns)))
            if code in BRANCHES and src in registers:
                before = before + registers[src]
            registers[src] = before
    return products, by_toss


def injections(steps: MatrixSteps, states: Field, slopes: Steepest) -> Injections:
    """Collect what the derivatives inside all traces add to the visit states (P, n, D²); see `perturbed`."""
    graph, d = steps.graph, steps.dimension
    rows, n, size = states.array.shape[1:]
    runs = np.zeros((rows, len(graph.runs.runs)))
    tosses = np.zeros((rows, len(graph.tosses)))
    sources = Field(len(graph.stores), (rows, n, size))
    entering = _entering(steps, slopes.gates) if slopes.gates.any() else None
    for shape, lanes in _parts(graph, d, 2):
        start = states.array[lanes.vertices, :, 0].transpose(2, 0, 1, 3)
        registers: dict[int, tuple[Reals, Reals | None]] = {0: (start, None)}
        for i, (code, src, dst, arg) in enumerate(shape.ops):
            numbers = lanes.numbers[i]
            state, carried = registers[src]
            if code == LEAF and carried is not None:
                found = carried.transpose(1, 2, 0, 3)
                np.add.at(sources.array[:, :, 0], lanes.targets[arg], found)
                sources.mark(lanes.targets[arg][found.any(axis=(2, 3))].tolist())
            if code in (LEAF, MARK, END):
                continue
            place = _toss_of(graph, code, numbers)
            if carried is not None and code in (UNITARY, TOSS, CHANNEL):
                mass = carried[..., :: d + 1].sum(axis=(2, 3))
                _add(runs if code == UNITARY else tosses, place, mass)
            if code == UNITARY and entering is not None:
                carried = added(carried, state @ entering[:, numbers])
            after = None if carried is None else steps.apply(code, arg, numbers, carried)
            if code in TOSSED and (steepest := slopes.tosses[:, place, None, None]).any():
                changing = state @ steps.noise(MAJORANT)[:, numbers] if code == CHANNEL else state
                after = added(after, steepest * changing)
            registers[dst if code in BRANCHES else src] = steps.apply(code, arg, numbers, state), after
    return Injections(sources, runs, tosses)


def _toss_of(graph: Graph, code: int, numbers: Places) -> Places:
    """The tosses of channels; the numbers of any other operation as they are."""
    return graph.channel_tosses[numbers] if code == CHANNEL else numbers


def _entering(steps: MatrixSteps, slopes: Floats) -> Reals:
    """R → Σ slope · ½ (R + B R B) over the rotations of every run, (P, runs, D², D²)."""
    size = steps.dimension**2
    rotations = steps.graph.runs.all_rotations
    result = np.zeros((len(slopes), len(rotations.firsts) - 1, size, size))
    varying = np.flatnonzero(np.diff(rotations.firsts))
    for at in range(0, len(varying), TOGETHER):
        runs = varying[at : at + TOGETHER]
        first, end = rotations.firsts[runs[0]], rotations.firsts[runs[-1] + 1]
        rates = 0.5 * slopes[:, rotations.instances[first:end], None, None]
        parts = rates * (np.eye(size) + conjugation(steps.unitaries.all_carried[:, first:end]))
        result[:, runs] = np.add.reduceat(parts, rotations.firsts[runs] - first, axis=1)
    return result


def _parts(graph: Graph, dimension: int, columns: int) -> Iterator[tuple[Shape, Lanes]]:
    """Every shape with as many of its lanes at a time as fit."""
    size = dimension**2
    for shape in graph.shapes:
        entries = size * (size + shape.lanes.vertices.shape[1] * columns * len(shape.ops))
        for lanes in shape.lanes.split(max(1, CHUNK // entries)):
            yield shape, lanes


def _kept(steps: MatrixSteps, shape: Shape, lanes: Lanes, states: Reals) -> dict[int, Reals]:
    """The states before every operation that a derivative depends on, by its place in the shape."""
    kept: dict[int, Reals] = {}
    registers = {0: states}
    last = shape.wanted[-1]
    for i, (code, src, dst, arg) in enumerate(shape.ops[: last + 1]):
        x = registers[src]
        if i in shape.wanted:
            kept[i] = x
        if i < last and code not in (LEAF, END, MARK):
            registers[dst if code in BRANCHES else src] = steps.apply(code, arg, lanes.numbers[i], x)
    return kept


def _at_leaf(graph: Graph, assignment: int, observables: Field, targets: Ints, k: int, n: int) -> Reals:
    """The observables that a leaf leads to, moments as they are at the start, (P, L, k·m·n, D²)."""
    found = observables.array[targets]  # (L, m, P, k·n, D²)
    count, width, rows = found.shape[:3]
    stack = found.reshape(count, width, rows, k, n, -1).transpose(2, 0, 3, 1, 4, 5)
    if assignment:
        stack = graph.assignments[assignment].T @ stack
    return stack.reshape(rows, count, k * width * n, -1)


def _add(total: Stack | Floats, numbers: Places, found: Stack | Floats) -> None:
    """total[:, numbers] += found, where a number may occur twice."""
    if isinstance(numbers, slice):
        total[:, numbers] += found
    else:
        np.add.at(total.swapaxes(0, 1), numbers, found.swapaxes(0, 1))
