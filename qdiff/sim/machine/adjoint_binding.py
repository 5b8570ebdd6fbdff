"""Binding a plan for derivatives: generators of ops, adjoint matrices, derivatives of Kraus operators.

    dU/dθ = -(i/2) K U,     K = Σ_j ∂a_j/∂θ W_j K_j W_j†

for an op U = W_j U_j … of gates j with generators K_j (`sim.generators`), W_j the gates behind gate j. Of an
op that permutes basis states and turns phases K is diagonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qdiff.errors import EvaluationError
from qdiff.lang.evaluate import ValueFailure
from qdiff.lang.running import located
from qdiff.sim.expressions import derivative_error
from qdiff.sim.flow import SmallGate
from qdiff.sim.generators import effective_generator
from qdiff.sim.machine import code as c
from qdiff.sim.machine.adjoint_code import GENERATOR, GradientPlan
from qdiff.sim.machine.fusion import pattern, touches
from qdiff.sim.machine.tables import Bound
from qdiff.sim.pure.plan import KIND

WITHOUT_SCORE = (
    "the choice is certain here, but the derivative of its probability by `{name}` is not 0: such a choice "
    'has no score. Use estimator "stratified", replacement rules (qd.differentiate(program, "{name}")), or '
    "exact derivatives (qd.expectation(...).grad)."
)


class Slopes(NamedTuple):
    """The numbers of a plan for derivatives, beside `Bound`.

    Attributes:
        generators: of every (op, parameter), and of the gates whose angle reads counters.
        inverses: U† of every op, with the numbers where those of U stand in `Bound.matrices`; of a
            permutation the conjugate phases.
        kraus: dK/dp of every channel, as in `Bound.kraus`; nan where a run that comes there is an error.
        lacking: (ops,) 1 where a derivative of an angle does not exist.
    """

    generators: c.Complexes
    inverses: c.Complexes
    kraus: c.Complexes
    lacking: c.Ints


def bound_slopes(gradient: GradientPlan, bound: Bound) -> Slopes:
    """Return the numbers of a plan for derivatives whose plan is bound."""
    plan = gradient.plan
    slopes = Slopes(
        generators=np.zeros(gradient.generators, dtype=np.complex128),
        inverses=bound.matrices.conj()[gradient.transposed],
        kraus=np.full(plan.kraus, complex(np.nan)),
        lacking=np.zeros(len(plan.code.ops), dtype=np.int64),
    )
    for op in range(len(plan.code.ops)):
        _put_generators(gradient, bound, slopes, op)
    for instruction in plan.channels:
        row = plan.code.instructions[instruction]
        changes = [bound.values[e] for _, e in gradient.slopes[row[c.A]]]
        if not np.isnan(bound.values[row[c.A]]) and not np.isnan(changes).any():
            put_kraus_slopes(plan, slopes, instruction, bound.values[row[c.A]], any(changes))
    return slopes


def put_kraus_slopes(plan: c.Lowered, slopes: Slopes, instruction: int, p: float, varies: bool) -> bool:
    """Write dK/dp of a channel instruction, 0 where p does not vary, nan where they do not exist; return
    whether they do."""
    start = plan.code.instructions[instruction, c.C]
    slopes.kraus[start : start + 4 * c.KRAUS] = 0.0
    if varies:
        found = plan.channels[instruction].kraus_slopes(min(max(float(p), 0.0), 1.0))
        exist = bool(np.isfinite(found).all())
        slopes.kraus[start : start + found.size] = found.reshape(-1) if exist else np.nan
        return exist
    return True


def put_live_generator(gradient: GradientPlan, slopes: Slopes, op: int, angle: float) -> None:
    """Write K of a gate whose angle reads counters."""
    start = gradient.sites.ops[op, GENERATOR]
    generator = effective_generator(gradient.plan.gates[gradient.plan.code.ops[op, c.LIVE]].record, angle)
    slopes.generators[start : start + generator.size] = generator.reshape(-1)


def _put_generators(gradient: GradientPlan, bound: Bound, slopes: Slopes, op: int) -> None:
    plan, sites = gradient.plan, gradient.sites
    first, end, live = sites.ops[op]
    if live >= 0:
        record = plan.gates[plan.code.ops[op, c.LIVE]].record
        if record.drift is None:  # else K follows the angle
            put_live_generator(gradient, slopes, op, 0.0)
        return
    places = {int(p): int(at) for p, at in sites.pairs[first:end]}
    if not places:
        return
    numbers = plan.gates_of(op)
    gates = [plan.gates[g] for g in numbers]
    changes = [[(p, bound.values[e]) for p, e in gradient.slopes.get(gate.expression, ())] for gate in gates]
    if any(np.isnan(change) for of_gate in changes for _, change in of_gate):
        slopes.lacking[op] = 1
        return
    size = plan.code.ops[op, c.NUMBERS]
    if any(np.isnan(bound.values[gate.expression]) for gate in gates if gate.expression >= 0):
        return  # an angle without a value is an error where a run comes to it
    monomial = plan.code.ops[op, KIND] == c.MONOMIAL
    behind = _Permuted(plan.qubits) if monomial else _Turned(_register(plan, op, gates))
    for gate, number, of_gate in zip(reversed(gates), reversed(numbers), reversed(changes), strict=True):
        if of_gate:
            generator = effective_generator(gate.record, float(bound.values[gate.expression]))
            turned = behind.turned(gate, generator)
            for p, change in of_gate:
                slopes.generators[places[p] : places[p] + size] += change * turned
        row = plan.code.gates[number]
        matrix = bound.gate_matrices[row[c.PLACE] : row[c.PLACE] + row[c.SIZE] ** 2]
        behind.follows(gate, matrix.reshape(row[c.SIZE], row[c.SIZE]))


def _register(plan: c.Lowered, op: int, gates: Sequence[SmallGate]) -> list[int]:
    """The qubits of the matrix of an op, lowest first; of a gate alone its targets."""
    if plan.code.ops[op, KIND] == c.DENSE:
        return list(range(plan.qubits))
    if len(gates) == 1:
        return list(gates[0].targets)
    return sorted(set().union(*map(touches, gates)))


class _Turned:
    """W_j, the product of the gates behind gate j, as a matrix on the qubits of an op."""

    def __init__(self, register: Sequence[int]) -> None:
        self.place = {q: i for i, q in enumerate(register)}
        self.behind = np.eye(1 << len(register), dtype=complex)

    def turned(self, gate: SmallGate, generator: c.Complexes) -> c.Complexes:
        """W K W†, flat."""
        whole = self.within(gate, generator, np.zeros_like(self.behind))
        return np.asarray((self.behind @ whole @ self.behind.conj().T).ravel())

    def follows(self, gate: SmallGate, matrix: c.Complexes) -> None:
        """W ← W U."""
        self.behind = self.behind @ self.within(gate, matrix, np.eye(len(self.behind), dtype=complex))

    def within(self, gate: SmallGate, matrix: c.Complexes, idle: c.Complexes) -> c.Complexes:
        """The matrix on the targets where the controls are 1, `idle` elsewhere.

        A gate alone has its controls outside of the register.
        """
        targets = [self.place[q] for q in gate.targets]
        controls = sum(1 << i for q, i in self.place.items() if gate.controls >> q & 1)
        index = np.arange(len(idle))
        bases = index[(index & (controls | sum(1 << i for i in targets))) == controls]
        places = sum(((np.arange(len(matrix)) >> k & 1) << i) for k, i in enumerate(targets))
        where = bases[:, None] + places
        idle[where[:, :, None], where[:, None, :]] = matrix
        return idle


class _Permuted:
    """The same for gates that permute basis states: W takes amplitude i from `source[i]`."""

    def __init__(self, qubits: int) -> None:
        self.index = np.arange(1 << qubits)
        self.source = self.index

    def turned(self, gate: SmallGate, generator: c.Complexes) -> c.Complexes:
        """The diagonal of W K W†."""
        diagonal = np.where(self.acts(gate), np.diag(generator)[self.local(gate)], 0.0)
        return np.asarray(diagonal[self.source])

    def follows(self, gate: SmallGate, matrix: c.Complexes) -> None:
        """W ← W U."""
        came = pattern(gate).argmax(axis=1)[self.local(gate)]
        before = self.index & ~sum(1 << q for q in gate.targets)
        for k, q in enumerate(gate.targets):
            before = before | ((came >> k & 1) << q)
        self.source = np.where(self.acts(gate), before, self.index)[self.source]

    def acts(self, gate: SmallGate) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.asarray((self.index & gate.controls) == gate.controls)

    def local(self, gate: SmallGate) -> c.Ints:
        return np.asarray(sum((self.index >> q & 1) << k for k, q in enumerate(gate.targets)))


# --- Errors, and numbers that the compiled loop asks for -------------------------------------------


def exact_slopes(
    gradient: GradientPlan, bound: Bound, expression: int, store: dict[str, int]
) -> list[tuple[str, float]]:
    """Return (parameter, derivative) of an expression at a store.

    Raises:
        EvaluationError: a derivative does not exist.
    """
    plan = gradient.plan
    params = dict(zip(plan.program.parameters, bound.parameters.tolist(), strict=True))
    found = []
    for p, e in gradient.slopes.get(expression, ()):
        try:
            found.append((gradient.wrt[p], float(plan.expressions[e].evaluate(params, store))))
        except ValueFailure:
            raise derivative_error(
                plan.program,
                plan.expressions[expression],
                plan.expressions[e],
                [gradient.wrt[p]],
                params,
                store,
            ) from None
    return found


def certain(plan: c.Lowered, instruction: int, name: str) -> EvaluationError:
    """The error for a choice whose probability is 0 or 1 and changes with a parameter."""
    expression = plan.expressions[plan.code.instructions[instruction, c.A]]
    choice = plan.channels[instruction].name if instruction in plan.channels else "flip"
    message = f"`{choice}({expression})`: {WITHOUT_SCORE.format(name=name)}"
    return located(plan.program, message, expression.place())
