"""Stages: every edge goes forward, but for those into the heads of a loop; chains are what they should be."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdiff.sim.hybrid.schedule import LEAST_CHAIN, Chain, Loose, Stage, schedule

graphs = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, n - 1), max_size=4), min_size=n, max_size=n)
)


def reachable(targets: list[list[int]]) -> list[list[int]]:
    """Number the vertices breadth first from 0, as the explorer does; drop the others."""
    order = [0]
    for vertex in order:
        order.extend(t for t in dict.fromkeys(targets[vertex]) if t not in order)
    place = {vertex: i for i, vertex in enumerate(order)}
    return [[place[t] for t in targets[vertex]] for vertex in order]


def check_stages(targets: list[list[int]], trace: list[int], stages: list[Stage]) -> None:
    placed = [v for stage in stages for v in stage.order]
    assert sorted(placed) == [v for v, number in enumerate(trace) if number >= 0]
    position = {v: i for i, v in enumerate(placed)}
    stage_of = {v: i for i, stage in enumerate(stages) for v in stage.order}
    for v in placed:
        for t in targets[v]:
            if t not in position:
                continue
            back = position[t] <= position[v]
            assert not back or (stage_of[t] == stage_of[v] and t in stages[stage_of[t]].heads)
    for stage in stages:
        if stage.heads:
            assert not stage.segments
            continue
        assert [v for segment in stage.segments for v in segment.vertices] == list(stage.order)
        for segment in stage.segments:
            if isinstance(segment, Chain):
                check_chain(segment, targets, trace)


def check_chain(chain: Chain, targets: list[list[int]], trace: list[int]) -> None:
    """Traces of one kind throughout, every vertex entered from the one before it only, by one leaf."""
    vertices = chain.vertices
    assert len({trace[v] for v in vertices}) == 1
    for before, after in pairwise(vertices):
        assert targets[before][chain.leaf] == after
        assert sum(following.count(after) for following in targets) == 1
    for v in vertices:
        others = [t for leaf, t in enumerate(targets[v]) if leaf != chain.leaf]
        assert not set(others) & set(vertices)
    for leaf, leaving in enumerate(chain.leaving):
        through = vertices[-1:] if leaf == chain.leaf else vertices
        assert leaving == tuple(targets[v][leaf] for v in through)


@settings(max_examples=200)
@given(graphs)
def test_edges_go_forward_or_into_heads(graph: list[list[int]]) -> None:
    targets = reachable(graph)
    trace = [len(following) if following else -1 for following in targets]
    check_stages(targets, trace, schedule(targets, trace))


@settings(max_examples=200)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=1, max_size=15), st.integers(1, 3))
def test_chains_with_side_exits(links: list[tuple[bool, int]], least: int) -> None:
    """A line of vertices, some with an exit in front of the next one, of a few kinds."""
    n = len(links)
    end = n + 1
    targets = [[end, i + 1] if exits else [i + 1, end] for i, (exits, _) in enumerate(links)]
    targets += [[end], []]
    kinds = {(exits, kind): i for i, (exits, kind) in enumerate(dict.fromkeys(links))}
    trace = [*(kinds[link] for link in links), len(kinds), -1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qdiff.sim.hybrid.schedule.LEAST_CHAIN", 1 + least)
        stages = schedule(targets, trace)
    check_stages(targets, trace, stages)
    assert all(len(s.vertices) > least for stage in stages for s in stage.segments if isinstance(s, Chain))


def test_a_counting_loop_is_a_chain() -> None:
    n = 3 * LEAST_CHAIN
    targets = [[n, i + 1] if i + 1 < n else [n, n] for i in range(n)] + [[]]
    trace = [0] * (n - 1) + [1, -1]
    (stage,) = schedule(targets, trace)
    leaving = ((n,) * (n - 1), (n - 1,))
    assert stage.segments == (Chain(tuple(range(n - 1)), 1, leaving), Loose((n - 1,)))


def test_a_chain_that_is_entered_twice_is_none() -> None:
    n = 2 * LEAST_CHAIN
    targets = [[i + 1, n] for i in range(n - 1)] + [[n, n], []]
    targets[0] = [1, LEAST_CHAIN - 1]
    trace = [0] * n + [-1]
    (stage,) = schedule(targets, trace)
    check_stages(targets, trace, [stage])
    assert tuple(range(n)) not in [segment.vertices for segment in stage.segments]


def test_single_vertices_share_a_stage_and_a_loop_has_its_own() -> None:
    targets = [[1], [2], [3], [3, 4], [5], []]
    stages = schedule(targets, [0, 0, 0, 0, 0, -1])
    assert [(stage.order, stage.heads) for stage in stages] == [((0, 1, 2), ()), ((3,), (3,)), ((4,), ())]


def test_a_nested_loop_has_two_heads() -> None:
    targets = [[1], [2], [2, 1], []]
    (first, loop) = schedule(targets, [0, 0, 0, -1])
    assert (first.order, first.heads) == ((0,), ())
    assert (loop.order, loop.heads) == ((1, 2), (1, 2))


def test_what_is_not_followed_is_not_solved() -> None:
    assert schedule([[1, 2], [], []], [0, -1, -1])[0].order == (0,)


def test_a_schedule_against_the_edges_is_caught() -> None:
    targets, trace = [[1], [2], []], [0, 0, -1]
    with pytest.raises(AssertionError):
        check_stages(targets, trace, [Stage((1, 0), (), (Loose((1, 0)),))])


def test_a_chain_with_a_gap_is_caught() -> None:
    targets, trace = [[1, 3], [2, 3], [3, 3], []], [0, 0, 0, -1]
    whole = Chain((0, 1, 2), 0, ((3,), (3, 3, 3)))
    check_stages(targets, trace, [Stage((0, 1, 2), (), (whole,))])
    gap = Chain((0, 2), 0, ((3,), (3, 3)))
    for wrong in (replace(whole, leaving=((3,), (3, 3, 0))), replace(whole, leaf=1), gap):
        with pytest.raises(AssertionError):
            check_chain(wrong, targets, trace)
