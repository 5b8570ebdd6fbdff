"""A chain of vertices at once: prefix sums of powers of one matrix, by doubling.

y_k = b_k + y_{k-1} A has the solution Σ_j b_{k-j} Aʲ; with the sums over j < s known, those over j < 2s
are y_k + y_{k-s} Aˢ. Source: Hillis and Steele, "Data parallel algorithms" (1986).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qdiff.sim.hybrid.coordinates import Reals
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.schedule import Segment
from qdiff.sim.hybrid.steps import MatrixSteps
from qdiff.sim.hybrid.sweeps import Sweeps


def chain_forward(sweeps: Sweeps, steps: MatrixSteps, chain: Segment, states: Field) -> None:
    """All states of a chain at once: y_k = Σ_j b_{k-j} Aʲ"""
    if not any(v in states for v in chain.vertices):
        return
    vertices = chain.vertices
    trace = sweeps.graph.trace[vertices[0]]
    moments = sweeps.graph.traces[trace].moments
    parts = steps.by_leaf(trace)
    y = states.array[list(vertices)]
    _scan(sweeps, y, parts[chain.leaf], moments[chain.leaf], adjoint=False)
    states.array[list(vertices)] = y
    states.mark(list(vertices))
    for leaf, (matrix, moment) in enumerate(zip(parts, moments, strict=True)):
        last = leaf == chain.leaf
        leaving = _times(y[-1:] if last else y, matrix)
        if moment:
            leaving = sweeps.moved(leaving, moment, None)
        targets = [sweeps.graph.targets[v][leaf] for v in (vertices[-1:] if last else vertices)]
        np.add.at(states.array, targets, leaving)
        states.mark(targets)


def chain_backward(
    sweeps: Sweeps, steps: MatrixSteps, chain: Segment, observables: Field, sources: Mapping[int, Reals]
) -> None:
    """All observables of a chain at once: a_k = Σ_j Aʲ b_{k+j}."""
    vertices = list(chain.vertices)
    trace = sweeps.graph.trace[vertices[0]]
    moments = sweeps.graph.traces[trace].moments
    parts = steps.by_leaf(trace)
    a = np.zeros((len(vertices), *observables.array.shape[1:]))
    for leaf, (matrix, moment) in enumerate(zip(parts, moments, strict=True)):
        last = leaf == chain.leaf
        targets = [sweeps.graph.targets[v][leaf] for v in (vertices[-1:] if last else vertices)]
        found = observables.array[targets]
        if moment:
            found = sweeps.moved(found, moment, None, adjoint=True)
        a[-1 if last else 0 :] += _times(found, matrix.swapaxes(-1, -2))
    for i, v in enumerate(vertices if sources else ()):
        if v in sources:
            a[i] += sources[v]
    _scan(sweeps, a[::-1], parts[chain.leaf], moments[chain.leaf], adjoint=True)
    observables.array[vertices] = a
    observables.mark(vertices)


def _scan(sweeps: Sweeps, y: Reals, matrix: Reals, moment: int, *, adjoint: bool) -> None:
    """y_k ← Σ_j y_{k-j} Aʲ in place, A the step from one vertex of a chain to the next."""
    step = matrix.swapaxes(-1, -2) if adjoint else matrix
    power = sweeps.graph.moments[moment]
    stride = 1
    while stride < len(y):
        moved = _times(y[:-stride], step)
        if moment:
            moved = sweeps.mixed(moved, power.T if adjoint else power)
        y[stride:] += moved
        stride *= 2
        if stride < len(y):
            step = step @ step
            power = power @ power


def _times(y: Reals, matrix: Reals) -> Reals:
    """(vertices, P, C, D²) times (P or 1, D², D²); one product where all vertices share the matrix."""
    if len(matrix) == 1:
        return np.asarray(y.reshape(-1, y.shape[-1]) @ matrix[0]).reshape(y.shape)
    return np.asarray(y @ matrix)
