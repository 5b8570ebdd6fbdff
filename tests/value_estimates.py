"""Expectation values from shots, below the objective."""

from __future__ import annotations

from collections.abc import Mapping

from qdiff.estimators.budgets import Budget
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.expectation import estimate_values
from qdiff.estimators.problem import Problem
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.protocol import Backend


def estimate_expectation(
    backend: Backend,
    program: Program,
    observable: Observable,
    params: Mapping[str, float],
    shots: int,
    seed: int | None = None,
    *,
    readout_errors: ReadoutErrors | None = None,
) -> Estimate:
    """The expectation of one observable on any backend, from so many shots."""
    problem = Problem(backend, program, (observable,), params, (), readout_errors)
    return estimate_values(problem, Budget(shots), seed, ())
