"""Exact values and derivatives of programs without measurement, on arrays of any library.

    qd.expectation(p, O, engine=qd.ArrayEngine(p, library="torch", device="cuda"))

The sets of parameters are the rows of one array; gates are applied in groups, derivatives are found by the
adjoint method with transition matrices (`course`, `groups`). Rows are split so that states fit in max_memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from qdiff.errors import EvaluationError, ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis
from qdiff.sim.arrays.course import Bound, Course
from qdiff.sim.arrays.curvature import second_order
from qdiff.sim.arrays.libraries import DEFAULT_DTYPE, DEFAULT_LIBRARY, open_library
from qdiff.sim.arrays.operators import Operators, operators_of
from qdiff.sim.arrays.primitives import AMPLITUDE_BYTES
from qdiff.sim.exact import (
    DEFAULT_MEMORY,
    OR_FROM_SHOTS,
    Curvature,
    Floats,
    Mixture,
    Parameters,
    Store,
    directional,
)
from qdiff.sim.flow import Flow
from qdiff.sim.pure.bounds import loop_visits
from qdiff.sim.pure.memory import checked_memory
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.operators import Masks, named
from qdiff.sim.pure.paths import Walker
from qdiff.sim.pure.preparation import Preparation
from qdiff.sim.randomness import what_is_random
from qdiff.sim.readings import Rows
from qdiff.sim.sizes import size_text

WINDOW = 4
"""Qubits of a group: the larger, the fewer passes, and the more arithmetic in each."""
STATES_OF_A_VALUE, STATES_OF_A_GRADIENT = 3, 2
"""States held at most: ψ, Oψ and what a pass returns; of a gradient besides one λ for each observable."""


class ArrayEngine:
    """Exact values and derivatives on arrays of NumPy, PyTorch, JAX or CuPy, on the device that they are on.

    Args:
        program: one that never measures, resets or flips, without channels.
        library: "numpy", "numba" (compiled loops), "torch", "jax" or "cupy".
        device: "cpu", "cuda", "cuda:1", …; None is "cuda" for CuPy, else "cpu".
        dtype: "complex128", or "complex64": half the memory, errors of about 1e-6.
        max_memory: bytes that states may take; more is refused before it is allocated.

    Raises:
        EvaluationError: the program measures, resets or flips, or has a channel.
        QdiffError: an unknown library, device or dtype, a library that is not installed.

    Source: Jones and Gacon, "Efficient calculation of gradients in classical simulations of variational
    quantum algorithms" (2020).
    """

    def __init__(
        self,
        program: Program,
        *,
        library: str = DEFAULT_LIBRARY,
        device: str | None = None,
        dtype: str = DEFAULT_DTYPE,
        max_memory: int = DEFAULT_MEMORY,
    ) -> None:
        random = what_is_random(program)
        if random:
            raise EvaluationError(
                "ArrayEngine is for programs that never measure, reset or flip, without channels; this one "
                f"has {random}. For its shots choose backend=qd.ArrayBackend(…), for exact values another "
                "engine."
            )
        self.program = program
        self.max_memory = checked_memory(max_memory)
        self.library = open_library(library, device, dtype)
        self.name = f"array ({self.library.name} on {self.library.device}, {self.library.dtype})"
        self.preparation: Preparation[Course] = Preparation(program)
        # Transition matrices of a group are never larger than a state.
        self.window = min(WINDOW, max(2, len(program.qubits) // 2))

    @property
    def flow(self) -> Flow:
        """The lowered program."""
        return self.preparation.flow

    # --- results ---

    def values(self, rows: Sequence[Parameters], observables: Sequence[Observable]) -> Floats:
        """Return the expectations, (P, k)."""
        result = np.zeros((len(rows), len(observables)))
        for course, members in self._by_course(rows):
            for part in self._parts(len(members), STATES_OF_A_VALUE, course):
                chosen = [members[p] for p in part]
                numbers = self._numbers(course, [rows[p] for p in chosen], ())
                if course.ended:
                    bound = Bound(course, self.library, numbers, back=False)
                    result[chosen] = bound.values(self._observed(course, observables))
        return result

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives by `wrt`, (P, k, d)."""
        values = np.zeros((len(rows), len(observables)))
        slopes = np.zeros((len(rows), len(observables), len(wrt)))
        for course, members in self._by_course(rows):
            width = self._width(len(observables), course)
            for part in self._parts(len(members), STATES_OF_A_GRADIENT + width, course):
                chosen = [members[p] for p in part]
                numbers = self._numbers(course, [rows[p] for p in chosen], wrt)
                if not course.ended:
                    continue
                bound = Bound(course, self.library, numbers, back=True)
                observed = self._observed(course, observables)
                for start in range(0, len(observed), width):
                    some = slice(start, start + width)
                    values[chosen, some], slopes[chosen, some] = bound.gradients(observed[some])
        return values, slopes

    def tangents(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (k,), and their derivatives along `directions` (V, d), (k, V)."""
        return directional(*self.gradients([parameters], observables, wrt), directions)

    def curvature(
        self,
        parameters: Parameters,
        observables: Sequence[Observable],
        wrt: Sequence[str],
        directions: Floats,
    ) -> Curvature:
        """Return expectations, derivatives, and Hessians times `directions`, (V, d)."""
        directions = np.asarray(directions, dtype=float).reshape(-1, len(wrt))
        values, slopes = (found[0] for found in self.gradients([parameters], observables, wrt))
        products = np.zeros((len(observables), len(directions), len(wrt)))
        ((course, _),) = self._by_course([parameters])
        numbers = self._numbers(course, [parameters], wrt, second=True)
        if course.ended:
            self._require(6, course)  # ψ, λ, their derivatives, and what two passes return
            for k, operators in enumerate(self._observed(course, observables)):
                for v, direction in enumerate(directions):
                    products[k, v] = second_order(course, self.library, numbers, operators, direction)
        return Curvature(values, slopes, products)

    def state(self, parameters: Parameters) -> dict[Store, Mixture]:
        """Return the final state by store (values of `program.counters`); {} where the program aborts."""
        ((course, _),) = self._by_course([parameters])
        numbers = self._numbers(course, [parameters], ())
        if not course.ended:
            return {}
        self._require(STATES_OF_A_VALUE, course)
        psi = self.library.to_numpy(Bound(course, self.library, numbers, back=False).forward())
        return {course.path.store[: self.flow.own]: Mixture(vectors=psi.astype(np.complex128))}

    def analyze(
        self, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        """Return what is known of the program; nothing is proved of the rounding of array libraries."""
        ((course, _),) = self._by_course([parameters])
        numbers = self._numbers(course, [parameters], wrt)
        executed: dict[tuple[int, int], float] = {}
        for (gate, row), times in zip(course.instances.instances, course.executed.tolist(), strict=True):
            e = self.flow.gates[gate].expression
            if e >= 0:
                executed[e, row] = executed.get((e, row), 0.0) + times
        marks: dict[int, float] = {}
        for mark in course.path.marks:
            marks[mark] = marks.get(mark, 0.0) + 1
        gates, repeated = course.path.for_ever
        marks.update(dict.fromkeys(repeated, math.inf))
        for gate, row in gates:
            executed[self.flow.gates[gate].expression, row] = math.inf
        number = len(course.groups)
        return Analysis(
            termination_probability=float(course.ended),
            trapped_probability=float(course.path.repeated is not None),
            outside_probability=0.0,
            expected_visits=loop_visits(self.flow, marks),
            occurrences=numbers.occurrences({k: n for k, n in executed.items() if k[0] >= 0}),
            error_bound=math.inf,
            grad_error_bound=dict.fromkeys(wrt, math.inf),
            memory=(STATES_OF_A_GRADIENT + 1) * self._state_bytes + course.bytes,
            engine=self.name,
            reason=(
                f"nothing is measured: one state vector, {number} group{'' if number == 1 else 's'} of "
                "gates, and the adjoint method; how array libraries round is not known, so errors are not "
                "bounded."
            ),
        )

    # --- preparation ---

    def _by_course(self, rows: Sequence[Parameters]) -> Iterator[tuple[Course, list[int]]]:
        """The rows that take the same path, with it."""
        self._require(STATES_OF_A_VALUE, None)
        members: dict[tuple[float, ...], list[int]] = {}
        for p, row in enumerate(rows):
            members.setdefault(tuple(self.preparation.compared(row).values()), []).append(p)
        for key, found in members.items():
            compared = self.preparation.compared(rows[found[0]])
            yield self.preparation.way(key, partial(self._course, compared)), found

    def _course(self, compared: dict[str, float]) -> Course:
        rows = Rows(self.flow)
        path = Walker(self.flow, rows, compared).follow(self.flow.entry, (0,) * len(self.flow.counters), ())
        if path.error is not None:
            raise path.error
        return Course(self.flow, path, rows, self.window)

    def _numbers(
        self, course: Course, rows: Sequence[Parameters], wrt: Sequence[str], second: bool = False
    ) -> Numbers:
        """The numbers of a course; raises where one that the path needs does not exist."""
        numbers = self.preparation.numbers(course, rows, wrt, second)
        instances = course.instances
        rotated = [
            (int(e), row)
            for e, (_, row) in zip(instances.expressions, instances.instances, strict=True)
            if e >= 0
        ]
        for e, row in dict.fromkeys(rotated):
            failure = numbers.angle_error(e, row)
            if failure is not None:
                raise failure[1]
        numbers.refuse_derivatives(rotated)
        return numbers

    def _observed(self, course: Course, observables: Sequence[Observable]) -> list[Operators]:
        """Observables at the final store, as the library applies them."""
        store = named(self.program, course.path.store)
        qubits = self.program.qubits
        return [operators_of(Masks.of(o, store, qubits), len(qubits)) for o in observables]

    # --- memory ---

    @property
    def _state_bytes(self) -> int:
        return AMPLITUDE_BYTES[self.library.dtype] << len(self.program.qubits)

    def _require(self, states: int, course: Course | None) -> None:
        needed = states * self._state_bytes + (0 if course is None else course.bytes)
        if needed > self.max_memory:
            raise ResourceError(
                f"ArrayEngine needs {size_text(needed)} for {states} states on {len(self.program.qubits)} "
                f"qubits; the limit is {size_text(self.max_memory)}. Raise it (qd.ArrayEngine(…, "
                "max_memory=bytes)), use fewer qubits, or dtype='complex64'",
                advice=OR_FROM_SHOTS,
            )

    def _width(self, observables: int, course: Course) -> int:
        """How many observables fit at a time; at least one must."""
        self._require(STATES_OF_A_GRADIENT + 1, course)
        fitting = (self.max_memory - course.bytes) // self._state_bytes - STATES_OF_A_GRADIENT
        return max(1, min(observables, fitting))

    def _parts(self, rows: int, states: int, course: Course) -> Iterator[range]:
        """Split rows of parameters into parts that fit."""
        self._require(states, course)
        size = max(1, min(rows, self.max_memory // (states * self._state_bytes + course.bytes)))
        for start in range(0, rows, size):
            yield range(start, min(rows, start + size))
