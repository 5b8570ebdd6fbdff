"""Expectation values from shots: unbiased, calibrated, and honest about what they cannot know."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.interpreter import value as exact_value
from scipy.stats import chi2

from qdiff.errors import BackendError, EvaluationError, QdiffError
from qdiff.estimators.expectation import estimate_expectation
from qdiff.lang.observable import P0, P1, Observable, Term, X, Y, Z, constant, count
from qdiff.lang.observable_input import observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.machine.backend import TrajectoryBackend
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
    capabilities = TrajectoryBackend.capabilities

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
        (X("q") + Y("q") + Z("q"), 2**63 - 1, [(2**63 + 1) // 3, (2**63 - 2) // 3, (2**63 - 2) // 3]),
        (3 * X("q") + Z("q"), 2**53 + 1, [3 * 2**51 + 1, 2**51]),
        (X("q") + 0.5 * Z("q") + 0.25 * Y("q"), 7 * 2**70, [4 * 2**70, 2 * 2**70, 2**70]),
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
    with pytest.raises(QdiffError, match="The number of shots must be a positive integer, got 0"):
        estimate_expectation(Recorded(), PROGRAM, Z("q"), PARAMS, 0, seed=1)


def test_seeds() -> None:
    backend = TrajectoryBackend()
    drawn = estimate_expectation(backend, PROGRAM, OBSERVABLE, PARAMS, 50)
    again = estimate_expectation(backend, PROGRAM, OBSERVABLE, PARAMS, 50, seed=drawn.seed)
    assert (again.value, again.stderr) == (drawn.value, drawn.stderr)
    with pytest.raises(QdiffError, match="The seed must be an integer from 0"):
        estimate_expectation(backend, PROGRAM, OBSERVABLE, PARAMS, 50, seed=-1)


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


def test_observables_that_do_not_fit() -> None:
    with pytest.raises(QdiffError, match="names the qubit `z`, which is not declared"):
        estimate_expectation(Recorded(), PROGRAM, Z("z"), PARAMS, 10, seed=1)
    with pytest.raises(QdiffError) as caught:
        estimate_expectation(Recorded(), PROGRAM, X("q") * Z("q"), PARAMS, 10, seed=1)
    assert "is not Hermitian: its expectation is not real." in str(caught.value)


def test_backends_that_cannot_run_the_program() -> None:
    backend = Recorded()
    backend.capabilities = Capabilities(counters=True, mid_circuit_measurement=True)
    with pytest.raises(BackendError) as caught:
        estimate_expectation(backend, PROGRAM, Z("q"), PARAMS, 10, seed=1)
    assert str(caught.value) == (
        "Backend `recorded` cannot run this program. It lacks: loops (line 5), nested ifs (line 5), "
        "flip (line 5); it has: counters, mid circuit measurement. "
        "Backends that would serve: trajectory, merged."
    )
    assert not backend.jobs
