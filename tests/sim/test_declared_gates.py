"""Declared gates in the engines, the sampler and the bounds: against the reference and closed forms."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from amounts import examples
from chi_square import assert_drawn_from, exact_distribution
from hypothesis import given, reject, settings
from reference.exponentials import both
from sim.hybrid.agreement import check_engine
from strategies import cases

import qdiff as qd
from qdiff.errors import ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.census import size_of
from qdiff.sim.generators import effective_generator, generator_slope
from qdiff.sim.hybrid.engine import HybridEngine

EVERY_ENGINE = ("hybrid", "pure-state", "branching")
GATES = """
gate Heis(a)[p, q] = exp(-i a/2 * (0.5*X X + 0.7*Y Y - 0.3*Z Z + 0.2*X I))
gate Drift(a)[p] = exp(-i (a * 0.5*X + 0.8*Z))
gate Wide(a)[p, q, r] = exp(-i (a * (0.4*X Z Y + 0.3*Y I X) - 0.7*Z X X + 0.2*I I Z))
gate Four(a)[p, q, r, s] = exp(-i a/2 * (0.4*X Z Y Z + 0.3*Y I X X + Z Z I I))
gate Turn[p, q] = [[0.6, 0, 0, 0.8*i], [0, 0, i, 0], [0, 1, 0, 0], [0.8*i, 0, 0, 0.6]]
"""


@settings(max_examples=examples(16))
@given(cases(declared=True))
def test_random_programs_against_the_reference(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, row = case
    try:
        check_engine(HybridEngine(program), observable, row)
    except ResourceError:  # its differences take dozens of rows at once, which may not fit; a few do not
        reject()


@pytest.mark.parametrize("engine", EVERY_ENGINE)
def test_a_drift_in_closed_form(engine: str) -> None:
    # exp(-i (w_x X + w_z Z)) turns about an axis; w_x = t²/2, w_z = 0.8.
    program = qd.parse(f"qubit: q para: t {GATES} Drift(t^2)[q]")
    f = qd.expectation(program, "P1[q]", engine=engine)

    def chance(t: float) -> float:
        x = np.longdouble(t) ** 2 / 2
        w = np.sqrt(x**2 + np.longdouble(0.8) ** 2)
        return float((x / w * np.sin(w)) ** 2)

    t, h = 1.3, 1e-4
    first = (8 * (chance(t + h) - chance(t - h)) - chance(t + 2 * h) + chance(t - 2 * h)) / (12 * h)
    assert np.isclose(f({"t": t}), chance(t), atol=1e-14)
    assert np.isclose(f.grad({"t": t})[0], first, atol=1e-10)
    second = (f.grad({"t": t + h})[0] - f.grad({"t": t - h})[0]) / (2 * h)
    assert np.isclose(f.hessian({"t": t})[0, 0], second, atol=1e-6)


LARGE = f"""qubit: q[6]  para: t, u {GATES}
    H[q[0]]; Ry(0.7)[q[3]]; Heis(t)[q[0], q[4]]; Wide(u)[q[5], q[1], q[3]]; Turn[q[2], q[0]];
    C_Drift(t*u)[q[0]][q[2]]; C_Wide(0.4)[q[4]][q[0], q[2], q[1]]; Four(u - t)[q[3], q[0], q[5], q[2]];
    C_Turn[q[1]][q[4], q[5]]; C_Four(t)[q[0]][q[1], q[2], q[3], q[4]]; Drift(u)[q[0]]; Drift(0.3)[q[5]]"""


def test_registers_on_which_gates_act_row_by_row() -> None:
    program = qd.parse(LARGE)
    point = {"t": 0.4, "u": -0.9}
    answers = []
    for engine in EVERY_ENGINE:
        f = qd.expectation(program, "Z[q[0]]*X[q[2]] + Y[q[5]] - Z[q[3]]*Z[q[4]]", engine=engine)
        answers.append(np.concatenate([[f(point)], f.grad(point), f.hessian(point).ravel()]))
        analysis = f.analyze(point)
        assert analysis.error_bound < 1e-9
        assert max(analysis.grad_error_bound.values()) < 1e-7
    assert np.abs(answers[0] - answers[1]).max() < 1e-12
    assert np.abs(answers[1] - answers[2]).max() < 1e-12


def test_batches_and_loops() -> None:
    program = qd.parse(
        f"qubit: q, r  para: t, u  count: c {GATES}"
        "Drift(t)[q]; while M[q] = 1 do c++; Drift(u*c)[q]; Heis(t)[q, r]; C_Drift(0.1*c)[r][q] od"
    )
    f = qd.expectation(program, "c + Z[r]")
    rows = np.array([[0.9, 0.4], [1.3, -0.7], [0.2, 1.1]])
    values, slopes = f.batch_value_and_grad(rows)
    for row, value, slope in zip(rows, values, slopes, strict=True):
        assert np.isclose(f(row), value, atol=1e-11)
        assert np.allclose(f.grad(row), slope, atol=1e-10)


def test_a_slope_of_the_generator_that_is_lost_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    program = qd.parse(f"qubit: q para: t {GATES} Ry(0.3)[q]; Drift(t)[q]")
    observable = qd.observable("X[q] + 0.5*Z[q]")
    check_engine(HybridEngine(program), observable, {"t": 0.7})
    monkeypatch.setattr("qdiff.sim.hybrid.generators.generator_slope", lambda record, a: np.zeros((1, 2, 2)))
    with pytest.raises(AssertionError):
        check_engine(HybridEngine(program), observable, {"t": 0.7})


def test_effective_generators() -> None:
    program = qd.parse(f"qubit: q {GATES} H[q]")
    record = program.record("Wide")
    angles = np.array([0.3, -1.2])
    found, slopes = effective_generator(record, angles), generator_slope(record, angles)
    h = 1e-5
    changes = (effective_generator(record, angles + h) - effective_generator(record, angles - h)) / (2 * h)
    assert np.abs(changes - slopes).max() < 1e-9
    for k, angle in zip(found, angles, strict=True):
        matrix, slope = both(record, angle, np.complex128)
        assert np.allclose(slope, -0.5j * k @ matrix, atol=1e-13)
        assert np.allclose(k, k.conj().T)
        values = np.linalg.eigvalsh(k)
        assert record.spectrum[0] <= values[0]
        assert values[-1] <= record.spectrum[-1]
    plain = program.record("Heis")
    assert effective_generator(plain, angles) is plain.generator


def test_shots_follow_the_exact_distribution() -> None:
    program = qd.parse(
        f"qubit: q, r, s, v  para: t  count: c {GATES}"
        "H[q]; Wide(t)[r, s, q]; if M[q] = 1 then Drift(t)[r]; C_Heis(2*t)[r][s, q] fi; Turn[s, v];"
        "c := M[s]; C_Wide(0.7)[q][v, r, s]; Four(t)[q, r, s, v]; C_Turn[r][q, v]"
    )
    samples = qd.sample(program, {"t": 0.8}, shots=3000, seed=5)
    exact: dict[str, float] = {}
    for outcome, p in exact_distribution(program, {"t": 0.8}).items():
        if isinstance(outcome, tuple):
            bits = f"{outcome[1]:04b}"
            exact[bits] = exact.get(bits, 0.0) + p
    assert_drawn_from(Counter(samples.counts), exact)


def test_derivative_bounds_hold_with_a_drift() -> None:
    program = qd.parse(
        f"qubit: q, r para: t {GATES} Drift(t)[q]; while M[q] = 1 do Ry(1.2)[q];"
        "C_Drift(2*t)[r][q]; Heis(t)[q, r]; q := |0>; H[q] od"
    )
    f = qd.expectation(program, "Z[r]")
    for t in (-1.0, 0.1, 0.9):
        bounds = qd.derivative_bounds(f, {"t": t}, "t")["t"]
        assert abs(f.grad({"t": t})[0]) <= bounds.first < np.inf
        assert abs(f.hessian({"t": t})[0, 0]) <= bounds.second < np.inf
        for h in (0.01, 0.2):
            shift = (f({"t": t + h}) - f({"t": t - h})) / (2 * h)
            assert abs(shift - f.grad({"t": t})[0]) <= bounds.shift_bias(h) + 1e-9


def test_a_wide_gate_costs_more() -> None:
    narrow = size_of(qd.parse(f"qubit: q[4] {GATES} H[q[0]]; Drift(0.1)[q[0]]")).whole
    wide = size_of(qd.parse(f"qubit: q[4] {GATES} H[q[0]]; Four(0.1)[q[0], q[1], q[2], q[3]]")).whole
    assert (narrow.gates, wide.gates) == (2, 9)
