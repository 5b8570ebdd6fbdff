"""Derivatives of states that many sweeps come to: from a state to what an instruction makes of it.

    gates        ∂ψ ← U ∂ψ - (i/2) K U ψ
    an outcome   ∂ψ ← (K ∂ψ + ∂K ψ)/√p

ψ is normalised, and ∂ψ is the derivative of the unnormalised state by the same factor. So 2 Re⟨ψ|∂ψ⟩ =
∂ log p, and a sweep that brings a λ to the state adds 2 Re⟨λ|∂ψ⟩. The ∂ψ are kept in pairs (`lanes`): that of
parameter p is in pair p // 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qdiff.sim.machine.adjoint_code import PAIRS, PAIRS_END
from qdiff.sim.machine.adjoint_passes import apply, generate
from qdiff.sim.machine.code import CHANNEL, GATES, OP, RESET, A, B, C, Complexes, Floats, Ints
from qdiff.sim.machine.compiled import inner, plain
from qdiff.sim.machine.lanes import load, number, plus_product, splat, store, times, times_i
from qdiff.sim.machine.states import mask_of


@inner
def mixed(p: complex, y: Any, q: complex, z: Any) -> Any:
    """p y + q z."""
    found = plus_product(times(splat(p.real), y), splat(p.imag), times_i(y))
    return plus_product(plus_product(found, splat(q.real), z), splat(q.imag), times_i(z))


@inner
def kept_share(x: Floats, mask: int, bits: int) -> float:
    """The norm² of a state where some qubits are `bits`."""
    weight = 0.0
    for i in range(x.shape[1]):
        if i & mask == bits:
            weight += x[0, i] ** 2 + x[1, i] ** 2
    return weight


@inner
def project(waves: Floats, tangents: Floats, room: Floats, found: Floats) -> None:
    """Add 2 Re⟨λ|∂ψ⟩ of every λ and every parameter."""
    for v in range(found.shape[0]):
        wave, lane = waves[v >> 1], v & 1
        for pair in range(tangents.shape[0]):
            re = im = splat(0.0)
            for i in range(wave.shape[0]):
                z = load(tangents[pair], i)
                re = plus_product(re, splat(number(wave, 4 * i + lane)), z)
                im = plus_product(im, splat(number(wave, 4 * i + lane + 2)), z)
            store(room, 0, re)
            store(room, 1, im)
            for p in range(2 * pair, min(2 * pair + 2, found.shape[1])):
                found[v, p] += 2 * (room[0, p & 1] + room[1, 2 + (p & 1)])


@inner
def advance(
    old: Floats,
    new: Floats,
    before: Floats,
    instructions: Ints,
    pc: int,
    outcome: int,
    qubits: Ints,
    ops: Ints,
    low: Ints,
    width: Ints,
    places: Ints,
    perms: Ints,
    values: Floats,
    matrices: Complexes,
    kraus: Complexes,
    op_sites: Ints,
    events: Ints,
    pairs: Ints,
    generators: Complexes,
    kraus_slopes: Complexes,
    spare: Floats,
    room: Floats,
) -> None:
    """Write the derivatives behind an instruction, from the old ones and the state `before` it."""
    operation, a, b, c = instructions[pc, OP], instructions[pc, A], instructions[pc, B], instructions[pc, C]
    dimension = before.shape[1]
    for i in range(dimension):
        spare[i, 0], spare[i, 1], spare[i, 2], spare[i, 3] = before[0, i], 0.0, before[1, i], 0.0
    for pair in range(new.shape[0]):
        for i in range(dimension):
            store(new[pair], i, load(old[pair], i))
    if operation == GATES:
        for op in range(a, b):
            for pair in range(new.shape[0] + 1):
                wave = new[pair] if pair < new.shape[0] else spare
                apply(wave, room, ops, op, low, width, places, perms, matrices, plain(0))
            for k in range(op_sites[op, PAIRS], op_sites[op, PAIRS_END]):
                p, at = pairs[k, 0], pairs[k, 1]
                generate(new[p >> 1], p & 1, spare, ops, op, low, width, places, perms, generators, at)
        return
    if operation == CHANNEL:
        first, bit, weight = c + 4 * outcome, 1 << b, 0.0
        m, s = kraus[first : first + 4], kraus_slopes[first : first + 4]
        for i in range(dimension):
            if i & bit == 0:
                j = i | bit
                zero, one = complex(before[0, i], before[1, i]), complex(before[0, j], before[1, j])
                up, down = m[0] * zero + m[1] * one, m[2] * zero + m[3] * one
                weight += up.real**2 + up.imag**2 + down.real**2 + down.imag**2
                for pair in range(new.shape[0]):
                    y, z = load(new[pair], i), load(new[pair], j)
                    store(new[pair], i, mixed(m[0], y, m[1], z))
                    store(new[pair], j, mixed(m[2], y, m[3], z))
                up, down = s[0] * zero + s[1] * one, s[2] * zero + s[3] * one
                for n in range(events[pc, PAIRS], events[pc, PAIRS_END]):
                    p, change = pairs[n, 0], values[pairs[n, 1]]
                    wave, lane = new[p >> 1], p & 1
                    wave[i, lane] += change * up.real
                    wave[i, lane + 2] += change * up.imag
                    wave[j, lane] += change * down.real
                    wave[j, lane + 2] += change * down.imag
        mask, bits, cleared = 0, 0, 0
    else:
        if operation == RESET:
            mask, bits, cleared = 1 << a, outcome << a, outcome << a
        else:
            mask, bits = mask_of(qubits, a, b, outcome)
            cleared = 0
        weight = kept_share(before, mask, bits)
    scale, none = splat(1 / np.sqrt(weight)), splat(0.0)
    for pair in range(new.shape[0]):
        for i in range(dimension):
            z = times(scale, load(new[pair], i))
            store(new[pair], i, none)
            if i & mask == bits:  # what is moved to lower places, which are handled before
                store(new[pair], i & ~cleared, z)
