"""`minimize` and `maximize`: what they accept, what they report, where they stop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qdiff.errors import ParameterError, TrainingError
from qdiff.train import LBFGSB, Adam, GradientDescent, StepRecord, TrainingResult, maximize, minimize

OPTIMIZERS = [Adam(lr=0.2), GradientDescent(lr=0.2), LBFGSB()]


def square(x):
    return float(x @ x), 2 * x


def test_an_objective_is_trained(toy, start):
    result = minimize(toy, start, steps=300)
    assert result.names == ("t", "w[0]", "w[1]")
    assert list(result.params) == ["t", "w[0]", "w[1]", "n"]
    assert result.params["n"] == 40.0
    assert [result.params[name] for name in result.names] == result.x.tolist()
    assert toy(result.params) == result.value
    assert np.abs(result.history.grad[-1]).max() < 1e-3
    assert result.observable == "Z[q]"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_history_holds_the_start_and_every_step(toy, start, optimizer):
    result = minimize(toy, start, optimizer=optimizer, steps=5)
    assert result.history.x.shape == result.history.grad.shape == (6, 3)
    assert result.history.value.shape == (6,)
    assert len(result.history) == 6
    assert result.steps == 5
    assert result.history.x[0].tolist() == [1.5, 0.2, -0.6]
    assert result.history.x[-1].tolist() == result.x.tolist()
    assert result.history.value[-1] == result.value
    assert toy.calls == result.evaluations
    for x, value, grad in zip(result.history.x, result.history.value, result.history.grad, strict=True):
        again = toy.value_and_grad(dict(zip(result.names, x.tolist(), strict=True)) | {"n": 40.0})
        assert (value, grad.tolist()) == (again[0], again[1].tolist())


def test_adam_evaluates_once_a_step_and_once_at_the_start(toy, start):
    assert minimize(toy, start, steps=7).evaluations == 8


def test_what_is_not_trained_stays(toy, start):
    result = minimize(toy, start, wrt="w", steps=20)
    assert result.names == ("w[0]", "w[1]")
    assert result.params["t"] == 1.5
    result = minimize(toy, start, wrt=["w[1]", "t"], steps=20)
    assert result.names == ("w[1]", "t")
    assert result.params["w[0]"] == 0.2
    assert result.history.x[0].tolist() == [-0.6, 1.5]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_maximize_is_minimize_of_the_opposite(optimizer):
    def hill(x):
        return -square(x)[0], -2 * x

    up = maximize(hill, [1.0, -3.0], optimizer=optimizer, steps=9)
    down = minimize(square, [1.0, -3.0], optimizer=optimizer, steps=9)
    assert up.history.x.tolist() == down.history.x.tolist()
    assert up.history.value.tolist() == (-down.history.value).tolist()
    assert up.history.grad.tolist() == (-down.history.grad).tolist()
    assert up.best.value == -down.best.value
    assert (up.direction, down.direction) == ("maximize", "minimize")


def test_best_is_the_best_of_all_points():
    result = minimize(square, [1.0], optimizer=GradientDescent(lr=1.5), steps=3)
    assert result.history.x[:, 0].tolist() == [1, -2, 4, -8]
    assert (result.best.value, result.best.x.tolist(), dict(result.best.params)) == (1, [1.0], {"x[0]": 1.0})


def test_an_object_with_value_and_grad_and_a_mapping():
    class Bowl:
        def value_and_grad(self, x):
            return np.float64(x @ x), (2 * x).tolist()

    result = minimize(Bowl(), {"a": 1, "b": 2}, wrt="b", optimizer="gradient-descent", steps=2)
    assert result.names == ("b",)
    assert result.history.value.tolist() == pytest.approx([5, 3.56, 2.6384])
    assert dict(result.params) == pytest.approx({"a": 1, "b": 1.28})


def test_a_callback_sees_each_step_and_can_stop(toy, start):
    seen = []

    def callback(record):
        seen.append(record)
        return record.step == 3

    result = minimize(toy, start, steps=50, callback=callback)
    assert result.message == "stopped by the callback at step 3"
    assert not result.converged
    assert [record.step for record in seen] == [0, 1, 2, 3]
    assert isinstance(seen[0], StepRecord)
    assert seen[0].params == {"t": 1.5, "w[0]": 0.2, "w[1]": -0.6, "n": 40.0}
    assert [record.value for record in seen] == result.history.value.tolist()
    assert [record.x.tolist() for record in seen] == result.history.x.tolist()
    assert [record.grad.tolist() for record in seen] == result.history.grad.tolist()
    with pytest.raises(ValueError, match="read-only"):
        seen[0].x[0] = 7


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("stop", [0, 1, 2])
def test_every_optimizer_stops_for_the_callback(toy, start, optimizer, stop):
    result = minimize(toy, start, optimizer=optimizer, callback=lambda record: record.step == stop)
    assert (result.steps, result.message) == (stop, f"stopped by the callback at step {stop}")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_callback_may_stop_as_in_scipy(toy, start, optimizer):
    def callback(record):
        if record.step == 2:
            raise StopIteration

    result = minimize(toy, start, optimizer=optimizer, callback=callback)
    assert result.message == "stopped by the callback at step 2"


def test_one_step():
    assert minimize(square, [1.0], steps=1).message == "took 1 step"


def test_progress_is_shown_on_stderr(toy, start, capsys):
    minimize(toy, start, steps=5, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "training: 100%" in shown.err
    assert "5/5" in shown.err
    assert "value" in shown.err


def test_no_progress_unless_asked_for(toy, start, capsys):
    minimize(toy, start, steps=5)
    assert capsys.readouterr() == ("", "")


def test_printing_a_result(toy, start):
    result = minimize(toy, start, steps=2)
    value, first = f"{result.value:.10g}", f"{result.history.value[0]:.10g}"
    assert str(result).splitlines() == [
        "Minimised Z[q] with 2 steps and 3 evaluations: took all 2 steps.",
        f"    value  {value}   (start {first}, best {value})",
        f"    t      {result.params['t']:.10g}",
        f"    w[0]   {result.params['w[0]']:.10g}",
        f"    w[1]   {result.params['w[1]']:.10g}",
    ]
    assert repr(result) == f"TrainingResult(value={result.value:.6g}, steps=2, took all 2 steps)"
    assert repr(result.history) == "History(3 points, 3 parameters)"


def test_printing_a_result_with_many_parameters():
    text = str(maximize(lambda x: (-float(x @ x), -2 * x), [1.0] * 20, steps=0))
    assert text.startswith("Maximised the objective with 0 steps and 1 evaluations: took all 0 steps.")
    assert text.endswith("    and 8 more parameters")
    assert len(text.splitlines()) == 2 + 12 + 1


def test_adam_on_numbers_in_place_does_not_change_the_start():
    x0 = np.array([1.0, 2.0])
    result = minimize(square, x0, steps=3)
    assert x0.tolist() == result.history.x[0].tolist() == [1, 2]


def test_the_start_may_be_any_mapping_that_the_result_gives(toy, start):
    first = minimize(toy, start, steps=3)
    second = minimize(toy, first.params, steps=3)
    assert isinstance(second, TrainingResult)
    assert second.history.x[0].tolist() == first.x.tolist()


# --- Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((math.nan, [0.0]), "The value is nan at step 2, at x[0] = 0.36: training stops."),
        ((-math.inf, [0.0]), "The value is -inf at step 2, at x[0] = 0.36: training stops."),
        (
            (1.0, [math.inf]),
            "The derivative by `x[0]` is inf at step 2, at x[0] = 0.36: training stops.",
        ),
    ],
)
def test_what_is_not_finite_stops_the_run(answer, message):
    def f(x):
        return square(x) if x[0] > 0.5 else answer

    with pytest.raises(TrainingError) as caught:
        minimize(f, [1.0], optimizer=GradientDescent(lr=0.2))
    assert str(caught.value) == message


def test_lbfgsb_stops_at_what_is_not_finite():
    with pytest.raises(TrainingError) as caught:
        minimize(lambda x: (x[0] if x[0] > 0 else math.nan, np.ones(1)), [1.0], optimizer=LBFGSB())
    assert str(caught.value) == "The value is nan at step 1, at x[0] = 0.0: training stops."


def test_parameters_that_are_not_finite():
    from qdiff.train.problem import Problem
    from qdiff.train.variables import of_function

    problem = Problem(of_function({"t": 1.0}, None), square, steps=1)
    with pytest.raises(TrainingError) as caught:
        problem.evaluate(np.array([math.inf]))
    assert str(caught.value) == (
        "Step 0 leads to parameters that are not finite: t = inf. A smaller step (lr) or bounds may help."
    )


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: 1.0, "The objective must return the pair (value, gradient), got float."),
        (
            lambda x: (x, np.eye(2)),
            "The objective must be one real number, got an array of shape (2,) and type float64. "
            "Train a single observable, or a weighted sum of several.",
        ),
        (
            lambda x: (1j, x),
            "The objective must be one real number, got an array of shape () and type complex128. "
            "Train a single observable, or a weighted sum of several.",
        ),
        (
            lambda x: (1.0, x[:1]),
            "The gradient must be 2 real numbers, got an array of shape (1,) and type float64.",
        ),
    ],
)
def test_an_objective_of_another_kind(f, message):
    with pytest.raises(TrainingError) as caught:
        minimize(f, [1.0, 2.0])
    assert str(caught.value) == message


@pytest.mark.parametrize("steps", [-1, 2.5, "10", None, True, math.nan])
def test_steps_that_are_no_number(steps):
    with pytest.raises(TrainingError) as caught:
        minimize(square, [1.0], steps=steps)
    assert str(caught.value) == f"steps={steps!r} must be a whole number, 0 or more."


def test_something_that_is_no_objective():
    with pytest.raises(TrainingError) as caught:
        minimize("f", [1.0])
    assert str(caught.value) == (
        "'f' cannot be trained. Give an objective, qd.expectation(program, observable), "
        "or a function of x that returns (value, gradient)."
    )


def test_names_are_checked(toy, start):
    with pytest.raises(ParameterError) as caught:
        minimize(toy, start, wrt="v")
    assert str(caught.value) == "wrt: 'v' is not a parameter. Parameters: t, w[0], w[1], n."
    with pytest.raises(ParameterError) as caught:
        minimize(toy, {"t": 1, "w": [1, 2]})
    assert str(caught.value) == "Parameter values: no value for n. Parameters: t, w[2], n."


def test_resuming_needs_a_log():
    with pytest.raises(TrainingError) as caught:
        minimize(square, [1.0], resume=True)
    assert str(caught.value) == 'resume=True needs the log of the run to continue: log="run.jsonl".'


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_error_of_the_objective_is_its_own(optimizer):
    def f(x):
        raise ZeroDivisionError("in the middle")

    with pytest.raises(ZeroDivisionError, match="in the middle"):
        minimize(f, [1.0], optimizer=optimizer)
