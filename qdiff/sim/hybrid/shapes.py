"""Traces of the same shape: the same operations, up to which run of gates, toss or channel each of
them is.

An angle that reads a counter gives every value of the counter a run, and so a trace, of its own. All of
them are computed together, with an axis of *lanes* behind that of the rows: a lane is a trace with the
vertices that have it, or a single vertex where traces have different numbers of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.hybrid.traces import TOSSED, UNITARY, Op

Ints = NDArray[np.int64]
Places = slice | Ints  # a slice where they follow each other
NUMBERED = (UNITARY, *TOSSED)
Key = tuple[tuple[Op, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Lanes:
    """The vertices of a shape, L lanes of m vertices.

    Attributes:
        vertices: (L, m). targets: where each leaf of theirs leads to, (L, m).
        numbers: for every operation its run, toss or channel in each lane, (L,).
    """

    vertices: Ints
    targets: tuple[Ints, ...]
    numbers: tuple[Places, ...]

    def split(self, most: int) -> Iterator[Lanes]:
        """Yield parts of at most so many lanes."""
        count = len(self.vertices)
        if count <= most:
            yield self
            return
        for first in range(0, count, most):
            part = slice(first, first + most)
            numbers = tuple(places(_listed(found)[part]) for found in self.numbers)
            yield Lanes(self.vertices[part], tuple(t[part] for t in self.targets), numbers)


@dataclass(frozen=True, eq=False)
class Shape:
    """Some traces that differ in runs, tosses and channels only.

    Attributes:
        ops, assignments: of the first of them. traces: their numbers.
        numbers: for every operation its run, toss or channel in each trace.
        wanted: operations that a derivative depends on.
    """

    ops: tuple[Op, ...]
    assignments: tuple[int, ...]
    traces: tuple[int, ...]
    numbers: tuple[Places, ...]
    wanted: tuple[int, ...]
    lanes: Lanes


def key(ops: Sequence[Op], assignments: tuple[int, ...]) -> Key:
    """What traces of one shape have in common."""
    return tuple((c, src, dst, 0 if c in NUMBERED else arg) for c, src, dst, arg in ops), assignments


def shapes_of(
    traces: Sequence[tuple[tuple[Op, ...], tuple[int, ...]]],
    members: Mapping[int, Sequence[int]],
    targets: Sequence[Sequence[int]],
    varying: Sequence[bool],
) -> list[Shape]:
    """Return the shapes of some traces, given by operations and assignments.

    Args:
        members: the vertices of each trace that is asked for. targets: of every vertex, by leaf.
        varying: whether a run has an angle.
    """
    found: dict[Key, list[int]] = {}
    for trace in members:
        found.setdefault(key(*traces[trace]), []).append(trace)
    return [_shape(some, traces, members, targets, np.array(varying, dtype=bool)) for some in found.values()]


def _shape(
    some: list[int],
    traces: Sequence[tuple[tuple[Op, ...], tuple[int, ...]]],
    members: Mapping[int, Sequence[int]],
    targets: Sequence[Sequence[int]],
    varying: NDArray[np.bool_],
) -> Shape:
    ops, assignments = traces[some[0]]
    arguments = np.array([[op[3] for op in traces[trace][0]] for trace in some], dtype=np.int64)
    counts = {len(members[trace]) for trace in some}
    if len(counts) == 1:
        vertices = np.array([members[trace] for trace in some], dtype=np.int64)
        slots = np.arange(len(some))
    else:
        vertices = np.array([[v] for trace in some for v in members[trace]], dtype=np.int64)
        slots = np.repeat(np.arange(len(some)), [len(members[trace]) for trace in some])
    leading = np.array([targets[v] for v in vertices.ravel().tolist()], dtype=np.int64)
    lanes = Lanes(
        vertices,
        tuple(leading[:, leaf].reshape(vertices.shape) for leaf in range(len(assignments))),
        tuple(places(column) for column in arguments[slots].T),
    )
    wanted = tuple(
        i
        for i, (code, *_) in enumerate(ops)
        if code in TOSSED or (code == UNITARY and varying[arguments[:, i]].any())
    )
    return Shape(
        ops, assignments, tuple(some), tuple(places(column) for column in arguments.T), wanted, lanes
    )


def places(numbers: Ints) -> Places:
    """Numbers as a slice, if they follow each other."""
    first = int(numbers[0])
    follows = np.array_equal(numbers, np.arange(first, first + len(numbers)))
    return slice(first, first + len(numbers)) if follows else numbers


def _listed(found: Places) -> Ints:
    return np.arange(found.start, found.stop) if isinstance(found, slice) else found
