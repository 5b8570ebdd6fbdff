"""The exact engines of one program: one is chosen, the others are there to be compared with it.

An engine is loaded and made when it is first asked for, so that a program pays for one only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from qdiff.errors import QdiffError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim import choice
from qdiff.sim.analysis import Analysis
from qdiff.sim.choice import Choice, choose, engine_name
from qdiff.sim.cores import checked_threads
from qdiff.sim.exact import DEFAULT_MEMORY, ExactEngine
from qdiff.sim.pure.memory import checked_dtype
from qdiff.sim.randomness import what_is_random


class Engines:
    """The engine that answers for a program, and all others by name.

    Args:
        max_memory: bytes that states may take.
        wanted: None for the cost model's choice, a name, or an engine made for this program.
        observables: what is asked for; None where it is all final stores.
        dtype, threads: of the engine for programs that never measure, see `PureStateEngine`; None leaves them
            to it.

    Raises:
        QdiffError: an unknown name, an engine made for another program, or one with a dtype or threads beside
            it; complex64 for a program that needs another engine; threads out of range.
    """

    def __init__(
        self,
        program: Program,
        max_memory: int = DEFAULT_MEMORY,
        wanted: str | ExactEngine | None = None,
        observables: Collection[Observable] | None = None,
        dtype: object = None,
        threads: int | None = None,
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
            if dtype is not None or threads is not None:
                raise QdiffError(
                    "dtype= and threads= are options of an engine that qdiff makes: give them to the engine "
                    "that is handed in as engine=."
                )
        self.threads = None if threads is None else checked_threads(threads)
        self.dtype = np.dtype(np.complex128) if dtype is None else checked_dtype(dtype)
        if self.dtype != np.complex128 and (random := what_is_random(program)):
            raise QdiffError(
                f"dtype={self.dtype.name!r} is for programs that never measure, reset or flip, without "
                f"channels; this one has {random}. Leave dtype out: it is computed in complex128."
            )

        if self.dtype != np.complex128 and self._wanted in (choice.HYBRID, choice.BRANCHING):
            raise QdiffError(
                f"The {self._wanted} engine computes in complex128. Leave dtype out, or take "
                'engine="pure-state".'
            )

    @cached_property
    def choice(self) -> Choice:
        """Which engine answers, and why.

        Raises:
            ResourceError, QdiffError: as `choose`.
        """
        if self._wanted is None or isinstance(self._wanted, str):
            wanted = self._wanted
            if wanted is None and self.dtype != np.complex128:
                wanted = choice.PURE  # the only one that computes in another precision
            return choose(self.program, self.max_memory, wanted, self.observables)
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
            self._made[plain] = _make(plain, self.program, self.max_memory, self.dtype, self.threads)
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


def _make(
    name: str, program: Program, max_memory: int, dtype: np.dtype[Any], threads: int | None
) -> ExactEngine:
    match name:
        case choice.HYBRID:
            from qdiff.sim.hybrid.engine import HybridEngine

            return HybridEngine(program, max_memory)
        case choice.PURE:
            from qdiff.sim.static.engine import PureStateEngine

            return PureStateEngine(program, max_memory, dtype=dtype, threads=threads)
        case choice.BRANCHING:
            from qdiff.sim.pure.branching import BranchingEngine

            return BranchingEngine(program, max_memory)
        case _:
            raise QdiffError(f"There is no engine `{name}`.")
