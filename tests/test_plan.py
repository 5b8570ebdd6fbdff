"""What a gradient will cost, said beforehand: held against what it then does cost."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.estimators.forecast import forecast
from qdiff.estimators.rounds import Round

CASES = {
    case["name"]: case
    for case in json.loads((Path(__file__).parent / "reference" / "cases.json").read_text())
}
PROGRAM = qd.parse(
    "qubit: q, r para: t, u, v count: c Ry(t)[q]; Rx(u)[r]; while M[q] = 1 do c++; Ry(t)[q] od"
)
AT = {"t": 1.0, "u": 0.3, "v": 1.0}


@pytest.mark.parametrize(
    ("name", "precision"), [("quantum_walk_at_2", 0.003), ("amplitude_amplification_10", 0.06)]
)
def test_predictions_come_true(name: str, precision: float) -> None:
    """Within a factor 2 of what is then spent; the parameter that is said to be expensive is."""
    case = CASES[name]
    f = qd.expectation(qd.parse(case["program"]), case["observable"])
    plan = qd.plan(f, case["params"], precision=precision, shots=4000, seed=1)
    assert (plan.spent, plan.estimator) == (4000, "stratified")
    found = f.estimate_grad(case["params"], precision=precision, seed=2)
    assert found.reached
    assert found.shots > 10_000
    assert 0.5 < plan.shots / found.shots < 2
    expensive = max(plan.by_parameter, key=lambda name: plan.by_parameter[name])
    assert plan.by_parameter[expensive] == plan.shots
    stderr = dict(zip(f.program.trainable, np.asarray(found.stderr), strict=True))
    assert stderr[expensive] > 0.85 * max(stderr.values())


def test_a_plan_is_an_estimate_too() -> None:
    """Unbiased, and worth a pilot: nothing that was spent is lost."""
    f = qd.expectation(PROGRAM, "Z[r]*Z[q] + c")
    plans = [qd.plan(f, AT, ["t", "u"], precision=0.1, seed=seed) for seed in range(20)]
    off = np.array([(p.estimate.value - f.grad(AT, ["t", "u"])) / p.stderr for p in plans])
    assert np.all(np.abs(off.mean(axis=0)) < 4 / math.sqrt(20))
    assert np.all(np.mean(off**2, axis=0) < 3)
    warm = f.estimate_grad(AT, ["t", "u"], shots=5000, seed=1, warm=plans[0].estimate)
    assert np.all(np.abs(warm.value - f.grad(AT, ["t", "u"])) < 4 * np.asarray(warm.stderr))
    # A look at how many occurrences there are takes a twentieth, what replaced runs taught is known.
    assert sum(int(one.shots.sum()) for one in warm.contributions) == 4750


@pytest.mark.parametrize("estimator", ["insertion", "trajectory", "finite-shift", "spsa"])
def test_every_estimator_has_plans(estimator: str) -> None:
    f = qd.expectation(PROGRAM, "Z[r]*Z[q]")
    plan = qd.plan(f, AT, "u", precision=0.004, estimator=estimator, seed=3)
    found = f.estimate_grad(AT, "u", precision=0.004, estimator=estimator, seed=4)
    assert plan.estimator == estimator
    assert 0.4 < plan.shots / found.shots < 2.5
    assert plan.seconds > 0


def test_a_precision_that_comes_for_nothing() -> None:
    """The first round of an estimate is enough; a parameter that does nothing costs nothing."""
    plan = qd.plan(qd.expectation(PROGRAM, "Z[r]"), AT, ["u", "v"], precision=0.1, seed=7)
    assert plan.shots == 2000
    assert 0 < plan.by_parameter["u"] < 2000
    assert plan.by_parameter["v"] == 0
    none = qd.plan(qd.expectation(PROGRAM, "Z[r]"), AT, "v", precision=0.1, seed=7)
    assert (none.shots, none.spent, none.seconds, none.by_parameter) == (0, 0, 0.0, {"v": 0})
    assert str(none) == (
        'A standard error of 0.1 by "stratified" takes no shots (0 shots were spent on this, seed 7):\n'
        "    v  no shots"
    )


def test_plans_of_vectors() -> None:
    f = qd.expectation(PROGRAM, ["Z[r]", "X[r] + 0.1*c", "X[r]"])
    plan = qd.plan(f, AT, ["t", "u"], precision=0.02, seed=1)
    assert plan.stderr.shape == (3, 2)
    found = f.estimate_jacobian(AT, ["t", "u"], precision=0.02, seed=2)
    assert 0.4 < plan.shots / found.shots < 2.5


# --- Numbers --------------------------------------------------------------------------------------


class Ticking:
    """An estimator with known variances, which takes a second a round and a millisecond a shot."""

    name = "ticking"
    least = 10

    def __init__(self, first: float, later: float) -> None:
        self.first, self.later = first, later
        self.time = 0.0
        self.rounds: list[tuple[int, int, object]] = []

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        self.rounds.append((shots, seed, learned))
        self.time += 1 + 0.001 * shots
        variance = self.first if learned is None else self.later
        covariance = np.diag([variance, variance / 4]) / shots
        return Round(np.zeros(2), covariance, np.zeros(2), np.full(2, np.inf), shots, learned="taught")


def test_the_first_round_is_counted_at_its_own_variance() -> None:
    made = Ticking(first=8.0, later=1.0)
    found = forecast(made, 0.01, 1000, 5, (2,), lambda: made.time)
    assert [(shots, learned) for shots, _, learned in made.rounds] == [
        (500, None), (10, "taught"), (490, "taught"),
    ]  # fmt: skip
    assert len({seed for _, seed, _ in made.rounds} | {5}) == 4
    n = found.needed / 1.05  # the margin
    np.testing.assert_allclose((2000 * np.array([8, 2]) + (n - 2000) * np.array([1, 0.25])) / n**2, 1e-4)
    assert found.estimate.shots == 1000
    assert found.a_shot == pytest.approx(0.001, rel=0.01)
    assert found.a_round == pytest.approx(1, rel=0.01)
    assert found.seconds(2000) == pytest.approx(1 + 2, rel=0.01)
    assert found.seconds(60_000) == pytest.approx(
        4 + 60, rel=0.01
    )  # rounds of 2000, 8000, 40000 and the rest


def test_a_round_whose_runs_are_all_alike_says_nothing() -> None:
    later = forecast(Ticking(first=0.0, later=1.0), 0.01, 1000, 5, (2,))
    np.testing.assert_allclose(later.needed, forecast(Ticking(1.0, 1.0), 0.01, 1000, 5, (2,)).needed)
    before = forecast(Ticking(first=1.0, later=0.0), 0.01, 1000, 5, (2,))
    np.testing.assert_allclose(before.needed, later.needed)


def test_a_first_round_that_is_enough() -> None:
    found = forecast(Ticking(1.0, 0.5), 0.1, 100, 5, (2,))
    np.testing.assert_allclose(found.needed, [100, 25])
    assert found.least == 2000


# --- Words ----------------------------------------------------------------------------------------


def plan_of(**changes: Any) -> qd.Plan:
    estimate = qd.Estimate(np.zeros(2), np.ones(2), 2000, 7, "insertion")
    fields: dict[str, Any] = {
        "precision": 0.01,
        "estimator": "insertion",
        "shots": 123_456,
        "seconds": 1.234,
        "by_parameter": {"u": 345, "w[0]": 123_456},
        "estimate": estimate,
    }
    return qd.Plan(**(fields | changes))


def test_text() -> None:
    assert (
        str(plan_of())
        == repr(plan_of())
        == (
            'A standard error of 0.01 by "insertion" takes about 120000 shots and 1.2 s (2000 shots were '
            "spent on this, seed 7):\n"
            "    w[0]  120000 shots\n"
            "    u     340 shots"
        )
    )
    for seconds, text in ((75.0, "75 s"), (600.0, "10 min"), (8640.0, "2 h"), (1.2e6, "330 h")):
        assert f"shots and {text} (" in str(plan_of(seconds=seconds))
    assert str(plan_of(by_parameter={"t": 1, "u": 0})).splitlines()[1:] == [
        "    t  1 shot",
        "    u  no shots",
    ]
    many = plan_of(by_parameter={f"t{i}": i for i in range(20)})
    assert str(many).splitlines()[-1] == "    and 8 more parameters"
    assert str(many).splitlines()[1] == "    t19  19 shots"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"bias_bound": np.array([0.0, 0.0123])}, "There is a bias besides, at most 0.012."),
        ({"bias_bound": math.inf}, "There is a bias besides, of unknown size."),
        ({"reason": "too few"}, "The prediction is rough: too few."),
    ],
)
def test_what_to_be_careful_of(changes: dict[str, Any], text: str) -> None:
    plan = plan_of(estimate=qd.Estimate(np.zeros(2), np.ones(2), 2000, 7, "insertion", **changes))
    assert str(plan).splitlines()[-1] == text
    assert plan.reason == changes.get("reason", "")


def test_a_precision_beyond_all_shots() -> None:
    plan = qd.plan(qd.expectation(PROGRAM, "Z[r]"), AT, "u", precision=1e-300, seed=7)
    assert str(plan).startswith(
        'A standard error of 1e-300 by "stratified" takes more shots than anyone can make (2000 shots'
    )


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": 0}, "precision is a standard error, a finite number above 0, got 0."),
        ({"precision": 0.1, "shots": 0}, "shots must be a positive integer, got 0."),
        (
            {"precision": 0.1, "shots": 15},
            '15 shots are too few to look ahead from: the estimator "stratified" needs at least 4 for a '
            "round here, and a plan four times as many. Use shots=16 or more.",
        ),
        ({"precision": 0.1, "mu": "zipf"}, 'mu is the law of the occurrence that "insertion" draws; '),
        ({"precision": 0.1, "wrt": "x"}, "wrt: 'x' is not a parameter. Parameters: t, u, v."),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        qd.plan(qd.expectation(PROGRAM, "Z[r] + c"), AT, **options)
    assert str(caught.value).startswith(message)


def test_what_has_no_plan() -> None:
    with pytest.raises(
        QdiffError, match=r"A plan is for an objective, qd\.expectation\(program, observable\); got"
    ):
        qd.plan(PROGRAM, AT, precision=0.1)  # type: ignore[arg-type]
    with pytest.raises(QdiffError, match=r"^Var\(c\) is not the mean of anything that a shot shows"):
        qd.plan(qd.expectation(PROGRAM, "c").variance, AT, precision=0.1)
    endless = qd.parse("qubit: q para: t Ry(t)[q]; if M[q] = 1 then while flip(1) do Rx(t)[q] od fi")
    with pytest.raises(QdiffError, match=r"infinite: a run never ends"):
        qd.plan(qd.expectation(endless, "Z[q]"), [1.0], precision=0.1)
