"""Proved bounds of the derivatives of an objective, by each of its parameters."""

from __future__ import annotations

from qdiff.errors import ParameterError
from qdiff.lang.parameters import resolve
from qdiff.objective import Objective
from qdiff.objective.quantities import Mean
from qdiff.sim.derivative_bounds import DerivativeBounds, counting
from qdiff.sim.derivative_bounds import derivative_bounds as bounds_by


def derivative_bounds(f: Objective, params: object = None, wrt: object = None) -> dict[str, DerivativeBounds]:
    """Return proved bounds of |∂ᵐf/∂θᵐ| for every parameter θ in `wrt`.

    With E[N] the expected number of primitives that contain θ, w the largest expected number still to
    come, and Ω their frequency, |∂f| ≤ ‖O‖ Ω E[N] and |∂²f| ≤ ‖O‖ Ω² E[N] (1 + 2w) where angles are
    affine in θ; see `qdiff.sim.majorants` for the others.

    Args:
        f: the expectation of one observable.
        params, wrt: as for `f.grad` (angles in radians).

    Returns:
        For each parameter `.first`, `.second`, `.order(m)`; `.shift_bias(h)`, a bound of the error of
        (f(θ+h) - f(θ-h))/2h; `.reason` where a bound is inf.

    Raises:
        ParameterError: values missing, unknown, not finite; a parameter that occurs in a comparison.
        ResourceError: the exact states do not fit in memory.
        QdiffError: the engine of f, handed in as an object, and no other can count occurrences.

    Example:
        >>> import qdiff as qd
        >>> f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]; Ry(2*t)[q]"), "Z[q]")
        >>> bounds = qd.derivative_bounds(f, [0.3])["t"]
        >>> round(bounds.first, 3), bool(abs(f.grad([0.3])[0]) <= bounds.first)
        (4.0, True)
    """
    if not isinstance(f, Objective) or not isinstance(f.quantity, Mean):
        raise ParameterError(f"The bounds are of the expectation of one observable, such as f[0]; got {f!r}.")
    values = resolve(f.program, params)
    engine, [observable] = counting(f.engines), f.chain.observables
    return {name: bounds_by(engine, values, observable, name) for name in f.differentiated(wrt)}
