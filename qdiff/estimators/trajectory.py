"""The gradient from trajectories that carry derivatives: all parameters from the same shots.

    X_i = slopes_i - b_i · scores_i,     b_i = Σ_{j≠i} values_j / (n - 1)

X is unbiased: slopes - b·scores is for every b that does not know the run, and b_i, the mean of the *other*
runs, does not. It takes most of the noise away, as the score is what the value is multiplied with. In moments
of (value v, slope s, score c),

    mean X = s̄ - v̄ c̄ + M_vc/(n (n-1)),      variance ≈ Var(s - v̄ c)/n,

so one pass over the shots will do, whatever their number. Where long runs are rare and count much, few shots
see too little of them, and the interval of a few hundred is too short. Source: the score-function estimator
with a leave-one-out baseline (Kool, van Hoof and Welling, 2019); for quantum trajectories
`docs/architecture.md`, "The trajectory adjoint".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from qdiff.errors import BackendError, QdiffError
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.moments import Moments
from qdiff.lang.observable import Observable
from qdiff.lang.observable_input import check_observable
from qdiff.lang.tree import Program
from qdiff.sim.protocol import Backend, Job, TangentBackend
from qdiff.sim.seeds import checked_seed, checked_shots

BLOCK = 2**16
"""Shots a job: their rows are in memory together."""
LEAST_SHOTS = 2


def estimate_gradient(
    backend: Backend,
    program: Program,
    observable: Observable,
    params: Mapping[str, float],
    wrt: Sequence[str],
    shots: int,
    seed: int | None = None,
) -> Estimate:
    """Estimate the derivatives of an expectation by the parameters `wrt`.

    Args:
        params: the value of every parameter by element name.
        shots: at least two. seed: None draws one.

    Returns:
        An `Estimate` of float64 (len(wrt),), unbiased, or with bias_bound inf if runs were cut.

    Raises:
        BackendError: the backend's runs carry no derivatives.
        QdiffError: an observable that is not Hermitian or names what the program does not declare, too few
            shots.
        ParameterError: no parameter of the program, or one that occurs in a comparison.
        EvaluationError: something has no value or no derivative when it runs, or a choice that is certain has
            a probability that changes.
    """
    check_observable(program, observable)
    if not (backend.capabilities.tangents and isinstance(backend, TangentBackend)):
        raise BackendError(
            f'Runs of backend `{backend.name}` carry no derivatives, which estimator "trajectory" needs: use '
            "backend `trajectory`."
        )
    seed, total = checked_seed(seed), checked_shots(shots)
    if total < LEAST_SHOTS:
        raise QdiffError(f"One shot is too few for a standard error. Use at least {LEAST_SHOTS} shots.")
    prepared = backend.prepare_gradient(program, [observable], wrt)
    moments, cut = Moments.none(1 + 2 * len(wrt)), 0
    for first in range(0, total, BLOCK):
        job = Job(prepared, params, min(BLOCK, total - first), seed, first=first)
        [found] = backend.run_gradients([job])
        moments += Moments.of(np.hstack([found.values, found.slopes[:, 0], found.scores]))
        cut += int(found.cut.sum())
    return _estimate(moments, len(wrt), seed, cut)


def _estimate(moments: Moments, names: int, seed: int, cut: int) -> Estimate:
    number, value = moments.number, moments.mean[0]
    slope, score = moments.mean[1 : 1 + names], moments.mean[1 + names :]
    paired = moments.scatter[0, 1 + names :] / (number * (number - 1))
    combine = np.hstack([np.zeros((names, 1)), np.eye(names), -value * np.eye(names)])
    covariance = combine @ moments.covariance @ combine.T / number
    reason = (
        f"{cut} of {number} runs were cut by the backend's step limit and count 0; "
        "what they would have given is unknown"
        if cut
        else ""
    )
    return Estimate(
        value=slope - value * score + paired,
        stderr=np.sqrt(np.maximum(np.diag(covariance), 0.0)),
        shots=number,
        seed=seed,
        estimator="trajectory",
        bias_bound=math.inf if cut else 0.0,
        degrees=float(number - 1),
        reason=reason,
    )
