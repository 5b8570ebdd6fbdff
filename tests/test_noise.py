"""Noise in what a program is asked: values, derivatives, shots, training."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from amounts import examples
from chi_square import assert_drawn_from
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from noise_models import noises
from random_parts import MIXTURES
from reference.interpreter import expectation, run
from reference.noisy import Noise, NoisyInterpreter, Table
from reference.semantics import PassLimitReached
from strategies import cases

import qdiff as qd
from qdiff.errors import EvaluationError, QdiffError, TrainingError

LOOP = qd.parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od")
P01, P10 = 0.1, 0.25
MISREAD = qd.NoiseModel(readout=(P01, P10))
TRAINED = qd.NoiseModel(
    {
        "Ry": "qubit: a para: eps depolarize(eps)[a]",
        "CNOT": "qubit: a, b para: eps if flip(eps/2) then X[b] fi",
    },
    readout={"r": (0.1, 0.2)},
)
PAIR = qd.parse("qubit: q, r para: t, u count: c Ry(t)[q]; CNOT[q, r]; Rx(u)[r]; c := M[r]; H[q]")


def read_one(t: float) -> float:
    """The probability that a 1 is read after Ry(t)."""
    one = math.sin(t / 2) ** 2
    return (1 - one) * P01 + one * (1 - P10)


def test_a_loop_whose_condition_is_misread() -> None:
    """Each pass reads 1 with probability m: E[c] = m/(1-m), and its derivative."""
    f = qd.expectation(LOOP, "c", noise=MISREAD)
    m, slope = read_one(0.8), 0.5 * math.sin(0.8) * (1 - P10 - P01)
    assert_close(f([0.8]), m / (1 - m), 1e-10)
    assert_close(f.grad([0.8]), [slope / (1 - m) ** 2], 1e-10)


def test_the_read_out_at_the_end() -> None:
    program = qd.parse("qubit: q para: t Ry(t)[q]")
    f = qd.expectation(program, ["P1[q]", "Z[q]", "X[q]", "Y[q]", "1"], noise=MISREAD)
    m, kept, offset = read_one(0.8), 1 - P01 - P10, P10 - P01
    assert_close(f([0.8]), [m, 1 - 2 * m, offset + kept * math.sin(0.8), offset, 1])
    assert [str(one) for one in f.observables] == ["P1[q]", "Z[q]", "X[q]", "Y[q]", "1"]
    assert "P1[q] [read-out *: 0.1, 0.25]" in repr(f)
    # the outcome of a shot is 0 or 1, and ±1
    assert_close(f[0].variance([0.8]), m * (1 - m))
    assert_close(f[1].variance([0.8]), 4 * m * (1 - m))
    assert_close(f[0].given_termination.variance([0.8]), m * (1 - m))
    assert_close(f[0].given_termination([0.8]), m)


def test_variances_of_what_no_shot_shows() -> None:
    f = qd.expectation(PAIR, "X[q] + Z[q]", noise=MISREAD)
    assert math.isfinite(f([0.3, 0.4]))
    with pytest.raises(QdiffError) as caught:
        _ = f.variance
    assert str(caught.value) == (
        "The variance of `X[q] + Z[q]` with read-out errors is not that of anything that a shot shows: its "
        "terms are measured in different bases. Take terms of one basis."
    )
    assert (
        qd.expectation(PAIR, "X[q] + Z[q]", noise=qd.NoiseModel({"H": {"X": 0.1}})).variance([0.3, 0.4]) > 0
    )


@settings(deadline=None, max_examples=examples(12))
@given(st.data())
def test_exact_engines_on_noisy_programs(data: st.DataObject) -> None:
    """Values, and derivatives, against noise by its definition and against the reference engine."""
    noise_free = data.draw(st.booleans())
    case = cases(growing=False, noise=MIXTURES if noise_free else ())
    program, observable, params = data.draw(case)
    noise = data.draw(noises(program))
    model = noise.model()
    f = qd.expectation(program, observable, noise=model)
    try:
        state = NoisyInterpreter(program, params, noise).run()
    except PassLimitReached:
        return
    expected = float(expectation(program, model.observable(observable), state))
    try:
        assert_close(f(params), expected)
    except EvaluationError as error:
        if "passes" not in str(error):  # noise may keep a loop from ending
            raise


@settings(deadline=None, max_examples=examples(8))
@given(cases(unbounded=False, growing=False), st.data())
def test_derivatives_of_noisy_programs(case: tuple, data: st.DataObject) -> None:
    """By engines, by rules and by differences, the strength of noise among the parameters."""
    program, observable, params = case
    tables = data.draw(noises(program)).model()
    strength = "qubit: a para: eps depolarize(eps)[a]; if flip(eps^2) then Y[a] fi"
    gates = {**{str(key): list(channels) for key, channels in tables.gates}, "Ry": strength}
    model = qd.NoiseModel(gates, tables.readout)
    f = qd.expectation(program, observable, noise=model)
    assert f.program.trainable[-1] == "eps"
    report = qd.check_grad(f, params | {"eps": 0.3})
    assert report.ok, str(report)


def test_the_strength_of_noise_is_a_parameter() -> None:
    f = qd.expectation(PAIR, "P1[r] + c", noise=TRAINED)
    assert f.program.trainable == ("t", "u", "eps")
    at = {"t": 0.7, "u": 0.3, "eps": 0.2}
    step = 1e-6
    ahead, behind = f(at | {"eps": 0.2 + step}), f(at | {"eps": 0.2 - step})
    assert_close(f.grad(at, "eps"), [(ahead - behind) / (2 * step)], 1e-8)
    assert qd.check_grad(f, at).ok
    assert qd.differentiate(f.program, "eps").sites
    bounds = qd.derivative_bounds(f, at)
    assert all(abs(s) <= bounds[name].first for name, s in zip(("t", "u", "eps"), f.grad(at), strict=True))


def test_bounds_are_of_the_observable_as_it_is_read() -> None:
    """‖(p10 - p01) + (1 - p01 - p10) Z‖ = 0.15 + 0.65."""
    program = qd.parse("qubit: q para: t Ry(t)[q]")
    plain, misread = (
        qd.derivative_bounds(qd.expectation(program, "Z[q]", noise=m), [0.3])["t"] for m in (None, MISREAD)
    )
    assert_close(misread.first, 0.8 * plain.first)


@pytest.mark.parametrize("engine", ["hybrid", "branching"])
def test_engines_by_name(engine: str) -> None:
    f = qd.expectation(PAIR, "Z[q]*Z[r] + c", engine=engine, noise=TRAINED)
    assert f.engines.chosen.name == engine
    assert_close(f([0.7, 0.3, 0.2]), qd.expectation(PAIR, "Z[q]*Z[r] + c", noise=TRAINED)([0.7, 0.3, 0.2]))


# --- Shots --------------------------------------------------------------------------------------

NOISE = Noise(
    {
        "Ry": [Table("damp", (0.2, 0.0))],
        "CNOT": [Table("words", ((("XI", 0.1), ("ZY", 0.2)),)), Table("lost", (0.1, 2))],
    },
    {"q": (0.1, 0.3), "r": (0.2, 0.0)},
)


def test_samples_are_read_with_errors() -> None:
    """Bits and counters together, against noise by its definition and a last measurement of all qubits."""
    program = qd.parse(
        "qubit: q, r para: t count: c Ry(t)[q]; CNOT[q, r]; case M[r] of 1: c := 1; Ry(t)[r] | 0: H[q] esac"
    )
    samples = qd.sample(program, {"t": 1.1}, shots=4000, seed=5, noise=NOISE.model())
    measured = qd.parse(
        "qubit: q, r para: t count: c, last Ry(t)[q]; CNOT[q, r]; case M[r] of 1: c := 1; Ry(t)[r] | 0: H[q] "
        "esac; last := M[q, r]"
    )
    exact: dict[tuple[int, ...], float] = {}
    for store, rho in NoisyInterpreter(measured, {"t": 1.1}, NOISE).run().items():
        exact[store] = float(np.trace(rho).real)
    assert set(samples.counters) == {"c"}
    seen: dict[tuple[int, ...], int] = {}
    for c, (q, r) in zip(samples.counters["c"].tolist(), samples.bits.tolist(), strict=True):
        seen[c, q + 2 * r] = seen.get((c, q + 2 * r), 0) + 1
    assert_drawn_from(seen, exact)


def test_samples_take_parameters_of_the_noise() -> None:
    model = qd.NoiseModel({"I": "qubit: a para: p if flip(p) then X[a] fi"}, readout=(0, 1))
    program = qd.parse("qubit: q I[q]")
    assert qd.sample(program, {"p": 0}, shots=5, noise=model).counts == {"0": 5}
    assert qd.sample(program, {"p": 1}, shots=5, noise=model).counts == {"0": 5}  # each 1 is read as 0
    assert qd.sample(program, {"p": 1}, shots=5, noise=qd.NoiseModel(model.to_dict()["gates"])).counts == {
        "1": 5
    }


@pytest.mark.parametrize("observable", ["P1[r] + c", "X[q]*Y[r]", "Z[q] + 0.5*X[r] + Y[q]"])
def test_estimates_are_read_with_errors(observable: str) -> None:
    f = qd.expectation(PAIR, observable, noise=NOISE.model())
    at = [0.7, 0.9]
    estimate = f.estimate(at, shots=6000, seed=11)
    assert abs(estimate.value - f(at)) < 5 * estimate.stderr
    if observable != "Z[q] + 0.5*X[r] + Y[q]":  # one basis: the variance is that of a shot
        assert_close(estimate.stderr * math.sqrt(6000), math.sqrt(f.variance(at)), 0.05)


def test_samples_of_a_program_without_noise_are_as_before() -> None:
    plain, quiet = (qd.sample(LOOP, [0.8], shots=50, seed=3, noise=m) for m in (None, qd.NoiseModel()))
    assert np.array_equal(plain.bits, quiet.bits)
    assert qd.expectation(LOOP, "c", noise=qd.NoiseModel()).program == LOOP


# --- Around -------------------------------------------------------------------------------------


def test_a_log_knows_how_the_observable_is_read(tmp_path: Path) -> None:
    log = str(tmp_path / "run.jsonl")
    program = qd.parse("qubit: q para: t Ry(t)[q]")
    f = qd.expectation(program, "Z[q]", noise=MISREAD)
    qd.minimize(f, [0.3], steps=2, log=log)
    qd.minimize(f, [0.3], steps=3, log=log, resume=True)
    with pytest.raises(
        TrainingError, match=r"observable: Z\[q\] here, Z\[q\] \[read-out \*: 0\.1, 0\.25\] in the log"
    ):
        qd.minimize(qd.expectation(program, "Z[q]"), [0.3], steps=3, log=log, resume=True)


def test_noise_is_a_noise_model() -> None:
    message = r"^noise is a qd\.NoiseModel \(NoiseModel\.load, from_dict, from_aer\), got dict\.$"
    with pytest.raises(QdiffError, match=message):
        qd.expectation(LOOP, "c", noise={"gates": {}})
    with pytest.raises(QdiffError, match=message):
        qd.sample(LOOP, [0.8], shots=3, noise={"gates": {}})


def test_observables_are_of_the_program_itself() -> None:
    case = qd.parse("qubit: q case M[q] of 0: skip | 1: X[q] esac")
    assert MISREAD.apply(case).counters == ("recorded",)
    with pytest.raises(QdiffError, match="names the counter `recorded`, which is not declared"):
        qd.expectation(case, "recorded", noise=MISREAD)


@pytest.mark.parametrize("letter", ["X", "Y", "Z"])
def test_reading_in_a_basis_is_the_observable_read_with_errors(letter: str) -> None:
    """The probability of a recorded 1 is (1 - E[L as it is read])/2."""
    program = qd.parse(
        "qubit: q, r Rx(0.9)[q]; Rz(0.5)[q]; CNOT[q, r]; Ry(0.4)[q]; H[r]; Rz(1)[r]; CNOT[r, q]"
    )
    read = MISREAD.readout.read(program, ["r", "q"], letter * 2)
    diagonal = np.diagonal(run(read, {})[()]).real.reshape(2, 2)  # rows: r
    mean = expectation(program, MISREAD.observable(f"{letter}[q]"), run(program, {}))
    assert abs(mean - (P10 - P01)) > 0.05  # the basis matters
    assert_close(diagonal.sum(axis=0)[1], (1 - mean) / 2)
    other = expectation(program, MISREAD.observable(f"{letter}[r]"), run(program, {}))
    assert_close(diagonal.sum(axis=1)[1], (1 - other) / 2)


def test_measured_programs_end_with_what_is_read() -> None:
    program = MISREAD.measured(qd.parse("qubit: q para: t Ry(t)[q]"))
    [rho] = run(program, {"t": 0.8}).values()
    assert_close(np.diagonal(rho), [1 - read_one(0.8), read_one(0.8)])
    same = qd.NoiseModel(readout=(0.1, 0.1)).measured(qd.parse("qubit: q X[q]"))
    assert str(same).endswith("X[q];\nif flip(0.1) then\n    X[q]\nfi\n")
