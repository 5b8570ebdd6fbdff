"""Training from shots: what an evaluation spends, from which seeds, and what it learns from the one before.

    gradient:  seed (s, i),     most of the shots          s: the run's seed
    value:     seed (s, i, 1),  a tenth of them            i = 0, 1, … counts the evaluations

Everything is a function of the run's settings and of what its log holds, so a resumed run is the same bit
for bit. Given the past, both are unbiased: evaluations share no random numbers, and one may use what the one
before learned of sharing out shots. With common random numbers i is 0 everywhere: the run then follows one
fixed random landscape, on which differences are less noisy than values. What an evaluation learned knows the
random numbers of the next one then, and is not used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qdiff.errors import TrainingError
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.expectation import LEAST_SHOTS
from qdiff.estimators.groups import shared_groups
from qdiff.estimators.memories import memory_from_json, memory_to_json
from qdiff.estimators.method import Estimator
from qdiff.estimators.methods import estimator_of
from qdiff.objective import Objective, VectorObjective
from qdiff.objective.shots import problem_of
from qdiff.sim.protocol import Backend
from qdiff.sim.registry import find_backend
from qdiff.sim.seeds import checked_seed, checked_shots, derived_seed
from qdiff.train.evaluation import Evaluation, Sampled
from qdiff.train.optimizers import Optimizer, known_optimizers, optimizer_class
from qdiff.train.variables import Variables, Vector

if TYPE_CHECKING:
    from qdiff.train.header import Header

DEFAULT_ESTIMATOR = "stratified"
VALUE_SHARE = 10
"""One shot in ten goes to the value, which no optimiser needs: it costs the gradient 5 % of its error."""


@dataclass(frozen=True)
class ShotOptions:
    """How a run estimates, as `minimize` takes it; shots is None where it is exact."""

    shots: int | None = None
    estimator: str | Estimator = DEFAULT_ESTIMATOR
    seed: int | None = None
    backend: str | Backend | None = None
    common_random_numbers: bool = False
    assume_finite: bool = False

    def refuse_for_exact(self) -> None:
        """Refuse what means nothing without shots.

        Raises:
            TrainingError: it names the option.
        """
        exact = ShotOptions()
        for name in ("estimator", "seed", "backend", "common_random_numbers", "assume_finite"):
            if getattr(self, name) != getattr(exact, name):
                raise TrainingError(f"{name}= belongs to shots=: without it values and gradients are exact.")

    def oracle(self, f: object, variables: Variables, optimizer: Optimizer) -> ShotOracle:
        """Return the objective as a run sees it; nothing is run.

        Raises:
            TrainingError: no objective of one observable, an optimiser that needs exact values, too few
                shots.
            QdiffError: numbers out of range, an unknown estimator or backend, one that cannot serve the
                other.
        """
        f = sampled_objective(f)
        if optimizer.needs_exact:
            able = [name for name in known_optimizers() if not optimizer_class(name).needs_exact]
            raise TrainingError(
                f"Optimizer `{optimizer.name}` searches along lines, where it needs exact values: train with "
                f"{' or '.join(able)}, or leave out shots=."
            )
        shots, estimator = checked_shots(self.shots), estimator_of(self.estimator)
        names = f.differentiated(list(variables.names))
        values = variables.params(variables.start)
        problem = problem_of(f, [f.quantity], values, names, self.backend, None)
        for_grad = max(estimator.on(problem).least, 1)
        for_value = LEAST_SHOTS * max(len(shared_groups([f.observable])), 1)
        if shots < for_value + for_grad:
            few = "1 shot is" if shots == 1 else f"{shots} shots are"
            raise TrainingError(
                f"{few} too few for an evaluation: the value takes at least {for_value}, the gradient by "
                f'"{estimator.name}" {for_grad}. '
                f"Use shots={for_value + for_grad} or more."
            )
        return ShotOracle(
            f,
            variables,
            replace(self, shots=shots, estimator=estimator),
            seed=checked_seed(self.seed),
            value_shots=min(max(shots // VALUE_SHARE, for_value), shots - for_grad),
        )


@dataclass(frozen=True, eq=False)
class ShotOracle:
    """Estimates of value and gradient.

    Attributes:
        options: with the number of shots and the estimator as an object.
        seed: of the run. value_shots: of the shots of an evaluation, those for the value.
    """

    objective: Objective
    variables: Variables
    options: ShotOptions
    seed: int
    value_shots: int

    @property
    def header(self) -> Header:
        """What identifies the run besides the rest of its log's header."""
        return {
            "shots": self.options.shots,
            "estimator": repr(self.options.estimator),
            "backend": find_backend(self.options.backend).name,
            "common_random_numbers": bool(self.options.common_random_numbers),
            "seed": self.seed,
        }

    @property
    def estimator(self) -> Estimator:
        """The estimator of the gradient."""
        assert isinstance(self.options.estimator, Estimator)
        return self.options.estimator

    def seeded(self, seed: object) -> ShotOracle:
        """Return the same with the seed of a log."""
        return replace(self, seed=checked_seed(seed))

    def __call__(self, x: Vector, number: int, before: Evaluation | None) -> Sampled:
        """Return estimates at x (d,).

        Args:
            number: of the evaluation. before: the evaluation before, if there is one.
        """
        options, params = self.options, self.variables.params(x)
        assert options.shots is not None
        common = options.common_random_numbers
        place = 0 if common else number
        value = self.objective.estimate(
            params,
            shots=self.value_shots,
            seed=derived_seed(self.seed, place, 1),
            backend=options.backend,
        )
        grad = self.objective.estimate_grad(
            params,
            wrt=list(self.variables.names),
            shots=options.shots - self.value_shots,
            seed=derived_seed(self.seed, place),
            estimator=self.estimator,
            backend=options.backend,
            assume_finite=options.assume_finite,
            warm=None if common or before is None else self._estimate(before, number - 1),
        )
        return Sampled(value, grad, memory_to_json(self.estimator, grad.learned))

    def _estimate(self, before: Evaluation, number: int) -> Estimate | None:
        """The estimate of an earlier gradient, from what the log holds; None where it learned nothing."""
        if before.learned is None or before.grad_stderr is None or before.shots is None:
            return None
        return Estimate(
            value=before.grad,
            stderr=before.grad_stderr,
            shots=before.shots - self.value_shots,
            seed=derived_seed(self.seed, number),
            estimator=self.estimator.name,
            learned=memory_from_json(self.estimator, before.learned),
        )


def sampled_objective(f: Any) -> Objective:
    """Return f.

    Raises:
        TrainingError: it is no objective of one observable.
    """
    if isinstance(f, Objective):
        return f
    if isinstance(f, VectorObjective):
        raise TrainingError(
            "The objective must be one real number: train a single observable, or a weighted sum of several."
        )
    raise TrainingError(
        "shots= is for objectives, qd.expectation(program, observable). A function must do its own sampling: "
        "leave out shots=, and return its estimates as (value, gradient)."
    )
