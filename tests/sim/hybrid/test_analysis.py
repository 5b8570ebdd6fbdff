"""What an analysis says: expected counts, and what is not followed, trapped or missing."""

from __future__ import annotations

import math

import numpy as np
from helpers import assert_close
from sim.hybrid.agreement import engine_for

from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.analysis import Analysis


def analysis(text: str, observable: str = "1", **params: float) -> Analysis:
    engine = engine_for(text)
    return engine.analyze(params, parse_observable(observable), engine.program.trainable)


def test_a_geometric_loop() -> None:
    found = analysis(
        "qubit: q para: t, s\nRx(s)[q]; q := |0>;\nwhile not flip(t) do Ry(t)[q]; U(t, 0, s)[q] od",
        t=0.25,
        s=1.0,
    )
    assert_close(found.termination_probability, 1.0)
    assert (found.trapped_probability, found.outside_probability) == (0.0, 0.0)
    (loop,) = found.expected_visits
    assert loop.position is not None
    assert loop.position.line == 3
    assert_close((loop.evaluations, loop.passes), (4.0, 3.0))
    # A pass has Ry(t) and three primitives of U: t in Ry, s in the first P; every evaluation has flip(t).
    assert_close(dict(found.occurrences), {"t": 4 + 2 * 3.0, "s": 1 + 3.0})
    assert found.engine == "hybrid"
    assert 0 < found.error_bound < 1e-11
    assert set(found.grad_error_bound) == {"t", "s"}
    assert all(0 < bound < 1e-9 for bound in found.grad_error_bound.values())
    assert found.memory > 0


def test_nested_and_bounded_loops_are_listed_as_printed() -> None:
    found = analysis(
        "qubit: q para: t while flip(0.5) do while{2} flip(t) do skip od od; while{1} flip(t) do X[q] od",
        t=0.5,
    )
    outer, inner, last = found.expected_visits
    # A pass of the outer loop is survived with probability 3/4.
    visits = 1 / (1 - 0.5 * 0.75)
    assert_close((outer.evaluations, outer.passes), (visits, 0.5 * visits))
    assert_close((inner.evaluations, inner.passes), (0.5 * visits * 1.5, 0.5 * visits * 0.75))
    assert_close((last.evaluations, last.passes), (0.5 * visits, 0.25 * visits))
    assert_close(found.termination_probability, 0.25 * visits)


def test_a_loop_that_is_never_reached() -> None:
    found = analysis("qubit: q para: t if M[q] = 1 then while flip(0.5) do Ry(t)[q] od fi", t=0.5)
    (loop,) = found.expected_visits
    assert (loop.evaluations, loop.passes) == (0.0, 0.0)
    assert found.occurrences == {"t": 0.0}


def test_an_element_counts_where_it_is_read() -> None:
    found = analysis(
        "qubit: q para: w[3] count: c while c < 2 do Ry(w[c])[q]; c++ od; Ry(w[0])[q]",
        **{"w[0]": 0.1, "w[1]": 0.2, "w[2]": 0.3},
    )
    assert_close(dict(found.occurrences), {"w[0]": 2.0, "w[1]": 1.0, "w[2]": 0.0})


def test_counters_followed_as_moments_are_named() -> None:
    found = analysis("qubit: q para: t count: c, k while flip(t) do c++; k++ od", "c^2 + k", t=0.5)
    assert "c, k followed as moments" in found.reason
    assert found.outside_probability == 0.0
    assert found.error_bound < 1e-8


def test_what_is_not_followed_is_said() -> None:
    found = analysis("qubit: q para: t, p count: c while flip(p) do c++; Ry(t*c)[q] od", "Z[q]", t=0.5, p=0.5)
    assert 0 < found.outside_probability < 1e-13
    assert f"not followed             {found.outside_probability:.3g}" in str(found)
    assert "what was not followed is bounded" in found.reason


def test_a_derivative_that_does_not_exist_leaves_the_rest() -> None:
    found = analysis("qubit: q para: t Ry(sqrt(t))[q]; Ry(t)[q]", "Z[q]", t=0.0)
    assert_close(found.termination_probability, 1.0)
    assert found.error_bound < 1e-12
    assert found.grad_error_bound == {"t": math.inf}
    assert "; no derivatives: <text>:1:" in found.reason
    assert "does not exist here" in found.reason


def test_only_what_is_asked_for_has_a_bound() -> None:
    engine = engine_for("qubit: q para: t, s Ry(t)[q]; Rx(s)[q]")
    row, observable = {"t": 0.1, "s": 0.2}, parse_observable("Z[q]")
    found = engine.analyze(row, observable, ["s"])
    assert set(found.grad_error_bound) == {"s"}
    assert engine.analyze(row, observable, []).grad_error_bound == {}
    assert_close(dict(found.occurrences), {"t": 1.0, "s": 1.0})


def test_an_analysis_does_not_change_later_results() -> None:
    engine = engine_for("qubit: q para: t count: c while M[q] = 0 do Ry(t)[q]; c++ od")
    asked = [parse_observable("c")]
    before = engine.gradients([{"t": 0.7}], asked, ["t"])
    engine.analyze({"t": 0.7}, asked[0], ["t"])
    for one, other in zip(before, engine.gradients([{"t": 0.7}], asked, ["t"]), strict=True):
        assert np.array_equal(one, other)


def test_the_text_of_an_analysis() -> None:
    found = analysis("qubit: q para: t while not flip(t) do Ry(t)[q] od", t=0.5)
    assert str(found).splitlines()[:5] == [
        "termination probability  1",
        "loop 1 (line 1): 2 guard evaluations, 1 passes",
        "expected occurrences     t 3",
        f"error bound              {found.error_bound:.3g}",
        f"error bound, derivatives t {found.grad_error_bound['t']:.3g}",
    ]
    assert "engine                   hybrid: density operators on 1 qubits" in str(found)
