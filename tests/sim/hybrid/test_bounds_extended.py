"""Solutions in extended precision: numbers, refinement, noise, and what a wrong number does to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bounds.samples import draw_cases
from reference.precision import EXTENDED, is_extended
from reference.truth import TooLong, truth
from sim.hybrid.agreement import engine_for

from qdiff.errors import EvaluationError
from qdiff.lang.gates import GateRecord, record
from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.flow import SmallGate
from qdiff.sim.hybrid import accuracy, extended_numbers
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.extended import Extended, work
from qdiff.sim.hybrid.extended_numbers import UNIT, ExtendedNumbers
from qdiff.sim.hybrid.passage import operator_norms, trace_norms

pytestmark = pytest.mark.skipif(not is_extended(), reason="this platform has no extended precision")

LOOP = "qubit: q, r para: t count: c H[q]; while M[q] = 1 do T[q]; H[q]; C_Ry(t/3)[q][r]; Ry(pi/5)[q]; c++ od"


def refined(text: str, observable: str, **params: float) -> tuple[HybridEngine, Extended]:
    engine = engine_for(text)
    asked = parse_observable(observable)
    solution = engine.solve([params], [asked], engine.program.trainable)
    return engine, Extended(solution, asked, engine.pull_back(solution), projected=True)


# --- Numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "angle",
    [
        "t/3 + pi",
        "sin(t)*exp(t) - log(t)",
        "asin(t)*acos(t) + atan(t)",
        "sqrt(t)^3 - abs(t)",
        "t^2*w[1] + tan(t)",
        "cos(t*c) + w[c mod 2]",
        "12345678901234567891*t",
    ],
)
def test_angles_are_within_their_errors(angle: str) -> None:
    text = f"qubit: q para: t, w[2] count: c while c < 3 do c++; Ry({angle})[q] od"
    params = {"t": 0.7, "w[0]": 0.1, "w[1]": -0.3}
    engine = engine_for(text)
    solution = engine.solve([params], [parse_observable("Z[q]")], ("t",))
    numbers = ExtendedNumbers(solution.numbers)
    (expression,) = engine.flow.expressions
    e, rows = solution.numbers.gate_places
    assert len(e)
    for k, row in enumerate(rows):
        store = {name: int(values[row]) for name, values in numbers.counters.items()}
        exact = EXTENDED.evaluate(expression, params, store)
        assert abs(numbers.angles[k] - exact) <= numbers.angle_errors[k]
        assert numbers.angle_errors[k] < 1e3 * UNIT * max(1.0, abs(float(exact)))


def test_constant_angles_are_what_is_written_and_not_their_doubles() -> None:
    """π/5 and a double near it: only where two of them are the same double is one off."""
    _, found = refined("qubit: q Ry(pi/5)[q]; Ry(0.3)[q]", "Z[q]")
    assert [error < 10 * UNIT for _, error in found.numbers.gates] == [True, True]
    half = np.longdouble(extended_numbers.PI) / 10
    assert abs(found.numbers.gates[0][0][0, 0].real - np.cos(half)) <= 2 * UNIT
    same = f"qubit: q Ry(pi/5)[q]; Ry({math.pi / 5!r})[q]"
    _, found = refined(same, "Z[q]")
    assert found.numbers.gates[0][1] > 1e-17


def test_fixed_gates() -> None:
    for name in ("H", "T", "Tdg", "S", "SX", "X", "ISWAP"):
        matrix, error = extended_numbers._fixed(record(name).matrix())
        assert error == 0.0
        assert np.abs(matrix @ matrix.conj().T - np.eye(len(matrix))).max() <= 2 * UNIT
    odd = np.array([[0.6, 0.8], [-0.8, 0.6]], dtype=complex)
    matrix, error = extended_numbers._fixed(odd)
    np.testing.assert_array_equal(matrix, odd)
    assert error > UNIT


def test_a_generator_that_is_not_known() -> None:
    generator = np.array([[1, 2], [2, 1]], dtype=complex)
    gate = SmallGate(GateRecord("Q", 1, "", generator=generator), -1, (0,), 0, 0.5)
    with pytest.raises(AssertionError, match=r"what is exp\(-i a G/2\) of Q\?"):
        extended_numbers._rotation(gate, np.longdouble(0.5))


# --- Refinement ------------------------------------------------------------------------------------


@pytest.mark.parametrize("observable", ["Z[r]", "c", "c^2 + Z[r]*c"])
def test_residuals_are_far_below_doubles(observable: str) -> None:
    _, found = refined(LOOP, observable, t=0.4)
    for residual, size in (
        (trace_norms(found.states_residual), trace_norms(found.states)),
        (operator_norms(found.observables_residual), operator_norms(found.observables)),
    ):
        assert residual.sum() <= 100 * UNIT * size.sum()
    assert work(found.solution) > 0


def test_values_are_those_of_the_reference() -> None:
    checked = 0
    for program, observable, params in draw_cases(40, seed_value=11):
        engine = HybridEngine(program)
        wrt = program.trainable
        try:
            true = truth(program, observable, params, wrt)
            solution = engine.solve([params], [observable], wrt)
        except (TooLong, EvaluationError):
            continue
        if solution.frontier or solution.solver.loops.traps:
            continue
        found = Extended(solution, observable, engine.pull_back(solution), projected=True)
        assert abs(found.value() - true.value) <= 1e-17 * max(1.0, abs(float(true.value)))
        for slope, name in zip(found.derivatives()[0], wrt, strict=True):
            assert abs(slope - true.gradient[name]) <= 1e-16 * max(1.0, abs(float(slope)))
        checked += 1
    assert checked >= 20


def test_a_wrong_step_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solution of other equations has a residual: refinement finds the solution of the true ones."""
    engine, fine = refined(LOOP, "c", t=0.4)
    solution = fine.solution
    pulled = engine.pull_back(solution)
    monkeypatch.setattr("qdiff.sim.hybrid.extended.ROUNDS", 0)
    solution.states.array *= 1 + 1e-9
    found = Extended(solution, parse_observable("c"), pulled, projected=True)
    assert trace_norms(found.states_residual).sum() > 1e-10
    assert abs(found.value() - fine.value()) > 1e-10


# --- Without it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("observable", ["Z[r]", "c"])
def test_bounds_in_doubles_hold_as_well(observable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, asked, row = engine_for(LOOP), parse_observable(observable), {"t": 0.4}
    sharp = engine.analyze(row, asked, ("t",))
    assert "residuals in extended precision" in sharp.reason
    monkeypatch.setattr(accuracy, "LARGEST_DIMENSION", 0)
    found = engine.analyze(row, asked, ("t",))
    assert "residuals and rounding" in found.reason
    true = truth(engine.program, asked, row, ("t",))
    values, gradients = engine.gradients([row], [asked], ("t",))
    for bound, sharper, value, exact in (
        (found.error_bound, sharp.error_bound, values[0, 0], true.value),
        (found.grad_error_bound["t"], sharp.grad_error_bound["t"], gradients[0, 0, 0], true.gradient["t"]),
    ):
        assert abs(np.longdouble(value) - exact) <= bound < 1e-9
        assert sharper < bound / 10


def test_moments_at_the_frontier() -> None:
    """A counter that is only counted beside one that is read, both without limit."""
    text = (
        "qubit: q para: t count: c, k Ry(t)[q]; "
        "while M[q] = 1 do c++; k := k + 2; Ry(pi/2 + 0.3*sin(t*c))[q] od"
    )
    engine, asked, row = engine_for(text), parse_observable("k + k^2 + Z[q]"), {"t": 0.8}
    found = engine.analyze(row, asked, ("t",))
    assert found.outside_probability > 0
    true = truth(engine.program, asked, row, ())
    assert abs(np.longdouble(engine.values([row], [asked])[0, 0]) - true.value) <= found.error_bound < 1e-11
    assert found.grad_error_bound == {"t": math.inf}
    assert "none is proved for derivatives of an observable that grows with a moment" in found.reason
