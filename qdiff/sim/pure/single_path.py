"""The only path of a program that nothing random happens on, and what is known of it without running it."""

from __future__ import annotations

import math
from typing import Any

from qdiff.sim.analysis import Analysis
from qdiff.sim.exact import Floats, Parameters
from qdiff.sim.flow import END, Flow
from qdiff.sim.pure.bounds import loop_visits
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.paths import Path, Walker
from qdiff.sim.pure.segments import distinct_gates
from qdiff.sim.readings import Rows


class SinglePath:
    """The path of a program at given compared parameters.

    Attributes:
        ended: whether it leads to the end; else the program aborts or repeats itself forever.
        sequence: (gate, number of its instance) in order. instances: the distinct ones, (N,).
        executed: how often each of them is applied, (N,).

    Raises:
        EvaluationError: the path cannot be followed to its end, by the constructor.
    """

    def __init__(self, flow: Flow, compared: Parameters) -> None:
        self.flow = flow
        self.rows = Rows(flow)
        start = (0,) * len(flow.counters)
        self.path: Path = Walker(flow, self.rows, dict(compared)).follow(flow.entry, start, ())
        if self.path.error is not None:
            raise self.path.error
        self.qubits = len(flow.program.qubits)
        self.ended = self.path.point == END
        self.sequence, self.executed, self.instances = distinct_gates(flow, self.path)

    @property
    def store(self) -> tuple[int, ...]:
        """The counters at the end."""
        return self.path.store

    def refuse(self, numbers: Numbers) -> None:
        """Raise where an angle of the path, or a derivative that is asked for, does not exist.

        Raises:
            EvaluationError: for the first of them.
        """
        rotated = [
            (int(e), row)
            for e, (_, row) in zip(self.instances.expressions, self.instances.instances, strict=True)
            if e >= 0
        ]
        for e, row in dict.fromkeys(rotated):
            failure = numbers.angle_error(e, row)
            if failure is not None:
                raise failure[1]
        numbers.refuse_derivatives(rotated)

    def by_expression(self, by_instance: Floats) -> dict[tuple[int, int], Floats]:
        """Sum (P, k, N) by (expression, row): (P, k) each."""
        result: dict[tuple[int, int], Floats] = {}
        for i, (_, row) in enumerate(self.instances.instances):
            e = int(self.instances.expressions[i])
            if e >= 0:
                found = result.get((e, row))
                result[e, row] = by_instance[:, :, i] if found is None else found + by_instance[:, :, i]
        return result

    def executions(self) -> dict[tuple[int, int], float]:
        """How often the rotations by each (expression, row) are applied."""
        result: dict[tuple[int, int], float] = {}
        for (gate, row), times in zip(self.instances.instances, self.executed.tolist(), strict=True):
            e = self.flow.gates[gate].expression
            if e >= 0:
                result[e, row] = result.get((e, row), 0.0) + times
        return result

    def analysis(self, numbers: Numbers, **others: Any) -> Analysis:
        """Return what is known of the path; `others` are the fields about errors, memory and engine."""
        executed = self.executions()
        marks: dict[int, float] = {}
        for mark in self.path.marks:
            marks[mark] = marks.get(mark, 0.0) + 1
        gates, repeated = self.path.for_ever
        marks.update(dict.fromkeys(repeated, math.inf))
        for gate, row in gates:
            executed[self.flow.gates[gate].expression, row] = math.inf
        return Analysis(
            termination_probability=float(self.ended),
            trapped_probability=float(self.path.repeated is not None),
            outside_probability=0.0,
            expected_visits=loop_visits(self.flow, marks),
            occurrences=numbers.occurrences({k: n for k, n in executed.items() if k[0] >= 0}),
            **others,
        )
