"""A number with its standard error: intervals, text, refusals."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import norm, t

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.estimators.estimate import Estimate, with_error


def estimate(value: object = 0.64491, stderr: object = 0.003113, **changes: object) -> Estimate:
    fields: dict[str, object] = {"shots": 10000, "seed": 7, "estimator": "shots"}
    return Estimate(value, stderr, **(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999, 1 - 2**-53])
@pytest.mark.parametrize("degrees", [1, 3.7, 200, math.inf])
def test_interval(level: float, degrees: float) -> None:
    low, high = estimate(2.0, 0.5, degrees=degrees).interval(level)
    quantile = norm.isf((1 - level) / 2) if math.isinf(degrees) else t.isf((1 - level) / 2, degrees)
    assert isinstance(low, float)
    assert (low, high) == pytest.approx((2 - 0.5 * quantile, 2 + 0.5 * quantile), rel=1e-9)


def test_default_level() -> None:
    assert estimate(0.0, 1.0).interval() == pytest.approx((-1.959964, 1.959964), abs=1e-6)


def test_intervals_of_arrays() -> None:
    degrees = np.array([math.inf, 1.0])
    low, high = estimate(np.array([1.0, 2.0]), np.array([0.1, 0.2]), degrees=degrees).interval(0.9)
    assert np.allclose(high - [1, 2], [0.1 * norm.isf(0.05), 0.2 * t.isf(0.05, 1)])
    assert np.allclose([1, 2] - np.asarray(low), high - [1, 2])


def test_bias_widens_the_interval() -> None:
    assert estimate(1.0, 0.0, bias_bound=0.25).interval() == (0.75, 1.25)
    assert estimate(1.0, 0.1, bias_bound=math.inf).interval() == (-math.inf, math.inf)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, float("nan")])
def test_levels_outside_their_range(level: float) -> None:
    with pytest.raises(QdiffError) as caught:
        estimate().interval(level)
    assert str(caught.value) == f"The level of an interval must be between 0 and 1, got {level!r}."


def test_trust() -> None:
    assert estimate().interval_trusted
    doubtful = estimate(reason="too few shots")
    assert not doubtful.interval_trusted
    assert str(doubtful) == "0.6449 ± 0.0031 (10000 shots, seed 7, interval not trusted: too few shots)"


def test_text() -> None:
    assert repr(estimate()) == str(estimate()) == "0.6449 ± 0.0031 (10000 shots, seed 7)"
    arrays = estimate(np.array([1.0, -0.5]), np.array([0.1, 0.02]), bias_bound=1e-4)
    assert str(arrays) == "[1.00 ± 0.10, -0.500 ± 0.020] (10000 shots, seed 7, bias at most 0.0001)"


def test_a_precision_that_was_not_reached() -> None:
    assert estimate().reached
    short = estimate(reached=False, note="precision 0.001 was not reached: about 96000 shots would do")
    assert str(short) == (
        "0.6449 ± 0.0031 (10000 shots, seed 7, precision 0.001 was not reached: about 96000 shots would do)"
    )
    assert short.interval_trusted  # of what was reached


def test_what_is_known_besides() -> None:
    """Nothing, of an estimate that was put together by hand."""
    plain = estimate()
    assert (plain.covariance, plain.contributions, plain.course, plain.learned) == (None, (), (), None)


@pytest.mark.parametrize("name", ["stratified", "trajectory", "insertion"])
def test_covariance_and_course_of_derivatives(name: str) -> None:
    program = qd.parse("qubit: q, r para: t, u Ry(t)[q]; Rx(u)[r]; while M[q] = 1 do Ry(t)[q]; Rx(u)[r] od")
    f = qd.expectation(program, "Z[r] + 0.5*Y[r]")
    once = f.estimate_grad([1.0, 0.4], shots=3000, seed=1, estimator=name)
    np.testing.assert_allclose(np.diag(once.covariance), np.asarray(once.stderr) ** 2, rtol=1e-12)
    assert np.array_equal(once.covariance, once.covariance.T)
    [(shots, value, stderr)] = once.course
    assert shots == 3000
    assert np.array_equal(value, once.value)
    assert np.array_equal(stderr, once.stderr)
    rounds = f.estimate_grad([1.0, 0.4], precision=1e-9, max_shots=12_000, seed=1, estimator=name)
    assert [n for n, _, _ in rounds.course] == [2000, 10_000, 12_000]
    assert np.array_equal(rounds.course[-1][1], rounds.value)
    assert not rounds.reached


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.6449, 0.0031, "0.6449 ± 0.0031"),
        (1.0, 0.00996, "1.000 ± 0.010"),
        (5234.5, 123.0, "5230 ± 120"),
        (12.34, 1.26, "12.3 ± 1.3"),
        (0.25, 0.0, "0.25 ± 0"),
        (-1 / 3, 0.0, "-0.333333 ± 0"),
        (1.5, math.inf, "1.5 ± inf"),
        (3.2e-9, 1.1e-12, "3.200000e-09 ± 1.1e-12"),
        (2.5e15, 0.5, "2.500000e+15 ± 5.0e-01"),
        (0.5, 3e20, "5.000000e-01 ± 3.0e+20"),
    ],
)
def test_two_digits_of_the_error(value: float, stderr: float, text: str) -> None:
    assert with_error(value, stderr) == text


def test_refusals() -> None:
    with pytest.raises(QdiffError) as caught:
        estimate(np.zeros(2), 0.1)
    assert (
        str(caught.value) == "Value and standard error of an estimate must have one shape, got (2,) and ()."
    )
    for value, stderr in ((math.nan, 0.1), (math.inf, 0.1), (1.0, -0.1), (1.0, math.nan)):
        with pytest.raises(QdiffError) as caught:
            estimate(value, stderr)
        assert str(caught.value) == (
            f"An estimate must be finite, its standard error not negative, got {value} ± {stderr}."
        )


def test_scipy_is_loaded_only_for_quantiles_of_student() -> None:
    code = (
        "import sys; from qdiff.estimators import expectation, estimate;"
        "estimate.Estimate(1.0, 0.1, 5, 1, 'shots').interval(); assert 'scipy' not in sys.modules;"
        "estimate.Estimate(1.0, 0.1, 5, 1, 'shots', degrees=4.0).interval(); assert 'scipy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
