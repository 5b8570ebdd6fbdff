"""Hessians and their products with vectors from shots: what the calls of objectives hand to the estimator."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qdiff.errors import ParameterError, ResourceError
from qdiff.estimators.budgets import LARGEST_ROUND, Budget, spend
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.method import checked_truth
from qdiff.estimators.second_order.entries import Entry, entries_of_hessian, entries_of_product
from qdiff.estimators.second_order.rounds import SecondOrderRounds
from qdiff.lang.parameters import resolve
from qdiff.objective.shots import problem_of, require_finite, require_served
from qdiff.rules.registry import checked_name
from qdiff.sim.exact import Floats
from qdiff.sim.protocol import Backend

if TYPE_CHECKING:
    from qdiff.objective.sampled import Sampled

MOST_PARAMETERS = 50
"""Of an estimated Hessian: the covariance of its d² numbers has d⁴."""
LARGEST_ENTRY = 1e60
"""Of a direction: fourth powers of its entries must be numbers."""


def estimate_second(
    f: Sampled,
    params: object,
    wrt: tuple[str, ...],
    v: Floats | None,
    budget: Budget,
    *,
    seed: int | None,
    rule: str,
    backend: str | Backend | None,
    executor: Executor | None,
    assume_finite: bool,
) -> Estimate:
    """Estimate a Hessian, or its product with v where one is given; see `Objective.estimate_hessian`."""
    checked_name(rule)
    checked_truth("assume_finite", assume_finite)
    d = len(wrt)
    entries: tuple[Entry, ...]
    shape: tuple[int, ...]
    if v is None:
        if d > MOST_PARAMETERS:
            raise ResourceError(
                f"A Hessian by {d} parameters has {d * (d + 1) // 2} entries with runs of their own, and a "
                f"covariance with {d**4} numbers; {MOST_PARAMETERS} parameters are the most. Name some with "
                "wrt=, or take f.estimate_hvp(params, v)."
            )
        entries, shape = entries_of_hessian(wrt), (d, d)
    else:
        _require_moderate(v, wrt)
        entries, shape = entries_of_product(wrt, v.tolist()), (d,)
    values = resolve(f.program, params)
    problem = problem_of(f, f.quantities, values, wrt, backend, executor)
    rounds = SecondOrderRounds(problem, entries, int(np.prod(shape)), rule)
    if not assume_finite:
        require_finite(f, values, tuple(dict.fromkeys(name for entry in entries for name in entry.wrt)))
    require_served(problem, rounds)
    # What was learned is of these numbers of shots and parameters: later estimates learn it again.
    return replace(spend(rounds, budget, seed, shape, largest=LARGEST_ROUND), learned=None)


def _require_moderate(v: Floats, wrt: tuple[str, ...]) -> None:
    for name, entry in zip(wrt, v.tolist(), strict=True):
        if abs(entry) > LARGEST_ENTRY:
            raise ParameterError(
                f"The direction v: its entry for `{name}` is {entry:g}, too large for standard errors; "
                f"{LARGEST_ENTRY:g} is the most. The product is linear in v: scale v, and then the result."
            )
