"""Registers of many amplitudes: one set of parameters after the other, each by groups of gates (`groups`).

Where a state has more than 2^14 amplitudes threads share its blocks; below, they share the sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.observable import Observable
from qdiff.sim.exact import Floats
from qdiff.sim.kept import keep
from qdiff.sim.pure.numbers import Expressions
from qdiff.sim.static.angles import Angles
from qdiff.sim.static.coefficients import Coefficients
from qdiff.sim.static.groups import Groups
from qdiff.sim.static.line import Line
from qdiff.sim.static.operators import Operator
from qdiff.sim.static.threads import over_ranges, shared_from

_Names: TypeAlias = tuple[str, ...]


class Large:
    """A line of a large register, ready to be asked.

    Args:
        expressions: those of the program with derivatives by some parameters.
        operator: an observable at the end of the line, on states of n qubits.
        dtype: float64 or float32, of the parts of amplitudes.
    """

    def __init__(
        self,
        line: Line,
        expressions: Callable[[Sequence[str]], Expressions],
        operator: Callable[[Observable, int], Operator],
        dtype: Any,
    ) -> None:
        self.line = line
        self.expressions = expressions
        self.operator = operator
        self.groups = Groups(line, dtype)
        self._coefficients = Coefficients(line.instances)
        self._angles: dict[_Names, Angles] = {}
        self._operators: dict[tuple[int, ...], tuple[list[Operator], tuple[Observable, ...]]] = {}

    def values(self, parameters: Floats, observables: Sequence[Observable], threads: int) -> Floats:
        """Return the expectations, (P, k), at parameters (P, number of them).

        Raises:
            EvaluationError: an angle has no value.
        """
        angles, result = self.angles(()), np.empty((len(parameters), len(observables)))
        at, operators = angles.at(parameters), self.operators(observables)

        def one(p: int, inside: int) -> None:
            result[p] = self.groups.values(self._bound(at[p]), operators, inside)

        self._over_rows(len(parameters), threads, one)
        return result

    def gradients(
        self,
        parameters: Floats,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        together: int,
        threads: int,
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives, (P, k, d).

        Args:
            together: of how many observables the λ fit in memory beside ψ.

        Raises:
            EvaluationError: an angle has no value, or a derivative that is asked for.
        """
        angles, operators = self.angles(wrt), self.operators(observables)
        at, wanted = angles.at(parameters), angles.wanted
        values = np.empty((len(parameters), len(observables)))
        by_instance = np.empty((*values.shape, len(wanted)))

        def one(p: int, inside: int) -> None:
            bound = self._bound(at[p])
            for first in range(0, len(operators), together):
                some = slice(first, first + together)
                values[p, some], by_instance[p, some] = self.groups.gradients(
                    bound, operators[some], wanted, inside
                )

        self._over_rows(len(parameters), threads, one)
        return values, angles.pull_back(parameters, by_instance)

    def state(self, parameters: Floats, threads: int) -> NDArray[np.complex128]:
        """Return the final state at one set of parameters, (2ⁿ,), bit i for qubit i."""
        psi = self.groups.run(self._bound(self.angles(()).at(parameters)[0]), threads)
        bits, places = self.groups.bits, self.groups.places
        axes = [bits - 1 - places[q] for q in reversed(range(self.line.qubits))]
        idle = [axis for axis in range(bits) if axis not in axes]
        result = np.empty(1 << self.line.qubits, dtype=np.complex128)
        for into, part in zip((result.real, result.imag), psi, strict=True):
            moved = part.reshape((2,) * bits).transpose(*idle, *axes)
            into.reshape((2,) * self.line.qubits)[...] = moved[(0,) * len(idle)]
        return result

    def angles(self, wrt: Sequence[str]) -> Angles:
        """The angles of the line, with derivatives by some parameters."""
        names = tuple(wrt)
        if names not in self._angles:
            keep(self._angles, names, Angles(self.line, self.expressions(names)))
        return self._angles[names]

    def operators(self, observables: Sequence[Observable]) -> list[Operator]:
        """The observables on final states of `groups`."""
        key = tuple(map(id, observables))
        if key not in self._operators:
            made = [self.operator(o, self.groups.bits).moved(self.groups.places) for o in observables]
            # Observables are kept with their operators, so that an id is one's own.
            keep(self._operators, key, (made, tuple(observables)))
        return self._operators[key][0]

    def _bound(self, angles: Floats) -> Any:
        return self.groups.bound(self._coefficients.at(angles), angles)

    def _over_rows(self, rows: int, threads: int, one: Callable[[int, int], None]) -> None:
        """Call one(row, threads inside of it) for all rows."""
        if shared_from(1 << self.groups.bits):
            for p in range(rows):
                one(p, threads)
            return

        def some(first: int, last: int) -> None:
            for p in range(first, last):
                one(p, 1)

        over_ranges(some, rows, threads)
