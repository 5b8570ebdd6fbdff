"""The table of conversions can be made."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

import qdiff as qd
from benchmarks import interop
from benchmarks.interop import Subject


@pytest.mark.parametrize("dynamic", [False, True])
def test_subjects_are_the_same_in_all_forms(dynamic: bool) -> None:
    subject = Subject("few", 30, dynamic=dynamic)
    params = {name: 0.1 * i for i, name in enumerate(subject.program.parameters)}
    exact = qd.expectation(subject.program, "Z[q[1]]")(params)
    assert qd.expectation(qd.from_qasm3(subject.text), "Z[q[1]]")(params) == pytest.approx(exact, abs=1e-12)
    again = qd.from_qiskit(subject.program.to_qiskit())
    assert qd.expectation(again, "Z[q[1]]")(params) == pytest.approx(exact, abs=1e-12)


def test_the_table_has_its_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def once(action: Callable[[], object], repeat: int) -> float:
        action()
        return 1.0

    monkeypatch.setattr(interop, "median_seconds", once)
    monkeypatch.setattr(sys, "argv", ["interop", "--size", "12"])
    interop.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 12 ")]
    assert len(rows) == 12
    for what, goal in (("from Qiskit", "2 s"), ("to OpenQASM 3", "4 s")):
        assert sum(f": {what} | {goal} | 1 s | met |" in row for row in rows) == 2
