"""Quantities of one program from its exact expectations, by the chain rule.

All quantities are answered together: each observable is asked for once, whatever shares it.
Shapes: P rows of parameters, q quantities, k observables, d parameters in `wrt`, V directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from qdiff.lang.observable import constant
from qdiff.objective.bounded import Bounded
from qdiff.objective.quantities import Mean, Quantity
from qdiff.sim.analysis import Analysis
from qdiff.sim.engines import Engines
from qdiff.sim.exact import ExactEngine, Floats, Parameters


class Chain:
    """Values and derivatives of some quantities; raises what the engine raises."""

    def __init__(self, engines: Engines, quantities: Sequence[Quantity]) -> None:
        self.engines = engines
        self.quantities = tuple(quantities)
        found = {o: None for quantity in self.quantities for o in quantity.observables}
        self.observables = tuple(found)
        place = {o: i for i, o in enumerate(self.observables)}
        self._places = [[place[o] for o in quantity.observables] for quantity in self.quantities]
        each_is_a_mean = all(isinstance(quantity, Mean) for quantity in self.quantities)
        self._plain = each_is_a_mean and len(self.observables) == len(self.quantities)

    @cached_property
    def _engine(self) -> ExactEngine:
        return self.engines.chosen

    def values(self, rows: Sequence[Parameters], engine: ExactEngine | None = None) -> Floats:
        """Return (P, q), from the engine that was chosen or another one."""
        means = (engine or self._engine).values(rows, self.observables)
        return means if self._plain else self._outer(means)

    def means(self, rows: Sequence[Parameters]) -> Floats:
        """Return the expectations that the quantities are made of, (P, k)."""
        return self._engine.values(rows, self.observables)

    def combined(self, means: Floats, slopes: Floats) -> Floats:
        """Return derivatives of the quantities, (P, q, …), from those of the expectations, (P, k, …)."""
        return slopes if self._plain else self._inner(means, slopes)

    def gradients(
        self, rows: Sequence[Parameters], wrt: Sequence[str], engine: ExactEngine | None = None
    ) -> tuple[Floats, Floats]:
        """Return (P, q) and (P, q, d)."""
        if not wrt:
            values = self.values(rows, engine)
            return values, np.zeros((*values.shape, 0))
        means, slopes = (engine or self._engine).gradients(rows, self.observables, wrt)
        if self._plain:
            return means, slopes
        return self._outer(means), self._inner(means, slopes)

    def tangents(
        self, parameters: Parameters, wrt: Sequence[str], direction: Floats
    ) -> tuple[Floats, Floats]:
        """Return (q,) and the derivatives (q,) along one direction (d,)."""
        if not wrt:
            values = self.values([parameters])[0]
            return values, np.zeros_like(values)
        means, slopes = self._engine.tangents(parameters, self.observables, wrt, direction[None, :])
        return self._outer(means[None])[0], self._inner(means[None], slopes[None])[0, :, 0]

    def curvature(
        self, parameters: Parameters, wrt: Sequence[str], directions: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return (q,), (q, d), and the Hessians times the directions (V, d), (q, V, d)."""
        if not wrt or not len(directions):
            values, slopes = self.gradients([parameters], wrt)
            return values[0], slopes[0], np.zeros((len(self.quantities), *directions.shape))
        found = self._engine.curvature(parameters, self.observables, wrt, directions)
        means, slopes, products = found.values, found.gradients, found.products
        values, gradients = self._outer(means[None])[0], self._inner(means[None], slopes[None])[0]
        along = slopes @ directions.T  # (k, V), the derivative of each expectation along each direction
        result = np.zeros((len(self.quantities), *directions.shape))
        for q, (quantity, places) in enumerate(zip(self.quantities, self._places, strict=True)):
            inner = [means[p] for p in places]
            for factor, p in zip(quantity.first(inner), places, strict=True):
                result[q] += factor * products[p]
            for (i, j), factor in quantity.second(inner).items():
                a, b = places[i], places[j]
                result[q] += factor * along[b][:, None] * slopes[a]
                if i != j:
                    result[q] += factor * along[a][:, None] * slopes[b]
        return values, gradients, result

    def _outer(self, means: Floats) -> Floats:
        """h of expectations (P, k): (P, q)."""
        columns = []
        for quantity, places in zip(self.quantities, self._places, strict=True):
            inner = [means[:, p] for p in places]
            quantity.require(inner)
            columns.append(np.maximum(quantity.value(inner), quantity.lowest))
        return np.stack(columns, axis=1)

    def _inner(self, means: Floats, slopes: Floats) -> Floats:
        """Σ_i h_i ∂m_i of slopes (P, k, …): (P, q, …)."""
        result = np.zeros((len(slopes), len(self.quantities), *slopes.shape[2:]))
        for q, (quantity, places) in enumerate(zip(self.quantities, self._places, strict=True)):
            for factor, p in zip(quantity.first([means[:, p] for p in places]), places, strict=True):
                result[:, q] += np.asarray(factor)[..., None] * slopes[:, p]
        return result

    # --- accuracy ---

    def analyze(self, parameters: Parameters, wrt: Sequence[str]) -> list[Analysis]:
        """Return the analysis of every quantity, with bounds for its value and derivatives."""
        each = [self._engine.analyze(parameters, o, wrt) for o in self.observables]
        if self._plain:
            return [self.engines.explained(analysis) for analysis in each]
        means, slopes = self._slopes(parameters, wrt)
        result = []
        for quantity, places in zip(self.quantities, self._places, strict=True):
            quantity.require([means[p : p + 1] for p in places])
            inner = [Bounded(float(means[p]), each[p].error_bound) for p in places]
            value = quantity.value(inner)
            by_name = {
                name: _gradient_error(
                    quantity, inner, [each[p] for p in places], slopes[places, column], name
                )
                for column, name in enumerate(wrt)
                if all(name in each[p].grad_error_bound for p in places)
            }
            combined = replace(each[places[0]], error_bound=value.error, grad_error_bound=by_name)
            result.append(self.engines.explained(combined))
        return result

    def counts(self, parameters: Parameters, wrt: Sequence[str] | None = None) -> Analysis:
        """Return what is known of the runs, at no more than the cost of a gradient.

        Args:
            wrt: derivatives of the probability to end whose errors are bounded, too: the bound is finite only
                where the expected number of occurrences is proved to be.
        """
        return self._engine.analyze(parameters, constant(1), wrt or (), bounds=wrt is not None)

    def _slopes(self, parameters: Parameters, wrt: Sequence[str]) -> tuple[Floats, Floats]:
        if not wrt:
            return self._engine.values([parameters], self.observables)[0], np.zeros(
                (len(self.observables), 0)
            )
        means, slopes = self._engine.gradients([parameters], self.observables, wrt)
        return means[0], slopes[0]


def _gradient_error(
    quantity: Quantity, inner: Sequence[Bounded], each: Sequence[Analysis], slopes: Floats, name: str
) -> float:
    """The error of Σ_i h_i ∂m_i, both factors with theirs."""
    total = Bounded(0.0)
    for factor, analysis, slope in zip(quantity.first(inner), each, slopes, strict=True):
        total = total + factor * Bounded(float(slope), analysis.grad_error_bound[name])
    return total.error
