"""Angles, probabilities and their derivatives as numbers, and the chain rule back to parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.expr import Expr, Parameter, ParameterElement, is_number
from qdiff.lang.running import PROBABILITY_SLACK, improbable, located
from qdiff.sim.flow import Flow
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.perturbed import Slopes
from qdiff.sim.tape import compile_tape

Floats = NDArray[np.float64]


class Angles:
    """The compiled expressions of a program, with the derivatives by some parameters.

    Args:
        counters: indices of the counters that expressions read, the columns of `Graph.rows`.
        wrt: parameters to differentiate by.
    """

    def __init__(self, flow: Flow, counters: Sequence[int], wrt: Sequence[str]) -> None:
        self.flow = flow
        self.counters = [flow.counters[i] for i in counters]
        self.wrt = tuple(wrt)
        self.pairs: list[tuple[int, int]] = []  # expression, position in wrt
        self.derivatives: list[Expr] = []
        for e, expression in enumerate(flow.expressions):
            occurring = expression.parameters()
            for p, name in enumerate(self.wrt):
                if name in occurring and not is_number(derivative := expression.diff(name), 0):
                    self.pairs.append((e, p))
                    self.derivatives.append(derivative)
        self.pair_expressions = np.array([e for e, _ in self.pairs], dtype=np.int64)
        self.pair_parameters = np.array([p for _, p in self.pairs], dtype=np.int64)
        self.tape = compile_tape(
            [*flow.expressions, *self.derivatives], flow.program.parameters, self.counters
        )

    def at(self, parameters: Mapping[str, float], graph: Graph) -> Numbers:
        """Return all numbers at one set of parameters."""
        vector = np.array([parameters[name] for name in self.flow.program.parameters], dtype=float)
        values = self.tape.run(vector, graph.rows)
        return Numbers(self, parameters, graph, values)


class Numbers:
    """Values of the expressions at one set of parameters, by expression and row of counters.

    Attributes:
        angles: of the rotated gate instances, in radians; 0 where there is no value.
        probabilities: of the tosses, clipped to [0, 1].
        failing: whether some angle, probability or derivative does not exist.
    """

    def __init__(self, source: Angles, parameters: Mapping[str, float], graph: Graph, values: Floats) -> None:
        self.source = source
        self.parameters = parameters
        self.graph = graph
        self.count = len(source.flow.expressions)
        self.derivatives = values[self.count :]
        self.gate_places = (graph.runs.expressions, graph.runs.rows)
        self.toss_places = (
            np.array([e for e, _ in graph.tosses], dtype=np.int64),
            np.array([r for _, r in graph.tosses], dtype=np.int64),
        )
        self.angles = values[self.gate_places]
        tosses = values[self.toss_places]
        self.probabilities = np.clip(np.nan_to_num(tosses), 0.0, 1.0)
        # Comparisons with nan are false: what is not surely fine is failing.
        self.angle_fine = np.isfinite(self.angles)
        self.toss_fine = np.abs(tosses - self.probabilities) <= PROBABILITY_SLACK
        self.failing = not (
            self.angle_fine.all() and self.toss_fine.all() and np.isfinite(self.derivatives).all()
        )
        if self.failing:
            self.angles = np.where(self.angle_fine, self.angles, 0.0)

    def chain_rule(self, by_angle: Floats, by_toss: Floats) -> Floats:
        """Return ∂f/∂wrt from the derivatives by every gate's angle and every toss's probability."""
        slopes = self._by_expression(by_angle, by_toss)
        derivatives = np.where(np.isfinite(self.derivatives), self.derivatives, 0.0)
        by_pair = np.einsum("pr,pr->p", slopes[self.source.pair_expressions], derivatives)
        result = np.zeros(len(self.source.wrt))
        np.add.at(result, self.source.pair_parameters, by_pair)
        return result

    def slopes(self, *, gates: bool) -> Slopes:
        """Return the largest |∂expression/∂wrt| of every gate (0 without `gates`) and every toss."""
        largest = np.zeros((self.count, self.graph.rows.shape[1]))
        finite = np.where(np.isfinite(self.derivatives), np.abs(self.derivatives), 1.0)
        np.maximum.at(largest, self.source.pair_expressions, finite)
        of_gates = largest[self.gate_places]
        return Slopes(of_gates if gates else np.zeros_like(of_gates), largest[self.toss_places])

    def _by_expression(self, gates: Floats, tosses: Floats) -> Floats:
        """Sum a quantity of gates and tosses by expression and row."""
        result = np.zeros((self.count, self.graph.rows.shape[1]))
        np.add.at(result, self.gate_places, gates)
        np.add.at(result, self.toss_places, tosses)
        return result

    def occurrences(self, gates: Floats, tosses: Floats) -> dict[str, float]:
        """Expected executed primitives that contain each parameter, from executions of gates and tosses."""
        executed = self._by_expression(gates, tosses)
        result = dict.fromkeys(self.source.flow.program.parameters, 0.0)
        for e, row in zip(*np.nonzero(executed), strict=True):
            for name in self._names(self.source.flow.expressions[e], int(row)):
                if name in result:  # an index out of range is an error where it is reached
                    result[name] += float(executed[e, row])
        return result

    def _names(self, expression: Expr, row: int) -> set[str]:
        """The parameters that an expression contains; of an array `w[c]` the element that is read."""
        names: set[str] = set()
        for node in expression.walk():
            if isinstance(node, Parameter):
                names.add(node.name)
            elif isinstance(node, ParameterElement):
                names.add(f"{node.array}[{node.index.evaluate(counters=self._counters(row))}]")
        return names

    def refuse(self, gates: Floats, tosses: Floats, negligible: float) -> None:
        """Raise for the first expression without a value that more than `negligible` mass reaches.

        Args:
            gates, tosses: expected executions of every rotated gate instance and every toss.
        """
        flow = self.source.flow
        for k in np.flatnonzero(~self.angle_fine & (gates > negligible)):
            raise self._error(flow.expressions[self.gate_places[0][k]], int(self.gate_places[1][k]))
        for k in np.flatnonzero(~self.toss_fine & (tosses > negligible)):
            e, row = self.toss_places[0][k], int(self.toss_places[1][k])
            raise self._error(flow.expressions[e], row, probability=True)
        reached = self._by_expression(gates, tosses) > negligible
        for pair, row in zip(*np.nonzero(~np.isfinite(self.derivatives)), strict=True):
            e, p = self.source.pairs[pair]
            if reached[e, row]:
                raise self._derivative_error(flow.expressions[e], self.source.derivatives[pair], int(row), p)

    def _counters(self, row: int) -> dict[str, int]:
        return {name: int(v) for name, v in zip(self.source.counters, self.graph.rows[:, row], strict=True)}

    def _error(self, expression: Expr, row: int, probability: bool = False) -> EvaluationError:
        try:
            value = expression.evaluate(self.parameters, self._counters(row))
        except ValueFailure as failure:
            return self._located(failure.message, failure.node)
        if probability:
            return improbable(self.source.flow.program, expression, value, None)
        return self._located(f"`{expression}` is not a finite number.", expression)

    def _derivative_error(
        self, expression: Expr, derivative: Expr, row: int, parameter: int
    ) -> EvaluationError:
        name = self.source.wrt[parameter]
        try:
            derivative.evaluate(self.parameters, self._counters(row))
            reason = "it is not a finite number."
        except ValueFailure as failure:
            reason = failure.message
        message = f"the derivative of `{expression}` by `{name}` does not exist here: {reason}"
        return self._located(message, expression)

    def _located(self, message: str, node: Expr) -> EvaluationError:
        return located(self.source.flow.program, message, node.place())
