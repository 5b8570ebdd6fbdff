"""Where matrices of a trace are zero, and which operations lead nowhere: on traces written by hand."""

from __future__ import annotations

import numpy as np

from qdiff.sim.hybrid import traces
from qdiff.sim.hybrid.supports import occupied, useless
from qdiff.sim.hybrid.traces import END, LEAF, MARK, MASK, RESET, TOSS, TOSS_NOT, UNITARY, Op, ResetMap

MASKS = [traces.mask((0,), frozenset({0}), 4), traces.mask((0,), frozenset({1}), 4)]
RESETS = {0b01: ResetMap.on(0b01, 4), 0b11: ResetMap.on(0b11, 4), 0b10: ResetMap.on(0b10, 4)}


def parts(ops: list[Op]) -> list[list[int] | None]:
    return [None if part is None else part.tolist() for part in occupied(ops, MASKS, RESETS, 4)]


def test_a_measured_outcome_occupies_part_of_the_basis() -> None:
    ops = [
        (UNITARY, 0, 0, 0),
        (MASK, 0, 1, 1),
        (MARK, 1, 0, 0),
        (UNITARY, 1, 0, 1),
        (UNITARY, 1, 0, 2),
        (LEAF, 1, 0, 0),
        (MASK, 0, 1, 0),
        (UNITARY, 1, 0, 1),
        (LEAF, 1, 0, 1),
        (END, 0, 0, 0),
    ]
    assert parts(ops) == [None, None, None, [1, 3], None, None, None, [0, 2], None, None]


def test_resets_occupy_what_they_leave_and_coins_change_nothing() -> None:
    ops = [
        (RESET, 0, 0, 0b01),
        (TOSS, 0, 1, 0),
        (UNITARY, 1, 0, 0),
        (LEAF, 1, 0, 0),
        (TOSS_NOT, 0, 1, 0),
        (RESET, 1, 0, 0b11),
        (UNITARY, 1, 0, 0),
        (LEAF, 1, 0, 1),
        (END, 0, 0, 0),
    ]
    assert parts(ops) == [None, None, [0, 2], None, None, None, [0], None, None]


def test_a_large_part_is_everything() -> None:
    most = [traces.mask((0, 1), frozenset({0, 1, 2}), 4)]
    ops: list[Op] = [(MASK, 0, 1, 0), (UNITARY, 1, 0, 0), (LEAF, 1, 0, 0), (END, 0, 0, 0)]
    assert occupied(ops, most, {}, 4)[1] is None


def test_states_are_zero_outside() -> None:
    """What `occupied` says, on random states."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    rho = (x @ x.conj().T)[None, None]
    for part, state in (([1, 3], rho * MASKS[1]), ([0], RESETS[0b11].forward(rho))):
        outside = np.setdiff1d(np.arange(4), part)
        assert not state[..., outside, :].any()
        assert not state[..., :, outside].any()


OPS: list[Op] = [
    (UNITARY, 0, 0, 0),  # 0
    (MASK, 0, 1, 0),  # 1: to leaves 0 and 1
    (RESET, 1, 0, 1),  # 2
    (TOSS, 1, 2, 0),  # 3
    (LEAF, 2, 0, 0),  # 4
    (TOSS_NOT, 1, 2, 0),  # 5
    (UNITARY, 2, 0, 1),  # 6
    (LEAF, 2, 0, 1),  # 7
    (END, 1, 0, 0),  # 8
    (MASK, 0, 1, 1),  # 9
    (UNITARY, 1, 0, 1),  # 10
    (LEAF, 1, 0, 2),  # 11
    (END, 0, 0, 0),  # 12
]


def test_operations_that_lead_to_no_wanted_leaf() -> None:
    ends = {8, 12}  # they do nothing
    assert useless(OPS, [True, True, True]) - ends == set()
    assert useless(OPS, [True, True, False]) - ends == {9, 10, 11}
    assert useless(OPS, [True, False, True]) - ends == {5, 6, 7}
    assert useless(OPS, [False, False, True]) - ends == {1, 2, 3, 4, 5, 6, 7}
    assert useless(OPS, [False, False, False]) == frozenset(range(len(OPS)))
