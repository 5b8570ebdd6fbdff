"""Angles, probabilities and their derivatives as numbers, and the chain rule back to parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError, listed
from qdiff.lang.expr import Expr
from qdiff.lang.running import PROBABILITY_SLACK, located
from qdiff.sim.exact import Floats
from qdiff.sim.expressions import Derivatives, contained, derivative_error, value_error
from qdiff.sim.flow import Flow
from qdiff.sim.hybrid.channels import differentiable
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.perturbed import Steepest
from qdiff.sim.tape import compile_tape


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
        found = Derivatives.of(flow.expressions, wrt, second=second)
        self.pairs, self.derivatives = found.pairs, found.first  # (expression, position in wrt)
        self.triples, self.second_derivatives = found.triples, found.second  # (pair, position in wrt)
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
        self._values = values
        self.rows = rows
        self.graph = graph
        self.count = len(source.flow.expressions)
        self.derivatives = values[self.count : self.count + len(source.pairs)]
        self.second_derivatives = values[self.count + len(source.pairs) :]
        self.gate_places = (graph.runs.expressions, graph.runs.rows)
        self.toss_places = graph.toss_places
        self.angles = self._at_places(values, self.gate_places)
        self.tosses = self.probabilities = self._at_places(values, self.toss_places)
        if self.tosses.size:
            self.probabilities = np.minimum(np.maximum(np.nan_to_num(self.tosses), 0.0), 1.0)
        self.derivatives_or_zero = self.derivatives
        self.channel_of = {channel.toss: channel.record for channel in graph.channels}
        # Comparisons with nan are false: what is not surely fine is failing.
        everything_exists = bool(np.isfinite(values).all())
        self.failing = not (
            (everything_exists or self._all_exist())
            and (not self.tosses.size or self.toss_fine.all())
            and (not graph.channels or self.slope_fine.all())
        )
        if self.failing:
            self.angles = np.where(self.angle_fine, self.angles, 0.0)
            self.derivatives_or_zero = np.where(np.isfinite(self.derivatives), self.derivatives, 0.0)

    def _all_exist(self) -> bool:
        """Whether what is read has a value: an expression may have none at a row it is not read at."""
        return bool(
            self.angle_fine.all()
            and np.isfinite(self.derivatives).all()
            and np.isfinite(self.second_derivatives).all()
        )

    @cached_property
    def angle_fine(self) -> NDArray[np.bool_]:
        """Which angles have a value, (P, G)."""
        return np.isfinite(self._at_places(self._values, self.gate_places))

    @cached_property
    def toss_fine(self) -> NDArray[np.bool_]:
        """Which probabilities are some, but for rounding, (P, T)."""
        return np.asarray(np.abs(self.tosses - self.probabilities) <= PROBABILITY_SLACK)

    @cached_property
    def slope_fine(self) -> NDArray[np.bool_]:
        """Whether a channel has a derivative by its probability, where one is needed, (P, T)."""
        fine = np.ones_like(self.toss_fine)
        needed = np.isin(self.toss_places[0], self.source.pair_expressions)
        for record in set(self.channel_of.values()):
            tosses = [toss for toss, of in self.channel_of.items() if of is record and needed[toss]]
            fine[:, tosses] = differentiable(record, self.probabilities[:, tosses])
        return fine

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

    def slopes(self, *, gates: bool) -> Steepest:
        """Return the largest |∂expression/∂wrt| of every gate (0 without `gates`) and every toss."""
        largest = np.zeros((self.count, *self.derivatives.shape[1:]))
        finite = np.where(np.isfinite(self.derivatives), np.abs(self.derivatives), 1.0)
        np.maximum.at(largest, self.source.pair_expressions, finite)
        of_gates = self._at_places(largest, self.gate_places)
        return Steepest(
            of_gates if gates else np.zeros_like(of_gates), self._at_places(largest, self.toss_places)
        )

    def _by_expression(self, gates: Floats, tosses: Floats) -> Floats:
        """Sum a quantity of gates (…, G) and tosses (…, T) by expression and row: (expressions, R, …)."""
        result = np.zeros((self.count, self.graph.rows.shape[1], *gates.shape[:-1]))
        for places, found in ((self.gate_places, gates), (self.toss_places, tosses)):
            if len(places[0]):
                np.add.at(result, places, found.transpose(-1, *range(found.ndim - 1)))
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
        """The parameters that an expression contains at a row."""
        return contained(self.source.flow.expressions[e], self._counters(row))

    def refuse(self, p: int, gates: Floats, tosses: Floats, negligible: float) -> None:
        """Raise for the first expression of row p without a value that more than `negligible` mass reaches.

        Args:
            gates, tosses: expected executions of every rotated gate instance and every toss.
        """
        flow = self.source.flow
        for k in np.flatnonzero(~self.angle_fine[p] & (gates > negligible)):
            raise self._error(p, flow.expressions[self.gate_places[0][k]], int(self.gate_places[1][k]))
        for toss in map(int, np.flatnonzero(~self.toss_fine[p] & (tosses > negligible))):
            e, row = self.toss_places[0][toss], int(self.toss_places[1][toss])
            raise self._error(p, flow.expressions[e], row, probability=True, channel=self._channel(toss))
        for toss in map(int, np.flatnonzero(~self.slope_fine[p] & (tosses > negligible))):
            raise self._slope_error(p, toss)
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

    def _slope_error(self, p: int, toss: int) -> EvaluationError:
        e, value = int(self.toss_places[0][toss]), float(self.probabilities[p, toss])
        expression = self.source.flow.expressions[e]
        names = listed(f"`{self.source.wrt[i]}`" for pair, i in self.source.pairs if pair == e)
        what = f"the derivative of `{self._channel(toss)}({expression})` by {names} does not exist here"
        message = f"{what}: its probability is {value:g}."
        return located(self.source.flow.program, message, expression.place())

    def _channel(self, toss: int) -> str:
        """The name of the channel that a toss is the probability of, "" for a flip."""
        return self.channel_of[toss].name if toss in self.channel_of else ""

    def _error(
        self, p: int, expression: Expr, row: int, probability: bool = False, channel: str = ""
    ) -> EvaluationError:
        program, counters = self.source.flow.program, self._counters(row)
        return value_error(
            program, expression, self.rows[p], counters, probability=probability, channel=channel
        )

    def _derivative_error(
        self, p: int, expression: Expr, derivative: Expr, row: int, wrt: tuple[int, ...]
    ) -> EvaluationError:
        names = [self.source.wrt[i] for i in wrt]
        program, counters = self.source.flow.program, self._counters(row)
        return derivative_error(program, expression, derivative, names, self.rows[p], counters)
