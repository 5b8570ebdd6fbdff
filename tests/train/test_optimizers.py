"""Optimisers on functions whose path is known, and settings that make no sense."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qdiff.errors import TrainingError
from qdiff.train import LBFGSB, Adam, GradientDescent, make_optimizer, minimize
from qdiff.train.optimizers import known_optimizers, register


def square(x):
    return float(x @ x), 2 * x


def rosenbrock(x):
    value = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    grad = [-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]
    return float(value), np.array(grad)


def test_gradient_descent_on_a_square_shrinks_by_a_constant():
    result = minimize(square, [1.0, -3.0], optimizer=GradientDescent(lr=0.25), steps=4)
    assert result.history.x.tolist() == [[0.5**k, -3 * 0.5**k] for k in range(5)]
    assert result.history.value.tolist() == [10 * 0.25**k for k in range(5)]
    assert result.history.grad.tolist() == [[2 * 0.5**k, -6 * 0.5**k] for k in range(5)]


def test_adam_takes_the_steps_computed_by_hand():
    # f = x², x₀ = 1, g₀ = 2: m̂ = 2, v̂ = 4, so the first step is lr · 2/(2 + ε).
    # g₁ = 1.8: m = 0.9·0.2 + 0.1·1.8 = 0.36, m̂ = 0.36/0.19; v = 0.999·0.004 + 0.001·3.24, v̂ = v/0.001999.
    result = minimize(square, [1.0], optimizer=Adam(lr=0.1, eps=1e-12), steps=2)
    second = 0.9 - 0.1 * (0.36 / 0.19) / math.sqrt(0.007236 / 0.001999)
    assert result.history.x[:, 0] == pytest.approx([1.0, 0.9, second], abs=1e-12)


def test_adam_follows_the_algorithm_of_the_paper():
    lr, beta1, beta2, eps = 0.2, 0.8, 0.95, 1e-3
    result = minimize(rosenbrock, [-1.0, 0.5], optimizer=Adam(lr, (beta1, beta2), eps), steps=50)
    x, m, v = [-1.0, 0.5], [0.0, 0.0], [0.0, 0.0]
    for k in range(1, 51):
        g = rosenbrock(np.array(x))[1].tolist()
        for i in range(2):
            m[i] = beta1 * m[i] + (1 - beta1) * g[i]
            v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2
            x[i] -= lr * (m[i] / (1 - beta1**k)) / (math.sqrt(v[i] / (1 - beta2**k)) + eps)
        assert result.history.x[k] == pytest.approx(x, rel=1e-12)


def test_lbfgsb_converges():
    result = minimize(rosenbrock, [-1.2, 1.0], optimizer=LBFGSB(tolerance=1e-8), steps=100)
    assert result.converged
    assert result.message == "converged: no component of the gradient is above 1e-08"
    assert result.x == pytest.approx([1, 1], abs=1e-6)
    assert np.abs(result.history.grad[-1]).max() <= 1e-8
    assert result.steps + 1 == len(result.history) <= result.evaluations


def test_lbfgsb_records_iterations_not_the_points_of_its_line_searches():
    seen = []

    def watched(x):
        seen.append(x.tolist())
        return rosenbrock(x)

    result = minimize(watched, [-1.2, 1.0], optimizer=LBFGSB(), steps=100)
    assert result.evaluations == len(seen) > len(result.history)
    assert (np.diff(result.history.value) < 0).all()
    assert all(x in seen for x in result.history.x.tolist())
    assert result.best.value == min(rosenbrock(np.array(x))[0] for x in seen)


def test_lbfgsb_stops_after_its_steps():
    result = minimize(rosenbrock, [-1.2, 1.0], optimizer=LBFGSB(), steps=3)
    assert (result.steps, result.converged, result.message) == (3, False, "took all 3 steps")


def test_lbfgsb_at_a_minimum_has_nothing_to_do():
    result = minimize(square, [0.0], optimizer=LBFGSB(), steps=5)
    assert (result.steps, result.converged, len(result.history)) == (0, True, 1)


def test_lbfgsb_ends_where_the_value_no_longer_changes():
    # Beside 10⁶ the last improvements of the value are lost in rounding.
    high = lambda x: (1e6 + rosenbrock(x)[0], rosenbrock(x)[1])  # noqa: E731
    result = minimize(high, [-1.2, 1.0], optimizer=LBFGSB(tolerance=1e-300), steps=99)
    assert result.converged
    assert result.message == "converged: the value changes by no more than its rounding"


def test_lbfgsb_says_when_the_gradient_leads_nowhere():
    result = minimize(lambda x: (float(x @ x), -2 * x), [1.0], optimizer=LBFGSB(), steps=9)
    assert not result.converged
    assert result.message == "the line search finds no better point: value or gradient may be noisy"


@pytest.mark.parametrize(
    "bounds",
    [
        {"x[1]": (-4, -1), "x[0]": (None, math.inf)},
        [(None, None), (-4, -1)],
        np.array([[-np.inf, np.inf], [-4, -1]]),
        (("x[1]", (-4.0, -1.0)),),
    ],
)
def test_lbfgsb_keeps_to_bounds(bounds):
    result = minimize(square, [1.0, -3.0], optimizer=LBFGSB(bounds=bounds), steps=20)
    assert result.x.tolist() == pytest.approx([0, -1], abs=1e-6)
    assert result.converged


def test_bounds_of_an_array_hold_for_its_elements():
    result = minimize(square, [2.0, 3.0], optimizer=LBFGSB(bounds={"x": (1, None)}), steps=20)
    assert result.x.tolist() == [1, 1]


def test_settings_are_plain_values():
    one = LBFGSB(bounds={"t": (0, None)})
    assert one == LBFGSB(bounds={"t": (0.0, math.inf)})
    assert hash(one) == hash(LBFGSB(bounds=one.bounds))
    assert one.settings() == {"tolerance": 1e-6, "bounds": (("t", (0.0, None)),)}
    assert Adam(lr=1).settings() == {"lr": 1.0, "betas": (0.9, 0.999), "eps": 1e-8}


@pytest.mark.parametrize("optimizer", [Adam(), GradientDescent(), LBFGSB()])
def test_no_steps_is_an_evaluation(optimizer):
    result = minimize(square, [3.0], optimizer=optimizer, steps=0)
    assert (result.value, result.steps, result.evaluations, result.message) == (9, 0, 1, "took all 0 steps")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", Adam),
        ("Adam", Adam),
        ("gradient_descent", GradientDescent),
        ("GradientDescent", GradientDescent),
        ("L-BFGS-B", LBFGSB),
        ("lbfgsb", LBFGSB),
    ],
)
def test_names(name, kind):
    assert make_optimizer(name) == kind()


def test_names_take_settings():
    assert make_optimizer("adam", lr=0.3) == Adam(lr=0.3)
    assert known_optimizers() == ("adam", "gradient-descent", "l-bfgs-b")
    given = Adam(lr=7)
    assert make_optimizer(given) is given


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Adam(lr=0), "Adam: lr=0 must be a positive finite number."),
        (lambda: Adam(lr=-0.1), "Adam: lr=-0.1 must be a positive finite number."),
        (lambda: Adam(lr=math.nan), "Adam: lr=nan must be a positive finite number."),
        (lambda: Adam(lr="fast"), "Adam: lr='fast' must be a positive finite number."),
        (lambda: Adam(eps=0), "Adam: eps=0 must be a positive finite number."),
        (lambda: Adam(betas=(0.9, 1)), "Adam: betas=(0.9, 1) must be two numbers in [0, 1): (0.9, 0.999)."),
        (lambda: Adam(betas=0.9), "Adam: betas=0.9 must be two numbers in [0, 1): (0.9, 0.999)."),
        (lambda: GradientDescent(lr=math.inf), "GradientDescent: lr=inf must be a positive finite number."),
        (lambda: GradientDescent(lr=True), "GradientDescent: lr=True must be a positive finite number."),
        (lambda: LBFGSB(tolerance=0), "LBFGSB: tolerance=0 must be a positive finite number."),
        (
            lambda: make_optimizer("adm"),
            "There is no optimizer `adm`. Known: adam, gradient-descent, l-bfgs-b. Did you mean `adam`?",
        ),
        (
            lambda: make_optimizer("l-bfgs-b", lr=0.1),
            "Optimizer `l-bfgs-b` has no setting `lr`. Its settings: tolerance, bounds.",
        ),
        (
            lambda: make_optimizer("adam", beta=0.1),
            "Optimizer `adam` has no setting `beta`. Its settings: lr, betas, eps. Did you mean `betas`?",
        ),
        (
            lambda: make_optimizer(3),
            "optimizer=3 is no optimizer. Give one such as Adam(lr=0.1), "
            "or a name: adam, gradient-descent, l-bfgs-b.",
        ),
        (lambda: register(Adam), "Optimizer `adam` is registered already."),
    ],
)
def test_settings_out_of_range(build, message):
    with pytest.raises(TrainingError) as caught:
        build()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "bounds",
    [{"t": (1, 0)}, {"t": 1}, [(0, math.nan)], [0, 1], 7, [(math.inf, None)], {"t": ("a", "b")}, [[]]],
)
def test_bounds_that_are_none(bounds):
    with pytest.raises(TrainingError) as caught:
        LBFGSB(bounds=bounds)
    assert str(caught.value) == (
        f"LBFGSB: bounds={bounds!r} must map parameters to (low, high), or hold one (low, high) for each "
        'trained parameter, low ≤ high, None for no bound: bounds={"t": (0, None)}.'
    )


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([(0, 1)], "LBFGSB: 1 bounds for 2 trained parameters: x[0], x[1]."),
        ({"x": (0, 2)}, "LBFGSB: the start `x[1]` = -3.0 is outside its bounds [0.0, 2.0]."),
        ({"y": (0, 2)}, "LBFGSB: bounds for `y`, which is not trained. Trained: x[0], x[1]."),
    ],
)
def test_bounds_that_do_not_fit_the_run(bounds, message):
    with pytest.raises(TrainingError) as caught:
        minimize(square, [1.0, -3.0], optimizer=LBFGSB(bounds=bounds))
    assert str(caught.value) == message


@pytest.mark.parametrize("optimizer", [Adam(lr=1e-300), GradientDescent(lr=1e300)])
def test_a_step_that_overflows(optimizer):
    with pytest.raises(TrainingError) as caught:
        minimize(lambda x: (1.0, np.full(1, 1e300)), [1.0], optimizer=optimizer)
    assert str(caught.value) == (
        "Step 1 overflows: the gradient at step 0 is as large as 1e+300. "
        "Give a smaller lr, or scale the objective."
    )
