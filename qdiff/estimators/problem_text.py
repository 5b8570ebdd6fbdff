"""A problem as text and numbers, for workers that rebuild it: nothing else is sent to them."""

from __future__ import annotations

from dataclasses import dataclass

from qdiff.errors import QdiffError
from qdiff.estimators.problem import Problem
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.lang.observable_input import observable
from qdiff.lang.text.parser import parse
from qdiff.sim.registry import DEFAULT, backend_on_threads


@dataclass(frozen=True)
class ProblemText:
    """What a worker needs to rebuild a problem; hashable, so that it is rebuilt once."""

    program: str
    observables: tuple[str, ...]
    params: tuple[tuple[str, float], ...]
    wrt: tuple[str, ...]
    readout_errors: tuple[tuple[str, float, float], ...]
    backend: str

    @classmethod
    def of(cls, problem: Problem) -> ProblemText:
        """Return the text of a problem.

        Raises:
            QdiffError: its backend is an object, which no text stands for.
        """
        if problem.backend_name is None:
            raise QdiffError(
                "Workers of an executor rebuild everything from text and numbers, so they need a backend "
                f'that is known by name, such as backend="{DEFAULT}"; got the object {problem.backend!r}.'
            )
        return cls(
            str(problem.program),
            tuple([str(each) for each in problem.observables]),
            tuple(problem.params.items()),
            problem.wrt,
            problem.readout_errors.pairs if problem.readout_errors else (),
            problem.backend_name,
        )

    def rebuilt(self) -> Problem:
        """Return the problem; its backend has one thread, as other workers have the other cores."""
        return Problem(
            backend_on_threads(self.backend, 1 if self.backend == DEFAULT else None),
            parse(self.program),
            tuple([observable(text) for text in self.observables]),
            dict(self.params),
            self.wrt,
            ReadoutErrors(self.readout_errors) if self.readout_errors else None,
        )
