"""Intervals hold their level: a reduced form of `python -m benchmarks.interval_coverage`, at fixed seeds.

In full it is a thousand repetitions of every reference case: `make interval-coverage`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import binom, chi2

import qdiff as qd
from benchmarks.interval_coverage import LEAST, MOST, Covered, covered, subjects
from benchmarks.repetitions import repeated
from qdiff.estimators.method import Estimator
from qdiff.estimators.problem import Problem
from qdiff.estimators.rounds import Round, Rounds

UNLIKELY = 1e-5
"""That a number of intervals is outside of what an estimator may show that meets the goal."""
REPETITIONS = 100


def found(case: str, estimator: str | Estimator, shots: int) -> list[Covered]:
    """What repetitions of a reference case show, by parameter."""
    [subject] = [each for each in subjects(case) if each.name == case]
    return list(
        covered(subject, "as given", repeated(subject, estimator, shots, REPETITIONS, first_seed=1000))
    )


def holds(row: Covered) -> bool:
    """Whether as many intervals hold the derivative as LEAST … MOST lets expect."""
    inside = round(row.inside * row.repetitions)
    least = binom.ppf(UNLIKELY, row.repetitions, LEAST)
    return bool(least <= inside <= binom.isf(UNLIKELY, row.repetitions, MOST))


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


def test_few_large_contributions_are_noticed_where_intervals_may_miss() -> None:
    """The published law at few shots: what long runs give is rare and large."""
    for row in found("flip_loop", "insertion", 300):
        assert row.trusted < 0.7
        assert row.reason.startswith("a few large contributions make the error lopsided")
        assert row.away <= 4.5


def test_derivatives_without_variance_are_left_out() -> None:
    assert found("static_vqe", "trajectory", 100) == []
    [row] = found("sign_cancels", "stratified", 100)
    assert row.parameter == "a"


@dataclass(frozen=True)
class Overconfident(Estimator):
    """Claims half of its standard error. This one must be caught."""

    name = "overconfident"

    def on(self, problem: Problem) -> Rounds:
        return _Overconfident(qd.Trajectory().on(problem))


@dataclass(frozen=True, eq=False)
class _Overconfident:
    rounds: Rounds
    name = "overconfident"

    @property
    def least(self) -> int:
        return self.rounds.least

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        found = self.rounds.round(shots, seed, learned)
        return replace(found, covariance=found.covariance / 4)


def test_an_estimator_that_claims_too_little_is_caught() -> None:
    rows = found("geometric", Overconfident(), 10_000)
    assert not any(holds(row) or calibrated(row) for row in rows)
    assert all(row.verdict.startswith("MISSED, below by") for row in rows)
    assert np.all([row.inside < 0.85 for row in rows])
