"""Programs that never measure, reset or flip, without channels: one pure state and the adjoint method.

    ψ = U_M … U_1 |0…0>,   f = <ψ|O|ψ>,   ∂f/∂a_m = Im <λ_m|G_m|ψ_m>,   λ = Oψ at the end,

for gates exp(-i a G/2): forward once, then ψ and λ back through the inverse gates, and all derivatives are
found on the way with two states. One of three mechanisms does it:

    lanes        small registers in complex128 (`lanes.serves`): sets of parameters side by side
    groups       all others (`large`): gates three qubits at a time, blocks of amplitudes, threads
    gate by gate second derivatives along directions (`line.second_order`), which carry ψ̇ and λ̇ as well

Source: Jones and Gacon, "Efficient calculation of gradients in classical simulations of variational
quantum algorithms" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.lang.matrix_observable import MatrixObservable
from qdiff.lang.observable import Observable
from qdiff.lang.parameter_table import ParameterTable
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis
from qdiff.sim.cores import checked_threads
from qdiff.sim.exact import DEFAULT_MEMORY, Curvature, Floats, Mixture, Parameters, Store, directional
from qdiff.sim.flow import Flow
from qdiff.sim.function_sizes import rounding
from qdiff.sim.pure.bounds import WHOLE, Errors, Followed, gradient_bounds, value_bound
from qdiff.sim.pure.memory import checked_dtype, checked_memory, require, state_bytes
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.operators import Masks, named
from qdiff.sim.pure.preparation import Preparation
from qdiff.sim.randomness import what_is_random
from qdiff.sim.rounding import UNIT
from qdiff.sim.static.group_sizes import BLOCK_BITS
from qdiff.sim.static.lane_tables import Question
from qdiff.sim.static.lanes import Lanes, LargeAngle, serves
from qdiff.sim.static.line import Line, second_order
from qdiff.sim.static.operators import Operator, operator_of
from qdiff.sim.static.threads import shared_from

if TYPE_CHECKING:
    from qdiff.sim.static.large import Large

GROUP_BY_GROUP = "rounding is bounded group by group"
GROUP_ERROR = 2 * (8 + 2) * math.sqrt(8)
"""Of a matrix on three qubits that is applied, in units of rounding; see `pure.kernels`."""
COLLECTED_ERROR = 840.0
"""Of a derivative found from a transition density matrix, in units of rounding.

Im tr(G Y V) on three qubits is a sum of products g y v: each is rounded 9 times in the sum for an entry of
YV, 2 times with g, and 63 times in the sum over the entries of G. With ‖V‖_F = √8, ‖G‖_F <= √8 ‖G‖ and
‖Y‖_F <= ‖O‖ the sum of |g y v| is at most 8 ‖G‖ ‖O‖, that of real and imaginary parts √2 times as much:
74 · 8 · √2 < 840.
"""
FEWER_QUBITS = "use fewer qubits"
STATES_OF_STATE = 3
"""In complex128: what is returned, and beside it the parts that were computed, and a block."""


class PureStateEngine:
    """Exact values and derivatives of one program without measurement, reset, flip or channel.

    Args:
        program: as said.
        max_memory: bytes that states and their buffers may take; more is refused before it is allocated.
            Besides, every path of the program keeps up to 32 MiB of buffers for the next call (`buffers`).
        dtype: of amplitudes, complex128 or complex64; second derivatives are computed in complex128 always.
        threads: how many to use at most, None for one for each core. One state is shared by threads from
            2^15 amplitudes on. The number of threads changes no result.

    Raises:
        QdiffError: another dtype, or a number of threads out of range.
        EvaluationError: the program measures, resets or flips, or has a channel.
    """

    name = "pure-state"

    def __init__(
        self,
        program: Program,
        max_memory: int = DEFAULT_MEMORY,
        *,
        dtype: object = np.complex128,
        threads: int | None = None,
    ) -> None:
        random = what_is_random(program)
        if random:
            raise EvaluationError(
                "The pure-state engine is for programs that never measure, reset or flip, without channels; "
                f"this one has {random}. The hybrid engine runs all programs."
            )
        self.program = program
        self.max_memory = checked_memory(max_memory)
        self.dtype = checked_dtype(dtype)
        self._double = bool(self.dtype == np.complex128)
        self._advice = f'{FEWER_QUBITS} or dtype="complex64"' if self._double else FEWER_QUBITS
        self.threads = checked_threads(threads)
        self.preparation: Preparation[Line] = Preparation(program)

    @property
    def flow(self) -> Flow:
        """The lowered program."""
        return self.preparation.flow

    # --- results ---

    def values(self, rows: Sequence[Parameters], observables: Sequence[Observable]) -> Floats:
        """Return the expectations, (P, k)."""
        result = np.zeros((len(rows), len(observables)))
        for line, members, parameters in self._asked(rows, ()):
            found = self._values(line, parameters, observables)
            if len(members) == len(rows):
                return found
            result[members] = found
        return result

    def _values(self, line: Line, parameters: Floats, observables: Sequence[Observable]) -> Floats:
        if found := self._by_lanes(line, len(parameters), observables, None):
            lanes, question, together = found
            try:
                return lanes.run(question, parameters, together, self.threads, self.max_memory)[0]
            except LargeAngle:
                pass
        _, threads = self._shared_out(line, len(parameters), 0)
        return self._large(line).values(parameters, observables, threads)

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives by `wrt`, (P, k, d)."""
        values = np.zeros((len(rows), len(observables)))
        slopes = np.zeros((len(rows), len(observables), len(wrt)))
        for line, members, parameters in self._asked(rows, wrt):
            found = self._gradients(line, parameters, observables, wrt)
            if len(members) == len(rows):
                return found
            values[members], slopes[members] = found
        return values, slopes

    def _gradients(
        self, line: Line, parameters: Floats, observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        if found := self._by_lanes(line, len(parameters), observables, wrt):
            lanes, question, together = found
            try:
                return lanes.run(question, parameters, together, self.threads, self.max_memory)
            except LargeAngle:
                pass
        together, threads = self._shared_out(line, len(parameters), len(observables))
        return self._large(line).gradients(parameters, observables, wrt, together, threads)

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
        values, slopes = np.zeros(len(observables)), np.zeros((len(observables), len(wrt)))
        products = np.zeros((len(observables), len(directions), len(wrt)))
        ((line, _),) = self._by_path([parameters])
        numbers = self._numbers(line, [parameters], wrt, second=True)
        if not line.ended:
            return Curvature(values, slopes, products)
        operators = [self._operator(line, observable, self._bits) for observable in observables]
        width = self._width(len(operators), 2, 2, line)
        # With V directions at a time: ψ, its V tangents, and as many of each observable.
        together = self._width(len(directions), 1 + width, 1 + width, line)
        for first in range(0, len(directions), together):
            some_directions = slice(first, first + together)
            for start in range(0, len(operators), width):
                some = slice(start, start + width)
                found = second_order(line, numbers, operators[some], directions[some_directions])
                values[some], slopes[some], products[some, some_directions] = found
        if not len(directions):
            values, slopes = (x[0] for x in self.gradients([parameters], observables, wrt))
        return Curvature(values, slopes, products)

    def state(self, parameters: Parameters) -> dict[Store, Mixture]:
        """Return the final state by store (values of `program.counters`); {} where the program aborts."""
        ((line, _),) = self._by_path([parameters])
        self._numbers(line, [parameters], ())
        if not line.ended:
            return {}
        self._require(STATES_OF_STATE, line)
        table = ParameterTable.of(self.program.parameters, [parameters])
        psi = self._large(line).state(table.values, self.threads)
        return {line.store[: self.flow.own]: Mixture(vectors=psi[None])}

    def analyze(
        self, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        """Return what is known of the program and of the accuracy of value and derivatives."""
        ((line, _),) = self._by_path([parameters])
        numbers = self._numbers(line, [parameters], wrt)
        errors = Errors(self.flow, numbers, parameters)
        found = Followed(dimension=1 << len(self.program.qubits), executed=line.executions())
        for (gate, row), times in zip(line.instances.instances, line.executed.tolist(), strict=True):
            found.longest += times * errors.gate(gate, row)
        how = WHOLE
        if line.ended:
            # Values may be by lanes where derivatives are not; the bounds of groups are the larger ones.
            if not self._by_lanes(line, 1, [observable], wrt):
                self._count_groups(found, line)
                how = GROUP_BY_GROUP
            store = named(self.program, line.store)
            operator = self._operator(line, observable, self._bits)
            found.drift, found.norm = 2 * found.longest, observable.norm_bound(store)
            found.absolute, found.terms = operator.absolute, operator.terms
            found.off = rounding(observable, store) if observable.functions else 0.0  # matrices have no terms
        return line.analysis(
            numbers,
            error_bound=value_bound(found),
            grad_error_bound=gradient_bounds(found, errors),
            memory=2 * state_bytes(self._bits, self.dtype) + line.bytes,
            engine=self.name,
            reason=f"nothing is measured: one state vector, and the adjoint method; {how}.",
        )

    def _count_groups(self, found: Followed, line: Line) -> None:
        """Put rounding in groups of gates in place of that gate by gate.

        A matrix of a group has as columns states on three qubits, to which its gates are applied: it is off
        by √8 times their errors, and by GROUP_ERROR u when it is applied; a transition matrix is taken back
        through the group's gates from both sides.
        """
        found.unit = float(np.finfo(self.dtype).eps) / 2
        larger = found.unit / UNIT
        steps = self._large(line).groups.steps
        found.found = 6 * found.longest + COLLECTED_ERROR * UNIT
        found.longest = math.sqrt(8) * found.longest * larger + GROUP_ERROR * found.unit * steps

    # --- mechanisms ---

    def _asked(
        self, rows: Sequence[Parameters], wrt: Sequence[str]
    ) -> Iterator[tuple[Line, Sequence[int], Floats]]:
        """The rows that take the same path to an end, with it and their parameters, (P, number of them)."""
        table = ParameterTable.of(self.program.parameters, rows)
        for line, members in self._by_path(table):
            whole = len(members) == len(rows)
            if line.ended:
                yield line, members, table.values if whole else table.values[members]
            else:  # what has no value before the program aborts is an error still
                self._numbers(line, [table[p] for p in members], wrt)

    def _by_lanes(
        self, line: Line, rows: int, observables: Sequence[Observable], wrt: Sequence[str] | None
    ) -> tuple[Lanes, Question, int] | None:
        """Lanes, what they are asked, and how many run together; None where groups are the mechanism.

        Args:
            wrt: what derivatives are by; None where only values are asked for.
        """
        if not self._double or not serves(line, rows):
            return None
        for o in observables:
            if isinstance(o, MatrixObservable) and not o.can_expand:
                return None
        if line.lanes is None:
            line.lanes = Lanes(line, partial(self.preparation.expressions, line), partial(self._masks, line))
        question = line.lanes.question(observables, wrt)
        together = line.lanes.lanes(question, rows, self.max_memory)
        return (line.lanes, question, together) if together else None

    def _large(self, line: Line) -> Large:
        if line.large is None:
            from qdiff.sim.static.large import Large  # it loads the compiler

            part = np.float64 if self._double else np.float32
            line.large = Large(
                line, partial(self.preparation.expressions, line), partial(self._operator, line), part
            )
        return line.large

    # --- preparation ---

    def _by_path(self, rows: Sequence[Parameters]) -> Iterator[tuple[Line, Sequence[int]]]:
        """The rows that take the same path, with it."""
        require(1, 0, self._bits, self.max_memory, "pure-state", self._advice, self.dtype)
        return self.preparation.paths(rows, self._line)

    def _line(self, compared: Parameters) -> Line:
        return Line(self.flow, compared, self.preparation.layouts)

    def _numbers(
        self, line: Line, rows: Sequence[Parameters], wrt: Sequence[str], second: bool = False
    ) -> Numbers:
        """The numbers of a line; raises where one that the path needs does not exist."""
        numbers = self.preparation.numbers(line, rows, wrt, second)
        line.refuse(numbers)
        return numbers

    def _masks(self, line: Line, observables: Sequence[Observable]) -> list[Masks]:
        store = named(self.program, line.store)
        return [Masks.of(observable, store, self.program.qubits) for observable in observables]

    def _operator(self, line: Line, observable: Observable, bits: int) -> Operator:
        """An observable at the end of a line, on states of so many qubits, the program's first."""
        names = (*self.program.qubits, *(f"idle {i}" for i in range(bits - self._bits)))
        return operator_of(observable, named(self.program, line.store), names)

    # --- memory ---

    def _require(self, states: int, line: Line) -> None:
        """Refuse states of complex128 that do not fit, whatever the engine computes in otherwise."""
        require(states, line.bytes, self._bits, self.max_memory, "pure-state", FEWER_QUBITS)

    def _width(self, wanted: int, each: int, besides: int, line: Line) -> int:
        """How many of `wanted` things of so many complex128 states each fit besides others, at least one."""
        self._require(besides + each, line)
        free = self.max_memory - line.bytes
        fitting = (free // state_bytes(self._bits) - besides) // each
        return max(1, min(wanted, fitting))

    def _shared_out(self, line: Line, rows: int, observables: int) -> tuple[int, int]:
        """How many observables go back together, and on how many threads, with states and blocks that fit.

        A large state is one for all threads; small ones, and blocks of any, each thread has its own.

        Args:
            observables: 0 where only values are asked for.

        Raises:
            ResourceError: those of one observable on one thread do not fit.
        """
        state = state_bytes(self._bits, self.dtype)
        block = state_bytes(min(self._bits, BLOCK_BITS), self.dtype)
        apart = not shared_from(1 << self._bits)
        least = 1 + min(1, observables)
        others = line.bytes + least * block
        require(least, others, self._bits, self.max_memory, "pure-state", self._advice, self.dtype)
        free = self.max_memory - line.bytes

        def needed(threads: int, together: int) -> int:
            return (1 + together) * ((threads if apart else 1) * state + threads * block)

        threads = min(self.threads, rows) if apart else self.threads
        while threads > 1 and needed(threads, min(1, observables)) > free:
            threads -= 1
        together = observables
        while together > 1 and needed(threads, together) > free:
            together = max(1, (free // ((threads if apart else 1) * state + threads * block)) - 1)
        return max(1, together), threads

    @property
    def _bits(self) -> int:
        return len(self.program.qubits)
