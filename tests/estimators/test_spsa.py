"""Simultaneous perturbation: its mean and covariance, its bias, its directions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

import qdiff as qd
from qdiff.errors import EvaluationError, QdiffError
from qdiff.estimators import shifted_runs
from qdiff.estimators.problem import Problem
from qdiff.estimators.rounds import Combined
from qdiff.estimators.spsa import PAIRS_EACH, SPSA, USUAL_DIRECTIONS
from qdiff.lang.parameters import resolve
from qdiff.objective.shots import problem_of
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Job, Readout
from qdiff.sim.seeds import derived_seed

SINGLE = TrajectoryBackend(threads=1)
LOOP = qd.parse(
    "qubit: q, r\npara: t, p, u\ncount: c\nRy(t)[q]; while M[q] = 1 do if c < 3 then c++ fi; Ry(t)[q]; "
    "Rx(u)[r]; if flip(p) then X[r] fi; if flip(0.05) then abort fi od"
)
AT = {"t": 1.1, "p": 0.3, "u": 0.7}
OBSERVABLE = "Z[r] + c/4"


def problem(program: qd.Program, observables: Sequence[str], params: object, **options: object) -> Problem:
    made = Problem(
        SINGLE,
        program,
        tuple([qd.observable(text) for text in observables]),
        resolve(program, params),
        program.trainable,
    )
    return replace(made, **options)  # type: ignore[arg-type]


def expected(f: qd.Objective, at: dict[str, float], h: float) -> np.ndarray:
    """The mean over all directions of signs."""
    names, total = list(at), np.zeros(len(at))
    for signs in itertools.product((1, -1), repeat=len(names)):
        sides = [
            f({name: at[name] + side * h * sign for name, sign in zip(names, signs, strict=True)})
            for side in (1, -1)
        ]
        total += np.array(signs) * (sides[0] - sides[1]) / (2 * h)
    return total / 2 ** len(names)


# --- Unbiased up to the bound, and calibrated ------------------------------------------------------


@pytest.mark.parametrize("shots", [1000, 2500])
def test_the_mean_is_that_over_all_directions_and_the_covariance_is_right(shots: int) -> None:
    f, h = qd.expectation(LOOP, OBSERVABLE), 0.02
    rounds = SPSA(h=h, directions=12).on(problem_of(f, [f.quantity], AT, tuple(AT), SINGLE, None))
    found = [rounds.round(shots, seed) for seed in range(100)]
    values = np.array([each.value for each in found])
    claimed = np.mean([each.covariance for each in found], axis=0)
    exact, slopes, bias = expected(f, AT, h), f.grad(AT), found[0].bias
    assert np.all((bias > 0) & (bias < math.inf))
    assert np.all(np.abs(exact - slopes) <= bias)
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    assert np.all(np.abs(values.mean(axis=0) - exact) < 4 * error)
    around = values - values.mean(axis=0)
    along = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, -1]])
    statistic = ((around @ along.T) ** 2).sum(axis=0) / np.einsum("ai,ij,aj->a", along, claimed, along)
    assert np.all((chi2.sf(statistic, 99) > 1e-3) & (chi2.sf(statistic, 99) < 1 - 1e-3))
    assert all(np.all(each.degrees == 11) for each in found)


def test_intervals_cover_what_they_claim() -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    rounds = SPSA(h=0.05, directions=20).on(problem(LOOP, [OBSERVABLE], AT))
    exact, inside = expected(f, AT, 0.05), np.zeros(3)
    for seed in range(200):
        found = Combined([rounds.round(1000, seed)], (3,)).estimate(seed, rounds.name)
        low, high = replace(found, bias_bound=0.0).interval(0.95)
        inside += (low <= exact) & (exact <= high)
    assert np.all((inside >= 178) & (inside <= 199))  # 190 and four standard deviations


def test_one_parameter_is_a_finite_shift() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]; if M[q] = 1 then Ry(2*t)[q] fi"), "Z[q]")
    spsa, shift = (
        f.estimate_grad([0.7], shots=40_000, seed=1, estimator=each)
        for each in (SPSA(h=0.1), qd.FiniteShift(h=0.1))
    )
    assert np.allclose(spsa.bias_bound, shift.bias_bound)
    assert spsa.stderr[0] == pytest.approx(shift.stderr[0], rel=0.4)
    exact = (f([0.8]) - f([0.6])) / 0.2
    assert abs(spsa.value[0] - exact) < 4.5 * spsa.stderr[0]
    assert spsa.estimator == "spsa"


def test_each_direction_is_a_sample() -> None:
    """The numbers by hand: directions from the seed, ten pairs of shots in each, one after the other."""
    program, h = qd.parse("qubit: q para: t, u Ry(t)[q]; if M[q] = 1 then Rx(u)[q] fi"), 0.2
    made = problem(program, ["Z[q]"], [0.7, 0.4])
    found = SPSA(h=h, directions=25).on(made).round(500, 5)
    signs = 2 * np.random.default_rng(derived_seed(5, 0)).integers(0, 2, (25, 2), np.int8) - 1
    prepared = SINGLE.prepare(program, Readout(("q",)))
    samples = []
    for d, (t, u) in enumerate(signs):
        jobs = [
            Job(
                prepared,
                {"t": 0.7 + side * h * t, "u": 0.4 + side * h * u},
                10,
                derived_seed(5, 1, 0),
                first=10 * d,
            )
            for side in (1, -1)
        ]
        plus, minus = (1 - 2.0 * outcomes.bits[:, 0] for outcomes in SINGLE.run(jobs))
        samples.append((plus - minus).mean() / (2 * h) * np.array([t, u]))
    np.testing.assert_allclose(found.value, np.mean(samples, axis=0))
    np.testing.assert_allclose(found.covariance, np.cov(np.array(samples).T) / 25, atol=1e-12)
    around = np.array(samples) - found.value
    np.testing.assert_allclose(found.third, (around**3).sum(axis=0) / (25 * 24 * 23), atol=1e-12)
    other = SPSA(h=h, directions=25).on(made).round(500, 6)
    assert found.value.tolist() != other.value.tolist()


# --- Directions and the step -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("h", "pairs", "directions"),
    [
        (0.001, 10**5, USUAL_DIRECTIONS),  # shot noise is all there is
        (0.1, 10**5, 2 * 0.1**2 * 2 * 10**5),
        (0.5, 10**5, 10**5 // PAIRS_EACH),
        (0.5, 100, 5),
        (0.5, 7, 2),
        (0.5, 2, 2),
    ],
)
def test_how_many_directions(h: float, pairs: int, directions: float) -> None:
    rounds = SPSA().on(problem(LOOP, [OBSERVABLE], AT))
    assert rounds._directions(pairs, h) == round(directions)
    assert SPSA(directions=9).on(problem(LOOP, [OBSERVABLE], AT))._directions(pairs, h) == 9


def test_few_directions_are_not_trusted() -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    found = f.estimate_grad(AT, shots=2000, seed=1, estimator=SPSA(h=0.1, directions=3))
    assert found.reason.startswith(
        "the spread of 3 random directions is no good standard error: 20 or more are needed, and shots "
        "for them"
    )
    assert not found.interval_trusted
    assert f.estimate_grad(AT, shots=2000, seed=1, estimator=SPSA(h=0.1, directions=30)).interval_trusted


def test_the_chosen_step_and_its_bound() -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    found = f.estimate_grad(AT, shots=20_000, seed=1, estimator="spsa")
    h = float(found.note.removeprefix("h = ").removesuffix(" was chosen"))
    assert 0 < h < 0.1
    assert np.all(np.isfinite(found.bias_bound))
    assert np.all(np.abs(found.value - f.grad(AT)) < found.bias_bound + 4.5 * found.stderr)


def test_nothing_proved_is_said() -> None:
    program = qd.parse("qubit: q para: t, u Ry(t*u)[q]; Ry(u)[q]")
    f = qd.expectation(program, "Z[q]")
    found = f.estimate_grad([0.3, 0.8], shots=4000, seed=1, estimator="spsa")
    assert found.note == (
        "h = 0.1 was chosen; no bound of the bias is proved: `t*u` is not affine in the parameters that vary "
        "together"
    )
    assert np.all(found.bias_bound == math.inf)
    assert np.all(np.abs(found.value - expected(f, {"t": 0.3, "u": 0.8}, 0.1)) < 4.5 * found.stderr)
    bare = SPSA(h=0.1).on(problem(program, ["Z[q]"], [0.3, 0.8])).round(100, 1)
    assert bare.notes == ("no bound of the bias is proved: This problem was given no bounds of derivatives.",)


def test_probabilities_stay_probabilities() -> None:
    f = qd.expectation(qd.parse("qubit: q para: p, s if flip(p) then X[q] fi; Ry(s)[q]"), "Z[q]")
    found = f.estimate_grad([0.02, 0.4], shots=400, seed=2, estimator="spsa")
    h = found.note.removeprefix("h = ").removesuffix(", as far as the program has values, was chosen")
    assert 0.01 < float(h) < 0.02
    with pytest.raises(EvaluationError) as caught:
        f.estimate_grad([0.02, 0.4], shots=400, seed=2, estimator=SPSA(h=0.1))
    message = str(caught.value)
    assert message.startswith('Estimator "spsa" runs the program at `p` = 0.02 ± 0.1, `s` = 0.4 ± 0.1: ')
    assert message.endswith(
        ' Use a smaller step, qd.SPSA(h=...), or estimator "stratified", which needs no other values.'
    )


# --- Several numbers ---------------------------------------------------------------------------------


def test_several_observables_in_several_groups() -> None:
    observables = ["Z[r] + X[q]", "2*Z[r]*Z[q]", "Y[r]"]
    rounds = SPSA(h=0.1, directions=60).on(problem(LOOP, observables, AT))
    assert len(rounds.runs.groups) == 3
    assert rounds.least == 2 * 60 * 3
    found = rounds.round(60_001, 4)
    exact = np.concatenate([expected(qd.expectation(LOOP, text), AT, 0.1) for text in observables])
    assert np.all(np.abs(found.value - exact) < 4.5 * np.sqrt(np.diag(found.covariance)))
    assert np.all(np.linalg.eigvalsh(found.covariance) > -1e-12)
    assert found.shots == 60_000  # an odd one is left


def test_parameters_that_move_nothing() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t, u, w Ry(t)[q]; Rx(u - u)[q]; Ry(w)[q]"), "Z[q]")
    at = {"t": 0.3, "u": 0.2, "w": 0.1}
    found = f.estimate_grad(at, ["w", "u", "t"], shots=4000, seed=1, estimator=SPSA(h=0.1))
    assert found.value[1] == found.stderr[1] == found.bias_bound[1] == 0
    assert found.covariance is not None
    assert not found.covariance[1].any()
    assert np.all(np.abs(found.value[[0, 2]] + math.sin(0.4)) < 4.5 * found.stderr[[0, 2]])
    nothing = f.estimate_grad(at, ["u"], shots=1000, estimator="spsa")
    assert (nothing.shots, nothing.value.tolist()) == (0, [0])


def test_least_shots() -> None:
    f = qd.expectation(LOOP, "Z[r] + X[r]")
    with pytest.raises(QdiffError) as caught:
        f.estimate_grad(AT, shots=7, estimator="spsa")
    assert str(caught.value) == (
        '7 shots are too few: the estimator "spsa" needs at least 8 here. Use shots=8 or more.'
    )
    assert f.estimate_grad(AT, shots=8, estimator="spsa").shots == 8


def test_cut_runs_are_counted() -> None:
    program = qd.parse("qubit: q para: t Ry(t)[q]; if M[q] = 1 then while flip(1) do skip od fi")
    made = problem(program, ["1"], [1.0], backend=TrajectoryBackend(step_limit=50))
    assert SPSA(h=0.1).on(made).round(400, 1).cut > 0


# --- Where runs are made -----------------------------------------------------------------------------


def test_blocks_and_workers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    f, estimator = qd.expectation(LOOP, "Z[r] + 2*X[r]"), SPSA(h=0.1, directions=11)
    alone = f.estimate_grad(AT, shots=1100, seed=3, estimator=estimator)
    monkeypatch.setattr(shifted_runs, "BLOCK", 40)  # a direction has 33 or 34 pairs for X, 16 or 17 for Z
    blocks = f.estimate_grad(AT, shots=1100, seed=3, estimator=estimator)
    monkeypatch.setattr(shifted_runs, "BLOCK", 10)  # now it is in several blocks
    parts = f.estimate_grad(AT, shots=1100, seed=3, estimator=estimator)
    for other in (blocks, parts):
        np.testing.assert_allclose(other.value, alone.value, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(other.covariance, alone.covariance, rtol=1e-9)
    for workers in (1, 3):
        with ThreadPoolExecutor(workers) as pool:
            found = f.estimate_grad(AT, shots=1100, seed=3, estimator=estimator, executor=pool)
        assert found.value.tolist() == parts.value.tolist()
        assert found.stderr.tolist() == parts.stderr.tolist()


def test_a_backend_that_does_not_tell_shots_apart() -> None:
    f = qd.expectation(LOOP, OBSERVABLE)
    estimator = SPSA(h=0.1, directions=40)
    found = f.estimate_grad(AT, shots=8000, seed=3, estimator=estimator, backend="merged")
    assert np.all(np.abs(found.value - expected(f, AT, 0.1)) < 4.5 * found.stderr)


# --- Options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [1, 0, 2.5, True, "2"])
def test_what_is_no_number_of_directions(bad: object) -> None:
    with pytest.raises(QdiffError) as caught:
        SPSA(directions=bad)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"directions is an integer from 2 on, whose spread is the standard error; got {bad!r}."
    )


def test_options() -> None:
    assert qd.SPSA(h=1, directions=np.int64(4)) == SPSA(h=1.0, directions=4)
    assert (SPSA.name, SPSA.sums_occurrences) == ("spsa", False)
    with pytest.raises(QdiffError, match=r"^h is the step to both sides, a finite number above 0, got 0\.$"):
        SPSA(h=0)
    f = qd.expectation(LOOP, OBSERVABLE)
    with pytest.raises(QdiffError, match="is lost in the rounding of `u`"):
        f.estimate_grad({**AT, "u": 1e9}, shots=100, estimator=SPSA(h=1e-9))
