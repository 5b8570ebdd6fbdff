"""The census of a program: branches, gates and meeting points by hand."""

from __future__ import annotations

import math

import pytest

from qdiff.lang.text.parser import parse
from qdiff.sim.census import UNKNOWN_PASSES, Census, size_of
from qdiff.sim.reachable import UNKNOWN_VALUES


def census(body: str) -> Census:
    return size_of(parse(f"qubit: q, r, s para: t count: c, k {body}")).whole


@pytest.mark.parametrize(
    ("body", "branches", "gates", "work"),
    [
        ("Ry(t)[q]; H[r]; c := 1", 1, 2, 2),
        ("c := M[q, r]; H[q]", 4, 1, 4),
        ("q := |0>; H[q]; q := |0>; H[q]", 4, 2, 2 + 4),
        ("H[q]; abort; H[q]; H[q]", 0, 3, 1),
        ("if M[q] = 1 then H[q]; H[q] else X[q] fi; Z[q]", 2, 3, 3 + 2),
        ("if M[q, r] = 1 then H[q]; H[q] else X[q] fi", 4, 2, 2 + 3),
        ("if not M[q, r] = 1 then H[q]; H[q] else X[q] fi", 4, 2, 6 + 1),
        ("if flip(0.5) then abort else X[q] fi", 1, 1, 1),
        ("dephase(t)[q]; H[q]", 2, 2, 1 + 2),
        ("depolarize(t)[q]; H[q]", 5, 2, 4 + 5),
        ("if c < 1 then H[q]; H[q] else X[q] fi", 1, 2, 2),
        ("if c < 1 and M[q] = 1 then H[q] fi; X[q]", 2, 2, 1 + 2),
        ("case M[q, r] of 0: H[q] | 2: H[q]; H[q] | else: X[q] esac", 4, 2, 1 + 2 + 2),
        ("while{3} M[q] = 1 do H[q] od", 3, 3, 3),
        ("while{3} M[q] = 1 do H[q]; c := M[r] od; X[q]", 1 + 2 + 4, 4, 1 + 2 + 4 + 7),
        ("while{3} c < 2 do H[q]; c := M[r] od; X[q]", 4, 4, 1 + 2 + 4 + 4),
        ("while c < 2 do H[q]; c++ od; X[q]", 1, 1 + UNKNOWN_PASSES, 1 + UNKNOWN_PASSES),
        ("while{1000} M[q] = 1 do while{1000} M[q] = 1 do while{1000} M[q] = 1 do H[q] od od od",
         math.inf, 1e9, math.inf),
    ],
)  # fmt: skip
def test_branches_and_work(body: str, branches: float, gates: float, work: float) -> None:
    found = census(body)
    assert (found.branches, found.gates, found.work) == (branches, gates, work)
    assert not found.unbounded


@pytest.mark.parametrize("body", ["while M[q] = 1 do H[q] od", "while c < 2 do c := M[q] od",
                                  "if c < 1 then while flip(0.5) do skip od fi"])  # fmt: skip
def test_branches_of_random_loops_are_unknown(body: str) -> None:
    found = census(f"{body}; H[q]")
    assert found.unbounded
    assert found.branches == found.nodes == math.inf


@pytest.mark.parametrize(
    ("body", "points", "vertices"),
    [
        ("Ry(t)[q]; c := 1; c := 2", 2, 2),  # the start and the end
        ("c := M[q, r]; k := M[s]", 4, 1 + 8),
        ("c := M[q]; c := M[r]; H[q]", 4, 1 + 2),
        ("if M[q] = 1 then c++ fi", 3, 1 + 2),
        ("while{9} M[q] = 1 do c++ od", 2 + 9, 11 * 9),  # no more stores than branches at any point
        ("while M[q] = 1 do c++ od", 3, 2 * UNKNOWN_VALUES),  # the start is the head of the loop
        ("while M[q] = 1 do if flip(0.5) then k := M[r] fi od", 5, 2 + 2),
    ],
)
def test_vertices(body: str, points: float, vertices: float) -> None:
    found = size_of(parse(f"qubit: q, r, s para: t count: c, k {body}"))
    assert (found.points, found.vertices) == (points, vertices)


def test_deep_and_long_programs_are_no_limit() -> None:
    deep = "if M[q] = 1 then " * 400 + "X[q]" + " fi" * 400
    assert size_of(parse(f"qubit: q {deep}")).whole.branches == 401
    long = "; ".join(["Ry(0.5)[q]; q := |0>"] * 3000)
    assert size_of(parse(f"qubit: q {long}")).whole.branches == math.inf
