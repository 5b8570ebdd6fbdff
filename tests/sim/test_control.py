"""Which counters control reads, and what they are computed from."""

from __future__ import annotations

from qdiff.lang.text.parser import parse
from qdiff.sim.control import assignments, closure, read_by_control
from qdiff.sim.flow import Flow, lower


def flow(body: str) -> Flow:
    return lower(parse(f"qubit: q para: t count: a, b, c, d, e {body}"))


def names(of: Flow, counters: set[int]) -> set[str]:
    return {of.counters[i] for i in counters}


def test_what_control_reads() -> None:
    found = flow("if a < 2 then Ry(t*b)[q] fi; if flip(c/9) then d := e fi; dephase(d/9)[q]; e := M[q]")
    assert names(found, read_by_control(found)) == {"a", "b", "c", "d"}


def test_a_bounded_loop_reads_its_passes() -> None:
    found = flow("while{3} M[q] = 1 do a++ od")
    assert names(found, read_by_control(found)) == {"passes of loop 5"}


def test_closure_follows_assignments_to_the_first() -> None:
    found = flow("a := b + 1; b := c*d; while M[q] = 1 do c := c + e od; d := 2")
    assert names(found, closure(found, {0}, assignments(found))) == set("abcde")
    assert names(found, closure(found, {1}, assignments(found))) == set("bcde")
    assert names(found, closure(found, {3}, assignments(found))) == {"d"}
    assert closure(found, (), assignments(found)) == set()
