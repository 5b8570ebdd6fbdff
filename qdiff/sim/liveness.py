"""Which counters still matter: what an engine may forget before it compares stores.

A counter is *live* at a point of the flow when some run from there may read it before it is written:
in a comparison, an angle, a probability, an assignment, or at the end. Everything else may be set to
0 without changing any result, so that stores which differ in it become one.
"""

from __future__ import annotations

from collections.abc import Collection

from qdiff.lang.expr import Expr
from qdiff.sim.flow import (
    Apply,
    ChannelBits,
    Decide,
    Flow,
    Instruction,
    Mark,
    MeasureBits,
    RecordBits,
    ResetBits,
    Set,
    Stop,
    Toss,
)


def live_counters(
    flow: Flow, at_end: Collection[int], forgotten: Collection[int] = ()
) -> dict[int, frozenset[int]]:
    """Return the counters (indices into `flow.counters`) that are live on entry to each instruction.

    Args:
        at_end: counters that are read at the end of the program.
        forgotten: counters that nobody asks for; what is assigned to them reads nothing.
    """
    size = len(flow.instructions)
    reads = [_reads(flow, instruction, forgotten) for instruction in flow.instructions]
    following = [successors(instruction) for instruction in flow.instructions]
    before: list[list[int]] = [[] for _ in range(size)]
    for point, targets in enumerate(following):
        for target in targets:
            before[target].append(point)
    live: list[frozenset[int]] = [frozenset()] * size
    waiting = list(range(size))
    queued = [True] * size
    while waiting:
        point = waiting.pop()
        queued[point] = False
        instruction = flow.instructions[point]
        after: frozenset[int] = frozenset().union(*(live[t] for t in following[point]))
        if isinstance(instruction, Set | RecordBits):
            after = after - {instruction.counter}
        if isinstance(instruction, Stop) and not instruction.aborted:
            after = frozenset(at_end)
        found = after | reads[point]
        if found != live[point]:
            live[point] = found
            for earlier in before[point]:
                if not queued[earlier]:
                    queued[earlier] = True
                    waiting.append(earlier)
    return dict(enumerate(live))


def successors(instruction: Instruction) -> tuple[int, ...]:
    """The instructions that may come next."""
    match instruction:
        case Apply(next=following) | ResetBits(next=following) | RecordBits(next=following):
            return (following,)
        case ChannelBits(next=following) | Set(next=following) | Mark(next=following):
            return (following,)
        case MeasureBits(targets=targets):
            return targets
        case Toss(if_true=one, if_false=other) | Decide(if_true=one, if_false=other):
            return (one, other)
        case _:
            return ()


def _reads(flow: Flow, instruction: Instruction, forgotten: Collection[int]) -> frozenset[int]:
    def counters(*expressions: Expr) -> frozenset[int]:
        return frozenset(flow.index[name] for e in expressions for name in e.counters())

    match instruction:
        case Apply(gate=gate):
            expression = flow.gates[gate].expression
            return counters(flow.expressions[expression]) if expression >= 0 else frozenset()
        case Toss(expression=expression) | ChannelBits(expression=expression):
            return counters(flow.expressions[expression])
        case Decide(condition=condition):
            return counters(condition.left, condition.right)
        case Set(counter=counter, value=value):
            return frozenset() if counter in forgotten else counters(value)
        case _:
            return frozenset()
