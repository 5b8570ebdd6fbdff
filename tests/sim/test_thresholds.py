"""What a program tells apart is read off its text."""

from __future__ import annotations

import pytest

from qdiff.lang.text.parser import parse
from qdiff.sim.flow import lower
from qdiff.sim.partitions import Partition
from qdiff.sim.thresholds import MOST_POINTS, partition


def partition_of(body: str, n: float = 0.0) -> Partition:
    return partition(lower(parse(f"qubit: q para: n, w[6] count: c, k {body}")), {"n": n})


@pytest.mark.parametrize(
    ("condition", "further"),
    [
        ("c < 7", {7}),
        ("c + 2 >= 7", {5}),
        ("2 * c = 7", {3, 4}),
        ("c / 2 <= n", {60}),
        ("c * c < 10", {-4, -3, 3, 4}),
        ("c ^ 2 = 10", set()),
        ("sin(c) < 2", set()),
        ("sin(c) < 0", set()),
        ("1 / c < 2", set()),
        ("c < k", set()),
        ("0 * c < k", set()),
        ("n < 2", set()),
    ],
)
def test_points(condition: str, further: set[int]) -> None:
    found = partition_of(f"if {condition} then X[q] fi", n=30.0)
    assert set(found.points) == {-1, 0, 1} | further
    assert found.modulus == 1


def test_assigned_constants_are_points() -> None:
    assert partition_of("c := 40; k := 2 - 9; k := c; c := 1 div 0").points == (-7, -1, 0, 1, 40)


def test_the_points_nearest_to_zero_are_kept() -> None:
    body = "; ".join(f"c := {value}" for value in range(30))
    assert len(partition_of(body).points) == MOST_POINTS
    assert max(partition_of(body).points) == MOST_POINTS - 2


@pytest.mark.parametrize(
    ("body", "modulus"),
    [
        ("c := c mod 6", 6),
        ("c := c div 6", 6),
        ("c := k + 2", 2),
        ("c := 3 * k", 3),
        ("c := c mod 4; c := c mod 6", 12),
        ("c := c mod 4; c := c mod 47; c := c mod 5", 20),
        ("c := c mod k", 1),
        ("c := 8", 1),
        ("if flip(c / 5) then X[q] fi", 1),
        ("if flip(w[c mod 5]) then X[q] fi", 5),
        ("damp(w[c mod 5])[q]; dephase(w[c mod 3])[q]", 15),
    ],
)
def test_modulus(body: str, modulus: int) -> None:
    assert partition_of(body).modulus == modulus
