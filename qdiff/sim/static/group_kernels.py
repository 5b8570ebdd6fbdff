"""Compiled sweeps: blocks of amplitudes are brought into a buffer, and all steps of a sweep done there.

A *block* are the amplitudes that differ in the local bits of a sweep: index `bases[k] + offsets[i]`, then a
run of neighbours. The steps of a sweep are rows of a table (`steps`):

    EXCHANGE   lane bit    2^other      –        –         exchange two local bits
    DENSE      2^b0        2^b1         2^b2     number    a matrix on three bits
    PRODUCT    2^b0        2^b1         2^b2     number    matrices on bits, then a permutation with phases
    WIDE       –            –            –        number    a gate on more qubits

Forward ψ alone; back ψ and all λ, and from both of a block what the derivatives of a step are found from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qdiff.sim.machine.compiled import entry, inner
from qdiff.sim.pure.plan import CONTROLS, COUNT, FIELDS, FIELDS_END, FIRST, OUTER, SECOND, STRIDE
from qdiff.sim.static.group_sizes import GROUP_QUBITS
from qdiff.sim.static.group_vectors import ANGLES, act, diagonal, differences, exchange, product, transition

Ints = NDArray[np.int64]
Reals = NDArray[Any]
Complexes = NDArray[np.complex128]

EXCHANGE, DENSE, PRODUCT, WIDE = range(4)
WHAT, A, B, C, NUMBER, FLAGS = range(6)
STEP_WIDTH = 6


class Blocks(NamedTuple):
    """Which amplitudes: `bases` (blocks,), those to be done; `offsets` of runs of `run` neighbours; how many
    `bits` of an index are local, and how many of them tell lanes apart, `lane_bits`."""

    bases: Ints
    offsets: Ints
    run: int
    bits: int
    lane_bits: int


class Steps(NamedTuple):
    """What is done: `steps` (S, STEP_WIDTH); numbers of groups, `matrices` (G, NUMBERS) and `factors`
    (G', PRODUCT_NUMBERS); `places` (G', LOCAL), where local states go."""

    steps: Ints
    matrices: Reals
    factors: Reals
    places: Ints


class WideGates(NamedTuple):
    """Gates on more qubits: `ops`, `low`, `width`, `local`, where they act (`pure.plan`, kind MANY);
    `matrices` (W, E) by rows, and behind each its generator; `scratch` for the local states of one; `asked`
    (W,), whether the derivative is."""

    ops: Ints
    low: Ints
    width: Ints
    local: Ints
    matrices: Complexes
    scratch: Complexes
    asked: NDArray[np.bool_]


class Found(NamedTuple):
    """What derivatives follow from: `transitions` (G, K, NUMBERS), T of a DENSE step as it is behind it;
    `differences` (G', K, 3, 3), of every bit of a PRODUCT z and u before it, and `local_overlaps`
    (G', K, LOCAL), Im <λ_s|ψ_s> of one with phases at angles (`group_vectors`); `overlaps` (W, K),
    Im <λ|G|ψ>."""

    transitions: Reals
    differences: Reals
    local_overlaps: Reals
    overlaps: Reals


@inner
def _swap(x: Reals, lane: int, high: int, bits: int, lane_bits: int) -> None:
    """Exchange a lane bit and the bit of stride `high`."""
    for k in range(1 << (bits - lane_bits - 1)):
        i = k << lane_bits
        i = ((i & ~(high - 1)) << 1) | (i & (high - 1))
        if lane == 0:
            exchange(x, 0, i, i + high)
        elif lane == 1:
            exchange(x, 1, i, i + high)
        elif lane == 2:
            exchange(x, 2, i, i + high)
        else:
            exchange(x, 3, i, i + high)


@inner
def _gather(x: Reals, base: int, offsets: Ints, run: int, into: Reals) -> None:
    for k in range(offsets.size):
        a, b = np.uintp(base + offsets[k]), np.uintp(k * run)
        for part in range(2):
            for i in range(run):
                into[part, b + np.uintp(i)] = x[part, a + np.uintp(i)]


@inner
def _scatter(buffer: Reals, base: int, offsets: Ints, run: int, x: Reals) -> None:
    for k in range(offsets.size):
        a, b = np.uintp(base + offsets[k]), np.uintp(k * run)
        for part in range(2):
            for i in range(run):
                x[part, a + np.uintp(i)] = buffer[part, b + np.uintp(i)]


@inner
def _base(k: int, op: Ints, low: Ints, width: Ints) -> int:
    """Spread the bits of k over the positions that are neither fixed nor inside a run."""
    for f in range(op[FIELDS], op[FIELDS_END]):
        k = ((k & ~low[f]) << width[f]) | (k & low[f])
    return int(k | op[CONTROLS])


@inner
def _apply_wide(
    x: Reals, op: Ints, low: Ints, width: Ints, local: Ints, m: Complexes, scratch: Complexes
) -> None:
    """A matrix on any targets, by rows: local state s is at local[s]."""
    size = op[SECOND]
    for k in range(op[OUTER]):
        base = _base(k, op, low, width)
        for i in range(op[COUNT]):
            a = base + i * op[STRIDE]
            for s in range(size):
                place = a + local[op[FIRST] + s]
                scratch[s] = complex(x[0, place], x[1, place])
            for s in range(size):
                total = complex(0.0, 0.0)
                for t in range(size):
                    total += m[s * size + t] * scratch[t]
                place = a + local[op[FIRST] + s]
                x[0, place], x[1, place] = total.real, total.imag


@inner
def _overlap_wide(y: Reals, x: Reals, op: Ints, low: Ints, width: Ints, local: Ints, g: Complexes) -> float:
    """Im <y|G|x>."""
    size, total = op[SECOND], 0.0
    for k in range(op[OUTER]):
        base = _base(k, op, low, width)
        for i in range(op[COUNT]):
            a = base + i * op[STRIDE]
            for s in range(size):
                p = a + local[op[FIRST] + s]
                for t in range(size):
                    entry = g[s * size + t]
                    if entry != 0.0:
                        q = a + local[op[FIRST] + t]
                        re, im = y[0, p] * x[0, q] + y[1, p] * x[1, q], y[0, p] * x[1, q] - y[1, p] * x[0, q]
                        total += entry.real * im + entry.imag * re
    return total


@inner
def _step(x: Reals, step: Ints, block: Blocks, work: Steps, wide: WideGates) -> None:
    """One step on one block."""
    what, number = step[WHAT], step[NUMBER]
    count = 1 << (block.bits - block.lane_bits - GROUP_QUBITS)
    if what == DENSE:
        act(x[0], x[1], count, step[A], step[B], step[C], work.matrices[number])
    elif what == PRODUCT:
        places, factors = work.places[number], work.factors[number]
        product(x[0], x[1], count, step[A], step[B], step[C], places, step[FLAGS], factors)
    elif what == EXCHANGE:
        _swap(x[0], step[A], step[B], block.bits, block.lane_bits)
        _swap(x[1], step[A], step[B], block.bits, block.lane_bits)
    else:
        _apply_wide(
            x, wide.ops[number], wide.low, wide.width, wide.local, wide.matrices[number], wide.scratch
        )


@entry
def sweep(
    psi: Reals,
    pulled: Reals,
    buffer: Reals,
    back: bool,
    block: Blocks,
    work: Steps,
    wide: WideGates,
    found: Found,
) -> None:
    """Do the steps of a sweep on some blocks of ψ, or undo them, the last first, on ψ and all λ.

    Args:
        psi: (2, D), changed in place. pulled: λ, (K, 2, D). buffer: (1 + K, 2, 2^bits or more), any content.
        back: whether the steps are undone; matrices, factors and wide are those of the inverse steps then.
        found: is added to.
    """
    x, others, last = buffer[0], pulled.shape[0], work.steps.shape[0] - 1
    count = 1 << (block.bits - block.lane_bits - GROUP_QUBITS)
    for b in range(block.bases.size):
        base = block.bases[b]
        for k in range(1 + others):
            _gather(psi if k == 0 else pulled[k - 1], base, block.offsets, block.run, buffer[k])
        for i in range(work.steps.shape[0]):
            step = work.steps[last - i if back else i]
            what, number = step[WHAT], step[NUMBER]
            for k in range(others):
                y = buffer[1 + k]
                if what == DENSE:
                    t = found.transitions[number, k]
                    transition(x[0], x[1], y[0], y[1], count, step[A], step[B], step[C], t)
                elif what == PRODUCT and step[FLAGS] & ANGLES:
                    d, places = found.local_overlaps[number, k], work.places[number]
                    diagonal(x[0], x[1], y[0], y[1], count, step[A], step[B], step[C], places, d)
                elif what == WIDE and wide.asked[number]:
                    size = wide.ops[number, SECOND] * wide.ops[number, SECOND]
                    g = wide.matrices[number, size : 2 * size]
                    o = _overlap_wide(y, x, wide.ops[number], wide.low, wide.width, wide.local, g)
                    found.overlaps[number, k] += o
            for k in range(1 + others):
                _step(buffer[k], step, block, work, wide)
            if what != PRODUCT:
                continue
            for k in range(others):
                y = buffer[1 + k]
                for bit in range(GROUP_QUBITS):
                    if step[FLAGS] >> bit & 1:
                        d = found.differences[number, k, bit]
                        differences(x[0], x[1], y[0], y[1], 4 * count, step[A + bit], d)
        for k in range(1 + others):
            _scatter(buffer[k], base, block.offsets, block.run, psi if k == 0 else pulled[k - 1])
