"""Rounds as one estimate: weights, covariance, degrees, third moments, bias, and reasons for doubt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from estimators.honesty import SINGLE

import qdiff as qd
from qdiff.errors import ParameterError
from qdiff.estimators.contributions import Contribution
from qdiff.estimators.methods import estimator_of
from qdiff.estimators.rounds import LARGEST_SKEWNESS, Combined, Round, welch
from qdiff.objective.shots import problem_of

ALIKE = "runs that show no difference at all say nothing of their error"
LOOP = qd.parse("qubit: q, r para: t, u Ry(t)[q]; while M[q] = 1 do Ry(t)[q]; Ry(t)[r] od")
ESTIMATORS = ("stratified", "insertion", "trajectory", "finite-shift", "spsa")


def a_round(value: list[float], shots: int, **others: Any) -> Round:
    """A round whose numbers are independent, with a variance of 1 a shot."""
    size = len(value)
    degrees = np.full(size, max(shots - 1.0, 1.0))
    given = {"covariance": np.eye(size) / max(shots, 1), "third": np.zeros(size), "degrees": degrees}
    return Round(np.array(value), shots=shots, **(given | others))


# --- Numbers ---------------------------------------------------------------------------------------


def test_weights_are_the_shares_of_the_shots() -> None:
    a, b = np.array([[4.0, 1.0], [1.0, 2.0]]), np.array([[1.0, -0.5], [-0.5, 1.0]])
    combined = Combined([a_round([1, 2], 100, covariance=a), a_round([3, -2], 300, covariance=b)], (2,))
    assert combined.shots == 400
    assert combined.shares.tolist() == [0.25, 0.75]
    np.testing.assert_allclose(combined.value, [2.5, -1.0])
    np.testing.assert_allclose(combined.covariance, a / 16 + 9 * b / 16)
    np.testing.assert_allclose(combined.stderr, np.sqrt([13 / 16, 19 / 16 - 0.5]))
    estimate = combined.estimate(7, "toy")
    np.testing.assert_allclose(estimate.value, combined.value)
    np.testing.assert_allclose(estimate.stderr, combined.stderr)
    assert estimate.covariance is not None
    np.testing.assert_allclose(estimate.covariance, combined.covariance)
    assert (estimate.shots, estimate.seed, estimate.estimator) == (400, 7, "toy")
    assert estimate.interval_trusted
    assert estimate.reached


def test_rounds_of_means_are_the_mean_of_all_runs() -> None:
    random = np.random.default_rng(5)
    some = [random.normal(2, 3, size=(n, 2)) for n in (500, 1500, 4000)]
    rounds = [
        a_round(
            x.mean(axis=0).tolist(),
            len(x),
            covariance=np.cov(x.T) / len(x),
            third=((x - x.mean(axis=0)) ** 3).mean(axis=0) / len(x) ** 2,
        )
        for x in some
    ]
    combined, every = Combined(rounds, (2,)), np.concatenate(some)
    np.testing.assert_allclose(combined.value, every.mean(axis=0))
    np.testing.assert_allclose(combined.covariance, np.cov(every.T) / len(every), rtol=0.05, atol=1e-4)
    np.testing.assert_allclose(combined.estimate(1, "toy").degrees, 5997, rtol=0.02)


def test_a_number_or_an_array() -> None:
    rounds = [a_round([1, 2, 3, 4], 10)]
    assert Combined(rounds, (2, 2)).estimate(1, "toy").value.tolist() == [[1, 2], [3, 4]]  # type: ignore[union-attr]
    one = Combined([a_round([1.5], 16, bias=np.array([0.25]))]).estimate(1, "toy")
    assert (one.value, one.stderr, one.degrees, one.bias_bound) == (1.5, 0.25, 15.0, 0.25)
    assert {type(x) for x in (one.value, one.stderr, one.degrees, one.bias_bound)} == {float}
    nothing = Combined([a_round([], 0)], (0,)).estimate(1, "toy")
    assert np.shape(nothing.value) == (0,)


def test_degrees_are_those_of_welch_and_satterthwaite() -> None:
    """(Σ s²)²/Σ s⁴/ν: of equal rounds the sum, of very different ones those of the noisy one."""
    equal = Combined([a_round([0], 11), a_round([0], 11)]).estimate(1, "toy")
    assert equal.degrees == pytest.approx(20)
    noisy = a_round([0], 11, covariance=np.array([[1e6]]))
    assert Combined([noisy, a_round([0], 11)]).estimate(1, "toy").degrees == pytest.approx(10, rel=1e-3)
    known = a_round([0], 11, degrees=np.array([math.inf]))
    assert Combined([known, known]).estimate(1, "toy").degrees == math.inf
    mixed = Combined([known, a_round([0], 11)]).estimate(1, "toy").degrees
    assert mixed == pytest.approx(4 * 10)
    still = a_round([0], 11, covariance=np.zeros((1, 1)))
    assert Combined([still, still]).estimate(1, "toy").degrees == math.inf
    few = welch(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[5.0], [5.0]]))
    assert few.tolist() == [10, math.inf]
    tiny = [a_round([0], 11, covariance=np.array([[1e-200]]))] * 2
    assert Combined(tiny).estimate(1, "toy").degrees == pytest.approx(20)  # squares do not vanish


def test_the_course_is_cumulative() -> None:
    rounds = [a_round([1], 1), a_round([2], 3), a_round([4], 4)]
    course = Combined(rounds).estimate(1, "toy").course
    assert [shots for shots, _, _ in course] == [1, 4, 8]
    np.testing.assert_allclose([value[0] for _, value, _ in course], [1, 1.75, 2.875])
    np.testing.assert_allclose([stderr[0] for _, _, stderr in course], [1, 0.5, math.sqrt(1 / 8)])


def test_what_is_kept_of_rounds() -> None:
    k, none = np.array([1, 2]), np.zeros(2)
    first, second = (
        a_round(
            [sum(values)],
            shots,
            contributions=(Contribution(0, "t", k, np.array(values), none, np.full(2, shots // 2)),),
            learned=learned,
            notes=notes,
        )
        for values, shots, learned, notes in (
            ([1.0, 2.0], 10, "first", ("hot", "slow")),
            ([5.0, 8.0], 30, "second", ("slow",)),
        )
    )
    estimate = Combined([first, second]).estimate(1, "toy")
    [found] = estimate.contributions
    assert found.occurrence.tolist() == [1, 2]
    np.testing.assert_allclose(found.value, [4.0, 6.5])
    assert found.shots.tolist() == [20, 20]
    assert estimate.learned == "second"
    assert estimate.note == "hot; slow"


@pytest.mark.parametrize("scale", [1e-90, 1e-60, 1e60])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_degrees_do_not_depend_on_the_unit(estimator: str, scale: float) -> None:
    loop = qd.parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od")
    one, other = (
        qd.expectation(loop, unit * qd.count("c")).estimate_grad(
            [1.1], shots=4000, seed=1, estimator=estimator, backend=SINGLE
        )
        for unit in (1.0, scale)
    )
    np.testing.assert_allclose(other.degrees, one.degrees, rtol=1e-6)
    np.testing.assert_allclose(other.stderr, scale * np.asarray(one.stderr), rtol=1e-6)


# --- Bias ------------------------------------------------------------------------------------------


def test_biases_are_weighted_as_values_are() -> None:
    rounds = [
        a_round([0, 0], 100, bias=np.array([0.4, 0.0])),
        a_round([0, 0], 300, bias=np.array([0.2, 0.1])),
    ]
    np.testing.assert_allclose(Combined(rounds, (2,)).estimate(1, "toy").bias_bound, [0.25, 0.075])
    assert Combined([a_round([0, 0], 100)] * 2, (2,)).estimate(1, "toy").bias_bound == 0


def test_biases_without_a_bound() -> None:
    unknown = a_round([0, 0], 100, bias=np.array([math.inf, 0.2]))
    estimate = Combined([unknown, a_round([0, 0], 100, bias=0.1)], (2,)).estimate(1, "toy")
    np.testing.assert_allclose(estimate.bias_bound, [math.inf, 0.15])
    nothing = a_round([0, 0], 0, bias=np.array([math.inf, 0.2]))
    np.testing.assert_allclose(Combined([nothing], (2,)).estimate(1, "toy").bias_bound, 0)


# --- Reasons not to trust intervals ------------------------------------------------------------------


def test_cut_runs_leave_nothing_proved() -> None:
    rounds = [a_round([1, 2], 100, cut=3, bias=np.array([0.1, 0.1])), a_round([1, 2], 300, cut=1)]
    estimate = Combined(rounds, (2,)).estimate(1, "toy")
    assert np.all(np.isinf(estimate.bias_bound))
    assert estimate.reason == (
        "4 of 400 runs were cut by the backend's step limit and count 0; what they would have given is "
        "unknown"
    )


def test_runs_that_are_all_alike_are_not_trusted() -> None:
    still = np.diag([0.0, 1.0])
    assert (
        Combined([a_round([0, 0], 100, covariance=still)], (2,)).estimate(1, "toy").reason
        == f"value[0]: {ALIKE}"
    )


def test_what_is_known_without_runs_is_trusted() -> None:
    still, zero = np.diag([0.0, 1.0]), np.array([True, False])
    rounds = [a_round([0, 0], 100, covariance=still, exact=zero)] * 2
    assert Combined(rounds, (2,)).estimate(1, "toy").interval_trusted
    assert not np.any(Combined(rounds).unseen)
    # It has to be known in every round.
    rounds[1] = a_round([0, 0], 100, covariance=still)
    assert Combined(rounds, (2,)).estimate(1, "toy").reason == f"value[0]: {ALIKE}"
    assert Combined(rounds).unseen.tolist() == [True, False]


def test_lopsided_errors_are_not_trusted() -> None:
    """Third moments of rounds add up by the cubes of their shares."""
    third = np.array([0.9 * LARGEST_SKEWNESS, 0.0])
    fine = a_round([0, 0], 1, third=third)
    assert Combined([fine], (2,)).estimate(1, "toy").interval_trusted
    lopsided = a_round([0, 0], 1, third=np.array([0.0, -0.5]))
    assert Combined([lopsided], (2,)).estimate(1, "toy").reason == (
        "a few large contributions make the error lopsided (skewness 0.5, 0.3 is the most for which "
        "intervals hold): use more shots, or another estimator"
    )
    # n rounds alike: the skewness falls by √n.
    several = Combined([lopsided] * 3, (2,)).estimate(1, "toy")
    assert 0.5 / math.sqrt(3) < LARGEST_SKEWNESS
    assert several.interval_trusted
    assert not Combined([lopsided] * 2, (2,)).estimate(1, "toy").interval_trusted


def test_the_largest_round_has_the_reasons() -> None:
    """A small last one, which a goal for the error asks for, has few samples of its own."""
    few, many = a_round([0], 10, reasons=("few samples",)), a_round([0], 100)
    for rounds in ([few, many], [many, few]):
        assert Combined(rounds).estimate(1, "toy").interval_trusted
    doubted = a_round([0], 100, reasons=("a bad day",))
    assert (
        Combined([many, few, doubted, few]).estimate(1, "toy").reason == "a bad day"
    )  # the later of equal ones


@pytest.mark.parametrize("estimator", ["trajectory", "spsa"])
def test_a_small_last_round_is_no_reason(estimator: str) -> None:
    """The first round is trusted alone; a second, a tenth as large, makes it no worse."""
    f = qd.expectation(LOOP, "Z[r]")
    shots = 2000 if estimator == "trajectory" else 4000
    f = (
        f
        if estimator == "trajectory"
        else qd.expectation(qd.parse("qubit: q para: t, u Ry(t)[q]; Rx(u)[q]"), "Z[q]")
    )
    at, options = {"t": 1.1, "u": 0.3}, {"seed": 1, "estimator": estimator, "backend": SINGLE}
    first = f.estimate_grad(at, shots=shots, **options)
    assert first.interval_trusted
    problem = problem_of(f, f.quantities, at, ("t", "u"), SINGLE, None)
    rounds = estimator_of(estimator, None).on(problem)
    both = Combined([rounds.round(shots, 1), rounds.round(shots // 10, 2)], (2,)).estimate(1, estimator)
    assert both.interval_trusted, both.reason


def test_a_round_that_judges_for_itself() -> None:
    still = {"covariance": np.zeros((1, 1)), "third": np.ones(1), "judged": True}
    assert Combined([a_round([0], 10, **still)]).estimate(1, "toy").interval_trusted
    doubted = a_round([0], 10, **still, reasons=("too few shots",), cut=1)
    assert Combined([a_round([0], 10), doubted]).estimate(1, "toy").reason == (
        "1 of 20 runs were cut by the backend's step limit and count 0; what they would have given is "
        "unknown; too few shots"
    )


# --- Derivatives that are exactly zero -------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_exact_zero_beside_others_does_not_spoil_them(estimator: str) -> None:
    f = qd.expectation(LOOP, "Z[r]")
    alone = qd.expectation(LOOP, "Z[r]").estimate_grad(
        {"t": 1.1, "u": 0.3}, "t", shots=20_000, seed=1, estimator=estimator
    )
    both = f.estimate_grad({"t": 1.1, "u": 0.3}, ["u", "t"], shots=20_000, seed=1, estimator=estimator)
    assert both.reason == alone.reason == ""
    value, stderr = np.asarray(both.value), np.asarray(both.stderr)
    assert (value[0], stderr[0]) == (0, 0)
    assert stderr[1] > 0


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("budget", [{"shots": 100}, {"precision": 0.1}, {"seconds": 0.01}])
def test_an_exact_zero_takes_no_shots(estimator: str, budget: dict[str, Any]) -> None:
    f = qd.expectation(LOOP, "Z[r]")
    found = f.estimate_grad({"t": 1.1, "u": 0.3}, "u", seed=1, estimator=estimator, **budget)
    assert (found.shots, found.reason, found.bias_bound) == (0, "", 0)
    assert found.reached
    np.testing.assert_array_equal(found.value, [0])
    np.testing.assert_array_equal(found.stderr, [0])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_without_parameters_there_is_nothing_to_estimate(estimator: str) -> None:
    """As of an exact gradient: empty where nothing is trainable, refused where nothing is named."""
    f = qd.expectation(qd.parse("qubit: q Ry(0.3)[q]"), "Z[q]")
    assert f.grad().shape == (0,)
    found = f.estimate_grad(shots=100, seed=1, estimator=estimator)
    assert (np.shape(found.value), found.shots, found.reason) == ((0,), 0, "")
    f = qd.expectation(LOOP, "Z[r]")
    for call in (f.grad, lambda at, wrt: f.estimate_grad(at, wrt, shots=100, estimator=estimator)):
        with pytest.raises(ParameterError, match=r"^wrt names no parameter\. Leave it out for all trainable"):
            call({"t": 1.1, "u": 0.3}, [])


def test_exact_zeros_of_a_hessian_do_not_spoil_it() -> None:
    at = {"t": 1.1, "u": 0.3}
    found = qd.expectation(LOOP, "Z[r]").estimate_hessian(at, ["t", "u"], shots=20_000, seed=1)
    assert "no difference" not in found.reason
    assert np.asarray(found.stderr).astype(bool).tolist() == [[True, False], [False, False]]
    assert np.asarray(found.value).astype(bool).tolist() == [[True, False], [False, False]]
