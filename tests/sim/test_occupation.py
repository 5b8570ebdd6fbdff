"""No run is where its amplitude is said to be 0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from reference.flow_walk import FlowWalk
from strategies import cases

from qdiff.lang.gates import known_gates, record
from qdiff.lang.observable import Observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.abstract_graph import STOP, AbstractGraph, explore
from qdiff.sim.flow import SmallGate, lower
from qdiff.sim.occupation import ZERO, nonzero, possible_steps

DECLARED = """
gate Swapped(a)[x, y] = exp(-i a * (0.5*X X + 0.5*Y Y + 0.3*Z I))
gate Turned(a)[x] = exp(-i a * X)
gate Drifting(a)[x] = exp(-i (a * Z + 0.4*X))
"""


def graph_of(body: str) -> AbstractGraph:
    graph = explore(lower(parse(f"qubit: q, r para: t count: c {DECLARED} {body}")), {"t": 0.4}, 32)
    assert graph is not None
    return graph


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        ("while M[q] = 0 do H[r] od", False),
        ("while M[q] = 0 do C_X[q][r]; Rz(t)[q]; SWAP[r, q] od", False),
        ("X[q]; while M[q] = 1 do C_H[r][q] od", False),
        ("while M[q] = 0 do H[q]; q := |0> od", False),
        ("while M[q, r] = 0 do Rxx(t)[q, r]; c := M[q]; q := |0>; r := |0> od", False),
        ("while M[q] = 0 do c := M[q, r]; if c = 2 then X[q] fi od", False),
        ("while not flip(0) do skip od", False),
        ("while flip(1) do skip od", False),
        ("while not flip(0 * c) do c++ od", False),
        ("while M[q] = 0 do H[r]; dephase(t)[q]; damp(t)[q]; depolarize(t)[r] od", False),
        ("while M[q] = 0 do dephase(t)[q]; CNOT[r, q] od", False),
        ("X[q]; while M[q] = 1 do dephase(t)[q]; damp(t)[r] od", False),
        ("while M[q] = 0 do Turned(t)[r]; C_Drifting(t)[q][r] od", False),
        ("while M[q] = 0 do Swapped(t)[q, r] od", False),
        ("while M[q] = 0 do Swapped(t)[q, r]; Turned(t)[r] od", True),
        ("while M[q] = 0 do depolarize(t)[q] od", True),
        ("X[q]; while M[q] = 1 do damp(t)[q] od", True),
        ("while M[q] = 0 do depolarize(t)[r]; CNOT[r, q] od", True),
        ("X[r]; while M[q] = 0 do Swapped(t)[q, r] od", True),
        ("while M[q] = 0 do Drifting(t)[r]; CNOT[r, q] od", True),
        ("while M[q] = 0 do H[q] od", True),
        ("while M[q] = 0 do SWAP[r, q]; H[r] od", True),
        ("X[q]; while M[q] = 1 do C_H[q][r]; C_X[r][q] od", True),
        ("while M[q, r] = 0 do Rxx(t)[q, r] od", True),
        ("while not flip(0.001) do skip od", True),
        ("while not flip(t - t) do skip od", True),
        ("while not flip(t) do skip od", True),
        ("while M[q] = 0 do H[q]; H[q] od", True),  # it never ends, but amplitudes are not followed
    ],
)
def test_whether_a_run_may_end(body: str, ends: bool) -> None:
    graph = graph_of(body)
    assert any(STOP in following for following in possible_steps(graph)) == ends


def test_large_registers_count_as_occupied() -> None:
    names = ", ".join(f"x{i}" for i in range(9))
    graph = explore(lower(parse(f"qubit: {names} X[x0]; x0 := |0>; if M[x1] = 1 then X[x2] fi")), {}, 32)
    assert graph is not None
    assert [step.next for step in graph.steps] == possible_steps(graph)


@pytest.mark.parametrize(
    "name", [name for name in known_gates() if not record(name).parts] + ["R_XZ", "R_YX"]
)
def test_entries_that_are_not_zero(name: str) -> None:
    gate = record(name)
    if gate.fixed is None and gate.generator is None:
        return
    small = SmallGate(gate, -1 if gate.fixed is not None else 0, tuple(range(gate.targets)), 0)
    angles = [()] if gate.fixed is not None else [(0.0,), (0.7,), (2.9,), (-1.3,)]
    seen = sum(np.abs(gate.matrix(*angle)) for angle in angles) > ZERO
    assert np.array_equal(nonzero(small), seen)


@settings(max_examples=80)
@given(cases(growing=False))
def test_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    """Every instruction that a run executes with some probability is one that a run may come to."""
    program, _, params = case
    flow = lower(program)
    graph = explore(flow, params, 256)
    assert graph is not None
    executed: set[int] = set()

    class Watched(FlowWalk):
        def after(self, here, store, rho, mass):  # type: ignore[no-untyped-def]
            if mass > 1e-9:
                executed.add(here)
            return super().after(here, store, rho, mass)

    walk = Watched(flow, params)
    states = walk.start()
    for _ in range(12):
        states = walk.advance(states)
    possible = {
        id(step.instruction)
        for step, following in zip(graph.steps, possible_steps(graph), strict=True)
        if following
    }
    assert executed <= {i for i, instruction in enumerate(flow.instructions) if id(instruction) in possible}
