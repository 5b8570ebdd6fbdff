"""Binding: the numbers of a plan for one set of parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qdiff.errors import EvaluationError, ParameterError
from qdiff.lang.parameter_values import ValueProblem, declared, real_number
from qdiff.lang.running import PROBABILITY_SLACK
from qdiff.lang.tree import Program
from qdiff.sim.machine import code as c
from qdiff.sim.machine.matrices import bind
from qdiff.sim.machine.parts import addresses_of
from qdiff.sim.machine.tables import Bound, Work


def real_parameters(program: Program, params: Mapping[str, float]) -> dict[str, float]:
    """Return the value of every parameter of a program as a float.

    Raises:
        ParameterError: one is no finite real number.
    """
    found = {}
    for name in program.parameters:
        try:
            found[name] = float(real_number(params[name]))
        except ValueProblem as problem:
            raise ParameterError(
                f"Parameter values of a job: `{name}` {problem}. Parameters: {declared(program)}."
            ) from None
    return found


def bound(plan: c.Lowered, params: Mapping[str, float]) -> Bound:
    """Return the numbers of a plan.

    Args:
        params: the value of every parameter of the program, by element name.
    """
    expressions = len(plan.expressions)
    made = Bound(
        parameters=np.array([float(params[name]) for name in plan.program.parameters]),
        values=np.full(expressions, np.nan),
        integers=np.zeros(expressions, dtype=np.int64),
        gate_matrices=np.zeros(plan.gate_matrices, dtype=np.complex128),
        matrices=np.zeros(plan.matrices, dtype=np.complex128),
        kraus=np.zeros(plan.kraus, dtype=np.complex128),
    )
    put_drifting(plan, params, made)
    work, parts = scratch(plan), addresses_of(plan)
    bind(plan.code, made, work, parts)
    if put_exact(plan, params, made):
        bind(plan.code, made, work, parts)
    for instruction in plan.channels:
        e = plan.code.instructions[instruction, c.A]
        p = made.values[e]
        if -PROBABILITY_SLACK <= p <= 1 + PROBABILITY_SLACK:
            put_kraus(plan, made, instruction, float(p))
        else:
            made.values[e] = np.nan  # an error if a run comes to it
    return made


def put_exact(plan: c.Lowered, params: Mapping[str, float], made: Bound) -> bool:
    """Find values of angles and probabilities whose integers leave 64 bits; return whether there are any."""
    found = False
    lacking = np.isnan(made.values) & (plan.code.modes == c.BOUND) & ~plan.code.whole
    for e in np.flatnonzero(lacking).tolist():
        try:
            made.values[e] = plan.expressions[e].evaluate(params)
            found = True
        except EvaluationError:
            pass  # an error if a run comes to it
    return found


def put_drifting(plan: c.Lowered, params: Mapping[str, float], made: Bound) -> None:
    """Write the matrices of gates with a drift whose angles read no counter; nan for one without a value."""
    for gate, row in zip(plan.gates, plan.code.gates, strict=True):
        if row[c.HOW] != c.DRIFTING or (angle := plan.expressions[gate.expression]).counters():
            continue
        try:
            matrix = gate.record.matrix(float(angle.evaluate(params))).ravel()
        except EvaluationError:
            matrix = np.full(row[c.SIZE] ** 2, complex(np.nan))
        made.gate_matrices[row[c.PLACE] : row[c.PLACE] + matrix.size] = matrix


def scratch(plan: c.Lowered) -> Work:
    """Room for what one thread writes while it binds or runs a plan."""
    dimension = 1 << plan.qubits
    return Work(
        context=np.zeros(10, dtype=np.int64),
        words=np.zeros(4, dtype=np.uint64),
        store=np.zeros(len(plan.counters), dtype=np.int64),
        psi=np.zeros((2, dimension)),
        other=np.zeros((2, dimension)),
        outcomes=np.zeros(plan.outcomes),
        whole_rows=np.zeros(plan.longest, dtype=np.int64),
        real_rows=np.zeros(plan.longest),
        single=np.zeros(1, dtype=np.int64),
        given_whole=np.zeros(1, dtype=np.int64),
        given_real=np.zeros(1),
    )


def put_kraus(plan: c.Lowered, made: Bound, instruction: int, probability: float) -> None:
    """Write the Kraus operators of a channel instruction."""
    kraus = plan.channels[instruction].kraus(min(max(probability, 0.0), 1.0))
    if len(kraus) > c.KRAUS:
        raise AssertionError(f"a channel with {len(kraus)} Kraus operators")
    start = plan.code.instructions[instruction, c.C]
    made.kraus[start : start + 4 * c.KRAUS] = 0.0
    made.kraus[start : start + kraus.size] = kraus.reshape(-1)
