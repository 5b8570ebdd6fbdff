"""Where runs go on: counters, comparisons, coins and ends of many runs, in one compiled loop.

Each run goes on by itself until it comes to an instruction that acts on its state, or ends. Numbers are drawn
from the streams of the trajectory backend, in the same order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdiff.sim.machine.arithmetic import adds, compared, order, value_of
from qdiff.sim.machine.code import (
    COST,
    DECIDE,
    ELSE,
    NEXT,
    OP,
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
from qdiff.sim.machine.compiled import address_of, entry, item
from qdiff.sim.machine.streams import philox
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
    ROW,
    Bound,
    Parts,
    Tables,
    Work,
)

RUNNING = -1
"""The status of a run that has not ended."""


class Runs(NamedTuple):
    """Where each of B runs is.

    Attributes:
        pcs, steps, draws, status: (B,). stores: (B, counters).
    """

    pcs: Ints
    steps: Ints
    draws: Ints
    status: Ints
    stores: Ints


@entry
def advance(
    code: Code,
    bound: Bound,
    work: Work,
    parts: Parts,
    runs: Runs,
    which: Ints,
    seed: np.uint64,
    first: np.uint64,
    step_limit: int,
) -> int:
    """Let some runs go on, from entry context[ROW] of `which` on, and say why it stopped.

    Args:
        first: the index of the shot of run 0.
    """
    context, store, words = work.context, work.store, work.words
    instructions, values, integers, modes = code.instructions, bound.values, bound.integers, code.modes
    machine = address_of(Tables(code, bound, work))
    at, given, budget = context[ROW], context[GIVEN], context[BUDGET]
    reason = FINISHED
    while at < which.size and reason == FINISHED:
        row = which[at]
        for i in range(store.size):
            store[i] = runs.stores[row, i]
        pc, steps, draws, status = runs.pcs[row], runs.steps[row], runs.draws[row], runs.status[row]
        while True:
            operation, a, b = instructions[pc, OP], instructions[pc, A], instructions[pc, B]
            steps += instructions[pc, COST]
            budget -= 1
            if steps > step_limit:
                status = CUT
                break
            if budget < 0:
                reason = PAUSED
                break
            if operation == STEP:
                if not given and not adds(store[a], b):
                    reason = ASK
                    break
                store[a] = work.given_whole[0] if given else store[a] + b
                given, pc = 0, instructions[pc, NEXT]
            elif operation == STOP:
                status = ABORTED if a else ENDED
                break
            elif operation == DECIDE:
                sign = work.given_whole[0]
                if not given:
                    known, i, x = value_of(parts.evaluate, machine, modes, store, integers, values, a)
                    also, j, y = value_of(parts.evaluate, machine, modes, store, integers, values, b)
                    if not (known and also):
                        reason = ASK
                        break
                    sign = order(item(code.whole, a), i, x, item(code.whole, b), j, y)
                decided = compared(instructions[pc, C], sign)
                given, pc = 0, instructions[pc, NEXT] if decided else instructions[pc, ELSE]
            elif operation == SET or operation == TOSS:
                j, y = work.given_whole[0], work.given_real[0]
                if not given:
                    known, j, y = value_of(parts.evaluate, machine, modes, store, integers, values, a)
                    if operation == SET:
                        known = known and code.whole[a]
                    else:
                        if code.whole[a]:
                            y = float(j)
                        known = known and 0.0 <= y <= 1.0
                    if not known:
                        reason = ASK
                        break
                given = 0
                if operation == SET:
                    store[b] = j
                    pc = instructions[pc, NEXT]
                else:
                    philox((draws >> 2) + 1, first + np.uint64(row), seed, words)
                    u = float(item(words, draws & 3) >> np.uint64(11)) * 2.0**-53
                    draws += 1
                    pc = instructions[pc, NEXT] if u < y else instructions[pc, ELSE]
            else:
                break
        if reason != FINISHED:  # this instruction is executed when the loop goes on
            steps -= instructions[pc, COST]
        else:
            at += 1
        for i in range(store.size):
            runs.stores[row, i] = store[i]
        runs.pcs[row], runs.steps[row], runs.draws[row], runs.status[row] = pc, steps, draws, status
        context[PC] = pc
    context[ROW], context[GIVEN], context[BUDGET] = at, given, budget
    return reason


@entry
def draw(
    runs: Runs,
    which: Ints,
    seed: np.uint64,
    first: np.uint64,
    words: np.ndarray[tuple[int, ...], np.dtype[np.uint64]],
    uniform: Floats,
) -> None:
    """Write the next number of each of some runs."""
    for at in range(which.size):
        row = which[at]
        draws = runs.draws[row]
        philox((draws >> 2) + 1, first + np.uint64(row), seed, words)
        uniform[at] = float(item(words, draws & 3) >> np.uint64(11)) * 2.0**-53
        runs.draws[row] += 1


@entry
def evaluate_at(
    code: Code, bound: Bound, work: Work, parts: Parts, stores: Ints, expression: int, result: Floats
) -> None:
    """Write the value of an expression at each of some stores, (S, counters); nan where it has none."""
    machine = address_of(Tables(code, bound, work))
    for s in range(stores.shape[0]):
        for i in range(work.store.size):
            work.store[i] = stores[s, i]
        known, j, y = value_of(
            parts.evaluate, machine, code.modes, work.store, bound.integers, bound.values, expression
        )
        if code.whole[expression]:
            y = float(j)
        result[s] = y if known else np.nan
