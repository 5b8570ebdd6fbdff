"""The gradient from trajectories: against rows, exact gradients and its own claims; what it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from estimators.honesty import SINGLE, SUBJECTS, assert_honest, one_error

import qdiff as qd
from qdiff.errors import BackendError, EvaluationError, ParameterError, QdiffError
from qdiff.estimators import trajectory
from qdiff.estimators.baselines import FEW, contributions
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.survival import LEAST_RUNS
from qdiff.lang.parameters import resolve
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Capabilities, Gradients, Job

CASES = json.loads((Path(__file__).parents[1] / "reference" / "cases.json").read_text())
LOOP = qd.parse(
    "qubit: q, r\npara: t, p\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q]; Rx(t*p)[r];"
    " if flip(p) then X[r] fi; if flip(0.05) then abort fi od"
)
PARAMS = {"t": 1.1, "p": 0.3}
OBSERVABLE = "c + 2*Z[r]"
F = qd.expectation(LOOP, OBSERVABLE)


def estimate(f: Any = F, params: Any = PARAMS, **options: Any) -> Estimate:
    options = {"backend": SINGLE, "shots": 50, "seed": 5} | options
    found = f.estimate_grad(params, estimator="trajectory", **options)
    assert isinstance(found, Estimate)
    return found


def rows(
    shots: int, wrt: Sequence[str] = ("t", "p"), seed: int = 5, first: int = 0, observable: str = OBSERVABLE
) -> Gradients:
    """The rows behind an estimate."""
    prepared = SINGLE.prepare_gradient(LOOP, [qd.observable(observable)], list(wrt))
    [found] = SINGLE.run_gradients([Job(prepared, PARAMS, shots, seed, first=first)])
    return found


def case(name: str) -> tuple[qd.Objective, dict[str, float], list[str]]:
    [found] = [each for each in CASES if each["name"] == name]
    program = qd.parse(found["program"])
    return (
        qd.expectation(program, found["observable"]),
        dict(resolve(program, found["params"])),
        list(program.trainable),
    )


# --- What it computes -------------------------------------------------------------------------------


def test_few_runs_are_compared_with_the_mean_of_the_others() -> None:
    found, of = estimate(wrt=["p", "t"]), rows(50, ["p", "t"])
    others = (of.values.sum() - of.values) / 49
    x = of.slopes[:, 0] - others * of.scores
    np.testing.assert_allclose(found.value, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.stderr, x.std(axis=0, ddof=1) / math.sqrt(50), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(x.T) / 50, rtol=1e-12)
    assert (found.shots, found.seed, found.estimator) == (50, 5, "trajectory")


@pytest.mark.parametrize("shots", [50, 5000])
def test_a_variance_has_fewer_degrees_of_freedom_where_tails_are_heavy(shots: int) -> None:
    x = contributions(rows(shots)).T
    around = x - x.mean(axis=0)
    kurtosis = (around**4).mean(axis=0) / (around**2).mean(axis=0) ** 2
    found = estimate(shots=shots)
    np.testing.assert_allclose(found.degrees, np.clip(2 * shots / (kurtosis - 1), 1, shots - 1), rtol=1e-9)
    np.testing.assert_allclose(found.stderr, x.std(axis=0, ddof=1) / math.sqrt(shots), rtol=1e-9)


def test_blocks_are_estimates_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven shots in blocks of at most four: 3, 4 and 4."""
    monkeypatch.setattr(trajectory, "BLOCK", 4)
    found = estimate(shots=11, seed=3)
    parts = [contributions(rows(n, seed=3, first=first)).T for first, n in ((0, 3), (3, 4), (7, 4))]
    np.testing.assert_allclose(found.value, sum(len(x) * x.mean(axis=0) for x in parts) / 11, rtol=1e-12)
    variances = [len(x) ** 2 * x.var(axis=0, ddof=1) / len(x) / 121 for x in parts]
    np.testing.assert_allclose(np.square(found.stderr), sum(variances), rtol=1e-12)


def test_no_block_has_one_shot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "BLOCK", 4)
    rounds = trajectory.Trajectory().on(_problem())
    for shots in (2, 3, 5, 101):
        blocks = list(rounds._blocks(shots, 1))
        assert [block.first for block in blocks] == list(
            np.cumsum([0, *(block.number for block in blocks[:-1])])
        )
        assert sum(block.number for block in blocks) == shots
        assert all(1 < block.number <= 4 for block in blocks)


def test_very_many_derivatives_make_blocks_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "NUMBERS", 500)
    rounds = trajectory.Trajectory().on(_problem())
    assert max(block.number for block in rounds._blocks(10_000, 1)) == 500 // 5


def _problem() -> Any:
    from qdiff.objective.shots import problem_of

    return problem_of(F, [F.quantity], resolve(LOOP, PARAMS), ("t", "p"), SINGLE, None)


@pytest.mark.parametrize("shots", [300, 6000])
def test_several_observables_come_from_the_same_runs(shots: int) -> None:
    texts = ["c", "Z[r]", OBSERVABLE]
    f = qd.expectation(LOOP, texts)
    together = f.estimate_jacobian(
        PARAMS, wrt=["p", "t"], estimator="trajectory", backend=SINGLE, shots=shots, seed=5
    )
    assert np.shape(together.value) == (3, 2)
    for value, stderr, text in zip(together.value, together.stderr, texts, strict=True):
        apart = estimate(qd.expectation(LOOP, text), shots=shots, wrt=["p", "t"])
        np.testing.assert_allclose(value, apart.value, rtol=1e-9)
        np.testing.assert_allclose(stderr, apart.stderr, rtol=1e-9)
    assert together.covariance is not None
    assert together.covariance.shape == (6, 6)
    if shots < FEW:  # the third is a sum of the others, run by run
        np.testing.assert_allclose(together.value[2], together.value[0] + 2 * together.value[1])
        combine = np.array([1.0, 0, 2, 0, -1, 0])
        assert combine @ together.covariance @ combine == pytest.approx(0, abs=1e-12)


# --- Unbiased, with the error that it says -------------------------------------------------------------


@pytest.mark.parametrize("name", [each["name"] for each in CASES])
def test_reference_cases(name: str) -> None:
    f, params, wrt = case(name)
    assert np.all(np.abs(one_error(f, params, wrt=wrt, shots=20_000, seed=4, estimator="trajectory")) < 4.5)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_few_and_many_runs_are_honest(subject: str) -> None:
    f, params = SUBJECTS[subject]()
    assert_honest(f, params, number=150, shots=400, estimator="trajectory")
    assert_honest(f, params, number=60, shots=5000, estimator="trajectory")


@pytest.mark.parametrize("shots", [2000, 5000])
def test_the_interval_holds_its_level(shots: int) -> None:
    exact, inside = F.grad(PARAMS), np.zeros(2)
    for seed in range(200):
        low, high = estimate(shots=shots, seed=seed).interval(0.95)
        inside += (low <= exact) & (exact <= high)
    assert np.all((inside >= 178) & (inside <= 199))  # 190 and four standard deviations; two-sided


def test_a_baseline_that_knows_the_run_is_biased() -> None:
    """With the mean of all runs for b the estimate of few shots is biased: the tests above would see it."""
    exact = F.grad(PARAMS)
    of = rows(60_000, seed=3)
    triples = [array.reshape(20_000, 3, -1) for array in (of.values, of.slopes[:, 0], of.scores)]
    values, slopes, scores = triples
    fair, unfair = (values.sum(1, keepdims=True) - values) / 2, values.mean(1, keepdims=True)
    for others in (fair, unfair):
        means = (slopes - others * scores).mean(axis=1)
        error = np.abs(means.mean(axis=0) - exact) / (means.std(axis=0) / math.sqrt(len(means)))
        assert (error < 4).all() if others is fair else (error > 6).any()


@pytest.mark.parametrize(
    ("name", "parameter", "goal"),
    [
        ("amplitude_amplification_10", "t", 896.4 / 800),
        ("quantum_walk_at_2", "t1", 1061.6 / 12_000),
        ("repeat_until_success", "t1", 10.4 / 400),
        ("geometric", "t", 0.01),
        ("flip_loop", "p", 5.0),
        ("conditions", "t", 8.0),
    ],
)
def test_the_variance_per_shot_is_small(name: str, parameter: str, goal: float) -> None:
    """At 10⁵ shots; the first two are the goals of the project."""
    f, params, _ = case(name)
    found = estimate(f, params, shots=10**5, wrt=parameter)
    assert found.stderr[0] ** 2 * 10**5 < goal
    assert abs(found.value[0] - f.grad(params, parameter)[0]) < 5 * found.stderr[0]


def test_read_out_errors_change_what_is_read() -> None:
    f = qd.expectation(LOOP, OBSERVABLE, noise=qd.NoiseModel(readout=(0.1, 0.2)))
    assert not np.allclose(f.grad(PARAMS), F.grad(PARAMS), rtol=0.05)
    assert_honest(f, PARAMS, number=100, shots=500, estimator="trajectory")


# --- Trust --------------------------------------------------------------------------------------------


def test_few_runs_of_a_loop_do_not_show_its_tails() -> None:
    few = estimate(shots=LEAST_RUNS - 1)
    assert few.reason.startswith(
        "1999 runs are too few to show what rare, long ones contribute: use 2000 or more"
    )
    assert not few.interval_trusted
    assert "too few" not in estimate(shots=LEAST_RUNS).reason
    assert estimate(shots=8000).interval_trusted
    bounded = qd.parse("qubit: q\npara: t\nRy(t)[q]; while{3} M[q] = 1 do Ry(t)[q] od")
    assert estimate(qd.expectation(bounded, "Z[q]"), {"t": 1.1}, shots=400).interval_trusted


def test_large_rare_contributions_are_noticed() -> None:
    """A loop that seldom runs long, and counts much then: the intervals of few shots are too short."""
    f, params, _ = case("geometric")
    exact = f.grad(params)
    found = [estimate(f, params, shots=LEAST_RUNS, seed=seed) for seed in range(100)]
    missed = [e for e in found if not e.interval()[0] <= exact <= e.interval()[1]]
    assert sum(e.interval_trusted for e in missed) <= 7
    assert sum(not e.interval_trusted for e in found) > 30
    assert any("lopsided" in e.reason for e in found)


def test_a_program_without_chance_is_exact() -> None:
    f = qd.expectation(qd.parse("qubit: q\npara: t\nRy(t)[q]"), "Z[q]")
    found = estimate(f, {"t": 0.4}, shots=2)
    assert found.value[0] == pytest.approx(-math.sin(0.4), abs=1e-12)
    assert found.stderr[0] == 0
    assert found.interval_trusted


def test_runs_that_do_not_differ_say_nothing() -> None:
    f = qd.expectation(qd.parse("qubit: q\npara: t\nif flip(0.000001) then Ry(t)[q] fi"), "Z[q]")
    found = estimate(f, {"t": 0.4}, shots=20)
    assert (found.value[0], found.stderr[0]) == (0, 0)
    assert found.reason == "runs that show no difference at all say nothing of their error"


def test_a_parameter_that_nothing_depends_on_takes_no_runs() -> None:
    f = qd.expectation(qd.parse("qubit: q\npara: t, u\nRy(t)[q]; if M[q] = 1 then Rx(1)[q] fi"), "Z[q]")
    found = estimate(f, {"t": 1.0, "u": 2.0}, wrt="u")
    assert (found.value[0], found.stderr[0], found.shots) == (0, 0, 0)
    both = estimate(f, {"t": 1.0, "u": 2.0}, wrt=["u", "t"], shots=30)
    assert both.interval_trusted
    assert (both.value[0], both.stderr[0], both.shots) == (0, 0, 30)


def test_cut_runs_are_reported() -> None:
    program = qd.parse("qubit: q\npara: t\nRy(t)[q]; if M[q] = 1 then while flip(1) do skip od fi")
    found = estimate(
        qd.expectation(program, "Z[q]"),
        {"t": 1.0},
        shots=40,
        backend=TrajectoryBackend(step_limit=50),
        assume_finite=True,
    )
    assert found.bias_bound == math.inf
    assert "of 40 runs were cut by the backend's step limit and count 0" in found.reason


# --- Workers ------------------------------------------------------------------------------------------


def test_workers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectory, "BLOCK", 5000)
    options = {"shots": 18_000, "backend": None}
    here = estimate(**options)
    with ThreadPoolExecutor(3) as pool:
        there = estimate(**options, executor=pool)
    for name in ("value", "stderr", "degrees", "covariance"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


def test_processes_get_text_and_numbers() -> None:
    options = {"shots": 2**16 + 1000, "backend": None}
    here = estimate(**options)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        there = estimate(**options, executor=pool)
    np.testing.assert_array_equal(here.value, there.value)
    np.testing.assert_array_equal(here.covariance, there.covariance)


def test_workers_need_a_backend_by_name() -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(QdiffError, match="they need a backend that is known by name"),
    ):
        estimate(executor=pool)


# --- Refusals -----------------------------------------------------------------------------------------


def test_refusals() -> None:
    class Plain(TrajectoryBackend):
        name = "plain"
        capabilities = replace(TrajectoryBackend.capabilities, tangents=False)

    assert isinstance(Plain.capabilities, Capabilities)
    with pytest.raises(BackendError) as caught:
        estimate(backend=Plain())
    assert str(caught.value) == (
        'Runs of backend `plain` carry no derivatives, which estimator "trajectory" needs: use backend '
        '`trajectory`, or estimator "stratified" or "insertion".'
    )
    with pytest.raises(QdiffError, match=r'^1 shot is too few: the estimator "trajectory" needs at least 2'):
        estimate(shots=1)
    with pytest.raises(ParameterError, match="'x' is not a parameter"):
        estimate(wrt=["x"])
    certain = qd.expectation(qd.parse("qubit: q\npara: p\nif flip(p) then X[q] fi"), "Z[q]")
    with pytest.raises(EvaluationError, match=r'such a choice has no score\. Use estimator "stratified"'):
        estimate(certain, {"p": 0.0}, wrt="p")


def test_numbers_that_are_too_large() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]; if M[q] = 1 then skip fi"), 1e75 * qd.Z("q"))
    with pytest.raises(
        EvaluationError, match=r"^The observable of run 0 is too large a number: its fourth power"
    ):
        f.estimate_grad([0.4], shots=20, seed=1, estimator="trajectory")
