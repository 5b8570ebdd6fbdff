"""Which counters matter where."""

from __future__ import annotations

import pytest
from helpers import assert_close
from hypothesis import given, settings
from sim.hybrid.agreement import check_engine, engine_for
from strategies import cases

from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.flow import ABORT, END, Flow, Set, lower
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.liveness import live_counters, successors


def live_at_start(body: str, at_end: tuple[int, ...] = (), forgotten: tuple[int, ...] = ()) -> set[int]:
    flow = lower(parse(f"qubit: q para: t, w[3] count: c, k, n {body}"))
    return set(live_counters(flow, at_end, forgotten)[flow.entry])


@pytest.mark.parametrize(
    ("body", "live"),
    [
        ("skip", set()),
        ("if c < 3 then skip fi", {0}),
        ("if 2 <= k then skip fi", {1}),
        ("Ry(t*c + n)[q]", {0, 2}),
        ("Ry(w[k])[q]", {1}),
        ("if flip(1/(c + 2)) then skip fi", {0}),
        ("c := k + 1", {1}),
        ("c := 0; if c < 3 then skip fi", set()),
        ("c := M[q]; if c = 1 then skip fi", set()),
        ("if M[q] = 1 then c := 0 fi; if c < 3 then skip fi", {0}),
        ("if M[q] = 1 then c := 0 else c := 1 fi; if c < 3 then skip fi", set()),
        ("while M[q] = 1 do if k = 2 then skip fi; c++ od", {0, 1}),  # c := c + 1 reads c
        ("while M[q] = 1 do if n = 2 then skip fi; n := 1; H[q] od", {2}),
        ("while{3} flip(0.5) do skip od", {3}),
        ("abort; if c < 3 then skip fi", set()),
    ],
)
def test_what_is_read_before_it_is_written(body: str, live: set[int]) -> None:
    assert live_at_start(body) == live


def test_the_end_reads_what_is_asked_for() -> None:
    assert live_at_start("skip", at_end=(0, 2)) == {0, 2}
    assert live_at_start("c := k", at_end=(0,)) == {1}
    assert live_at_start("abort", at_end=(0,)) == set()
    assert live_at_start("while flip(1) do k++ od", at_end=(0,)) == {0, 1}


def test_what_is_assigned_to_forgotten_counters_reads_nothing() -> None:
    assert live_at_start("c := c + k", forgotten=(0,)) == set()
    assert live_at_start("c := c + k; if k < n then skip fi", forgotten=(0,)) == {1, 2}


@settings(max_examples=40)
@given(cases())
def test_the_equations_hold_at_every_instruction(case: tuple[Program, Observable, dict[str, float]]) -> None:
    flow = lower(case[0])
    at_end = frozenset(range(len(case[0].counters)))
    live = live_counters(flow, at_end)
    check_equations(flow, live, at_end)


def check_equations(flow: Flow, live: dict[int, frozenset[int]], at_end: frozenset[int]) -> None:
    assert live[END] == at_end
    assert live[ABORT] == frozenset()
    for point, instruction in enumerate(flow.instructions):
        after = frozenset().union(*(live[t] for t in successors(instruction)))
        if isinstance(instruction, Set):
            read = {flow.index[name] for name in instruction.value.counters()}
            assert live[point] == (after - {instruction.counter}) | read
        elif point not in (END, ABORT):
            written = {instruction.counter} if hasattr(instruction, "counter") else set()
            assert live[point] >= after - written


def test_a_wrong_answer_is_caught() -> None:
    flow = lower(parse("qubit: q count: c, k c := k; if c < 3 then skip fi"))
    live = live_counters(flow, ())
    check_equations(flow, live, frozenset())
    with pytest.raises(AssertionError):
        check_equations(flow, {**live, flow.entry: frozenset({0})}, frozenset())


def test_dead_counters_do_not_multiply_stores() -> None:
    body = "; ".join(f"m[{i}] := M[q]; if m[{i}] = 1 then Rx(t)[r] fi; H[q]" for i in range(8))
    text = f"qubit: q, r para: t count: m[8] H[q]; {body}"
    engine, row = engine_for(text), {"t": 0.4}
    observable = parse_observable("Z[r] + m[7]")
    solution = engine.solve([row], [observable], ("t",))
    assert len(solution.graph.followed) <= 40
    check_engine(engine, observable, row)


def test_the_same_results_as_with_everything_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
        qubit: q, r para: t count: c, k
        H[q]; c := M[q]; if c = 1 then Ry(t)[r]; k := 3 fi; H[q]; k := M[q, r]; if k > 1 then X[q] fi;
        while{3} M[q] = 1 do k := c + k; if k = 2 then Rx(t)[q] fi; q := |0>; Ry(t)[q] od
    """
    row, observable = {"t": 0.9}, parse_observable("Z[r]*Z[q]")
    fewer = engine_for(text)
    few = len(fewer.solve([row], [observable], ("t",)).graph.followed)
    found = fewer.gradients([row], [observable], ("t",))
    check_engine(engine_for(text), observable, row)

    def all_alive(flow: Flow, at_end: object, forgotten: object = ()) -> dict[int, frozenset[int]]:
        everything = frozenset(range(len(flow.counters)))
        return dict.fromkeys(range(len(flow.instructions)), everything)

    monkeypatch.setattr("qdiff.sim.hybrid.explorer.live_counters", all_alive)
    alive: HybridEngine = engine_for(text)
    many = len(alive.solve([row], [observable], ("t",)).graph.followed)
    assert few < many
    for one, other in zip(found, alive.gradients([row], [observable], ("t",)), strict=True):
        assert_close(one, other)
