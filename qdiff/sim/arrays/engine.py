"""Exact values and derivatives of programs without measurement, on arrays of any library.

    qd.expectation(p, O, engine=qd.ArrayEngine(p, library="torch", device="cuda"))

The sets of parameters are the rows of one array; gates are applied in groups, derivatives are found by the
adjoint method with transition matrices (`grouped_path`, `groups`). Rows are split so that states fit in
max_memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from qdiff.errors import EvaluationError, ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis
from qdiff.sim.arrays.curvature import STATES, second_order
from qdiff.sim.arrays.grouped_path import Bound, GroupedPath
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
from qdiff.sim.pure.memory import checked_memory
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.operators import Masks, named
from qdiff.sim.pure.preparation import Preparation
from qdiff.sim.randomness import what_is_random
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
        dtype: "complex128", or "complex64": half the memory, errors below 1.5e-6 as measured.
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
        self.preparation: Preparation[GroupedPath] = Preparation(program)
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
        for path, members in self._by_path(rows):
            for part in self._parts(len(members), STATES_OF_A_VALUE, path):
                chosen = [members[p] for p in part]
                numbers = self._numbers(path, [rows[p] for p in chosen], ())
                if path.ended:
                    bound = Bound(path, self.library, numbers, back=False)
                    result[chosen] = bound.values(self._observed(path, observables))
        return result

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives by `wrt`, (P, k, d)."""
        values = np.zeros((len(rows), len(observables)))
        slopes = np.zeros((len(rows), len(observables), len(wrt)))
        for path, members in self._by_path(rows):
            width = self._width(len(observables), path)
            for part in self._parts(len(members), STATES_OF_A_GRADIENT + width, path):
                chosen = [members[p] for p in part]
                numbers = self._numbers(path, [rows[p] for p in chosen], wrt)
                if not path.ended:
                    continue
                bound = Bound(path, self.library, numbers, back=True)
                observed = self._observed(path, observables)
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
        ((path, _),) = self._by_path([parameters])
        numbers = self._numbers(path, [parameters], wrt, second=True)
        if path.ended:
            self._require(STATES, path)
            for k, operators in enumerate(self._observed(path, observables)):
                for v, direction in enumerate(directions):
                    products[k, v] = second_order(path, self.library, numbers, operators, direction)
        return Curvature(values, slopes, products)

    def state(self, parameters: Parameters) -> dict[Store, Mixture]:
        """Return the final state by store (values of `program.counters`); {} where the program aborts."""
        ((path, _),) = self._by_path([parameters])
        numbers = self._numbers(path, [parameters], ())
        if not path.ended:
            return {}
        self._require(STATES_OF_A_VALUE, path)
        psi = self.library.to_numpy(Bound(path, self.library, numbers, back=False).forward())
        return {path.store[: self.flow.own]: Mixture(vectors=psi.astype(np.complex128))}

    def analyze(
        self, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        """Return what is known of the program; nothing is proved of the rounding of array libraries."""
        ((path, _),) = self._by_path([parameters])
        numbers = self._numbers(path, [parameters], wrt)
        number = len(path.groups)
        return path.analysis(
            numbers,
            error_bound=math.inf,
            grad_error_bound=dict.fromkeys(wrt, math.inf),
            memory=(STATES_OF_A_GRADIENT + 1) * self._state_bytes + path.bytes,
            engine=self.name,
            reason=(
                f"nothing is measured: one state vector, {number} group{'' if number == 1 else 's'} of "
                "gates, and the adjoint method; how array libraries round is not known, so errors are not "
                "bounded."
            ),
        )

    # --- preparation ---

    def _by_path(self, rows: Sequence[Parameters]) -> Iterator[tuple[GroupedPath, Sequence[int]]]:
        """The rows that take the same path, with it."""
        self._require(STATES_OF_A_VALUE, None)
        return self.preparation.paths(rows, lambda compared: GroupedPath(self.flow, compared, self.window))

    def _numbers(
        self, path: GroupedPath, rows: Sequence[Parameters], wrt: Sequence[str], second: bool = False
    ) -> Numbers:
        """The numbers of a path; raises where one that it needs does not exist."""
        numbers = self.preparation.numbers(path, rows, wrt, second)
        path.refuse(numbers)
        return numbers

    def _observed(self, path: GroupedPath, observables: Sequence[Observable]) -> list[Operators]:
        """Observables at the final store, as the library applies them."""
        store = named(self.program, path.store)
        qubits = self.program.qubits
        return [operators_of(Masks.of(o, store, qubits), len(qubits)) for o in observables]

    # --- memory ---

    @property
    def _state_bytes(self) -> int:
        return AMPLITUDE_BYTES[self.library.dtype] << len(self.program.qubits)

    def _require(self, states: int, path: GroupedPath | None) -> None:
        needed = states * self._state_bytes + (0 if path is None else path.bytes)
        if needed > self.max_memory:
            raise ResourceError(
                f"ArrayEngine needs {size_text(needed)} for {states} states on {len(self.program.qubits)} "
                f"qubits; the limit is {size_text(self.max_memory)}. Raise it (qd.ArrayEngine(…, "
                "max_memory=bytes)), use fewer qubits, or dtype='complex64'",
                advice=OR_FROM_SHOTS,
            )

    def _width(self, observables: int, path: GroupedPath) -> int:
        """How many observables fit at a time; at least one must."""
        self._require(STATES_OF_A_GRADIENT + 1, path)
        fitting = (self.max_memory - path.bytes) // self._state_bytes - STATES_OF_A_GRADIENT
        return max(1, min(observables, fitting))

    def _parts(self, rows: int, states: int, path: GroupedPath) -> Iterator[range]:
        """Split rows of parameters into parts that fit."""
        self._require(states, path)
        size = max(1, min(rows, self.max_memory // (states * self._state_bytes + path.bytes)))
        for start in range(0, rows, size):
            yield range(start, min(rows, start + size))
