"""The table of arrays: every row is there, on the smallest sizes."""

from __future__ import annotations

import pytest

from benchmarks import arrays


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    arrays.main(["--qubits", "8", "--layers", "1", "--shots", "50", "--repeat", "1"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 17
    assert "a state of 8 qubits: bandwidth" in rows[0]
    assert "B/s" in rows[0]
    assert all("% of the bandwidth" in row for row in rows[1:14])
    assert "value + all derivatives" in rows[15]
    assert "array (numpy on cpu, complex128)" in rows[15]
    assert "50 shots side by side" in rows[16]
    assert "trajectories, one thread: " in rows[16]
