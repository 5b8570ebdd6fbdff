"""The order in which instructions are left behind: what must have been run before another instruction is.

A loop comes before what follows it, and an instruction before its successors, but for the way back to the
head of a loop. Where the frontier takes the entry that is first in this order, all passes of a loop and all
branches of a condition have arrived where they meet before the program goes on from there.
"""

from __future__ import annotations

import numpy as np
import rustworkx as rx

from qdiff.sim.machine import code as c


def ranks(code: c.Code, entry: int) -> c.Ints:
    """Return the place of each instruction in the order, (instructions,); read-outs are 0: done at once.

    Args:
        entry: the first instruction.
    """
    following = [_following(code, pc) for pc in range(len(code.instructions))]
    before: list[list[int]] = [[] for _ in following]
    for pc, targets in enumerate(following):
        for target in targets:
            before[target].append(pc)
    order: list[int] = []
    pending = [(list(range(len(following))), -1)]
    while pending:
        members, head = pending.pop()
        if len(members) == 1:
            order.append(members[0])
            continue
        graph = rx.PyDiGraph()
        place = {pc: graph.add_node(pc) for pc in members}
        graph.add_edges_from_no_data(
            [(place[a], place[b]) for a in members for b in following[a] if b in place and b != head]
        )
        # Components come in reverse topological order, so the first to run is the first to be taken again.
        for component in rx.strongly_connected_components(graph):
            inside = sorted(graph[node] for node in component)
            entered = [pc for pc in inside if pc == entry or any(p not in inside for p in before[pc])]
            pending.append((inside, entered[0] if entered else inside[0]))
    result = np.zeros(len(following), dtype=np.int64)
    result[order] = 1 + np.arange(len(order))
    result[code.instructions[:, c.OP] == c.READ] = 0
    return result


def _following(code: c.Code, pc: int) -> list[int]:
    row = code.instructions[pc]
    match int(row[c.OP]):
        case c.STOP:
            return []
        case c.DECIDE | c.TOSS:
            return [int(row[c.NEXT]), int(row[c.ELSE])]
        case c.MEASURE:
            return [int(target) for target in code.targets[row[c.C] : row[c.C] + (1 << row[c.B])]]
        case _:
            return [int(row[c.NEXT])]
