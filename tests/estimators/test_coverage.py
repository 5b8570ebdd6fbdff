"""Intervals hold their level: a reduced form of `python -m benchmarks.interval_coverage`, at fixed seeds.

In full it is a thousand repetitions of every reference case: `make interval-coverage`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import binom, chi2

from benchmarks.interval_coverage import LEAST, MOST, Covered, covered, subjects
from benchmarks.repetitions import repeated
from qdiff.estimators.method import Estimator
from qdiff.estimators.problem import Problem
from qdiff.estimators.rounds import Round, Rounds

UNLIKELY = 1e-5
"""That a number of intervals is outside of what an estimator may show that meets the goal."""
REPETITIONS = 100
MANY = 400
"""With so many, intervals that always hold are caught as well."""


def found(case: str, estimator: str | Estimator, shots: int, number: int = REPETITIONS) -> list[Covered]:
    """What repetitions of a reference case show, by parameter."""
    [subject] = [each for each in subjects(case) if each.name == case]
    return list(covered(subject, "as given", repeated(subject, estimator, shots, number, first_seed=1000)))


def holds(row: Covered) -> bool:
    """Whether as many intervals hold the derivative as LEAST … MOST lets expect."""
    return holds_of(round(row.inside * row.repetitions), row.repetitions)


def holds_of(inside: int, number: int) -> bool:
    """The same of so many of so many intervals."""
    return bool(binom.ppf(UNLIKELY, number, LEAST) <= inside <= binom.isf(UNLIKELY, number, MOST))


def calibrated(row: Covered) -> bool:
    """Whether the spread is the one that estimates say, up to what chance does to normal ones."""
    freedom = row.repetitions - 1
    low, high = chi2.ppf([UNLIKELY, 1 - UNLIKELY], freedom) / freedom
    return bool(low <= 1 / row.calibration <= high)


@pytest.mark.parametrize(
    ("estimator", "case", "shots"),
    [
        ("stratified", "amplitude_amplification_10", 10_000),
        ("stratified", "flip_loop", 10_000),
        ("stratified", "multi_outcome_case", 10_000),
        ("stratified", "conditions", 10_000),
        ("trajectory", "amplitude_amplification_10", 10_000),
        ("trajectory", "repeat_until_success", 10_000),
        ("trajectory", "geometric", 10_000),
        ("insertion", "bounded_aborts", 5000),
    ],
)
def test_intervals_hold_their_level(estimator: str, case: str, shots: int) -> None:
    rows = found(case, estimator, shots)
    assert rows
    for row in rows:
        assert holds(row), row.row()
        assert calibrated(row), row.row()
        assert row.away <= 4.5, row.row()


def test_intervals_are_no_wider_than_their_level() -> None:
    """So many repetitions tell 95 % from always: 400 of 400 are too many, and 340 too few."""
    assert not holds_of(MANY, MANY)
    assert not holds_of(340, MANY)
    [row] = found("bounded_aborts", "trajectory", 300, MANY)
    assert holds(row), row.row()
    assert calibrated(row), row.row()


def test_few_large_contributions_are_noticed_where_intervals_may_miss() -> None:
    """The published law at few shots: what long runs give is rare and large."""
    for row in found("flip_loop", "insertion", 300):
        assert row.trusted < 0.7
        assert row.reason.startswith("150 runs are too few")
        assert "a few large contributions make the error lopsided" in row.reason
        assert row.away <= 4.5


def test_derivatives_without_variance_are_left_out() -> None:
    assert found("static_vqe", "trajectory", 100) == []
    [row] = found("sign_cancels", "stratified", 100)
    assert row.parameter == "a"


# --- Subjects that must be caught --------------------------------------------------------------------------


@dataclass(frozen=True)
class Normal(Estimator):
    """The mean of a few normal numbers around a derivative, with what it claims of its error.

    Args:
        claimed: the claimed variance over the true one. degrees: the claimed ones, None for the true ones.
    """

    name = "normal"
    sums_occurrences = False

    exact: float
    numbers: int
    claimed: float = 1.0
    degrees: float | None = None

    def on(self, problem: Problem) -> Rounds:
        return _Normal(self)


@dataclass(frozen=True, eq=False)
class _Normal:
    normal: Normal
    name = "normal"
    least = 2

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        made = self.normal
        x = made.exact + np.random.default_rng(seed).normal(size=made.numbers)
        variance = made.claimed * np.array([[x.var(ddof=1) / made.numbers]])
        degrees = made.numbers - 1 if made.degrees is None else made.degrees
        return Round(np.array([x.mean()]), variance, np.zeros(1), np.array([float(degrees)]), shots)


def judged(numbers: int, claimed: float, degrees: float | None) -> Covered:
    """What repetitions of normal numbers show."""
    [subject] = [each for each in subjects("geometric") if each.name == "geometric"]
    [exact] = subject.exact().tolist()
    [row] = found("geometric", Normal(exact, numbers, claimed, degrees), 2, MANY)
    return row


@pytest.mark.parametrize("numbers", [3, 10])
def test_honest_intervals_pass(numbers: int) -> None:
    row = judged(numbers, 1.0, None)
    assert holds(row)
    assert calibrated(row)


@pytest.mark.parametrize(
    ("numbers", "claimed", "degrees", "verdict"),
    [
        (10, 1 / 4, None, "MISSED, below by"),  # half of the error
        (10, 4.0, None, "MISSED, above by"),  # twice the error
        (3, 1.0, math.inf, "MISSED, below by"),  # two degrees of freedom, taken for any number
        (10, 1.0, 1.0, "MISSED, above by"),  # nine of them, taken for one
    ],
)
def test_intervals_that_are_too_narrow_or_too_wide_are_caught(
    numbers: int, claimed: float, degrees: float | None, verdict: str
) -> None:
    row = judged(numbers, claimed, degrees)
    assert not holds(row)
    assert calibrated(row) == (claimed == 1)  # degrees of freedom show in the intervals only
    assert row.verdict.startswith(verdict)
