"""Optimisers: frozen settings, and a deterministic `run` that asks a Problem for values and gradients.

An optimiser sees nothing but the Problem: it evaluates points, records where each step ended, and
stops when `record` says so. Whatever is deterministic in what it was answered can be logged,
killed and resumed; one that draws random numbers takes its seed as a setting.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from qdiff.errors import TrainingError, did_you_mean, listed
from qdiff.train.variables import Vector

if TYPE_CHECKING:
    from qdiff.train.problem import Problem


@dataclass(frozen=True)
class Ending:
    """Why a run ended: whether the optimiser's own criterion was met, and a sentence."""

    converged: bool
    message: str


class Optimizer(ABC):
    """One way to choose the next point. Settings are the fields of a frozen dataclass.

    Attributes:
        needs_exact: it compares values, which estimates from shots would mislead.
    """

    name: ClassVar[str]
    needs_exact: ClassVar[bool] = False

    @abstractmethod
    def run(self, problem: Problem) -> Ending:
        """Record the start, then at most `problem.steps` steps, until `problem.record` is True."""

    def settings(self) -> dict[str, Any]:
        """The settings by name, as JSON values: they identify a run in its log."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}  # type: ignore[arg-type]


_OPTIMIZERS: dict[str, type[Optimizer]] = {}
_Class = TypeVar("_Class", bound=type[Optimizer])


def register(optimizer: _Class) -> _Class:
    """Make an optimiser known by its name; a name is given once."""
    if optimizer.name in _OPTIMIZERS:
        raise TrainingError(f"Optimizer `{optimizer.name}` is registered already.")
    _OPTIMIZERS[optimizer.name] = optimizer
    return optimizer


def known_optimizers() -> tuple[str, ...]:
    """The names that `make_optimizer` understands."""
    return tuple(_OPTIMIZERS)


def optimizer_class(name: str) -> type[Optimizer]:
    """The class of one of `known_optimizers()`."""
    return _OPTIMIZERS[name]


def make_optimizer(given: Optimizer | str, **settings: Any) -> Optimizer:
    """Return the optimiser of a name, or the optimiser itself.

    Args:
        given: an optimiser, or one of `known_optimizers()` (case, `-` and `_` do not count).
        settings: for a name: what its class takes, such as lr=0.1.

    Raises:
        TrainingError: an unknown name or setting, a setting out of its range.
    """
    if isinstance(given, Optimizer):
        return given
    if not isinstance(given, str):
        raise TrainingError(
            f"optimizer={given!r} is no optimizer. Give one such as Adam(lr=0.1), "
            f"or a name: {listed(_OPTIMIZERS)}."
        )
    plain = {_plain(name): name for name in _OPTIMIZERS}
    if _plain(given) not in plain:
        near = did_you_mean(given.lower(), _OPTIMIZERS)
        raise TrainingError(f"There is no optimizer `{given}`. Known: {listed(_OPTIMIZERS)}. {near}".rstrip())
    name = plain[_plain(given)]
    allowed = [entry.name for entry in fields(_OPTIMIZERS[name])]  # type: ignore[arg-type]
    for setting in settings:
        if setting not in allowed:
            near = did_you_mean(setting, allowed)
            has = f"Its settings: {listed(allowed)}."
            raise TrainingError(f"Optimizer `{name}` has no setting `{setting}`. {has} {near}".rstrip())
    return _OPTIMIZERS[name](**settings)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


@register
@dataclass(frozen=True)
class Adam(Optimizer):
    """m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  x ← x − lr · m̂/(√v̂ + ε) with m̂ = m/(1−β₁ᵏ), v̂ = v/(1−β₂ᵏ).

    Args:
        lr: step size, about the change of each parameter in one step.
        betas: β₁, β₂ in [0, 1).
        eps: ε > 0.

    Source: Kingma, Ba, arXiv:1412.6980, Algorithm 1.
    """

    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    name: ClassVar[str] = "adam"

    def __post_init__(self) -> None:
        set_field(self, "lr", positive("Adam", "lr", self.lr))
        set_field(self, "eps", positive("Adam", "eps", self.eps))
        try:
            first, second = (float(beta) for beta in self.betas)
        except (TypeError, ValueError):
            first = second = math.nan
        if not (0 <= first < 1 and 0 <= second < 1):
            raise TrainingError(f"Adam: betas={self.betas!r} must be two numbers in [0, 1): (0.9, 0.999).")
        set_field(self, "betas", (first, second))

    def run(self, problem: Problem) -> Ending:
        beta1, beta2 = self.betas
        mean = np.zeros_like(problem.start)
        square = np.zeros_like(problem.start)

        def update(x: Vector, grad: Vector, k: int) -> Vector:
            mean[:] = beta1 * mean + (1 - beta1) * grad
            square[:] = beta2 * square + (1 - beta2) * grad**2
            unbiased = mean / (1 - beta1**k)
            return x - self.lr * unbiased / (np.sqrt(square / (1 - beta2**k)) + self.eps)

        return _descend(problem, update)


@register
@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """x ← x − lr · g.

    Args:
        lr: step size, the change of a parameter per unit of its derivative.
    """

    lr: float = 0.1

    name: ClassVar[str] = "gradient-descent"

    def __post_init__(self) -> None:
        set_field(self, "lr", positive("GradientDescent", "lr", self.lr))

    def run(self, problem: Problem) -> Ending:
        return _descend(problem, lambda x, grad, k: x - self.lr * grad)


def _descend(problem: Problem, update: Callable[[Vector, Vector, int], Vector]) -> Ending:
    """One evaluation a step, and one at the start: `update(x, grad, k)` is the end of step k = 1, 2, …"""
    x = problem.start
    for step in range(problem.steps + 1):
        _, grad = problem.evaluate(x)
        if problem.record(x):
            return stopped(step)
        if step < problem.steps:
            try:
                with np.errstate(over="raise", invalid="raise", divide="raise"):
                    x = update(x, grad, step + 1)
            except FloatingPointError:
                raise TrainingError(
                    f"Step {step + 1} overflows: the gradient at step {step} is as large as "
                    f"{np.abs(grad).max():.3g}. Give a smaller lr, or scale the objective."
                ) from None
    return all_steps(problem.steps)


def stopped(step: int) -> Ending:
    """The ending of a run that `record` stopped."""
    return Ending(False, f"stopped by the callback at step {step}")


def all_steps(steps: int) -> Ending:
    """The ending of a run that took every step it was allowed."""
    return Ending(False, "took 1 step" if steps == 1 else f"took all {steps} steps")


def positive(owner: str, name: str, value: object) -> float:
    """Return a setting as a positive finite float.

    Raises:
        TrainingError: it is none.
    """
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        number = float(value)
        if 0 < number < math.inf:
            return number
    raise TrainingError(f"{owner}: {name}={value!r} must be a positive finite number.")


def set_field(settings: Optimizer, name: str, value: object) -> None:
    """Store the normal form of a setting; only for `__post_init__` of frozen settings."""
    object.__setattr__(settings, name, value)
