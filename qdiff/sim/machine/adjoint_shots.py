"""The compiled trajectory adjoint: shots as in `shots.run`, and a backward sweep over the path of each.

A *segment* of a shot begins with |0…0⟩, at the start or after a reset of all qubits. Its path is a chain of
nodes of the history tree, known by parent, and behind that a *log* of what happened outside the tree:
instruction, outcome, the state before. A sweep (`adjoint_sweep`) takes λ back along the
path, with λ = ψ at the end for the score and λ = (O_m - ⟨O_m⟩)ψ for an observable; one that vanishes needs no
sweep. Per op the generators of all parameters are contracted with one matrix Σ |ψ⟩⟨λ|, summed over all
visits: the cost of a sweep does not grow with the number of parameters. Inside the tree a result belongs to
the state and is found once.

Scores of flips do not touch the state; they are added while the shot runs, and so are the sums over random
events (`adjoint_events`).

The log holds a fixed number of entries. Where it is full, the loop stops (`FULL`), so that its caller keeps
where the window began; a sweep that is through with the last window stops (`EARLIER`), and the caller runs
earlier windows again up to where the next one began (`TARGET`), from the last to the first (`BACK`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdiff.sim.machine import matrices, states
from qdiff.sim.machine.adjoint_apart import call_sweep
from qdiff.sim.machine.adjoint_binding import Slopes
from qdiff.sim.machine.adjoint_code import GENERATOR, PAIRS, PAIRS_END, Sites
from qdiff.sim.machine.adjoint_events import Events, begin_run, tell, tell_flip
from qdiff.sim.machine.adjoint_trail import (
    BEFORE,
    CLOSING,
    FINE,
    LEFT,
    LOGGED,
    MADE,
    NEEDED,
    SWEPT,
    TARGET,
    USED,
    Trail,
)
from qdiff.sim.machine.arithmetic import adds, compared, order, value_of
from qdiff.sim.machine.code import (
    CHANNEL,
    CLEAR,
    COST,
    DECIDE,
    DRIFTING,
    ELSE,
    EXPECT,
    EXPRESSION,
    FIRST_RANDOM,
    GATES,
    HOW,
    KRAUS,
    LIVE,
    LIVE_GATE,
    MATRIX,
    MEASURE,
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
    Floats,
    Ints,
)
from qdiff.sim.machine.compiled import address_of, entry, inner, plain
from qdiff.sim.machine.states import copy, zero
from qdiff.sim.machine.streams import philox
from qdiff.sim.machine.tables import (
    ABORTED,
    ASK,
    BUDGET,
    CUT,
    DRAWN,
    DRAWS,
    ENDED,
    FINISHED,
    GIVEN,
    NODE,
    PAUSED,
    PC,
    ROW,
    RUNNING,
    STEPS,
    Bound,
    Parts,
    Tables,
    Work,
)
from qdiff.sim.machine.tree import (
    BASE,
    MOST_OUTCOMES,
    NODES,
    PC_OF,
    STATE,
    Tree,
    at_node,
    drawn,
    new_child,
    slots_of,
)

_matrix = matrices.matrix.call
_apply, _expect = states.apply.call, states.expect.call
_weigh, _keep = states.weigh.call, states.keep.call
_weigh_channel, _act = states.weigh_channel.call, states.act.call

FULL, EARLIER, BACK = 10, 11, 12
"""Why `follow` returned, besides what `shots.run` knows."""
CLEARED, REACHED = 3, 4
"""How a segment ended, besides ENDED, ABORTED and CUT: all qubits were reset, a window that is run again is
over."""
SCORED, FELT = 1, 2
"""Bits of `Trail.known`: the score of a state, its derivatives of observables."""


class Rows(NamedTuple):
    """One row for each shot.

    Attributes:
        counters, status, expectations: as in `tables.Results`.
        scores: (rows, P). rests: (rows, G, P), 2 Re⟨ψ|O_m - ⟨O_m⟩|∂ψ⟩.
    """

    counters: Ints
    status: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    expectations: Floats
    scores: Floats
    rests: Floats


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
    copy(state, states[logged])
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
    surprises: Events,
    start: Ints,
    origin: int,
    seed: np.uint64,
    first: np.uint64,
    shots: float,
    step_limit: int,
    sweep: int,
    parts: Parts,
) -> int:
    """Run shots and sweep back over each, and say why it stopped.

    Args:
        sites, slopes, trail, surprises: see `adjoint_code`, `adjoint_binding`, `adjoint_trail`,
            `adjoint_events`. sweep: its address. The others are those of `shots.run`.
    """
    context, store, psi, outcomes = work.context, work.store, work.psi, work.outcomes
    words, marks = work.words, trail.marks
    nodes, chances, cumulated, children = tree.nodes, tree.chances, tree.cumulated, tree.children
    instructions, targets, ops, modes = code.instructions, code.targets, code.ops, code.modes
    values, integers = bound.values, bound.integers
    matrices, kraus, parents, derivs = bound.matrices, bound.kraus, trail.parents, trail.derivs
    gates, whole_numbers = code.gates, code.whole
    machine = address_of(Tables(code, bound, work))
    kept, tree_used = tree.states, tree.used
    status, final, expectations = results.status, results.counters, results.expectations
    scores, rests = results.scores, results.rests
    op_sites, events, pairs = sites.ops, sites.events, sites.pairs
    generators, kraus_slopes, lacking = slopes.generators, slopes.kraus, slopes.lacking
    begun, beginning, known_of, cached = trail.start, trail.origin, trail.known, trail.cached
    entries, logs, log_floats, found = trail.entries, trail.states, trail.floats, trail.found
    dimension, counters = psi.shape[1], store.size
    names, room, needed, fine = scores.shape[1], entries.shape[0], marks[NEEDED], marks[FINE]
    heavy = dimension >> 4
    root = 0 if nodes.shape[0] else -1
    several = start.shape[0] > 1
    row, budget = context[ROW], context[BUDGET]
    pc, node, steps = context[PC], context[NODE], context[STEPS]
    draws, block = context[DRAWS], context[DRAWN]
    running, given = context[RUNNING], context[GIVEN]
    left, logged, used, made = marks[LEFT], marks[LOGGED], marks[USED], marks[MADE]
    target, closing, swept = marks[TARGET], marks[CLOSING], marks[SWEPT]
    reason = FINISHED
    while row < status.size:
        if not running:
            begin = row if several else 0
            for i in range(counters):
                store[i] = start[begin, i]
            pc, node, steps, draws, block, running = origin, root, 0, 0, 0, 1
            left, logged, used, made, marks[BEFORE] = -1, 0, 0, 0, 0
            begin_run(surprises)
            if node < 0:
                zero(psi)
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
                if not adds(store[a], b):
                    reason = ASK
                    break
                store[a] += b
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
            # What reads numbers: two that are compared, or one and its derivatives.
            if operation == DECIDE:
                sign = work.given_whole[0]
                if not given:
                    known, i, x = value_of(parts.evaluate, machine, modes, store, integers, values, a)
                    also, j, y = value_of(parts.evaluate, machine, modes, store, integers, values, b)
                    if not (known and also):
                        reason = ASK
                        break
                    sign = order(whole_numbers[a], i, x, whole_numbers[b], j, y)
                decided = compared(instructions[pc, C], sign)
                given, pc = 0, following if decided else instructions[pc, ELSE]
                continue
            if operation <= LIVE_GATE or operation == TOSS:
                j, z = work.given_whole[0], work.given_real[0]
                e = gates[ops[a, LIVE], EXPRESSION] if operation == LIVE_GATE else a
                known = True
                for p in range(-1, varying if not given else -1):
                    if p >= 0:
                        e = pairs[pair + p, 1]
                    exists, i, y = value_of(parts.evaluate, machine, modes, store, integers, values, e)
                    known = known and exists
                    if operation == SET:
                        known, j = known and whole_numbers[e], i
                        continue
                    if whole_numbers[e]:
                        y = float(i)
                    if p >= 0:
                        derivs[p] = y
                    else:
                        z = y
                if operation == TOSS and not given:
                    known = known and 0.0 <= z <= 1.0
                    if z == 0.0 or z == 1.0:  # a choice that is certain has no score
                        for p in range(varying):
                            known = known and derivs[p] == 0.0
                elif operation == LIVE_GATE and not given:
                    known = known and gates[ops[a, LIVE], HOW] != DRIFTING
                if not known:
                    reason = ASK
                    break
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
                        tell_flip(surprises, pc, row, z, 1.0 if u < z else 0.0)
                    given, pc = 0, following if u < z else instructions[pc, ELSE]
                    continue
                if not given:
                    _matrix(parts.matrix, machine, ops[a, LIVE], z, matrices, ops[a, MATRIX])
                given = 0
                if node >= 0:
                    copy(kept[nodes[node, STATE]], psi)
                    left, logged, used, made, marks[BEFORE], node = node, 0, 0, 0, 0, -1
            # What acts on the state: in the tree, if there is a node for it.
            if node >= 0 and nodes[node, PC_OF] != pc:
                number = tree_used[NODES]
                at = at_node(nodes, chances, tree_used, node, pc)
                if at < 0:
                    copy(kept[nodes[node, STATE]], psi)
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
                    for k in range(a, b):
                        expectations[row, k] = cumulated[base + k - a]
                    pc = following
                    continue
                else:
                    u = float(words[draws & 3] >> np.uint64(11)) * 2.0**-53
                    number = KRAUS if operation == CHANNEL else 2 if operation == RESET else 1 << b
                    outcome = drawn(cumulated, base, number, u)
                    child = children[base + outcome]
                    if child >= 0:
                        draws += 1
                        node = child
                        tell(surprises, pc, row, cumulated, base, number, outcome)
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
                        base = slots_of(nodes, children, tree_used, node, plain(1))
                    child = new_child(tree, node, base, 1.0, shots) if base >= 0 else -1
                    if child >= 0:
                        parents[child, 0], parents[child, 1] = node, 0
                        goal = kept[nodes[child, STATE]]
                    else:
                        copy(kept[nodes[node, STATE]], psi)
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
                stride = 1 if node < 0 and fine else max(b - a, 1)
                for op in range(a, b, stride):
                    if node < 0:
                        before = steps - instructions[pc, COST]
                        _log(
                            entries,
                            logs,
                            beginning,
                            begun,
                            psi,
                            store,
                            logged,
                            made,
                            pc,
                            op,
                            at,
                            before,
                            draws,
                        )
                        logged += 1
                        made += 1
                    _apply(parts.apply, machine, goal, op, op + stride, False)
                pc = following
                continue
            state = psi if node < 0 else kept[nodes[node, STATE]]
            if operation == EXPECT:
                budget -= (b - a) * heavy
                base = slots_of(nodes, children, tree_used, node, b - a) if node >= 0 and base < 0 else -1
                _expect(parts.expect, machine, state, a, b, expectations[row])
                for k in range(a, b if base >= 0 else a):
                    cumulated[base + k - a] = expectations[row, k]
                pc = following
                continue
            # What is left has outcomes. Their cumulated weights are in the tree, or found now.
            c = instructions[pc, C]
            reads = operation == CHANNEL and np.isnan(values[a])
            if operation == CHANNEL and base < 0 and not given and (reads or np.isnan(kraus_slopes[c].real)):
                reason = ASK
                if node >= 0:  # a channel whose probability reads counters has no node
                    copy(state, psi)
                    left, logged, used, made, marks[BEFORE], node = node, 0, 0, 0, 0, -1
                break
            given = 0
            number = KRAUS if operation == CHANNEL else 2 if operation == RESET else 1 << b
            into, at = outcomes, 0
            if base >= 0:
                into, at = cumulated, base
            else:
                if node >= 0 and number <= MOST_OUTCOMES:
                    base = slots_of(nodes, children, tree_used, node, number)
                if node >= 0 and base < 0:
                    copy(state, psi)
                    left, logged, used, made, marks[BEFORE], node = node, 0, 0, 0, 0, -1
                budget -= heavy
                if base >= 0:
                    into, at = cumulated, base
                if operation == CHANNEL:
                    _weigh_channel(parts.weigh_channel, machine, state, pc, into, at)
                else:
                    _weigh(parts.weigh, machine, state, pc, into, at, number)
            u = float(words[draws & 3] >> np.uint64(11)) * 2.0**-53
            outcome = drawn(into, at, number, u)
            if target < 0:
                tell(surprises, pc, row, into, at, number, outcome)
            child = children[base + outcome] if base >= 0 else -1
            if child < 0:
                budget -= heavy
                goal = psi
                if base >= 0:
                    share = cumulated[base + outcome] - (cumulated[base + outcome - 1] if outcome else 0.0)
                    share /= cumulated[base + number - 1]
                    child = new_child(tree, node, base + outcome, share, shots)
                    if child >= 0:
                        parents[child, 0], parents[child, 1] = node, outcome
                        goal = kept[nodes[child, STATE]]
                    else:
                        copy(state, psi)
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
                    before = steps - instructions[pc, COST]
                    _log(
                        entries,
                        logs,
                        beginning,
                        begun,
                        psi,
                        store,
                        logged,
                        made,
                        pc,
                        outcome,
                        at,
                        before,
                        draws,
                    )
                    logged += 1
                    made += 1
                if operation == CHANNEL:
                    _act(parts.act, machine, goal, pc, outcome)
                else:
                    _keep(parts.keep, machine, goal, pc, outcome)
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
                earlier = marks[BEFORE] if at < 0 else 0
                behind, many = (left, logged) if at < 0 else (node, 0)
                if earlier:
                    behind = -1
                budget -= 4 * many * heavy
                call_sweep(
                    sweep,
                    code,
                    bound,
                    tree,
                    sites,
                    slopes,
                    trail,
                    state,
                    behind,
                    many,
                    shots,
                    fresh,
                    feeling,
                    closing != REACHED,
                    not earlier,
                )
                if earlier:
                    reason = EARLIER
                    break
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
                zero(psi)
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
