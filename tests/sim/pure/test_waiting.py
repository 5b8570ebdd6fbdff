"""The queue of branches: equal ones become one, up to a phase; the furthest behind comes first."""

from __future__ import annotations

import cmath

import numpy as np
import pytest

from qdiff.sim.pure.graph import Node
from qdiff.sim.pure.waiting import Waiting

STATE = np.array([0.6, 0.0, 0.48 + 0.64j, 0.0])


def node(state: np.ndarray, *, point: int = 7, store: tuple[int, ...] = (), weight: float = 0.25) -> Node:
    psi = np.array([state.real, state.imag])[None]
    return Node(point, store, psi, np.empty((1, 0, 2, 4)), weight, np.empty(0), 0.0)


def test_equal_branches_become_one() -> None:
    waiting = Waiting(0)
    first, second = node(STATE), node(STATE, weight=0.5)
    assert waiting.arrive(first) == (first, 1)
    kept, phase = waiting.arrive(second)
    assert kept is first
    assert first.weight == 0.75
    assert phase == pytest.approx(1, abs=1e-14)
    assert waiting.pop() is first
    assert not waiting


def test_branches_merge_up_to_a_phase() -> None:
    waiting = Waiting(0)
    first = node(STATE)
    waiting.arrive(first)
    turned = cmath.exp(1.1j)
    kept, phase = waiting.arrive(node(turned * STATE))
    assert kept is first
    assert phase == pytest.approx(turned, abs=1e-13)
    assert waiting.merged < 1e-12


@pytest.mark.parametrize(
    "other",
    [
        node(STATE[::-1].copy()),
        node(STATE, point=8),
        node(STATE, store=(1,)),
        node(np.array([0.6, 0.0, 0.8, 0.0])),  # the same probabilities
    ],
)
def test_others_do_not(other: Node) -> None:
    waiting = Waiting(0)
    first = node(STATE)
    waiting.arrive(first)
    assert waiting.arrive(other) == (other, 1)
    assert first.weight == other.weight == 0.25
    assert len(list(waiting)) == 2


def test_the_furthest_behind_comes_first() -> None:
    waiting = Waiting(0)
    nodes = [node(STATE, point=point) for point in (3, 9, 5)]
    for each in nodes:
        waiting.arrive(each)
    assert [waiting.pop().point for _ in nodes] == [9, 5, 3]


def test_what_was_taken_is_not_merged_with() -> None:
    waiting = Waiting(0)
    waiting.arrive(node(STATE))
    waiting.pop()
    late = node(STATE)
    assert waiting.arrive(late) == (late, 1)
