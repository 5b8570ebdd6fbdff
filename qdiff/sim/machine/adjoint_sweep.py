"""The backward sweep of the trajectory adjoint over one path; what a path is: `adjoint_shots`.

    gates        Im⟨λ|K|ψ⟩ for each generator,   λ ← U†λ
    an outcome   λ ← K†λ/√p for the Kraus operator K that acted (a projector, |0⟩⟨v| of a reset),
                 2 Re⟨λ|∂K|ψ⟩/√p where K has a parameter

A sweep that comes from outside the tree ends at the first state whose ∂ψ (`adjoint_tangents`) is worth
knowing, with 2 Re⟨λ|∂ψ⟩: it costs as much as some sweeps, and serves all that come by.

The λ are kept in pairs (`lanes`): wave v is in pair v // 2. One that is not wanted is 0.
"""

from __future__ import annotations

import numpy as np

from qdiff.sim.machine.adjoint_binding import Slopes
from qdiff.sim.machine.adjoint_code import GENERATOR, PAIRS, PAIRS_END, Sites
from qdiff.sim.machine.adjoint_passes import apply, collect, traced
from qdiff.sim.machine.adjoint_tangents import advance, kept_share, mixed, project
from qdiff.sim.machine.adjoint_trail import FINE, Trail
from qdiff.sim.machine.code import (
    CHANNEL,
    DRIFTING,
    GATES,
    HOW,
    LIVE,
    LIVE_GATE,
    MATRIX,
    NUMBERS,
    OP,
    RESET,
    SIZE,
    A,
    B,
    C,
    Code,
    Complexes,
    Floats,
    Ints,
)
from qdiff.sim.machine.compiled import apart, inner, plain
from qdiff.sim.machine.lanes import load, plus_product, splat, store, times
from qdiff.sim.machine.states import mask_of
from qdiff.sim.machine.tables import Bound
from qdiff.sim.machine.tree import PC_OF, STATE, Tree

IDLE, MOVING, WAITING = 0, 1, 2
"""Values of `Trail.active`: a λ that is not wanted, one that is on its way, one that begins at the next
outcome: behind the last one ⟨ψ|∂ψ⟩ is imaginary."""
NEGLIGIBLE = 1e-14
"""Of ‖O_m‖: (O_m - ⟨O_m⟩)ψ is rounding from here on."""

TANGENTS_WORTH, FEWEST_SHARES = 0.25, 4
"""∂ψ of a state by all parameters is found where so many shots a parameter are expected to come by, and so
many times a slot's share of all shots: then there are slots for nearly all such states."""


@inner
def _add_operator(x: Floats, pair: Floats, lane: int, masks: Ints, k: int, factor: complex) -> None:
    """A wave += factor L x for the k-th product L of one-qubit operators, its phase in the factor."""
    flips, signs, kept, ones = masks[k, 0], masks[k, 1], masks[k, 2], masks[k, 3]
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
            pair[i, lane] += sign * (factor.real * x[0, j] - factor.imag * x[1, j])
            pair[i, lane + 2] += sign * (factor.real * x[1, j] + factor.imag * x[0, j])


@inner
def _begin(
    x: Floats,
    masks: Ints,
    phases: Complexes,
    weights: Floats,
    waves: Floats,
    active: Ints,
    found: Floats,
    score: int,
    rests: int,
) -> None:
    """Start a sweep at a state: the λ that are wanted, derivatives 0."""
    zero = splat(0.0)
    for pair in range(waves.shape[0]):
        for i in range(waves.shape[1]):
            store(waves[pair], i, zero)
    for v in range(active.size):
        active[v] = IDLE
        for p in range(found.shape[1]):
            found[v, p] = 0.0
    if score:
        active[0] = WAITING
    for m in range(weights.shape[0] if rests else 0):
        y, lane, scale = waves[(1 + m) >> 1], (1 + m) & 1, 0.0
        for k in range(weights.shape[1]):
            if weights[m, k] != 0.0:
                _add_operator(x, y, lane, masks, k, weights[m, k] * phases[k])
                scale += abs(weights[m, k])
        mean, norm, rest = 0.0, 0.0, 0.0
        for i in range(x.shape[1]):
            mean += x[0, i] * y[i, lane] + x[1, i] * y[i, lane + 2]
            norm += x[0, i] ** 2 + x[1, i] ** 2
        mean /= norm
        for i in range(x.shape[1]):
            y[i, lane] -= mean * x[0, i]
            y[i, lane + 2] -= mean * x[1, i]
            rest += y[i, lane] ** 2 + y[i, lane + 2] ** 2
        if rest > (NEGLIGIBLE * scale) ** 2:
            active[1 + m] = MOVING
        else:
            for i in range(x.shape[1]):
                y[i, lane], y[i, lane + 2] = 0.0, 0.0


@inner
def _start_score(waves: Floats, active: Ints, x: Floats) -> None:
    """λ ← ψ for the score."""
    for i in range(x.shape[1]):
        waves[0, i, 0], waves[0, i, 2] = x[0, i], x[1, i]
    active[0] = MOVING


@apart
def sweep(
    code: Code,
    bound: Bound,
    tree: Tree,
    sites: Sites,
    slopes: Slopes,
    trail: Trail,
    last: Floats,
    node: int,
    logged: int,
    shots: float,
    score: int,
    rests: int,
    begins: int,
    ends: int,
) -> None:
    """Take all λ back along the log, and from `node` on along the tree, from the state `last`.

    Args:
        shots: as for `shots.run`. score, rests: which λ are wanted, where the sweep begins.
        begins: whether λ start here; else they are where the last window left them.
        ends: whether the derivatives are complete behind it.
    """
    instructions, qubits, gates = code.instructions, code.qubits, code.gates
    ops, low, width, places, perms = code.ops, code.low, code.width, code.places, code.perms
    values, matrices, kraus = bound.values, bound.matrices, bound.kraus
    nodes, kept, chances = tree.nodes, tree.states, tree.chances
    op_sites, events, pairs = sites.ops, sites.events, sites.pairs
    generators, inverses, kraus_slopes = slopes.generators, slopes.inverses, slopes.kraus
    parents, slots, held, tangents = trail.parents, trail.slots, trail.held, trail.tangents
    entries, states, floats, waves = trail.entries, trail.states, trail.floats, trail.waves
    active, spare, room, found = trail.active, trail.spare, trail.room, trail.found
    outer, touched, fine = trail.outer, trail.touched, trail.marks[FINE]
    worth = max(TANGENTS_WORTH * found.shape[1], FEWEST_SHARES * shots / max(tangents.shape[0], 1))
    if begins:
        _begin(last, code.masks, code.phases, sites.weights, waves, active, found, score, rests)
    vectors, dimension, outside = active.size, last.shape[1], logged > 0
    after = last
    while logged > 0 or (node >= 0 and parents[node, 0] >= 0):
        at, from_log = -1, logged > 0
        if from_log:
            logged -= 1
            pc, outcome, at = entries[logged, 0], entries[logged, 1], entries[logged, 2]
            before = states[logged]
        else:
            if outside and chances[node] * shots >= worth:
                # Find ∂ψ from the nearest node before that has it.
                while slots[nodes[node, STATE]] < 0 and held[0] < tangents.shape[0]:
                    child = node
                    while slots[nodes[parents[child, 0], STATE]] < 0:
                        child = parents[child, 0]
                    here, origin = nodes[child, STATE], nodes[parents[child, 0], STATE]
                    slots[here] = held[0]
                    held[0] += 1
                    advance(
                        tangents[slots[origin]],
                        tangents[slots[here]],
                        kept[origin],
                        instructions,
                        nodes[parents[child, 0], PC_OF],
                        parents[child, 1],
                        qubits,
                        ops,
                        low,
                        width,
                        places,
                        perms,
                        values,
                        matrices,
                        kraus,
                        op_sites,
                        events,
                        pairs,
                        generators,
                        kraus_slopes,
                        spare,
                        room,
                    )
                slot = slots[nodes[node, STATE]]
                if slot >= 0:
                    if active[0] == WAITING:
                        _start_score(waves, active, after)
                    project(waves, tangents[slot], room, found)
                    break
            outcome, node = parents[node, 1], parents[node, 0]
            pc = nodes[node, PC_OF]
            before = kept[nodes[node, STATE]]
        operation, a, b, c = (
            instructions[pc, OP],
            instructions[pc, A],
            instructions[pc, B],
            instructions[pc, C],
        )
        first, end = events[pc, PAIRS], events[pc, PAIRS_END]
        moving = False
        for v in range(vectors):
            moving = moving or active[v] == MOVING
        if operation == GATES or operation == LIVE_GATE:
            if not moving:
                after = before
                continue
            live, size = operation == LIVE_GATE and end > first, 0
            if operation == LIVE_GATE:
                start, size = ops[a, MATRIX], gates[ops[a, LIVE], SIZE]
                for i in range(size):
                    for j in range(size):
                        place = at + 2 * (j * size + i)
                        inverses[start + i * size + j] = complex(floats[place], -floats[place + 1])
            begin_of_ops, end_of_ops = a, b
            if from_log and fine:
                begin_of_ops, end_of_ops = outcome, outcome + 1
            # Of several ops the state between them is found by taking it back too.
            x, stride, turn = after, 1, dimension
            if end_of_ops - begin_of_ops > 1:
                x, stride, turn = spare, 4, 2
                for i in range(dimension):
                    x[i, 0], x[i, 1], x[i, 2], x[i, 3] = after[0, i], 0.0, after[1, i], 0.0
            for op in range(end_of_ops - 1, begin_of_ops - 1, -1):
                collects = live or op_sites[op, PAIRS_END] > op_sites[op, PAIRS]
                if collects:
                    touched[op] = 1
                    for pair in range(waves.shape[0]):
                        collect(
                            x,
                            stride,
                            turn,
                            waves[pair],
                            ops,
                            op,
                            low,
                            width,
                            places,
                            perms,
                            outer[pair],
                        )
                for pair in range(waves.shape[0] + (op > begin_of_ops)):
                    y = waves[pair] if pair < waves.shape[0] else spare
                    apply(y, room, ops, op, low, width, places, perms, inverses, plain(1))
            if live:  # the generator may be of this angle only
                start, place = ops[a, MATRIX], at + 2 * size * size
                drifting = gates[ops[a, LIVE], HOW] == DRIFTING
                touched[a] = 0
                for v in range(vectors):
                    total = 0.0
                    for i in range(size * size):
                        g = generators[op_sites[a, GENERATOR] + i]
                        if drifting:
                            g = complex(floats[place + 2 * i], floats[place + 2 * i + 1])
                        total += traced(outer[v >> 1], start + i, v & 1, g)
                    derivs = place + (2 * size * size if drifting else 0)
                    for i in range(end - first):
                        found[v, pairs[first + i, 0]] += total * floats[derivs + i]
                _clear(outer, start, size * size)
            after = before
            continue
        # An outcome: of a measurement, a reset, or a channel.
        if active[0] == WAITING:
            _start_score(waves, active, after)
            moving = True
        if not moving:
            pass
        elif operation == CHANNEL:
            bit, weight = 1 << b, 0.0
            k = c + 4 * outcome
            p, q, r, s = kraus[k], kraus[k + 1], kraus[k + 2], kraus[k + 3]
            dp, dq, dr, ds = kraus_slopes[k], kraus_slopes[k + 1], kraus_slopes[k + 2], kraus_slopes[k + 3]
            if at >= 0:
                p, q = complex(floats[at], floats[at + 1]), complex(floats[at + 2], floats[at + 3])
                r, s = complex(floats[at + 4], floats[at + 5]), complex(floats[at + 6], floats[at + 7])
                dp, dq = complex(floats[at + 8], floats[at + 9]), complex(floats[at + 10], floats[at + 11])
                dr, ds = complex(floats[at + 12], floats[at + 13]), complex(floats[at + 14], floats[at + 15])
            for i in range(dimension):
                if i & bit == 0:
                    j = i | bit
                    zero, one = complex(before[0, i], before[1, i]), complex(before[0, j], before[1, j])
                    up, down = p * zero + q * one, r * zero + s * one
                    weight += up.real**2 + up.imag**2 + down.real**2 + down.imag**2
            scale = 1 / np.sqrt(weight)
            p, q, r, s = scale * np.conj(p), scale * np.conj(q), scale * np.conj(r), scale * np.conj(s)
            for pair in range(waves.shape[0]):
                re = im = splat(0.0)  # Σ Re x z and Σ Im x z for x = ∂K ψ
                for i in range(dimension):
                    if i & bit == 0:
                        j = i | bit
                        zero, one = complex(before[0, i], before[1, i]), complex(before[0, j], before[1, j])
                        up, down = dp * zero + dq * one, dr * zero + ds * one
                        y, z = load(waves[pair], i), load(waves[pair], j)
                        re = plus_product(plus_product(re, splat(up.real), y), splat(down.real), z)
                        im = plus_product(plus_product(im, splat(up.imag), y), splat(down.imag), z)
                        store(waves[pair], i, mixed(p, y, r, z))
                        store(waves[pair], j, mixed(q, y, s, z))
                store(room, 0, re)
                store(room, 1, im)
                for v in range(2 * pair, min(2 * pair + 2, vectors)):
                    total = 2 * scale * (room[0, v & 1] + room[1, 2 + (v & 1)])
                    for i in range(first, end):
                        change = values[pairs[i, 1]] if at < 0 else floats[at + 16 + i - first]
                        found[v, pairs[i, 0]] += total * change
        else:
            cleared = 0
            if operation == RESET:
                mask, bits, cleared = 1 << a, outcome << a, outcome << a
            else:
                mask, bits = mask_of(qubits, a, b, outcome)
            scaling, none = splat(1 / np.sqrt(kept_share(before, mask, bits))), splat(0.0)
            for pair in range(waves.shape[0]):
                for k in range(dimension):
                    i = dimension - 1 - k  # what comes from lower places is handled before it is overwritten
                    if i & mask == bits:
                        store(waves[pair], i, times(scaling, load(waves[pair], i & ~cleared)))
                    else:
                        store(waves[pair], i, none)
        after = before
    if ends:
        _contract(ops, op_sites, pairs, generators, outer, touched, found)


@inner
def _clear(outer: Floats, start: int, size: int) -> None:
    """M ← 0 for so many entries from `start` on."""
    for pair in range(outer.shape[0]):
        for i in range(2 * start, 2 * (start + size)):
            store(outer[pair], i, splat(0.0))


@inner
def _contract(
    ops: Ints,
    op_sites: Ints,
    pairs: Ints,
    generators: Complexes,
    outer: Floats,
    touched: Ints,
    found: Floats,
) -> None:
    """Add Im tr(K M) to the derivatives, M = Σ |ψ⟩⟨λ|, for all ops that the sweep came to."""
    for op in range(touched.size):
        if touched[op]:
            touched[op] = 0
            at, size = ops[op, MATRIX], ops[op, NUMBERS]
            for v in range(found.shape[0]):
                for pair in range(op_sites[op, PAIRS], op_sites[op, PAIRS_END]):
                    total, place = 0.0, pairs[pair, 1]
                    for i in range(size):
                        total += traced(outer[v >> 1], at + i, v & 1, generators[place + i])
                    found[v, pairs[pair, 0]] += total
            _clear(outer, at, size)
