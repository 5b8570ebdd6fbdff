"""A flow with hidden counters for compared forms does what it did, and they hold their forms."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings
from reference.flow_walk import FlowWalk
from strategies import cases

from qdiff.lang.observable import Observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim import flow as fl
from qdiff.sim.differences import MOST_FORMS, with_differences
from qdiff.sim.flow import Flow, lower


def check(flow: Flow, params: dict[str, float]) -> int:
    """Assert that both flows do the same; return how many hidden counters there are."""
    related = with_differences(flow)
    size = len(flow.counters)
    walks = FlowWalk(flow, params), FlowWalk(related, params)
    states, others = (walk.start() for walk in walks)
    for _ in range(10):
        states, others = walks[0].advance(states), walks[1].advance(others)
        assert len(states) == len(others)
        for (point, store), rho in others.items():
            np.testing.assert_allclose(rho, states[point, store[:size]])
    assert_close({store[:size]: rho for store, rho in walks[1].ended.items()}, walks[0].ended)
    return len(related.counters) - size


@settings(max_examples=60)
@given(cases())
def test_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, _, params = case
    check(lower(program), params)


@pytest.mark.parametrize(
    ("body", "hidden"),
    [
        ("while c = k do c++; k := k + 2 od", 1),
        ("while c < k + 3 do c++; k := 2 * c - k; k := M[q] od", 1),
        ("while c + k < 9 and c + k != 7 do c := c + 3; k := k - 1 od", 1),
        ("while c <= k and k - 2 <= m do m := k; k := c * c mod 5; c++ od", 2),
        ("while 3 * (c - k) - c < 4 do c := c - 2 * (1 - k); H[q]; if M[q] = 1 then k := c fi od", 1),
        ("while c * k < 4 or c < 3 or c + 0.5 < k or c < n do c++; k := 2 od", 0),
        ("while c - c < 0 do c++ od", 0),
        (
            "if c < k or c < 2 * k or c < 3 * k or c < 4 * k or c < 5 * k then c := k else k := c fi",
            MOST_FORMS,
        ),
    ],
)
def test_programs_with_forms(body: str, hidden: int) -> None:
    flow = lower(parse(f"qubit: q para: n count: c, k, m H[q]; {body}"))
    assert check(flow, {"n": 1.0}) == hidden


def test_steps_are_constants() -> None:
    """What changes a form by a constant adds it, whatever the counters are."""
    flow = with_differences(lower(parse("qubit: q count: c, k while 2 * c < k do c := 3 + c; k := k - 1 od")))
    (name,) = flow.counters[2:]
    texts = {str(i.value) for i in flow.instructions if isinstance(i, fl.Set) and i.counter == 2}
    assert texts == {f"{name} + 6", f"{name} + 1"}


def test_assignments_are_put_in_order() -> None:
    flow = with_differences(lower(parse("qubit: q count: c, k k := c - c; k := 2 * c + k - c")))
    assert {str(i.value) for i in flow.instructions if isinstance(i, fl.Set)} == {"0", "c + k"}
