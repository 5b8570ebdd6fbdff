"""What is to be estimated: derivatives of expectations, from runs on a backend.

An estimator sees a program through its derivative programs and a backend through its protocol; what else must
be known of the program, such as proved bounds, is handed to it here by the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.protocol import Backend


class ShiftBounds(Protocol):
    """Proved bounds of the derivatives by one parameter; `qdiff.sim.majorants.DerivativeBounds`."""

    @property
    def norm(self) -> float:
        """At least the norm of the observable, inf where it grows without limit."""

    @property
    def reason(self) -> str:
        """Why a bound is inf, "" where none is."""

    def shift_bias(self, h: float) -> float:
        """Return a bound of the error of (f(θ+h) - f(θ-h))/2h; inf where nothing is proved."""


def _no_bounds(observable: int, parameter: str) -> ShiftBounds:
    raise QdiffError("This problem was given no bounds of derivatives.")


@dataclass(frozen=True, eq=False)
class Problem:
    """Derivatives to estimate.

    Attributes:
        backend: what runs.
        program: the program. params: the value of every parameter by element name.
        observables: m of them; the estimate has m·d numbers, those of the first observable first.
        wrt: d parameters.
        readout_errors: with which qubits are read at the end of a run.
        backend_name: under which the backend is registered, with its default options; None for an object.
        executor: where runs go, None: here.
        bounds: (index of an observable, parameter) → proved bounds, computed when asked for.
    """

    backend: Backend
    program: Program
    observables: tuple[Observable, ...]
    params: Mapping[str, float]
    wrt: tuple[str, ...]
    readout_errors: ReadoutErrors | None = None
    backend_name: str | None = None
    executor: Executor | None = None
    bounds: Callable[[int, str], ShiftBounds] = field(default=_no_bounds, repr=False)

    @cached_property
    def size(self) -> int:
        """m·d, the number of derivatives."""
        return len(self.observables) * len(self.wrt)

    def exact(self, moving: Iterable[str]) -> NDArray[np.bool_]:
        """Return bool (m·d,): which derivatives are exactly zero, as nothing depends on the parameter.

        Args:
            moving: the parameters on which something depends.
        """
        found = np.ones((len(self.observables), len(self.wrt)), dtype=bool)
        found[:, [self.wrt.index(name) for name in moving]] = False
        return found.ravel()

    def places(self, parameter: str) -> NDArray[np.int64]:
        """Return int64 (m,): where the derivatives by a parameter stand among all."""
        return np.arange(len(self.observables)) * len(self.wrt) + self.wrt.index(parameter)
