"""The exact engines of one program: one is chosen, the others are there to be compared with it.

An engine is loaded and made when it is first asked for, so that a program pays for one only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property

from qdiff.errors import QdiffError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim import choice
from qdiff.sim.analysis import Analysis
from qdiff.sim.choice import Choice, choose, engine_name
from qdiff.sim.exact import DEFAULT_MEMORY, ExactEngine


class Engines:
    """The engine that answers for a program, and all others by name.

    Args:
        max_memory: bytes that states may take.
        wanted: None for the cost model's choice, a name, or an engine made for this program.
        observables: what is asked for; None where it is all final stores.

    Raises:
        QdiffError: an unknown name, an engine made for another program.
    """

    def __init__(
        self,
        program: Program,
        max_memory: int = DEFAULT_MEMORY,
        wanted: str | ExactEngine | None = None,
        observables: Collection[Observable] | None = None,
    ) -> None:
        self.program = program
        self.max_memory = max_memory
        self.observables = observables
        self._wanted = engine_name(wanted) if isinstance(wanted, str) else wanted
        self._made: dict[str, ExactEngine] = {}
        if self._wanted is not None and not isinstance(self._wanted, str):
            made_for = getattr(self._wanted, "program", None)
            if made_for != program:
                raise QdiffError(
                    f"engine= is a name or an exact engine made for this program, not {self._wanted!r}."
                )

    @cached_property
    def choice(self) -> Choice:
        """Which engine answers, and why.

        Raises:
            ResourceError, QdiffError: as `choose`.
        """
        if self._wanted is None or isinstance(self._wanted, str):
            return choose(self.program, self.max_memory, self._wanted, self.observables)
        return Choice(self._wanted.name, "handed in as an object", ())

    @cached_property
    def chosen(self) -> ExactEngine:
        """The engine that answers."""
        if self._wanted is None or isinstance(self._wanted, str):
            return self.named(self.choice.name)
        return self._wanted

    def named(self, name: str) -> ExactEngine:
        """Return one of qdiff's own engines."""
        plain = engine_name(name)
        if plain not in self._made:
            self._made[plain] = _make(plain, self.program, self.max_memory)
        return self._made[plain]

    def explained(self, analysis: Analysis) -> Analysis:
        """Put why this engine answers in front of what it says itself; bounds are plain floats."""
        reason = "; ".join(filter(None, (self.choice.reason, analysis.reason)))
        return replace(
            analysis,
            error_bound=float(analysis.error_bound),
            grad_error_bound={name: float(bound) for name, bound in analysis.grad_error_bound.items()},
            engine=self.choice.name,
            reason=reason,
        )


def _make(name: str, program: Program, max_memory: int) -> ExactEngine:
    match name:
        case choice.HYBRID:
            from qdiff.sim.hybrid.engine import HybridEngine

            return HybridEngine(program, max_memory)
        case choice.PURE:
            from qdiff.sim.static.engine import PureStateEngine

            return PureStateEngine(program, max_memory)
        case choice.BRANCHING:
            from qdiff.sim.pure.branching import BranchingEngine

            return BranchingEngine(program, max_memory)
        case _:
            raise QdiffError(f"There is no engine `{name}`.")
