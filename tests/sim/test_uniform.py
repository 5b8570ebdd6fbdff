"""Uniform bounds: against brute force from many places and states, closed forms, and why there is none."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from amounts import examples
from hypothesis import given, settings
from reference.flow_walk import FlowWalk, Place, States
from strategies import cases

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.abstract_graph import explore
from qdiff.sim.flow import Flow, lower
from qdiff.sim.partitions import Cell
from qdiff.sim.uniform import UniformBound, uniform_bound
from qdiff.sim.upper_maps import Operator, UpperMaps

PARAMS = {"t": 1.0, "u": 0.5, "w[0]": 0.3, "w[1]": 1.2}
MOST_STATES = 60  # (place, store) of a walk; a larger one is left


def bound_of(text: str) -> tuple[Flow, UniformBound]:
    flow = lower(parse(f"qubit: q, r para: t, u, w[2] count: c, k {text}"))
    return flow, uniform_bound(flow, PARAMS)


def places(flow: Flow, params: dict[str, float], most: int) -> list[Place]:
    """Places that a run can reach, found with full-rank states so that no outcome is missed."""
    walk = FlowWalk(flow, params)
    dimension = 1 << len(flow.program.qubits)
    mixed = np.eye(dimension, dtype=complex) / dimension
    found = dict.fromkeys(walk.start())
    for _ in range(12):
        found |= dict.fromkeys(walk.advance(dict.fromkeys(found, mixed)))
        if len(found) > most:
            break
    return list(found)[:most]


def states_at(place: Place, dimension: int, rng: np.random.Generator) -> list[States]:
    """A few pure states: random ones and basis states."""
    vectors = [*np.eye(dimension)[:2], *(rng.normal(size=(2, dimension, 2)) @ [1, 1j])]
    return [{place: np.outer(v, v.conj()) / np.vdot(v, v).real} for v in vectors]


def check_uniform(flow: Flow, params: dict[str, float], bound: UniformBound, most: int = 8) -> None:
    """Assert that no run exceeds the bound: visits, survival, operations, occurrences, sizes of counters."""
    rng = np.random.default_rng(1)
    counters = len(flow.program.counters)
    for place in places(flow, params, most):
        for states in states_at(place, 1 << len(flow.program.qubits), rng):
            walk, visits, moments = FlowWalk(flow, params), 0.0, 0.0
            value = max((abs(c) for c in place[1][:counters]), default=0)
            for n in itertools.count():
                survival = mass_of(states)
                assert survival <= at_visit(bound, n) + 1e-9, f"{survival} survives {n} visits from {place}"
                visits += survival
                moments += sum(
                    np.trace(rho).real * max((abs(c) for c in store[:counters]), default=0) ** 2
                    for (_, store), rho in states.items()
                )
                if survival < 1e-12 or len(states) > MOST_STATES or n > 20:
                    break
                states = walk.advance(states)
            assert visits <= bound.passes
            assert walk.operations <= bound.passes * bound.operations + 1e-9
            for name in flow.program.parameters:
                assert walk.occurrences.get(name, 0.0) <= bound.occurrences_to_come(name) + 1e-9
            ended = sum(
                np.trace(rho).real * max((abs(c) for c in store[:counters]), default=0) ** 2
                for store, rho in walk.ended.items()
            )
            assert ended <= bound.at_end(2, value) + 1e-9
            assert moments <= bound.over_visits(2, value) + 1e-9


def mass_of(states: States) -> float:
    return float(sum(np.trace(rho).real for rho in states.values()))


def at_visit(bound: UniformBound, n: int) -> float:
    if bound.contraction is None:
        return 1.0
    steps, factor = bound.contraction
    return factor ** (n // steps) * bound.survival[n % steps]


PROVED = {
    "unknown angle on a control": (
        "Ry(t)[q]; while M[q] = 1 do q := |0>; Ry(t*c)[r]; C_Ry(u)[r][q]; Ry(t)[q]; c++ od"
    ),
    "unknown probability": "while not flip(0.6 + 0.2*sin(t*c)) do c++; k := c od",
    "angle within an interval": "Ry(t)[q]; while M[q] = 1 do Ry(pi/2 + 0.3*sin(t*c))[q]; c := c + 2 od",
    "element": "H[q]; while M[q] = 1 do q := |0>; Ry(w[c mod 2])[q]; c++ od",
    "counted loop inside": "while flip(0.5) do c++; k := 0; while k < 3 do Ry(c*t)[q]; k++ od od",
    "bounded loop inside": "while flip(0.5) do c++; while{3} M[q] = 1 do Ry(c*t)[q] od od",
    "either way": "H[q]; while M[q] = 1 do if c < 7 then Ry(t)[q] else Ry(u)[q] fi; c++ od",
    "abort": "while flip(0.9) do c++ od; if c > 20 then abort fi",
    "two counters": "while flip(0.4) do c++; k := k + 2; if M[q] = 1 then H[r] else k := 0 fi; H[q] od",
    "multiplied afterwards": "while flip(0.5) do c++ od; c := 2*c + 1; if M[q] = 1 then c := 3*c - 7 fi",
    "recorded": "H[q]; while M[q] = 1 do k := M[q, r]; c := c + k; q := |0>; Ry(u + t)[q] od",
    "slow": "Ry(t)[q]; while M[q] = 1 do Ry(0.3)[q]; c++ od",
    "no loop": "Ry(t)[q]; if M[q] = 1 then c := 5 else c := -7 fi; Rx(u*c)[q]",
}


@pytest.mark.parametrize("text", PROVED.values(), ids=PROVED.keys())
def test_proved(text: str) -> None:
    flow, bound = bound_of(text)
    assert math.isfinite(bound.passes), bound.reason
    assert bound.reason.startswith("whatever the counters are, ")
    check_uniform(flow, PARAMS, bound)


UNPROVED = {
    "trap": "while M[q] = 0 do skip od",
    "guard turned by a counter": "Ry(t)[q]; while M[q] = 1 do q := |0>; Ry(t*c)[q]; c++ od",
    "walk": "c := 3; while c > 0 do if flip(0.4) then c++ else c := c - 1 fi od",
    "walk with drift away": "c := 3; while c > 0 do if flip(0.6) then c++ else c := c - 1 fi od",
    "compared with what is unknown": "while flip(0.5) do c++ od; while k < c do k++ od",
    "any probability": "while flip(sin(t*c)^2) do c++ od",
}


@pytest.mark.parametrize("text", UNPROVED.values(), ids=UNPROVED.keys())
def test_no_proof(text: str) -> None:
    _, bound = bound_of(text)
    assert bound.passes == bound.over_visits(0, 0) == math.inf
    assert bound.occurrences_to_come("t") == (math.inf if "t*c" in text or "(t)" in text else 0)
    assert bound.reason.startswith("no uniform bound is proved: for all that is known of the counters, ")
    assert bound.reason.endswith(" may have probability 1")
    assert bound.at_end(0, 5, 0.25) == pytest.approx(0.25)
    assert bound.at_end(1, 5, 0.25) == math.inf
    assert bound.at_end(1, 5, 0.0) == 0


def test_too_many_meeting_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.uniform.LARGEST_GRAPH", 1)
    assert bound_of("while flip(0.5) do while flip(0.5) do skip od od")[1].reason == (
        "no uniform bound is proved: more than 1 meeting points"
    )


def test_too_many_qubits() -> None:
    flow = lower(parse("qubit: q[7] H[q[0]]"))
    assert uniform_bound(flow, {}).reason == "no uniform bound is proved: more than 6 qubits"


def test_work_is_limited() -> None:
    flow = lower(parse("qubit: q para: t Ry(t)[q]; while M[q] = 1 do Ry(0.3)[q] od"))
    assert uniform_bound(flow, {"t": 1.0}, work=500.0).passes == math.inf
    assert uniform_bound(flow, {"t": 1.0}, work=0.0).passes == math.inf


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("while flip(0.75) do c++ od", 4),
        ("while flip(0.75) do Ry(t*c)[q]; c++ od", 4),
        # With r at its worst q is 1 again with sin²(0.75).
        (PROVED["unknown angle on a control"], 2 + 2 / math.cos(0.75) ** 2),
        (PROVED["unknown probability"], 1 / 0.4),
    ],
)
def test_sharpness(text: str, passes: float) -> None:
    """Within a factor 1.5 of the supremum where what is forgotten does not matter."""
    _, bound = bound_of(text)
    assert passes / 1.5 <= bound.passes <= 1.5 * passes


def test_counters_that_grow() -> None:
    twice = bound_of("while flip(0.5) do c++; c := c + 2; k := 40 - k od")[1]
    assert (twice.growth, twice.floor) == (3, 40)
    assert bound_of("while flip(0.5) do c++; k := 40 - c od")[1].growth == 41
    assert bound_of("while flip(0.5) do c := 2*c + 1 od")[1].growth == math.inf
    after = bound_of("k := 3*k; while flip(0.5) do c++ od; c := 2*c + 1; if M[q] = 1 then c := 5*c fi; H[r]")[
        1
    ]
    assert (after.growth, after.floor, after.scale) == (1, 0, 10)
    bounded = bound_of("while flip(0.5) do c++; k := (k + c) mod 4 od")[1]
    assert (bounded.growth, bounded.floor) == (1, 4)
    assert bound_of("while flip(0.5) do c := c div 2; k++ od")[1].growth == 1


def test_moments_of_a_geometric_number() -> None:
    """One more at each visit, half of which end: E[c²] at the end from c = 0 is 3."""
    _, bound = bound_of("while flip(0.5) do c++ od")
    assert bound.contraction == (2, pytest.approx(0.25))
    # Each visit may add one here, the last one too: E[N²] = 6.
    assert bound.at_end(2, 0) == pytest.approx(6)
    assert bound.at_end(2, 0, 1e-6) == pytest.approx(6e-6)
    assert bound.over_visits(1, 0) == pytest.approx(4)
    assert bound.over_visits(0, 9, 0.5) == pytest.approx(1)
    assert bound.at_end(1, 10) == pytest.approx(12)
    assert bound.at_end(200, 1e6) == math.inf


def test_what_is_counted_on_the_way() -> None:
    _, bound = bound_of(
        "while flip(0.5) do if M[q] = 1 then Ry(t)[q]; U(t, u, t*u)[r]; H[q] else Ry(u)[q] fi; "
        "Ry(w[c mod 2])[q]; c++ od"
    )
    # The longest way is from the measurement to the end of its branch.
    assert bound.occurrences == {"t": 3, "u": 2, "w[0]": 1, "w[1]": 1}
    assert bound.operations == 7


def test_followed_counters_are_those_of_few_values() -> None:
    flow = lower(parse("qubit: q count: c, k while flip(0.5) do c++; k := (k + 1) mod 3 od"))
    graph = explore(flow, {}, 16)
    assert graph is not None
    assert graph.unknown == {0}
    assert {store for _, store in graph.vertices} == {(Cell(), k) for k in range(3)}


def test_ways_that_cannot_be_taken_are_not() -> None:
    flow, bound = bound_of("while flip(0.5) do c++ od; while sin(c) > 2 or t < u do skip od")
    assert math.isfinite(bound.passes)
    check_uniform(flow, PARAMS, bound)


def test_an_error_ends_a_run() -> None:
    _, bound = bound_of("if 1/c > 0 then skip fi; k := 1 div 0; while M[q] = 0 do skip od")
    assert 1 <= bound.passes < 2  # the start, and nothing after the error


def test_random_programs() -> None:
    proved: list[bool] = []

    @settings(max_examples=examples(30))
    @given(cases())
    def check(case: tuple[Program, Observable, dict[str, float]]) -> None:
        program, _, params = case
        flow = lower(program)
        bound = uniform_bound(flow, params, work=2e8)
        checked = math.isfinite(bound.passes)
        if checked:
            try:
                check_uniform(flow, params, bound, most=3)
            except EvaluationError:
                checked = False
        proved.append(checked)

    check()
    assert sum(proved) >= len(proved) / 2


def test_a_bound_that_is_too_small_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def average(self: UpperMaps, a: Operator, b: Operator) -> Operator:
        return (a + b) / 2

    monkeypatch.setattr(UpperMaps, "join", average)
    flow, bound = bound_of(PROVED["either way"])
    with pytest.raises(AssertionError, match="survives"):
        check_uniform(flow, PARAMS, bound)
