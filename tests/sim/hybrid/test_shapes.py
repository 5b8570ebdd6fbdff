"""Traces of one shape: what is grouped, in which lanes, and that splitting lanes changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.hybrid import by_shape, correlate, perturbed
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.graph import Graph
from qdiff.sim.hybrid.shapes import Lanes, Shape, places
from qdiff.sim.hybrid.steps import OperationSteps
from qdiff.sim.hybrid.superoperators import MatrixSteps
from qdiff.sim.hybrid.traces import CHANNEL, TOSS, TOSS_NOT, UNITARY

COUNTING = (
    "qubit: q, r para: t, p, n count: c while c < n do Ry(t*c)[q]; C_Rx(t)[q][r]; "
    "if flip(p) then Rz(t)[r] else X[q] fi; c++ od"
)
NOISY = (
    "qubit: q, r para: t, p, n count: c while c < n do Ry(t*c)[q]; damp(p/(c + 1))[q]; C_Rx(t)[q][r]; "
    "dephase(p/2)[r]; if flip(p) then depolarize(p)[q] else Rz(t)[r] fi; damp(p/(c + 2))[q]; c++ od"
)
PARAMETERS = {"t": 0.3, "p": 0.4, "n": 6.0}


def solved(text: str, observable: Observable, **parameters: float) -> tuple[Graph, np.ndarray, np.ndarray]:
    engine = HybridEngine(parse(text))
    wrt = tuple(name for name in parameters if name != "n")
    graph = engine.solve([parameters], [observable], wrt).graph
    values, gradients = engine.gradients([parameters], [observable], wrt)
    return graph, values, gradients


def largest(graph: Graph) -> Shape:
    return max(graph.shapes, key=lambda shape: len(shape.traces))


@pytest.mark.parametrize("text", [COUNTING, NOISY])
def test_traces_that_differ_in_runs_share_a_shape(text: str) -> None:
    graph, _, _ = solved(text, parse_observable("Z[r]"), **PARAMETERS)
    shape = largest(graph)
    assert len(shape.traces) >= 4
    for slot, trace in enumerate(shape.traces):
        assert graph.shape_of[trace] == (graph.shapes.index(shape), slot)
        assert graph.traces[trace].assignments == shape.assignments
        for (code, src, dst, arg), (mine, from_, to, number), numbers in zip(
            shape.ops, graph.traces[trace].ops, shape.numbers, strict=True
        ):
            assert (code, src, dst) == (mine, from_, to)
            if code in (UNITARY, CHANNEL):
                count = len(graph.runs.runs) if code == UNITARY else len(graph.channels)
                listed = np.arange(count)[numbers]
                assert listed[slot] == number
            else:
                assert arg == number or code in (TOSS, TOSS_NOT)
    assert sorted(v for s in graph.shapes for v in s.lanes.vertices.ravel().tolist()) == sorted(
        graph.followed
    )
    for shape in graph.shapes:
        for leaf, targets in enumerate(shape.lanes.targets):
            for vertex, target in zip(shape.lanes.vertices.ravel(), targets.ravel(), strict=True):
                assert graph.targets[vertex][leaf] == target


def test_traces_with_different_numbers_of_vertices_have_a_lane_for_each_vertex() -> None:
    text = (
        "qubit: q, r para: t, n count: c, k H[q]; while c < n do if c < 2 then k := 1 else k := 0 fi; "
        "Ry(t*k)[q]; C_Rx(t)[q][r]; c++ od"
    )
    graph, _, gradients = solved(text, parse_observable("Z[r]*Z[q]"), t=0.3, n=7.0)
    assert any(len(s.traces) > 1 and s.lanes.vertices.shape[1] == 1 for s in graph.shapes)
    step = 1e-5
    _, above, _ = solved(text, parse_observable("Z[r]*Z[q]"), t=0.3 + step, n=7.0)
    _, below, _ = solved(text, parse_observable("Z[r]*Z[q]"), t=0.3 - step, n=7.0)
    np.testing.assert_allclose(gradients[0, 0, 0], (above - below)[0, 0] / (2 * step), atol=1e-8)


@pytest.mark.parametrize("text", [COUNTING, NOISY])
def test_a_few_lanes_at_a_time(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    observable = parse_observable("Z[r] + c*X[q]")
    _, values, gradients = solved(text, observable, **PARAMETERS)
    monkeypatch.setattr("qdiff.sim.hybrid.by_shape.CHUNK", 1)
    monkeypatch.setattr("qdiff.sim.hybrid.by_shape.TOGETHER", 2)
    monkeypatch.setattr("qdiff.sim.hybrid.superoperators.TOGETHER", 2)
    _, same, slopes = solved(text, observable, **PARAMETERS)
    np.testing.assert_allclose(same, values, atol=1e-14)
    np.testing.assert_allclose(slopes, gradients, atol=1e-13)


@pytest.mark.parametrize("text", [COUNTING, NOISY])
@pytest.mark.parametrize("gates", [True, False])
def test_what_derivatives_inject_is_what_it_is_trace_after_trace(gates: bool, text: str) -> None:
    engine = HybridEngine(parse(text))
    rows = [PARAMETERS, {**PARAMETERS, "t": 0.9}]
    solution = engine.solve(rows, [parse_observable("Z[r] + c")], ("t", "p"))
    steps = solution.solver.steps
    assert isinstance(steps, MatrixSteps)
    slopes = solution.numbers.slopes(gates=gates)
    found = by_shape.injections(steps, solution.states, slopes)
    expected = perturbed.injections(
        solution.graph, solution.maps, solution.unitaries, solution.masses(), slopes
    )
    assert sorted(found.sources) == sorted(expected.sources)
    np.testing.assert_allclose(found.sources.array, expected.sources.array, atol=1e-13)
    np.testing.assert_allclose(found.runs, expected.runs, atol=1e-13)
    np.testing.assert_allclose(found.tosses, expected.tosses, atol=1e-13)


def test_correlations_with_noise_are_what_they_are_trace_after_trace() -> None:
    engine = HybridEngine(parse(NOISY))
    rows = [PARAMETERS, {**PARAMETERS, "t": 0.9, "p": 0.1}]
    solution = engine.solve(rows, [parse_observable("Z[r] + c"), parse_observable("X[q]")], ("t", "p"))
    solver, maps, graph = solution.solver, solution.maps, solution.graph
    assert isinstance(solver.steps, MatrixSteps)
    pulled = engine.pull_back(solution)
    found = correlate.correlate(solver, maps, solution.states, pulled, 2)
    solver.steps = OperationSteps(graph, maps, solution.unitaries, 4)
    expected = correlate.correlate(solver, maps, solution.states, pulled, 2)
    np.testing.assert_allclose(found.by_toss, expected.by_toss, atol=1e-13)
    for run, product in enumerate(expected.products):
        if product is not None:
            np.testing.assert_allclose(found.products[:, run], product, atol=1e-13)  # type: ignore[call-overload]


def test_places() -> None:
    assert places(np.array([3, 4, 5])) == slice(3, 6)
    scattered = places(np.array([3, 3, 5]))
    assert isinstance(scattered, np.ndarray)
    lanes = Lanes(np.array([[7], [8], [9]]), (), (slice(3, 6), np.array([2, 2, 4])))
    first, second = lanes.split(2)
    assert first.vertices.tolist() == [[7], [8]]
    assert first.numbers[0] == slice(3, 5)
    assert np.arange(9)[first.numbers[1]].tolist() == [2, 2]
    assert second.numbers == (slice(5, 6), slice(4, 5))
