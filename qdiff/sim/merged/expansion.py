"""The expansion of entries, in compiled code; see `frontier`."""

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
    A,
    B,
    C,
    Code,
)
from qdiff.sim.machine.compiled import address_of, entry
from qdiff.sim.machine.states import copy, zero
from qdiff.sim.machine.tables import (
    ABORTED,
    ASK,
    BUDGET,
    CUT,
    ENDED,
    FINISHED,
    GIVEN,
    PAUSED,
    PC,
    Bound,
    Parts,
    Tables,
    Work,
)
from qdiff.sim.merged.entries import (
    ALONE,
    APART,
    ARRIVAL,
    AT,
    CHILD,
    EFFORT,
    HEAPED,
    IMPOSSIBLE,
    KEPT,
    LONGEST,
    NUMBER,
    OUTCOME,
    PARENT,
    ROWS,
    SET_ASIDE,
    SHORTEST,
    SPARE,
    STORE,
    UNUSED,
    Entries,
    Rows,
    arrive,
    ended,
    taken,
)

_matrix = matrices.matrix.call
_apply, _expect = states.apply.call, states.expect.call
_weigh, _keep = states.weigh.call, states.keep.call
_weigh_channel, _act = states.weigh_channel.call, states.act.call

FULL, CROWDED, AMBIGUOUS, COSTLY = range(20, 24)
"""More reasons to return: no room for entries, none for rows; histories of different lengths have merged, and
only some of them would be cut; merging saves little."""


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
    parts: Parts,
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
    context, store, outcomes = work.context, work.store, work.outcomes
    kept, slots, numbers, heads = entries.states, entries.slots, entries.numbers, entries.heads
    sums = entries.sums
    keys, found = ends.keys, ends.numbers
    instructions, targets, ops, modes = code.instructions, code.targets, code.ops, code.modes
    values, integers, matrices = bound.values, bound.integers, bound.matrices
    machine = address_of(Tables(code, bound, work))
    heavy = 1 + (kept.shape[2] >> 4)
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
            parent, number, outcome = taken(slots, heads, context), 0, 0
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
            distance = arrive(
                kept, slots, numbers, heads, context, child, entries.ranks[pc], by_steps, tolerance
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
        fresh = (child >= 0 or number == 0) and status < 0
        sign, j, y = work.given_whole[0], work.given_whole[0], work.given_real[0]
        known = True
        if given or not fresh:
            pass
        elif operation == STEP:
            known, j = adds(store[a], b), store[a]
            if known:
                j += b
        elif operation == DECIDE:
            known, i, x = value_of(parts.evaluate, machine, modes, store, integers, values, a)
            also, j, y = value_of(parts.evaluate, machine, modes, store, integers, values, b)
            known = known and also
            sign = order(code.whole[a], i, x, code.whole[b], j, y)
        elif operation == SET or operation == TOSS or operation == LIVE_GATE:
            e = code.gates[ops[a, LIVE], EXPRESSION] if operation == LIVE_GATE else a
            known, j, y = value_of(parts.evaluate, machine, modes, store, integers, values, e)
            if operation != SET and code.whole[e]:
                y = float(j)
            if operation == SET:
                known = known and code.whole[e]
            elif operation == TOSS:
                known = known and 0.0 <= y <= 1.0
            else:
                known = known and code.gates[ops[a, LIVE], HOW] != DRIFTING
                if known:
                    _matrix(parts.matrix, machine, ops[a, LIVE], y, matrices, ops[a, MATRIX])
        elif operation == CHANNEL:
            known = not np.isnan(values[a])
        elif operation == GATES:
            for op in range(a, b):
                known = known and not np.isnan(matrices[ops[op, MATRIX]].real)
        if not known:
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
                elif operation == CHANNEL:
                    _weigh_channel(parts.weigh_channel, machine, kept[parent], pc, outcomes, 0)
                else:
                    _weigh(parts.weigh, machine, kept[parent], pc, outcomes, 0, number)
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
                    copy(kept[parent], kept[child])
                    for i in range(store.size):
                        store[i] = slots[parent, STORE + i]
                    numbers[child, 0] = mass
                    for k in range(1, numbers.shape[1]):
                        numbers[child, k] = 0.0
                    if operation == TOSS:
                        following = following if outcome == 0 else instructions[pc, ELSE]
                    elif operation == CHANNEL:
                        _act(parts.act, machine, kept[child], pc, outcome)
                    else:
                        _keep(parts.keep, machine, kept[child], pc, outcome)
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
                following = following if compared(c, sign) else instructions[pc, ELSE]
            elif operation == CLEAR:
                zero(kept[child])
                effort += heavy
            elif operation == EXPECT:
                _expect(parts.expect, machine, kept[child], a, b, numbers[child, 1:])
                effort += heavy * (b - a)
            else:
                _apply(parts.apply, machine, kept[child], a, b, False)
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
            ended(keys, found, ends.heads, context, store, numbers, current, status, bits, mass)
            if child >= 0 or status == CUT:
                slots[context[UNUSED], SPARE] = current
                context[UNUSED] += 1
                parent = -1 if child < 0 else parent
                child = -1
    context[BUDGET], context[GIVEN] = budget, given
    context[PARENT], context[CHILD] = parent, child
    context[OUTCOME], context[NUMBER] = outcome, number
    return reason
