"""A chain of vertices at once: prefix sums of products of matrices.

y_k = b_k + y_{k-1} A_k is a sequence of small products. Where all A_k are the same A, its solution is
Σ_j b_{k-j} Aʲ, found by doubling: with the sums over j < s known, those over j < 2s are y_k + y_{k-s} Aˢ.
Source: Hillis and Steele, "Data parallel algorithms" (1986).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qdiff.sim.hybrid.coordinates import Reals
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.schedule import Chain
from qdiff.sim.hybrid.superoperators import MatrixSteps
from qdiff.sim.hybrid.sweeps import Sweeps


def chain_forward(sweeps: Sweeps, steps: MatrixSteps, chain: Chain, states: Field) -> None:
    """All states of a chain at once: y_k = b_k + y_{k-1} A_{k-1}."""
    if not any(v in states for v in chain.vertices):
        return
    assignments = sweeps.graph.traces[sweeps.graph.trace[chain.vertices[0]]].assignments
    parts = _matrices(steps, chain)
    y = states.array[chain.places]
    _scan(sweeps, y, parts[chain.leaf], assignments[chain.leaf], adjoint=False)
    states.array[chain.places] = y
    states.mark(chain.vertices)
    for leaf, (matrix, assignment, targets) in enumerate(zip(parts, assignments, chain.targets, strict=True)):
        leaving = _times(y[-1:], matrix[-1:]) if leaf == chain.leaf else _times(y, matrix)
        if assignment:
            leaving = sweeps.moved(leaving, assignment, None)
        np.add.at(states.array, targets, leaving)
        states.mark(chain.leaving[leaf])


def chain_backward(
    sweeps: Sweeps, steps: MatrixSteps, chain: Chain, observables: Field, sources: Mapping[int, Reals]
) -> None:
    """All observables of a chain at once: a_k = b_k + A_k a_{k+1}."""
    assignments = sweeps.graph.traces[sweeps.graph.trace[chain.vertices[0]]].assignments
    parts = [part.swapaxes(-1, -2)[::-1] for part in _matrices(steps, chain)]
    a = np.zeros((len(chain.vertices), *observables.array.shape[1:]))  # the last vertex first
    for leaf, (matrix, assignment, targets) in enumerate(zip(parts, assignments, chain.targets, strict=True)):
        found = observables.array[targets[::-1]]
        if assignment:
            found = sweeps.moved(found, assignment, None, adjoint=True)
        if leaf == chain.leaf:
            a[:1] += _times(found, matrix[:1])
        else:
            a += _times(found, matrix)
    for i, v in enumerate(reversed(chain.vertices) if sources else ()):
        if v in sources:
            a[i] += sources[v]
    _scan(sweeps, a, parts[chain.leaf], assignments[chain.leaf], adjoint=True)
    observables.array[chain.places[::-1]] = a
    observables.mark(chain.vertices)


def _matrices(steps: MatrixSteps, chain: Chain) -> list[Reals]:
    """The matrices to every leaf, (vertices, P or 1, D², D²); (1, …) where all vertices share them."""
    shape, slots = steps.graph.chains[chain.vertices[0]]
    return [leaf[:, slots].swapaxes(0, 1) for leaf in steps.leaves(shape)]


def _scan(sweeps: Sweeps, y: Reals, matrices: Reals, assignment: int, *, adjoint: bool) -> None:
    """y_k ← y_k + y_{k-1} A in place, one after the other.

    Args:
        y: (vertices, P, C, D²), in the order of the sums.
        matrices: A of every vertex, the one that the step starts from, or (adjoint) leads to in this order.
    """
    power = sweeps.graph.assignments[assignment]
    if adjoint:
        power = power.T
    if len(matrices) == 1:
        _double(sweeps, y, matrices[0], power if assignment else None)
        return
    for before, after, matrix in zip(y[:-1], y[1:], matrices[1:] if adjoint else matrices[:-1], strict=True):
        moved = before @ matrix
        after += sweeps.mixed(moved, power) if assignment else moved


def _double(sweeps: Sweeps, y: Reals, step: Reals, power: Reals | None) -> None:
    """y_k ← Σ_j y_{k-j} Aʲ in place, A (P or 1, D², D²), `power` what a step does to the moments."""
    stride = 1
    if len(step) == 1:  # all rows and columns in one product
        stride, y, step = y[0].size // y.shape[-1], y.reshape(-1, y.shape[-1]), step[0]
    while stride < len(y):
        moved = y[:-stride] @ step
        y[stride:] += moved if power is None else sweeps.mixed(moved, power)
        stride *= 2
        if stride < len(y):
            step = step @ step
            power = None if power is None else power @ power


def _times(y: Reals, matrix: Reals) -> Reals:
    """(vertices, P, C, D²) times (…, P or 1, D², D²); one product where all share the matrix."""
    if matrix.shape[:2] == (1, 1):
        return np.asarray(y.reshape(-1, y.shape[-1]) @ matrix[0, 0]).reshape(y.shape)
    return np.asarray(y @ matrix)
