"""The table of estimators: its exact variances, its statistics, and that it can be printed and drawn."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import qdiff as qd
from benchmarks import (
    error_curves,
    estimator_cases,
    estimators,
    exact_variances,
    interval_coverage,
    workloads,
)
from benchmarks.error_curves import Panel
from benchmarks.estimator_cases import BASELINE, ESTIMATORS, LIMITS, Case, variances
from benchmarks.estimators import Measured
from benchmarks.interval_coverage import Covered, covered
from benchmarks.occurrence_moments import OccurrenceMoments, occurrence_moments
from benchmarks.overhead import Overhead, overhead
from benchmarks.repetitions import Repetitions, Subject, repeated
from benchmarks.workloads import Workload

CONTROLLED = Workload(
    "a controlled rotation in a loop",
    qd.parse(
        "qubit: q, r  para: t  count: c  H[q];"
        " while M[r] = 0 do C_Ry(t)[q][r]; Rx(0.7)[q]; if c < 3 then c++ fi od"
    ),
    {"t": 2.1},
    "c * P1[q]",
)
CASE = Case(CONTROLLED, "t", {"stratified": 1 / 2, "trajectory": 1e-9})


@pytest.fixture(scope="module")
def moments() -> OccurrenceMoments:
    return occurrence_moments(CONTROLLED, "t", "shift-paper")


def test_moments_add_up_to_the_derivative(moments: OccurrenceMoments) -> None:
    assert moments.derivative == pytest.approx(CONTROLLED.objective().grad(CONTROLLED.params)[0], abs=1e-8)
    assert moments.w.shape[1] == len(moments.terms) == 4
    assert np.all(np.diff(moments.square.sum(axis=1)) < 0)
    # |o| ≤ 3 and |w| ≤ 1/2; Jensen
    assert np.all(moments.second <= 9 * moments.square + 1e-15)
    assert np.all(moments.value**2 <= moments.second + 1e-15)
    assert np.all(moments.w**2 <= moments.square + 1e-15)


def test_moments_that_fall_by_one_ratio_are_continued() -> None:
    """The walk forgets everything in each pass: a few occurrences tell all."""
    walk = workloads.quantum_walk()
    found = occurrence_moments(walk, "t1")
    assert found.computed < 20 < len(found.w)
    assert found.derivative == pytest.approx(walk.objective().grad(walk.params, "t1")[0], abs=1e-8)
    drawn, best, strata, with_baselines = variances(found).values()
    assert (round(drawn, 1), round(best, 1), round(strata, 1)) == (1061.6, 232.7, 141.5)
    assert with_baselines == pytest.approx(0.1786, abs=1e-4)


def test_moments_need_an_end_and_listed_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.occurrence_moments.MOST_OCCURRENCES", 2)
    with pytest.raises(ArithmeticError, match="2 occurrences of `t` are not all"):
        occurrence_moments(CONTROLLED, "t")


def test_the_best_baselines_are_the_best(moments: OccurrenceMoments) -> None:
    def total(b: float, k: int) -> float:
        squares = moments.second[k] - 2 * b * moments.cross[k] + b * b * moments.square[k]
        variances = squares - (moments.value[k] - b * moments.w[k]) ** 2
        return float(np.sqrt(np.maximum(variances, 0)).sum())

    for k, found in enumerate(exact_variances.baselines(moments)[:4]):
        least = minimize_scalar(total, args=(k,), bracket=(-3, 3)).fun
        assert total(found, k) <= least + 1e-9
    assert (
        exact_variances.stratified_with_baselines(moments)
        < exact_variances.stratified(moments)
        < exact_variances.best_drawn(moments)
    )


@pytest.mark.parametrize("mu", ["log-power", "geometric"])
def test_estimates_have_the_variance_of_their_plan(moments: OccurrenceMoments, mu: str) -> None:
    estimator = qd.Insertion(mu=mu, rule="shift-paper", hazard=0.2)
    found = repeated(CASE.subject, estimator, 2000, 150)
    exact = exact_variances.drawn(moments, estimator.law())
    assert abs(found.claimed[0] - exact) < 5 * found.claimed_error[0]
    assert abs(found.variance[0] - exact) < 4 * found.variance_error[0]
    assert found.away(CASE.subject.exact())[0] < 4


def normal(
    spread: float, claimed: float, mean: float = 0.0, number: int = 400, reason: str = ""
) -> Repetitions:
    """Repetitions with a normal distribution, of 100 shots each."""
    value = np.random.default_rng(1).normal(mean, spread, (number, 1))
    stderr = np.full((number, 1), claimed)
    return Repetitions(
        value,
        stderr,
        value - 1.96 * stderr,
        value + 1.96 * stderr,
        np.full((number, 1), 99.0),
        np.zeros((number, 1)),
        np.full(number, 100),
        (reason,) * number,
    )


def test_statistics_of_repetitions() -> None:
    found = normal(0.2, 0.3)
    assert found.variance[0] == pytest.approx(100 * 0.04, abs=5 * found.variance_error[0])
    assert found.variance_error[0] == pytest.approx(4 * np.sqrt(2 / 400), rel=0.3)
    assert (found.claimed[0], found.claimed_error[0]) == (pytest.approx(9), pytest.approx(0, abs=1e-12))
    assert found.away(np.zeros(1))[0] < 4 < found.away(np.full(1, 0.1))[0]
    assert found.error(np.zeros(1))[0] == pytest.approx(0.2, rel=0.2)
    assert abs(found.skewness[0]) < 0.5
    constant = normal(0.0, 0.1)
    assert constant.away(np.zeros(1))[0] == 0
    assert constant.away(np.ones(1))[0] == np.inf
    assert constant.skewness[0] == 0


def test_repetitions_are_the_same_on_an_executor() -> None:
    here = repeated(CASE.subject, "stratified", 500, 45)
    with ThreadPoolExecutor(1) as executor:
        there = repeated(CASE.subject, "stratified", 500, 45, executor)
    assert here.number == there.number == 45
    np.testing.assert_array_equal(here.value, there.value)
    assert here.reasons == there.reasons
    assert len(set(here.value[:, 0])) == 45
    np.testing.assert_array_equal(
        repeated(CASE.subject, "stratified", 500, 3, first_seed=42).value, here.value[42:]
    )


# --- Verdicts ---


@pytest.fixture
def case() -> Case:
    """Its exact derivative and variances are given."""
    given = replace(CASE)
    plan = dict.fromkeys(estimator_cases.variances(occurrence_moments(workloads.quantum_walk(), "t1")), 4.0)
    given.__dict__["exact"] = {"shift": plan, "shift-paper": plan | {"drawn, log-power": 16.0}}
    return given


def measured(case: Case, name: str, spread: float, claimed: float, mean: float = 0.0) -> Measured:
    return Measured(case, name, normal(spread, claimed, mean + float(case.subject.exact()[0])))


def test_variances_have_verdicts(case: Case) -> None:
    right = measured(case, "stratified", 0.2, 0.2)
    assert right.complaints == []
    assert right.row().startswith("| stratified | 3.")
    assert right.row().endswith("| ≤ 1/2 | met |")
    assert measured(case, "trajectory", 0.2, 0.2).row().endswith("| ≤ 1/1000000000 | MISSED |")
    aimed = measured(replace_goals(case, {}, {"trajectory": 0.1}), "trajectory", 0.2, 0.2)
    assert aimed.row().endswith("| aim 1/10 | MISSED |")
    assert measured(case, "spsa", 0.2, 0.2).row().endswith("|  |  |")


def replace_goals(case: Case, goals: dict[str, float], aims: dict[str, float]) -> Case:
    found = replace(case, goals=goals, aims=aims)
    found.__dict__["exact"] = case.exact
    return found


def test_what_contradicts_itself_is_said(case: Case) -> None:
    assert measured(case, "stratified", 0.2, 0.2, 0.1).complaints[0].startswith("WRONG: the mean is ")
    assert measured(case, "stratified", 0.2, 0.1).complaints == [
        "WRONG: it says another variance than it has"
    ]
    wrong = ["WRONG: the exact variance is another one"]
    assert measured(case, "insertion, log-power", 0.3, 0.3).complaints == wrong
    assert measured(case, "insertion, adaptive", 0.1, 0.1).complaints == wrong
    assert measured(case, "insertion, adaptive", 0.3, 0.3).complaints == []
    biased = measured(case, "finite-shift", 0.2, 0.2, 0.1)
    bound = replace(biased.found, bias_bound=np.ones((400, 1)))
    assert replace(biased, found=bound).complaints == []


def test_fractions() -> None:
    assert [estimators.fraction(x) for x in (1 / 3.5, 1 / 55, 1 / 3000, 1, 1.234)] == [
        "1/3.5",
        "1/55",
        "1/3000",
        "1",
        "1.23",
    ]


def row(inside: float, trusted: float = 1.0, missed: float | None = None, away: float = 0.0) -> Covered:
    missed = 1 - inside if missed is None else missed
    return Covered("loop", "t", "stratified", 1000, inside, missed, trusted, 1.0, away, 0.1, 99.0, "lopsided")


def test_coverage_has_verdicts() -> None:
    assert row(0.95).verdict == "met"
    assert row(0.95, away=4.5).verdict == "MISSED: the mean is off"
    assert row(0.92).verdict == "undecided, below by 1.5 standard errors"
    assert row(0.91).verdict == "MISSED, below by 2.9 standard errors"
    assert row(0.985).verdict == "MISSED, above by 2.2 standard errors"
    assert row(0.8, trusted=0.5, missed=0.02).verdict == "met: those that miss say so"
    assert row(0.95).row() == (
        "| loop | t | stratified | 95.0 ± 0.7 % | 100 % | 1.000 | 0.0 | 0.10 | 99 | met; “lopsided” |"
    )


def test_coverage_is_counted() -> None:
    subject = Subject("none", "qubit: q  para: t  Ry(t)[q]", (("t", np.pi / 2),), "Z[q]", ("t",))
    [found] = covered(
        subject, "given", normal(0.2, 0.2, mean=-1, number=2000, reason="lopsided (skewness 9)")
    )
    assert found.inside == pytest.approx(0.95, abs=0.02)
    assert (found.trusted, found.missed, found.reason) == (0, 0, "lopsided")
    assert found.calibration == pytest.approx(1, abs=0.15)
    assert list(covered(subject, "given", normal(0, 0, mean=-1))) == []


def test_what_cannot_run_is_a_row() -> None:
    endless = Subject(
        "endless", "qubit: q  para: t  while M[q] = 0 do Ry(0*t)[q] od", (("t", 1.0),), "Z[q]", ("t",)
    )
    [line] = interval_coverage.coverage("stratified", [endless], 2, shots=100)
    assert isinstance(line, str)
    assert line.startswith("| endless | | stratified | not run |")


def test_all_reference_cases_are_covered() -> None:
    found = list(interval_coverage.subjects())
    assert len(found) == 15
    assert [each.name for each in interval_coverage.subjects("walk")] == [
        "quantum_walk_at_pi",
        "quantum_walk_at_2",
    ]
    assert all(each.wrt == qd.parse(each.program).trainable for each in found)


# --- The commands ---


def test_the_goals_are_those_of_the_issue() -> None:
    one, walk, success = estimator_cases.cases()
    assert one.goals["stratified"] == 1 / 55
    assert walk.goals == {
        "insertion, adaptive": 1 / 4,
        "stratified without baselines": 1 / 6,
        "stratified": 1 / 3000,
        "trajectory": 1 / 12_000,
    }
    assert success.goals == {"insertion, adaptive": 1 / 2}
    assert success.aims == {"stratified": 1 / 20, "trajectory": 1 / 1000}
    assert set(LIMITS) < set(ESTIMATORS)
    assert {name for case in (one, walk, success) for name in (*case.goals, *case.aims)} < set(ESTIMATORS)
    assert ESTIMATORS[BASELINE] == qd.Insertion(mu="log-power", rule="shift-paper", delta=0.25)


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["estimators", "--processes", "1", *arguments])
    monkeypatch.setattr(estimators, "cases", lambda: (CASE,))
    estimators.main()
    return capsys.readouterr().out.splitlines()


def test_the_command_prints_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(
        monkeypatch,
        capsys,
        *("--parts", "exact,measured", "--repetitions", "5", "--shots", "200", "--only", "stratified"),
    )
    assert lines[1] == f"baseline: {BASELINE}"
    assert lines[3] == "**a controlled rotation in a loop, t**: exact variance per shot"
    assert sum(line.startswith("| stratified") for line in lines) == 3
    assert lines[5] == "| plan | the paper's terms | ÷ baseline | terms of the least L1 | ÷ baseline |"
    assert lines[7].split(" | ")[2] == "1"


def test_the_command_times(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        estimators, "amplitude_amplification", lambda doubled_t: replace(CONTROLLED, params={"t": doubled_t})
    )
    lines = printed(
        monkeypatch, capsys, *("--parts", "speed", "--repeat", "1", "--shots", "200", "--only", "trajectory")
    )
    assert sum(line.startswith("| trajectory | ") for line in lines) == 1
    assert sum("to 1 %, trajectory, one thread | 1 s |" in line for line in lines) == 2


def test_the_command_covers_and_draws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def subjects(only: str = "") -> Iterator[Subject]:
        yield CASE.subject

    monkeypatch.setattr(interval_coverage, "subjects", subjects)
    monkeypatch.setattr(interval_coverage, "BUDGETS", {"trajectory": 100})
    monkeypatch.setattr(error_curves, "SHOTS", (50, 100))
    monkeypatch.setattr(error_curves, "panels", lambda cases, names: [Panel(CASE, names, (50, 100))])
    out = tmp_path / "new" / "estimators.png"
    lines = printed(
        monkeypatch,
        capsys,
        *("--parts", "coverage,picture", "--only", "trajectory", "--out", str(out)),
        *("--coverage-repetitions", "10", "--curve-repetitions", "4"),
    )
    assert any(line.startswith("| a controlled rotation in a loop | t | trajectory | ") for line in lines)
    assert any(line.startswith("Of 1 derivatives: ") and line.endswith("; 0 not run") for line in lines)
    assert any(line.endswith("error after | 50 shots | 100 shots |") for line in lines)
    assert lines[-1] == str(out)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_unknown_parts_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        printed(monkeypatch, capsys, "--parts", "exact,speeed")
    assert (
        "no part is called speeed; there are exact, measured, speed, coverage, picture"
        in capsys.readouterr().err
    )


def test_the_coverage_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (
        "--processes",
        "1",
        "--repetitions",
        "4",
        "--shots",
        "100",
        "--case",
        "bounded",
        "--estimator",
        "t",
    )
    monkeypatch.setattr(sys, "argv", ["interval_coverage", *arguments])
    interval_coverage.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3 + 2
    assert lines[2].startswith("| bounded_aborts | t | stratified | ")


def test_processes_are_asked_for() -> None:
    with interval_coverage.processes(1) as none:
        assert none is None
    with interval_coverage.processes(2) as executor:
        assert executor is not None


def test_overhead_is_what_the_runs_leave() -> None:
    found = overhead(CASE.subject, qd.Trajectory(), 1000, 2)
    assert found.runs > 0
    assert found.own > 0
    assert Overhead(20.0, 1.0).goal == 5
    assert Overhead(200.0, 1.0).goal == 20
