"""Registers of many amplitudes: one set of parameters after the other, each by groups of gates (`groups`).

Where a state has more than 2^14 amplitudes threads share its blocks; below, they share the sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.observable import Observable
from qdiff.sim.exact import Floats
from qdiff.sim.kept import MANY, keep
from qdiff.sim.pure.numbers import Expressions
from qdiff.sim.static.angles import Angles
from qdiff.sim.static.coefficients import Coefficients
from qdiff.sim.static.groups import Groups
from qdiff.sim.static.line import Line
from qdiff.sim.static.operators import Operator
from qdiff.sim.static.threads import over_ranges, shared_from

_Names: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scaled:
    """Observables O_k = c_k + 2^e_k A_k, with A_k ψ of the size of ψ.

    Attributes:
        operators: A_k. exponents: e, (K,). constants: c, (K,). observables: kept, so that an id is one's own.
    """

    operators: list[Operator]
    exponents: NDArray[np.int64]
    constants: Floats
    observables: tuple[Observable, ...]

    def values(self, found: Floats) -> Floats:
        """Return the expectations of O_k from those of A_k, (…, K)."""
        return np.ldexp(found, self.exponents) + self.constants

    def slopes(self, found: Floats) -> Floats:
        """Return derivatives of O_k from those of A_k, (…, K, N)."""
        return np.ldexp(found, self.exponents[:, None])


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
        self._operators: dict[tuple[int, ...], Scaled] = {}

    def values(self, parameters: Floats, observables: Sequence[Observable], threads: int) -> Floats:
        """Return the expectations, (P, k), at parameters (P, number of them).

        Raises:
            EvaluationError: an angle has no value.
        """
        angles, result = self.angles(()), np.empty((len(parameters), len(observables)))
        at, asked = angles.at(parameters), self.operators(observables)

        def one(p: int, inside: int) -> None:
            result[p] = self.groups.values(self._bound(at[p]), asked.operators, inside)

        self._over_rows(len(parameters), threads, one)
        return asked.values(result)

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
        angles, asked = self.angles(wrt), self.operators(observables)
        operators = asked.operators
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
        return asked.values(values), angles.pull_back(parameters, asked.slopes(by_instance))

    def state(self, parameters: Floats, threads: int) -> NDArray[np.complex128]:
        """Return the final state at one set of parameters, (2ⁿ,), bit i for qubit i."""
        psi = np.empty((2, 1 << self.groups.bits), self.groups.dtype)
        self.groups.run(self._bound(self.angles(()).at(parameters)[0]), psi, threads)
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
        found = self._angles.get(names)
        if found is None:
            found = Angles(self.line, self.expressions(names))
            keep(self._angles, names, found, MANY)
        return found

    def operators(self, observables: Sequence[Observable]) -> Scaled:
        """The observables on final states of `groups`."""
        key = tuple(map(id, observables))
        known = self._operators.get(key)
        if known is None:
            plain = [self.operator(o, self.groups.bits).moved(self.groups.places) for o in observables]
            split = [o.split() for o in plain]
            exponents = [_exponent(o.absolute) for _, o in split]
            known = Scaled(
                [o.divided(e) for (_, o), e in zip(split, exponents, strict=True)],
                np.array(exponents, dtype=np.int64),
                np.array([c for c, _ in split], dtype=np.float64),
                tuple(observables),
            )
            keep(self._operators, key, known, MANY)
        return known

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


def _exponent(size: float) -> int:
    """e with 2^(e - 1) <= size < 2^e; 0 where there is none."""
    return math.frexp(size)[1] if math.isfinite(size) else 0
