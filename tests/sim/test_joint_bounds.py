"""Bounds along lines through several parameters: against exact values in every direction of signs."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

import qdiff as qd
from qdiff.sim.joint_bounds import joint_bounds
from qdiff.sim.majorants import DerivativeBounds

STATIC = "qubit: q, r para: t, u Ry(t)[q]; Ry(u)[r]; CNOT[q, r]; Rx(t + 2*u)[r]; Ry(u)[q]"
LOOP = (
    "qubit: q, r para: t, u, p Ry(t)[q]; while M[q] = 1 do Ry(u)[q]; Rx(t)[r]; "
    "if flip(p) then X[r]; Rx(u)[r] fi; if flip(0.2) then abort fi; if flip(0.5) then q := |0> fi od"
)
NEVER_TAKEN = "qubit: q para: p, u if flip(p) then Ry(u)[q]; Ry(u)[q] fi"
ARRAY = "qubit: q para: w[2] count: c Ry(w[c])[q]; c++; Rx(w[c])[q]; Ry(w[0])[q]"


def bounds_at(f: qd.Objective, params: list[float]) -> DerivativeBounds:
    found = qd.derivative_bounds(f, params)
    return joint_bounds(f.program, tuple(found), list(found.values()))


@pytest.mark.parametrize(
    ("text", "observable", "params"),
    [
        (STATIC, "Z[q] + Y[r]", [0.4, 0.9]),
        (STATIC, "X[q]*Z[r]", [2.0, -0.3]),
        (LOOP, "Z[r]", [0.8, 0.5, 0.3]),
        (NEVER_TAKEN, "Z[q]", [0.0, 0.3]),
        (ARRAY, "Z[q]", [0.4, 0.7]),
    ],
)
def test_no_direction_exceeds_them(text: str, observable: str, params: list[float]) -> None:
    f = qd.expectation(qd.parse(text), observable)
    bounds = bounds_at(f, params)
    slope, curvature = f.grad(params), f.hessian(params)
    steps = [share * min(bounds.radius, 1.0) for share in (0.05, 0.3, 0.8)]
    if 0 in params:  # a probability that would be negative
        steps = []
    for signs in itertools.product((-1, 1), repeat=len(params)):
        delta = np.array(signs)
        assert abs(slope @ delta) <= bounds.first
        assert abs(delta @ curvature @ delta) <= bounds.second < math.inf
        for h in steps:
            difference = (f(np.array(params) + h * delta) - f(np.array(params) - h * delta)) / (2 * h)
            assert abs(difference - slope @ delta) <= bounds.shift_bias(h) < math.inf


def test_two_gates_in_a_row() -> None:
    """f = cos(t + u): along (1, 1) the second derivative is 4 cos, and E[N] = 2, w = 1 prove 2 (1 + 2)."""
    f = qd.expectation(qd.parse("qubit: q para: t, u Ry(t)[q]; Ry(u)[q]"), "Z[q]")
    bounds = bounds_at(f, [0.0, 0.0])
    assert bounds.first == pytest.approx(2, rel=1e-4)
    assert bounds.second == pytest.approx(6, rel=1e-4)
    assert bounds.complete
    assert bounds.reason == ""
    broken = replace(bounds, occurrences=replace(bounds.occurrences, to_come=0.0))  # w of each one alone
    curvature = float(np.sum(f.hessian([0.0, 0.0])))
    assert broken.second < abs(curvature) == pytest.approx(4)


def test_one_parameter_has_its_own_bounds() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]"), "Z[q]")
    [own] = qd.derivative_bounds(f, [0.3]).values()
    assert joint_bounds(f.program, ("t",), [own]) is own


def test_angles_that_are_affine_together_add_their_slopes() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t, u Ry(t + 2*u)[q]; Ry(t^2)[q]"), "Z[q]")
    bounds = bounds_at(f, [1.5, 0.2])
    assert bounds.complete
    assert bounds.gates == pytest.approx((3 + 2, 2), rel=1e-9)  # by t at most 3, by u at most 2
    assert bounds.flips == ()


def test_products_of_parameters_bound_the_first_order_only() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t, u Ry(t*u)[q]; Ry(t*u + t)[q]"), "Z[q]")
    bounds = bounds_at(f, [0.4, 0.3])
    assert bounds.reason == "`t*u` is not affine in the parameters that vary together"
    assert abs(f.grad([0.4, 0.3])).sum() <= bounds.first < math.inf
    assert (bounds.second, bounds.shift_bias(0.01)) == (math.inf, math.inf)


def test_reasons_are_said_once() -> None:
    text = "qubit: q para: t, u count: c Ry(t)[q]; Ry(u)[q]; while M[q] = 1 do c++; H[q] od"
    bounds = bounds_at(qd.expectation(qd.parse(text), "c"), [0.3, 0.2])
    assert bounds.reason == "the observable is not bounded: too many values of `c` can be reached"
    assert bounds.shift_bias(0.01) == math.inf
