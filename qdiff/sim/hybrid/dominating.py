"""Certified upper bounds of observables pulled back through a program.

The maps T are completely positive, so X ≥ S + T†X, X ≥ 0 makes X an upper bound of Σ (T†)ⁿ S, the
pulled back S, whatever X was computed with. Here S is a number times the identity at every vertex;
assignments to counted counters enter with the absolute values of their matrices Λ, so that X bounds
the norm of every moment. X is computed with S enlarged a little, and the little must cover what
S + T†X - X is found to be by one step in doubles, and the rounding of that step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.sim.exact import Floats
from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.coordinates import decode, identity
from qdiff.sim.hybrid.fields import Field
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.passage import OUTWARDS, Passage, kept, longest
from qdiff.sim.hybrid.solution import Solution
from qdiff.sim.hybrid.solver import Solver

UNIT = 2.0**-53
PROBABILITY_OFF = 64 * UNIT
ENLARGED = 1e-6
CHECKED_UP_TO = 64  # dimension, beyond it heads of loops are checked, and rounding counts elsewhere


def rounding(dimension: int, unit: float) -> float:
    """Relative error, in trace norm, of V X V† for D×D matrices: two products of complex matrices.

    |fl(AB) - AB| ≤ (D+2)·√2·u·|A||B| entry by entry, ‖|A||B|‖_F ≤ √D ‖B‖_F for unitary A, and the trace
    norm is at most √D times the Frobenius norm; twice for both sides, rounded up.
    """
    return 4 * dimension * (dimension + 2) * unit


def most_operations(graph: Graph) -> float:
    """The most operations on one way through a trace, every gate of a run counted."""

    def weight(code: int, arg: int) -> float:
        return 2.0 + graph.runs.lengths[arg] if code == traces.UNITARY else float(code < traces.MARK)

    return float(max((longest(trace, weight) for trace in graph.traces), default=0.0))


def _channel_error(solution: Solution) -> float:
    """What rounding of a probability can do to a channel that is no mixture, where it is steep."""
    channels = [c for c in solution.graph.channels if not c.record.mixture]
    p = solution.numbers.probabilities[0]
    return max((c.record.change(float(p[c.toss]), PROBABILITY_OFF) for c in channels), default=0.0)


class Dominating:
    """Upper bounds for one solved program at one set of parameters."""

    def __init__(self, solution: Solution) -> None:
        graph = solution.graph
        absolute = replace(graph, assignments=[np.abs(m) for m in graph.assignments])
        self.graph = absolute
        self.dimension = solution.solver.dimension
        self.moments = solution.solver.moments
        self.solver = Solver(absolute, solution.solver.steps, self.dimension, 1)
        self.solver.loops.traps = solution.solver.loops.traps
        self.passage = Passage(graph, solution.maps, self.dimension, absolute.assignments)
        self.rounding = (rounding(self.dimension, UNIT) + _channel_error(solution)) * most_operations(graph)

    def upper(self, at_stops: Mapping[int, Floats], sources: Mapping[int, Floats]) -> Floats | None:
        """Return an upper bound of the norm of every moment at every vertex, (vertices, K, n).

        A vertex has the larger of its own and what its targets have: it holds all through its trace.
        None where nothing is proved.

        Args:
            at_stops: norms at ends and other stops, (K, n); sources: what vertices add, (K, n).
        """
        given = [*at_stops.values(), *sources.values()]
        columns = given[0].shape[0]
        one = identity(self.dimension)
        found = self.operators(
            {v: norms.reshape(1, -1, 1) * one for v, norms in at_stops.items()},
            {v: norms.reshape(1, -1, 1) * one for v, norms in sources.items()},
            np.max([x.max(axis=1) for x in given], axis=0),
        )
        if found is None:
            return None
        norms = self.norms(found.array[:, 0]).reshape(-1, columns, self.moments)
        result = norms.copy()
        for trace, vertices in self.graph.members.items():
            leaves = zip(self.graph.traces[trace].assignments, self.graph.targets_by_leaf[trace], strict=True)
            for assignment, targets in leaves:
                result[vertices] = np.maximum(
                    result[vertices], norms[targets] @ self.graph.assignments[assignment]
                )
        return np.asarray(result)

    def operators(
        self, at_stops: Mapping[int, Floats], sources: Mapping[int, Floats], largest: Floats
    ) -> Field | None:
        """Return operators above what is pulled back, (1, K·n, D²) at every vertex; None if not proved.

        Args:
            at_stops: positive operators at ends and other stops; sources: what vertices add.
            largest: the largest norm in each column, (K,).
        """
        columns = len(largest)
        little = ENLARGED * largest  # of each column: they may differ by many orders
        one = np.repeat(little, self.moments)[:, None] * identity(self.dimension)
        enlarged = {v: sources[v] + one if v in sources else one[None] for v in self.graph.followed}
        try:
            found = self.solver.pull_back({v: y + one for v, y in at_stops.items()}, enlarged)
        except EvaluationError:
            return None
        values = self._eigenvalues(found.array[:, 0])
        highest = np.abs(values).max(axis=(0, 2)).reshape(columns, -1).max(axis=1)
        lowest = values.min(axis=(0, 2)).reshape(columns, -1).min(axis=1)
        missing = self.rounding * highest + self._missing(found, enlarged).reshape(columns, -1).max(axis=1)
        return found if (missing <= little).all() and (lowest >= -little).all() else None

    def norms(self, y: Floats) -> Floats:
        """Upper bounds of the operator norms of (…, C, D²), (…, C)."""
        return np.asarray(np.abs(self._eigenvalues(y)).max(axis=-1)) * OUTWARDS

    def _missing(self, found: Field, enlarged: Mapping[int, Floats]) -> Floats:
        """‖S + T†X - X‖, the largest at any vertex, (C,)."""
        if self.dimension > CHECKED_UP_TO:
            of_heads = [self.norms(r[0]) for r in self.solver.residuals.values()]
            return np.max(of_heads, axis=0) if of_heads else np.zeros(found.columns)
        x = decode(found.array[:, 0], self.dimension)
        pulled = self.passage.pulled(x)
        for v, y in enlarged.items():
            pulled[v] += decode(y[0], self.dimension)
        followed = self.graph.followed
        residual = (kept(pulled, self.solver.loops.traps) - x)[followed]
        return np.asarray(np.abs(np.linalg.eigvalsh(residual)).max(axis=(0, 2), initial=0.0))

    def _eigenvalues(self, y: Floats) -> Floats:
        return np.asarray(np.linalg.eigvalsh(decode(y, self.dimension)))
