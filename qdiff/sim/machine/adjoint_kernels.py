"""The compiled trajectory adjoint: shots as in `kernels.run`, and a backward sweep over the path of each.

A *segment* of a shot begins with |0…0⟩, at the start or after a reset of all qubits. Its path is a chain of
nodes of the history tree, known by parent, and behind that a *log* of what happened outside the tree:
instruction, outcome, the state before. Going back along the path (THEORY, section 3.3),

    gates        Im⟨λ|K|ψ⟩ for each generator,   λ ← U†λ
    an outcome   λ ← K†λ/√p for the Kraus operator K that acted (a projector, |0⟩⟨v| of a reset),
                 2 Re⟨λ|∂K|ψ⟩/√p where K has a parameter

with λ = ψ at the end for the score and λ = (O_m - ⟨O_m⟩)ψ for an observable; one that vanishes needs no
sweep. Per op the generators of all parameters are contracted with one matrix Σ |ψ⟩⟨λ|, summed over all
visits: the cost of a sweep does not grow with the number of parameters. Inside the tree a result belongs to
the state and is found once.

Scores of flips do not touch the state; they are added while the shot runs.

The log holds a fixed number of entries. Where it is full, the loop stops (`FULL`), so that its caller keeps
where the window began; a sweep that is through with the last window stops (`EARLIER`), and the caller runs
earlier windows again up to where the next one began (`TARGET`), from the last to the first (`BACK`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdiff.sim.machine.adjoint_binding import Slopes
from qdiff.sim.machine.adjoint_code import GENERATOR, PAIRS, PAIRS_END, Sites
from qdiff.sim.machine.code import (
    BOUND,
    CHANNEL,
    CLEAR,
    COST,
    DECIDE,
    DENSE,
    DRIFTING,
    ELSE,
    EXPECT,
    EXPRESSION,
    FIRST_RANDOM,
    GATES,
    HOW,
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
    RECORD,
    RESET,
    SET,
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
from qdiff.sim.machine.kernels import (
    ABORTED,
    ASK,
    BASE,
    BUDGET,
    CUT,
    DRAWN,
    DRAWS,
    ENDED,
    FINISHED,
    GIVEN,
    MOST_OUTCOMES,
    NODE,
    NODES,
    PAUSED,
    PC,
    PC_OF,
    ROW,
    RUNNING,
    STATE,
    STEPS,
    Bound,
    Tree,
    Work,
    _at,
    _become,
    _child,
    _compared,
    _copy,
    _drawn,
    _expectation,
    _gate_matrix,
    _mask,
    _order,
    _pass,
    _slots,
    _weigh,
    _zero,
    entry,
    evaluate,
    inner,
    philox,
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

FULL, EARLIER, BACK = 10, 11, 12
"""Why `follow` returned, besides what `kernels.run` knows."""
CLEARED, REACHED = 3, 4
"""How a segment ended, besides ENDED, ABORTED and CUT: all qubits were reset, a window that is run again is
over."""
LEFT, LOGGED, USED, MADE, TARGET, BEFORE, CLOSING, SWEPT, NEEDED, FINE = range(10)
"""Entries of `Trail.marks`: the node where the tree was left, entries and floats in the log, entries of the
segment so far, where a window that is run again ends (-1: none is), how many windows came before, how the
segment ended (-1: it did not), whether it is swept, how many floats an entry needs at most, whether every op
has an entry: else its instruction has."""
SCORED, FELT = 1, 2
"""Bits of `Trail.known`: the score of a state, its derivatives of observables."""
IDLE, MOVING, WAITING = 0, 1, 2
"""Values of `Trail.active`: a λ that is not wanted, one that is on its way, one that begins at the next
outcome: behind the last one ⟨ψ|∂ψ⟩ is imaginary."""
NEGLIGIBLE = 1e-14
"""Of ‖O_m‖: (O_m - ⟨O_m⟩)ψ is rounding from here on."""


class Trail(NamedTuple):
    """What one thread knows of paths.

    Attributes:
        marks: see LEFT. start, origin: counters, and (PC, STEPS, DRAWS), where the log of a segment began.
        parents: (nodes, 2) the node before, and the outcome that led from it.
        known: (states,) bits SCORED and FELT; cached: (states, 1 + G, P) the derivatives of each state's
            path.
        entries: (L, 3) instruction, outcome, where its floats begin (-1: none); states: (L, 2, D) before
            each; floats: numbers of what reads counters.
        waves: (1 + G, 2, D) the λ: the score's, then one for each O_m; active: (1 + G,).
        after: (2, D) room for a state. outer: (1 + G, …) Σ |ψ⟩⟨λ| of each op, touched: (ops,) where it is not
            0.
        found: (1 + G, P) the derivatives of a path. derivs: (P,) of an angle or a probability.
    """

    marks: Ints
    start: Ints
    origin: Ints
    parents: Ints
    known: Ints
    cached: Floats
    entries: Ints
    states: Floats
    floats: Floats
    waves: Floats
    active: Ints
    after: Floats
    outer: Complexes
    touched: Ints
    found: Floats
    derivs: Floats


class Rows(NamedTuple):
    """One row for each shot.

    Attributes:
        counters, status, expectations: as in `kernels.Results`.
        scores: (rows, P). rests: (rows, G, P), 2 Re⟨ψ|O_m - ⟨O_m⟩|∂ψ⟩.
    """

    counters: Ints
    status: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    expectations: Floats
    scores: Floats
    rests: Floats


# --- Passes over states ---------------------------------------------------------------------------


@inner
def _take_back(
    x: Floats,
    y: Floats,
    ops: Ints,
    op: int,
    low: Ints,
    width: Ints,
    places: Ints,
    perms: Ints,
    inverses: Complexes,
) -> None:
    """x ← (op)† x; y is room for a state."""
    if ops[op, KIND] != MONOMIAL:
        _pass(x, y, ops, op, low, width, places, perms, inverses)
        return
    for i in range(x.shape[1]):
        j, phase = perms[ops[op, FIRST] + i], inverses[ops[op, MATRIX] + i]
        y[0, j] = phase.real * x[0, i] - phase.imag * x[1, i]
        y[1, j] = phase.real * x[1, i] + phase.imag * x[0, i]
    _copy(y, x)


@inner
def _collect(
    x: Floats,
    y: Floats,
    ops: Ints,
    op: int,
    low: Ints,
    width: Ints,
    places: Ints,
    bases: Ints,
    outer: Complexes,
) -> None:
    """Add Σ conj(y_t) x_g to `outer` at (t, g), local states of an op, summed over the places where it
    acts."""
    kind, at = ops[op, KIND], ops[op, MATRIX]
    if kind == MONOMIAL:  # K is real: the imaginary part will do
        for i in range(x.shape[1]):
            outer[np.uintp(at + i)] += complex(0.0, y[0, i] * x[1, i] - y[1, i] * x[0, i])
        return
    if kind == DENSE:
        number = x.shape[1]
        for i in range(number):
            a, b = y[0, i], y[1, i]
            for j in range(number):
                c, d = x[0, j], x[1, j]
                outer[at + i * number + j] += complex(a * c + b * d, a * d - b * c)
        return
    # Four entries at a time: their sums stay in registers.
    start, stride = ops[op, FIRST], ops[op, STRIDE]
    one = kind == LISTED or kind == GENERAL
    number = 2 if one else ops[op, SECOND]
    for block in range(number * number // 4):
        t, last_t, first_g, second_g, third_g, last_g = 0, start, 0, start, 0, start
        if not one:
            t, g = start + 4 * block // number, start + 4 * block % number
            first_g, second_g, third_g, last_g = places[g], places[g + 1], places[g + 2], places[g + 3]
            t = last_t = places[t]
        p, q, r, s = 0j, 0j, 0j, 0j
        for k in range(ops[op, OUTER]):
            if kind >= LISTED:
                base = bases[ops[op, FIELDS] + k]
            else:
                base = k
                for f in range(ops[op, FIELDS], ops[op, FIELDS_END]):
                    base = ((base & ~low[f]) << width[f]) | (base & low[f])
                base |= ops[op, CONTROLS]
            for _ in range(ops[op, COUNT]):
                h, e = np.uintp(base + first_g), np.uintp(base + second_g)
                m, n = np.uintp(base + third_g), np.uintp(base + last_g)
                u, v = np.uintp(base + t), np.uintp(base + last_t)
                a, b, c, d = y[0, u], y[1, u], y[0, v], y[1, v]
                p += complex(a * x[0, h] + b * x[1, h], a * x[1, h] - b * x[0, h])
                q += complex(a * x[0, e] + b * x[1, e], a * x[1, e] - b * x[0, e])
                r += complex(c * x[0, m] + d * x[1, m], c * x[1, m] - d * x[0, m])
                s += complex(c * x[0, n] + d * x[1, n], c * x[1, n] - d * x[0, n])
                base += stride
        place = at + 4 * block
        outer[place] += p
        outer[place + 1] += q
        outer[place + 2] += r
        outer[place + 3] += s


@inner
def _add_operator(x: Floats, y: Floats, masks: Ints, k: int, factor: complex) -> None:
    """y += factor L x for the k-th product L of one-qubit operators, its phase in the factor."""
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
            y[0, i] += sign * (factor.real * x[0, j] - factor.imag * x[1, j])
            y[1, i] += sign * (factor.real * x[1, j] + factor.imag * x[0, j])


# --- Sweeps ---------------------------------------------------------------------------------------


@inner
def _begin(
    x: Floats,
    masks: Ints,
    phases: Complexes,
    weights: Floats,
    waves: Floats,
    active: Ints,
    found: Floats,
    score: bool,
    rests: bool,
) -> None:
    """Start a sweep at a state: the λ that are wanted, derivatives 0."""
    for v in range(active.size):
        active[v] = IDLE
        for p in range(found.shape[1]):
            found[v, p] = 0.0
    if score:
        active[0] = WAITING
    for m in range(weights.shape[0] if rests else 0):
        y, scale = waves[1 + m], 0.0
        for i in range(x.shape[1]):
            y[0, i], y[1, i] = 0.0, 0.0
        for k in range(weights.shape[1]):
            if weights[m, k] != 0.0:
                _add_operator(x, y, masks, k, weights[m, k] * phases[k])
                scale += abs(weights[m, k])
        mean, norm, rest = 0.0, 0.0, 0.0
        for i in range(x.shape[1]):
            mean += x[0, i] * y[0, i] + x[1, i] * y[1, i]
            norm += x[0, i] ** 2 + x[1, i] ** 2
        mean /= norm
        for i in range(x.shape[1]):
            y[0, i] -= mean * x[0, i]
            y[1, i] -= mean * x[1, i]
            rest += y[0, i] ** 2 + y[1, i] ** 2
        if rest > (NEGLIGIBLE * scale) ** 2:
            active[1 + m] = MOVING


@inner
def _sweep(
    last: Floats,
    node: int,
    logged: int,
    instructions: Ints,
    qubits: Ints,
    ops: Ints,
    low: Ints,
    width: Ints,
    places: Ints,
    perms: Ints,
    gates: Ints,
    values: Floats,
    kraus: Complexes,
    nodes: Ints,
    kept: Floats,
    other: Floats,
    op_sites: Ints,
    events: Ints,
    pairs: Ints,
    generators: Complexes,
    inverses: Complexes,
    kraus_slopes: Complexes,
    parents: Ints,
    entries: Ints,
    states: Floats,
    floats: Floats,
    waves: Floats,
    active: Ints,
    spare: Floats,
    outer: Complexes,
    touched: Ints,
    found: Floats,
    fine: int,
) -> None:
    """Take all λ back along the log, and from `node` on along the tree, from the state `last`.

    `kept` are the states of the tree, `spare` is room for a state; for the others see the tables.
    """
    vectors, dimension = active.size, last.shape[1]
    after = last
    while logged > 0 or (node >= 0 and parents[node, 0] >= 0):
        at, from_log = -1, logged > 0
        if from_log:
            logged -= 1
            pc, outcome, at = entries[logged, 0], entries[logged, 1], entries[logged, 2]
            before = states[logged]
        else:
            outcome = parents[node, 1]
            node = parents[node, 0]
            pc = nodes[node, PC_OF]
            before = kept[nodes[node, STATE]]
        operation, a, b, c = (
            instructions[pc, OP],
            instructions[pc, A],
            instructions[pc, B],
            instructions[pc, C],
        )
        first, end = events[pc, PAIRS], events[pc, PAIRS_END]
        if operation == GATES or operation == LIVE_GATE:
            moving = False
            for v in range(vectors):
                moving = moving or active[v] == MOVING
            if not moving:
                after = before
                continue
            live, size = operation == LIVE_GATE and end > first, 0
            if operation == LIVE_GATE:
                start, size = ops[a, MATRIX], gates[ops[a, LIVE], 2]
                for i in range(size):
                    for j in range(size):
                        place = at + 2 * (j * size + i)
                        inverses[start + i * size + j] = complex(floats[place], -floats[place + 1])
            begin, end_of_ops = a, b
            if from_log and fine:
                begin, end_of_ops = outcome, outcome + 1
            x = after
            if end_of_ops - begin > 1:
                x = spare
                _copy(after, x)
            for op in range(end_of_ops - 1, begin - 1, -1):
                collects = live or op_sites[op, PAIRS_END] > op_sites[op, PAIRS]
                if collects:
                    touched[op] = 1
                for v in range(vectors + 1):
                    if v == vectors:
                        if op == begin:
                            break
                        y = x
                    else:
                        if active[v] != MOVING:
                            continue
                        y = waves[v]
                        if collects:
                            _collect(x, y, ops, op, low, width, places, perms, outer[v])
                    _take_back(y, other, ops, op, low, width, places, perms, inverses)
            if live:  # the generator may be of this angle only
                start, place = ops[a, MATRIX], at + 2 * size * size
                drifting = gates[ops[a, LIVE], HOW] == DRIFTING
                touched[a] = 0
                for v in range(vectors):
                    if active[v] == MOVING:
                        total = 0.0
                        for i in range(size * size):
                            g = generators[op_sites[a, GENERATOR] + i]
                            if drifting:
                                g = complex(floats[place + 2 * i], floats[place + 2 * i + 1])
                            m = outer[v, start + i]
                            total += g.real * m.imag + g.imag * m.real
                            outer[v, start + i] = 0.0
                        derivs = place + (2 * size * size if drifting else 0)
                        for i in range(end - first):
                            found[v, pairs[first + i, 0]] += total * floats[derivs + i]
            after = before
            continue
        # An outcome: of a measurement, a reset, or a channel.
        if active[0] == WAITING:
            _copy(after, waves[0])
            active[0] = MOVING
        if operation == CHANNEL:
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
                    zero, one = (
                        complex(before[0, i], before[1, i]),
                        complex(before[0, i | bit], before[1, i | bit]),
                    )
                    up, down = p * zero + q * one, r * zero + s * one
                    weight += up.real**2 + up.imag**2 + down.real**2 + down.imag**2
            scale = 1 / np.sqrt(weight)
            for v in range(vectors):
                if active[v] != MOVING:
                    continue
                total = 0.0
                for i in range(dimension):
                    if i & bit == 0:
                        j = i | bit
                        zero, one = complex(before[0, i], before[1, i]), complex(before[0, j], before[1, j])
                        up, down = (
                            complex(waves[v, 0, i], waves[v, 1, i]),
                            complex(waves[v, 0, j], waves[v, 1, j]),
                        )
                        total += (np.conj(up) * (dp * zero + dq * one)).real
                        total += (np.conj(down) * (dr * zero + ds * one)).real
                        zero = scale * (np.conj(p) * up + np.conj(r) * down)
                        one = scale * (np.conj(q) * up + np.conj(s) * down)
                        waves[v, 0, i], waves[v, 1, i] = zero.real, zero.imag
                        waves[v, 0, j], waves[v, 1, j] = one.real, one.imag
                for i in range(first, end):
                    change = values[pairs[i, 1]] if at < 0 else floats[at + 16 + i - first]
                    found[v, pairs[i, 0]] += 2 * scale * total * change
            after = before
            continue
        cleared = 0
        if operation == RESET:
            mask, bits, cleared = 1 << a, outcome << a, outcome << a
        else:
            mask, bits = _mask(qubits, a, b, outcome)
        weight = 0.0
        for i in range(dimension):
            if i & mask == bits:
                weight += before[0, i] ** 2 + before[1, i] ** 2
        scale = 1 / np.sqrt(weight)
        for v in range(vectors):
            if active[v] == MOVING:
                for k in range(dimension):
                    i = dimension - 1 - k  # what comes from lower places is handled before it is overwritten
                    if i & mask == bits:
                        waves[v, 0, i] = scale * waves[v, 0, i & ~cleared]
                        waves[v, 1, i] = scale * waves[v, 1, i & ~cleared]
                    else:
                        waves[v, 0, i], waves[v, 1, i] = 0.0, 0.0
        after = before


@inner
def _contract(
    ops: Ints,
    op_sites: Ints,
    pairs: Ints,
    generators: Complexes,
    active: Ints,
    outer: Complexes,
    touched: Ints,
    found: Floats,
) -> None:
    """Add Im tr(K M) to the derivatives, M = Σ |ψ⟩⟨λ|, for all ops that the sweep came to."""
    for op in range(touched.size):
        if touched[op]:
            touched[op] = 0
            at, size = ops[op, MATRIX], ops[op, NUMBERS]
            for v in range(active.size):
                if active[v] == MOVING:
                    for pair in range(op_sites[op, PAIRS], op_sites[op, PAIRS_END]):
                        total, place = 0.0, pairs[pair, 1]
                        for i in range(size):
                            k, m = generators[place + i], outer[v, at + i]
                            total += k.real * m.imag + k.imag * m.real
                        found[v, pairs[pair, 0]] += total
                    for i in range(size):
                        outer[v, at + i] = 0.0


@inner
def _log(
    entries: Ints,
    states: Floats,
    origin: Ints,
    start: Ints,
    state: Floats,
    store: Ints,
    logged: int,
    made: int,
    pc: int,
    outcome: int,
    at: int,
    steps: int,
    draws: int,
) -> None:
    """Write an entry of the log; the first of a segment is where it is run again from."""
    _copy(state, states[logged])
    entries[logged, 0], entries[logged, 1], entries[logged, 2] = pc, outcome, at
    if made == 0:
        origin[0], origin[1], origin[2] = pc, steps, draws
        for i in range(store.size):
            start[i] = store[i]


# --- Shots ----------------------------------------------------------------------------------------


@entry
def follow(
    code: Code,
    bound: Bound,
    tree: Tree,
    work: Work,
    results: Rows,
    sites: Sites,
    slopes: Slopes,
    trail: Trail,
    start: Ints,
    origin: int,
    seed: np.uint64,
    first: np.uint64,
    shots: float,
    step_limit: int,
) -> int:
    """Run shots and sweep back over each, and say why it stopped; the arguments are those of
    `kernels.run`."""
    context, store, psi, other, outcomes = work.context, work.store, work.psi, work.other, work.outcomes
    words, whole, real, marks = work.words, work.whole, work.real, trail.marks
    nodes, chances, cumulated, children = tree.nodes, tree.chances, tree.cumulated, tree.children
    instructions, targets, qubits = code.instructions, code.targets, code.qubits
    ops, low, width, places, perms = code.ops, code.low, code.width, code.places, code.perms
    modes, starts, rows, floats, hazards = code.modes, code.starts, code.rows, code.floats, code.hazards
    values, integers, parameters = bound.values, bound.integers, bound.parameters
    matrices, kraus, parents, derivs = bound.matrices, bound.kraus, trail.parents, trail.derivs
    gates, data, masks, phases, whole_numbers = code.gates, code.data, code.masks, code.phases, code.whole
    single, given_whole, given_real = work.single, work.given_whole, work.given_real
    kept, tree_used = tree.states, tree.used
    status, final, expectations = results.status, results.counters, results.expectations
    scores, rests = results.scores, results.rests
    op_sites, events, pairs, weights = sites.ops, sites.events, sites.pairs, sites.weights
    generators, inverses, kraus_slopes, lacking = (
        slopes.generators,
        slopes.inverses,
        slopes.kraus,
        slopes.lacking,
    )
    begun, beginning, known_of, cached = trail.start, trail.origin, trail.known, trail.cached
    entries, states, log_floats, waves = trail.entries, trail.states, trail.floats, trail.waves
    active, spare, outer, touched, found = trail.active, trail.after, trail.outer, trail.touched, trail.found
    dimension, counters, expected = psi.shape[1], store.size, masks.shape[0]
    names, room, needed, fine = scores.shape[1], entries.shape[0], marks[NEEDED], marks[FINE]
    heavy = dimension >> 4
    root = 0 if nodes.shape[0] else -1
    row, budget = context[ROW], context[BUDGET]
    pc, node, steps = context[PC], context[NODE], context[STEPS]
    draws, block = context[DRAWS], context[DRAWN]
    running, given = context[RUNNING], context[GIVEN]
    left, logged, used, made = marks[LEFT], marks[LOGGED], marks[USED], marks[MADE]
    target, closing, swept = marks[TARGET], marks[CLOSING], marks[SWEPT]
    reason = FINISHED
    while row < status.size:
        if not running:
            for i in range(counters):
                store[i] = start[i]
            pc, node, steps, draws, block, running = origin, root, 0, 0, 0, 1
            left, logged, used, made, marks[BEFORE] = -1, 0, 0, 0, 0
            if node < 0:
                _zero(psi)
        while closing < 0:
            operation, a, b = instructions[pc, OP], instructions[pc, A], instructions[pc, B]
            following = instructions[pc, NEXT]
            steps += instructions[pc, COST]
            budget -= 1
            if steps > step_limit:
                closing = CUT
                break
            if budget < 0:
                reason = PAUSED
                break
            if node < 0 and operation >= LIVE_GATE and operation != EXPECT and operation != TOSS:
                if made == target:
                    closing = REACHED
                    break
                if (
                    logged + (b - a if fine and operation == GATES else 1) > room
                    or used + needed > log_floats.size
                ):
                    reason = FULL
                    break
            if operation >= FIRST_RANDOM and block != (draws >> 2) + 1:
                block = (draws >> 2) + 1
                philox(block, first + np.uint64(row), seed, words)
            if operation == STEP:
                value = store[a] + b
                if (store[a] ^ value) & (b ^ value) < 0:
                    reason = ASK
                    break
                store[a] = value
                pc = following
                continue
            if operation == STOP:
                closing = ABORTED if a else ENDED
                break
            if operation == CLEAR:
                draws += a
                closing = CLEARED
                break
            pair = events[pc, PAIRS]
            varying = events[pc, PAIRS_END] - pair
            if operation <= LIVE_GATE or operation == TOSS:
                # What reads numbers: two that are compared, or one and its derivatives.
                known, order = True, 0
                i, j, x, y, z = 0, 0, 0.0, 0.0, 0.0
                first_is_whole = False
                for side in range(0 if given else 2 if operation == DECIDE else 1 + varying):
                    e = a
                    if side:
                        if operation == DECIDE:
                            e, i, x, first_is_whole = b, j, y, whole_numbers[a]
                        else:
                            e = pairs[pair + side - 1, 1]
                    elif operation == LIVE_GATE:
                        e = gates[ops[a, LIVE], EXPRESSION]
                    if modes[e] >= 0:
                        j = store[modes[e]]
                    elif modes[e] == BOUND:
                        j, y = integers[e], values[e]
                        known = known and not np.isnan(y)
                    else:
                        exists, j, y = evaluate(
                            starts, rows, floats, hazards, e, parameters, store, whole, real
                        )
                        known = known and exists
                    if operation != DECIDE and operation != SET:
                        if whole_numbers[e]:
                            y = float(j)
                        if side:
                            derivs[side - 1] = y
                        else:
                            z = y
                if given:
                    order, j, z = given_whole[0], given_whole[0], given_real[0]
                elif operation == DECIDE:
                    order = _order(first_is_whole, i, x, whole_numbers[b], j, y)
                elif operation == TOSS:
                    known = known and 0.0 <= z <= 1.0
                    if z == 0.0 or z == 1.0:  # a choice that is certain has no score
                        for p in range(varying):
                            known = known and derivs[p] == 0.0
                elif operation == SET:
                    known = known and whole_numbers[a]
                elif operation == LIVE_GATE:
                    known = known and gates[ops[a, LIVE], HOW] != DRIFTING
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
                    if target < 0:
                        for p in range(varying):
                            if derivs[p] != 0.0:
                                score = derivs[p] / z if u < z else derivs[p] / (z - 1)
                                scores[row, pairs[pair + p, 0]] += score
                    given, pc = 0, following if u < z else instructions[pc, ELSE]
                    continue
                if not given:
                    _gate_matrix(gates, data, ops[a, LIVE], z, matrices, ops[a, MATRIX])
                given = 0
                if node >= 0:
                    _copy(kept[nodes[node, STATE]], psi)
                    left, logged, used, made, marks[BEFORE], node = node, 0, 0, 0, 0, -1
            # What acts on the state: in the tree, if there is a node for it.
            if node >= 0 and nodes[node, PC_OF] != pc:
                number = tree_used[NODES]
                at = _at(nodes, chances, tree_used, node, pc)
                if at < 0:
                    _copy(kept[nodes[node, STATE]], psi)
                    left, logged, used, made, marks[BEFORE] = node, 0, 0, 0, 0
                elif at >= number:  # a sibling comes from where this node comes from
                    parents[at, 0], parents[at, 1] = parents[node, 0], parents[node, 1]
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
                        expectations[row, k] = cumulated[base + k]
                    pc = following
                    continue
                else:
                    u = float(words[draws & 3] >> np.uint64(11)) * 2.0**-53
                    number = KRAUS if operation == CHANNEL else 2 if operation == RESET else 1 << b
                    outcome = _drawn(cumulated, base, number, u)
                    child = children[base + outcome]
                    if child >= 0:
                        draws += 1
                        node = child
                        if operation == MEASURE:
                            pc = targets[instructions[pc, C] + outcome]
                            continue
                        if operation == RECORD:
                            store[instructions[pc, C]] = outcome
                        pc = following
                        continue
            base = nodes[node, BASE] if node >= 0 else -1
            if operation == GATES or operation == LIVE_GATE:
                for op in range(a, b):
                    if np.isnan(matrices[ops[op, MATRIX]].real) or lacking[op]:
                        reason = ASK
                if reason == ASK:
                    break
                goal, child, at = psi, -1, -1
                if node >= 0:
                    if base < 0:
                        base = _slots(nodes, children, tree_used, node, 1)
                    child = _child(tree, node, base, 1.0, shots) if base >= 0 else -1
                    if child >= 0:
                        parents[child, 0], parents[child, 1] = node, 0
                        goal = kept[nodes[child, STATE]]
                    else:
                        _copy(kept[nodes[node, STATE]], psi)
                        left, logged, used, made, marks[BEFORE] = node, 0, 0, 0, 0
                    node = child
                if operation == LIVE_GATE:
                    at = used
                    size = ops[a, NUMBERS]
                    for i in range(size):
                        m = matrices[ops[a, MATRIX] + i]
                        log_floats[used], log_floats[used + 1] = m.real, m.imag
                        used += 2
                    if varying and gates[ops[a, LIVE], HOW] == DRIFTING:
                        for i in range(size):
                            m = generators[op_sites[a, GENERATOR] + i]
                            log_floats[used], log_floats[used + 1] = m.real, m.imag
                            used += 2
                    for p in range(varying):
                        log_floats[used] = derivs[p]
                        used += 1
                budget -= (b - a) * heavy
                for op in range(a, b):
                    if node < 0 and (fine or op == a):
                        _log(
                            entries,
                            states,
                            beginning,
                            begun,
                            psi,
                            store,
                            logged,
                            made,
                            pc,
                            op,
                            at,
                            steps - instructions[pc, COST],
                            draws,
                        )
                        logged += 1
                        made += 1
                    _pass(goal, other, ops, op, low, width, places, perms, matrices)
                pc = following
                continue
            state = psi if node < 0 else kept[nodes[node, STATE]]
            if operation == EXPECT:
                budget -= expected * heavy
                base = _slots(nodes, children, tree_used, node, expected) if node >= 0 and base < 0 else -1
                for k in range(expected):
                    expectations[row, k] = _expectation(state, masks, k, phases[k])
                    if base >= 0:
                        cumulated[base + k] = expectations[row, k]
                pc = following
                continue
            # What is left has outcomes. Their cumulated weights are in the tree, or found now.
            c = instructions[pc, C]
            reads = operation == CHANNEL and np.isnan(values[a])
            if operation == CHANNEL and base < 0 and not given and (reads or np.isnan(kraus_slopes[c].real)):
                reason = ASK
                if node >= 0:  # a channel whose probability reads counters has no node
                    _copy(state, psi)
                    left, logged, used, made, marks[BEFORE], node = node, 0, 0, 0, 0, -1
                break
            given = 0
            number = KRAUS if operation == CHANNEL else 2 if operation == RESET else 1 << b
            into, at = outcomes, 0
            if base >= 0:
                into, at = cumulated, base
            else:
                if node >= 0 and number <= MOST_OUTCOMES:
                    base = _slots(nodes, children, tree_used, node, number)
                if node >= 0 and base < 0:
                    _copy(state, psi)
                    left, logged, used, made, marks[BEFORE], node = node, 0, 0, 0, 0, -1
                budget -= heavy
                if base >= 0:
                    into, at = cumulated, base
                _weigh(state, operation, a, b, c, qubits, single, kraus, into, at, number, other)
            u = float(words[draws & 3] >> np.uint64(11)) * 2.0**-53
            outcome = _drawn(into, at, number, u)
            child = children[base + outcome] if base >= 0 else -1
            if child < 0:
                budget -= heavy
                goal = psi
                if base >= 0:
                    share = cumulated[base + outcome] - (cumulated[base + outcome - 1] if outcome else 0.0)
                    share /= cumulated[base + number - 1]
                    child = _child(tree, node, base + outcome, share, shots)
                    if child >= 0:
                        parents[child, 0], parents[child, 1] = node, outcome
                        goal = kept[nodes[child, STATE]]
                    else:
                        _copy(state, psi)
                        left, logged, used, made, marks[BEFORE] = node, 0, 0, 0, 0
                node = child
                if node < 0:
                    at = -1
                    if reads:
                        at = used
                        for i in range(c + 4 * outcome, c + 4 * outcome + 4):
                            log_floats[used], log_floats[used + 1] = kraus[i].real, kraus[i].imag
                            used += 2
                        for i in range(c + 4 * outcome, c + 4 * outcome + 4):
                            log_floats[used], log_floats[used + 1] = (
                                kraus_slopes[i].real,
                                kraus_slopes[i].imag,
                            )
                            used += 2
                        for p in range(varying):
                            log_floats[used] = derivs[p]
                            used += 1
                    _log(
                        entries,
                        states,
                        beginning,
                        begun,
                        psi,
                        store,
                        logged,
                        made,
                        pc,
                        outcome,
                        at,
                        steps - instructions[pc, COST],
                        draws,
                    )
                    logged += 1
                    made += 1
                _become(goal, operation, a, b, c, qubits, kraus, outcome)
            node = child
            draws += 1
            if operation == MEASURE:
                pc = targets[c + outcome]
                continue
            if operation == RECORD:
                store[c] = outcome
            pc = following
        if closing < 0:  # this instruction is executed when the loop goes on
            steps -= instructions[pc, COST]
            break
        if closing != CUT and not swept:
            at = nodes[node, STATE] if node >= 0 else -1
            resting = closing == ENDED and rests.shape[1] > 0
            wanted = SCORED | FELT if resting else SCORED
            have = known_of[at] if at >= 0 else 0
            if have & wanted != wanted:
                state = psi if at < 0 else kept[at]
                fresh, feeling = have & SCORED == 0, resting and have & FELT == 0
                if closing != REACHED:
                    _begin(state, masks, phases, weights, waves, active, found, fresh, feeling)
                earlier = marks[BEFORE] if at < 0 else 0
                behind, logs = (left, logged) if at < 0 else (node, 0)
                if earlier:
                    behind = -1
                budget -= 4 * logs * heavy
                _sweep(
                    state,
                    behind,
                    logs,
                    instructions,
                    qubits,
                    ops,
                    low,
                    width,
                    places,
                    perms,
                    gates,
                    values,
                    kraus,
                    nodes,
                    kept,
                    other,
                    op_sites,
                    events,
                    pairs,
                    generators,
                    inverses,
                    kraus_slopes,
                    parents,
                    entries,
                    states,
                    log_floats,
                    waves,
                    active,
                    spare,
                    outer,
                    touched,
                    found,
                    fine,
                )
                if earlier:
                    reason = EARLIER
                    break
                _contract(ops, op_sites, pairs, generators, active, outer, touched, found)
                if at >= 0:
                    for v in range(found.shape[0]):
                        if feeling if v else fresh:
                            for p in range(names):
                                cached[at, v, p] = found[v, p]
                    known_of[at] = have | wanted
            for v in range(found.shape[0]):
                for p in range(names):
                    slope = cached[at, v, p] if at >= 0 else found[v, p]
                    if v == 0:
                        scores[row, p] += slope
                    elif closing == ENDED or closing == REACHED:
                        rests[row, v - 1, p] += slope
            if closing == REACHED:
                reason = BACK
                break
        swept = 0
        if closing == CLEARED:
            closing, node, pc = -1, root, instructions[pc, NEXT]
            left, logged, used, made, marks[BEFORE] = -1, 0, 0, 0, 0
            if node < 0:
                _zero(psi)
                budget -= heavy
            continue
        status[row] = closing
        for i in range(final.shape[1]):
            final[row, i] = store[i]
        running, closing = 0, -1
        row += 1
    context[ROW], context[BUDGET] = row, budget
    context[PC], context[NODE], context[STEPS] = pc, node, steps
    context[DRAWS], context[DRAWN] = draws, block
    context[RUNNING], context[GIVEN] = running, given
    marks[LEFT], marks[LOGGED], marks[USED], marks[MADE] = left, logged, used, made
    marks[CLOSING], marks[SWEPT] = closing, swept
    return reason
