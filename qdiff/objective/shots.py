"""Estimates from shots: what the calls of objectives hand to the estimators.

What an estimator must know of a program besides its derivative programs is found here: proved bounds, and
whether the expected number of occurrences is finite, without which the sum over them need not converge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from qdiff.errors import BackendError, EvaluationError, QdiffError, ResourceError, listed
from qdiff.estimators.budgets import LARGEST_ROUND, Budget, spend
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.expectation import estimate_values
from qdiff.estimators.method import checked_truth
from qdiff.estimators.methods import estimator_of
from qdiff.estimators.problem import Problem, ShiftBounds
from qdiff.estimators.rounds import Rounds
from qdiff.lang.matrix_observable import in_letters
from qdiff.lang.parameters import resolve
from qdiff.lang.walk import differentiable_expressions, unbounded_loops
from qdiff.objective.chain import Chain
from qdiff.objective.quantities import Mean, Quantity
from qdiff.sim.protocol import Backend, Readout, TangentBackend
from qdiff.sim.registry import DEFAULT, find_backend, require

KEPT = 64
"""Answers that are kept: the same parameters are asked for again and again."""

if TYPE_CHECKING:
    from qdiff.lang.observable import Observable
    from qdiff.objective.sampled import Sampled
    from qdiff.sim.engines import Engines


def require_mean(quantity: Quantity) -> None:
    """Refuse what no shot shows.

    Raises:
        QdiffError: a variance or a conditional expectation.
    """
    if not isinstance(quantity, Mean):
        parts = " and ".join(f'qd.expectation(program, "{o}")' for o in quantity.observables)
        raise QdiffError(
            f"{quantity.text} is not the mean of anything that a shot shows. Estimate its parts, "
            f"{parts}, or take the exact value."
        )


def problem_of(
    f: Sampled,
    quantities: Sequence[Quantity],
    values: Mapping[str, float],
    wrt: tuple[str, ...],
    backend: str | Backend | None,
    executor: Executor | None,
) -> Problem:
    """Return what is to be estimated; the observables are read with the errors of the objective."""
    for quantity in quantities:
        require_mean(quantity)

    def bounds(observable: int, parameter: str) -> ShiftBounds:
        [read] = quantities[observable].observables
        found = _bounds(f.engines, tuple(values.items()), read, parameter)
        if isinstance(found, QdiffError):
            raise found
        return found

    return Problem(
        backend=find_backend(backend),
        program=f.program,
        observables=tuple([in_letters(quantity.observable) for quantity in quantities]),
        params=values,
        wrt=wrt,
        readout_errors=quantities[0].readout,
        backend_name=(backend or DEFAULT) if backend is None or isinstance(backend, str) else None,
        executor=executor,
        bounds=bounds,
    )


@lru_cache(maxsize=KEPT)
def _bounds(
    engines: Engines, values: tuple[tuple[str, float], ...], read: Observable, parameter: str
) -> ShiftBounds | QdiffError:
    """Return bounds, or why there are none: to find that takes as long."""
    from qdiff.sim.derivative_bounds import counting, derivative_bounds

    try:
        return derivative_bounds(counting(engines), dict(values), read, parameter)
    except QdiffError as error:
        return error


def estimate_value(
    f: Sampled,
    params: object,
    budget: Budget,
    *,
    seed: int | None,
    backend: str | Backend | None,
    executor: Executor | None,
) -> Estimate:
    """Estimate values; see `Sampled.estimate`."""
    problem = problem_of(f, f.quantities, resolve(f.program, params), (), backend, executor)
    return estimate_values(problem, budget, seed, f.shape)


def estimate_gradient(
    f: Sampled,
    params: object,
    wrt: tuple[str, ...],
    budget: Budget,
    *,
    seed: int | None,
    estimator: object,
    mu: str | None,
    backend: str | Backend | None,
    executor: Executor | None,
    assume_finite: bool,
    warm: Estimate | None,
) -> Estimate:
    """Estimate derivatives; see `Objective.estimate_grad`."""
    rounds = gradient_rounds(
        f,
        params,
        wrt,
        estimator=estimator,
        mu=mu,
        backend=backend,
        executor=executor,
        assume_finite=assume_finite,
    )
    shape = (*f.shape, len(wrt))
    learned = _learned(warm, rounds.name, shape)
    return spend(rounds, budget, seed, shape, learned, largest=LARGEST_ROUND)


def gradient_rounds(
    f: Sampled,
    params: object,
    wrt: tuple[str, ...],
    *,
    estimator: object,
    mu: str | None,
    backend: str | Backend | None,
    executor: Executor | None,
    assume_finite: bool,
) -> Rounds:
    """Return an estimator at work on derivatives, which may be infinite sums only if they converge."""
    chosen = estimator_of(estimator, mu)
    checked_truth("assume_finite", assume_finite)
    values = resolve(f.program, params)
    problem = problem_of(f, f.quantities, values, wrt, backend, executor)
    rounds = chosen.on(problem)
    if not assume_finite:
        if chosen.sums_occurrences:
            require_finite(f, values, wrt)
        require_ending(f, values)
    require_served(problem, rounds)
    return rounds


def require_served(problem: Problem, rounds: Rounds) -> None:
    """Refuse a backend that cannot run what an estimator runs.

    Raises:
        BackendError: it cannot; where it runs the program itself, the estimators that it serves are named.
    """
    try:
        _ = rounds.least  # prepares the derivative programs
    except BackendError as error:
        served = _served(problem)
        if not served:
            raise
        raise BackendError(
            f'Estimator "{rounds.name}" runs derivative programs, which need more than the program itself. '
            f"{error} Estimators of first derivatives that `{problem.backend.name}` serves: {listed(served)}."
        ) from error


def _served(problem: Problem) -> list[str]:
    """The estimators that run nothing but the program; none where the backend cannot run it."""
    backend = problem.backend
    try:
        require(backend, problem.program, Readout())
    except BackendError:
        return []
    able = backend.capabilities.tangents and backend.capabilities.expectations
    return [*(["trajectory"] if able and isinstance(backend, TangentBackend) else []), "finite-shift", "spsa"]


def require_finite(f: Sampled, values: Mapping[str, float], wrt: Sequence[str]) -> None:
    """Refuse derivatives whose sum over occurrences is not proved to converge.

    A parameter that is in no loop without a bound, and in no expression that reads counters, has finitely
    many occurrences with bounded weights, whatever loops do; without such loops every parameter has.

    Raises:
        QdiffError: the expected number of occurrences is infinite, or could not be proved to be finite.
    """
    loops = unbounded_loops(f.program)
    if not loops:
        return
    within = {e for loop in loops for e in differentiable_expressions((loop,))}
    reading = {e for e in differentiable_expressions(f.program.body) if e.counters()}
    unsure = {name for e in within | reading for name in e.parameters()}
    asked = tuple(name for name in wrt if name in unsure)
    if asked:
        problem = _not_finite(f.chain, tuple(values.items()), asked)
        if problem:
            raise QdiffError(problem)


def require_ending(f: Sampled, values: Mapping[str, float]) -> None:
    """Refuse programs some of whose runs never end: each would take all the steps that a backend allows.

    Raises:
        QdiffError: it is known of some runs.
    """
    if unbounded_loops(f.program) and (never := _trapped(f.chain, tuple(values.items()))):
        raise QdiffError(
            f"A run never ends with probability {never:.3g}: backends cut it at their step limit, after long "
            "times, and what it would have given is unknown. An exact gradient (f.grad) may exist. "
            "assume_finite=True makes the runs all the same."
        )


@lru_cache(maxsize=KEPT)
def _trapped(chain: Chain, values: tuple[tuple[str, float], ...]) -> float:
    """The probability that a run never ends; 0 where nothing is known."""
    try:
        return chain.counts(dict(values)).trapped_probability
    except (EvaluationError, ResourceError):
        return 0.0


@lru_cache(maxsize=KEPT)
def _not_finite(chain: Chain, values: tuple[tuple[str, float], ...], wrt: tuple[str, ...]) -> str:
    """Why the expected number of occurrences is not known to be finite, "" where it is."""
    params = dict(values)
    could_not = (
        "Could not prove that a run executes finitely many primitives with {} on average, without which the "
        "sum over them need not converge: {} If you know that it is finite, say assume_finite=True."
    )
    try:
        found = chain.counts(params)
        met = [name for name in wrt if found.occurrences.get(name, 0.0)]
        for name in met:
            if math.isinf(found.occurrences[name]):
                return (
                    f"The expected number of primitives with `{name}` that a run executes is infinite: a run "
                    f"never ends with probability {found.trapped_probability:.3g}. The sum over occurrences "
                    "does not converge; an exact gradient (f.grad) may exist."
                )
        if met and found.outside_probability:  # counters without end: what was left out has to be bounded
            bounds = chain.counts(params, met).grad_error_bound
            for name in met:
                if math.isinf(bounds[name]):
                    why = (
                        f"counters take infinitely many values, and runs with probability "
                        f"{found.outside_probability:.2g} were not followed."
                    )
                    return could_not.format(f"`{name}`", why)
    except (EvaluationError, ResourceError) as error:
        return could_not.format(" or ".join(f"`{name}`" for name in wrt), error.problem)
    return ""


def _learned(warm: Estimate | None, name: str, shape: tuple[int, ...]) -> object:
    if warm is None:
        return None
    if not isinstance(warm, Estimate):
        raise QdiffError(f"warm is an earlier Estimate of the same derivatives, got {warm!r}.")
    if warm.estimator != name:
        raise QdiffError(
            f'warm is an estimate by "{warm.estimator}", which taught nothing that "{name}" can use.'
        )
    if np.shape(warm.value) != shape:
        raise QdiffError(
            f"warm is an estimate of derivatives of shape {np.shape(warm.value)}, where {shape} are wanted: "
            "it has learned nothing about these."
        )
    return warm.learned
