"""The compiled machine: expressions, matrices, random streams, and the loop that runs shots.

A shot draws its numbers from Philox 4×64 with ten rounds (Salmon, Moraes, Dror and Shaw, 2011): key (seed,
0), counter (b, 0, shot, 0) for its b-th block of four words, b from 1; u = (word >> 11)·2⁻⁵³.

**History tree.** What a shot does to the state depends on its outcomes only, and shots share their first
outcomes. So states are kept in a tree: a *node* is a state and the instruction that acts on it next, a child
what one outcome makes of it, with the outcomes' cumulated weights. A shot inside the tree needs one number
and one look-up for each measurement. Outside (no room, a state too rare, an angle that reads counters) it
goes on with a state of its own; a reset of all qubits brings it back. Nodes are computed by the same
functions from the same numbers as a state outside, so the tree changes no result.

The loop stops where it needs help (`ASK`: a value that does not exist in 64 bits or at all) or has worked
long enough (`PAUSED`), with everything it knows in its arguments, and goes on when called again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from qdiff.sim.machine import bytecode
from qdiff.sim.machine.code import (
    BOUND,
    CHANNEL,
    CLEAR,
    COST,
    DATA,
    DECIDE,
    DENSE,
    DRIFTING,
    ELSE,
    EXPECT,
    EXPRESSION,
    FIRST_RANDOM,
    FIXED,
    GATE,
    GATES,
    HOW,
    INVOLUTION,
    KRAUS,
    LISTED,
    LIVE,
    LIVE_GATE,
    MATRIX,
    MEASURE,
    MONOMIAL,
    NEXT,
    NUMBERS,
    OP,
    PLACE,
    READ,
    RECORD,
    RESET,
    SET,
    SIZE,
    STEP,
    STOP,
    TOSS,
    A,
    B,
    C,
    Code,
    Complexes,
    Floats,
    Ints,
)
from qdiff.sim.pure.plan import (
    CONTROLS,
    COUNT,
    FIELDS,
    FIELDS_END,
    FIRST,
    GENERAL,
    KIND,
    OUTER,
    SECOND,
    STRIDE,
)

Words = NDArray[np.uint64]
F = TypeVar("F", bound=Callable[..., Any])

# Nothing here allocates, so nothing counts references to arrays: counting them is atomic and took
# three quarters of the time. (Numba's own option; with it an allocation does not compile.)
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False}


def entry(function: F) -> F:
    """A function that Python calls: compiled once, kept on disk. Division by zero gives inf or nan."""
    return cast(F, numba.njit(cache=True, nogil=True, **_OPTIONS)(function))


def inner(function: F) -> F:
    """A function that only compiled ones call; its code is kept with theirs."""
    return cast(F, numba.njit(**_OPTIONS)(function))


FINISHED, PAUSED, ASK, SHARE = range(4)
"""Why `run` returned: all shots are done, the budget is spent, an instruction needs a number, or is shared by
threads.
"""
ENDED, ABORTED, CUT = 0, 1, 2
"""How a shot ended."""
ROW, PC, NODE, STEPS, DRAWS, DRAWN, RUNNING, GIVEN, BUDGET, WIDE = range(10)
"""Entries of `Work.context`: the shot, where it is, …; DRAWN: the block of random words at hand; GIVEN: the
number asked for is there; WIDE: whether what acts on a state is shared by threads (`wide`)."""
BLOCK = 2**16
"""Weights are summed over so many amplitudes at a time, whoever sums them."""
MOST_WIDE = 64
"""Outcomes of an instruction that is shared."""

PC_OF, STATE, SIBLING, BASE = range(4)
"""Columns of `Tree.nodes`: the instruction that comes next (-1: not known yet), the row of its state, another
node with the same state (-1: none), where its outcomes begin (-1: not looked at)."""
NODES, STATES, SLOTS = range(3)
MOST_OUTCOMES = 1024
MOST_SIBLINGS = 8


class Bound(NamedTuple):
    """The numbers of one set of parameters.

    Attributes:
        parameters: (N,). values, integers: (E,) of expressions without counters; nan where there is none.
        gate_matrices, matrices, kraus: tables; each thread has its own, for what changes while it runs.
    """

    parameters: Floats
    values: Floats
    integers: Ints
    gate_matrices: Complexes
    matrices: Complexes
    kraus: Complexes


class Tree(NamedTuple):
    """States that several shots come to; see the head of this module."""

    states: Floats
    nodes: Ints
    chances: Floats
    cumulated: Floats
    children: Ints
    used: Ints


class Work(NamedTuple):
    """What one thread writes to.

    Attributes:
        context: int64 (9,). words: the current block of random words. store: the counters.
        psi, other: states (2, D). outcomes: room for the weights of all outcomes. single: for one number.
        whole, real: values of an expression's rows. given: a number that was asked for: integer and float.
    """

    context: Ints
    words: Words
    store: Ints
    psi: Floats
    other: Floats
    outcomes: Floats
    whole: Ints
    real: Floats
    single: Ints
    given_whole: Ints
    given_real: Floats


class Results(NamedTuple):
    """One row for each shot."""

    counters: Ints
    bits: NDArray[np.uint8]
    status: NDArray[np.uint8]
    expectations: Floats


# --- Random streams -------------------------------------------------------------------------------


def _high_word(typing_context: Any, a: Any, b: Any) -> Any:
    """The high word of a product of two words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*[builder.zext(argument, wide) for argument in arguments])
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


_high = cast(Callable[[Any, Any], Any], intrinsic(_high_word))


@inner
def philox(block: int, shot: np.uint64, seed: np.uint64, words: Words) -> None:
    """Write the four words of a block."""
    a, b, c, d = np.uint64(block), np.uint64(0), np.uint64(shot), np.uint64(0)
    key, tweak = np.uint64(seed), np.uint64(0)
    first, second = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
    for _ in range(10):
        high, low = _high(first, a), first * a
        high2, low2 = _high(second, c), second * c
        a, b, c, d = high2 ^ b ^ key, low2, high ^ d ^ tweak, low
        key += np.uint64(0x9E3779B97F4A7C15)
        tweak += np.uint64(0xBB67AE8584CAA73B)
    words[0], words[1], words[2], words[3] = a, b, c, d


@entry
def stream(seed: np.uint64, shot: np.uint64, numbers: Floats, words: Words) -> None:
    """Write the first numbers that a shot draws; `words` is room for four."""
    for i in range(numbers.size):
        if i & 3 == 0:
            philox((i >> 2) + 1, shot, seed, words)
        numbers[i] = float(words[i & 3] >> np.uint64(11)) * 2.0**-53


# --- Expressions ----------------------------------------------------------------------------------

_INTEGER, _COUNTER = bytecode.CODE["integer"], bytecode.CODE["counter"]
_ADD_INTEGERS, _MULTIPLY_INTEGERS = bytecode.CODE["add integers"], bytecode.CODE["multiply integers"]
_NEGATE_INTEGER, _ABS_INTEGER = bytecode.CODE["negate integer"], bytecode.CODE["abs integer"]
_POWER_OF_INTEGERS, _ASK = bytecode.CODE["power of integers"], bytecode.CODE["ask"]
_DIV, _MOD, _INDICATOR = bytecode.CODE["div"], bytecode.CODE["mod"], bytecode.CODE["indicator"]
_FLOAT, _PARAMETER, _ELEMENT = bytecode.CODE["float"], bytecode.CODE["parameter"], bytecode.CODE["element"]
_TO_FLOAT, _ADD, _MULTIPLY = bytecode.CODE["to float"], bytecode.CODE["add"], bytecode.CODE["multiply"]
_DIVIDE, _NEGATE, _POWER = bytecode.CODE["divide"], bytecode.CODE["negate"], bytecode.CODE["power"]
_DIVIDE_INTEGERS = bytecode.CODE["divide integers"]
_HAZARD, _SIN, _COS, _TAN = (bytecode.CODE[name] for name in ("hazard", "sin", "cos", "tan"))
_ASIN, _ACOS, _ATAN = (bytecode.CODE[name] for name in ("asin", "acos", "atan"))
_EXP, _LOG, _SQRT, _ABS = (bytecode.CODE[name] for name in ("exp", "log", "sqrt", "abs"))
_LEAST, _MOST = -(2**63), 2**63 - 1
_SIGN = np.uint64(2**63)
_HALF = 2**31
_EXACT = 2**53  # integers up to here are floats


@inner
def _adds(x: int, y: int) -> bool:
    """Whether a sum is in 64 bits. The sum itself is of no use: where it overflows it is undefined."""
    return x <= _MOST - y if y >= 0 else x >= _LEAST - y


@inner
def _product(x: int, y: int) -> tuple[int, bool]:
    """A product, and whether it is in 64 bits."""
    if -_HALF < x < _HALF and -_HALF < y < _HALF:
        return x * y, True
    # Of magnitudes, as signed integers must not overflow.
    negative = (x < 0) != (y < 0)
    a = np.uint64(x) if x >= 0 else np.uint64(0) - np.uint64(x)
    b = np.uint64(y) if y >= 0 else np.uint64(0) - np.uint64(y)
    low = a * b
    fits = bool(_high(a, b) == np.uint64(0) and (low < _SIGN or (negative and low == _SIGN)))
    return np.int64(np.uint64(0) - low if negative else low), fits  # type: ignore[return-value]


@inner
def _whole(operation: int, x: int, y: int, constant: int) -> tuple[int, bool]:
    """An operation on integers, and whether its value is in 64 bits."""
    if operation == _ADD_INTEGERS:
        fits = _adds(x, y)
        return (x + y if fits else 0), fits
    if operation == _MULTIPLY_INTEGERS:
        return _product(x, y)
    if operation == _POWER_OF_INTEGERS:
        r, fits = 1, y >= 0
        while fits and y > 0:
            if y & 1:
                r, fits = _product(r, x)
            y >>= 1
            if fits and y > 0:
                x, fits = _product(x, x)
        return r, fits
    if operation == _ASK:
        return 0, False
    if operation == _NEGATE_INTEGER:
        return -x, x != _LEAST
    if operation == _ABS_INTEGER:
        return abs(x), x != _LEAST
    if operation == _INDICATOR:
        return int(x == constant), True
    if y == 0 or (y == -1 and x == _LEAST):
        return 0, False
    return (x // y if operation == _DIV else x % y), True


@inner
def _real(operation: int, x: float, y: float) -> float:
    """An operation on floats; what has no value is nan or inf."""
    if operation == _ADD:
        return x + y
    if operation == _MULTIPLY:
        return x * y
    if operation == _DIVIDE:
        return x / y
    if operation == _NEGATE:
        return -x
    if operation == _POWER:
        return float(x**y)
    if operation == _SIN:
        return float(np.sin(x))
    if operation == _COS:
        return float(np.cos(x))
    if operation == _TAN:
        return float(np.tan(x))
    if operation == _ASIN:
        return float(np.arcsin(x))
    if operation == _ACOS:
        return float(np.arccos(x))
    if operation == _ATAN:
        return float(np.arctan(x))
    if operation == _EXP:
        return float(np.exp(x))
    if operation == _LOG:
        return float(np.log(x))
    if operation == _SQRT:
        return float(np.sqrt(x))
    return abs(x)


@inner
def evaluate(
    starts: Ints,
    rows: Ints,
    floats: Floats,
    hazards: Floats,
    expression: int,
    parameters: Floats,
    store: Ints,
    whole: Ints,
    real: Floats,
) -> tuple[bool, int, float]:
    """Return whether an expression has a value in 64 bits, and the value: an integer and a float.

    Only one of them is meant, as the expression is integer or not.
    """
    start, end = starts[expression], starts[expression + 1]
    for i in range(end - start):
        row = start + i
        operation, left, right, constant = rows[row, 0], rows[row, 1], rows[row, 2], rows[row, 3]
        if operation == _COUNTER:
            whole[i] = store[left]
        elif operation == _INTEGER:
            whole[i] = constant
        elif operation <= _INDICATOR:
            whole[i], fits = _whole(operation, whole[left], whole[right], constant)
            if not fits:
                return False, 0, 0.0
        else:
            if operation == _TO_FLOAT:
                real[i] = float(whole[left])
            elif operation == _DIVIDE_INTEGERS:
                if not (-_EXACT <= whole[left] <= _EXACT and -_EXACT <= whole[right] <= _EXACT):
                    return False, 0, 0.0
                real[i] = whole[left] / whole[right]
            elif operation == _PARAMETER:
                real[i] = parameters[left]
            elif operation == _FLOAT:
                real[i] = floats[row]
            elif operation == _ELEMENT or operation == _HAZARD:
                if not 0 <= whole[left] < constant:
                    return False, 0, 0.0
                real[i] = (parameters if operation == _ELEMENT else hazards)[right + whole[left]]
            else:
                real[i] = _real(operation, real[left], real[right])
            if not np.isfinite(real[i]):
                return False, 0, 0.0
    last = end - start - 1
    return True, whole[last], real[last]


@inner
def _order(whole: bool, i: int, x: float, other_whole: bool, j: int, y: float) -> int:
    """-1, 0 or 1 as the first value is below, equal to or above the second; integers exactly."""
    if whole and other_whole:
        return int(i > j) - int(i < j)
    if whole:
        return _order_mixed(i, y)
    if other_whole:
        return -_order_mixed(j, x)
    return int(x > y) - int(x < y)


@inner
def _order_mixed(i: int, y: float) -> int:
    if y >= 2.0**63:
        return -1
    if y < -(2.0**63):
        return 1
    floor = int(np.floor(y))
    if i != floor:
        return 1 if i > floor else -1
    return -1 if y > np.floor(y) else 0


@inner
def _compared(operator: int, order: int) -> bool:
    """= != < <= > >= as numbered by `lang.tree.OPERATORS`."""
    if operator == 0:
        return order == 0
    if operator == 1:
        return order != 0
    if operator == 2:
        return order < 0
    if operator == 3:
        return order <= 0
    if operator == 4:
        return order > 0
    return order >= 0


# --- Binding --------------------------------------------------------------------------------------


@inner
def _gate_matrix(
    gates: Ints, data: Complexes, gate: int, angle: float, matrix: Complexes, place: int
) -> None:
    """Write the matrix of a gate at an angle, row by row."""
    how, size, start = gates[gate, HOW], gates[gate, SIZE], gates[gate, DATA]
    if how == FIXED:
        for i in range(size * size):
            matrix[place + i] = data[start + i]
    elif how == INVOLUTION:
        cosine, sine = np.cos(angle / 2), np.sin(angle / 2)
        for i in range(size * size):
            matrix[place + i] = complex(0.0, -sine) * data[start + i]
        for i in range(size):
            matrix[place + i * size + i] += cosine
    else:
        for i in range(size * size):
            matrix[place + i] = 0.0
        for k in range(size):
            turn = angle / 2 * data[start + size * size + k].real
            phase = complex(np.cos(turn), -np.sin(turn))
            for i in range(size):
                for j in range(size):
                    left, right = data[start + i * size + k], data[start + j * size + k]
                    matrix[place + i * size + j] += left * phase * np.conj(right)


@inner
def _fuse(
    code: Code, op: int, gate_matrices: Complexes, matrices: Complexes, psi: Floats, other: Floats
) -> None:
    """Write the matrix of an op: of its gate, or of its gates together; `psi` and `other` are room for
    states.
    """
    kind, place, size = code.ops[op, KIND], code.ops[op, MATRIX], code.ops[op, NUMBERS]
    first, last = code.part_starts[op], code.part_starts[op + 1]
    if last - first == 1:
        start = code.gates[code.parts[first, GATE], PLACE]
        for i in range(size):
            matrices[place + i] = gate_matrices[start + i]
        return
    rows = size
    while kind != MONOMIAL and rows * rows > size:
        rows >>= 1
    state = psi  # of which the first amplitudes are used
    for column in range(size // rows):
        for i in range(rows):  # a permutation with phases, applied to ones, gives the phases
            state[0, i], state[1, i] = 1.0 if kind == MONOMIAL or i == column else 0.0, 0.0
        for part in range(first, last):
            start = code.gates[code.parts[part, GATE], PLACE]
            _block(
                state,
                code.parts,
                part,
                code.low,
                code.width,
                code.places,
                code.perms,
                gate_matrices,
                start,
                other,
                0,
                code.parts[part, OUTER] * code.parts[part, COUNT],
            )
        for i in range(rows):
            matrices[place + i * (size // rows) + column] = complex(state[0, i], state[1, i])
    for part in range(first, last):
        gate = code.parts[part, GATE]
        if np.isnan(gate_matrices[code.gates[gate, PLACE]].real):
            matrices[place] = np.nan  # where `run` looks for it


@entry
def bind(code: Code, bound: Bound, work: Work) -> None:
    """Fill in the numbers that depend on parameters and on no counter.

    What has no value is nan; it is an error where a run comes to it, and only there.
    """
    store, whole, real = work.store, work.whole, work.real
    for e in range(bound.values.size):
        if code.modes[e] == BOUND and np.isnan(bound.values[e]):
            fits, bound.integers[e], value = evaluate(
                code.starts, code.rows, code.floats, code.hazards, e, bound.parameters, store, whole, real
            )
            bound.values[e] = (float(bound.integers[e]) if code.whole[e] else value) if fits else np.nan
    for gate in range(code.gates.shape[0]):
        e = code.gates[gate, EXPRESSION]
        if code.gates[gate, HOW] != DRIFTING:
            angle = 0.0 if e < 0 else bound.values[e]
            _gate_matrix(code.gates, code.data, gate, angle, bound.gate_matrices, code.gates[gate, PLACE])
    for op in range(code.ops.shape[0]):
        if code.ops[op, LIVE] < 0:
            _fuse(code, op, bound.gate_matrices, bound.matrices, work.psi, work.other)


# --- States ---------------------------------------------------------------------------------------


@inner
def _copy(x: Floats, y: Floats) -> None:
    """y ← x."""
    for i in range(x.shape[1]):
        y[0, i] = x[0, i]
        y[1, i] = x[1, i]


@inner
def _zero(x: Floats) -> None:
    """x ← |0…0⟩."""
    for i in range(x.shape[1]):
        x[0, i], x[1, i] = 0.0, 0.0
    x[0, 0] = 1.0


@inner
def _four(
    x: Floats, base: int, places: Ints, start: int, stride: int, count: int, m: Complexes, at: int
) -> None:
    """A matrix on two targets, `count` times."""
    second, third, fourth = places[start + 1], places[start + 2], places[start + 3]
    for n in range(count):
        i = np.uintp(base + n * stride)
        j, k, h = (
            np.uintp(base + n * stride + second),
            np.uintp(base + n * stride + third),
            np.uintp(base + n * stride + fourth),
        )
        p, q, r, s = (
            complex(x[0, i], x[1, i]),
            complex(x[0, j], x[1, j]),
            complex(x[0, k], x[1, k]),
            complex(x[0, h], x[1, h]),
        )
        a = m[at] * p + m[at + 1] * q + m[at + 2] * r + m[at + 3] * s
        b = m[at + 4] * p + m[at + 5] * q + m[at + 6] * r + m[at + 7] * s
        c = m[at + 8] * p + m[at + 9] * q + m[at + 10] * r + m[at + 11] * s
        d = m[at + 12] * p + m[at + 13] * q + m[at + 14] * r + m[at + 15] * s
        x[0, i], x[1, i], x[0, j], x[1, j] = a.real, a.imag, b.real, b.imag
        x[0, k], x[1, k], x[0, h], x[1, h] = c.real, c.imag, d.real, d.imag


@inner
def _block(
    x: Floats,
    rows: Ints,
    m: int,
    low: Ints,
    width: Ints,
    places: Ints,
    bases: Ints,
    matrix: Complexes,
    at: int,
    old: Floats,
    begin: int,
    end: int,
) -> None:
    """x ← (matrix on the targets, where the controls are 1) x; the place is row m of `rows`, see `code`.

    `old` is room for the amplitudes of one set of local states. Of the OUTER · COUNT places those from
    `begin` up to `end` are handled.
    """
    kind, start, number, stride = rows[m, KIND], rows[m, FIRST], rows[m, SECOND], rows[m, STRIDE]
    p, q, r, s = matrix[at], matrix[at + 1], matrix[at + 2], matrix[at + 3]
    count = rows[m, COUNT]
    for k in range(begin // count, (end + count - 1) // count):
        first, last = max(begin - k * count, 0), min(end - k * count, count)
        if kind >= LISTED:
            base = bases[rows[m, FIELDS] + k]
        else:
            base = k  # the bits of k, spread over the positions that are neither fixed nor inside a run
            for f in range(rows[m, FIELDS], rows[m, FIELDS_END]):
                base = ((base & ~low[f]) << width[f]) | (base & low[f])
            base |= rows[m, CONTROLS]
        if kind == LISTED:
            j = np.uintp(base + start)
            a, b, c, d = x[0, base], x[1, base], x[0, j], x[1, j]
            x[0, base] = p.real * a - p.imag * b + q.real * c - q.imag * d
            x[1, base] = p.real * b + p.imag * a + q.real * d + q.imag * c
            x[0, j] = r.real * a - r.imag * b + s.real * c - s.imag * d
            x[1, j] = r.real * b + r.imag * a + s.real * d + s.imag * c
        elif kind == GENERAL:
            for i in range(first, last):
                j = np.uintp(base + i * stride)
                h = np.uintp(base + i * stride + start)
                a, b, c, d = x[0, j], x[1, j], x[0, h], x[1, h]
                x[0, j] = p.real * a - p.imag * b + q.real * c - q.imag * d
                x[1, j] = p.real * b + p.imag * a + q.real * d + q.imag * c
                x[0, h] = r.real * a - r.imag * b + s.real * c - s.imag * d
                x[1, h] = r.real * b + r.imag * a + s.real * d + s.imag * c
        else:
            base += first * stride
            if number == 4:
                _four(x, base, places, start, stride, last - first, matrix, at)
                continue
            for _ in range(first, last):
                for g in range(number):
                    old[0, g], old[1, g] = x[0, base + places[start + g]], x[1, base + places[start + g]]
                for g in range(number):
                    re, im = 0.0, 0.0
                    for t in range(number):
                        e = matrix[at + g * number + t]
                        re += e.real * old[0, t] - e.imag * old[1, t]
                        im += e.real * old[1, t] + e.imag * old[0, t]
                    x[0, base + places[start + g]], x[1, base + places[start + g]] = re, im
                base += stride


@inner
def _weights(
    x: Floats, qubits: Ints, start: int, number: int, result: Floats, base: int, begin: int, end: int
) -> None:
    """Add |P_v x|² to result[base + v] for the outcomes v of some qubits, the first its least significant
    bit.

    Only amplitudes from `begin` up to `end` are looked at.
    """
    for i in range(begin, end):
        outcome = 0
        for j in range(number):
            outcome |= ((i >> qubits[start + j]) & 1) << j
        result[base + outcome] += x[0, i] ** 2 + x[1, i] ** 2


@inner
def _pass(
    x: Floats,
    y: Floats,
    ops: Ints,
    op: int,
    low: Ints,
    width: Ints,
    places: Ints,
    perms: Ints,
    matrices: Complexes,
) -> None:
    """x ← (op) x; y is room for a state."""
    kind, place, size = ops[op, KIND], ops[op, MATRIX], x.shape[1]
    if kind != DENSE and kind != MONOMIAL:
        _block(x, ops, op, low, width, places, perms, matrices, place, y, 0, ops[op, OUTER] * ops[op, COUNT])
        return
    if kind == DENSE:
        for i in range(size):
            re, im = 0.0, 0.0
            for j in range(size):
                m = matrices[place + i * size + j]
                re += m.real * x[0, j] - m.imag * x[1, j]
                im += m.real * x[1, j] + m.imag * x[0, j]
            y[0, i], y[1, i] = re, im
    else:
        for i in range(size):
            j, phase = perms[ops[op, FIRST] + i], matrices[place + i]
            y[0, i] = phase.real * x[0, j] - phase.imag * x[1, j]
            y[1, i] = phase.real * x[1, j] + phase.imag * x[0, j]
    _copy(y, x)


@inner
def _keep(x: Floats, mask: int, value: int, clear: int) -> None:
    """Keep the amplitudes where the bits of `mask` are `value`, by their own norm; then set the bits `clear`
    to 0.
    """
    weight = 0.0
    for begin in range(0, x.shape[1], BLOCK):
        part = 0.0
        for i in range(begin, min(begin + BLOCK, x.shape[1])):
            if (i & mask) == value:
                part += x[0, i] ** 2 + x[1, i] ** 2
        weight += part
    _scale(x, mask, value, clear, 1 / np.sqrt(weight), 0, x.shape[1])


@inner
def _scale(x: Floats, mask: int, value: int, clear: int, scale: float, begin: int, end: int) -> None:
    """Scale the amplitudes where the bits of `mask` are `value`, drop the others, and set the bits `clear` to
    0.

    What is kept is moved to lower places, which are handled before. Amplitudes from `begin` up to `end`.
    """
    for i in range(begin, end):
        if (i & mask) == value:
            re, im = scale * x[0, i], scale * x[1, i]
            x[0, i], x[1, i] = 0.0, 0.0
            x[0, i & ~clear], x[1, i & ~clear] = re, im
        else:
            x[0, i], x[1, i] = 0.0, 0.0


@inner
def _gram(x: Floats, qubit: int) -> tuple[float, float, complex]:
    """|x0|², |x1|² and <x0|x1> for the parts where a qubit is 0 and 1."""
    bit = 1 << qubit
    zeros, ones, re, im = 0.0, 0.0, 0.0, 0.0
    for i in range(x.shape[1]):
        if i & bit == 0:
            j = i | bit
            zeros += x[0, i] ** 2 + x[1, i] ** 2
            ones += x[0, j] ** 2 + x[1, j] ** 2
            re += x[0, i] * x[0, j] + x[1, i] * x[1, j]
            im += x[0, i] * x[1, j] - x[1, i] * x[0, j]
    return zeros, ones, complex(re, im)


@inner
def _kraus_weights(x: Floats, qubit: int, kraus: Complexes, start: int, result: Floats, base: int) -> None:
    """‖K x‖² for the Kraus operators of a channel on a qubit."""
    zeros, ones, cross = _gram(x, qubit)
    for k in range(KRAUS):
        at = start + 4 * k
        a, b, c, d = kraus[at], kraus[at + 1], kraus[at + 2], kraus[at + 3]
        mixed = (np.conj(a) * b + np.conj(c) * d) * cross
        mine, other = (
            a.real**2 + a.imag**2 + c.real**2 + c.imag**2,
            b.real**2 + b.imag**2 + d.real**2 + d.imag**2,
        )
        result[base + k] = max(mine * zeros + other * ones + 2 * mixed.real, 0.0)


@inner
def _disturb(x: Floats, qubit: int, kraus: Complexes, at: int) -> None:
    """x ← K x / ‖K x‖."""
    bit, weight = 1 << qubit, 0.0
    a, b, c, d = kraus[at], kraus[at + 1], kraus[at + 2], kraus[at + 3]
    for i in range(x.shape[1]):
        if i & bit == 0:
            zero, one = complex(x[0, i], x[1, i]), complex(x[0, i | bit], x[1, i | bit])
            p, q = a * zero + b * one, c * zero + d * one
            x[0, i], x[1, i], x[0, i | bit], x[1, i | bit] = p.real, p.imag, q.real, q.imag
            weight += p.real**2 + p.imag**2 + q.real**2 + q.imag**2
    scale = 1 / np.sqrt(weight)
    for i in range(x.shape[1]):
        x[0, i] *= scale
        x[1, i] *= scale


@inner
def _expectation(x: Floats, masks: Ints, k: int, phase: complex) -> float:
    """<x|L|x> for the k-th product L of one-qubit operators."""
    flips, signs, kept, ones = masks[k, 0], masks[k, 1], masks[k, 2], masks[k, 3]
    re, im = 0.0, 0.0
    for i in range(x.shape[1]):
        if (i & kept) == ones:
            j = i ^ flips
            bits = i & signs
            bits ^= bits >> 16
            bits ^= bits >> 8
            bits ^= bits >> 4
            bits ^= bits >> 2
            bits ^= bits >> 1
            sign = -1.0 if bits & 1 else 1.0
            re += sign * (x[0, i] * x[0, j] + x[1, i] * x[1, j])
            im += sign * (x[0, i] * x[1, j] - x[1, i] * x[0, j])
    return phase.real * re - phase.imag * im


@inner
def _mask(qubits: Ints, start: int, number: int, value: int) -> tuple[int, int]:
    """The bit mask of some qubits, and the bits of it that an outcome sets."""
    mask, bits = 0, 0
    for j in range(number):
        mask |= 1 << qubits[start + j]
        bits |= ((value >> j) & 1) << qubits[start + j]
    return mask, bits


@inner
def _drawn(cumulated: Floats, base: int, number: int, u: float) -> int:
    """The first outcome whose cumulated weight is above u times all of it."""
    threshold = u * cumulated[base + number - 1]
    if number == 2:
        return 0 if cumulated[base] > threshold or cumulated[base] == cumulated[base + 1] else 1
    low, high = 0, number - 1
    while low < high:
        middle = (low + high) >> 1
        if cumulated[base + middle] > threshold:
            high = middle
        else:
            low = middle + 1
    # Rounding may bring the threshold up to the total: the last outcome that has a weight.
    while low > 0 and cumulated[base + low] == cumulated[base + low - 1]:
        low -= 1
    return low


# --- The tree -------------------------------------------------------------------------------------


@inner
def _at(nodes: Ints, chances: Floats, used: Ints, node: int, pc: int) -> int:
    """The node with the state of `node` whose next instruction is `pc`; -1 where there is no room."""
    for _ in range(MOST_SIBLINGS):
        if nodes[node, PC_OF] == pc:
            return node
        if nodes[node, PC_OF] < 0:
            nodes[node, PC_OF] = pc
            return node
        if nodes[node, SIBLING] < 0:
            if used[NODES] == nodes.shape[0]:
                return -1
            nodes[node, SIBLING] = _new_node(nodes, chances, used, nodes[node, STATE], chances[node], pc)
        node = nodes[node, SIBLING]
    return -1


@inner
def _new_node(nodes: Ints, chances: Floats, used: Ints, state: int, chance: float, pc: int) -> int:
    node = used[NODES]
    used[NODES] += 1
    nodes[node, PC_OF], nodes[node, STATE] = pc, state
    nodes[node, SIBLING], nodes[node, BASE] = -1, -1
    chances[node] = chance
    return int(node)


@inner
def _slots(nodes: Ints, children: Ints, used: Ints, node: int, number: int) -> int:
    """Room for the outcomes of a node: where it begins, -1 where there is none."""
    base = used[SLOTS]
    if base + number > children.size:
        return -1
    used[SLOTS] += number
    nodes[node, BASE] = base
    for k in range(number):
        children[base + k] = -1
    return int(base)


@inner
def _child(tree: Tree, node: int, slot: int, share: float, shots: float) -> int:
    """A new child with a copy of its parent's state; -1 where there is no room, or hardly a shot would come
    by.
    """
    chance = tree.chances[node] * share
    full = tree.used[STATES] == tree.states.shape[0] or tree.used[NODES] == tree.nodes.shape[0]
    if full or chance * shots < 1:
        return -1
    state = tree.used[STATES]
    tree.used[STATES] += 1
    _copy(tree.states[tree.nodes[node, STATE]], tree.states[state])
    child = _new_node(tree.nodes, tree.chances, tree.used, state, chance, -1)
    tree.children[slot] = child
    return child


# --- Shots ----------------------------------------------------------------------------------------


@inner
def _weigh(
    state: Floats,
    operation: int,
    a: int,
    b: int,
    c: int,
    qubits: Ints,
    single: Ints,
    kraus: Complexes,
    result: Floats,
    base: int,
    number: int,
    room: Floats,
) -> None:
    """Write the cumulated weights of the outcomes of an instruction from `base` on."""
    for k in range(number):
        result[base + k] = 0.0
    if operation == CHANNEL:
        _kraus_weights(state, b, kraus, c, result, base)
    else:
        measured, start, width = qubits, a, b
        if operation == RESET:
            single[0] = a
            measured, start, width = single, 0, 1
        if state.shape[1] <= BLOCK or number > MOST_WIDE:
            _weights(state, measured, start, width, result, base, 0, state.shape[1])
        else:  # as `wide` does it, to the last bit
            for begin in range(0, state.shape[1], BLOCK):
                for k in range(number):
                    room[0, k] = 0.0
                _weights(state, measured, start, width, room[0], 0, begin, begin + BLOCK)
                for k in range(number):
                    result[base + k] += room[0, k]
    for k in range(1, number):
        result[base + k] += result[base + k - 1]


@inner
def _become(
    state: Floats, operation: int, a: int, b: int, c: int, qubits: Ints, kraus: Complexes, outcome: int
) -> None:
    """What an outcome of an instruction makes of a state."""
    if operation == CHANNEL:
        _disturb(state, b, kraus, c + 4 * outcome)
    elif operation == RESET:
        _keep(state, 1 << a, outcome << a, 1 << a)
    else:
        mask, bits = _mask(qubits, a, b, outcome)
        _keep(state, mask, bits, 0)


@entry
def run(
    code: Code,
    bound: Bound,
    tree: Tree,
    work: Work,
    results: Results,
    start: Ints,
    origin: int,
    seed: np.uint64,
    first: np.uint64,
    shots: float,
    step_limit: int,
) -> int:
    """Run shots until all rows of the results are written, and say why it stopped.

    Args:
        start: the counters at the beginning. origin: the first instruction.
        first: the index of the shot of row 0. shots: how many there are in all, for the tree.
    """
    context, store, psi, other, outcomes = work.context, work.store, work.psi, work.other, work.outcomes
    words, whole, real = work.words, work.whole, work.real
    nodes, chances, cumulated, children = tree.nodes, tree.chances, tree.cumulated, tree.children
    instructions, targets, qubits = code.instructions, code.targets, code.qubits
    ops, low, width, places, perms = code.ops, code.low, code.width, code.places, code.perms
    modes, starts, rows, floats, hazards = code.modes, code.starts, code.rows, code.floats, code.hazards
    values, integers, parameters = bound.values, bound.integers, bound.parameters
    matrices, kraus = bound.matrices, bound.kraus
    dimension, counters, expected = psi.shape[1], store.size, code.masks.shape[0]
    heavy = dimension >> 4
    root = 0 if nodes.shape[0] else -1
    row, budget = context[ROW], context[BUDGET]
    pc, node, steps = context[PC], context[NODE], context[STEPS]
    draws, block = context[DRAWS], context[DRAWN]
    running, given, wide = context[RUNNING], context[GIVEN], context[WIDE]
    reason = FINISHED
    while row < results.status.size:
        if not running:
            for i in range(counters):
                store[i] = start[i]
            pc, node, steps, draws, block, running = origin, root, 0, 0, 0, 1
            if node < 0:
                _zero(psi)
        ended = -1
        while ended < 0:
            operation, a, b = instructions[pc, OP], instructions[pc, A], instructions[pc, B]
            following = instructions[pc, NEXT]
            steps += instructions[pc, COST]
            budget -= 1
            if steps > step_limit:
                ended = CUT
                break
            if budget < 0:
                reason = PAUSED
                break
            if operation >= FIRST_RANDOM and block != (draws >> 2) + 1:
                block = (draws >> 2) + 1
                philox(block, first + np.uint64(row), seed, words)
            if operation == STEP:
                if not _adds(store[a], b):
                    reason = ASK
                    break
                store[a] += b
                pc = following
                continue
            if operation == STOP:
                ended = ABORTED if a else ENDED
                break
            if operation == CLEAR:
                draws += a
                node = root
                if node < 0:
                    _zero(psi)
                    budget -= heavy
                pc = following
                continue
            if operation <= LIVE_GATE or operation == TOSS:
                # What reads numbers: one expression, or two that are compared.
                known, order = True, 0
                i, j, x, y = 0, 0, 0.0, 0.0
                first_is_whole = False
                for side in range(0 if given else 2 if operation == DECIDE else 1):
                    e = b if side else a
                    if operation == LIVE_GATE:
                        e = code.gates[ops[a, LIVE], EXPRESSION]
                    if side:
                        i, x, first_is_whole = j, y, code.whole[a]
                    if modes[e] >= 0:
                        j = store[modes[e]]
                    elif modes[e] == BOUND:
                        j, y = integers[e], values[e]
                        known = known and not np.isnan(y)
                    else:
                        found, j, y = evaluate(
                            starts, rows, floats, hazards, e, parameters, store, whole, real
                        )
                        known = known and found
                    if operation != DECIDE and operation != SET and code.whole[e]:
                        y = float(j)
                if given:
                    order, j, y = work.given_whole[0], work.given_whole[0], work.given_real[0]
                elif operation == DECIDE:
                    order = _order(first_is_whole, i, x, code.whole[b], j, y)
                elif operation == TOSS:
                    known = known and 0.0 <= y <= 1.0
                elif operation == SET:
                    known = known and code.whole[a]
                elif operation == LIVE_GATE:
                    known = known and code.gates[ops[a, LIVE], HOW] != DRIFTING
                if not known:
                    reason = ASK
                    break
                if operation == DECIDE:
                    decided = _compared(instructions[pc, C], order)
                    given, pc = 0, following if decided else instructions[pc, ELSE]
                    continue
                if operation == SET:
                    store[b] = j
                    given, pc = 0, following
                    continue
                if operation == TOSS:
                    u = float(words[draws & 3] >> np.uint64(11)) * 2.0**-53
                    draws += 1
                    given, pc = 0, following if u < y else instructions[pc, ELSE]
                    continue
                if not given:
                    _gate_matrix(code.gates, code.data, ops[a, LIVE], y, matrices, ops[a, MATRIX])
                given = 0
                if node >= 0:
                    _copy(tree.states[nodes[node, STATE]], psi)
                    node = -1
            # What acts on the state: by all threads, if it is large and they are idle;
            if wide and (operation == GATES or operation == LIVE_GATE):
                reason = SHARE
                for op in range(a, b):
                    if np.isnan(matrices[ops[op, MATRIX]].real):
                        reason = ASK
                break
            if wide and (operation == RESET or (MEASURE <= operation <= RECORD and 1 << b <= MOST_WIDE)):
                reason = SHARE
                break
            # in the tree, if there is a node for it.
            if node >= 0 and nodes[node, PC_OF] != pc:
                at = _at(nodes, chances, tree.used, node, pc)
                if at < 0:
                    _copy(tree.states[nodes[node, STATE]], psi)
                node = at
            if node >= 0 and nodes[node, BASE] >= 0:  # been here before
                base = nodes[node, BASE]
                if operation == GATES:
                    child = children[base]
                    if child >= 0:
                        node, pc = child, following
                        continue
                elif operation == EXPECT:
                    for k in range(expected):
                        results.expectations[row, k] = cumulated[base + k]
                    pc = following
                    continue
                else:
                    c = instructions[pc, C]
                    u = float(words[draws & 3] >> np.uint64(11)) * 2.0**-53
                    number = KRAUS if operation == CHANNEL else 2 if operation == RESET else 1 << b
                    outcome = _drawn(cumulated, base, number, u)
                    child = node if operation == READ else children[base + outcome]
                    if child >= 0:
                        draws += 1
                        node = child
                        if operation == MEASURE:
                            pc = targets[c + outcome]
                            continue
                        if operation == RECORD:
                            store[c] = outcome
                        elif operation == READ:
                            for k in range(b):
                                results.bits[row, k] = (outcome >> k) & 1
                        pc = following
                        continue
            base = nodes[node, BASE] if node >= 0 else -1
            if operation == GATES or operation == LIVE_GATE:
                for op in range(a, b):
                    if np.isnan(matrices[ops[op, MATRIX]].real):
                        reason = ASK
                if reason == ASK:
                    break
                target, child = psi, -1
                if node >= 0:
                    if base < 0:
                        base = _slots(nodes, children, tree.used, node, 1)
                    child = _child(tree, node, base, 1.0, shots) if base >= 0 else -1
                    if child >= 0:
                        target = tree.states[nodes[child, STATE]]
                    else:
                        _copy(tree.states[nodes[node, STATE]], psi)
                    node = child
                budget -= (b - a) * heavy
                for op in range(a, b):
                    _pass(target, other, ops, op, low, width, places, perms, matrices)
                pc = following
                continue
            state = psi if node < 0 else tree.states[nodes[node, STATE]]
            if operation == EXPECT:
                budget -= expected * heavy
                base = _slots(nodes, children, tree.used, node, expected) if node >= 0 and base < 0 else -1
                for k in range(expected):
                    results.expectations[row, k] = _expectation(state, code.masks, k, code.phases[k])
                    if base >= 0:
                        cumulated[base + k] = results.expectations[row, k]
                pc = following
                continue
            # What is left has outcomes. Their cumulated weights are in the tree, or found now.
            c = instructions[pc, C]
            if operation == CHANNEL and base < 0 and not given and np.isnan(values[a]):
                reason = ASK
                if node >= 0:  # a channel whose probability reads counters has no node
                    _copy(state, psi)
                    node = -1
                break
            given = 0
            u = float(words[draws & 3] >> np.uint64(11)) * 2.0**-53
            draws += 1
            number = KRAUS if operation == CHANNEL else 2 if operation == RESET else 1 << b
            into, at = outcomes, 0
            if base >= 0:
                into, at = cumulated, base
            else:
                if node >= 0 and number <= MOST_OUTCOMES:
                    base = _slots(nodes, children, tree.used, node, number)
                if node >= 0 and base < 0:
                    _copy(state, psi)
                    node = -1
                budget -= heavy
                if base >= 0:
                    into, at = cumulated, base
                _weigh(state, operation, a, b, c, qubits, work.single, kraus, into, at, number, other)
            outcome = _drawn(into, at, number, u)
            if operation != READ:
                child = children[base + outcome] if base >= 0 else -1
                if child < 0:
                    budget -= heavy
                    target = psi
                    if base >= 0:
                        share = cumulated[base + outcome] - (
                            cumulated[base + outcome - 1] if outcome else 0.0
                        )
                        share /= cumulated[base + number - 1]
                        child = _child(tree, node, base + outcome, share, shots)
                        if child >= 0:
                            target = tree.states[nodes[child, STATE]]
                        else:
                            _copy(state, psi)
                    _become(target, operation, a, b, c, qubits, kraus, outcome)
                node = child
            if operation == MEASURE:
                pc = targets[c + outcome]
                continue
            if operation == RECORD:
                store[c] = outcome
            elif operation == READ:
                for k in range(b):
                    results.bits[row, k] = (outcome >> k) & 1
            pc = following
        if ended < 0:
            if reason != SHARE:  # this instruction is executed when the loop goes on
                steps -= instructions[pc, COST]
            break
        results.status[row] = ended
        for i in range(results.counters.shape[1]):
            results.counters[row, i] = store[i]
        running = 0
        row += 1
    context[ROW], context[BUDGET] = row, budget
    context[PC], context[NODE], context[STEPS] = pc, node, steps
    context[DRAWS], context[DRAWN] = draws, block
    context[RUNNING], context[GIVEN] = running, given
    return reason


# --- Parts of one instruction, for several threads ---------------------------------------------------


@entry
def random_block(block: int, shot: np.uint64, seed: np.uint64, words: Words) -> None:
    """`philox`."""
    philox(block, shot, seed, words)


@entry
def drawn(cumulated: Floats, u: float) -> int:
    """`_drawn`."""
    return _drawn(cumulated, 0, cumulated.size, u)


@entry
def share_op(code: Code, x: Floats, op: int, matrices: Complexes, old: Floats, begin: int, end: int) -> None:
    """Apply an op at the places from `begin` up to `end`."""
    _block(
        x,
        code.ops,
        op,
        code.low,
        code.width,
        code.places,
        code.perms,
        matrices,
        code.ops[op, MATRIX],
        old,
        begin,
        end,
    )


@entry
def share_weights(x: Floats, qubits: Ints, parts: Floats, begin: int, end: int) -> None:
    """Write the weights of outcomes, parts[block, outcome], of the blocks from `begin` up to `end`."""
    for block in range(begin, end):
        for k in range(parts.shape[1]):
            parts[block, k] = 0.0
        _weights(x, qubits, 0, qubits.size, parts[block], 0, block * BLOCK, (block + 1) * BLOCK)


@entry
def share_scale(x: Floats, mask: int, value: int, clear: int, scale: float, begin: int, end: int) -> None:
    """`_scale` on the amplitudes from `begin` up to `end`."""
    _scale(x, mask, value, clear, scale, begin, end)


# --- The frontier of merged shots -----------------------------------------------------------------

FULL, CROWDED, AMBIGUOUS, COSTLY = 3, 4, 5, 6
"""More reasons to return: no room for entries, none for rows; histories of different lengths have merged, and
only some of them would be cut; merging saves little."""
PARENT, CHILD, OUTCOME, NUMBER, HEAPED, UNUSED, ARRIVED, KEPT, ROWS = range(9, 18)
CONTEXT = 18
"""More entries of `Work.context`: the entry that is being expanded, the one that is on its way to the next
instruction with outcomes; the outcome that comes next, of how many; how many entries wait, how many slots are
unused, how many have arrived, how many are kept, how many rows there are."""
EFFORT, ALONE, APART = range(3)
"""Entries of `Entries.sums`: what was done; what one trajectory would do to come as far; Σ mass · distance
merged.
"""
AT, SHORTEST, LONGEST, HASH, LINK, SPARE, SET_ASIDE, KEY, WAITING, STORE = range(10)
"""Columns of `Entries.slots`. Of the entry in a slot: its instruction, the least and the most steps that led
there, where it is among those that wait and the next one there, its store. Lists that have nothing to do with
the slot: unused slots, kept entries, and the heap, keys and entries."""
STATUS, BITS, ROW_HASH, ROW_LINK, ROW_STORE = range(5)
"""Columns of `Rows.keys`."""
MERGE_DISTANCE = 1e-12
GRID = 1e-7
"""Of fingerprints: far above rounding, far below what differs."""
IMPOSSIBLE = 1e-20
"""An outcome with a smaller share is rounding."""
ARRIVAL = 20
"""What it takes to let an entry wait, besides looking at its state, in the unit of `Work.context[BUDGET]`."""
ARRIVALS = 40
"""Bits of a key in the heap that number arrivals; the place of the instruction is above them."""


class Entries(NamedTuple):
    """The entries; see `sim.merged`.

    Attributes:
        states: (S, 2, D). slots: (S, STORE + counters). numbers: (S, 1 + operators) mass and expectations.
        heads: the first entries of a hash table. ranks: by instruction, the first in the program first. sums:
            (3,).
    """

    states: Floats
    slots: Ints
    numbers: Floats
    heads: Ints
    ranks: Ints
    sums: Floats


class Rows(NamedTuple):
    """Ends: keys (R, ROW_STORE + counters), probability and expectations (R, 1 + operators), a hash table."""

    keys: Ints
    numbers: Floats
    heads: Ints


@inner
def _mixed(h: int, value: int) -> int:
    h = (h ^ value) * -7046029254386353131
    return h ^ (h >> 29)


@inner
def _fingerprint(x: Floats) -> int:
    """|<h|x>| for a fixed pseudo-random real h, in units of the grid."""
    re, im = 0.0, 0.0
    for i in range(x.shape[1]):
        h = (i + 1) * 0.6180339887498949
        h = (h - np.floor(h)) * 54.28163527486841
        h = h - np.floor(h) - 0.5
        re += h * x[0, i]
        im += h * x[1, i]
    return int(np.floor(np.sqrt(re * re + im * im) / GRID))


@inner
def _apart(states: Floats, a: int, b: int, tolerance: float) -> float:
    """The distance of two states up to a phase; inf where it is above the tolerance."""
    re, im, total = 0.0, 0.0, 0.0
    for i in range(states.shape[2]):
        re += states[b, 0, i] * states[a, 0, i] + states[b, 1, i] * states[a, 1, i]
        im += states[b, 0, i] * states[a, 1, i] - states[b, 1, i] * states[a, 0, i]
    size = np.sqrt(re * re + im * im)
    if abs(size - 1) > GRID + tolerance:
        return np.inf
    re, im = re / size, im / size
    for i in range(states.shape[2]):
        total += (states[a, 0, i] - re * states[b, 0, i] + im * states[b, 1, i]) ** 2
        total += (states[a, 1, i] - re * states[b, 1, i] - im * states[b, 0, i]) ** 2
    distance = np.sqrt(total)
    return distance if distance <= tolerance else np.inf


@inner
def _arrive(
    states: Floats,
    slots: Ints,
    numbers: Floats,
    heads: Ints,
    context: Ints,
    child: int,
    rank: int,
    by_steps: bool,
    tolerance: float,
) -> float:
    """Let an entry wait; 0 or more if it merged with another, from that distance, -1 if not."""
    mask, columns = heads.size - 1, slots.shape[1]
    base = _mixed(slots[child, AT], slots[child, SHORTEST] if by_steps else 0)
    for i in range(STORE, columns):
        base = _mixed(base, slots[child, i])
    fingerprint = _fingerprint(states[child])
    h = 0
    for near in range(3):
        h = _mixed(base, fingerprint + int(near == 1) - int(near == 0))
        other = heads[h & mask]
        while other >= 0:
            same = slots[other, HASH] == h and slots[other, AT] == slots[child, AT]
            same = same and (not by_steps or slots[other, SHORTEST] == slots[child, SHORTEST])
            for i in range(STORE, columns):
                same = same and slots[other, i] == slots[child, i]
            distance = _apart(states, child, other, tolerance) if same else np.inf
            if distance <= tolerance:
                numbers[other, 0] += numbers[child, 0]
                slots[other, SHORTEST] = min(slots[other, SHORTEST], slots[child, SHORTEST])
                slots[other, LONGEST] = max(slots[other, LONGEST], slots[child, LONGEST])
                return distance
            other = slots[other, LINK]
    # The last of the three is its own.
    slots[child, HASH], slots[child, LINK] = h, heads[h & mask]
    heads[h & mask] = child
    key, at = (rank << ARRIVALS) + context[ARRIVED], context[HEAPED]
    context[ARRIVED] += 1
    context[HEAPED] += 1
    while at > 0 and slots[(at - 1) >> 1, KEY] > key:
        up = (at - 1) >> 1
        slots[at, KEY], slots[at, WAITING] = slots[up, KEY], slots[up, WAITING]
        at = up
    slots[at, KEY], slots[at, WAITING] = key, child
    return -1.0


@inner
def _taken(slots: Ints, heads: Ints, context: Ints) -> int:
    """Take the entry with the least key off the heap, and out of the hash table."""
    size = context[HEAPED] - 1
    context[HEAPED] = size
    first, key, last, at = slots[0, WAITING], slots[size, KEY], slots[size, WAITING], 0
    while 2 * at + 1 < size:
        down = 2 * at + 1
        if down + 1 < size and slots[down + 1, KEY] < slots[down, KEY]:
            down += 1
        if slots[down, KEY] >= key:
            break
        slots[at, KEY], slots[at, WAITING] = slots[down, KEY], slots[down, WAITING]
        at = down
    slots[at, KEY], slots[at, WAITING] = key, last
    place = slots[first, HASH] & (heads.size - 1)
    other = heads[place]
    if other == first:
        heads[place] = slots[first, LINK]
    else:
        while slots[other, LINK] != first:
            other = slots[other, LINK]
        slots[other, LINK] = slots[first, LINK]
    return int(first)


@inner
def _ended(
    keys: Ints,
    found: Floats,
    heads: Ints,
    context: Ints,
    store: Ints,
    numbers: Floats,
    entry: int,
    status: int,
    bits: int,
    mass: float,
) -> None:
    """Add to the probability of an end, with the expectations of an entry."""
    mask = heads.size - 1
    h = _mixed(status, bits)
    for i in range(keys.shape[1] - ROW_STORE):
        h = _mixed(h, store[i])
    for k in range(1, found.shape[1]):
        h = _mixed(h, int(numbers[entry, k] * 1e9))
    row = heads[h & mask]
    while row >= 0:
        same = keys[row, ROW_HASH] == h and keys[row, STATUS] == status and keys[row, BITS] == bits
        for i in range(keys.shape[1] - ROW_STORE):
            same = same and keys[row, ROW_STORE + i] == store[i]
        for k in range(1, found.shape[1]):
            same = same and found[row, k] == numbers[entry, k]
        if same:
            found[row, 0] += mass
            return
        row = keys[row, ROW_LINK]
    row = context[ROWS]
    context[ROWS] += 1
    keys[row, STATUS], keys[row, BITS] = status, bits
    keys[row, ROW_HASH], keys[row, ROW_LINK] = h, heads[h & mask]
    heads[h & mask] = row
    for i in range(keys.shape[1] - ROW_STORE):
        keys[row, ROW_STORE + i] = store[i]
    found[row, 0] = mass
    for k in range(1, found.shape[1]):
        found[row, k] = numbers[entry, k]


@entry
def expand(
    code: Code,
    bound: Bound,
    work: Work,
    entries: Entries,
    ends: Rows,
    shots: float,
    step_limit: int,
    by_steps: bool,
    least: float,
    listed: int,
    branches: int,
    most_effort: float,
    tolerance: float,
) -> int:
    """Expand entries until none is left that is worth it, and say why it stopped.

    An entry waits at an instruction that has random outcomes. Each outcome makes a child of it; gates and
    counters run on to the next such instruction, where the child waits in its turn, or becomes one with an
    entry that has the same store, and the same state up to a phase.

    Args:
        by_steps: merge only what took equally many steps.
        least: an entry that fewer shots than this are expected to come to is kept as it is.
        listed: a read-out with more outcomes than this, and than shots that are expected to come to it, is
            kept.
        branches: the most outcomes that an instruction may have, but the read-out.
        most_effort: stop when as much was done, and more than half of what trajectories would have done.
        tolerance: the largest distance of states that merge.
    """
    context, store, outcomes, other = work.context, work.store, work.outcomes, work.other
    states, slots, numbers, heads = entries.states, entries.slots, entries.numbers, entries.heads
    sums, whole, real = entries.sums, work.whole, work.real
    keys, found = ends.keys, ends.numbers
    instructions, targets, qubits = code.instructions, code.targets, code.qubits
    ops, low, width, places, perms = code.ops, code.low, code.width, code.places, code.perms
    modes, starts, codes, floats, hazards = code.modes, code.starts, code.rows, code.floats, code.hazards
    values, integers, parameters = bound.values, bound.integers, bound.parameters
    matrices, kraus = bound.matrices, bound.kraus
    heavy = 1 + (states.shape[2] >> 4)
    budget, given = context[BUDGET], context[GIVEN]
    parent, child = context[PARENT], context[CHILD]
    outcome, number = context[OUTCOME], context[NUMBER]
    reason = PAUSED
    while budget >= 0:
        if child < 0 and parent >= 0 and number > 0 and outcome == number:  # all outcomes are done
            slots[context[UNUSED], SPARE] = parent
            context[UNUSED] += 1
            parent = -1
        if context[ROWS] == keys.shape[0]:
            reason = CROWDED
            break
        if child < 0 and parent < 0:
            # Take an entry.
            if context[HEAPED] == 0:
                reason = FINISHED
                break
            if context[UNUSED] < branches:
                reason = FULL
                break
            if sums[EFFORT] > most_effort and sums[EFFORT] > 0.5 * shots * sums[ALONE]:
                reason = COSTLY
                break
            parent, number, outcome = _taken(slots, heads, context), 0, 0
            pc, expected = slots[parent, AT], numbers[parent, 0] * shots
            reading = instructions[pc, OP] == READ
            if expected < least or (
                reading and (1 << instructions[pc, B]) > max(4 * expected, float(listed))
            ):
                slots[context[KEPT], SET_ASIDE] = parent
                context[KEPT] += 1
                parent = -1
                continue
            for i in range(store.size):
                store[i] = slots[parent, STORE + i]
            # The steps of a read-out and of the stop behind it are taken together.
            cost = instructions[pc, COST]
            if reading:
                cost += instructions[instructions[pc, NEXT], COST]
            slots[parent, SHORTEST] += cost
            slots[parent, LONGEST] += cost
        # Where the entry stands that is looked at, and by how much its steps grow.
        current, cost = parent, 0
        if child >= 0:
            current = child
            cost = instructions[slots[child, AT], COST]
        pc, mass = slots[current, AT], numbers[current, 0]
        operation, a, b, c = (
            instructions[pc, OP],
            instructions[pc, A],
            instructions[pc, B],
            instructions[pc, C],
        )
        following, effort = instructions[pc, NEXT], 1
        status, bits = -1, 0
        if child >= 0 and operation >= FIRST_RANDOM:
            for i in range(store.size):
                slots[child, STORE + i] = store[i]
            distance = _arrive(
                states, slots, numbers, heads, context, child, entries.ranks[pc], by_steps, tolerance
            )
            if distance >= 0:
                sums[APART] += distance * mass
                slots[context[UNUSED], SPARE] = child
                context[UNUSED] += 1
            budget -= heavy + ARRIVAL
            sums[EFFORT] += heavy + ARRIVAL
            child = -1
            continue
        if slots[current, SHORTEST] + cost > step_limit:
            status = CUT
        elif slots[current, LONGEST] + cost > step_limit:
            reason = AMBIGUOUS
            break
        # What reads numbers: one expression, or two that are compared.
        known, order = True, 0
        i, j, x, y = 0, 0, 0.0, 0.0
        first_is_whole = False
        fresh = child >= 0 or number == 0
        reads = fresh and status < 0 and not given and (operation <= LIVE_GATE or operation == TOSS)
        reads = reads and operation != STOP and operation != CLEAR
        for side in range((2 if operation == DECIDE else 1) if reads else 0):
            e = b if side else a
            if operation == STEP:
                j = store[a] + b
                known = (store[a] ^ j) & (b ^ j) >= 0
                break
            if operation == LIVE_GATE:
                e = code.gates[ops[a, LIVE], EXPRESSION]
            if side:
                i, x, first_is_whole = j, y, code.whole[a]
            if modes[e] >= 0:
                j = store[modes[e]]
            elif modes[e] == BOUND:
                j, y = integers[e], values[e]
                known = known and not np.isnan(y)
            else:
                fits, j, y = evaluate(starts, codes, floats, hazards, e, parameters, store, whole, real)
                known = known and fits
            if operation != DECIDE and operation != SET and code.whole[e]:
                y = float(j)
        if given:
            order, j, y = work.given_whole[0], work.given_whole[0], work.given_real[0]
        elif reads and operation == DECIDE:
            order = _order(first_is_whole, i, x, code.whole[b], j, y)
        elif reads and operation == TOSS:
            known = known and 0.0 <= y <= 1.0
        elif operation == CHANNEL and fresh:
            known = not np.isnan(values[a])
        elif operation == GATES:
            for op in range(a, b):
                known = known and not np.isnan(matrices[ops[op, MATRIX]].real)
        elif reads and operation == LIVE_GATE:
            known = known and code.gates[ops[a, LIVE], HOW] != DRIFTING
            if known:
                _gate_matrix(code.gates, code.data, ops[a, LIVE], y, matrices, ops[a, MATRIX])
        if not known and status < 0:
            context[PC] = pc
            reason = ASK
            break
        given = 0
        if status >= 0:
            pass
        elif child < 0:
            # An outcome of the entry.
            if number == 0:
                number = (
                    KRAUS
                    if operation == CHANNEL
                    else 2
                    if operation == RESET or operation == TOSS
                    else 1 << b
                )
                if operation == TOSS:
                    outcomes[0], outcomes[1] = y, 1.0
                else:
                    _weigh(
                        states[parent],
                        operation,
                        a,
                        b,
                        c,
                        qubits,
                        work.single,
                        kraus,
                        outcomes,
                        0,
                        number,
                        other,
                    )
                sums[EFFORT] += heavy
                sums[ALONE] += heavy * mass
                budget -= heavy
            share = outcomes[outcome] - (outcomes[outcome - 1] if outcome else 0.0)
            share /= outcomes[number - 1]
            mass *= share
            if share > IMPOSSIBLE:
                if operation == READ:
                    status, bits = ENDED, outcome
                else:
                    context[UNUSED] -= 1
                    child = slots[context[UNUSED], SPARE]
                    _copy(states[parent], states[child])
                    for i in range(store.size):
                        store[i] = slots[parent, STORE + i]
                    numbers[child, 0] = mass
                    for k in range(1, numbers.shape[1]):
                        numbers[child, k] = 0.0
                    if operation == TOSS:
                        following = following if outcome == 0 else instructions[pc, ELSE]
                    else:
                        _become(states[child], operation, a, b, c, qubits, kraus, outcome)
                    if operation == MEASURE:
                        following = targets[c + outcome]
                    elif operation == RECORD:
                        store[c] = outcome
                    slots[child, AT] = following
                    slots[child, SHORTEST] = slots[parent, SHORTEST]
                    slots[child, LONGEST] = slots[parent, LONGEST]
                    effort += heavy
            outcome += 1
        else:
            # The child runs on.
            if operation == STOP:
                status = ABORTED if a else ENDED
            elif operation == STEP:
                store[a] = j
            elif operation == SET:
                store[b] = j
            elif operation == DECIDE:
                following = following if _compared(c, order) else instructions[pc, ELSE]
            elif operation == CLEAR:
                _zero(states[child])
                effort += heavy
            elif operation == EXPECT:
                for k in range(code.masks.shape[0]):
                    numbers[child, 1 + k] = _expectation(states[child], code.masks, k, code.phases[k])
                effort += heavy * code.masks.shape[0]
            else:
                for op in range(a, b):
                    _pass(states[child], other, ops, op, low, width, places, perms, matrices)
                effort += heavy * (b - a)
            slots[child, AT] = following
            slots[child, SHORTEST] += cost
            slots[child, LONGEST] += cost
        budget -= effort
        sums[EFFORT] += effort
        sums[ALONE] += effort * mass
        if status >= 0:
            if status == CUT:
                for k in range(1, numbers.shape[1]):
                    numbers[current, k] = 0.0
            _ended(keys, found, ends.heads, context, store, numbers, current, status, bits, mass)
            if child >= 0 or status == CUT:
                slots[context[UNUSED], SPARE] = current
                context[UNUSED] += 1
                parent = -1 if child < 0 else parent
                child = -1
    context[BUDGET], context[GIVEN] = budget, given
    context[PARENT], context[CHILD] = parent, child
    context[OUTCOME], context[NUMBER] = outcome, number
    return reason
