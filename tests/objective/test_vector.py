"""Objectives with several values."""

from __future__ import annotations

import re

import numpy as np
import pytest
from exact_reference import BOUND, ReferenceEngine
from helpers import assert_close

import qdiff as qd
from qdiff.errors import BatchError, ParameterError, QdiffError

TEXT = "qubit: q, r para: t, u count: c Ry(t)[q]; CNOT[q, r]; Rx(u)[r]; c := M[q]"
OBSERVABLES = ["c", "Z[r]", qd.X("r") + 0.5 * qd.count("c"), "Z[r]"]
AT = {"t": 0.7, "u": 0.4}


@pytest.fixture
def f() -> qd.VectorObjective:
    program = qd.parse(TEXT)
    return qd.expectation(program, OBSERVABLES, engine=ReferenceEngine(program))


def test_values_and_jacobians(f: qd.VectorObjective) -> None:
    each = [qd.expectation(f.program, o, engine=f.engines.chosen) for o in OBSERVABLES]
    v = [0.5, -2]
    assert len(f) == 4
    assert_close(f(AT), [g(AT) for g in each])
    assert_close(f([0.7, 0.4]), f(AT))
    assert_close(f.jacobian(AT), [g.grad(AT) for g in each])
    assert_close(f.jacobian(AT, wrt="u"), f.jacobian(AT)[:, 1:])
    values, slopes = f.value_and_jacobian(AT)
    assert_close(values, f(AT))
    assert_close(slopes, f.jacobian(AT))
    value, derivative = f.jvp(AT, v)
    assert_close(value, f(AT))
    assert_close(derivative, f.jacobian(AT) @ v)
    assert f(AT).shape == (4,)
    assert f.jacobian(AT).shape == (4, 2)
    assert_close(f.batch_value([AT, [0, 0]]), [f(AT), f([0, 0])])


def test_each_is_an_objective(f: qd.VectorObjective) -> None:
    assert_close([g(AT) for g in f], f(AT))
    assert_close(f[2].grad(AT), f.jacobian(AT)[2])
    assert_close(f[-1](AT), f(AT)[-1])
    assert f[0].hessian(AT).shape == (2, 2)
    assert f[0].engines is f.engines
    with pytest.raises(IndexError):
        f[4]


def test_one_call_serves_all_observables(f: qd.VectorObjective) -> None:
    engine = f.engines.chosen
    assert isinstance(engine, ReferenceEngine)
    f.value_and_jacobian(AT)
    assert engine.calls == [1]


def test_an_analysis_for_each(f: qd.VectorObjective) -> None:
    found = f.analyze(AT, wrt="t")
    assert [a.error_bound for a in found] == [BOUND] * 4
    assert [set(a.grad_error_bound) for a in found] == [{"t"}] * 4


def test_bad_rows(f: qd.VectorObjective) -> None:
    with pytest.raises(BatchError) as caught:
        f.batch_value([[0, 0], [np.inf, 0]])
    assert np.isnan(caught.value.values[1]).all()
    assert_close(caught.value.values[0], f([0, 0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.grad(AT), "`grad` belongs to one observable, and this objective has 4. "
         "Take one, f[0].grad, or f.jacobian(params) has shape (k, d)."),
        (lambda f: f.value_and_grad(AT), "`value_and_grad` belongs to one observable, and this objective "
         "has 4. Take one, f[0].value_and_grad, or f.value_and_jacobian(params) has them all."),
        (lambda f: f.batch_value_and_grad([AT]), "f[0].batch_value_and_grad, or f.batch_value(batch) has "),
        (lambda f: f.hessian(AT), "`hessian` belongs to one observable, and this objective has 4. "
         "Take one, f[0].hessian."),
        (lambda f: f.hvp(AT, [1, 1]), "Take one, f[0].hvp."),
        (lambda f: f.variance, "Take one, f[0].variance."),
        (lambda f: f.given_termination, "Take one, f[0].given_termination."),
        (lambda f: f.estimate_grad(AT, shots=10), "`estimate_grad` belongs to one observable, and "
         "this objective has 4. Take one, f[0].estimate_grad, or f.estimate_jacobian(params, …) has shape "),
        (lambda f: f.estimate_hessian(AT, shots=10), "Take one, f[0].estimate_hessian."),
        (lambda f: f.estimate_hvp(AT, [1, 1], shots=10), "Take one, f[0].estimate_hvp."),
        (lambda f: qd.minimize(f, AT), "`value_and_grad` belongs to one observable"),
    ],
)  # fmt: skip
def test_what_needs_one_number_is_refused(f: qd.VectorObjective, call, message: str) -> None:
    with pytest.raises(QdiffError, match=re.escape(message)):
        call(f)


# --- From shots -----------------------------------------------------------------------------------

LOOP = qd.parse(
    "qubit: q, r para: t, u, v count: c "
    "Ry(t)[q]; Rx(u)[r]; while M[q] = 1 do c++; Ry(t)[q]; Rx(u)[r]; if flip(0.3) then abort fi od"
)
MEASURED = ["Z[r]", "Z[q]*Z[r] + 0.2*c", "X[r] - 0.5*Z[r]", "Z[r]"]
HERE = {"t": 0.9, "u": 0.5, "v": 1.0}


@pytest.fixture(scope="module")
def sampled() -> qd.VectorObjective:
    return qd.expectation(LOOP, MEASURED)


def test_values_from_the_same_shots(sampled: qd.VectorObjective) -> None:
    """Three of four are read in the Z basis by the same runs: less than half the shots of one by one."""
    found = sampled.estimate(HERE, shots=4000, seed=3)
    assert (np.shape(found.value), found.shots, found.estimator) == ((4,), 4000, "shots")
    assert np.all(np.abs(found.value - sampled(HERE)) < 4 * np.asarray(found.stderr))
    assert found.value[0] == found.value[3]
    covariance = found.covariance
    assert covariance[0, 3] == covariance[0, 0] == pytest.approx(found.stderr[0] ** 2)
    assert 0.1 < covariance[0, 1] / (found.stderr[0] * found.stderr[1]) < 1
    again = sampled.estimate(HERE, shots=4000, seed=3, backend="trajectory")
    assert np.array_equal(again.value, found.value)
    alone = sampled[0].estimate(HERE, shots=4000, seed=3)
    assert np.ndim(alone.value) == 0
    precise = sampled.estimate(HERE, precision=0.01, seed=3)
    assert precise.reached
    assert 0.008 < np.max(precise.stderr) <= 0.01


ESTIMATORS = [
    "stratified",
    "insertion",
    qd.Insertion(mu="geometric", hazard=0.2, draw="program"),
    "trajectory",
]


@pytest.mark.parametrize("estimator", [*ESTIMATORS, "finite-shift", "spsa"])
def test_jacobians_from_the_same_shots(sampled: qd.VectorObjective, estimator: str | qd.Insertion) -> None:
    exact = sampled.jacobian(HERE, ["u", "v", "t"])
    found = [
        sampled.estimate_jacobian(HERE, ["u", "v", "t"], shots=6000, seed=seed, estimator=estimator)
        for seed in range(4)
    ]
    errors = []
    for one in found:
        value, stderr = np.asarray(one.value), np.asarray(one.stderr)
        assert (value.shape, stderr.shape, one.covariance.shape) == ((4, 3), (4, 3), (12, 12))
        np.testing.assert_allclose(np.diag(one.covariance), stderr.ravel() ** 2)
        if estimator != "spsa":  # which moves all parameters at once
            assert np.all(value[:, 1] == 0)  # nothing depends on v
            assert np.all(stderr[:, 1] == 0)
        np.testing.assert_allclose(value[3], value[0], atol=1e-12)  # the same observable, from the same runs
        assert one.covariance[0, 9] == pytest.approx(stderr[0, 0] ** 2)
        reach = 4.5 * stderr + np.broadcast_to(one.bias_bound, stderr.shape) + 1e-9
        assert np.all(np.abs(value - exact) < reach)
        moved = stderr > 0
        errors += ((value - exact)[moved] / stderr[moved]).tolist()
    assert found[0].shots <= 6000
    assert 0.3 < np.mean(np.square(errors)) < 2.5


def test_a_jacobian_costs_about_as_much_as_its_noisiest_row(sampled: qd.VectorObjective) -> None:
    """With the shots of one gradient of the noisiest component all the others come along."""
    both = qd.expectation(LOOP, ["Z[q]*Z[r] + 0.2*c", "Z[r]"])
    together = both.estimate_jacobian(HERE, ["t", "u"], shots=8000, seed=1)
    alone = both[0].estimate_grad(HERE, ["t", "u"], shots=8000, seed=1)
    assert together.shots == alone.shots
    assert np.linalg.norm(together.stderr[0]) < 1.3 * np.linalg.norm(alone.stderr)


def test_the_jacobian_of_one_is_its_gradient(sampled: qd.VectorObjective) -> None:
    grad = sampled[2].estimate_grad(HERE, ["t", "u"], shots=900, seed=5)
    also = sampled[2].estimate_jacobian(HERE, ["t", "u"], shots=900, seed=5)
    assert np.array_equal(grad.value, also.value)
    assert np.array_equal(grad.covariance, also.covariance)


def test_read_out_errors_of_vectors() -> None:
    noise = qd.NoiseModel(readout={"r": (0.1, 0.2)})
    f = qd.expectation(LOOP, MEASURED[:2], noise=noise)
    found = f.estimate(HERE, shots=20_000, seed=4)
    assert np.all(np.abs(found.value - f(HERE)) < 4 * np.asarray(found.stderr))
    slopes = f.estimate_jacobian(HERE, ["t", "u"], shots=20_000, seed=4)
    assert np.all(np.abs(slopes.value - f.jacobian(HERE, ["t", "u"])) < 4 * np.asarray(slopes.stderr))


def test_bounds_belong_to_their_observable() -> None:
    """Also where the same observable stands in the list twice."""
    f = qd.expectation(LOOP, ["Z[r]", "Z[r]", "2*Z[q]*Z[r]"])
    found = f.estimate_jacobian(HERE, "u", shots=400, seed=1, estimator=qd.FiniteShift(h=0.05))
    first, second, third = np.asarray(found.bias_bound).ravel()
    assert 0 < first == second
    assert third == pytest.approx(2 * first)


def test_warm_jacobians(sampled: qd.VectorObjective) -> None:
    before = sampled.estimate_jacobian(HERE, ["t", "u"], shots=3000, seed=1)
    found = sampled.estimate_jacobian(HERE, ["t", "u"], shots=3000, seed=2, warm=before)
    assert np.all(np.abs(found.value - sampled.jacobian(HERE, ["t", "u"])) < 4.5 * np.asarray(found.stderr))
    with pytest.raises(QdiffError) as caught:
        sampled[0].estimate_grad(HERE, ["t", "u"], shots=3000, seed=2, warm=before)
    assert str(caught.value) == (
        "warm is an estimate of derivatives of shape (4, 2), where (2,) are wanted: it has learned nothing "
        "about these."
    )


def test_lists_that_do_not_fit(f: qd.VectorObjective) -> None:
    with pytest.raises(QdiffError, match=r"^The list of observables is empty\.$"):
        qd.expectation(f.program, [])
    with pytest.raises(QdiffError, match="names the qubit `s`, which is not declared"):
        qd.expectation(f.program, ["c", "Z[s]"])
    with pytest.raises(
        ParameterError, match=r"The direction v has 2 entries, in the order of t, u; got 1 val"
    ):
        f.jvp(AT, [1])


def test_what_it_is_called(f: qd.VectorObjective) -> None:
    assert repr(f) == "VectorObjective(c; Z[r]; 0.5*c + X[r]; Z[r]; trainable: t, u)"
