"""Instructions of a plan (that of the trajectory machine) that act on states, on many states at once.

    measurement   p(v) = |P_v ψ|²,  ψ ← P_v ψ / √p(v)         channel   p(k) = |K_k ψ|²,  ψ ← K_k ψ / √p(k)

On small registers a sequence of gates is one matrix on the whole register: one product for all states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from qdiff.errors import QdiffError
from qdiff.sim.arrays.control import Runs, draw, evaluate_at
from qdiff.sim.arrays.libraries import open_library
from qdiff.sim.arrays.operators import Operators, operators_of
from qdiff.sim.arrays.primitives import Array, ArrayLibrary, Complexes, Floats, Ints
from qdiff.sim.distinct_rows import distinct_rows
from qdiff.sim.machine import code as c
from qdiff.sim.machine import tables as k
from qdiff.sim.machine.binding import scratch
from qdiff.sim.machine.fusion import touches
from qdiff.sim.machine.parts import addresses_of
from qdiff.sim.machine.running import Request, answer
from qdiff.sim.pure.operators import Masks
from qdiff.sim.pure.plan import FIRST, KIND

T = TypeVar("T", Floats, Complexes)

WHOLE_QUBITS = 6
"""Registers on which several ops are one matrix on all qubits."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One pass over states: a matrix on targets, or where `source` is given a permutation with phases."""

    matrix: Array
    targets: tuple[int, ...]
    controls: tuple[int, ...] = ()
    source: Ints | None = None

    def applied(self, library: ArrayLibrary, states: Array) -> Array:
        """Return what it makes of states."""
        if self.source is not None:
            return library.permute(states, self.source, self.matrix)
        return library.apply_matrix(states, self.matrix, self.targets, self.controls)


class Steps:
    """The instructions of one bound plan on states of one library.

    Args:
        runs: where the runs are; counters and numbers of draws are written.
        results: what runs leave behind is written there.
    """

    def __init__(self, request: Request, library: ArrayLibrary, runs: Runs, results: k.Results) -> None:
        self.plan, self.request = request.plan, request
        self.bound = request.bound._replace(
            matrices=request.bound.matrices.copy(), kraus=request.bound.kraus.copy()
        )
        self.library = library
        self.host = open_library("numpy")
        self.runs = runs
        self.results = results
        self.work = scratch(self.plan)
        self.parts = addresses_of(self.plan)
        self._passes: dict[int, list[Pass]] = {}
        self._operators: dict[int, Operators] = {}

    def start(self, shots: int) -> Array:
        """Return |0…0⟩ as many times."""
        return self.library.zeros(shots, self.plan.qubits)

    def carry_out(self, pc: int, rows: Ints, states: Array) -> Array:
        """Carry out one instruction on the states of some runs, which go on behind it.

        Args:
            states: those of `rows`, and any others behind them, as many as there is room for.

        Raises:
            EvaluationError: something has no value; of the first of the runs that come to it.
        """
        row = self.plan.code.instructions[pc]
        a, b = int(row[c.A]), int(row[c.B])
        match int(row[c.OP]):
            case c.GATES:
                for each in self._of_gates(pc, a, b):
                    states = each.applied(self.library, states)
            case c.LIVE_GATE:
                states = self._turned(pc, a, rows, states)
            case c.CLEAR:
                self.runs.draws[rows] += a
                states = self.start(states.shape[0])
            case c.EXPECT:
                found = self.library.expectations(states, [self._operator(o) for o in range(a, b)])
                self.results.expectations[rows, a:b] = found[: len(rows)]
            case c.MEASURE:
                outcomes, states = self._measured(self._qubits(a, b), rows, states)
                self.runs.pcs[rows] = self.plan.code.targets[row[c.C] + outcomes]
                return states
            case c.RECORD:
                outcomes, states = self._measured(self._qubits(a, b), rows, states)
                self.runs.stores[rows, row[c.C]] = outcomes
            case c.READ:
                weights = self.library.probabilities(states, self._qubits(a, b))
                outcomes = self._sampled(weights, rows, states)
                self.results.bits[rows, :b] = outcomes[: len(rows), None] >> np.arange(b) & 1
            case c.RESET:
                states = self._reset(a, rows, states)
            case c.CHANNEL:
                states = self._channel(pc, b, rows, states)
            case other:
                raise AssertionError(f"the instruction {c.OPCODES[other]} does not act on states")
        self.runs.pcs[rows] = row[c.NEXT]
        return states

    # --- Gates ------------------------------------------------------------------------------------

    def _of_gates(self, pc: int, first: int, end: int) -> list[Pass]:
        """The passes of a sequence of gates, found once."""
        if pc not in self._passes:
            places = self.plan.code.ops[first:end, c.MATRIX]
            if np.isnan(self.bound.matrices[places].real).any():
                self._ask(pc, np.zeros(len(self.plan.counters), dtype=np.int64))
            passes = [self._pass(op) for op in range(first, end)]
            n = self.plan.qubits
            if len(passes) > 1 and n <= WHOLE_QUBITS:
                basis = np.eye(1 << n, dtype=complex)
                for each in passes:
                    basis = each.applied(self.host, basis)
                passes = [Pass(np.ascontiguousarray(basis.T), tuple(range(n)))]
            self._passes[pc] = [
                Pass(self.library.constant(x.matrix), x.targets, x.controls, x.source) for x in passes
            ]
        return self._passes[pc]

    def _pass(self, op: int) -> Pass:
        """An op of the plan as numbers on the host."""
        plan, row = self.plan, self.plan.code.ops[op]
        numbers = self.bound.matrices[row[c.MATRIX] : row[c.MATRIX] + row[c.NUMBERS]]
        gates = [plan.gates[g] for g in plan.gates_of(op)]
        everywhere = tuple(range(plan.qubits))
        if row[KIND] == c.MONOMIAL:
            source = plan.code.perms[row[FIRST] : row[FIRST] + (1 << plan.qubits)]
            return Pass(numbers, everywhere, (), source)
        controls: tuple[int, ...] = ()
        if row[KIND] == c.DENSE:
            targets = everywhere
        elif len(gates) == 1:
            targets = gates[0].targets
            controls = tuple(q for q in everywhere if gates[0].controls >> q & 1)
        else:
            targets = tuple(sorted(frozenset().union(*map(touches, gates))))
        size = 1 << len(targets)
        return Pass(numbers.reshape(size, size), targets, controls)

    def _turned(self, pc: int, op: int, rows: Ints, states: Array) -> Array:
        """A gate whose angle reads counters: a matrix for each run."""
        gate = self.plan.gates[self.plan.code.ops[op, c.LIVE]]
        stores, which = self._read(gate.expression, rows)
        angles = np.empty(len(stores))
        evaluate_at(self.plan.code, self.bound, self.work, self.parts, stores, gate.expression, angles)
        size, start = 1 << gate.record.targets, self.plan.code.ops[op, c.MATRIX]
        known = ~np.isnan(angles)
        matrices = np.empty((len(stores), size, size), dtype=complex)
        matrices[known] = gate.record.matrix(angles[known])
        for s in np.flatnonzero(~known).tolist():
            self._ask(pc, stores[s], rows[which == s])
            matrices[s] = self.bound.matrices[start : start + size * size].reshape(size, size)
        controls = [q for q in range(self.plan.qubits) if gate.controls >> q & 1]
        mine = matrices[0] if len(stores) == 1 else self._padded(matrices[which], states)
        return self.library.apply_matrix(states, mine, gate.targets, controls)

    def _read(self, expression: int, rows: Ints) -> tuple[Ints, Ints]:
        """The different stores at which an expression is read (other counters 0), and whose is which."""
        counters = self.plan.expressions[expression].counters()
        read = [i for i, name in enumerate(self.plan.counters) if name in counters]
        found, which = distinct_rows(self.runs.stores[rows][:, read])
        stores = np.zeros((len(found), len(self.plan.counters)), dtype=np.int64)
        stores[:, read] = found
        return stores, which

    def _ask(self, pc: int, store: Ints, rows: Ints | None = None) -> None:
        """Find the number that an instruction asks for exactly.

        Raises:
            EvaluationError: it has none; `row` is the first of the runs that come to it.
        """
        self.work.context[k.PC], self.work.store[:] = pc, store
        try:
            answer(self.plan, self.bound, self.work)
        except QdiffError as problem:
            raise Failure(problem, None if rows is None else int(rows.min())) from None

    # --- Outcomes -----------------------------------------------------------------------------------

    def _measured(self, qubits: list[int], rows: Ints, states: Array) -> tuple[Ints, Array]:
        """Measure qubits; return the outcomes of the runs, and what is left."""
        weights = self.library.probabilities(states, qubits)
        outcomes = self._sampled(weights, rows, states)
        found = self.library.to_numpy(weights)
        kept = np.zeros(found.shape, dtype=complex)
        every = np.arange(len(outcomes))
        kept[every, outcomes] = 1 / np.sqrt(found[every, outcomes])
        return outcomes[: len(rows)], self.library.apply_diagonal(states, kept, qubits)

    def _reset(self, qubit: int, rows: Ints, states: Array) -> Array:
        """Measure a qubit and turn it to 0."""
        weights = self.library.probabilities(states, [qubit])
        outcomes = self._sampled(weights, rows, states)
        found = self.library.to_numpy(weights)
        every = np.arange(len(outcomes))
        matrices = np.zeros((len(outcomes), 2, 2), dtype=complex)
        matrices[every, 0, outcomes] = 1 / np.sqrt(found[every, outcomes])
        return self.library.apply_matrix(states, matrices, [qubit])

    def _channel(self, pc: int, qubit: int, rows: Ints, states: Array) -> Array:
        """One Kraus operator acts, by its weight."""
        expression = int(self.plan.code.instructions[pc, c.A])
        start = int(self.plan.code.instructions[pc, c.C])
        room = slice(start, start + 4 * c.KRAUS)
        if not np.isnan(self.bound.values[expression]):
            kraus = np.broadcast_to(self.bound.kraus[room].reshape(c.KRAUS, 2, 2), (len(rows), c.KRAUS, 2, 2))
        else:
            stores, which = self._read(expression, rows)
            each = np.empty((len(stores), c.KRAUS, 2, 2), dtype=complex)
            for s, store in enumerate(stores):
                self._ask(pc, store, rows[which == s])
                each[s] = self.bound.kraus[room].reshape(c.KRAUS, 2, 2)
            kraus = each[which]
        kraus = self._padded(kraus, states)
        density = self.library.to_numpy(self.library.transitions(states, states, [qubit]))
        weights = np.einsum("rkba,rkbc,rac->rk", kraus.conj(), kraus, density.conj()).real
        weights = np.ascontiguousarray(np.maximum(weights, 0.0))
        uniform = self._padded(self._uniform(rows), states)
        outcomes, every = self.host.sample(weights, uniform), np.arange(len(weights))
        scales = 1 / np.sqrt(weights[every, outcomes])
        return self.library.apply_matrix(states, kraus[every, outcomes] * scales[:, None, None], [qubit])

    def _sampled(self, weights: Array, rows: Ints, states: Array) -> Ints:
        """An outcome of each state."""
        return self.library.sample(weights, self._padded(self._uniform(rows), states))

    def _uniform(self, rows: Ints) -> Floats:
        """The next number of each run."""
        uniform = np.empty(len(rows))
        seed, first = np.uint64(self.request.seed), np.uint64(self.request.first)
        draw(self.runs, rows, seed, first, self.work.words, uniform)
        return uniform

    @staticmethod
    def _padded(array: T, states: Array) -> T:
        """One entry for each state: the first again for those that are no run's."""
        missing = states.shape[0] - len(array)
        return array if not missing else np.concatenate([array, np.repeat(array[:1], missing, axis=0)])

    def _qubits(self, start: int, number: int) -> list[int]:
        return [int(q) for q in self.plan.code.qubits[start : start + number]]

    def _operator(self, number: int) -> Operators:
        """A product of operators of the read-out."""
        if number not in self._operators:
            flips, signs, kept, ones = self.plan.code.masks[number : number + 1].T.copy()
            masks = Masks(flips, signs, kept, ones, self.plan.code.phases[number : number + 1])
            self._operators[number] = operators_of(masks, self.plan.qubits)
        return self._operators[number]


class Failure(Exception):
    """Something has no value.

    Attributes:
        problem: the error of the language. row: the first run that comes to it; None: all that are there.
    """

    def __init__(self, problem: QdiffError, row: int | None) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.row = row
