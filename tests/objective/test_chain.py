"""Counts of a program without its error bounds, which cost more than a gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import assert_close

import qdiff as qd
from qdiff.sim.hybrid import analysis
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.pure.branching import BranchingEngine
from qdiff.sim.static.engine import PureStateEngine

LOOP = qd.parse("qubit: q para: t, u count: c Ry(t)[q]; while M[q] = 1 do Ry(t)[q]; Rx(u)[q]; c := 1 - c od")
ENDLESS = qd.parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do Ry(t)[q]; c++; Rx(t*c)[q] od")
AT = {"t": 1.1, "u": 0.4}


def test_counts_are_those_of_the_analysis() -> None:
    f = qd.expectation(LOOP, "Z[q] + c")
    whole, found = f.analyze(AT), f.chain.counts(AT)
    for name in ("termination_probability", "trapped_probability", "outside_probability"):
        assert_close(getattr(found, name), getattr(whole, name))
    assert_close(dict(found.occurrences), dict(whole.occurrences))
    visits, expected = ([(v.evaluations, v.passes) for v in one.expected_visits] for one in (found, whole))
    assert_close(visits, expected)
    # t stands before the loop, too.
    assert found.occurrences["t"] == pytest.approx(1 + found.occurrences["u"])


def test_counts_do_not_depend_on_the_observable() -> None:
    expected = dict(qd.expectation(LOOP, "1").analyze(AT).occurrences)
    for text in ("0", "c", "100*Z[q]"):
        f = qd.expectation(LOOP, text)
        assert_close(dict(f.chain.counts(AT).occurrences), expected)


def test_no_bounds_are_computed_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    right = analysis._bounds

    def noted(*given: object) -> object:
        asked.append(given)
        return right(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(analysis, "_bounds", noted)
    f = qd.expectation(LOOP, "Z[q]")
    found = f.chain.counts(AT)
    assert not asked
    assert found.error_bound == math.inf
    assert "not asked for" in found.reason
    bounded = f.chain.counts(AT, ["t"])
    assert len(asked) == 1
    assert bounded.error_bound < 1e-9
    assert set(bounded.grad_error_bound) == {"t"}
    assert bounded.grad_error_bound["t"] < 1e-7
    f.analyze(AT)
    assert len(asked) > 1


def test_a_bound_is_finite_where_the_number_of_occurrences_is() -> None:
    """Counters without end: what was not followed has to be bounded."""
    f = qd.expectation(ENDLESS, "Z[q]")
    found = f.chain.counts({"t": 0.5})
    assert found.outside_probability >= 0
    assert np.isfinite(found.occurrences["t"])
    bounds = f.chain.counts({"t": 0.5}, ["t"]).grad_error_bound
    assert set(bounds) == {"t"}


@pytest.mark.parametrize("engine", [HybridEngine, PureStateEngine, BranchingEngine])
def test_every_engine_does_without_bounds(engine: type[HybridEngine]) -> None:
    program = qd.parse("qubit: q, r para: t Ry(t)[q]; CNOT[q, r]; Rz(t)[r]")
    observable = qd.observable("Z[r]")
    made = engine(program)
    whole, found = (made.analyze({"t": 0.3}, observable, ("t",), bounds=bounds) for bounds in (True, False))
    assert found.occurrences == whole.occurrences == {"t": 2.0}
    assert found.termination_probability == pytest.approx(1)
    assert found.error_bound >= whole.error_bound
    assert found.grad_error_bound["t"] >= whole.grad_error_bound["t"]
    assert whole == made.analyze({"t": 0.3}, observable, ("t",))
