"""States in compiled code, real and imaginary parts apart: gates, outcomes, expectations.

    measurement  p(v) = ‖P_v ψ‖²,  ψ ← P_v ψ / ‖P_v ψ‖        channel  p(k) = ‖K_k ψ‖²,  ψ ← K_k ψ / ‖K_k ψ‖

Norms are those of what is kept, so rounding does not add up over long runs.
"""

from __future__ import annotations

import numpy as np

from qdiff.sim.machine.code import (
    DENSE,
    GATE,
    KRAUS,
    LISTED,
    MATRIX,
    MONOMIAL,
    OP,
    PLACE,
    RESET,
    A,
    B,
    C,
    Code,
    Complexes,
    Floats,
    Ints,
)
from qdiff.sim.machine.compiled import NOTHING, REALS, STATE, TRUTH, WHOLE, entry, field, inner, part, plain
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

BLOCK = 2**16
"""Weights are summed over so many amplitudes at a time, whoever sums them."""
MOST_WIDE = 64
"""Outcomes of an instruction that is shared by threads."""


@inner
def copy(x: Floats, y: Floats) -> None:
    """y ← x."""
    for i in range(x.shape[1]):
        y[0, i] = x[0, i]
        y[1, i] = x[1, i]


@inner
def zero(x: Floats) -> None:
    """x ← |0…0⟩."""
    for i in range(x.shape[1]):
        x[0, i], x[1, i] = 0.0, 0.0
    x[0, 0] = 1.0


# --- Gates ----------------------------------------------------------------------------------------


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
def block(
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
def apply_op(
    x: Floats,
    y: Floats,
    ops: Ints,
    op: int,
    low: Ints,
    width: Ints,
    places: Ints,
    perms: Ints,
    matrices: Complexes,
    place: int,
) -> None:
    """x ← (op) x, its matrix from `place` on; y is room for a state."""
    kind, size = ops[op, KIND], x.shape[1]
    if kind != DENSE and kind != MONOMIAL:
        block(x, ops, op, low, width, places, perms, matrices, place, y, 0, ops[op, OUTER] * ops[op, COUNT])
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
    copy(y, x)


@part(NOTHING(WHOLE, STATE, WHOLE, WHOLE, TRUTH))
def apply(machine: int, x: Floats, begin: int, end: int, within: bool) -> None:
    """Apply the ops from `begin` up to `end`; or if `within`, gates that an op is made of."""
    low, width, places = field(machine, "low"), field(machine, "width"), field(machine, "places")
    perms, other, gates = field(machine, "perms"), field(machine, "other"), field(machine, "gates")
    ops = field(machine, "members") if within else field(machine, "ops")
    matrices = field(machine, "gate_matrices") if within else field(machine, "matrices")
    for op in range(begin, end):
        place = gates[ops[op, GATE], PLACE] if within else ops[op, MATRIX]
        apply_op(x, other, ops, op, low, width, places, perms, matrices, place)


# --- Measurements and resets ----------------------------------------------------------------------


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


@part(NOTHING(WHOLE, STATE, WHOLE, REALS, WHOLE, WHOLE))
def weigh(machine: int, state: Floats, pc: int, result: Floats, base: int, number: int) -> None:
    """Write the cumulated weights of the outcomes of a measurement or a reset from `base` on."""
    instructions, single, room = (
        field(machine, "instructions"),
        field(machine, "single"),
        field(machine, "other")[0],
    )
    resets, start, width = instructions[pc, OP] == RESET, instructions[pc, A], instructions[pc, B]
    measured = single if resets else field(machine, "qubits")
    if resets:
        single[0] = start
        start, width = 0, 1
    for k in range(number):
        result[base + k] = 0.0
    if state.shape[1] <= BLOCK or number > MOST_WIDE:
        _weights(state, measured, start, width, result, base, plain(0), state.shape[1])
    else:  # as `wide` does it, to the last bit
        for begin in range(0, state.shape[1], BLOCK):
            for k in range(number):
                room[k] = 0.0
            _weights(state, measured, start, width, room, plain(0), begin, begin + BLOCK)
            for k in range(number):
                result[base + k] += room[k]
    for k in range(1, number):
        result[base + k] += result[base + k - 1]


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
def mask_of(qubits: Ints, start: int, number: int, value: int) -> tuple[int, int]:
    """The bit mask of some qubits, and the bits of it that an outcome sets."""
    mask, bits = 0, 0
    for j in range(number):
        mask |= 1 << qubits[start + j]
        bits |= ((value >> j) & 1) << qubits[start + j]
    return mask, bits


@part(NOTHING(WHOLE, STATE, WHOLE, WHOLE))
def keep(machine: int, state: Floats, pc: int, outcome: int) -> None:
    """Make of a state what an outcome of a measurement or a reset makes of it."""
    instructions = field(machine, "instructions")
    a = instructions[pc, A]
    if instructions[pc, OP] == RESET:
        mask, bits, clear = 1 << a, outcome << a, 1 << a
    else:
        mask, bits = mask_of(field(machine, "qubits"), a, instructions[pc, B], outcome)
        clear = 0
    _keep(state, mask, bits, clear)


# --- Channels -------------------------------------------------------------------------------------


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


@part(NOTHING(WHOLE, STATE, WHOLE, REALS, WHOLE))
def weigh_channel(machine: int, x: Floats, pc: int, result: Floats, base: int) -> None:
    """Write the cumulated weights ‖K x‖² of the Kraus operators of a channel from `base` on."""
    instructions, kraus = field(machine, "instructions"), field(machine, "kraus")
    start, total = instructions[pc, C], 0.0
    zeros, ones, cross = _gram(x, instructions[pc, B])
    for k in range(KRAUS):
        at = start + 4 * k
        a, b, c, d = kraus[at], kraus[at + 1], kraus[at + 2], kraus[at + 3]
        mixed = (np.conj(a) * b + np.conj(c) * d) * cross
        mine, other = (
            a.real**2 + a.imag**2 + c.real**2 + c.imag**2,
            b.real**2 + b.imag**2 + d.real**2 + d.imag**2,
        )
        total += max(mine * zeros + other * ones + 2 * mixed.real, 0.0)
        result[base + k] = total


@part(NOTHING(WHOLE, STATE, WHOLE, WHOLE))
def act(machine: int, x: Floats, pc: int, outcome: int) -> None:
    """x ← K x / ‖K x‖ for the Kraus operator K of this number."""
    instructions, kraus = field(machine, "instructions"), field(machine, "kraus")
    bit, weight, at = 1 << instructions[pc, B], 0.0, instructions[pc, C] + 4 * outcome
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


# --- Expectations ---------------------------------------------------------------------------------


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


@part(NOTHING(WHOLE, STATE, WHOLE, WHOLE, REALS))
def expect(machine: int, state: Floats, begin: int, end: int, values: Floats) -> None:
    """Write the expectations of the products of operators from `begin` up to `end`."""
    masks, phases = field(machine, "masks"), field(machine, "phases")
    for k in range(begin, end):
        values[k] = _expectation(state, masks, k, phases[k])


# --- Parts of one instruction, for several threads ---------------------------------------------------


@entry
def share_op(code: Code, x: Floats, op: int, matrices: Complexes, old: Floats, begin: int, end: int) -> None:
    """Apply an op at the places from `begin` up to `end`."""
    block(
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
        _weights(x, qubits, plain(0), qubits.size, parts[block], plain(0), block * BLOCK, (block + 1) * BLOCK)


@entry
def share_scale(x: Floats, mask: int, value: int, clear: int, scale: float, begin: int, end: int) -> None:
    """`_scale` on the amplitudes from `begin` up to `end`."""
    _scale(x, mask, value, clear, scale, begin, end)
