"""Derivative bounds as users call them; what they are made of is tested with their parts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from exact_reference import ReferenceEngine
from helpers import assert_close

import qdiff as qd
from qdiff.errors import ParameterError
from qdiff.sim.derivative_bounds import OccurrenceBounds

TEXT = "qubit: q para: t, u, n count: c Ry(t)[q]; Ry(2*t)[q]; Rx(u)[q]; if c < n then c++ fi"
AT = {"t": 0.3, "u": 0.4, "n": 1}


class Counting(ReferenceEngine):
    """Knows that each gate is met once."""

    def occurrences_to_come(self, parameters: Mapping[str, float], wrt: str) -> OccurrenceBounds:
        return {"t": OccurrenceBounds(2.0, 1.0), "u": OccurrenceBounds(1.0, 0.0)}[wrt]


@pytest.fixture
def f() -> qd.Objective:
    program = qd.parse(TEXT)
    return qd.expectation(program, "3*Z[q]", engine=Counting(program))


def test_bounds_by_each_parameter(f: qd.Objective) -> None:
    found = qd.derivative_bounds(f, AT)
    assert list(found) == ["t", "u"]
    assert_close(found["u"].first, 3)
    assert_close(found["u"].second, 3)
    assert_close(found["t"].first, 3 * 2 * 2)
    assert_close(found["t"].second, 3 * 2 * 4 * 3)
    for name, slope in zip(found, f.grad(AT), strict=True):
        assert abs(slope) <= found[name].first
    assert list(qd.derivative_bounds(f, AT, wrt="u")) == ["u"]


def test_what_has_no_bounds(f: qd.Objective) -> None:
    with pytest.raises(ParameterError, match="There is no derivative by `n`"):
        qd.derivative_bounds(f, AT, wrt="n")
    with pytest.raises(ParameterError, match=r"of the expectation of one observable, .*; got Objective\(Var"):
        qd.derivative_bounds(f.variance, AT)
    with pytest.raises(ParameterError, match="no value for n"):
        qd.derivative_bounds(f, {"t": 1, "u": 2})
