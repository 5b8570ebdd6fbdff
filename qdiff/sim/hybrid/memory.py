"""What a solve will take, estimated before anything of that size is allocated.

All states are real vectors of D² numbers for each row, column and moment (`coordinates`); operations on
them take a few complex matrices of the same size on the side; runs of gates are complex matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

from qdiff.errors import ResourceError
from qdiff.sim.exact import OR_FROM_SHOTS
from qdiff.sim.hybrid import correlate, krylov, linear, steps
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.runs import FULL_UP_TO
from qdiff.sim.sizes import size_text

REAL, COMPLEX = 8, 16
LEAST_MATRICES = 4  # a state, an observable, a run of gates and its adjoint


@dataclass(frozen=True)
class Work:
    """How much is solved at once.

    Attributes:
        rows: sets of parameters; states: states with n moments kept at every vertex, forwards and
            backwards together; columns: the most of them that are moved at the same time.
    """

    rows: int = 1
    states: int = 2
    columns: int = 1


def least(dimension: int) -> int:
    """Bytes that any program on this register takes."""
    return COMPLEX * dimension**2 * LEAST_MATRICES


def needed(graph: Graph, dimension: int, work: Work) -> int:
    """Bytes that solving a graph takes, at most."""
    matrix = dimension**2
    n = len(graph.counted.basis)
    kept = REAL * work.rows * work.states * n * matrix * len(graph.stores)
    gates = sum(graph.runs.piece_counts)
    varying = sum(graph.runs.varying)
    constant = len(graph.runs.piece_counts) - varying
    runs = COMPLEX * matrix * (2 * (work.rows * varying + constant) + gates)
    if dimension <= FULL_UP_TO:
        runs += 3 * COMPLEX * work.rows * matrix * gates  # gates, prefixes and generators in full
    if graph.runs.largest > 4:  # matrices of declared gates
        runs += COMPLEX * work.rows * graph.runs.largest**2 * len(graph.runs.rotated)
    longest = max((len(trace.ops) for trace in graph.traces), default=1)
    if dimension <= steps.LARGEST_DIMENSION:
        moving = sum(len(trace.ops) for trace in graph.traces) * COMPLEX * matrix**2 * work.rows
    else:
        moving = 4 * COMPLEX * matrix * work.rows * n * work.columns * longest
        entries = matrix * n * (1 + work.columns) * longest * len(graph.followed)
        moving += 3 * COMPLEX * work.rows * min(correlate.CHUNK, entries)
    loops = 0
    for stage in graph.stages:
        size = len(stage.heads) * matrix
        if not stage.heads:
            continue
        if size <= linear.DENSE_UP_TO:
            loops += 3 * REAL * work.rows * size**2
        elif dimension <= steps.LARGEST_DIMENSION:
            loops += 40 * REAL * work.rows * matrix**2 * len(stage.order)  # fill-in of a sparse factorisation
        else:
            loops = max(loops, REAL * work.rows * work.columns * size * (krylov.BASIS + krylov.GROWTH + 4))
    masks = REAL * matrix * len(graph.masks)
    return kept + runs + moving + loops + masks


def require(needed_bytes: int, limit: int, qubits: int, qualifier: str = "") -> None:
    """Refuse what does not fit.

    Raises:
        ResourceError: how much is needed, and the ways out.
    """
    if needed_bytes > limit:
        raise ResourceError(
            f"The hybrid engine needs {qualifier}{size_text(needed_bytes)} for density operators on "
            f"{qubits} qubits; the limit is {size_text(limit)}. "
            "Raise it (qd.expectation(…, max_memory=bytes)), use fewer qubits or smaller counters, follow "
            'branches (engine="branching")',
            advice=OR_FROM_SHOTS,
        )
