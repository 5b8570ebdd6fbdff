"""The three derivatives on which estimators are compared, the estimators, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import qdiff as qd
from benchmarks import exact_variances, workloads
from benchmarks.occurrence_moments import OccurrenceMoments, occurrence_moments
from benchmarks.repetitions import Subject
from benchmarks.workloads import Workload
from qdiff.estimators.insertion import Insertion
from qdiff.estimators.method import Estimator

BASELINE = "insertion, log-power, the paper's terms"
ESTIMATORS: Mapping[str, Estimator] = {
    BASELINE: qd.Insertion(rule="shift-paper"),
    "insertion, log-power": qd.Insertion(),
    "insertion, adaptive": qd.Insertion(mu="adaptive"),
    "stratified without baselines": qd.Stratified(control=None),
    "stratified with a constant for each occurrence": qd.Stratified(control="constant"),
    "stratified": qd.Stratified(),
    "finite-shift": qd.FiniteShift(),
    "spsa": qd.SPSA(),
    "trajectory": qd.Trajectory(),
}


@dataclass(frozen=True)
class Case:
    """A derivative.

    Attributes:
        goals: estimator → the variance per shot at most, over that of the baseline.
        aims: goals that were set before anything was measured.
    """

    workload: Workload
    parameter: str
    goals: Mapping[str, float]
    aims: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the table."""
        return f"{self.workload.name}, {self.parameter}"

    @property
    def subject(self) -> Subject:
        """What is estimated."""
        return Subject.of(self.workload, self.parameter)

    def moments(self, rule: str = "shift") -> OccurrenceMoments:
        """Of runs with an occurrence replaced, exact."""
        return occurrence_moments(self.workload, self.parameter, rule)

    @cached_property
    def exact(self) -> Mapping[str, Mapping[str, float]]:
        """Rule → plan → the exact variance per shot."""
        return {rule: variances(self.moments(rule)) for rule in ("shift-paper", "shift")}

    @property
    def baseline(self) -> float:
        """The exact variance per shot of the baseline."""
        return self.exact["shift-paper"]["drawn, log-power"]


def variances(moments: OccurrenceMoments) -> dict[str, float]:
    """Return plan → variance per shot."""
    made: dict[str, Callable[[OccurrenceMoments], float]] = {
        "drawn, log-power": lambda m: exact_variances.drawn(m, Insertion().law()),
        "drawn, the best law": exact_variances.best_drawn,
        "strata, the best shares": exact_variances.stratified,
        "strata with the best baselines, the best shares": exact_variances.stratified_with_baselines,
    }
    return {name: plan(moments) for name, plan in made.items()}


LIMITS = {
    BASELINE: ("shift-paper", "drawn, log-power"),
    "insertion, log-power": ("shift", "drawn, log-power"),
    "insertion, adaptive": ("shift", "drawn, the best law"),
    "stratified without baselines": ("shift", "strata, the best shares"),
    "stratified with a constant for each occurrence": (
        "shift",
        "strata with the best baselines, the best shares",
    ),
}
"""Estimator → (rule, plan): the exact variance that it has, or, where it learns, that it cannot go below."""
LEARNED = (
    "insertion, adaptive",
    "stratified without baselines",
    "stratified with a constant for each occurrence",
)


def cases() -> tuple[Case, ...]:
    """Amplitude amplification, the walk, and repeat until success."""
    return (
        Case(
            workloads.amplitude_amplification(),
            "t",
            {
                "insertion, adaptive": 1 / 4,
                "stratified without baselines": 1 / 7,
                "stratified": 1 / 55,
                "trajectory": 1 / 800,
            },
        ),
        Case(
            workloads.quantum_walk(),
            "t1",
            {
                "insertion, adaptive": 1 / 4,
                "stratified without baselines": 1 / 6,
                "stratified": 1 / 3000,
                "trajectory": 1 / 12_000,
            },
        ),
        Case(
            workloads.repeat_until_success(),
            "t1",
            {"insertion, adaptive": 1 / 2},
            {"stratified": 1 / 20, "trajectory": 1 / 1000},
        ),
    )
