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
        (lambda f: f.estimate(AT, shots=10), "Take one, f[0].estimate."),
        (lambda f: qd.minimize(f, AT), "`value_and_grad` belongs to one observable"),
    ],
)  # fmt: skip
def test_what_needs_one_number_is_refused(f: qd.VectorObjective, call, message: str) -> None:
    with pytest.raises(QdiffError, match=re.escape(message)):
        call(f)


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
