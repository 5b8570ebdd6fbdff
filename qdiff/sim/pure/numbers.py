"""Angles and probabilities as numbers, row by row of counter values, and the chain rule back to parameters.

The values of all expressions at a *row* (see `readings`) are computed once, for all P sets of parameters
together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.lang.running import PROBABILITY_SLACK
from qdiff.sim.exact import Floats
from qdiff.sim.expressions import Derivatives, contained, derivative_error, value_error
from qdiff.sim.flow import Flow
from qdiff.sim.readings import Rows
from qdiff.sim.tape import compile_tape


class Expressions:
    """The compiled expressions of a program with derivatives by `wrt`, second ones where asked for."""

    def __init__(self, flow: Flow, rows: Rows, wrt: Sequence[str], second: bool = False) -> None:
        self.flow = flow
        self.rows = rows
        self.names = [flow.counters[i] for i in rows.counters]
        self.wrt = tuple(wrt)
        found = Derivatives.of(flow.expressions, wrt, second=second)
        self.pairs = found.pairs  # expression, position in wrt
        self.triples = [(*self.pairs[pair], q) for pair, q in found.triples]  # expression, two positions
        self.outputs = [*flow.expressions, *found.first, *found.second]
        self.tape = compile_tape(self.outputs, flow.program.parameters, self.names)
        self.of_pairs = slice(len(flow.expressions), len(flow.expressions) + len(found.first))
        self.pairs_of: dict[int, list[tuple[int, int]]] = {}
        for i, (e, p) in enumerate(self.pairs, start=self.of_pairs.start):
            self.pairs_of.setdefault(e, []).append((i, p))
        self.of_triples = slice(self.of_pairs.stop, len(self.outputs))
        self.wanted = np.zeros(len(flow.expressions), dtype=bool)
        self.wanted[[e for e, _ in self.pairs]] = True


@dataclass
class Numbers:
    """Values of the expressions at P sets of parameters; `at(row)` is (expressions and derivatives, P)."""

    source: Expressions
    parameters: Sequence[Mapping[str, float]]
    vectors: Floats = field(init=False)
    known: dict[int, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.source.flow.program.parameters
        self.vectors = np.array([[row[name] for row in self.parameters] for name in names], dtype=float)
        self.vectors = self.vectors.reshape(len(names), len(self.parameters))

    def at(self, row: int) -> Floats:
        """Return the values at one row; those at all rows that are not known yet are found together."""
        if row not in self.known:
            keys = self.source.rows.keys
            missing = [number for number in range(len(keys)) if number not in self.known]
            counters = np.array([keys[number] for number in missing], dtype=float).reshape(len(missing), -1).T
            values = self.source.tape.run(self.vectors, counters)
            for i, number in enumerate(missing):
                self.known[number] = values[:, :, i]
        return self.known[row]

    # --- Derivatives ------------------------------------------------------------------------------

    def chain_rule(self, slopes: Mapping[tuple[int, int], Floats], width: int) -> Floats:
        """Return ∂f/∂wrt, (P, width, d), from ∂f by the expressions, (expression, row) → (P, width)."""
        result = np.zeros((len(self.parameters), width, len(self.source.wrt)))
        by_row: dict[int, list[int]] = {}
        for e, row in slopes:
            by_row.setdefault(row, []).append(e)
        pairs_of = self.source.pairs_of
        for row, expressions in by_row.items():
            values = self.at(row)
            for e in expressions:
                for i, p in pairs_of.get(e, ()):
                    result[:, :, p] += _finite(values[i])[:, None] * slopes[e, row]
        return result

    def along(self, expression: int, row: int, directions: Floats) -> Floats:
        """Return the derivatives of an expression along directions (V, d), (V,); P is 1."""
        result = np.zeros(len(directions))
        values = self.at(row)
        for i, p in self.source.pairs_of.get(expression, ()):
            result += _finite(values[i])[0] * directions[:, p]
        return result

    def steepest(self, expression: int, row: int, *, twice: bool) -> float:
        """Return the largest derivative of an expression, 1 for what does not exist; P is 1.

        Args:
            twice: the second derivatives as well.
        """
        values = self.at(row)[:, 0]
        found = [abs(float(values[i])) for i, _ in self.source.pairs_of.get(expression, ())]
        if twice:
            first = self.source.of_triples.start
            found += [
                abs(float(values[first + j]))
                for j, (e, _, _) in enumerate(self.source.triples)
                if e == expression
            ]
        return max((x if math.isfinite(x) else 1.0 for x in found), default=0.0)

    def second_chain_rule(
        self, slopes: Mapping[tuple[int, int], Floats], width: int, directions: Floats
    ) -> Floats:
        """Return Σ ∂f/∂a · ∂²a/∂wrt∂v, (width, V, d), from slopes (1, width); P is 1."""
        result = np.zeros((width, len(directions), len(self.source.wrt)))
        for i, (e, p, q) in enumerate(self.source.triples, start=self.source.of_triples.start):
            for row in {r for found, r in slopes if found == e}:
                curved = _finite(self.at(row)[i])[0]
                result[:, :, p] += curved * slopes[e, row][0][:, None] * directions[None, :, q]
        return result

    # --- What does not exist --------------------------------------------------------------------------

    def angle_error(self, expression: int, row: int) -> tuple[int, EvaluationError] | None:
        """Return the first row of parameters for which an angle has no value, with its error."""
        fine = np.isfinite(self.at(row)[expression])
        return (
            None
            if fine.all()
            else self._value_error(expression, row, int(np.argmin(fine)), probability=False)
        )

    def probability_error(
        self, expression: int, row: int, channel: str = ""
    ) -> tuple[int, EvaluationError] | None:
        """Return the first row of parameters for which this is no probability, with its error."""
        found = self.at(row)[expression]
        with np.errstate(invalid="ignore"):
            fine = np.abs(found - np.clip(found, 0.0, 1.0)) <= PROBABILITY_SLACK  # not where it is nan
        if fine.all():
            return None
        return self._value_error(expression, row, int(np.argmin(fine)), probability=True, channel=channel)

    def _value_error(
        self, expression: int, row: int, p: int, *, probability: bool, channel: str = ""
    ) -> tuple[int, EvaluationError]:
        flow, parameters, counters = self.source.flow, self.parameters[p], self.counters(row)
        expr = flow.expressions[expression]
        return p, value_error(
            flow.program, expr, parameters, counters, probability=probability, channel=channel
        )

    def refuse_derivatives(self, reached: Iterable[tuple[int, int]]) -> None:
        """Raise for the first derivative that does not exist among (expression, row) that runs reach."""
        source = self.source
        described = [
            *((e, (p,), i) for i, (e, p) in enumerate(source.pairs, start=source.of_pairs.start)),
            *((e, (p, q), i) for i, (e, p, q) in enumerate(source.triples, start=source.of_triples.start)),
        ]
        rows_of: dict[int, list[int]] = {}
        for e, row in sorted(set(reached)):
            rows_of.setdefault(e, []).append(row)
        for e, by, i in described:
            for row in rows_of.get(e, ()):
                fine = np.isfinite(self.at(row)[i])
                if not fine.all():
                    raise self._derivative_error(e, by, i, row, int(np.argmin(fine)))

    def _derivative_error(
        self, e: int, by: tuple[int, ...], output: int, row: int, p: int
    ) -> EvaluationError:
        flow, names = self.source.flow, [self.source.wrt[i] for i in by]
        derivative, counters = self.source.outputs[output], self.counters(row)
        return derivative_error(
            flow.program, flow.expressions[e], derivative, names, self.parameters[p], counters
        )

    # --- Names ------------------------------------------------------------------------------------------

    def counters(self, row: int) -> dict[str, int]:
        """The counter values of a row by name."""
        return dict(zip(self.source.names, self.source.rows.keys[row], strict=True))

    def occurrences(self, executed: Mapping[tuple[int, int], float]) -> dict[str, float]:
        """Expected executed primitives that contain each parameter; of an array `w[c]` the element read."""
        result = dict.fromkeys(self.source.flow.program.parameters, 0.0)
        for (e, row), times in executed.items():
            names = contained(self.source.flow.expressions[e], self.counters(row))
            for name in names & result.keys():
                result[name] += times
        return result


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 0.0)
