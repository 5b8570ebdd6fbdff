"""What is computed of the expectations of one program: a function h of a few of them.

    h(m_0, m_1, …),   m_i = E[O_i] over all runs, aborted and never-ending ones counting 0

with its first and second derivatives by the m_i, so that the chain rule

    ∂h = Σ_i h_i ∂m_i        ∂∂'h = Σ_i h_i ∂∂'m_i + Σ_ij h_ij ∂m_i ∂'m_j

gives derivatives of every kind. The formulas hold for anything that adds, multiplies and divides:
numbers, arrays with one entry a row, and numbers with error bounds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import EvaluationError, QdiffError
from qdiff.estimators.groups import qubitwise_groups
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.lang.observable import Observable, constant

LEAST_PROBABILITY = 1e-12  # below, what is left of a probability is rounding


@dataclass(frozen=True)
class Quantity(ABC):
    """A function of expectations.

    Attributes:
        observable: what the quantity is about.
        readout: the errors with which the observable is read at the end of a run, None without.
        lowest: the value is never below this; what rounding puts below is put there.
    """

    observable: Observable
    readout: ReadoutErrors | None = None
    lowest: ClassVar[float] = -math.inf

    @property
    def name(self) -> str:
        """The observable, and how it is read."""
        return str(self.observable) + (f" [read-out {self.readout}]" if self.readout else "")

    def read(self, observable: Observable) -> Observable:
        """The observable whose expectation is the mean of what is read."""
        return self.readout.observable(observable) if self.readout else observable

    @cached_property
    def square(self) -> Observable:
        """The observable whose expectation is the mean of the square of what is read.

        Raises:
            QdiffError: it is read with errors, and not in one basis, so that no shot gives a number.
        """
        if self.readout and len(qubitwise_groups(self.observable)) > 1:
            raise QdiffError(
                f"The variance of `{self.observable}` with read-out errors is not that of anything that a "
                "shot shows: its terms are measured in different bases. Take terms of one basis."
            )
        return self.read(self.observable**2)

    @property
    @abstractmethod
    def text(self) -> str:
        """Its name, as in "Var(c)"."""

    @property
    @abstractmethod
    def observables(self) -> tuple[Observable, ...]:
        """The O_i."""

    def variance(self) -> Quantity | None:
        """The variance of what this is the mean of, None where it is no mean."""
        return None

    def given_termination(self) -> Quantity | None:
        """The same of the runs that end, None where this is no mean over all runs."""
        return None

    def require(self, m: Sequence[NDArray[np.float64]]) -> None:  # noqa: B027 (most have a value always)
        """Raise EvaluationError where the quantity has no value; each m_i is (rows,)."""

    @abstractmethod
    def value(self, m: Sequence[Any]) -> Any:
        """h."""

    @abstractmethod
    def first(self, m: Sequence[Any]) -> Sequence[Any]:
        """The h_i."""

    @abstractmethod
    def second(self, m: Sequence[Any]) -> Mapping[tuple[int, int], Any]:
        """The h_ij with i <= j that are not 0 everywhere."""


@dataclass(frozen=True)
class Mean(Quantity):
    """E[O]."""

    @property
    def text(self) -> str:
        return self.name

    @cached_property
    def observables(self) -> tuple[Observable, ...]:
        return (self.read(self.observable),)

    def variance(self) -> Variance:
        return Variance(self.observable, self.readout)

    def given_termination(self) -> ConditionalMean:
        return ConditionalMean(self.observable, self.readout)

    def value(self, m: Sequence[Any]) -> Any:
        return m[0]

    def first(self, m: Sequence[Any]) -> Sequence[Any]:
        return (1.0,)

    def second(self, m: Sequence[Any]) -> Mapping[tuple[int, int], Any]:
        return {}


@dataclass(frozen=True)
class Variance(Quantity):
    """E[O²] - E[O]²."""

    lowest: ClassVar[float] = 0.0

    @property
    def text(self) -> str:
        return f"Var({self.name})"

    @cached_property
    def observables(self) -> tuple[Observable, ...]:
        return (self.read(self.observable), self.square)

    def value(self, m: Sequence[Any]) -> Any:
        return m[1] - m[0] * m[0]

    def first(self, m: Sequence[Any]) -> Sequence[Any]:
        return (-2.0 * m[0], 1.0)

    def second(self, m: Sequence[Any]) -> Mapping[tuple[int, int], Any]:
        return {(0, 0): -2.0}


@dataclass(frozen=True)
class ConditionalMean(Quantity):
    """E[O | the run ends] = E[O] / P, with P the probability that a run ends."""

    @property
    def text(self) -> str:
        return f"E({self.name} | end)"

    @cached_property
    def observables(self) -> tuple[Observable, ...]:
        return (self.read(self.observable), constant(1))

    def variance(self) -> ConditionalVariance:
        return ConditionalVariance(self.observable, self.readout)

    def require(self, m: Sequence[NDArray[np.float64]]) -> None:
        _require_ends(m[1])

    def value(self, m: Sequence[Any]) -> Any:
        return m[0] / m[1]

    def first(self, m: Sequence[Any]) -> Sequence[Any]:
        inverse = 1.0 / m[1]
        return (inverse, -1.0 * m[0] * inverse * inverse)

    def second(self, m: Sequence[Any]) -> Mapping[tuple[int, int], Any]:
        square = 1.0 / (m[1] * m[1])
        return {(0, 1): -1.0 * square, (1, 1): 2.0 * m[0] * square / m[1]}


@dataclass(frozen=True)
class ConditionalVariance(Quantity):
    """E[O²]/P - (E[O]/P)²: the variance of the outcome of a shot that ended."""

    lowest: ClassVar[float] = 0.0

    @property
    def text(self) -> str:
        return f"Var({self.name} | end)"

    @cached_property
    def observables(self) -> tuple[Observable, ...]:
        return (self.read(self.observable), self.square, constant(1))

    def require(self, m: Sequence[NDArray[np.float64]]) -> None:
        _require_ends(m[2])

    def value(self, m: Sequence[Any]) -> Any:
        mean = m[0] / m[2]
        return m[1] / m[2] - mean * mean

    def first(self, m: Sequence[Any]) -> Sequence[Any]:
        mean, mean_of_square, inverse = m[0] / m[2], m[1] / m[2], 1.0 / m[2]
        return (-2.0 * mean * inverse, inverse, (2.0 * mean * mean - mean_of_square) * inverse)

    def second(self, m: Sequence[Any]) -> Mapping[tuple[int, int], Any]:
        mean, mean_of_square, square = m[0] / m[2], m[1] / m[2], 1.0 / (m[2] * m[2])
        return {
            (0, 0): -2.0 * square,
            (0, 2): 4.0 * mean * square,
            (1, 2): -1.0 * square,
            (2, 2): (2.0 * mean_of_square - 6.0 * mean * mean) * square,
        }


def _require_ends(probability: NDArray[np.float64]) -> None:
    if not np.all(probability > LEAST_PROBABILITY):
        raise EvaluationError(
            f"There is nothing to condition on: at these parameters a run ends with probability "
            f"{abs(float(np.min(probability))):.2g}."
        )
