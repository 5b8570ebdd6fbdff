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
        second: whether second derivatives are needed as well.
    """

    def __init__(
        self, flow: Flow, counters: Sequence[int], wrt: Sequence[str], *, second: bool = False
    ) -> None:
        self.flow = flow
        self.counters = [flow.counters[i] for i in counters]
        self.wrt = tuple(wrt)
        self.pairs: list[tuple[int, int]] = []  # expression, position in wrt
        self.derivatives: list[Expr] = []
        self.triples: list[tuple[int, int]] = []  # pair, position in wrt
        self.second_derivatives: list[Expr] = []
        for e, expression in enumerate(flow.expressions):
            occurring = expression.parameters()
            for p, name in enumerate(self.wrt):
                if name in occurring and not is_number(derivative := expression.diff(name), 0):
                    self.pairs.append((e, p))
                    self.derivatives.append(derivative)
        for pair, derivative in enumerate(self.derivatives if second else ()):
            occurring = derivative.parameters()
            for p, name in enumerate(self.wrt):
                if name in occurring and not is_number(curvature := derivative.diff(name), 0):
                    self.triples.append((pair, p))
                    self.second_derivatives.append(curvature)
        self.pair_expressions = np.array([e for e, _ in self.pairs], dtype=np.int64)
        self.pair_parameters = np.array([p for _, p in self.pairs], dtype=np.int64)
        self.tape = compile_tape(
            [*flow.expressions, *self.derivatives, *self.second_derivatives],
            flow.program.parameters,
            self.counters,
        )

    def at(self, rows: Sequence[Mapping[str, float]], graph: Graph) -> Numbers:
        """Return all numbers at several sets of parameters."""
        names = self.flow.program.parameters
        vectors = np.array([[row[name] for row in rows] for name in names], dtype=float)
        values = self.tape.run(vectors.reshape(len(names), len(rows)), graph.rows)
        return Numbers(self, rows, graph, values)


class Numbers:
    """Values of the expressions at P sets of parameters, by expression and row of counters.

    Attributes:
        angles: of the rotated gate instances, (P, G), in radians; 0 where there is no value.
        probabilities: of the tosses, (P, T), clipped to [0, 1].
        derivatives: of the pairs (expression, parameter), (pairs, P, R).
        failing: whether some angle, probability or derivative does not exist.
    """

    def __init__(
        self, source: Angles, rows: Sequence[Mapping[str, float]], graph: Graph, values: Floats
    ) -> None:
        self.source = source
        self.rows = rows
        self.graph = graph
        self.count = len(source.flow.expressions)
        self.derivatives = values[self.count : self.count + len(source.pairs)]
        self.second_derivatives = values[self.count + len(source.pairs) :]
        self.gate_places = (graph.runs.expressions, graph.runs.rows)
        self.toss_places = (
            np.array([e for e, _ in graph.tosses], dtype=np.int64),
            np.array([r for _, r in graph.tosses], dtype=np.int64),
        )
        self.angles = self._at_places(values, self.gate_places)
        tosses = self._at_places(values, self.toss_places)
        self.probabilities = np.clip(np.nan_to_num(tosses), 0.0, 1.0)
        # Comparisons with nan are false: what is not surely fine is failing.
        self.angle_fine = np.isfinite(self.angles)
        self.toss_fine = np.abs(tosses - self.probabilities) <= PROBABILITY_SLACK
        self.failing = not (
            self.angle_fine.all()
            and self.toss_fine.all()
            and np.isfinite(self.derivatives).all()
            and np.isfinite(self.second_derivatives).all()
        )
        if self.failing:
            self.angles = np.where(self.angle_fine, self.angles, 0.0)
            self.derivatives_or_zero = np.where(np.isfinite(self.derivatives), self.derivatives, 0.0)
        else:
            self.derivatives_or_zero = self.derivatives

    @staticmethod
    def _at_places(values: Floats, places: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Floats:
        """(places, P) of values (expressions, P, R), as (P, places)."""
        return np.ascontiguousarray(values[places[0], :, places[1]].T)

    def chain_rule(self, by_angle: Floats, by_toss: Floats) -> Floats:
        """Return ∂f/∂wrt, (P, k, d), from the derivatives by angles (P, k, G) and probabilities (P, k, T)."""
        slopes = self._by_expression(by_angle, by_toss)  # (expressions, R, P, k)
        by_pair = np.einsum("orpk,opr->opk", slopes[self.source.pair_expressions], self.derivatives_or_zero)
        result = np.zeros((len(self.source.wrt), *by_pair.shape[1:]))
        np.add.at(result, self.source.pair_parameters, by_pair)
        return result.transpose(1, 2, 0)

    def rates(self, directions: Floats) -> tuple[Floats, Floats]:
        """Return how angles (V, G) and probabilities (V, T) change along `directions` (V, d); P is 1."""
        rate = np.zeros((self.count, self.graph.rows.shape[1], len(directions)))
        along = directions[:, self.source.pair_parameters]  # (V, pairs)
        np.add.at(
            rate, self.source.pair_expressions, self.derivatives_or_zero[:, 0, :, None] * along.T[:, None, :]
        )
        return rate[self.gate_places].T, rate[self.toss_places].T

    def second_chain_rule(self, by_angle: Floats, by_toss: Floats, directions: Floats) -> Floats:
        """Return Σ ∂f/∂a · (∂²a/∂wrt∂v), (k, V, d), from derivatives (k, G) and (k, T)."""
        slopes = self._by_expression(by_angle[None], by_toss[None])[:, :, 0]  # (expressions, R, k)
        result = np.zeros((len(self.source.wrt), slopes.shape[2], len(directions)))
        second = np.where(np.isfinite(self.second_derivatives), self.second_derivatives, 0.0)[:, 0]
        for (pair, other), curvature in zip(self.source.triples, second, strict=True):
            e, p = self.source.pairs[pair]
            result[p] += (curvature @ slopes[e])[:, None] * directions[:, other]
        return result.transpose(1, 2, 0)

    def slopes(self, *, gates: bool) -> Slopes:
        """Return the largest |∂expression/∂wrt| of every gate (0 without `gates`) and every toss."""
        largest = np.zeros((self.count, *self.derivatives.shape[1:]))
        finite = np.where(np.isfinite(self.derivatives), np.abs(self.derivatives), 1.0)
        np.maximum.at(largest, self.source.pair_expressions, finite)
        of_gates = self._at_places(largest, self.gate_places)
        return Slopes(
            of_gates if gates else np.zeros_like(of_gates), self._at_places(largest, self.toss_places)
        )

    def _by_expression(self, gates: Floats, tosses: Floats) -> Floats:
        """Sum a quantity of gates (…, G) and tosses (…, T) by expression and row: (expressions, R, …)."""
        result = np.zeros((self.count, self.graph.rows.shape[1], *gates.shape[:-1]))
        np.add.at(result, self.gate_places, np.moveaxis(gates, -1, 0))
        np.add.at(result, self.toss_places, np.moveaxis(tosses, -1, 0))
        return result

    def occurrences(self, gates: Floats, tosses: Floats) -> dict[str, float]:
        """Expected executed primitives that contain each parameter, from executions of gates and tosses."""
        executed = self._by_expression(gates, tosses)
        result = dict.fromkeys(self.source.flow.program.parameters, 0.0)
        for e, row in zip(*np.nonzero(executed), strict=True):
            for name in self.contained(int(e), int(row)):
                if name in result:  # an index out of range is an error where it is reached
                    result[name] += float(executed[e, row])
        return result

    def contained(self, e: int, row: int) -> set[str]:
        """The parameters that an expression contains; of an array `w[c]` the element that is read."""
        names: set[str] = set()
        for node in self.source.flow.expressions[e].walk():
            if isinstance(node, Parameter):
                names.add(node.name)
            elif isinstance(node, ParameterElement):
                names.add(f"{node.array}[{node.index.evaluate(counters=self._counters(row))}]")
        return names

    def refuse(self, p: int, gates: Floats, tosses: Floats, negligible: float) -> None:
        """Raise for the first expression of row p without a value that more than `negligible` mass reaches.

        Args:
            gates, tosses: expected executions of every rotated gate instance and every toss.
        """
        flow = self.source.flow
        for k in np.flatnonzero(~self.angle_fine[p] & (gates > negligible)):
            raise self._error(p, flow.expressions[self.gate_places[0][k]], int(self.gate_places[1][k]))
        for k in np.flatnonzero(~self.toss_fine[p] & (tosses > negligible)):
            e, row = self.toss_places[0][k], int(self.toss_places[1][k])
            raise self._error(p, flow.expressions[e], row, probability=True)
        reached = self._by_expression(gates, tosses) > negligible
        for pair, row in zip(*np.nonzero(~np.isfinite(self.derivatives[:, p])), strict=True):
            e, parameter = self.source.pairs[pair]
            if reached[e, row]:
                raise self._derivative_error(
                    p, flow.expressions[e], self.source.derivatives[pair], int(row), (parameter,)
                )
        for triple, row in zip(*np.nonzero(~np.isfinite(self.second_derivatives[:, p])), strict=True):
            pair, other = self.source.triples[triple]
            e, parameter = self.source.pairs[pair]
            if reached[e, row]:
                second = self.source.second_derivatives[triple]
                raise self._derivative_error(p, flow.expressions[e], second, int(row), (parameter, other))

    def _counters(self, row: int) -> dict[str, int]:
        return {name: int(v) for name, v in zip(self.source.counters, self.graph.rows[:, row], strict=True)}

    def _error(self, p: int, expression: Expr, row: int, probability: bool = False) -> EvaluationError:
        try:
            value = expression.evaluate(self.rows[p], self._counters(row))
        except ValueFailure as failure:
            return self._located(failure.message, failure.node)
        if probability:
            return improbable(self.source.flow.program, expression, value, None)
        return self._located(f"`{expression}` is not a finite number.", expression)

    def _derivative_error(
        self, p: int, expression: Expr, derivative: Expr, row: int, wrt: tuple[int, ...]
    ) -> EvaluationError:
        names = " and ".join(f"`{self.source.wrt[i]}`" for i in wrt)
        try:
            derivative.evaluate(self.rows[p], self._counters(row))
            reason = "it is not a finite number."
        except ValueFailure as failure:
            reason = failure.message
        kind = "derivative" if len(wrt) == 1 else "second derivative"
        message = f"the {kind} of `{expression}` by {names} does not exist here: {reason}"
        return self._located(message, expression)

    def _located(self, message: str, node: Expr) -> EvaluationError:
        return located(self.source.flow.program, message, node.place())
