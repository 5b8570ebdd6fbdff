"""What an engine over pure states is held against: the reference interpreter, and itself."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from helpers import assert_close
from reference import derivatives, interpreter

from qdiff.lang.observable import Observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.exact import ExactEngine

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "reference" / "cases.json").read_text(encoding="utf-8")
)
TOLERANCE = 1e-9
STEP = 2e-3  # of differences; sixth order leaves about 1e-11, and as much rounding
REFERENCE_CUT = 1e-11  # the reference leaves 1e-15 of the mass in its loops, times what an observable can be


def check_engine(engine: ExactEngine, observable: Observable, params: Mapping[str, float]) -> None:
    """Value, gradient, state and all counts of an engine against the reference interpreter."""
    program = engine.program
    wrt = program.trainable
    values, gradients = engine.gradients([params], [observable], wrt)
    expected, slopes = derivatives.value_and_gradient(program, observable, params, wrt)
    assert_close(values[0, 0], expected, TOLERANCE)
    assert_close(dict(zip(wrt, gradients[0, 0], strict=True)), slopes, TOLERANCE)
    alone = engine.values([params], [observable])[0, 0]
    assert_close(alone, expected, TOLERANCE)
    found = engine.analyze(params, observable, wrt)
    counted = interpreter.statistics(program, params)
    assert_close(found.termination_probability, counted.termination_probability)
    assert_close([(loop.evaluations, loop.passes) for loop in found.expected_visits], list(counted.visits))
    assert_close(found.occurrences, {p: counted.occurrences.get(p, 0.0) for p in program.parameters})
    assert set(found.grad_error_bound) == set(wrt)
    if math.isfinite(found.error_bound):
        assert abs(alone - expected) <= found.error_bound + REFERENCE_CUT * (1 + abs(expected))
    check_state(engine, params)


def check_state(engine: ExactEngine, params: Mapping[str, float]) -> None:
    """The final state of every store against the reference interpreter."""
    final = interpreter.run(engine.program, params)
    states = engine.state(params)
    for store in final.keys() | states.keys():
        mine = states[store].density_matrix() if store in states else 0.0
        assert np.allclose(mine, final.get(store, 0.0), rtol=0, atol=TOLERANCE), store


def check_curvature(engine: ExactEngine, observable: Observable, params: Mapping[str, float]) -> None:
    """Hessian times two directions against differences of gradients (sixth order)."""
    wrt = engine.program.trainable
    directions = np.random.default_rng(5).normal(size=(2, len(wrt)))
    found = engine.curvature(params, [observable], wrt, directions)
    values, gradients = engine.gradients([params], [observable], wrt)
    assert_close(found.values[0], values[0, 0], 1e-11)
    assert_close(found.gradients[0], gradients[0, 0], 1e-11)
    scale = max(1.0, *(float(np.abs(x).max(initial=0.0)) for x in (values, gradients, found.products)))
    weights = np.array([45, -9, 1]) / (60 * STEP)
    for direction, product in zip(directions, found.products[0], strict=True):
        rows = [
            {**params, **{n: params[n] + s * STEP * x for n, x in zip(wrt, direction, strict=True)}}
            for s in (1, 2, 3, -1, -2, -3)
        ]
        slopes = engine.gradients(rows, [observable], wrt)[1][:, 0]
        assert_close(product / scale, weights @ (slopes[:3] - slopes[3:]) / scale, 1e-8)


def prepared(text: str, observable: str, **params: object) -> tuple[Program, Observable, dict[str, float]]:
    """A program, an observable and parameters by element."""
    program = parse(text)
    return program, parse_observable(observable), resolve(program, params)
