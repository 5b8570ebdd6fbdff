"""The history tree: states that several shots come to.

What a shot does to the state depends on its outcomes only, and shots share their first outcomes. So states
are kept in a tree: a *node* is a state and the instruction that acts on it next, a child what one outcome
makes of it, with the outcomes' cumulated weights. A shot inside the tree needs one number and one look-up for
each measurement. Outside (no room, a state too rare, an angle that reads counters) it goes on with a state of
its own; a reset of all qubits brings it back. Nodes are computed by the same functions from the same numbers
as a state outside, so the tree changes no result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdiff.sim.machine.code import Floats, Ints
from qdiff.sim.machine.compiled import entry, inner, item, plain
from qdiff.sim.machine.states import copy

PC_OF, STATE, SIBLING, BASE = range(4)
COLUMNS = 4
"""Columns of `Tree.nodes`: the instruction that comes next (-1: not known yet), the row of its state, another
node with the same state (-1: none), where its outcomes begin (-1: not looked at)."""
NODES, STATES, SLOTS = range(3)
"""Entries of `Tree.used`."""
LARGEST_TREE = 2**14
"""States in a tree."""
MOST_OUTCOMES = 1024
MOST_SIBLINGS = 8


class Tree(NamedTuple):
    """The tree; see the head of this module.

    Attributes:
        states: (S, 2, D). nodes: (N, COLUMNS); chances: (N,) of coming there.
        cumulated, children: from BASE on, the weight up to each outcome of a node, and the node behind it
            (-1: none).
        used: see NODES.
    """

    states: Floats
    nodes: Ints
    chances: Floats
    cumulated: Floats
    children: Ints
    used: Ints


def empty_tree(qubits: int, room: int) -> Tree:
    """An empty tree for states on so many qubits, in `room` bytes; without nodes where none fits."""
    dimension = 1 << qubits
    states = min(room // (16 * dimension), LARGEST_TREE)
    nodes, slots = (2 * states, 8 * states + 2 * MOST_OUTCOMES) if states else (0, 0)
    # What is used is written first: filling all of it would take longer than a few shots.
    made = Tree(
        states=np.empty((states, 2, dimension)),
        nodes=np.empty((nodes, COLUMNS), dtype=np.int64),
        chances=np.empty(nodes),
        cumulated=np.empty(slots),
        children=np.empty(slots, dtype=np.int64),
        used=np.zeros(3, dtype=np.int64),
    )
    if states:  # the root: |0…0⟩
        made.states[0] = 0.0
        made.states[0, 0, 0] = 1.0
        made.nodes[0] = -1
        made.nodes[0, STATE], made.chances[0] = 0, 1.0
        made.used[:2] = 1
    return made


@inner
def drawn(cumulated: Floats, base: int, number: int, u: float) -> int:
    """The first outcome whose cumulated weight is above u times all of it."""
    threshold = u * item(cumulated, base + number - 1)
    if number == 2:
        return (
            0
            if item(cumulated, base) > threshold or item(cumulated, base) == item(cumulated, base + 1)
            else 1
        )
    low, high = 0, number - 1
    while low < high:
        middle = (low + high) >> 1
        if item(cumulated, base + middle) > threshold:
            high = middle
        else:
            low = middle + 1
    # Rounding may bring the threshold up to the total: the last outcome that has a weight.
    while low > 0 and item(cumulated, base + low) == item(cumulated, base + low - 1):
        low -= 1
    return low


@entry
def draw(cumulated: Floats, u: float) -> int:
    """`drawn`, from all weights."""
    return drawn(cumulated, 0, cumulated.size, u)


@inner
def at_node(nodes: Ints, chances: Floats, used: Ints, node: int, pc: int) -> int:
    """The node with the state of `node` whose next instruction is `pc`; -1 where there is no room."""
    for _ in range(MOST_SIBLINGS):
        if nodes[node, PC_OF] == pc:
            return node
        if nodes[node, PC_OF] < 0:
            nodes[node, PC_OF] = pc
            return node
        if nodes[node, SIBLING] < 0:
            if used[NODES] == nodes.shape[0]:
                return -1
            nodes[node, SIBLING] = _new_node(nodes, chances, used, nodes[node, STATE], chances[node], pc)
        node = nodes[node, SIBLING]
    return -1


@inner
def _new_node(nodes: Ints, chances: Floats, used: Ints, state: int, chance: float, pc: int) -> int:
    node = used[NODES]
    used[NODES] += 1
    nodes[node, PC_OF], nodes[node, STATE] = pc, state
    nodes[node, SIBLING], nodes[node, BASE] = -1, -1
    chances[node] = chance
    return int(node)


@inner
def slots_of(nodes: Ints, children: Ints, used: Ints, node: int, number: int) -> int:
    """Room for the outcomes of a node: where it begins, -1 where there is none."""
    base = used[SLOTS]
    if base + number > children.size:
        return -1
    used[SLOTS] += number
    nodes[node, BASE] = base
    for k in range(number):
        children[base + k] = -1
    return int(base)


@inner
def new_child(tree: Tree, node: int, slot: int, share: float, shots: float) -> int:
    """A new child with a copy of its parent's state; -1 where there is no room, or hardly a shot would come
    by.
    """
    chance = tree.chances[node] * share
    full = tree.used[STATES] == tree.states.shape[0] or tree.used[NODES] == tree.nodes.shape[0]
    if full or chance * shots < 1:
        return -1
    state = tree.used[STATES]
    tree.used[STATES] += 1
    copy(tree.states[tree.nodes[node, STATE]], tree.states[state])
    child = _new_node(tree.nodes, tree.chances, tree.used, state, chance, plain(-1))
    tree.children[slot] = child
    return child
