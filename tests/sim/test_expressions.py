"""What engines share of expressions: which derivatives there are, and the errors for what has no value."""

from __future__ import annotations

from qdiff.lang.text.parser import parse
from qdiff.sim.expressions import Derivatives, contained, derivative_error, value_error
from qdiff.sim.flow import lower

TEXT = """qubit: q
para: t, u, w[2]
count: c
Rx(t*u)[q];
Ry(3)[q];
Rz(sqrt(t))[q];
Rx(w[c] + u)[q];
if flip(2*t) then skip fi
"""
FLOW = lower(parse(TEXT))
BY_TEXT = {str(expression): expression for expression in FLOW.expressions}


def test_derivatives_that_are_not_zero() -> None:
    expressions = [BY_TEXT["t*u"], BY_TEXT["sqrt(t)"], BY_TEXT["w[c] + u"]]
    found = Derivatives.of(expressions, ("u", "t"), second=True)
    assert found.pairs == [(0, 0), (0, 1), (1, 1), (2, 0)]
    assert [str(d) for d in found.first] == ["t", "u", "1/(2*sqrt(t))", "1"]
    assert found.triples == [(0, 1), (1, 0), (2, 1)]
    assert [str(d) for d in found.second[:2]] == ["1", "1"]
    assert Derivatives.of(expressions, ("u", "t")).second == []


def test_contained() -> None:
    assert contained(BY_TEXT["w[c] + u"], {"c": 1}) == {"w[1]", "u"}


def test_errors() -> None:
    root, double = BY_TEXT["sqrt(t)"], BY_TEXT["2*t"]
    at, counters = {"t": -1.0, "u": 0.0, "w[0]": 0.0, "w[1]": 0.0}, {"c": 0}
    failed = str(value_error(FLOW.program, root, at, counters, probability=False))
    assert "6:4: `sqrt(t)` has no finite real value (operands: -1)." in failed
    improbable = str(value_error(FLOW.program, double, {"t": 2.0}, counters, probability=True))
    assert "the probability `2*t` is 4.0, outside [0, 1]." in improbable
    noise = value_error(FLOW.program, double, {"t": 2.0}, counters, probability=True, channel="damp")
    assert "the probability `2*t` of `damp` is 4.0, outside [0, 1]." in str(noise)
    no_number = str(value_error(FLOW.program, double, {"t": 2.0}, counters, probability=False))
    assert "`2*t` is not a finite number." in no_number
    slope = root.diff("t")
    missing = str(derivative_error(FLOW.program, root, slope, ["t"], {"t": 0.0}, counters))
    assert "the derivative of `sqrt(t)` by `t` does not exist here: " in missing
    assert "divides by zero" in missing
    twice = str(derivative_error(FLOW.program, root, slope, ["t", "u"], {"t": 1.0}, counters))
    assert "the second derivative of `sqrt(t)` by `t` and `u` does not exist here: it is not" in twice
