"""Rows of a table, with and without goals. Nothing is timed here."""

from __future__ import annotations

from benchmarks.figures import Figure, Found, NotRun, amount, median_quotient


def test_a_row_says_whether_its_goal_is_met() -> None:
    assert Figure("parsing", "s", 3, lambda: 1.234).row() == "| parsing | 3 s | 1.23 s | met |"
    assert Figure("applications", "", 15, lambda: 16).row() == "| applications | 15 | 16 | MISSED |"


def test_a_goal_may_be_the_least() -> None:
    fast = Figure("rate", "shots/s", 2.5e6, lambda: 3.14e6, at_least=True)
    assert fast.row() == "| rate | ≥ 2.5 M shots/s | 3.14 M shots/s | met |"
    slow = Figure("rate", "shots/s", 2.5e6, lambda: 2.4e6, at_least=True)
    assert slow.row() == "| rate | ≥ 2.5 M shots/s | 2.4 M shots/s | MISSED |"


def test_a_row_without_a_goal_has_its_note_alone() -> None:
    assert (
        Figure("÷ peer", "", None, lambda: Found(12.3, "peer 1.0")).row() == "| ÷ peer |  | 12.3 | peer 1.0 |"
    )
    assert Figure("÷ peer", "", 1, lambda: Found(12.3, "old")).row() == "| ÷ peer | 1 | 12.3 | MISSED; old |"


def test_what_is_missing_is_not_run() -> None:
    def missing() -> float:
        raise NotRun("`peer` is not installed")

    assert Figure("÷ peer", "", None, missing).row() == "| ÷ peer |  | not run | `peer` is not installed |"


def test_amounts() -> None:
    rates = [amount(number, "shots/s") for number in (12.34, 1234.0, 2.5e6, 3e9)]
    assert rates == ["12.3 shots/s", "1.23 k shots/s", "2.5 M shots/s", "3 G shots/s"]
    assert amount(5000, "ms") == "5e+03 ms"
    assert amount(0.5, "") == "0.5"


def test_a_quotient_compares_calls_side_by_side() -> None:
    calls: list[str] = []
    quotient = median_quotient(lambda: calls.append("f"), lambda: calls.append("g"), 3)
    assert quotient > 0
    assert calls == ["f", "g"] * 4
