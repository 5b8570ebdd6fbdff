"""What a gradient to some precision will cost, said beforehand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qdiff.errors import QdiffError
from qdiff.estimators.budgets import UNTHINKABLE, Budget
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.forecast import forecast
from qdiff.estimators.method import Estimator
from qdiff.objective.arguments import differentiated
from qdiff.objective.sampled import Sampled
from qdiff.objective.shots import gradient_rounds
from qdiff.sim.exact import Floats
from qdiff.sim.protocol import Backend

SHOWN = 12


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """A prediction. Made by `qd.plan`.

    Attributes:
        precision: the largest standard error that is wanted.
        estimator: the name of the method.
        shots: that it will take in all, about; none of `spent` is counted in.
        seconds: that they will take here, roughly: a few shots tell little of the time of many.
        by_parameter: parameter → the shots after which its own standard errors should be small enough, all
            others estimated beside it. The largest number belongs to the expensive one.
        spent: shots that this prediction took. stderr: float (d,) or (k, d), after them. seed: repeats it.
        reason: why the prediction is rough, or "".
        estimate: what they gave. Handed to `f.estimate_grad` as `warm` it saves a pilot.
    """

    precision: float
    estimator: str
    shots: int
    seconds: float
    by_parameter: Mapping[str, int]
    estimate: Estimate

    @property
    def spent(self) -> int:
        """Shots that this prediction took."""
        return self.estimate.shots

    @property
    def seed(self) -> int:
        """Repeats it."""
        return self.estimate.seed

    @property
    def stderr(self) -> Floats:
        """float (d,) or (k, d), after the shots that were spent."""
        return np.asarray(self.estimate.stderr)

    @property
    def reason(self) -> str:
        """Why the prediction is rough, or ""."""
        return self.estimate.reason

    def __str__(self) -> str:
        most = _shots(self.shots)
        if 0 < self.shots < UNTHINKABLE:
            most = f"about {most} and {_time(self.seconds)}"
        lines = [
            f'A standard error of {self.precision:g} by "{self.estimator}" takes {most} '
            f"({self.spent} shots were spent on this, seed {self.seed}):"
        ]
        costs = sorted(self.by_parameter.items(), key=lambda item: -item[1])
        width = max((len(name) for name, _ in costs[:SHOWN]), default=0)
        lines += [f"    {name:<{width}}  {_shots(shots)}" for name, shots in costs[:SHOWN]]
        if len(costs) > SHOWN:
            lines.append(f"    and {len(costs) - SHOWN} more parameters")
        bias = float(np.max(self.estimate.bias_bound))
        if bias:
            known = f"at most {bias:.2g}" if math.isfinite(bias) else "of unknown size"
            lines.append(f"There is a bias besides, {known}.")
        if self.reason:
            lines.append(f"The prediction is rough: {self.reason}.")
        return "\n".join(lines)

    __repr__ = __str__


def plan(
    f: Sampled,
    params: object = None,
    wrt: object = None,
    *,
    precision: float,
    estimator: str | Estimator = "stratified",
    seed: int | None = None,
    backend: str | Backend | None = None,
    mu: str | None = None,
    assume_finite: bool = False,
    shots: int = 2000,
) -> Plan:
    """Predict what derivatives to a precision will cost: `f.estimate_grad(…, precision=…)`.

        shots ≈ n (s/precision)²,     s the largest standard error after n shots

    Args:
        f: an objective; of a vector the cost of `f.estimate_jacobian`.
        precision: the largest standard error that is wanted.
        shots: that are spent on the prediction, in rounds: one to learn how to share out shots, others to
            see what shots are then worth, and how long they take. From more of them it is closer.

    The other arguments are those of `f.estimate_grad`.

    Raises:
        QdiffError: no objective, a precision or a number of shots that is not positive, too few shots; and as
            `f.estimate_grad`.
        ParameterError, EvaluationError, BackendError: as of `f.estimate_grad`.

    Example:
        >>> import qdiff as qd
        >>> program = qd.parse("qubit: q  para: t, u  Ry(t)[q]; while M[q] = 1 do Ry(t)[q]; Rz(u)[q] od")
        >>> found = qd.plan(qd.expectation(program, "X[q]"), [1.5, 0.5], precision=0.01, seed=7)
        >>> found.spent, found.shots > 2000, sorted(found.by_parameter)
        (2000, True, ['t', 'u'])
    """
    if not isinstance(f, Sampled):
        raise QdiffError(f"A plan is for an objective, qd.expectation(program, observable); got {f!r}.")
    budget = Budget(shots, precision)
    names = differentiated(f.program, wrt)
    rounds = gradient_rounds(
        f,
        params,
        names,
        estimator=estimator,
        mu=mu,
        backend=backend,
        executor=None,
        assume_finite=assume_finite,
    )
    shape = (*f.shape, len(names))
    found = forecast(rounds, float(precision), budget.most, seed, shape)
    each = found.needed.reshape(math.prod(f.shape), len(names)).max(axis=0, initial=0.0).tolist()
    needed = [math.ceil(shots) for shots in each]
    total = max(max(needed, default=0), found.least)
    by_parameter = dict(zip(names, needed, strict=True))
    return Plan(float(precision), rounds.name, total, found.seconds(total), by_parameter, found.estimate)


def _shots(number: int) -> str:
    if number >= UNTHINKABLE:
        return "more shots than anyone can make"
    if number == 1:
        return "1 shot"
    return f"{_rounded(number)} shots" if number else "no shots"


def _rounded(number: int) -> str:
    """Two digits: a prediction has no more."""
    digits = len(str(number)) - 2
    return str(round(number, -digits)) if digits > 0 else str(number)


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = seconds / 60
    return f"{minutes:.2g} min" if minutes < 100 else f"{_rounded(round(minutes / 60))} h"
