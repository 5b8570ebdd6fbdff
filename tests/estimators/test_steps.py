"""The step of a difference: the best one, where the program has values, and what is said of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.estimators.steps import (
    DEFAULT_STEP,
    LARGEST_STEP,
    LEAST_STEP,
    Unproved,
    best_step,
    bias_at,
    biases_at,
    checked_step,
    moving,
    require_apart,
    steps_text,
    unproved_text,
    within_values,
)
from qdiff.sim.majorants import DerivativeBounds, OccurrenceBounds


def bounds(norm: float, expected: float, to_come: float) -> DerivativeBounds:
    return DerivativeBounds(norm, OccurrenceBounds(expected, to_come), gates=(1.0,))


@pytest.mark.parametrize("pairs", [50, 10**4, 10**7])
@pytest.mark.parametrize("each", [bounds(1, 1, 0), bounds(3, 8, 9), bounds(0.1, 40, 60)])
def test_the_best_step_is_near_the_best_of_many(each: DerivativeBounds, pairs: int) -> None:
    def error(h: float) -> float:
        return math.hypot(bias_at(each, h), each.norm / h / math.sqrt(2 * pairs))

    grid = np.geomspace(LEAST_STEP, LARGEST_STEP, 200)
    assert error(best_step([each], pairs)) <= 1.06 * min(error(h) for h in grid)


def test_observables_without_a_bound_do_not_count() -> None:
    proved = bounds(1, 2, 3)
    assert best_step([Unproved("none"), proved, Unproved("none")], 100) == best_step([proved], 100)
    assert best_step([Unproved("none")], 100) == DEFAULT_STEP
    growing = bounds(math.inf, 2, 3)
    assert best_step([growing], 100) == DEFAULT_STEP
    assert bias_at(DerivativeBounds(math.inf, OccurrenceBounds(1, 0), flips=(2.0,)), 0.1) == math.inf


def test_without_bias_the_step_is_the_largest() -> None:
    """f is affine in the probability of a flip that is met once."""
    once = DerivativeBounds(1.0, OccurrenceBounds(1.0, 0.0), flips=(2.0,))
    assert best_step([once], 100) == LARGEST_STEP


def test_bounds_that_hold_for_small_steps_only() -> None:
    narrow = bounds(1, 1, 200)
    assert LEAST_STEP <= best_step([narrow, bounds(1, 1, 0)], 10) < narrow.radius < 0.01

    class Narrower(Unproved):
        def shift_bias(self, h: float) -> float:
            return h**2 if h < 1.1 * LEAST_STEP else math.inf

    assert best_step([Narrower("", norm=1.0)], 10) == LEAST_STEP


@pytest.mark.parametrize("bad", [0, -0.1, math.inf, math.nan, True, "0.1", [0.1]])
def test_what_is_no_step(bad: object) -> None:
    with pytest.raises(QdiffError) as caught:
        checked_step(bad)
    assert str(caught.value) == f"h is the step to both sides, a finite number above 0, got {bad!r}."
    assert checked_step(None) is None
    assert type(checked_step(np.float32(0.5))) is float


def test_a_step_that_rounding_swallows() -> None:
    with pytest.raises(QdiffError) as caught:
        require_apart({"t": 1e20, "u": 1.0}, ["u", "t"], 0.1)
    assert str(caught.value) == "h = 0.1 is lost in the rounding of `t` = 1e+20. Give a larger step."
    require_apart({"u": 1.0}, ["u"], 1e-12)


@pytest.mark.parametrize(
    ("text", "params", "names", "step"),
    [
        ("if flip(p) then X[q] fi", {"p": 0.3}, ["p"], 0.25),
        ("if flip(p) then X[q] fi", {"p": 0.5}, ["p"], 0.5),
        ("if flip(p) then X[q] fi", {"p": 0.0}, ["p"], 1.0),  # a run will say what is wrong
        ("depolarize(p/2)[q]", {"p": 1.5}, ["p"], 0.5),
        ("Ry(sqrt(p))[q]", {"p": 0.3}, ["p"], 0.25),
        ("Ry(1/p)[q]", {"p": 1.0}, ["p"], 0.5),  # 1/0 at a whole step
        ("Ry(p)[q]; if flip(0.2) then X[q] fi", {"p": 0.3}, ["p"], 1.0),
        ("if flip(p*t) then X[q] fi", {"p": 0.6, "t": 1.2}, ["p", "t"], 0.125),  # both upwards: 0.725 * 1.325
        ("if flip(p*t) then X[q] fi", {"p": 0.6, "t": 1.2}, ["p"], 0.125),
        ("if flip(p*t) then X[q] fi", {"p": 0.6, "t": 1.2}, ["t"], 0.25),
        ("c++; if flip(p/c) then X[q] fi", {"p": 0.6}, ["p"], 1.0),  # known when it runs
        ("if flip(2*p) then X[q] fi; Ry(p)[q]", {"p": 0.6}, ["p"], 1.0),  # has no value anyway
    ],
)
def test_steps_stay_where_the_program_has_values(
    text: str, params: dict[str, float], names: list[str], step: float
) -> None:
    parameters = f"para: {', '.join(params)}\n"
    program = qd.parse(f"qubit: q\n{parameters}count: c\n{text}")
    assert within_values(program, params, names, 1.0) == step


def test_which_parameters_move_the_program() -> None:
    program = qd.parse(
        "qubit: q para: t, u, p, s, n, w[2] count: c "
        "Ry(t - t + u)[q]; if flip(p) then skip fi; depolarize(s)[q]; Rx(w[c])[q]; if n > 1 then X[q] fi"
    )
    names = ["n", "t", "u", "p", "s", "w[0]", "w[1]"]
    assert moving(program, names) == ("u", "p", "s", "w[0]", "w[1]")


def test_what_is_said() -> None:
    assert steps_text({"t": 0.25, "p": 0.01234567, "u": 0.25}, ["p"]) == (
        "h = 0.25 was chosen for `t`, `u`; h = 0.0123, as far as the program has values, was chosen for `p`"
    )
    unproved = {"t": ["no", "no"], "u": [], "p": ["no"], "s": ["never", "no"]}
    assert unproved_text(unproved) == (
        "no bound of the bias by `t`, `p` is proved: no; no bound of the bias by `s` is proved: never; no"
    )
    assert unproved_text({"t": []}) == ""
    biases, reasons = biases_at([bounds(1, 1, 9), Unproved("too large"), bounds(1, 1, 0)], 0.5)
    assert biases == [math.inf, math.inf, bounds(1, 1, 0).shift_bias(0.5)]
    assert reasons == ["the bound holds for smaller steps than h = 0.5 only", "too large"]
