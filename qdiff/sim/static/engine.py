"""Programs that never measure, reset or flip, without channels: one pure state and the adjoint method.

    ψ = U_M … U_1 |0…0>,   f = <ψ|O|ψ>,   ∂f/∂a_m = Im <λ_m|G_m|ψ_m>,   λ = Oψ at the end,

for gates exp(-i a G/2): forward once, then ψ and λ back through the inverse gates, and all derivatives
are found on the way with two states. The second derivative along a direction carries ψ̇ and λ̇ as well.
Several sets of parameters run through one call of a compiled kernel.
Source: Jones and Gacon, "Efficient calculation of gradients in classical simulations of variational
quantum algorithms" (2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.analysis import Analysis
from qdiff.sim.exact import DEFAULT_MEMORY, Curvature, Floats, Mixture, Parameters, Store, directional
from qdiff.sim.flow import Flow
from qdiff.sim.function_sizes import rounding
from qdiff.sim.pure.bounds import WHOLE, Errors, Followed, gradient_bounds, loop_visits, value_bound
from qdiff.sim.pure.memory import require, state_bytes
from qdiff.sim.pure.numbers import Numbers
from qdiff.sim.pure.operators import Masks, named
from qdiff.sim.pure.paths import Walker
from qdiff.sim.pure.preparation import Preparation
from qdiff.sim.randomness import what_is_random
from qdiff.sim.readings import Rows
from qdiff.sim.static.line import Line, adjoint, expectation, run, second_order


class PureStateEngine:
    """Exact values and derivatives of one program without measurement, reset, flip or channel.

    Args:
        program: as said.
        max_memory: bytes that states may take; more is refused before it is allocated.

    Raises:
        EvaluationError: the program measures, resets or flips, or has a channel.
    """

    name = "pure-state"

    def __init__(self, program: Program, max_memory: int = DEFAULT_MEMORY) -> None:
        random = what_is_random(program)
        if random:
            raise EvaluationError(
                "The pure-state engine is for programs that never measure, reset or flip, without channels; "
                f"this one has {random}. The hybrid engine runs all programs."
            )
        self.program = program
        self.max_memory = max_memory
        self.preparation: Preparation[Line] = Preparation(program)

    @property
    def flow(self) -> Flow:
        """The lowered program."""
        return self.preparation.flow

    # --- results ---

    def values(self, rows: Sequence[Parameters], observables: Sequence[Observable]) -> Floats:
        """Return the expectations, (P, k)."""
        result = np.zeros((len(rows), len(observables)))
        for line, members in self._by_line(rows):
            masks = self._masks(line, observables)
            for part in self._parts(len(members), 2, line):
                chosen = [members[p] for p in part]
                numbers = self._numbers(line, [rows[p] for p in chosen], ())
                if not line.ended:
                    continue
                psi = run(line, numbers)
                for i, p in enumerate(chosen):
                    for k, mask in enumerate(masks):
                        result[p, k] = expectation(mask, psi[i])[0]
        return result

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        """Return the expectations, (P, k), and their derivatives by `wrt`, (P, k, d)."""
        values = np.zeros((len(rows), len(observables)))
        slopes = np.zeros((len(rows), len(observables), len(wrt)))
        for line, members in self._by_line(rows):
            masks = self._masks(line, observables)
            width = self._width(len(masks), 1, 1, line)
            for part in self._parts(len(members), 1 + width, line):
                chosen = [members[p] for p in part]
                numbers = self._numbers(line, [rows[p] for p in chosen], wrt)
                if not line.ended:
                    continue
                for start in range(0, len(masks), width):
                    some = slice(start, start + width)
                    found = adjoint(line, numbers, run(line, numbers), masks[some])
                    values[chosen, some], slopes[chosen, some] = found
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
        values, slopes = np.zeros(len(observables)), np.zeros((len(observables), len(wrt)))
        products = np.zeros((len(observables), len(directions), len(wrt)))
        ((line, _),) = self._by_line([parameters])
        numbers = self._numbers(line, [parameters], wrt, second=True)
        if not line.ended:
            return Curvature(values, slopes, products)
        masks = self._masks(line, observables)
        width = self._width(len(masks), 2, 2, line)
        # With V directions at a time: ψ, its V tangents, and as many of each observable.
        together = self._width(len(directions), 1 + width, 1 + width, line)
        for first in range(0, len(directions), together):
            some_directions = slice(first, first + together)
            for start in range(0, len(masks), width):
                some = slice(start, start + width)
                found = second_order(line, numbers, masks[some], directions[some_directions])
                values[some], slopes[some], products[some, some_directions] = found
        if not len(directions):
            values, slopes = (x[0] for x in self.gradients([parameters], observables, wrt))
        return Curvature(values, slopes, products)

    def state(self, parameters: Parameters) -> dict[Store, Mixture]:
        """Return the final state by store (values of `program.counters`); {} where the program aborts."""
        ((line, _),) = self._by_line([parameters])
        numbers = self._numbers(line, [parameters], ())
        if not line.ended:
            return {}
        self._require(2, line)
        psi = run(line, numbers)[0]
        store = line.path.store[: self.flow.own]
        return {store: Mixture(vectors=(psi[0] + 1j * psi[1])[None])}

    def analyze(
        self, parameters: Parameters, observable: Observable, wrt: Sequence[str], bounds: bool = True
    ) -> Analysis:
        """Return what is known of the program and of the accuracy of value and derivatives."""
        ((line, _),) = self._by_line([parameters])
        numbers = self._numbers(line, [parameters], wrt)
        errors = Errors(self.flow, numbers, parameters)
        found = Followed(dimension=1 << len(self.program.qubits))
        for (gate, row), times in zip(line.instances.instances, line.executed.tolist(), strict=True):
            found.longest += times * errors.gate(gate, row)
            e = self.flow.gates[gate].expression
            if e >= 0:
                found.executed[e, row] = found.executed.get((e, row), 0.0) + times
        if line.ended:
            store = named(self.program, line.path.store)
            coefficients = observable.coefficients(store).values()
            found.drift, found.norm = 2 * found.longest, observable.norm_bound(store)
            found.absolute, found.terms = sum(map(abs, coefficients)), len(coefficients)
            found.off = rounding(observable, store)
        marks: dict[int, float] = {}
        for mark in line.path.marks:
            marks[mark] = marks.get(mark, 0.0) + 1
        gates, repeated = line.path.for_ever
        marks.update(dict.fromkeys(repeated, math.inf))
        executed = dict(found.executed)
        for gate, row in gates:
            executed[self.flow.gates[gate].expression, row] = math.inf
        return Analysis(
            termination_probability=float(line.ended),
            trapped_probability=float(line.path.repeated is not None),
            outside_probability=0.0,
            expected_visits=loop_visits(self.flow, marks),
            occurrences=numbers.occurrences({k: n for k, n in executed.items() if k[0] >= 0}),
            error_bound=value_bound(found),
            grad_error_bound=gradient_bounds(found, errors),
            memory=2 * state_bytes(len(self.program.qubits)) + line.bytes,
            engine=self.name,
            reason=f"nothing is measured: one state vector, and the adjoint method; {WHOLE}.",
        )

    # --- preparation ---

    def _by_line(self, rows: Sequence[Parameters]) -> Iterator[tuple[Line, list[int]]]:
        """The rows that take the same path, with it."""
        require(2, 0, len(self.program.qubits), self.max_memory, "pure-state", "use fewer qubits")
        members: dict[tuple[float, ...], list[int]] = {}
        for p, row in enumerate(rows):
            members.setdefault(tuple(self.preparation.compared(row).values()), []).append(p)
        for key, found in members.items():
            compared = self.preparation.compared(rows[found[0]])
            yield self.preparation.way(key, partial(self._line, compared)), found

    def _line(self, compared: dict[str, float]) -> Line:
        rows = Rows(self.flow)
        path = Walker(self.flow, rows, compared).follow(self.flow.entry, self._start(), ())
        if path.error is not None:
            raise path.error
        return Line(self.flow, path, self.preparation.layouts, rows)

    def _start(self) -> Store:
        return (0,) * len(self.flow.counters)

    def _numbers(
        self, line: Line, rows: Sequence[Parameters], wrt: Sequence[str], second: bool = False
    ) -> Numbers:
        """The numbers of a line; raises where one that the path needs does not exist."""
        numbers = self.preparation.numbers(line, rows, wrt, second)
        rotated = [
            (int(e), row)
            for e, (_, row) in zip(line.instances.expressions, line.instances.instances, strict=True)
            if e >= 0
        ]
        for e, row in dict.fromkeys(rotated):
            failure = numbers.angle_error(e, row)
            if failure is not None:
                raise failure[1]
        numbers.refuse_derivatives(rotated)
        return numbers

    def _masks(self, line: Line, observables: Sequence[Observable]) -> list[Masks]:
        store = named(self.program, line.path.store)
        return [Masks.of(observable, store, self.program.qubits) for observable in observables]

    # --- memory ---

    def _require(self, states: int, line: Line) -> None:
        require(
            states, line.bytes, len(self.program.qubits), self.max_memory, "pure-state", "use fewer qubits"
        )

    def _width(self, wanted: int, each: int, besides: int, line: Line) -> int:
        """How many of `wanted` things of so many states each fit besides others; at least one must."""
        self._require(besides + each, line)
        free = self.max_memory - line.bytes
        fitting = (free // state_bytes(len(self.program.qubits)) - besides) // each
        return max(1, min(wanted, fitting))

    def _parts(self, rows: int, states: int, line: Line) -> Iterator[range]:
        """Split rows of parameters into parts that fit."""
        self._require(states, line)
        each = states * state_bytes(len(self.program.qubits)) + line.bytes
        size = max(1, min(rows, self.max_memory // each))
        for start in range(0, rows, size):
            yield range(start, min(rows, start + size))
