"""The pure-state engine against the reference interpreter, and what it refuses."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from amounts import examples
from helpers import assert_close
from hypothesis import HealthCheck, assume, given, settings
from sim.pure.checks import CASES, check_curvature, check_engine, prepared
from sim.static.circuits import circuit, observables
from strategies import cases

from qdiff.errors import EvaluationError, QdiffError, ResourceError
from qdiff.lang.matrix_observable import MatrixObservable
from qdiff.lang.observable import Observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.engines import Engines
from qdiff.sim.randomness import what_is_random
from qdiff.sim.static.engine import PureStateEngine

Case = tuple[Program, Observable, dict[str, float]]
RICH = """
    qubit: q, r, s  para: t, w[3]  count: c
    H[q];
    while c < 3 do Ry(w[c]*t)[q]; Rxx(t*c)[q, s]; C_U(t, 2*t, w[0])[q][r]; c++ od;
    R_XZY(t^2)[q, r, s]; ISWAP[q, s]; P(w[1])[s]; C_P(t)[s][r]; SX[q]; Rzz(w[2])[s, q]; C_SWAP[q][r, s];
    R_ZX(t)[r, s]; T[r]; Y[s]; C_Y[q, s][r]
"""
AT = {"t": 0.7, "w": [0.3, -0.8, 1.1]}


@pytest.mark.parametrize(
    "case", [c for c in CASES if not what_is_random(parse(c["program"]))], ids=lambda c: c["name"]
)
def test_reference_cases(case: dict[str, object]) -> None:
    program, observable, params = prepared(str(case["program"]), str(case["observable"]), **case["params"])  # type: ignore[arg-type]
    values, gradients = PureStateEngine(program).gradients([params], [observable], program.trainable)
    assert_close(values[0, 0], case["value"])
    assert_close(dict(zip(program.trainable, gradients[0, 0], strict=True)), case["gradient"])


@settings(
    max_examples=examples(16), suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
@given(cases(noise=()))
def test_random_programs(case: Case) -> None:
    program, observable, params = case
    assume(not what_is_random(program))
    check_engine(PureStateEngine(program), observable, params)
    check_curvature(PureStateEngine(program), observable, params)


def test_every_gate_and_a_loop() -> None:
    for text in ("Z[q]*X[r] + 0.5*Y[s]", "c*P1[q]", "P0[s]*Y[q]*X[r]"):
        program, observable, params = prepared(RICH, text, **AT)
        check_engine(PureStateEngine(program), observable, params)
        check_curvature(PureStateEngine(program), observable, params)


def test_a_broken_engine_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    program, observable, params = prepared("qubit: q para: t Ry(t^2)[q]", "Z[q]", t=0.4)
    with monkeypatch.context() as patch:
        patch.setattr("qdiff.sim.pure.numbers.Numbers.second_chain_rule", lambda *_: np.zeros((1, 1, 1)))
        with pytest.raises(AssertionError):
            check_curvature(PureStateEngine(program), observable, params)
    monkeypatch.setattr(
        "qdiff.sim.static.turns.rotations", lambda _, real, imaginary: {0.5: [(imaginary[0], real[0])]}
    )
    with pytest.raises(AssertionError):
        check_engine(PureStateEngine(program), observable, params)


def test_rows_are_single_rows_whatever_path_they_take() -> None:
    program = parse("qubit: q, r para: t, n count: c while c < n do Ry(t*c)[q]; CNOT[q, r]; c++ od; Rx(t)[r]")
    observables = [parse_observable(text) for text in ("Z[q] + c", "Y[r]", "1")]
    rng = np.random.default_rng(1)
    rows = [{"t": float(t), "n": float(n)} for t, n in zip(rng.normal(size=9), [1, 3, 2] * 3, strict=True)]
    engine = PureStateEngine(program)
    values, gradients = engine.gradients(rows, observables, ("t",))
    assert np.array_equal(engine.values(rows, observables), values)
    for p, row in enumerate(rows):
        single = PureStateEngine(program).gradients([row], observables, ("t",))
        assert np.array_equal(values[p], single[0][0])
        assert np.array_equal(gradients[p], single[1][0])


def test_little_memory_means_smaller_parts_and_the_same_results() -> None:
    program, _, params = prepared(RICH, "1", **AT)
    observables = [parse_observable(text) for text in ("Z[q]", "X[r]", "c*Y[s]", "P0[q]")]
    rows = [{**params, "t": t} for t in (0.1, 0.2, 0.3)]
    plenty, little = PureStateEngine(program), PureStateEngine(program, max_memory=16 * 8 * 5 + 60 * 512)
    for mine, other in zip(
        little.gradients(rows, observables, program.trainable),
        plenty.gradients(rows, observables, program.trainable),
        strict=True,
    ):
        assert np.array_equal(mine, other)
    directions = np.eye(4)
    mine, other = (e.curvature(params, observables, program.trainable, directions) for e in (little, plenty))
    assert_close(mine.products, other.products, 1e-14)


def test_tangents_are_gradients_along_directions() -> None:
    program, observable, params = prepared(RICH, "Z[q]*X[r]", **AT)
    engine = PureStateEngine(program)
    directions = np.array([[1.0, 0.5, 0.0, -2.0], [0.0, 0.0, 1.0, 0.0]])
    values, along = engine.tangents(params, [observable], program.trainable, directions)
    expected_values, gradients = engine.gradients([params], [observable], program.trainable)
    assert np.array_equal(values, expected_values[0])
    assert_close(along[0], directions @ gradients[0, 0], 1e-13)


def test_a_program_that_aborts_is_worth_nothing() -> None:
    program, observable, params = prepared("qubit: q para: t Ry(t)[q]; abort; Rx(t)[q]", "Z[q]", t=0.3)
    engine = PureStateEngine(program)
    values, gradients = engine.gradients([params], [observable], ("t",))
    assert values.tolist() == [[0.0]]
    assert gradients.tolist() == [[[0.0]]]
    assert engine.state(params) == {}
    found = engine.curvature(params, [observable], ("t",), np.eye(1))
    assert found.products.tolist() == [[[0.0]]]
    analysis = engine.analyze(params, observable, ("t",))
    assert (analysis.termination_probability, analysis.occurrences) == (0.0, {"t": 1.0})


def test_the_analysis_says_what_was_done() -> None:
    program, observable, params = prepared(
        "qubit: q para: t count: c while c < 3 do Ry(t)[q]; c++ od", "Z[q]", t=0.3
    )
    found = PureStateEngine(program).analyze(params, observable, ("t",))
    assert (found.engine, found.termination_probability, found.occurrences) == ("pure-state", 1.0, {"t": 3.0})
    assert [(loop.evaluations, loop.passes) for loop in found.expected_visits] == [(4.0, 3.0)]
    assert 0 < found.error_bound < 1e-13
    assert 0 < found.grad_error_bound["t"] < 1e-12
    assert found.reason.endswith("the adjoint method; rounding is bounded gate by gate.")
    assert found.memory == 2 * 16 * 2 + 512


def bounds(
    engine: PureStateEngine, observable: Observable, params: dict[str, float]
) -> tuple[str, float, object]:
    found = engine.analyze(params, observable, engine.program.trainable)
    return found.reason.rpartition("; ")[2], found.error_bound, found.grad_error_bound


def test_the_bounds_are_those_of_the_mechanism_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, group = "rounding is bounded gate by gate.", "rounding is bounded group by group."
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(1 << 9, 1 << 9))
    program = circuit(9, 3)
    params = {name: float(rng.uniform(-3, 3)) for name in program.parameters}
    dense = MatrixObservable(numbers + numbers.T, program.qubits)
    assert not dense.can_expand  # lanes need letters
    few = parse_observable("Z[q0] + X[q8]")
    chain, one, at = prepared("qubit: q para: t count: c while c < 3000 do Ry(t)[q]; c++ od", "Z[q]", t=1e-3)
    cases: list[tuple[PureStateEngine, Observable, dict[str, float], str]] = [
        (PureStateEngine(program), few, params, gate),
        (PureStateEngine(program), dense, params, group),
        (PureStateEngine(program, dtype="complex64"), few, params, group),
        (PureStateEngine(chain), one, at, gate),
        (PureStateEngine(chain, 4000), one, at, group),  # there is no room for the tables of lanes
    ]
    found = [bounds(engine, observable, row) for engine, observable, row, _ in cases]
    assert [how for how, _, _ in found] == [how for _, _, _, how in cases]
    engines = "qdiff.sim.static.lanes.Lanes.run", "qdiff.sim.static.large.Large.gradients"
    for (engine, observable, row, how), mine in zip(cases, found, strict=True):
        with monkeypatch.context() as patch:  # the other mechanism is not asked
            patch.setattr(engines[how == gate], None)
            engine.gradients([row], [observable], engine.program.trainable)
        if how == group:
            with monkeypatch.context() as patch:
                patch.setattr("qdiff.sim.static.engine.serves", lambda *_: False)
                assert bounds(engine, observable, row) == mine


def test_a_long_chain_of_counters() -> None:
    program, observable, params = prepared(
        "qubit: q para: t count: c while c < 3000 do Ry(t)[q]; c++ od", "Z[q]", t=1e-3
    )
    values, gradients = PureStateEngine(program).gradients([params], [observable], ("t",))
    assert_close(values[0, 0], math.cos(3.0))
    assert_close(gradients[0, 0, 0], -3000 * math.sin(3.0))


# --- What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("if M[q] = 1 then X[q] fi", "a measurement"),
        ("c := M[q]", "a measurement"),
        ("case M[q] of 0: X[q] esac", "a measurement"),
        ("q := |0>", "a reset"),
        ("while not flip(0.5) do X[q] od", "a flip"),
        ("dephase(0.5)[q]", "the channel `dephase`"),
    ],
)
def test_what_is_random_is_for_other_engines(text: str, what: str) -> None:
    with pytest.raises(
        EvaluationError,
        match=rf"this one has {what} \(line 1\)\. The hybrid engine runs all programs\.",
    ):
        PureStateEngine(parse(f"qubit: q count: c {text}"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "while c >= 0 do Ry(t)[q]; c++ od",
            "it still runs after 131081 steps that decide nothing at random",
        ),
    ],
)
def test_a_loop_that_never_ends_is_refused(body: str, reason: str) -> None:
    program, observable, params = prepared(f"qubit: q para: t count: c {body}", "1", t=0.3)
    with pytest.raises(EvaluationError) as caught:
        PureStateEngine(program).values([params], [observable])
    assert f"A loop does not end: {reason}." in str(caught.value)


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("Ry(1/t)[q]", {"t": 0.0}, "<text>:1:31: `1/t` divides by zero."),
        ("Ry(sqrt(t))[q]", {"t": -1.0}, "`sqrt(t)` has no finite real value"),
        ("Ry(sqrt(t))[q]", {"t": 0.0}, "the derivative of `sqrt(t)` by `t` does not exist here:"),
        ("if log(t) < c then X[q] fi; Ry(s)[q]", {"t": 0.0, "s": 1.0}, "`log(t)` has no finite real value"),
        (
            "while c >= 0 do c := 9223372036854775807 * c + c + 4611686018427387904 od; Ry(t)[q]",
            {"t": 0.0},
            "counter `c` overflows: ",
        ),
        ("c := 7; Ry(w[c])[q]; Ry(t)[q]", {"t": 0.0, "w": [0.0, 0.0]}, "the index of `w[c]` is 7"),
        ("c := 1 div c; Ry(t)[q]", {"t": 0.0}, "`1 div c` divides by zero."),
    ],
)
def test_what_has_no_value_is_an_error_with_its_place(
    text: str, params: dict[str, object], message: str
) -> None:
    names = "t" + (", s" if "s" in params else "") + (", w[2]" if "w" in params else "")
    program = parse(f"qubit: q para: {names} count: c {text}")
    with pytest.raises(EvaluationError) as caught:
        PureStateEngine(program).gradients(
            [resolve(program, params)], [parse_observable("Z[q]")], program.trainable
        )
    assert message in str(caught.value)
    assert str(caught.value).startswith("<text>:1:")


def test_a_second_derivative_may_be_missing_where_the_first_exists() -> None:
    program, observable, params = prepared("qubit: q para: t Ry(t^1.5)[q]; H[q]", "Z[q]", t=0.0)
    engine = PureStateEngine(program)
    engine.gradients([params], [observable], ("t",))
    with pytest.raises(EvaluationError) as caught:
        engine.curvature(params, [observable], ("t",), np.eye(1))
    assert "the second derivative of `t^1.5` by `t` and `t` does not exist here" in str(caught.value)


def test_a_derivative_is_only_missed_where_it_is_asked_for() -> None:
    program, observable, params = prepared(
        "qubit: q para: s, t Ry(sqrt(t))[q]; Rx(s)[q]", "Z[q]", s=0.5, t=0.0
    )
    _, gradients = PureStateEngine(program).gradients([params], [observable], ["s"])
    assert_close(gradients[0, 0], [-math.sin(0.5)])


@pytest.mark.parametrize(("qubits", "size"), [(40, "16 TiB"), (2000, "about 2^1974 GiB")])
def test_a_register_too_large_is_refused_before_anything_is_allocated(qubits: int, size: str) -> None:
    program = parse(f"qubit: q[{qubits}] para: t Ry(t)[q[0]]")
    with pytest.raises(ResourceError) as caught:
        PureStateEngine(program).values([{"t": 0.1}], [parse_observable("Z[q[0]]")])
    assert f"The pure-state engine needs {size} for 1 pure state on {qubits} qubits" in str(caught.value)
    assert (
        'Raise it (qd.expectation(…, max_memory=bytes)), use fewer qubits or dtype="complex64", or estimate'
        in str(caught.value)
    )
    assert "f.estimate(params, shots=…), --shots on the command line" in str(caught.value)


# --- Precision, threads ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("qubits", "seed"), [(3, 0), (6, 1), (8, 2), (11, 3)])
def test_single_precision_is_within_its_bounds(qubits: int, seed: int) -> None:
    program, rng = circuit(qubits, seed), np.random.default_rng(seed)
    row = {name: float(rng.uniform(-3, 3)) for name in program.parameters}
    single, double = PureStateEngine(program, dtype="complex64"), PureStateEngine(program)
    for text in observables(qubits):
        one = [parse_observable(text)]
        value, slopes = single.gradients([row], one, program.trainable)
        exact, exact_slopes = double.gradients([row], one, program.trainable)
        bounds = single.analyze(row, one[0], program.trainable)
        assert 0 < abs(value[0, 0] - exact[0, 0]) <= bounds.error_bound < 1
        for name, mine, true in zip(program.trainable, slopes[0, 0], exact_slopes[0, 0], strict=True):
            assert abs(mine - true) <= bounds.grad_error_bound[name] < 1
        assert abs(value - exact).max() < 1e-5
        assert abs(slopes - exact_slopes).max() < 1e-4
        assert bounds.memory < double.analyze(row, one[0], program.trainable).memory
        # Second derivatives are computed in double precision.
        along = np.ones((1, len(program.trainable)))
        curved = [engine.curvature(row, one, program.trainable, along) for engine in (single, double)]
        assert np.array_equal(curved[0].products, curved[1].products)


def test_a_constant_costs_single_precision_nothing() -> None:
    program = circuit(5, 4)
    row = {name: 0.1 + i for i, name in enumerate(program.parameters)}
    single, exact = PureStateEngine(program, dtype="complex64"), PureStateEngine(program)
    text = f"Z[{program.qubits[0]}] + X[{program.qubits[3]}]"
    plain, shifted = parse_observable(text), parse_observable(f"{text} + 1e6")
    value, slopes = single.gradients([row], [shifted], program.trainable)
    expected, expected_slopes = exact.gradients([row], [plain], program.trainable)
    assert value - 1e6 == pytest.approx(expected, abs=1e-6)
    assert slopes == pytest.approx(expected_slopes, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float64", None, 7, "complex256x"])
def test_what_is_no_type_of_amplitudes(dtype: object) -> None:
    with pytest.raises(QdiffError) as caught:
        PureStateEngine(parse("qubit: q H[q]"), dtype=dtype)
    assert str(caught.value) == f"dtype is that of amplitudes, complex128 or complex64, not {dtype!r}."


def test_options_that_do_not_fit_together() -> None:
    program, loop = parse("qubit: q H[q]"), parse("qubit: q while M[q] = 1 do H[q] od")
    for call, message in (
        (
            lambda: Engines(program, wanted=PureStateEngine(program), threads=1),
            "dtype= and threads= are options of an engine that qdiff makes: give them to the engine that is "
            "handed in as engine=.",
        ),
        (
            lambda: Engines(loop, dtype="complex64"),
            "dtype='complex64' is for programs that never measure, reset or flip, without channels; this one "
            "has a measurement (line 1). Leave dtype out: it is computed in complex128.",
        ),
        (
            lambda: Engines(program, wanted="hybrid", dtype="complex64"),
            'The hybrid engine computes in complex128. Leave dtype out, or take engine="pure-state".',
        ),
        (
            lambda: PureStateEngine(program, "much"),  # type: ignore[arg-type]
            "max_memory is a positive whole number of bytes, such as 4 << 30, not 'much'.",
        ),
    ):
        with pytest.raises(QdiffError) as caught:
            call()
        assert str(caught.value) == message


@pytest.mark.parametrize("threads", [0, 1.5, 10**6])
def test_threads_out_of_range(threads: object) -> None:
    with pytest.raises(QdiffError, match=r"The number of threads is an integer from 1 to the \d+ cores here"):
        PureStateEngine(parse("qubit: q H[q]"), threads=threads)  # type: ignore[arg-type]


@pytest.mark.parametrize("qubits", [4, 12])
@pytest.mark.parametrize("size", [1e39, 4e38, 1e-46, 1e-300])
def test_sizes_of_observables_that_float32_does_not_have(qubits: int, size: float) -> None:
    program = parse(f"qubit: q[{qubits}] para: t Ry(t)[q[1]]")
    engine, one = PureStateEngine(program, dtype="complex64"), [parse_observable(f"{size}*Z[q[1]]")]
    values, slopes = engine.gradients([{"t": 0.3}], one, ("t",))
    assert values[0, 0] == pytest.approx(size * math.cos(0.3), rel=1e-5)
    assert slopes[0, 0, 0] == pytest.approx(-size * math.sin(0.3), rel=1e-5)


def test_threads_of_the_caller_may_share_an_engine() -> None:
    """More parameters, one at a time, than are kept: what one thread pushes out another still has at hand."""
    program = parse("qubit: q, r para: w[270] " + "; ".join(f"Ry(w[{i}])[q]" for i in range(270)))
    engine, one = PureStateEngine(program), [parse_observable("Z[q]")]
    row = dict.fromkeys(program.parameters, 0.1)
    exact = engine.gradients([row], one, program.trainable)[1][0, 0]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            names = [program.trainable[i % 270] for i in range(400)]
            found = list(pool.map(lambda name: engine.gradients([row], one, (name,))[1][0, 0, 0], names))
    finally:
        sys.setswitchinterval(interval)
    np.testing.assert_allclose(found, [exact[i % 270] for i in range(400)], atol=1e-12)
