"""Following programs: meeting points, shared traces, what is merged, and what stands for an error."""

from __future__ import annotations

import pytest

from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.flow import ABORT, END, lower
from qdiff.sim.hybrid.counted import Counted, StepTooLarge, counted_counters
from qdiff.sim.hybrid.explorer import FAILURE, Explorer
from qdiff.sim.hybrid.traces import LEAF, MARK, MASK, TOSS, TOSS_NOT, UNITARY


def explorer(body: str, asked: str = "", counted: bool = True, **compared: float) -> Explorer:
    flow = lower(parse(f"qubit: q, r para: t, n count: c, k {body}"))
    observables = [parse_observable(asked)] if asked else []
    found = counted_counters(flow, observables) if counted else Counted()
    names = {name for o in observables for name in o.counters}
    at_end = frozenset(i for i, name in enumerate(flow.counters) if name in names) - found.tracked
    return Explorer(flow, compared, found, at_end)


def test_a_straight_program_is_one_trace() -> None:
    graph = explorer("H[q]; Ry(t)[q]; if M[q] = 1 then X[r] fi; Rx(t)[r]").graph(64)
    assert graph.complete
    codes = [op[0] for op in graph.traces[graph.trace[0]].ops]
    assert codes.count(MASK) == 2
    assert codes.count(LEAF) == 2
    assert [graph.points[v] for v in graph.ends] == [END]
    assert sum(len(run) for run in graph.runs.runs) <= 5


def test_a_loop_shares_its_trace_between_stores() -> None:
    graph = explorer("while c < 5 do Ry(t)[q]; c++ od", "c", counted=False).graph(64)
    assert len(graph.traces) <= 3
    assert len(graph.followed) == 6
    assert [graph.stores[v][0] for v in graph.ends] == [5]


def test_angles_that_depend_on_a_counter_have_rows() -> None:
    graph = explorer("while c < 3 do Ry(t*c)[q]; c++ od", counted=False).graph(64)
    assert sorted(graph.rows[0].tolist()) == [0.0, 0.0, 1.0, 2.0] or sorted(graph.rows[0].tolist()) == [
        0.0,
        1.0,
        2.0,
    ]
    assert len(graph.runs.rotated) == 3


def test_compared_parameters_decide() -> None:
    assert len(explorer("while c < n do c++; H[q] od", "c", n=2.0).graph(64).followed) < len(
        explorer("while c < n do c++; H[q] od", "c", n=7.0).graph(64).followed
    )


def test_a_limit_leaves_a_frontier_and_more_can_be_followed() -> None:
    grower = explorer("while c >= 0 do Ry(t)[q]; c++ od")
    few = grower.graph(8)
    assert not few.complete
    assert len(few.followed) == 8
    assert len(few.frontier) == 1
    assert few.trace[few.frontier[0]] == -1
    many = grower.graph(20)
    assert len(many.followed) == 20
    assert many.stores[:8] == few.stores[:8]
    assert grower.graph(8) is few
    assert grower.least_memory() > 0


def test_merging_stores_where_a_counter_is_dead() -> None:
    graph = explorer("c := M[q]; H[q]; if c = 1 then X[q] fi; if M[q] = 1 then Ry(t)[q] fi; H[r]", "k").graph(
        64
    )
    assert {graph.stores[v] for v in graph.followed} == {(0, 0)}
    alive = explorer("c := M[q]; H[q]; if M[q] = 1 then Ry(t)[q] fi; if c = 1 then X[q] fi", "k").graph(64)
    assert {(1, 0), (0, 0)} <= {alive.stores[v] for v in alive.followed}


def test_aborts_and_errors_have_vertices_of_their_own() -> None:
    grower = explorer("if M[q] = 1 then abort fi; if flip(0.5) then c := 1 div c fi; if c < 3 then H[q] fi")
    graph = grower.graph(64)
    assert [graph.points[v] for v in graph.aborted] == [ABORT]
    (failure,) = graph.failures
    assert graph.points[failure] == FAILURE
    assert "divides by zero" in str(graph.failures[failure])
    assert graph.complete


def test_tosses_and_marks() -> None:
    graph = explorer("while flip(t) do skip od").graph(64)
    codes = [op[0] for trace in graph.traces for op in trace.ops]
    assert (codes.count(TOSS), codes.count(TOSS_NOT)) == (1, 1)
    assert codes.count(MARK) == 2
    assert UNITARY not in codes
    assert len(graph.tosses) == 1


def test_counted_counters_become_matrices() -> None:
    graph = explorer("while flip(t) do c++; k := k + c od", "k").graph(64)
    assert len(graph.counted.basis) == 3
    used = {each for trace in graph.traces for each in trace.assignments}
    assert len(used - {0}) == 1  # both assignments of a pass as one matrix
    (used_one,) = used - {0}
    assert graph.assignments[used_one].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert {graph.stores[v] for v in graph.followed} == {(0, 0)}


def test_a_large_step_of_a_forgotten_counter_is_refused_too() -> None:
    with pytest.raises(StepTooLarge):
        explorer("c := c + 9223372036854775807").graph(64)
