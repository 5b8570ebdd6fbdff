"""What an estimator is: it goes to work on a problem, a round at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from qdiff.errors import QdiffError
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


def checked_truth(name: str, given: object) -> bool:
    """Return an option that is True or False; what may be meant to be False but counts as True is refused.

    Raises:
        QdiffError: neither True nor False.
    """
    if not isinstance(given, bool):
        raise QdiffError(f"{name} is True or False, got {given!r}.")
    return given
