"""The value of an observable from shots.

    f = Σ_g E[o_g],   o_g = Σ_{terms of g} coefficient · Π counter^power · Π eigenvalue(letter, bit)

Terms that one run can read together make a group g; each group has its own shots. The mean of o_g
is over *all* shots of the group: an aborted run counts 0, and so does a run cut by the backend's
step limit, but then the estimate is biased by an unknown amount and says so.
The groups are independent, so stderr² = Σ_g s_g²/n_g with s_g² the unbiased sample variance.

Is the interval to be trusted? Something that happens with probability p is missed by all n shots
with probability (1-p)ⁿ, which exceeds 5 % where p < 3/n (the rule of three). Missing it shifts
the mean of a group by at most 3/n · spread, where spread is the width of what o_g can be. If these
shifts together exceed the standard error, the interval rests on luck. For two-valued outcomes this
is the old rule n p (1-p) ≥ 9; if all shots gave the same number, it fails unless the observable is 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError, QdiffError
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.functions import FunctionValues
from qdiff.estimators.groups import qubitwise_groups
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.lang.observable import Observable, Term
from qdiff.lang.observable_input import check_observable
from qdiff.lang.tree import Program
from qdiff.sim.protocol import Backend, Job, Outcomes, Readout
from qdiff.sim.registry import require
from qdiff.sim.seeds import checked_seed, checked_shots, derived_seed

LEAST_SHOTS = 2
RULE_OF_THREE = 3
LARGEST_VALUE = 1e140  # sums of squares stay finite
_BASIS = {"X": "X", "Y": "Y", "Z": "Z", "P0": "Z", "P1": "Z"}
_EIGENVALUES = {"X": (1, -1), "Y": (1, -1), "Z": (1, -1), "P0": (1, 0), "P1": (0, 1)}


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
    """Estimate the expectation value of an observable from shots.

    Args:
        params: the value of every parameter by element name.
        shots: shared by the groups in proportion to Σ|coefficient| (constants left out), at least two
            each.
        seed: None draws one; group g runs with a seed derived from it and g.
        readout_errors: with which the qubits are read at the end; they are simulated, not averaged.

    Returns:
        An unbiased `Estimate`, or one with bias_bound inf if runs were cut.

    Raises:
        QdiffError: an observable that is not Hermitian or names what the program does not declare,
            too few shots.
        BackendError: the backend cannot run the program; what could is listed.
        EvaluationError: something has no value when it runs.
    """
    check_observable(program, observable)
    groups = qubitwise_groups(observable) or ((),)
    seed = checked_seed(seed)
    shares = _shares(groups, checked_shots(shots))
    readouts = [_readout(group) for group in groups]
    programs = [program] * len(groups)
    if readout_errors:
        programs = [readout_errors.read(program, r.qubits, r.bases) for r in readouts]
        readouts = [Readout(r.qubits) for r in readouts]
    for run, readout in zip(programs, readouts, strict=True):
        require(backend, run, readout)
    outcomes = backend.run(
        [
            Job(backend.prepare(run, readout), params, share, derived_seed(seed, g))
            for g, (run, readout, share) in enumerate(zip(programs, readouts, shares, strict=True))
        ]
    )
    parts = [
        _summary(_values(group, program, readout, rows), group, rows)
        for group, readout, rows in zip(groups, readouts, outcomes, strict=True)
    ]
    said = dict.fromkeys(rows.note for rows in outcomes if rows.note)
    return replace(_combined(parts, sum(shares), seed), note="; ".join(said))


@dataclass(frozen=True)
class _Summary:
    """What one group contributes: mean, variance of the mean, and what chance may have hidden."""

    mean: float
    variance: float
    shift: float
    shots: int
    cut: int


def _shares(groups: Sequence[Sequence[Term]], shots: int) -> list[int]:
    """Split any number of shots: LEAST_SHOTS for each group, the rest so that totals follow the weights."""
    least = LEAST_SHOTS * len(groups)
    if shots < least:
        if len(groups) == 1:
            raise QdiffError(f"One shot is too few for a standard error. Use at least {least} shots.")
        raise QdiffError(
            f"{shots} shots are too few: the observable is read in {len(groups)} groups of terms, each "
            f"measured on its own at least {LEAST_SHOTS} times. Use at least {least} shots."
        )
    weights = [sum(map(_weight, group), Fraction(0)) for group in groups]
    if not any(weights):
        weights = [Fraction(1)] * len(groups)
    total = sum(weights, Fraction(0))
    wanted = [max(shots * weight / total - LEAST_SHOTS, Fraction(0)) for weight in weights]
    rest = shots - least
    scale = rest / sum(wanted, Fraction(0)) if rest else Fraction(0)
    exact = [scale * one for one in wanted]
    extra = [math.floor(one) for one in exact]
    largest_remainders = sorted(range(len(groups)), key=lambda g: extra[g] - exact[g])
    for g in largest_remainders[: rest - sum(extra)]:
        extra[g] += 1
    return [LEAST_SHOTS + more for more in extra]


def _weight(term: Term) -> Fraction:
    """|coefficient|; 0 for a constant, which needs no shots of its own."""
    return Fraction(abs(term.coefficient) if term.operators or term.read else 0)


def _readout(group: Sequence[Term]) -> Readout:
    """The one basis in which a group is measured, qubit by qubit."""
    bases: dict[str, str] = {}
    for term in group:
        bases.update((qubit, _BASIS[letter]) for qubit, letter in term.operators)
    return Readout(tuple(bases), "".join(bases.values()))


def _values(
    group: Sequence[Term], program: Program, readout: Readout, outcomes: Outcomes
) -> NDArray[np.float64]:
    """Return float (rows,): o_g of every row, 0 where the run did not come to its end."""
    values = np.zeros(len(outcomes.aborted))
    functions = FunctionValues(program, outcomes)
    with np.errstate(over="ignore", invalid="ignore"):
        for term in group:
            rows, factor = functions.of(term)
            for name, power in term.counters:
                factor *= outcomes.counters[rows, program.counters.index(name)].astype(float) ** power
            for qubit, letter in term.operators:
                bits = outcomes.bits[rows, readout.qubits.index(qubit)]
                factor *= np.array(_EIGENVALUES[letter], dtype=float)[bits]
            # A Hermitian observable is the sum of the real parts: the imaginary ones add up to 0.
            values[rows] += complex(term.coefficient).real * factor
    large = np.flatnonzero(~(np.abs(values) <= LARGEST_VALUE))
    if len(large):
        row = int(large[0])
        store = dict(zip(program.counters, outcomes.counters[row].tolist(), strict=True))
        raise EvaluationError(f"The observable is too large a number where a run ended with {store}.")
    return values


def _summary(values: NDArray[np.float64], group: Sequence[Term], outcomes: Outcomes) -> _Summary:
    weights = outcomes.weights
    shots = outcomes.shots
    around = values - values[0]  # equal values have exactly this mean and no variance
    mean = float(weights @ around) / shots
    variance = float(weights @ (around - mean) ** 2) / (shots - 1)
    shift = RULE_OF_THREE / shots * _spread(values, group)
    return _Summary(float(values[0]) + mean, variance / shots, shift, shots, int(weights @ outcomes.cut))


def _spread(values: NDArray[np.float64], group: Sequence[Term]) -> float:
    """The width of what the group can be, 0 for aborted runs included.

    Without counters it is bounded by the coefficients; with counters there is no bound, and the
    width of what was seen has to stand for it.
    """
    if any(term.read for term in group):
        return float(max(values.max(), 0) - min(values.min(), 0))
    low = high = 0.0
    for term in group:
        coefficient = complex(term.coefficient).real
        signed = any(min(_EIGENVALUES[letter]) < 0 for _, letter in term.operators)
        high += abs(coefficient) if signed else max(coefficient, 0)
        low -= abs(coefficient) if signed else max(-coefficient, 0)
    return high - low


def _combined(parts: Sequence[_Summary], shots: int, seed: int) -> Estimate:
    stderr = math.sqrt(math.fsum(part.variance for part in parts))
    shift = math.sqrt(math.fsum(part.shift**2 for part in parts))
    cut = sum(part.cut for part in parts)
    reasons = []
    if cut:
        reasons.append(
            f"{cut} of {shots} runs were cut by the backend's step limit and count 0; "
            "what they would have given is unknown"
        )
    if shift > stderr:
        seen = "all shots gave the same number" if stderr == 0 else "the shots are too few or too alike"
        reasons.append(
            f"{seen}: an outcome that none of them showed could move the value by {shift:.2g}, "
            f"more than the standard error {stderr:.2g}"
        )
    return Estimate(
        value=math.fsum(part.mean for part in parts),
        stderr=stderr,
        shots=shots,
        seed=seed,
        estimator="shots",
        bias_bound=math.inf if cut else 0.0,
        degrees=_degrees(parts),
        reason="; ".join(reasons),
    )


def _degrees(parts: Sequence[_Summary]) -> float:
    """Welch and Satterthwaite: (Σ v_g)² / Σ v_g²/(n_g - 1), v_g the variances of the means."""
    largest = max(part.variance for part in parts)
    if largest == 0:
        return math.inf
    relative = [part.variance / largest for part in parts]  # squares of tiny variances would underflow
    spread = math.fsum(v * v / (part.shots - 1) for v, part in zip(relative, parts, strict=True))
    return math.fsum(relative) ** 2 / spread
