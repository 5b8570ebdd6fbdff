"""Binding in compiled code: values of expressions, matrices of gates at their angles and of ops."""

from __future__ import annotations

import numpy as np

from qdiff.sim.machine import arithmetic, bytecode, states
from qdiff.sim.machine.code import (
    BOUND,
    DATA,
    DRIFTING,
    EXPRESSION,
    FIXED,
    GATE,
    HOW,
    INVOLUTION,
    LIVE,
    MATRIX,
    MONOMIAL,
    NUMBERS,
    PLACE,
    SIZE,
    Code,
    Complexes,
    Floats,
    Ints,
)
from qdiff.sim.machine.compiled import COMPLEXES, NOTHING, REAL, WHOLE, address_of, entry, field, inner, part
from qdiff.sim.machine.tables import Bound, Parts, Tables, Work
from qdiff.sim.pure.plan import KIND

SIMPLE = ("integer", "to float", "float", "parameter", "negate", "add", "multiply")
"""Operations of floats that `bind` does without `arithmetic.evaluate`, which takes seconds to compile."""
_INTEGER, _TO_FLOAT, _FLOAT, _PARAMETER, _NEGATE, _ADD, _MULTIPLY = (bytecode.CODE[name] for name in SIMPLE)

_evaluate, _apply = arithmetic.evaluate.call, states.apply.call


@part(NOTHING(WHOLE, WHOLE, REAL, COMPLEXES, WHOLE))
def matrix(machine: int, gate: int, angle: float, into: Complexes, place: int) -> None:
    """Write the matrix of a gate at an angle, row by row."""
    gates, data = field(machine, "gates"), field(machine, "data")
    how, size, start = gates[gate, HOW], gates[gate, SIZE], gates[gate, DATA]
    if how == FIXED:
        for i in range(size * size):
            into[place + i] = data[start + i]
    elif how == INVOLUTION:
        cosine, sine = np.cos(angle / 2), np.sin(angle / 2)
        for i in range(size * size):
            into[place + i] = complex(0.0, -sine) * data[start + i]
        for i in range(size):
            into[place + i * size + i] += cosine
    else:
        for i in range(size * size):
            into[place + i] = 0.0
        for k in range(size):
            turn = angle / 2 * data[start + size * size + k].real
            phase = complex(np.cos(turn), -np.sin(turn))
            for i in range(size):
                for j in range(size):
                    left, right = data[start + i * size + k], data[start + j * size + k]
                    into[place + i * size + j] += left * phase * np.conj(right)


_matrix = matrix.call


@inner
def _fuse(machine: int, apply: int, op: int, code: Code, bound: Bound, state: Floats) -> None:
    """Write the matrix of an op: of its gate, or of its gates together; `state` is room."""
    kind, place, size = code.ops[op, KIND], code.ops[op, MATRIX], code.ops[op, NUMBERS]
    first, last = code.member_starts[op], code.member_starts[op + 1]
    matrices, gate_matrices = bound.matrices, bound.gate_matrices
    if last - first == 1:
        start = code.gates[code.members[first, GATE], PLACE]
        for i in range(size):
            matrices[place + i] = gate_matrices[start + i]
        return
    rows = size
    while kind != MONOMIAL and rows * rows > size:
        rows >>= 1
    for column in range(size // rows):  # the first amplitudes of the state are used
        for i in range(rows):  # a permutation with phases, applied to ones, gives the phases
            state[0, i], state[1, i] = 1.0 if kind == MONOMIAL or i == column else 0.0, 0.0
        _apply(apply, machine, state, first, last, True)
        for i in range(rows):
            matrices[place + i * (size // rows) + column] = complex(state[0, i], state[1, i])
    for index in range(first, last):
        gate = code.members[index, GATE]
        if np.isnan(gate_matrices[code.gates[gate, PLACE]].real):
            matrices[place] = np.nan  # where the loop over shots looks for it


@inner
def _sum_of_products(
    code: Code, parameters: Floats, whole: Ints, real: Floats, expression: int
) -> tuple[bool, float]:
    """Whether an expression is made of SIMPLE operations, and its value then, that of `arithmetic.evaluate`;
    nan where there is none.
    """
    start, end, value = code.starts[expression], code.starts[expression + 1], 0.0
    if code.whole[expression]:
        return False, value
    for i in range(end - start):
        operation, left, right = code.rows[start + i, 0], code.rows[start + i, 1], code.rows[start + i, 2]
        if operation == _INTEGER:
            whole[i] = code.rows[start + i, 3]
            continue
        if operation == _FLOAT:
            value = code.floats[start + i]
        elif operation == _PARAMETER:
            value = parameters[left]
        elif operation == _TO_FLOAT:
            value = float(whole[left])
        elif operation == _NEGATE:
            value = -real[left]
        elif operation == _ADD:
            value = real[left] + real[right]
        elif operation == _MULTIPLY:
            value = real[left] * real[right]
        else:
            return False, value
        if not np.isfinite(value):
            return True, np.nan
        real[i] = value
    return True, value


@entry
def bind(code: Code, bound: Bound, work: Work, parts: Parts) -> None:
    """Fill in the numbers that depend on parameters and on no counter.

    What has no value is nan; it is an error where a run comes to it, and only there.
    """
    machine = address_of(Tables(code, bound, work))
    values, integers = bound.values, bound.integers
    for e in range(values.size):
        if code.modes[e] == BOUND and np.isnan(values[e]):
            row = code.starts[e]
            if code.whole[e] and code.rows[row, 0] == _INTEGER and code.starts[e + 1] == row + 1:
                integers[e] = code.rows[row, 3]
                values[e] = float(integers[e])
                continue
            simple, value = _sum_of_products(code, bound.parameters, work.whole_rows, work.real_rows, e)
            if simple:
                values[e] = value
                continue
            row = _evaluate(parts.evaluate, machine, e)
            if row >= 0 and code.whole[e]:
                integers[e] = work.whole_rows[row]
                values[e] = float(integers[e])
            elif row >= 0:
                values[e] = work.real_rows[row]
    for gate in range(code.gates.shape[0]):
        e = code.gates[gate, EXPRESSION]
        if code.gates[gate, HOW] != DRIFTING:
            angle = 0.0 if e < 0 else values[e]
            _matrix(parts.matrix, machine, gate, angle, bound.gate_matrices, code.gates[gate, PLACE])
    for op in range(code.ops.shape[0]):
        if code.ops[op, LIVE] < 0:
            _fuse(machine, parts.apply, op, code, bound, work.psi)
