"""The gradient from trajectories that carry derivatives: all parameters and observables from the same shots.

    mean of X_i = slope_i - b · score_i - Σ_k β_k S_ik

with b, β from other runs (`baselines`), so that the mean is unbiased. The shots are cut into blocks of nearly
one size; each is an estimate of its own, made by whichever worker is free, and all together are one. The
variance of X has 2n/(kurtosis - 1) degrees of freedom: where few runs make most of it, intervals are wider.
Source: the score-function estimator; for quantum trajectories `docs/architecture.md`, "The
trajectory adjoint".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import BackendError, EvaluationError
from qdiff.estimators.baselines import contributions
from qdiff.estimators.method import Estimator
from qdiff.estimators.parallel.executors import in_order
from qdiff.estimators.problem import Problem
from qdiff.estimators.problem_text import ProblemText
from qdiff.estimators.rounds import Combined, Round
from qdiff.estimators.steps import moving
from qdiff.estimators.survival import LEAST_RUNS, TOO_FEW
from qdiff.lang.tree import Case, Channel, Flip, Measure, Measured, Program, Reset
from qdiff.lang.walk import all_conditions, statements, unbounded_loops
from qdiff.sim.protocol import Gradients, Job, Prepared, TangentBackend

Floats = NDArray[np.float64]

BLOCK = 2**16
"""Shots a block at most: their rows are in memory together."""
NUMBERS = 2**24
"""A block has fewer shots where there are very many derivatives: about so many numbers in all."""
LEAST_SHOTS = 2
ROUNDING = 2e-15
"""Of a run's contribution, relative."""
LARGEST = 1e70
"""Sums of fourth powers stay finite."""
KEPT = 16
"""Problems that a worker keeps."""


@dataclass(frozen=True)
class Trajectory(Estimator):
    """Derivatives carried along by every run: all parameters from the same shots.

    Each run is compared with what the others show of its score and of its random events, which takes most of
    the noise away. It needs a backend whose runs carry derivatives (capability `tangents`).
    """

    name: ClassVar[str] = "trajectory"

    def on(self, problem: Problem) -> TrajectoryRounds:
        """See `Estimator.on`."""
        return TrajectoryRounds(problem, _with_tangents(problem))


@dataclass(frozen=True, eq=False)
class Block:
    """Runs to make: shots first … first + number - 1."""

    first: int
    number: int
    seed: int


@dataclass(frozen=True, eq=False)
class TrajectoryRounds:
    """`Trajectory` at work."""

    problem: Problem
    backend: TangentBackend

    name = "trajectory"

    @cached_property
    def moved(self) -> tuple[str, ...]:
        """The parameters on which something depends."""
        return moving(self.problem.program, self.problem.wrt)

    @property
    def least(self) -> int:
        """A baseline needs another run."""
        return LEAST_SHOTS if self.moved else 0

    @cached_property
    def prepared(self) -> Prepared:
        """The program, made ready; observables are read with the errors of the problem."""
        problem = self.problem
        errors, observables = problem.readout_errors, problem.observables
        read = [errors.observable(each) for each in observables] if errors else observables
        return self.backend.prepare_gradient(problem.program, read, problem.wrt)

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        """See `Rounds.round`."""
        size = self.problem.size
        if not self.moved:
            return Round.nothing(size)
        whole = Combined(list(self._parts(list(self._blocks(shots, seed)))))
        few = shots < LEAST_RUNS and bool(unbounded_loops(self.problem.program))
        return Round(
            whole.value,
            whole.covariance,
            whole.third,
            whole.degrees,
            shots,
            sum(each.cut for each in whole.rounds),
            exact=self.problem.exact(self.moved) | (not _draws(self.problem.program)),
            reasons=(TOO_FEW.format(runs=shots),) if few else (),
        )

    def part(self, block: Block) -> Round:
        """Run a block here."""
        job = Job(self.prepared, self.problem.params, block.number, block.seed, first=block.first)
        [found] = self.backend.run_gradients([job])
        _require_powers(found)
        x, n = contributions(found), block.number
        value = x.mean(axis=1)
        rounding = ROUNDING * np.maximum(x.max(axis=1), -x.min(axis=1))
        x -= value[:, None]
        scatter, squares = x @ x.T, x * x
        third = np.einsum("jn,jn->j", squares, x) / n**3
        second = np.diag(scatter) / n
        squares /= np.where(second > 0, second, 1.0)[:, None]  # fourth powers of tiny numbers would underflow
        kurtosis = np.where(second > 0, np.einsum("jn,jn->j", squares, squares) / n, np.inf)
        degrees = np.clip(2 * n / np.maximum(kurtosis - 1, 2 / n), 1.0, n - 1.0)
        covariance = scatter / (n * (n - 1))
        # What differs by rounding alone is known to rounding, and no better.
        covariance[np.diag_indices(len(x))] += np.where(second > 0, rounding**2, 0.0)
        return Round(value, covariance, third, degrees, n, int(found.cut.sum()))

    def _parts(self, blocks: list[Block]) -> Iterator[Round]:
        if self.problem.executor is None:
            return map(self.part, blocks)
        text = ProblemText.of(self.problem)
        return in_order(_part_of, [(text, block) for block in blocks], self.problem.executor)

    def _blocks(self, shots: int, seed: int) -> Iterator[Block]:
        """Cut shots into blocks; none has but one shot."""
        numbers = self.problem.size + len(self.problem.wrt) + 1
        largest = max(min(BLOCK, NUMBERS // numbers), 2 * LEAST_SHOTS)
        number = -(-shots // largest)
        for k in range(number):
            first, end = shots * k // number, shots * (k + 1) // number
            yield Block(first, end - first, seed)


def _with_tangents(problem: Problem) -> TangentBackend:
    """Return the backend of a problem.

    Raises:
        BackendError: its runs carry no derivatives.
    """
    backend = problem.backend
    if backend.capabilities.tangents and isinstance(backend, TangentBackend):
        return backend
    raise BackendError(
        f'Runs of backend `{backend.name}` carry no derivatives, which estimator "trajectory" needs: use '
        'backend `trajectory`, or estimator "stratified" or "insertion".'
    )


def _require_powers(found: Gradients) -> None:
    """Refuse numbers whose fourth powers are not finite.

    Raises:
        EvaluationError: what a run reads, or a derivative of it, is such a number.
    """
    for what, array in (("observable", found.values), ("derivative", found.slopes), ("score", found.scores)):
        largest, least = array.max(initial=0.0), array.min(initial=0.0)
        if not (largest <= LARGEST and least >= -LARGEST):
            fits = (np.abs(array) <= LARGEST).reshape(len(array), -1).all(axis=1)
            row = int(np.flatnonzero(~fits)[0])
            raise EvaluationError(
                f"The {what} of run {row} is too large a number: its fourth power is needed."
            )


def _draws(program: Program) -> bool:
    """Whether anything in a program is random."""
    random = Measure, Case, Reset, Channel
    return any(isinstance(each, random) for each in statements(program.body)) or any(
        isinstance(each, Measured | Flip) for each in all_conditions(program.body)
    )


@lru_cache(maxsize=KEPT)
def _rebuilt(text: ProblemText) -> TrajectoryRounds:
    """The same problem in a worker."""
    return Trajectory().on(text.rebuilt())


def _part_of(task: tuple[ProblemText, Block]) -> Round:
    text, block = task
    return _rebuilt(text).part(block)
