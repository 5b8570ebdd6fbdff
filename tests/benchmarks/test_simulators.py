"""The command that prints the tables. Nothing is timed here."""

from __future__ import annotations

import sys

import pytest

from benchmarks import shots, simulators, static
from benchmarks.figures import Figure


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the rows that would have been measured."""
    found: list[str] = []
    monkeypatch.setattr(Figure, "row", lambda figure: found.append(figure.name))
    return found


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["simulators", *arguments])
    simulators.main()


def test_both_tables_or_those_that_are_named(
    measured: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    all_shots = [figure.name for figure in shots.figures(5, "python")]
    all_static = [figure.name for figure in static.figures(5, "python")]
    called(monkeypatch)
    assert measured == [*all_shots, *all_static]
    head = ["", "| what | goal | measured | |", "|---|---|---|---|"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("qdiff ")
    assert lines[1:4] == head
    measured.clear()
    called(monkeypatch, "static", "--only", "JAX")
    assert measured == [name for name in all_static if "JAX" in name]


def test_at_least_five_runs(measured: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    table = {"shots": lambda repeat, python: asked.append((repeat, python)) or iter(())}  # type: ignore[func-returns-value]
    monkeypatch.setattr(simulators, "TABLES", table)
    called(monkeypatch, "--repeat", "2", "--python", "another")
    assert asked == [(5, "another")]


def test_an_unknown_table_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        called(monkeypatch, "shot")
    assert "there is no table `shot`; there are shots, static" in capsys.readouterr().err
