"""What the tests of the hybrid engine share: short ways to solve, and the checks against the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from helpers import assert_close
from numpy.typing import NDArray
from reference import derivatives, interpreter
from richardson import limit

from qdiff.lang.observable import Observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.exact import Parameters
from qdiff.sim.hybrid.engine import HybridEngine

Floats = NDArray[np.float64]

STEP = 0.02
LEVELS = 5


def engine_for(text: str) -> HybridEngine:
    """An engine for a program given as text."""
    return HybridEngine(parse(text))


def value(text: str, observable: str, **params: float) -> float:
    """The expectation, without any derivative."""
    engine = engine_for(text)
    row = resolve(engine.program, params)
    return float(engine.values([row], [parse_observable(observable)])[0, 0])


def solved(text: str, observable: str, **params: float) -> tuple[float, dict[str, float]]:
    """The expectation and its derivatives by all trainable parameters."""
    engine = engine_for(text)
    row = resolve(engine.program, params)
    return value_and_gradient(engine, row, parse_observable(observable))


def value_and_gradient(
    engine: HybridEngine, row: Parameters, observable: Observable
) -> tuple[float, dict[str, float]]:
    """The same for an engine that is there already."""
    wrt = engine.program.trainable
    values, gradients = engine.gradients([row], [observable], wrt)
    return float(values[0, 0]), dict(zip(wrt, gradients[0, 0].tolist(), strict=True))


def hessian(engine: HybridEngine, row: Parameters, observables: Sequence[Observable]) -> Floats:
    """All second derivatives by the trainable parameters, (k, d, d)."""
    wrt = engine.program.trainable
    return engine.curvature(row, observables, wrt, np.eye(len(wrt))).products


def differences(engine: HybridEngine, row: Parameters, observables: Sequence[Observable]) -> Floats:
    """The Hessian from central differences of gradients, extrapolated (Richardson), all rows at once."""
    wrt = engine.program.trainable
    steps = [STEP / 2**level for level in range(LEVELS)]
    moved = [{**row, name: row[name] + sign * step} for name in wrt for step in steps for sign in (1.0, -1.0)]
    _, slopes = engine.gradients(moved, observables, wrt)
    k, d = len(observables), len(wrt)
    by_step = slopes.reshape(d, LEVELS, 2, k, d)
    table = [(by_step[:, i, 0] - by_step[:, i, 1]) / (2 * step) for i, step in enumerate(steps)]
    return np.asarray(limit(table)).transpose(1, 0, 2)


def check_curvature(engine: HybridEngine, observables: Sequence[Observable], row: Parameters) -> None:
    """Second derivatives against differences of first ones; values and gradients come along unchanged."""
    wrt = engine.program.trainable
    directions = np.eye(len(wrt))
    found = engine.curvature(row, observables, wrt, directions)
    values, gradients = engine.gradients([row], observables, wrt)
    assert_close(found.values, values[0], tolerance=1e-10)
    assert_close(found.gradients, gradients[0], tolerance=1e-9)
    assert_close(found.products, differences(engine, row, observables), tolerance=1e-6)
    assert_close(found.products, found.products.swapaxes(1, 2))
    along, slopes = engine.tangents(row, observables, wrt, directions)
    assert_close(along, values[0], tolerance=1e-10)
    assert_close(slopes, gradients[0], tolerance=1e-8)


def check_engine(engine: HybridEngine, observable: Observable, row: Mapping[str, float]) -> None:
    """Value, gradient, curvature, and all counts of an engine against the reference interpreter."""
    program = engine.program
    found, gradient = value_and_gradient(engine, row, observable)
    assert_close(found, engine.values([row], [observable])[0, 0], tolerance=1e-12)
    expected, slopes = derivatives.value_and_gradient(program, observable, row, program.trainable)
    assert_close(found, expected)
    assert_close(gradient, slopes)
    check_curvature(engine, [observable], row)
    analysis = engine.analyze(row, observable, program.trainable)
    counted = interpreter.statistics(program, row)
    assert_close(analysis.termination_probability, counted.termination_probability)
    assert_close([(loop.evaluations, loop.passes) for loop in analysis.expected_visits], list(counted.visits))
    assert_close(dict(analysis.occurrences), {p: counted.occurrences.get(p, 0.0) for p in program.parameters})
    assert analysis.trapped_probability == 0.0
    if math.isfinite(analysis.error_bound):
        # The reference cuts its loops at 1e-15 of the mass, times what its observable can be.
        assert abs(found - expected) <= analysis.error_bound + 1e-11 * (1 + abs(expected))
