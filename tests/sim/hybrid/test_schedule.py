"""Stages: every edge goes forward, but for those into the heads of a loop."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from qdiff.sim.hybrid.schedule import Stage, schedule

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


def check_stages(targets: list[list[int]], stages: list[Stage]) -> None:
    placed = [v for stage in stages for v in stage.order]
    assert sorted(placed) == [v for v, following in enumerate(targets) if following]
    position = {v: i for i, v in enumerate(placed)}
    stage_of = {v: i for i, stage in enumerate(stages) for v in stage.order}
    for v in placed:
        for t in targets[v]:
            if t not in position:
                continue
            back = position[t] <= position[v]
            assert not back or (stage_of[t] == stage_of[v] and t in stages[stage_of[t]].heads)


@settings(max_examples=300)
@given(graphs)
def test_edges_go_forward_or_into_heads(graph: list[list[int]]) -> None:
    targets = reachable(graph)
    check_stages(targets, schedule(targets, [0 if following else -1 for following in targets]))


def test_single_vertices_share_a_stage_and_a_loop_has_its_own() -> None:
    targets = [[1], [2], [3], [3, 4], [5], []]
    stages = schedule(targets, [0, 0, 0, 0, 0, -1])
    assert stages == [Stage((0, 1, 2), ()), Stage((3,), (3,)), Stage((4,), ())]


def test_a_nested_loop_has_two_heads() -> None:
    targets = [[1], [2], [2, 1], []]
    (first, loop) = schedule(targets, [0, 0, 0, -1])
    assert first == Stage((0,), ())
    assert loop == Stage((1, 2), (1, 2))


def test_a_schedule_against_the_edges_is_caught() -> None:
    targets = [[1], [2], []]
    try:
        check_stages(targets, [Stage((1, 0), ())])
    except AssertionError:
        return
    raise AssertionError("a stage in the wrong order was accepted")
