"""Which counters decide what a program does: those that control reads, and what reaches them.

*Control* is what a run depends on: comparisons, angles and probabilities. A counter needs those that its
assignments read, so a set of counters is closed when it holds what they are computed from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from qdiff.lang.expr import Expr
from qdiff.sim.flow import Apply, ChannelBits, Decide, Flow, Set, Toss


def read_by_control(flow: Flow) -> set[int]:
    """Return the counters (indices into `flow.counters`) that comparisons, angles and probabilities read."""
    read: set[int] = set()
    for instruction in flow.instructions:
        expressions: tuple[Expr, ...] = ()
        match instruction:
            case Apply(gate=gate) if flow.gates[gate].expression >= 0:
                expressions = (flow.expressions[flow.gates[gate].expression],)
            case Toss(expression=expression) | ChannelBits(expression=expression):
                expressions = (flow.expressions[expression],)
            case Decide(condition=condition):
                expressions = (condition.left, condition.right)
        read |= {flow.index[name] for e in expressions for name in e.counters()}
    return read


def assignments(flow: Flow) -> list[Set]:
    """Return all assignments of a flow."""
    return [instruction for instruction in flow.instructions if isinstance(instruction, Set)]


def closure(flow: Flow, asked: Iterable[int], of: Collection[Set]) -> set[int]:
    """Return the asked counters and all that they are computed from by some assignments."""
    reads: dict[int, set[int]] = {}
    for assignment in of:
        names = assignment.value.counters()
        reads.setdefault(assignment.counter, set()).update(flow.index[name] for name in names)
    needed: set[int] = set()
    waiting = list(asked)
    while waiting:
        counter = waiting.pop()
        if counter not in needed:
            needed.add(counter)
            waiting.extend(reads.get(counter, ()))
    return needed
