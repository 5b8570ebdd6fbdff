"""What an analysis says, and that its bound is one."""

from __future__ import annotations

import math

import pytest
from helpers import assert_close

from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.hybrid.analysis import Analysis, analyze
from qdiff.sim.hybrid.engine import HybridEngine


def analysis(text: str, observable: str = "1", **params: float) -> Analysis:
    return analyze(HybridEngine(parse(text)), params, parse_observable(observable))


def test_a_geometric_loop() -> None:
    found = analysis(
        "qubit: q para: t, s\nRx(s)[q]; q := |0>;\nwhile not flip(t) do Ry(t)[q]; U(t, 0, s)[q] od",
        t=0.25,
        s=1.0,
    )
    assert_close(found.termination_probability, 1.0)
    (loop,) = found.expected_visits
    assert loop.position is not None
    assert loop.position.line == 3
    assert_close((loop.evaluations, loop.passes), (4.0, 3.0))
    # A pass has Ry(t) and three primitives of U: t in Ry, s in the first P; every evaluation has flip(t).
    assert_close(found.occurrences, {"t": 4 + 2 * 3.0, "s": 1 + 3.0})
    assert found.engine == "hybrid"
    assert 0 < found.error_bound < 1e-11


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


def test_an_element_counts_where_it_is_read() -> None:
    found = analysis(
        "qubit: q para: w[3] count: c while c < 2 do Ry(w[c])[q]; c++ od; Ry(w[0])[q]",
        **{"w[0]": 0.1, "w[1]": 0.2, "w[2]": 0.3},
    )
    assert_close(found.occurrences, {"w[0]": 2.0, "w[1]": 1.0, "w[2]": 0.0})


def test_no_bound_is_printed_where_none_is_proved() -> None:
    text = "qubit: q para: t count: c while flip(t) do c++ od"
    growing = analysis(text, "c", t=0.5)
    assert growing.error_bound == math.inf
    assert "the observable grows" in growing.reason
    bounded = analysis(text, "Z[q]", t=0.5)
    assert bounded.error_bound < 1e-10


@pytest.mark.parametrize("p", [0.3, 0.9, 0.99])
def test_the_bound_holds_where_the_value_is_known(p: float) -> None:
    engine = HybridEngine(parse("qubit: q para: p while flip(p) do X[q] od"))
    observable = parse_observable("Z[q]")
    # (1 - p) Σ (-p)^n
    exact = (1 - p) / (1 + p)
    found = analyze(engine, {"p": p}, observable)
    assert abs(engine.value({"p": p}, observable) - exact) <= found.error_bound


def test_the_text_of_an_analysis() -> None:
    found = analysis("qubit: q para: t while not flip(t) do Ry(t)[q] od", t=0.5)
    assert str(found).splitlines()[:4] == [
        "termination probability  1",
        "loop 1 (line 1): 2 guard evaluations, 1 passes",
        "expected occurrences     t 3",
        f"error bound              {found.error_bound:.3g}",
    ]
    assert "engine                   hybrid: density operators on 1 qubits" in str(found)
