"""Traps whose place depends on a parameter: first derivatives right, second ones refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import assert_close
from sim.hybrid.agreement import engine_for

from qdiff.errors import EvaluationError
from qdiff.lang.text.observable_text import parse_observable

TURNING = "qubit: q, r para: u X[q]; while M[q] = 1 do Ry(u)[r]; X[r]; CNOT[r, q]; X[r]; Ry(-u)[r] od"
INSIDE = "qubit: q, r, s para: u H[q]; while M[q] = 1 do Ry(u)[r]; while M[r] = 1 do skip od; H[q] od"


def difference(text: str, observable: str, u: float, step: float = 1e-4) -> float:
    engine, asked = engine_for(text), [parse_observable(observable)]
    ahead, behind = engine.values([{"u": u + step}, {"u": u - step}], asked)[:, 0]
    return float(ahead - behind) / (2 * step)


@pytest.mark.parametrize("u", [0.7, -1.9, 2.5])
def test_a_trap_that_turns(u: float) -> None:
    values, gradients = engine_for(TURNING).gradients([{"u": u}], [parse_observable("1")], ["u"])
    assert_close(values[0, 0], math.cos(u / 2) ** 2)
    assert_close(gradients[0, 0, 0], -math.sin(u) / 2)


@pytest.mark.parametrize(("text", "observable"), [(TURNING, "Z[r]"), (INSIDE, "1"), (INSIDE, "Z[s] + X[r]")])
@pytest.mark.parametrize("u", [0.7, 2.1])
def test_against_differences(text: str, observable: str, u: float) -> None:
    asked = [parse_observable(observable)]
    _, gradients = engine_for(text).gradients([{"u": u}], asked, ["u"])
    assert abs(gradients[0, 0, 0] - difference(text, observable, u)) < 1e-6
    _, slopes = engine_for(text).tangents({"u": u}, asked, ["u"], np.eye(1))
    assert_close(slopes[0, 0], gradients[0, 0, 0])


def test_second_derivatives_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"Second derivatives are not computed here: .* depends on `u`"):
        engine_for(TURNING).curvature({"u": 0.7}, [parse_observable("1")], ["u"], np.eye(1))


def test_second_derivatives_of_a_trap_that_stays() -> None:
    text = "qubit: q para: t Ry(t)[q]; while M[q] = 1 do skip od"
    found = engine_for(text).curvature({"t": 0.7}, [parse_observable("1")], ["t"], np.eye(1))
    assert_close(found.products[0, 0, 0], -math.cos(0.7) / 2)


def test_several_observables_of_a_program_that_never_ends() -> None:
    engine = engine_for("qubit: q para: t count: c while c >= 0 do Rx(t)[q]; c++ od")
    asked = [parse_observable("Z[q]"), parse_observable("1")]
    values, gradients = engine.gradients([{"t": 0.7}], asked, ["t"])
    assert not values.any()
    assert not gradients.any()
    assert not engine.curvature({"t": 0.7}, asked, ["t"], np.eye(1)).products.any()
