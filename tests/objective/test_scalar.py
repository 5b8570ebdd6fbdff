"""Objectives with one value, on an exact engine made of the reference: values and every derivative."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from exact_reference import BOUND, ReferenceEngine
from helpers import assert_close
from hypothesis import given, settings
from reference.interpreter import mass, run, value
from richardson import limit
from strategies import cases

import qdiff as qd
from qdiff.errors import EvaluationError, ParameterError, QdiffError
from qdiff.lang.observable import constant
from qdiff.sim.exact import Floats

COUNTING = (
    "qubit: q  para: t, p, n  count: c  Ry(t)[q]; "
    "while M[q] = 1 do c++; q := |0>; Ry(t)[q]; if flip(p) then abort fi od; if c > n then skip fi"
)
AT = {"t": 1.1, "p": 0.2, "n": 1}


def objective(text: str = COUNTING, observable: object = "c") -> qd.Objective:
    program = qd.parse(text)
    return qd.expectation(program, observable, engine=ReferenceEngine(program))


# --- Closed forms -------------------------------------------------------------------------------
# x = sin²(t/2) goes in, a pass survives with 1 - p: r = x (1 - p), and c = k has mass (1 - x) r^k.


def closed_form(t: float, p: float) -> dict[str, float]:
    x = math.sin(t / 2) ** 2
    r = x * (1 - p)
    ends = (1 - x) / (1 - r)
    mean = ends * r / (1 - r)
    square = ends * r * (1 + r) / (1 - r) ** 2
    return {
        "mean": mean,
        "variance": square - mean**2,
        "given": r / (1 - r),
        "given variance": r / (1 - r) ** 2,
    }


QUANTITIES: dict[str, Callable[[qd.Objective], qd.Objective]] = {
    "mean": lambda f: f,
    "variance": lambda f: f.variance,
    "given": lambda f: f.given_termination,
    "given variance": lambda f: f.given_termination.variance,
}


def slopes_of(which: str) -> tuple[Floats, Floats]:
    """Gradient and Hessian of a closed form by (t, p), by extrapolated differences."""

    def at(x: Floats) -> float:
        return closed_form(*x)[which]

    x0, unit = np.array([AT["t"], AT["p"]]), np.eye(2)

    def at_zero(of: Callable[[float], float]) -> float:
        return limit([of(0.02 / 2**level) for level in range(5)])

    grad = [at_zero(lambda h, e=e: (at(x0 + h * e) - at(x0 - h * e)) / (2 * h)) for e in unit]
    bends = [
        at_zero(
            lambda h, a=a, b=b: (
                (at(x0 + h * (a + b)) - at(x0 + h * (a - b)) - at(x0 - h * (a - b)) + at(x0 - h * (a + b)))
                / (4 * h * h)
            )
        )
        for a in unit
        for b in unit
    ]
    return np.array(grad), np.reshape(bends, (2, 2))


@pytest.mark.parametrize("which", list(QUANTITIES))
def test_values_and_all_derivatives(which: str) -> None:
    f = QUANTITIES[which](objective())
    grad, hessian = slopes_of(which)
    v = [0.3, -0.7]
    found, slopes = f.value_and_grad(AT)
    assert isinstance(f(AT), float)
    assert_close(f(AT), closed_form(AT["t"], AT["p"])[which])
    assert_close(found, f(AT))
    assert_close(slopes, grad)
    assert_close(f.grad(AT), grad)
    assert_close(f.jacobian(AT), grad)
    assert_close(f.grad(AT, wrt="p"), grad[1:])
    assert_close(f.hessian(AT), hessian, 1e-6)
    assert (f.hessian(AT) == f.hessian(AT).T).all()
    assert_close(f.hessian(AT, wrt=["p", "t"]), hessian[::-1, ::-1], 1e-6)
    assert_close(f.hvp(AT, v), hessian @ v, 1e-6)
    assert_close(f.hvp(AT, [2], wrt="p"), 2 * hessian[1, 1:], 1e-6)
    assert_close(f.jvp(AT, v), (f(AT), grad @ v))
    assert all(isinstance(part, float) for part in f.jvp(AT, v))
    values, gradients = f.batch_value_and_grad([AT, {**AT, "t": 0.4}])
    assert_close(values, [f(AT), closed_form(0.4, AT["p"])[which]])
    assert_close(gradients[0], grad)
    assert_close(f.batch_value([AT]), [f(AT)])


@settings(max_examples=15)
@given(cases(growing=False))
def test_conditional_expectations_are_quotients(
    case: tuple[qd.Program, qd.Observable, dict[str, float]],
) -> None:
    program, observable, params = case
    f = qd.expectation(program, observable, engine=ReferenceEngine(program))
    found, ends = value(program, observable, params), mass(run(program, params))
    square = value(program, observable**2, params)
    assert_close(f.variance(params), square - found**2)
    if ends < 1e-6:
        return
    assert_close(f.given_termination(params), found / ends)
    assert_close(f.given_termination.variance(params), square / ends - (found / ends) ** 2)
    assert_close(qd.expectation(program, "1", engine=ReferenceEngine(program)).given_termination(params), 1)


def test_a_variance_is_never_negative() -> None:
    f = objective("qubit: q para: t Ry(t)[q]; Rz(t)[q]", "0.1*X[q] + 0.7").variance
    values = [f([t]) for t in np.linspace(0, 7, 40)]
    assert min(values) >= 0
    assert objective("qubit: q para: t Rz(t)[q]", "0.3*Z[q]").variance([0.3]) == pytest.approx(0, abs=1e-16)


def test_observables_that_do_not_commute() -> None:
    f = objective("qubit: q para: t Ry(t)[q]", "X[q] + Z[q]")
    t = 0.7
    assert_close(f.variance([t]), 2 - (math.sin(t) + math.cos(t)) ** 2)


def test_nothing_to_condition_on() -> None:
    f = objective("qubit: q para: t Ry(t)[q]; if M[q] = 0 then abort fi", "Z[q]").given_termination
    assert_close(f([1.0]), -1.0)
    for call in (f, f.grad, f.hessian, f.analyze, f.variance):
        with pytest.raises(EvaluationError, match=r"There is nothing to condition on: .* probability 0\."):
            call([0.0])


def test_programs_without_parameters() -> None:
    f = objective("qubit: q H[q]", "X[q]")
    assert_close(f(), 1.0)
    assert f.grad().shape == (0,)
    assert f.hessian().shape == (0, 0)
    assert f.hvp((), ()).shape == (0,)
    assert_close(f.jvp((), ()), (1.0, 0.0))
    values, gradients = f.batch_value_and_grad([(), ()])
    assert (values.shape, gradients.shape) == ((2,), (2, 0))
    assert f.analyze().grad_error_bound == {}


# --- Bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("v", "message"),
    [
        ([1.0], "The direction v has 2 entries, in the order of t, p; got 1 values."),
        (1.0, "The direction v has 2 entries, in the order of t, p; got float 1.0."),
        (np.eye(2), "The direction v has 2 entries, in the order of t, p; got an array of shape (2, 2)."),
        ([1.0, math.nan], "The direction v: its entry for `p` is nan, not a finite number."),
        (["1", 1], "The direction v: its entry for `t` is str '1', not a real number."),
    ],
)
def test_directions_that_do_not_fit(v: object, message: str) -> None:
    for call in (objective().hvp, objective().jvp):
        with pytest.raises(ParameterError) as caught:
            call(AT, v)
        assert str(caught.value) == message


def test_compared_parameters_have_no_derivatives() -> None:
    f = objective()
    calls: list[Callable[[], object]] = [
        lambda: f.grad(AT, "n"),
        lambda: f.hessian(AT, ["t", "n"]),
        lambda: f.hvp(AT, [1], "n"),
        lambda: f.jvp(AT, [1], "n"),
        lambda: f.batch_value_and_grad([AT], "n"),
        lambda: f.analyze(AT, "n"),
        lambda: f.variance.grad(AT, "n"),
    ]
    for call in calls:
        with pytest.raises(ParameterError, match="There is no derivative by `n`: it occurs in a comparison"):
            call()


def test_estimates_of_derived_objectives_are_refused() -> None:
    with pytest.raises(QdiffError) as caught:
        objective().variance.estimate(AT, shots=100)
    assert str(caught.value) == (
        "Var(c) is not the mean of anything that a shot shows. Estimate its parts, "
        'qd.expectation(program, "c") and qd.expectation(program, "c^2"), or take the exact value.'
    )


# --- Accuracy -----------------------------------------------------------------------------------


def test_analysis_of_an_expectation() -> None:
    found = objective().analyze(AT, wrt="t")
    assert (found.error_bound, found.grad_error_bound) == (BOUND, {"t": 2 * BOUND})
    assert found.engine == "reference"
    assert found.reason == "handed in as an object; interpreted"
    assert_close(found.termination_probability, objective(observable=constant(1))(AT))


@pytest.mark.parametrize("which", ["variance", "given", "given variance"])
def test_bounds_of_derived_objectives_hold(which: str) -> None:
    """Expectations that are off by their bounds, in any direction, move the quantity by less than its own."""
    program = qd.parse(COUNTING)
    f = QUANTITIES[which](objective())
    analysis = f.analyze(AT)
    assert set(analysis.grad_error_bound) == {"t", "p"}
    exact = f.value_and_grad(AT)
    for seed in range(20):
        near = QUANTITIES[which](qd.expectation(program, "c", engine=Shaken(program, seed)))
        found = near.value_and_grad(AT)
        assert abs(found[0] - exact[0]) <= analysis.error_bound
        for slope, true, bound in zip(found[1], exact[1], analysis.grad_error_bound.values(), strict=True):
            assert abs(slope - true) <= bound
    assert analysis.error_bound < 20 * BOUND


class Shaken(ReferenceEngine):
    """Every answer is off by its bound."""

    def __init__(self, program: qd.Program, seed: int) -> None:
        super().__init__(program)
        self.random = np.random.default_rng(seed)

    def gradients(self, *arguments) -> tuple[Floats, Floats]:  # type: ignore[no-untyped-def]
        values, slopes = super().gradients(*arguments)
        signs = (self.random.choice([-1, 1], part.shape) for part in (values, slopes))
        return values + BOUND * next(signs), slopes + 2 * BOUND * next(signs)


def test_a_bound_that_is_not_proved_stays_unproved() -> None:
    class Unproved(ReferenceEngine):
        def analyze(self, *arguments) -> qd.Analysis:  # type: ignore[no-untyped-def]
            from dataclasses import replace

            found = super().analyze(*arguments)
            return replace(found, error_bound=math.inf, grad_error_bound=dict.fromkeys("tp", math.inf))

    program = qd.parse(COUNTING)
    f = qd.expectation(program, "c", engine=Unproved(program))
    for quantity in (f, f.variance, f.given_termination):
        found = quantity.analyze(AT)
        assert found.error_bound == math.inf
        assert found.grad_error_bound == {"t": math.inf, "p": math.inf}


# --- Training, and what they say ------------------------------------------------------------------


def test_derived_objectives_can_be_trained(tmp_path) -> None:  # type: ignore[no-untyped-def]
    f = objective("qubit: q para: t Ry(t)[q]", "Z[q]").variance
    log = tmp_path / "run.jsonl"
    result = qd.maximize(f, [0.5], optimizer=qd.LBFGSB(), log=log)
    assert_close(result.value, 1.0)
    assert_close(math.cos(result.x[0]), 0.0, 1e-5)
    assert result.observable == "Var(Z[q])"
    assert str(result).startswith("Maximised Var(Z[q]) with ")
    assert result.plot().axes[0].get_ylabel() == "Var(Z[q])"
    with pytest.raises(QdiffError, match="observable"):  # the log belongs to the variance
        qd.maximize(
            objective("qubit: q para: t Ry(t)[q]", "Z[q]"), [0.5], optimizer=qd.LBFGSB(), log=log, resume=True
        )


def test_what_they_are_called() -> None:
    f = objective()
    assert repr(f) == "Objective(c; trainable: t, p)"
    assert repr(f.variance) == "Objective(Var(c); trainable: t, p)"
    assert repr(f.given_termination) == "Objective(E(c | end); trainable: t, p)"
    assert f.variance.observable == f.observable


def test_all_are_objectives() -> None:
    f = objective()
    for g in (f, f.variance, f.given_termination, f.given_termination.variance):
        assert isinstance(g, qd.Objective)


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda f: f.variance.variance, "Var(c) has no variance."),
        (lambda f: f.variance.given_termination, "Var(c) has no expectation given termination."),
        (lambda f: f.given_termination.given_termination, "E(c | end) has no expectation given termination."),
        (lambda f: f.given_termination.variance.variance, "Var(c | end) has no variance."),
        (lambda f: f.given_termination.variance.given_termination, "Var(c | end) has no expectation given"),
    ],
)
def test_what_there_is_not(choose: Callable[[qd.Objective], qd.Objective], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        choose(objective())
    assert str(caught.value).startswith(message)
    assert "There are f.variance, f.given_termination and f.given_termination.variance" in str(caught.value)


def test_the_engine_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    f = objective()
    assert f.variance is f.variance
    assert f.variance.engines is f.engines
    engine = f.engines.chosen
    assert isinstance(engine, ReferenceEngine)
    engine.calls.clear()
    f.variance.grad(AT)
    assert engine.calls == [1]  # both expectations from one call
