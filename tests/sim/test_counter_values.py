"""Values of counters at points: by hand, and never fewer than runs have."""

from __future__ import annotations

import pytest
from amounts import examples
from hypothesis import given, settings
from strategies import cases

from qdiff.errors import QdiffError
from qdiff.lang.observable import Observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.counter_values import MOST_CLOSED, closed_values, values_at_points
from qdiff.sim.flow import END, lower
from qdiff.sim.hybrid.counted import Counted
from qdiff.sim.hybrid.explorer import Explorer

HEAD = "qubit: q, r, s para: t count: c, k, d "


def values_at_end(body: str) -> dict[str, set[int] | None]:
    """What counters can be at the end; None where they are many."""
    flow = lower(parse(HEAD + body))
    known = values_at_points(flow)[END]
    return {name: None if v is None else set(v) for name, v in zip("ckd", known, strict=True)}


@pytest.mark.parametrize(
    ("body", "counter", "values"),
    [
        ("skip", "c", {0}),
        ("c := 3; c := 5", "c", {5}),
        ("if M[q] = 1 then c := 3 fi", "c", {0, 3}),
        ("c := M[q, r]; k := 2*c - 1", "k", {-1, 1, 3, 5}),
        ("c := M[q, r]; if c < 2 then c := 7 fi", "c", {2, 3, 7}),
        ("c := M[q, r]; if c < 2 and flip(0.5) then abort fi", "c", {0, 1, 2, 3}),
        ("c := M[q, r]; if c < 2 then abort fi", "c", {2, 3}),
        ("c := M[q, r]; if c < t then c := 9 fi", "c", {0, 1, 2, 3, 9}),
        ("while M[q] = 1 do c := (c + 1) mod 5 od", "c", {0, 1, 2, 3, 4}),
        ("while M[q] = 1 do c := (c + 1) mod 50 od", "c", set(range(50))),
        ("while M[q] = 1 do c := M[r]; c := 1 - 2*c od", "c", {-1, 0, 1}),
        ("while M[q] = 1 do c++ od", "c", None),
        ("while M[q] = 1 do c++ od; c := 4", "c", {4}),
        ("while c < 6 do c++ od", "c", {6}),
        # What does not fit in 64 bits is an error.
        ("while M[q] = 1 do c := c*c + 2 od", "c", {0, 2, 6, 38, 1446, 2090918, 2090918**2 + 2}),
        ("while M[q] = 1 do c++; k := c; k := 3 od", "k", {0, 3}),
        ("while M[q] = 1 do c++; k := c mod 2 od", "k", None),
    ],
)
def test_values(body: str, counter: str, values: set[int] | None) -> None:
    assert values_at_end(body)[counter] == values


def test_an_assignment_that_always_fails_goes_nowhere() -> None:
    flow = lower(parse(HEAD + "c := 1 div (c - c); k := M[q]"))
    assert END not in values_at_points(flow)


def test_closed_values() -> None:
    flow = lower(parse(HEAD + "while M[q] = 1 do c := M[q, r]; k := k*c; d := d + 1 od"))
    assert closed_values(flow) == {0: frozenset(range(4)), 1: frozenset({0})}
    assert len(range(65)) > MOST_CLOSED
    assert (
        closed_values(lower(parse("qubit: q[7] count: c c := M[q[0], q[1], q[2], q[3], q[4], q[5], q[6]]")))
        == {}
    )


def visited(program: Program, params: dict[str, float]) -> Explorer:
    flow = lower(program)
    compared = {name: params[name] for name in program.parameters if name in program.compared}
    explorer = Explorer(flow, compared, Counted(), frozenset(range(len(program.counters))))
    explorer.graph(2000)
    return explorer


@settings(deadline=None, max_examples=examples(30))
@given(cases())
def test_no_store_is_missed(case: tuple[Program, Observable, dict[str, float]]) -> None:
    """Every store that is followed to a point has values that are known there."""
    program, _, params = case
    try:
        explorer = visited(program, params)
    except QdiffError:
        return
    known = values_at_points(explorer.flow)
    live = {
        point: set(range(len(explorer.flow.counters))) - set(dead) for point, dead in explorer.dead.items()
    }
    for point, store in zip(explorer.points, explorer.stores, strict=True):
        for counter, values in enumerate(known[point]):
            if counter in live[point] and values is not None:
                assert store[counter] in values
