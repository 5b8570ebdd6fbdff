"""How many stores come to meeting points, by hand."""

from __future__ import annotations

from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.rules.derivative import differentiate
from qdiff.sim.census import size_of
from qdiff.sim.flow import lower
from qdiff.sim.reachable import UNKNOWN_VALUES, reachable

HEAD = "qubit: q, r, s para: t count: c, k, d "


def test_what_is_only_counted_is_moments() -> None:
    program = parse(HEAD + "while M[q] = 1 do c++; k := M[r] od")
    flow = lower(program)
    two = len(flow.meeting)
    for observable, moments in (("Z[q]", 1), ("c", 2), ("c*k", 4), ("c + k*Z[q] + 2*c*X[r]", 3), ("c^3", 4)):
        assert reachable(flow, [parse_observable(observable)]) == moments * two
    assert reachable(flow, [parse_observable("c"), parse_observable("k")]) == 3 * two
    assert reachable(flow, None) == UNKNOWN_VALUES * 2 * two


def test_passes_of_bounded_loops_are_counted() -> None:
    program = parse(HEAD + "while{7} M[q] = 1 do H[q]; if M[s] = 1 then k := M[r] fi; Ry(k)[q] od; X[s]")
    found = size_of(program, [parse_observable("Z[q]")])
    # k has two values at the end of the `if` and at the head, one behind the loop and at the end.
    assert found.vertices == 7 * 2 + 7 * 2 + 1 + 1


def test_scratch_counters_of_tangents_are_not_multiplied() -> None:
    text = "qubit: q, r para: t count: c while M[q] = 1 do Ry(t)[q]; Rz(t)[r]; if c < 3 then c++ fi od"
    derivative = differentiate(parse(text), ("t", "t"))
    observable = parse_observable("c + Z[r]") * derivative.tangent.readout
    found = size_of(derivative.tangent.program, [observable])
    # 4 · 4 stores at most at a point: c up to 3, and whether either occurrence was replaced.
    assert found.vertices <= 4 * 4 * found.points
    assert found.vertices < 400
