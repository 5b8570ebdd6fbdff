"""Segments: the gates between two places where something random happens, and their matrices as numbers.

A segment does not depend on angles and is shared by a whole training run; its matrices belong to one
set of parameters, and are found once each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.sim.exact import Floats
from qdiff.sim.flow import Flow
from qdiff.sim.pure.bounds import Errors
from qdiff.sim.pure.matrices import Complexes, Instances
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.paths import Path
from qdiff.sim.pure.plan import Layouts, Plan


def distinct_gates(flow: Flow, path: Path) -> tuple[list[tuple[int, int]], NDArray[np.int64], Instances]:
    """Return the gates of a path with the numbers of their instances, how often each comes, the instances."""
    distinct: dict[tuple[int, int], int] = {}
    sequence = [(gate, distinct.setdefault((gate, row), len(distinct))) for gate, row in path.gates]
    executed = np.bincount([n for _, n in sequence], minlength=len(distinct))
    return sequence, executed, Instances(flow.gates, list(distinct))


class Segment:
    """A path with its gates ready to run.

    Attributes:
        gates: (gate, row of counters) in order. instances: the distinct ones, (N,); executed: how often.
        places: (expression, row) of its rotations → how often.
    """

    def __init__(self, flow: Flow, path: Path, layouts: Layouts) -> None:
        self.gates = path.gates
        sequence, self.executed, self.instances = distinct_gates(flow, path)
        self.plan: Plan = layouts.plan(sequence)
        self.places: dict[tuple[int, int], int] = {}
        for gate, row in path.gates:
            e = flow.gates[gate].expression
            if e >= 0:
                self.places[e, row] = self.places.get((e, row), 0) + 1


@dataclass(frozen=True)
class Matrices:
    """Numbers of a segment of N instances.

    Attributes:
        coefficients, adjoints: (1, N, E), of the gates and of their inverses (`Instances`).
        slopes: (1, V, N), derivatives of the angles along directions. wanted: (N,), see `kernels.backward`.
        failure: why an angle has no value, where one has none. error: sum of the errors of the gates.
    """

    coefficients: Complexes
    adjoints: Complexes
    slopes: Floats
    wanted: NDArray[np.bool_]
    failure: EvaluationError | None
    error: float


class MatricesOf:
    """Matrices of segments at one set of parameters.

    Args:
        directions: of second derivatives, (V, d).
        adjoints: whether the inverse gates are needed. errors: of the gates; None counts them as 0.
    """

    def __init__(
        self, numbers: Numbers, directions: Floats, *, adjoints: bool, errors: Errors | None
    ) -> None:
        self.numbers = numbers
        self.directions = directions
        self.adjoints = adjoints
        self.errors = errors
        self._known: dict[int, Matrices] = {}

    def at(self, segment: Segment) -> Matrices:
        """Return the numbers of a segment."""
        if id(segment) not in self._known:
            self._known[id(segment)] = self._found(segment)
        return self._known[id(segment)]

    def _found(self, segment: Segment) -> Matrices:
        numbers, instances = self.numbers, segment.instances
        failure = next(
            (found[1] for e, row in segment.places if (found := numbers.angle_error(e, row))), None
        )
        error = 0.0
        if self.errors is not None and failure is None:
            error = sum(self.errors.gate(gate, row) for gate, row in segment.gates)
        coefficients = instances.at(numbers)
        return Matrices(
            coefficients,
            instances.adjoints(coefficients) if self.adjoints else coefficients,
            instances.slopes(numbers, self.directions),
            instances.wanted(numbers),
            failure,
            error,
        )
