"""What an estimator is: it goes to work on a problem, a round at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from qdiff.estimators.problem import Problem
from qdiff.estimators.rounds import Rounds


class Estimator(ABC):
    """A way to estimate derivatives from runs. A frozen value of its options.

    Attributes:
        name: as `f.estimate_grad` takes it.
        sums_occurrences: it needs the expected number of occurrences to be finite.
    """

    name: ClassVar[str]
    sums_occurrences: ClassVar[bool] = True

    @abstractmethod
    def on(self, problem: Problem) -> Rounds:
        """Return the estimator at work on a problem.

        Raises:
            BackendError: the backend cannot serve it.
            QdiffError: a rule that does not apply; too many parameters.
        """
