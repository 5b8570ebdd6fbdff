"""Finitely many values stand for all integers."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from qdiff.sim.intervals import Possible, exactly
from qdiff.sim.partitions import WHOLE_LINE, Cell, Partition, Value

ends = st.integers(-40, 40)
points = st.lists(st.integers(-12, 12), unique=True, max_size=5).map(lambda found: tuple(sorted(found)))
partitions = st.builds(Partition, points, st.integers(1, 6), st.integers(1, 6))


def contains(value: Value, number: int) -> bool:
    return number in value if isinstance(value, Cell) else number == value


@given(
    partitions,
    ends,
    ends,
    st.integers(0, 11),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_every_possible_integer_is_covered(
    partition: Partition, a: int, b: int, r: int, m: int, followed: bool, down: bool, up: bool
) -> None:
    least, most = -math.inf if down else min(a, b), math.inf if up else max(a, b)
    values = partition.values(Possible(least, most, (r % m, m)), followed)
    assert len(values) <= partition.most_values
    for number in range(-60, 61):
        if least <= number <= most and number % m == r % m:
            assert any(contains(value, number) for value in values)


@given(partitions, ends)
def test_one_integer_has_one_value(partition: Partition, number: int) -> None:
    (value,) = partition.values(exactly(number), followed=False)
    assert value == partition.of(number)
    assert contains(value, number)
    assert (value == number) or number not in partition.points
    assert partition.values(exactly(number), followed=True) == [number]


@given(partitions)
def test_there_are_finitely_many(partition: Partition) -> None:
    seen = {partition.of(number) for number in range(-100, 101)}
    gaps = len(partition.points) + 1
    assert len(seen) <= len(partition.points) + gaps * partition.modulus
    assert {partition.of(number) for number in range(-1000, 1001)} == seen


def test_gaps_by_residues() -> None:
    partition = Partition((0, 4), 2)
    assert partition.of(0) == 0
    assert partition.of(1) == Cell(1, 3, 1, 2)
    assert partition.of(2) == 2
    assert partition.of(7) == Cell(5, math.inf, 1, 2)
    assert partition.of(-6) == Cell(-math.inf, -2, 0, 2)


def test_too_many_become_one() -> None:
    partition = Partition((0, 1, 2, 3), 2, most_values=3)
    assert partition.values(Possible(-1, 3, (0, 1)), followed=False) == [Cell(-math.inf, 3)]
    assert partition.values(Possible(0, 2, (0, 2)), followed=False) == [0, 2]


def test_of_the_whole_line_nothing_is_known() -> None:
    assert WHOLE_LINE.of(12) == WHOLE_LINE.of(-5) == Cell()


def test_nothing_stands_for_nothing() -> None:
    assert WHOLE_LINE.values(Possible(3, 3, (0, 2)), followed=True) == []


def test_beyond_what_floats_hold_nothing_is_enumerated() -> None:
    huge = 2.0**60
    assert WHOLE_LINE.values(Possible(huge, huge + 1024, (1, 512)), followed=True) == [Cell()]
