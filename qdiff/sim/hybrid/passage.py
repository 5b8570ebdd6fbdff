"""One step of all vertices at once, in doubles or in extended precision: T and T† themselves.

    T(R)_w = Σ_{v → w} Λ 𝓔_leaf(R_v),        T†(A)_v = Σ_{v → w} 𝓔_leaf†(Λᵀ A_w).

The solver computes solutions of R = R_start + T(R), whichever way is cheapest; this goes literally through
the operations of every trace, to see how far they are from being solutions, and how rounding limits that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.exact import Floats
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.graph import Graph, Trace
from qdiff.sim.hybrid.schedule import Stage
from qdiff.sim.hybrid.traces import Maps
from qdiff.sim.hybrid.traps import Leaving

Stack = NDArray[Any]  # complex128 or clongdouble

CHUNK = 1 << 20  # matrix entries handled at a time


@dataclass(frozen=True)
class Passage:
    """One graph with the numbers of one set of parameters.

    Attributes:
        maps: of one precision.
        assignments: the matrices Λ.
    """

    graph: Graph
    maps: Maps
    dimension: int
    assignments: Sequence[Floats]

    @property
    def count(self) -> int:
        """Number of moments."""
        return len(self.graph.counted.basis)

    def arriving(self, states: Stack) -> Stack:
        """Return T(R) for states (vertices, C, D, D)."""
        result = np.zeros_like(states)
        for trace, places, vertices in self.groups(states.shape[1]):
            ops = self.graph.traces[trace].ops
            for leaf, (part, assignment) in enumerate(
                zip(
                    self.maps.forward(ops, self.side_by_side(states, vertices)),
                    self.graph.traces[trace].assignments,
                    strict=True,
                )
            ):
                targets = self.graph.targets_by_leaf[trace][leaf][places]
                moved = part.reshape(len(vertices), -1, self.dimension, self.dimension)
                np.add.at(
                    result, targets, self.mixed(moved, self.assignments[assignment]) if assignment else moved
                )
        return result

    def pulled(self, observables: Stack) -> Stack:
        """Return T†(A) for observables (vertices, C, D, D); 0 at vertices that were not followed."""
        result = np.zeros_like(observables)
        for trace, places, vertices in self.groups(observables.shape[1]):
            leaves = self.leaves(trace, places, observables)
            found = self.maps.backward(self.graph.traces[trace].ops, leaves)
            if found is not None:
                result[vertices] = found.reshape(len(vertices), -1, self.dimension, self.dimension)
        return result

    def groups(self, columns: int) -> Iterator[tuple[int, slice, list[int]]]:
        """Yield traces with as many of their members as are handled at a time, and their places."""
        for trace, members in self.graph.members.items():
            size = self.dimension**2 * columns * len(self.graph.traces[trace].ops)
            step = max(1, CHUNK // max(1, size))
            for first in range(0, len(members), step):
                yield trace, slice(first, first + step), members[first : first + step]

    def leaves(self, trace: int, places: slice, observables: Stack) -> list[Stack]:
        """Observables at the leaves, moments as they are at the start: (1, members·C, D, D)."""
        result: list[Stack] = []
        for leaf, assignment in enumerate(self.graph.traces[trace].assignments):
            found = observables[self.graph.targets_by_leaf[trace][leaf][places]]
            if assignment:
                found = self.mixed(found, self.assignments[assignment].T)
            result.append(found.reshape(1, -1, self.dimension, self.dimension))
        return result

    def side_by_side(self, states: Stack, vertices: list[int]) -> Stack:
        """Several vertices as columns, (1, vertices·C, D, D)."""
        return np.asarray(states[vertices].reshape(1, -1, self.dimension, self.dimension))

    def mixed(self, x: Stack, matrix: Floats) -> Stack:
        """A matrix on the moments of (…, C, D, D)."""
        split = x.reshape(len(x), -1, self.count, self.dimension**2)
        return np.asarray(matrix.astype(x.real.dtype) @ split).reshape(x.shape)


def longest(trace: Trace, weight: Callable[[int, int], Any]) -> Any:
    """The largest sum of weights of operations (code, arg) on one way through a trace."""
    so_far: dict[int, Any] = {0: 0.0}
    most: Any = 0.0
    for code, src, dst, arg in trace.ops:
        total = so_far[src] + weight(code, arg)
        so_far[dst if code in traces.BRANCHES else src] = total
        most = max(most, total)
    return most


def kept(x: Stack, traps: Mapping[Stage, Leaving]) -> Stack:
    """States or observables (vertices, C, D, D) with traps projected out at the heads of loops, in place."""
    for stage, leaving in traps.items():
        for head, projector in zip(stage.heads, leaving.projectors[0], strict=True):
            x[head] = projector @ x[head] @ projector
    return x


def hermitian(x: Stack) -> Stack:
    """(X + X†)/2."""
    return np.asarray((x + x.conj().swapaxes(-1, -2)) / 2)


def coordinates(x: Stack) -> Floats:
    """Hermitian matrices (…, D, D) as doubles in Hermitian coordinates, (…, D²)."""
    return np.asarray((x.real + x.imag).astype(float)).reshape(*x.shape[:-2], -1)


def trace_norms(x: Stack) -> Floats:
    """Upper bounds of the trace norms of Hermitian (…, D, D), (…)."""
    return _norms(x, lambda values: np.abs(values).sum(axis=-1), np.sqrt(x.shape[-1]))


def operator_norms(x: Stack) -> Floats:
    """Upper bounds of the operator norms of Hermitian (…, D, D), (…)."""
    return _norms(x, lambda values: np.abs(values).max(axis=-1), 1.0)


EXACT_NORM_UP_TO = 64  # dimension, beyond it norms come from the Frobenius norm
OUTWARDS = 1 + 1e-9


def _norms(x: Stack, of_eigenvalues: Callable[[Floats], Floats], factor: float) -> Floats:
    if x.shape[-1] > EXACT_NORM_UP_TO:
        with np.errstate(over="ignore"):  # inf is a bound, too
            frobenius = np.sqrt((np.abs(x).astype(float) ** 2).sum(axis=(-1, -2)))
        return np.asarray(frobenius * factor * OUTWARDS)
    # Scaled, as squares of what is left over by extended precision are very small.
    scale = np.abs(x).max(axis=(-1, -2)).astype(float)
    safe = np.where(scale > 0, scale, 1.0)
    found = of_eigenvalues(np.linalg.eigvalsh((x / safe[..., None, None]).astype(complex)))
    return np.asarray(found * scale * OUTWARDS)
