"""Finite shifts: unbiased for the difference, within the proved bias of the derivative, honest about both."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

import qdiff as qd
from qdiff.errors import BackendError, EvaluationError, QdiffError
from qdiff.estimators import shifted_runs
from qdiff.estimators.finite_shift import FiniteShift
from qdiff.estimators.problem import Problem
from qdiff.estimators.rounds import Combined
from qdiff.lang.noise.readout import ReadoutErrors
from qdiff.lang.parameters import resolve
from qdiff.objective.shots import problem_of
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Job, Outcomes
from qdiff.sim.seeds import derived_seed

CASES = json.loads((Path(__file__).parents[1] / "reference" / "cases.json").read_text())
LOOP = qd.parse(
    "qubit: q, r\npara: t, p\ncount: c\nRy(t)[q]; while M[q] = 1 do if c < 3 then c++ fi; Ry(t)[q]; Rx(t)[r];"
    " if flip(p) then X[r] fi; if flip(0.05) then abort fi od"
)
AT = {"t": 1.1, "p": 0.3}
SINGLE = TrajectoryBackend(threads=1)
OBSERVABLE = "Z[r] + c/4"
APART = FiniteShift(h=0.05, common_random_numbers=False)


def difference(f: qd.Objective, params: dict[str, float], name: str, h: float) -> float:
    sides = [f({**params, name: params[name] + sign * h}) for sign in (1, -1)]
    return (sides[0] - sides[1]) / (2 * h)


def problem(program: qd.Program, observables: Sequence[str], params: object, **options: object) -> Problem:
    made = Problem(
        TrajectoryBackend(),
        program,
        tuple([qd.observable(text) for text in observables]),
        resolve(program, params),
        program.trainable,
        backend_name="trajectory",
    )
    return replace(made, **options)  # type: ignore[arg-type]


# --- Unbiased up to the bound, and calibrated ------------------------------------------------------


@pytest.mark.parametrize("estimator", [FiniteShift(h=0.05), APART])
def test_the_mean_is_the_difference_and_the_error_is_right(estimator: FiniteShift) -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    rounds = estimator.on(problem_of(f, [f.quantity], AT, ("t", "p"), SINGLE, None))
    found = [rounds.round(400, seed) for seed in range(150)]
    values = np.array([each.value for each in found])
    claimed = np.mean([np.diag(each.covariance) for each in found], axis=0)
    exact, slopes, bias = [difference(f, AT, name, 0.05) for name in ("t", "p")], f.grad(AT), found[0].bias
    assert np.all((bias > 0) & (bias < math.inf))
    assert np.all(np.abs(exact - slopes) <= bias)
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    assert np.all(np.abs(values.mean(axis=0) - exact) < 4 * error)
    assert np.all(np.abs(values.mean(axis=0) - slopes) < bias + 4 * error)
    statistic = ((values - values.mean(axis=0)) ** 2).sum(axis=0) / claimed
    assert np.all((chi2.sf(statistic, 149) > 1e-3) & (chi2.sf(statistic, 149) < 1 - 1e-3))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reference_cases(case: dict[str, object]) -> None:
    """|value - ∂f| within the bound and 4.5 standard errors; without a bound, of the difference itself."""
    program = qd.parse(str(case["program"]))
    f, params = qd.expectation(program, str(case["observable"])), resolve(program, case["params"])
    found = f.estimate_grad(
        params, shots=4000 * len(program.trainable), seed=5, estimator=FiniteShift(h=0.02)
    )
    bias = np.broadcast_to(found.bias_bound, found.value.shape)
    for name, value, stderr, bound, slope in zip(
        program.trainable, found.value, found.stderr, bias, f.grad(params), strict=True
    ):
        exact = difference(f, params, name, 0.02)
        assert abs(value - exact) <= 4.5 * stderr + 1e-9
        assert abs(exact - slope) <= bound + 1e-9
    assert (found.note == "") == bool(np.all(np.isfinite(bias)))


def test_intervals_cover_what_they_claim() -> None:
    """The bias is added on both sides: they cover the derivative more often, the difference as often."""
    f = qd.expectation(LOOP, OBSERVABLE)
    rounds = FiniteShift(h=0.02).on(problem_of(f, [f.quantity], AT, ("t", "p"), SINGLE, None))
    exact, slopes = [difference(f, AT, name, 0.02) for name in ("t", "p")], f.grad(AT)
    inside, of_difference = np.zeros(2), np.zeros(2)
    for seed in range(200):
        found = Combined([rounds.round(2000, seed)], (2,)).estimate(seed, rounds.name)
        low, high = found.interval(0.95)
        inside += (low <= slopes) & (slopes <= high)
        low, high = replace(found, bias_bound=0.0).interval(0.95)
        of_difference += (low <= exact) & (exact <= high)
    assert np.all(inside >= of_difference)
    assert np.all((of_difference >= 178) & (of_difference <= 199))  # 190 and four standard deviations


def test_common_random_numbers_take_most_of_the_noise_away() -> None:
    """Amplitude amplification: runs at both sides stay together for long."""
    case = next(case for case in CASES if case["name"] == "amplitude_amplification_10")
    f = qd.expectation(qd.parse(case["program"]), case["observable"])
    together, apart = (
        f.estimate_grad(case["params"], "t", shots=20_000, seed=3, estimator=each)
        for each in (FiniteShift(h=0.05), FiniteShift(h=0.05, common_random_numbers=False))
    )
    assert together.stderr[0] ** 2 < apart.stderr[0] ** 2 / 8
    assert together.bias_bound == pytest.approx(apart.bias_bound)


def test_pairs_are_shots_with_the_same_random_numbers() -> None:
    """The numbers by hand: one group, one parameter."""
    program, shots, h = qd.parse("qubit: q para: t Ry(t)[q]; if M[q] = 1 then Rx(t)[q] fi"), 60, 0.2
    f = qd.expectation(program, "Z[q]")
    found = f.estimate_grad([0.7], shots=shots, seed=9, estimator=FiniteShift(h=h))
    backend, runs = TrajectoryBackend(), FiniteShift(h=h).on(problem(program, ["Z[q]"], [0.7])).runs
    [(prepared, _)] = runs._prepared
    jobs = [Job(prepared, {"t": 0.7 + sign * h}, shots // 2, derived_seed(9, 0)) for sign in (1, -1)]
    plus, minus = (1 - 2.0 * outcomes.bits[:, 0] for outcomes in backend.run(jobs))
    samples = (plus - minus) / (2 * h)
    assert found.value[0] == pytest.approx(samples.mean())
    assert found.stderr[0] == pytest.approx(samples.std(ddof=1) / math.sqrt(len(samples)))
    assert np.all(found.degrees == len(samples) - 1)


# --- The step ----------------------------------------------------------------------------------------


def test_the_chosen_step_is_said_and_shrinks_with_shots() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]"), "Z[q]")
    few, many = (f.estimate_grad([0.4], shots=n, seed=1, estimator="finite-shift") for n in (100, 10**6))
    steps = [float(each.note.split()[2]) for each in (few, many)]
    assert few.note == f"h = {steps[0]:.3g} was chosen for `t`"
    assert steps[1] < steps[0] / 3
    assert float(np.max(many.bias_bound)) < float(np.max(few.bias_bound)) / 9
    assert "bias at most" in str(many)


def test_nothing_proved_is_said() -> None:
    program = qd.parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; Ry(t)[q] od")
    f = qd.expectation(program, "c")
    found = f.estimate_grad([0.8], shots=1000, seed=1, estimator="finite-shift")
    assert found.note == (
        "h = 0.1 was chosen for `t`; no bound of the bias by `t` is proved: the observable is not bounded: "
        "too many values of `c` can be reached"
    )
    assert np.all(found.bias_bound == math.inf)
    low, high = found.interval(0.95)
    assert (low[0], high[0]) == (-math.inf, math.inf)
    assert abs(found.value[0] - difference(f, {"t": 0.8}, "t", 0.1)) < 4 * found.stderr[0]
    wide = qd.expectation(LOOP, OBSERVABLE).estimate_grad(
        AT, "t", shots=100, seed=1, estimator=FiniteShift(h=0.5)
    )
    assert wide.note == (
        "no bound of the bias by `t` is proved: the bound holds for smaller steps than h = 0.5 only"
    )


def test_a_problem_without_bounds() -> None:
    [found] = [FiniteShift().on(problem(LOOP, ["Z[r]"], AT)).round(200, 1)]
    assert found.notes == (
        "h = 0.1 was chosen for `t`, `p`",
        "no bound of the bias by `t`, `p` is proved: This problem was given no bounds of derivatives.",
    )


def test_probabilities_stay_probabilities() -> None:
    """f is affine in p: the largest step would be best, but p = 0.02 leaves room for less than 0.02."""
    f = qd.expectation(qd.parse("qubit: q para: p if flip(p) then X[q] fi"), "Z[q]")
    found = f.estimate_grad([0.02], shots=10_000, seed=2, estimator="finite-shift")
    assert found.note == "h = 0.0156, as far as the program has values, was chosen for `p`"
    assert abs(found.value[0] + 2) < 4 * found.stderr[0]
    assert np.all(found.bias_bound < 1e-12)
    for p, h, estimator in ((0.02, 0.1, FiniteShift(h=0.1)), (0.0, 1.0, FiniteShift())):
        with pytest.raises(EvaluationError) as caught:
            f.estimate_grad([p], shots=100, seed=2, estimator=estimator)
        message = str(caught.value)
        assert message.startswith(
            f'Estimator "finite-shift" runs the program at `p` = {p - h:g} and {p + h:g} (h = {h:g}): '
        )
        assert message.endswith(
            'Use a smaller step, qd.FiniteShift(h=...), or estimator "stratified", which needs no other '
            "values."
        )


# --- Several numbers ---------------------------------------------------------------------------------


def test_several_observables() -> None:
    """Places: first observable first. Numbers from the same runs are correlated, others are not."""
    observables = ["Z[r] + X[q]", "2*Z[r]*Z[q]", "c*P1[r]"]
    made = problem(LOOP, observables, AT)
    found = FiniteShift(h=0.05).on(made).round(40_000, 4)
    stderr = np.sqrt(np.diag(found.covariance))
    exact = [
        difference(qd.expectation(LOOP, text), AT, name, 0.05) for text in observables for name in ("t", "p")
    ]
    assert np.all(np.abs(found.value - exact) < 4 * stderr)
    correlation = found.covariance / np.outer(stderr, stderr)
    np.testing.assert_allclose(np.diag(correlation), 1)
    assert correlation[0, 1] == correlation[0, 3] == correlation[0, 5] == correlation[1, 4] == 0
    assert abs(correlation[0, 4]) > 0.05
    assert np.all(found.bias == math.inf)
    assert found.shots == 40_000


def test_groups_of_terms_share_the_pairs() -> None:
    rounds = FiniteShift(h=0.05).on(problem(LOOP, ["3*Z[r] + X[r]"], AT))
    assert rounds.channels == [("t", 0), ("t", 1), ("p", 0), ("p", 1)]
    assert rounds.least == 16
    found = rounds.round(17, 1)
    assert found.shots == 16  # an odd one is left


def test_least_shots() -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    with pytest.raises(QdiffError) as caught:
        f.estimate_grad(AT, shots=7, estimator="finite-shift")
    assert str(caught.value) == (
        '7 shots are too few: the estimator "finite-shift" needs at least 8 here. Use shots=8 or more.'
    )
    assert f.estimate_grad(AT, shots=8, estimator="finite-shift").shots == 8


def test_parameters_that_move_nothing_take_no_shots() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t, u, w Ry(t)[q]; Rx(u - u)[q]"), "Z[q]")
    at = {"t": 0.3, "u": 0.2, "w": 0.1}
    found = f.estimate_grad(at, ["u", "t", "w"], shots=1000, seed=1, estimator=FiniteShift(h=0.1))
    assert found.value[1] < 0 < found.stderr[1]
    assert found.value[[0, 2]].tolist() == found.stderr[[0, 2]].tolist() == [0, 0]
    assert found.bias_bound[[0, 2]].tolist() == [0, 0]
    nothing = f.estimate_grad(at, ["u", "w"], shots=1000, seed=1, estimator="finite-shift")
    assert (nothing.shots, nothing.value.tolist(), nothing.reason) == (0, [0, 0], "")


def test_aborted_and_cut_runs() -> None:
    program = qd.parse("qubit: q para: t Ry(t)[q]; if M[q] = 1 then while flip(1) do skip od fi")
    made = problem(program, ["1"], [1.0], backend=TrajectoryBackend(step_limit=50))
    found = FiniteShift(h=0.1).on(made).round(400, 1)
    assert found.cut > 0
    half = qd.expectation(qd.parse("qubit: q para: p if flip(p) then abort fi"), "1")
    value = half.estimate_grad([0.5], shots=4000, seed=1, estimator=FiniteShift(h=0.25))
    assert abs(value.value[0] + 1) < 4 * value.stderr[0]


def test_read_out_errors() -> None:
    errors = ReadoutErrors((("*", 0.1, 0.2),))
    program = qd.parse("qubit: q para: t Ry(t)[q]")
    found = FiniteShift(h=0.1).on(problem(program, ["X[q]"], [0.3], readout_errors=errors)).round(40_000, 1)
    exact = 0.7 * (math.sin(0.4) - math.sin(0.2)) / 0.2
    assert abs(found.value[0] - exact) < 4 * math.sqrt(found.covariance[0, 0])


# --- Where runs are made -----------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [FiniteShift(h=0.05), APART])
def test_blocks_and_workers_change_nothing(estimator: FiniteShift, monkeypatch: pytest.MonkeyPatch) -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    alone = f.estimate_grad(AT, shots=500, seed=3, estimator=estimator)
    monkeypatch.setattr(shifted_runs, "BLOCK", 17)
    blocks = f.estimate_grad(AT, shots=500, seed=3, estimator=estimator)
    np.testing.assert_allclose(blocks.value, alone.value, rtol=1e-12)
    np.testing.assert_allclose(blocks.covariance, alone.covariance, rtol=1e-9)
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as pool:
            found = f.estimate_grad(AT, shots=500, seed=3, estimator=estimator, executor=pool)
        assert found.value.tolist() == blocks.value.tolist()
        assert found.stderr.tolist() == blocks.stderr.tolist()


def test_other_processes() -> None:
    noise = qd.NoiseModel(readout={"*": (0.1, 0.2)})
    f = qd.expectation(LOOP, OBSERVABLE, noise=noise)
    alone = f.estimate_grad(AT, shots=300, seed=3, estimator="finite-shift")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = f.estimate_grad(AT, shots=300, seed=3, estimator="finite-shift", executor=pool)
        assert (found.value.tolist(), found.note) == (alone.value.tolist(), alone.note)
        with pytest.raises(QdiffError) as caught:
            f.estimate_grad(
                AT, shots=300, estimator="finite-shift", executor=pool, backend=TrajectoryBackend()
            )
    assert str(caught.value).startswith(
        "Workers of an executor rebuild everything from text and numbers, so they need a backend that is "
        'known by name, such as backend="trajectory"; got the object <'
    )


def test_a_backend_that_does_not_tell_shots_apart() -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    found = f.estimate_grad(AT, shots=20_000, seed=3, estimator=FiniteShift(h=0.05), backend="merged")
    assert found.note == (
        "runs of backend `merged` are not told apart by their number, so the two sides had random numbers of "
        "their own"
    )
    exact = [difference(f, AT, name, 0.05) for name in ("t", "p")]
    assert np.all(np.abs(found.value - exact) < 4 * found.stderr)
    quiet = f.estimate_grad(AT, shots=20_000, seed=3, estimator=APART, backend="merged")
    assert (quiet.note, quiet.value.tolist()) == ("", found.value.tolist())


def test_rows_that_cannot_be_paired() -> None:
    class Counting(TrajectoryBackend):
        name = "counting"

        def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
            return [
                replace(each, counts=np.ones(len(each.aborted), dtype=np.int64)) for each in super().run(jobs)
            ]

    made = problem(LOOP, ["Z[r]"], AT, backend=Counting())
    with pytest.raises(BackendError) as caught:
        FiniteShift(h=0.05).on(made).round(100, 1)
    assert str(caught.value) == (
        "Backend `counting` takes inputs by shot, but hands back rows that stand for several shots: which of "
        "them have the same random numbers is not known."
    )
    assert APART.on(made).round(100, 1).shots == 100


# --- Options -----------------------------------------------------------------------------------------


def test_options() -> None:
    assert qd.FiniteShift(h=1) == FiniteShift(h=1.0)
    assert (FiniteShift.name, FiniteShift.sums_occurrences) == ("finite-shift", False)
    with pytest.raises(QdiffError, match=r"^h is the step to both sides, a finite number above 0, got -1\.$"):
        FiniteShift(h=-1)
    with pytest.raises(QdiffError) as caught:
        FiniteShift(common_random_numbers="yes")  # type: ignore[arg-type]
    assert str(caught.value) == "common_random_numbers is True or False, got 'yes'."
    f = qd.expectation(LOOP, OBSERVABLE)
    with pytest.raises(QdiffError, match="is lost in the rounding of `t`"):
        f.estimate_grad({"t": 1e9, "p": 0.3}, shots=100, estimator=FiniteShift(h=1e-9))


def test_precision_takes_rounds() -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    found = f.estimate_grad(AT, precision=0.1, seed=1, estimator=FiniteShift(h=0.05))
    assert np.all(found.stderr <= 0.1)
    assert found.reached
    assert len(found.course) > 1
