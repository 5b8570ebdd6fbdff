"""Rows: the sets of counter values that angles and probabilities read."""

from __future__ import annotations

from qdiff.lang.text.parser import parse
from qdiff.sim.flow import lower
from qdiff.sim.readings import Rows


def test_rows_are_told_apart_by_what_an_expression_reads() -> None:
    flow = lower(parse("qubit: q para: t count: a, b, c Ry(t*a)[q]; Ry(t*b)[q]; Ry(t)[q]; c := 1"))
    rows = Rows(flow)
    of = {str(e): i for i, e in enumerate(flow.expressions)}
    by_a, by_b, alone = of["t*a"], of["t*b"], of["t"]
    assert rows.counters == [0, 1]
    assert rows.row(alone, (5, 6, 7)) == 0
    assert rows.row(by_a, (5, 6, 7)) == rows.row(by_a, (5, 9, 9)) == 1
    assert rows.row(by_b, (5, 6, 7)) == 2
    assert rows.row(by_a, (0, 1, 1)) == 0
    assert rows.keys == [(0, 0), (5, 0), (0, 6)]
