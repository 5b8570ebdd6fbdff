"""The table of shots and its curves can be made. Nothing is timed here: what is measured is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import contests as contest_module
from benchmarks import processes, random_device, shot_curves, shots
from benchmarks.contests import Answer, beside
from benchmarks.figures import NotRun
from benchmarks.shot_curves import Line, Panel


def test_the_table_has_its_rows() -> None:
    found = [figure.name for figure in shots.figures(5, "python")]
    for part in ("one thread", "written by hand", "÷ Qiskit Aer", "÷ Q#", "÷ Catalyst", "÷ Qulacs"):
        assert sum(part in name for name in found) == 2
    for part in ("10⁶ merged shots", "10⁹ merged shots ÷ 10⁶", "trajectory adjoint"):
        assert sum(part in name for name in found) >= 2
    for part in ("after installation", "later process", "100 shots, two threads", "memory", "random_device"):
        assert any(part in name for name in found)


def test_goals_are_those_of_the_issue() -> None:
    goals = {figure.name: (figure.goal, figure.at_least) for figure in shots.trajectory_figures(5, "python")}
    one, walk = (contest.workload.name for contest in contest_module.contests())
    assert goals[f"{one}: trajectories, one thread"] == (2.5e6, True)
    assert goals[f"{one}: ÷ a kernel written by hand"] == (0.2, True)
    assert goals[f"{walk}: trajectories, one thread"] == (3e4, True)
    assert goals[f"{walk}: ÷ Qulacs"] == (None, False)
    assert [figure.goal for figure in shots.merged_figures(5)] == [10, 2, 50, 2]
    assert {figure.goal for figure in shots.adjoint_figures(5)} == {4}
    assert [figure.goal for figure in shots.process_figures(5)] == [10, 0.3, 10, 0.3]


def test_two_runners_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def runner(name: str, seconds: float) -> contest_module.Runner:
        def run(shots: int, seed: int) -> Answer:
            asked.append(name)
            # Half of the shots count 1, half 3; the mean is 2.
            return Answer(shots, seconds * shots, 2 * shots, 5 * shots)

        return run

    found = beside(runner("mine", 0.25), runner("other", 1.0), 2.0, 3)
    assert (found.quotient, found.rate) == (4.0, 1.0)
    assert asked[-6:] == ["other", "mine"] * 3
    with pytest.raises(NotRun, match="WRONG"):
        beside(runner("mine", 0.25), runner("other", 1.0), 200.0, 3)


def test_no_compiler_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_device, "COMPILERS", ("no-such-compiler",))
    [figure] = shots.random_device_figures()
    assert figure.row() == "| `std::random_device`: one draw |  | not run | no C++ compiler |"


def test_scripts_of_processes_print_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['A'])"
    assert processes.printed(script, 2, A="3") == [2, 3]
    times = iter([[9.0, 1.0], [0.2, 0.1], [0.5, 0.1], [0.25, 0.1], [8.0, 1.0]])
    monkeypatch.setattr(processes, "printed", lambda *_, **__: next(times))
    installed, later, *_ = shots.process_figures(3)
    assert later.row().endswith("| 0.3 s | 0.25 s | met; of it 0.1 s for importing Numba |")
    assert installed.row().endswith("| 10 s | 8 s | met; of it 1 s for importing Numba |")


def test_the_curves_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panels = (
        Panel("shots", "s", [Line("loop", (1, 10), lambda n: n), Line("merged", (1, 10), lambda n: 1, True)]),
        Panel("qubits", "shots/s", [Line("loop", (2, 4), lambda n: 1e5 / n)]),
    )
    shot_curves.draw(panels, tmp_path / "new" / "shots.png")
    assert (tmp_path / "new" / "shots.png").read_bytes().startswith(b"\x89PNG")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["shots: loop", "         1  1 s", "        10  10 s"]
    assert lines[-2] == "         4  25 k shots/s"


def test_the_curves_are_of_shots_passes_and_qubits() -> None:
    panels = shot_curves.panels(20)
    assert [panel.quantity for panel in panels] == ["shots", "expected passes", "qubits"]
    assert max(panels[0].lines[1].sizes) == 1e9
    assert panels[2].lines[0].sizes[-1] == 20
