"""Stores from which no run can end, proved for infinitely many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from amounts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from reference.flow_walk import FlowWalk, States

import qdiff as qd
from qdiff.lang.text.parser import parse
from qdiff.sim.abstract_graph import explore
from qdiff.sim.flow import Flow, lower
from qdiff.sim.hybrid.counted import Counted
from qdiff.sim.hybrid.endless import Endless
from qdiff.sim.hybrid.explorer import Explorer
from qdiff.sim.thresholds import partition


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
        "while k = 0 do c := c + 2; k := c mod 2; Ry(t)[q] od",
        "while k^3 >= 0 or k <= c do k := k + 3; c := c - 2; Ry(t*c)[q] od",
        "while k < 3 do c++; k := c mod 2; k := k * 2; Ry(t*c)[q] od",
        "while k < 100 do c++; k := c mod 100; Ry(t*c)[q] od",
        "while k >= 0 do c++; k := c div 3; Ry(t*c)[q] od",
        "while k < 2 do c++; k := c * c mod 4; Ry(t*c)[q] od",
        "while c != 7 do c := c + 2; Ry(t*c)[q] od",
        "c := 5; while c > 3 do c := c + 2; Ry(t*c)[q] od",
        "while c + 40 >= 40 do c++; Ry(t*c)[q] od",
        "while c * c != 2 do c++; Ry(t*c)[q] od",
        "while k < 2 do case M[q] of 0: k := 0 | 1: k := 1 esac; c++; Ry(t*c)[q] od",
        "while k < 3 do k := M[q]; k := 2 * k; c := c + k + 1; H[q]; Ry(t*c)[q] od",
        "while c >= 0 do k := 0; while k < c do k++; H[q] od; c++ od",
        "while c >= 0 do if M[q] = 1 then abort fi; c++; Ry(t*c)[q] od",
        "while not flip(0) do c++; Ry(t*c)[q] od",
        "while not flip(k) do c := c + 2; k := c mod 2; Ry(t*c)[q] od",
        "while c = k do c++; k++; Ry(t)[q] od",
        "k := 9; while c + k = 9 do c++; k := k - 1; Ry(t*c)[q] od",
        "while 2 * c - k >= 0 do c++; k := k + 1; Ry(t*c)[q] od",
        "while not flip(k) do c++; k := c - c; Ry(t*c)[q] od",
        "while M[q] = 0 do c++; Rz(t*c)[q] od",
        "X[q]; while M[q] = 1 do c++; H[q]; q := |0>; X[q]; Rz(t*c)[q] od",
    ],
)
def test_what_never_ends(body: str) -> None:
    compared = {"n": 0.0} if "n do" in body else {}
    assert all(frontier(body, **compared))


@pytest.mark.parametrize(
    "body",
    [
        "while c < 1000 do c++; Ry(t)[q] od",
        "H[q]; c := 1; while c > 0 do if M[q] = 1 then c++ else c := c - 1 fi; H[q] od",
        "while c >= 0 do c++; if M[q] = 1 then c := 0 - 1 fi; Ry(t)[q] od",
        "while not flip(t) do c++; Ry(t*c)[q] od",
        "while c != 700 do c := c + 2; Ry(t)[q] od",
        "c := 1; while c != 700 do c := c + 3; Ry(t)[q] od",
        "while k < 99 do c++; k := c mod 100; Ry(t*c)[q] od",
        "while c * c != 90000 do c++; Ry(t*c)[q] od",
        "while M[q] = 0 do c++; Ry(t*c)[q] od",
        # These never end, but there is no proof.
        "while c * c = k * c do c++; k++; Ry(t)[q] od",
        "while not flip(1 / (2 + c^2)^20) do c++; Ry(t*c)[q] od",
        "while M[q] = 0 do c++; H[q]; H[q]; Rz(t*c)[q] od",
        "c := 1; while c > 0 do c := 5 * c; c := c mod 1000003; Ry(t*c)[q] od",
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


# --- Nothing that ends is called endless --------------------------------------------------------

STATEMENTS = [
    *("c++", "c := c + 2", "c := c - 3", "c := 0 - c", "c := k", "c := c div 2", "c := 5"),
    *("k++", "k := c mod 3", "k := 2 * k", "k := c * c mod 4", "k := c - k", "k := c div 3", "k := k mod 2"),
    *("k := M[q]", "k := M[q, r]", "H[q]", "Ry(t)[q]", "Ry(t * c)[r]", "X[r]", "C_X[r][q]", "SWAP[q, r]"),
    *("q := |0>", "r := |0>", "Rz(t)[q]", "if M[r] = 1 then c++ else H[r] fi"),
]
CONDITIONS = [
    *("c < 5", "k = 0", "c >= 0", "k != 3", "c != 7", "c + k < 6", "c = k", "2 * c > k - 8", "c * c < 10"),
    *("M[q] = 0", "M[r] = 0", "M[q, r] = 0", "flip(0.5)", "not flip(0)", "not flip(k / 4)", "k < n"),
]


@st.composite
def programs(draw: DrawFn) -> str:
    """Loops, one of them perhaps inside the other, that may end or not."""
    some = st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4).map("; ".join)
    condition = st.sampled_from(CONDITIONS) | st.tuples(
        st.sampled_from(CONDITIONS), st.sampled_from(["and", "or"]), st.sampled_from(CONDITIONS)
    ).map(" ".join)
    inside = draw(some)
    if draw(st.booleans()):
        chosen = draw(st.sampled_from(["if {} then {} fi", "while {} do {} od"]))
        inside = f"{inside}; {chosen.format(draw(condition), draw(some))}"
    return f"{draw(some)}; while {draw(condition)} do {inside}; {draw(some)} od; {draw(some)}"


def check(
    flow: Flow, params: dict[str, float], among: Callable[[Sequence[int], Sequence], list[bool]]
) -> int:
    """Assert that no run ends from where none can, it is said; return of how many places that is said."""
    walk, states = FlowWalk(flow, params), FlowWalk(flow, params).start()
    said: States = {}
    for _ in range(30):
        states = walk.advance(states)
        if len(states) > 60:
            break
        found = among([point for point, _ in states], [store for _, store in states])
        chosen = [place for place, never in zip(states, found, strict=True) if never]
        said |= {place: states[place] / np.trace(states[place]) for place in chosen}
    onwards, states = FlowWalk(flow, params), dict(said)
    for _ in range(30):
        states = onwards.advance(states)
        if len(states) > 200:
            break
    mass = sum(float(np.trace(rho).real) for rho in onwards.ended.values())
    assert mass < 1e-15, f"runs end from {list(said)}"
    return len(said)


def test_random_programs() -> None:
    said: list[int] = []

    @settings(max_examples=examples(30))
    @given(programs(), st.sampled_from([0.4, 1.9]))
    def run(body: str, t: float) -> None:
        flow = lower(parse(f"qubit: q, r para: t, n count: c, k {body}"))
        params = {"t": t, "n": 2.0}
        said.append(check(flow, params, Endless(flow, params).among))

    run()
    assert sum(map(bool, said)) > len(said) / 10


def test_the_check_finds_what_ends() -> None:
    flow = lower(parse("qubit: q count: c while c < 9 do c++; H[q] od"))
    with pytest.raises(AssertionError, match="runs end from"):
        check(flow, {}, lambda points, stores: [True for _ in points])


def test_a_program_that_never_ends_is_worth_nothing() -> None:
    p = qd.parse("qubit: q para: t count: c, k while k < 3 do c++; k := c mod 2; k := k * 2; Ry(t*c)[q] od")
    f = qd.expectation(p, "1 + c")
    value, slopes = f.value_and_grad([0.3])
    assert value == 0
    assert slopes.tolist() == [0]
    analysis = f.analyze([0.3])
    assert analysis.trapped_probability == pytest.approx(1, abs=1e-12)
    assert analysis.expected_visits[0].passes == np.inf


@pytest.mark.parametrize("number", [2, 12])
def test_values_that_multiply_within_a_pass_are_not_all_followed(number: int) -> None:
    assignments = "; ".join(f"m[{i}] := (k*k + {i}) mod 7" for i in range(number))
    flow = lower(parse(f"qubit: q count: m[{number}], k while k >= 0 do k := k + 1; {assignments}; H[q] od"))
    graph = explore(flow, {}, 256, partition(flow, {}))
    if number == 2:
        assert graph is not None
        assert not graph.ends
    else:
        assert graph is None
