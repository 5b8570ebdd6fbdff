"""The loop over shots.

It stops where it needs help (`ASK`: a value that does not exist in 64 bits or at all; `SHARE`: an instruction
for all threads) or has worked long enough (`PAUSED`), with everything it knows in its arguments, and goes on
when called again.
"""

from __future__ import annotations

import numpy as np

from qdiff.sim.machine import matrices, states
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
    OP,
    READ,
    RECORD,
    RESET,
    SET,
    STEP,
    STOP,
    TOSS,
    WIDTH,
    A,
    B,
    C,
    Code,
    Ints,
)
from qdiff.sim.machine.compiled import address_of, cell, entry, item, plain
from qdiff.sim.machine.states import MOST_WIDE, copy, zero
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
    SHARE,
    STEPS,
    WIDE,
    Bound,
    Parts,
    Results,
    Tables,
    Work,
)
from qdiff.sim.machine.tree import (
    BASE,
    COLUMNS,
    MOST_OUTCOMES,
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
    parts: Parts,
) -> int:
    """Run shots until all rows of the results are written, and say why it stopped.

    Args:
        start: (1, counters) the counters at the beginning, or (rows, counters), those of each shot.
        origin: the first instruction.
        first: the index of the shot of row 0. shots: how many there are in all, for the tree.
    """
    context, store, psi, outcomes = work.context, work.store, work.psi, work.outcomes
    words = work.words
    nodes, chances, cumulated, children = tree.nodes, tree.chances, tree.cumulated, tree.children
    instructions, targets = code.instructions, code.targets
    ops, modes, matrices = code.ops, code.modes, bound.matrices
    values, integers = bound.values, bound.integers
    dimension, counters = psi.shape[1], store.size
    machine = address_of(Tables(code, bound, work))
    heavy = dimension >> 4
    root = 0 if nodes.shape[0] else -1
    several = start.shape[0] > 1
    row, budget = context[ROW], context[BUDGET]
    pc, node, steps = context[PC], context[NODE], context[STEPS]
    draws, block = context[DRAWS], context[DRAWN]
    running, given, wide = context[RUNNING], context[GIVEN], context[WIDE]
    reason = FINISHED
    while row < results.status.size:
        if not running:
            begin = row if several else 0
            for i in range(counters):
                store[i] = start[begin, i]
            pc, node, steps, draws, block, running = origin, root, 0, 0, 0, 1
            if node < 0:
                zero(psi)
        ended = -1
        while ended < 0:
            operation, a, b = (
                cell(instructions, pc, OP, WIDTH),
                cell(instructions, pc, A, WIDTH),
                cell(instructions, pc, B, WIDTH),
            )
            following = cell(instructions, pc, NEXT, WIDTH)
            steps += cell(instructions, pc, COST, WIDTH)
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
                if not adds(store[a], b):
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
                    zero(psi)
                    budget -= heavy
                pc = following
                continue
            # What reads numbers: two that are compared, or one.
            if operation == DECIDE:
                sign = work.given_whole[0]
                if not given:
                    known, i, x = value_of(parts.evaluate, machine, modes, store, integers, values, a)
                    also, j, y = value_of(parts.evaluate, machine, modes, store, integers, values, b)
                    if not (known and also):
                        reason = ASK
                        break
                    sign = order(item(code.whole, a), i, x, item(code.whole, b), j, y)
                decided = compared(cell(instructions, pc, C, WIDTH), sign)
                given, pc = 0, following if decided else cell(instructions, pc, ELSE, WIDTH)
                continue
            if operation <= LIVE_GATE or operation == TOSS:
                e = code.gates[ops[a, LIVE], EXPRESSION] if operation == LIVE_GATE else a
                j, y = work.given_whole[0], work.given_real[0]
                if not given:
                    known, j, y = value_of(parts.evaluate, machine, modes, store, integers, values, e)
                    if operation != SET and code.whole[e]:
                        y = float(j)
                    if operation == TOSS:
                        known = known and 0.0 <= y <= 1.0
                    elif operation == SET:
                        known = known and code.whole[e]
                    else:
                        known = known and code.gates[ops[a, LIVE], HOW] != DRIFTING
                    if not known:
                        reason = ASK
                        break
                if operation == SET:
                    store[b] = j
                    given, pc = 0, following
                    continue
                if operation == TOSS:
                    u = float(item(words, draws & 3) >> np.uint64(11)) * 2.0**-53
                    draws += 1
                    given, pc = 0, following if u < y else cell(instructions, pc, ELSE, WIDTH)
                    continue
                if not given:
                    _matrix(parts.matrix, machine, ops[a, LIVE], y, matrices, ops[a, MATRIX])
                given = 0
                if node >= 0:
                    copy(tree.states[nodes[node, STATE]], psi)
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
            if node >= 0 and cell(nodes, node, PC_OF, COLUMNS) != pc:
                at = at_node(nodes, chances, tree.used, node, pc)
                if at < 0:
                    copy(tree.states[nodes[node, STATE]], psi)
                node = at
            if node >= 0 and cell(nodes, node, BASE, COLUMNS) >= 0:  # been here before
                base = cell(nodes, node, BASE, COLUMNS)
                if operation == GATES:
                    child = item(children, base)
                    if child >= 0:
                        node, pc = child, following
                        continue
                elif operation == EXPECT:
                    for k in range(a, b):
                        results.expectations[row, k] = cumulated[base + k - a]
                    pc = following
                    continue
                else:
                    c = cell(instructions, pc, C, WIDTH)
                    u = float(item(words, draws & 3) >> np.uint64(11)) * 2.0**-53
                    number = KRAUS if operation == CHANNEL else 2 if operation == RESET else 1 << b
                    outcome = drawn(cumulated, base, number, u)
                    child = node if operation == READ else item(children, base + outcome)
                    if child >= 0:
                        draws += 1
                        node = child
                        if operation == MEASURE:
                            pc = item(targets, c + outcome)
                            continue
                        if operation == RECORD:
                            store[c] = outcome
                        elif operation == READ:
                            for k in range(b):
                                results.bits[row, k] = (outcome >> k) & 1
                        pc = following
                        continue
            base = cell(nodes, node, BASE, COLUMNS) if node >= 0 else -1
            if operation == GATES or operation == LIVE_GATE:
                for op in range(a, b):
                    if np.isnan(matrices[ops[op, MATRIX]].real):
                        reason = ASK
                if reason == ASK:
                    break
                target, child = psi, -1
                if node >= 0:
                    if base < 0:
                        base = slots_of(nodes, children, tree.used, node, plain(1))
                    child = new_child(tree, node, base, 1.0, shots) if base >= 0 else -1
                    if child >= 0:
                        target = tree.states[nodes[child, STATE]]
                    else:
                        copy(tree.states[nodes[node, STATE]], psi)
                    node = child
                budget -= (b - a) * heavy
                _apply(parts.apply, machine, target, a, b, False)
                pc = following
                continue
            state = psi if node < 0 else tree.states[nodes[node, STATE]]
            if operation == EXPECT:
                budget -= (b - a) * heavy
                base = slots_of(nodes, children, tree.used, node, b - a) if node >= 0 and base < 0 else -1
                _expect(parts.expect, machine, state, a, b, results.expectations[row])
                for k in range(a, b if base >= 0 else a):
                    cumulated[base + k - a] = results.expectations[row, k]
                pc = following
                continue
            # What is left has outcomes. Their cumulated weights are in the tree, or found now.
            c = cell(instructions, pc, C, WIDTH)
            if operation == CHANNEL and base < 0 and not given and np.isnan(values[a]):
                reason = ASK
                if node >= 0:  # a channel whose probability reads counters has no node
                    copy(state, psi)
                    node = -1
                break
            given = 0
            u = float(item(words, draws & 3) >> np.uint64(11)) * 2.0**-53
            draws += 1
            number = KRAUS if operation == CHANNEL else 2 if operation == RESET else 1 << b
            into, at = outcomes, 0
            if base >= 0:
                into, at = cumulated, base
            else:
                if node >= 0 and number <= MOST_OUTCOMES:
                    base = slots_of(nodes, children, tree.used, node, number)
                if node >= 0 and base < 0:
                    copy(state, psi)
                    node = -1
                budget -= heavy
                if base >= 0:
                    into, at = cumulated, base
                if operation == CHANNEL:
                    _weigh_channel(parts.weigh_channel, machine, state, pc, into, at)
                else:
                    _weigh(parts.weigh, machine, state, pc, into, at, number)
            outcome = drawn(into, at, number, u)
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
                        child = new_child(tree, node, base + outcome, share, shots)
                        if child >= 0:
                            target = tree.states[nodes[child, STATE]]
                        else:
                            copy(state, psi)
                    if operation == CHANNEL:
                        _act(parts.act, machine, target, pc, outcome)
                    else:
                        _keep(parts.keep, machine, target, pc, outcome)
                node = child
            if operation == MEASURE:
                pc = item(targets, c + outcome)
                continue
            if operation == RECORD:
                store[c] = outcome
            elif operation == READ:
                for k in range(b):
                    results.bits[row, k] = (outcome >> k) & 1
            pc = following
        if ended < 0:
            if reason != SHARE:  # this instruction is executed when the loop goes on
                steps -= cell(instructions, pc, COST, WIDTH)
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
