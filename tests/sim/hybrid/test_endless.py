"""Stores from which no run can end, proved for infinitely many at once."""

from __future__ import annotations

import pytest

from qdiff.lang.text.parser import parse
from qdiff.sim.flow import lower
from qdiff.sim.hybrid.counted import Counted
from qdiff.sim.hybrid.endless import Endless
from qdiff.sim.hybrid.explorer import Explorer


def frontier(body: str, limit: int = 40, **compared: float) -> list[bool]:
    """For every vertex that was not followed: is it proved that no run ends from there?"""
    flow = lower(parse(f"qubit: q para: t, n count: c, k {body}"))
    graph = Explorer(flow, compared, Counted(), frozenset()).graph(limit)
    assert not graph.complete
    points, stores = [graph.points[v] for v in graph.frontier], [graph.stores[v] for v in graph.frontier]
    return Endless(flow, {"t": 0.3, "n": 0.0, **compared}).among(points, stores)


@pytest.mark.parametrize(
    "body",
    [
        "while c >= 0 do c++; Ry(t)[q] od",
        "while c <= 0 do c := c - 2; Ry(t)[q] od",
        "c := 1; while c > 0 do if M[q] = 1 then c++ else c := c + 3 fi; H[q] od",
        "while c >= n do c++; H[q] od",
        "while c >= 0 do c++; k := k - 1; if k > 0 then c := 0 - 5 fi; Ry(t*c)[q] od",
    ],
)
def test_what_never_ends(body: str) -> None:
    compared = {"n": 0.0} if "n do" in body else {}
    assert all(frontier(body, **compared))


@pytest.mark.parametrize(
    "body",
    [
        "while c < 1000 do c++; Ry(t)[q] od",
        "c := 1; while c > 0 do if M[q] = 1 then c++ else c := c - 1 fi; H[q] od",
        "while c >= 0 do c++; if M[q] = 1 then c := 0 - 1 fi; Ry(t)[q] od",
        "while not flip(t) do c++; Ry(t*c)[q] od",
        "while k = 0 do c := c + 2; k := c mod 2; Ry(t)[q] od",  # never, but there is no proof
    ],
)
def test_what_may_end_or_is_not_proved(body: str) -> None:
    assert not any(frontier(body))


def test_a_part_may_end() -> None:
    body = """
        if M[q] = 1 then c := 1 else c := -1 fi;
        while c > 0 or c > -900 do Ry(t)[q]; if c > 0 then c++ else c := c - 1 fi od
    """
    found = frontier(body)
    assert True in found
    assert False in found
