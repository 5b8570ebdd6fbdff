"""Expectation values from shots: unbiased, calibrated, within budgets, and honest about what is not known."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.interpreter import value as exact_value
from scipy.stats import chi2
from value_estimates import estimate_expectation

from qdiff.errors import BackendError, EvaluationError, QdiffError
from qdiff.estimators import value_runs
from qdiff.estimators.budgets import FIRST, Budget
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.expectation import estimate_values
from qdiff.estimators.problem import Problem
from qdiff.lang.observable import P0, P1, Observable, Term, X, Y, Z, constant, count
from qdiff.lang.observable_input import observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.merged.backend import MergedBackend
from qdiff.sim.protocol import Capabilities, Job, Outcomes, Prepared, Readout
from qdiff.sim.seeds import derived_seed

PROGRAM = parse(
    "qubit: q, r\npara: t\ncount: c\n"
    "Ry(t)[q]; Ry(0.4)[r];\n"
    "while M[q] = 1 do c++; Rx(t)[r]; if flip(0.1) then abort fi; Ry(t)[q] od"
)
PARAMS = {"t": 1.2}
OBSERVABLE = Z("r") - 0.8 * Y("r") * Z("q") + 0.5 * count("c") * P1("r") + 0.3


class Recorded:
    """Hands out prepared outcomes, one for each job, and keeps the jobs."""

    name = "recorded"
    capabilities = replace(TrajectoryBackend.capabilities, inputs_by_shot=False)

    def __init__(self, *outcomes: Outcomes) -> None:
        self.outcomes = list(outcomes)
        self.jobs: list[Job] = []

    def prepare(self, program: Program, readout: Readout) -> Prepared:
        return Prepared(self.name, program, readout)

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        self.jobs.extend(jobs)
        return self.outcomes[: len(jobs)]


def rows(
    bits: Sequence[Sequence[int]],
    counters: Sequence[Sequence[int]] | None = None,
    counts: Sequence[int] | None = None,
    aborted: Sequence[int] = (),
    cut: Sequence[int] = (),
) -> Outcomes:
    stored = [[0]] * len(bits) if counters is None else counters
    index = np.arange(len(bits))
    return Outcomes(
        seed=1,
        counters=np.array(stored, dtype=np.int64),
        bits=np.array(bits, dtype=np.uint8).reshape(len(bits), -1),
        aborted=np.isin(index, aborted),
        cut=np.isin(index, cut),
        counts=None if counts is None else np.array(counts, dtype=np.int64),
    )


# --- Unbiased and calibrated ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def repetitions() -> tuple[np.ndarray, np.ndarray, list[bool]]:
    backend = TrajectoryBackend()
    estimates = [estimate_expectation(backend, PROGRAM, OBSERVABLE, PARAMS, 60, seed) for seed in range(200)]
    inside = []
    truth = exact_value(PROGRAM, OBSERVABLE, PARAMS)
    for estimate in estimates:
        low, high = estimate.interval(0.9)
        inside.append(bool(low <= truth <= high))
    return np.array([e.value for e in estimates]), np.array([e.stderr for e in estimates]), inside


def test_unbiased(repetitions: tuple[np.ndarray, np.ndarray, list[bool]]) -> None:
    values, _, _ = repetitions
    off = values.mean() - exact_value(PROGRAM, OBSERVABLE, PARAMS)
    assert abs(off) < 4 * values.std(ddof=1) / math.sqrt(len(values))


def test_calibrated(repetitions: tuple[np.ndarray, np.ndarray, list[bool]]) -> None:
    values, stderrs, inside = repetitions
    claimed = np.mean(stderrs**2)
    statistic = float(((values - values.mean()) ** 2).sum() / claimed)
    assert 1e-3 < chi2.sf(statistic, len(values) - 1) < 1 - 1e-3
    assert 0.84 < np.mean(inside) < 0.96


def test_every_letter_and_a_constant() -> None:
    program = parse("qubit: a, b\nH[a]; S[b]; X[b]")
    for measured, value in (
        (X("a"), 1),
        (Z("b"), -1),
        (P0("b"), 0),
        (P1("b") * X("a"), 1),
        (2 * P1("b") - 3 * X("a") + 1.5, 0.5),
        (constant(0.7), 0.7),
        (constant(0), 0),
    ):
        estimate = estimate_expectation(TrajectoryBackend(), program, measured, {}, 10, seed=1)
        assert (estimate.value, estimate.stderr, estimate.shots) == (pytest.approx(value), 0, 10)
    y = estimate_expectation(TrajectoryBackend(), parse("qubit: a\nRx(-pi/2)[a]"), Y("a"), {}, 10, seed=1)
    assert y.value == 1


CASES = json.loads((Path(__file__).parents[1] / "reference" / "cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reference_cases(case: dict[str, Any]) -> None:
    program = parse(case["program"])
    params = resolve(program, case["params"])
    estimate = estimate_expectation(
        TrajectoryBackend(), program, observable(case["observable"]), params, 100, seed=3
    )
    assert estimate.stderr < 1
    assert abs(estimate.value - case["value"]) <= 5 * estimate.stderr + 1e-9


# --- Means and variances -------------------------------------------------------------------------


def test_mean_and_error_are_over_all_shots() -> None:
    # Values 3, 0 (aborted), 1, -1 (Z of bit 1, counter 1).
    backend = Recorded(rows([[0], [0], [0], [1]], [[3], [9], [1], [1]], aborted=[1]))
    estimate = estimate_expectation(backend, PROGRAM, count("c") * Z("q"), PARAMS, 4, seed=1)
    values = np.array([3, 0, 1, -1])
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.stderr == pytest.approx(values.std(ddof=1) / 2)
    assert (estimate.estimator, estimate.seed, estimate.shots, estimate.bias_bound) == ("shots", 1, 4, 0)
    assert estimate.degrees == pytest.approx(3)


def test_unique_rows_count_as_often_as_they_occurred() -> None:
    unique = Recorded(rows([[0], [1], [0]], counts=[5, 3, 2], aborted=[2]))
    single = Recorded(rows([[0]] * 5 + [[1]] * 3 + [[0]] * 2, aborted=[8, 9]))
    first = estimate_expectation(unique, PROGRAM, Z("q"), PARAMS, 10, seed=1)
    second = estimate_expectation(single, PROGRAM, Z("q"), PARAMS, 10, seed=1)
    assert first.value == pytest.approx(0.2)
    assert (first.value, first.stderr) == pytest.approx((second.value, second.stderr))


def test_powers_of_counters() -> None:
    backend = Recorded(rows([[]] * 2, [[3], [-2]]))
    estimate = estimate_expectation(backend, PROGRAM, count("c") ** 3 / 2, PARAMS, 2, seed=1)
    assert estimate.value == pytest.approx((27 - 8) / 4)


def test_groups_add_up() -> None:
    backend = Recorded(rows([[0], [1], [0], [0]]), rows([[1], [0]]))
    estimate = estimate_expectation(backend, PROGRAM, 2 * X("q") + Z("q"), PARAMS, 6, seed=9)
    letters = [job.prepared.readout.bases for job in backend.jobs]
    assert letters == ["X", "Z"]
    assert estimate.value == pytest.approx(2 * 0.5 + 0)
    variances = 4 * np.var([1, -1, 1, 1], ddof=1) / 4, np.var([-1, 1], ddof=1) / 2
    assert estimate.stderr == pytest.approx(math.sqrt(sum(variances)))
    assert estimate.degrees == pytest.approx(
        sum(variances) ** 2 / (variances[0] ** 2 / 3 + variances[1] ** 2)
    )
    assert [job.seed for job in backend.jobs] == [derived_seed(9, 0), derived_seed(9, 1)]


def test_complex_coefficients_of_a_hermitian_observable() -> None:
    # i (P0 + P1 - 1) = 0 in any state
    i = Observable([Term(1j, operators=(("q", "P0"),)), Term(1j, operators=(("q", "P1"),)), Term(-1j)])
    backend = Recorded(rows([[0], [1], [1], [1]]))
    assert estimate_expectation(backend, PROGRAM, Z("q") + i, PARAMS, 4, seed=1).value == pytest.approx(-0.5)


# --- Shots ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("summed", "shots", "shares"),
    [
        (Z("q"), 2, [2]),
        (Z("q") * Z("r") + 100 + P1("q"), 17, [17]),
        (constant(0), 5, [5]),
        (X("q") + Z("q"), 4, [2, 2]),
        (X("q") + Z("q"), 9, [5, 4]),
        (3 * X("q") + Z("q"), 1000, [750, 250]),
        (1e6 * X("q") + Z("q") + 1e-9 * Y("q"), 100, [96, 2, 2]),
        (2 * X("q") + Y("q") + Z("q") + 50, 10, [5, 3, 2]),
        (X("q") + Y("q") + Z("q"), 2**59 - 1, [(2**59 + 1) // 3, (2**59 - 2) // 3, (2**59 - 2) // 3]),
        (3 * X("q") + Z("q"), 2**53 + 1, [3 * 2**51 + 1, 2**51]),
        (X("q") + 0.5 * Z("q") + 0.25 * Y("q"), 7 * 2**56, [4 * 2**56, 2 * 2**56, 2**56]),
    ],
)
def test_shots_are_shared_by_weight(summed: Observable, shots: int, shares: list[int]) -> None:
    backend = Recorded(*(rows([[0, 0], [1, 1]]) for _ in shares))
    estimate = estimate_expectation(backend, PROGRAM, summed, PARAMS, shots, seed=1)
    assert sorted((job.shots for job in backend.jobs), reverse=True) == shares
    assert estimate.shots == shots


def test_too_few_shots() -> None:
    with pytest.raises(QdiffError) as caught:
        estimate_expectation(Recorded(), PROGRAM, X("q") + Y("q") + Z("q"), PARAMS, 5, seed=1)
    assert str(caught.value) == (
        "5 shots are too few: the observable is read in 3 groups of terms, each measured on its own at "
        "least 2 times. Use at least 6 shots."
    )
    with pytest.raises(
        QdiffError, match=r"One shot is too few for a standard error\. Use at least 2 shots\."
    ):
        estimate_expectation(Recorded(), PROGRAM, Z("q"), PARAMS, 1, seed=1)
    with pytest.raises(QdiffError, match=r"shots must be a positive integer, got 0\."):
        estimate_expectation(Recorded(), PROGRAM, Z("q"), PARAMS, 0, seed=1)


def test_seeds() -> None:
    backend = TrajectoryBackend()
    drawn = estimate_expectation(backend, PROGRAM, OBSERVABLE, PARAMS, 50)
    again = estimate_expectation(backend, PROGRAM, OBSERVABLE, PARAMS, 50, seed=drawn.seed)
    assert (again.value, again.stderr) == (drawn.value, drawn.stderr)
    with pytest.raises(QdiffError, match="The seed must be an integer from 0"):
        estimate_expectation(backend, PROGRAM, OBSERVABLE, PARAMS, 50, seed=-1)


# --- Batches of shots ----------------------------------------------------------------------------


def values(*measured: Observable, shots: int | None = None, seed: int = 1, **options: Any) -> Estimate:
    """Of the program above, on the sampler or on `backend`, in one round or within a budget."""
    budgets = {name: options.pop(name) for name in ("precision", "max_shots", "seconds") if name in options}
    backend = options.pop("backend", None) or TrajectoryBackend()
    problem = Problem(backend, PROGRAM, measured, PARAMS, (), backend_name="trajectory", **options)
    shape = (len(measured),) if len(measured) > 1 else ()
    return estimate_values(problem, Budget(shots, **budgets), seed, shape)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_batches_add_up(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However shots are cut, each is run once: the same numbers to rounding."""
    whole = values(OBSERVABLE, X("q"), shots=150)
    monkeypatch.setattr(value_runs, "BATCH", batch)
    parts = values(OBSERVABLE, X("q"), shots=150)
    np.testing.assert_allclose(parts.value, whole.value, rtol=1e-12)
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(parts.degrees, whole.degrees, rtol=1e-9)
    assert (parts.shots, parts.reason) == (150, whole.reason)


def test_workers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_runs, "BATCH", 64)
    alone = values(OBSERVABLE, X("q"), shots=500)
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as executor:
            found = values(OBSERVABLE, X("q"), shots=500, executor=executor)
        assert np.array_equal(found.value, alone.value)
        assert np.array_equal(found.covariance, alone.covariance)


def test_workers_need_a_backend_with_a_name() -> None:
    with ThreadPoolExecutor(1) as executor:
        problem = Problem(TrajectoryBackend(), PROGRAM, (Z("q"),), PARAMS, (), executor=executor)
        with pytest.raises(
            QdiffError, match=r"^Workers of an executor rebuild everything from text and numbers"
        ):
            estimate_values(problem, Budget(100), 1, ())


def test_backends_that_sum_up_shots_run_them_at_once() -> None:
    backend = Recorded(rows([[0], [1]], counts=[200_000, 100_000]))
    found = values(Z("q"), shots=300_000, backend=backend)
    assert [job.shots for job in backend.jobs] == [300_000]
    assert (found.value, found.shots) == (pytest.approx(1 / 3), 300_000)


# --- Budgets -------------------------------------------------------------------------------------


def test_a_precision_is_reached_in_rounds() -> None:
    found = values(OBSERVABLE, precision=0.01)
    assert found.reached
    assert 0.008 < found.stderr <= 0.01
    shots, errors = [n for n, _, _ in found.course], [stderr[0] for _, _, stderr in found.course]
    assert (shots[0], shots[-1], errors[-1]) == (FIRST, found.shots, found.stderr)
    assert errors == sorted(errors, reverse=True)
    assert abs(found.value - exact_value(PROGRAM, OBSERVABLE, PARAMS)) < 4 * found.stderr
    assert found.interval_trusted
    assert found.covariance == pytest.approx(found.stderr**2)


def test_means_of_several_rounds_are_unbiased_and_calibrated() -> None:
    """Groups of different spread in rounds of different size, as one of all shots."""
    truth = exact_value(PROGRAM, OBSERVABLE, PARAMS)
    found = [values(OBSERVABLE, precision=1e-9, max_shots=7000, seed=seed) for seed in range(60)]
    errors = np.array([(e.value - truth) / e.stderr for e in found])
    assert [n for n, _, _ in found[0].course] == [2000, 7000]
    assert abs(errors.mean()) < 4 / math.sqrt(60)
    assert 1e-4 < chi2.sf(float((errors**2).sum()), 60) < 1 - 1e-4


def test_a_precision_out_of_reach() -> None:
    found = values(OBSERVABLE, precision=1e-4, max_shots=3000)
    assert (found.reached, found.shots) == (False, 3000)
    assert found.note.startswith("precision 0.0001 was not reached: the largest standard error is 0.")
    needed = int(found.note.split("about ")[1].split()[0])
    assert needed == pytest.approx(3000 * (found.stderr / 1e-4) ** 2, rel=0.06)


def test_seconds() -> None:
    found = values(OBSERVABLE, seconds=0.05, max_shots=10_000)
    assert FIRST <= found.shots <= 10_000
    assert found.reached


def test_precision_of_merged_shots() -> None:
    found = values(Z("r"), precision=1e-5, max_shots=10**12, backend=MergedBackend())
    assert found.reached
    assert found.shots > 10**9
    assert abs(found.value - exact_value(PROGRAM, Z("r"), PARAMS)) < 5 * found.stderr


def test_trust_is_judged_by_all_rounds() -> None:
    """Nine of 10⁴ shots differ: enough of all, too few of the last round alone (n p (1-p) ≥ 9)."""
    first, last = (
        Recorded(rows([[0], [1]], counts=[2000 - ones, ones]), rows([[0], [1]], counts=[3000 - more, more]))
        for ones, more in ((6, 5), (4, 4))
    )
    for backend, trusted in ((first, True), (last, False)):
        taken = iter(backend.outcomes)
        backend.run = lambda jobs, taken=taken: [next(taken)]  # type: ignore[method-assign]
        found = values(P1("q"), precision=1e-9, max_shots=5000, backend=backend)
        assert [n for n, _, _ in found.course] == [2000, 5000]
        assert found.interval_trusted is trusted
        if not trusted:
            assert found.reason.startswith("the shots are too few or too alike: an outcome that none of them")
            assert "could move the value by 0.0006, more than the standard error 0.00057" in found.reason


def test_a_constant_needs_no_precision() -> None:
    found = values(constant(0), precision=1e-6)
    assert (found.value, found.stderr, found.shots, found.reason) == (0, 0, FIRST, "")


def test_runs_that_are_all_alike_may_have_missed_something() -> None:
    """The rule of three decides how many there must be."""
    program = parse("qubit: q\nX[q]")
    problem = Problem(TrajectoryBackend(), program, (P1("q"),), {}, ())
    found = estimate_values(problem, Budget(precision=1e-4), 1, ())
    assert (found.value, found.stderr) == (1, 0)
    assert found.shots == 30_000
    assert found.reason.startswith("all shots gave the same number")


# --- Several observables -------------------------------------------------------------------------


def test_several_observables_share_their_shots() -> None:
    """The same runs as for one, where one run reads all terms; their covariance is that of the shots."""
    found = values(Z("q") * Z("r"), P1("r") - 0.5, count("c"), shots=400)
    each = [values(o, shots=400) for o in (Z("q") * Z("r"), P1("r") - 0.5, count("c"))]
    assert found.shots == 400
    np.testing.assert_array_equal(found.value, [e.value for e in each])
    np.testing.assert_allclose(found.stderr, [e.stderr for e in each], rtol=1e-12)
    [outcomes] = TrajectoryBackend().run(
        [Job(TrajectoryBackend().prepare(PROGRAM, Readout(("q", "r"))), PARAMS, 400, derived_seed(1, 0))]
    )
    q, r = outcomes.bits.T
    alive = outcomes.finished
    shown = np.stack([alive * (1.0 - 2 * (q ^ r)), alive * (r - 0.5), alive * outcomes.counters[:, 0]])
    np.testing.assert_allclose(found.value, shown.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(shown) / 400, atol=1e-15)
    np.testing.assert_allclose(np.diag(found.covariance), np.asarray(found.stderr) ** 2)


def test_terms_that_cannot_be_read_together_have_shots_of_their_own() -> None:
    backend = Recorded(rows([[0, 0], [1, 1]] * 30), rows([[1], [0], [1]] * 20))
    found = values(Z("q") + Z("r"), X("q"), Z("q") + X("q"), shots=120, backend=backend)
    assert [(job.prepared.readout.bases, job.shots) for job in backend.jobs] == [("ZZ", 72), ("X", 48)]
    np.testing.assert_allclose(found.value, [0, -1 / 3, -1 / 3])
    of_z, of_x = np.var([1, -1] * 30, ddof=1) / 60, np.var([-1, 1, -1] * 20, ddof=1) / 60
    expected = [[4 * of_z, 0, 2 * of_z], [0, of_x, of_x], [2 * of_z, of_x, of_z + of_x]]
    np.testing.assert_allclose(found.covariance, expected, atol=1e-15)


def test_covariance_of_several_is_calibrated() -> None:
    measured = Z("r") - 0.8 * Y("r") * Z("q"), X("q") + 0.5 * Z("r"), count("c")
    truth = np.array([exact_value(PROGRAM, o, PARAMS) for o in measured])
    found = [values(*measured, shots=600, seed=seed) for seed in range(150)]
    off = np.array([e.value for e in found]) - truth
    claimed = np.mean([e.covariance for e in found], axis=0)
    distance = np.einsum("ri,ij,rj->r", off, np.linalg.inv(claimed), off)
    assert 1e-4 < chi2.sf(float(distance.sum()), 3 * 150) < 1 - 1e-4
    correlated = (off[:, 0] * off[:, 1]).mean() / claimed[0, 1]
    assert 0.4 < correlated < 1.6


def test_which_of_several_is_doubtful() -> None:
    backend = Recorded(rows([[0, 0], [1, 0]] * 50))
    found = values(Z("r"), Z("q"), P1("q"), shots=100, backend=backend)
    assert found.reason == (
        "value[1] and 1 more: all shots gave the same number: an outcome that none of them showed could move "
        "the value by 0.06, more than the standard error 0"
    )


def test_too_few_shots_for_several() -> None:
    with pytest.raises(QdiffError) as caught:
        values(X("q"), Y("q"), shots=3)
    assert str(caught.value) == (
        "3 shots are too few: the 2 observables are read in 2 groups of terms, each measured on its own at "
        "least 2 times. Use at least 4 shots."
    )


# --- What the shots cannot tell ------------------------------------------------------------------


def test_runs_that_were_cut_leave_an_unknown_bias() -> None:
    backend = Recorded(rows([[0], [1]] * 200, cut=[0, 3, 5]))
    estimate = estimate_expectation(backend, PROGRAM, Z("q"), PARAMS, 400, seed=1)
    assert estimate.value == pytest.approx((199 - 198) / 400)
    assert estimate.bias_bound == math.inf
    assert not estimate.interval_trusted
    assert estimate.interval() == (-math.inf, math.inf)
    assert estimate.reason == (
        "3 of 400 runs were cut by the backend's step limit and count 0; "
        "what they would have given is unknown"
    )


def test_equal_outcomes_are_no_certainty() -> None:
    estimate = estimate_expectation(Recorded(rows([[0]] * 100)), PROGRAM, 0.1 * Z("q"), PARAMS, 100, seed=1)
    assert (estimate.value, estimate.stderr) == (0.1, 0)
    assert not estimate.interval_trusted
    assert estimate.reason == (
        "all shots gave the same number: an outcome that none of them showed could move the value by 0.006, "
        "more than the standard error 0"
    )


def test_the_zero_observable_is_certain() -> None:
    estimate = estimate_expectation(Recorded(rows([[]] * 5)), PROGRAM, constant(0), PARAMS, 5, seed=1)
    assert (estimate.value, estimate.stderr) == (0, 0)
    assert estimate.interval_trusted


def test_few_different_outcomes_are_not_trusted() -> None:
    """Two-valued outcomes: trusted from n p (1-p) = 9 on."""
    for ones, trusted in ((8, False), (9, False), (10, True), (50, True), (95, False)):
        backend = Recorded(rows([[1]] * ones + [[0]] * (100 - ones)))
        estimate = estimate_expectation(backend, PROGRAM, P1("q"), PARAMS, 100, seed=1)
        assert estimate.interval_trusted == trusted
        if not trusted:
            assert estimate.reason.startswith("the shots are too few or too alike: an outcome that none")


def test_the_spread_of_counters_is_what_was_seen() -> None:
    same = Recorded(rows([[]] * 50, [[4]] * 50))
    estimate = estimate_expectation(same, PROGRAM, count("c"), PARAMS, 50, seed=1)
    assert (estimate.value, estimate.stderr, estimate.interval_trusted) == (4, 0, False)
    assert "could move the value by 0.24," in estimate.reason
    varied = Recorded(rows([[]] * 100, [[i % 5] for i in range(100)]))
    assert estimate_expectation(varied, PROGRAM, count("c"), PARAMS, 100, seed=1).interval_trusted
    never = Recorded(rows([[]] * 50))
    assert estimate_expectation(never, PROGRAM, count("c"), PARAMS, 50, seed=1).value == 0


def test_reasons_are_joined() -> None:
    backend = Recorded(rows([[0]] * 10, cut=range(10)))
    estimate = estimate_expectation(backend, PROGRAM, Z("q"), PARAMS, 10, seed=1)
    assert estimate.reason.startswith("10 of 10 runs were cut")
    assert "; all shots gave the same number:" in estimate.reason


def test_step_limit_of_the_sampler_is_reported() -> None:
    program = parse("qubit: q\nif flip(0.5) then while flip(1) do skip od fi")
    backend = TrajectoryBackend(step_limit=50)
    estimate = estimate_expectation(backend, program, Z("q"), {}, 40, seed=1)
    assert 0.2 < estimate.value < 0.8  # finished runs count 1, cut ones 0
    assert estimate.bias_bound == math.inf
    assert "of 40 runs were cut" in str(estimate)


# --- Refusals ------------------------------------------------------------------------------------


def test_values_too_large() -> None:
    backend = Recorded(rows([[]] * 2, [[1], [10**15]]))
    with pytest.raises(EvaluationError) as caught:
        estimate_expectation(backend, PROGRAM, count("c") ** 30, PARAMS, 2, seed=1)
    assert (
        str(caught.value)
        == "The observable is too large a number where a run ended with {'c': 1000000000000000}."
    )


def test_backends_that_cannot_run_the_program() -> None:
    backend = Recorded()
    backend.capabilities = Capabilities(counters=True, mid_circuit_measurement=True)
    with pytest.raises(BackendError) as caught:
        estimate_expectation(backend, PROGRAM, Z("q"), PARAMS, 10, seed=1)
    assert str(caught.value) == (
        "Backend `recorded` cannot run this program. It lacks: loops (line 5), nested ifs (line 5), "
        "flip (line 5); it has: counters, mid circuit measurement. "
        "Backends that would serve: trajectory, merged, arrays."
    )
    assert not backend.jobs
