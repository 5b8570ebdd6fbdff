"""The hybrid engine against the reference interpreter, the reference cases, and what it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings
from reference import derivatives, interpreter
from strategies import cases

from qdiff.errors import EvaluationError, ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.hybrid.analysis import analyze
from qdiff.sim.hybrid.engine import HybridEngine

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "reference" / "cases.json").read_text(encoding="utf-8")
)


def solved(text: str, observable: str, **params: float) -> tuple[float, dict[str, float]]:
    program = parse(text)
    wrt = program.trainable
    value, gradient = HybridEngine(program).value_and_grad(
        resolve(program, params), parse_observable(observable), wrt
    )
    return value, dict(zip(wrt, gradient.tolist(), strict=True))


def check_engine(engine: HybridEngine, observable: Observable, params: Mapping[str, float]) -> None:
    """Value, gradient and all counts of an engine against the reference interpreter."""
    program = engine.program
    value, gradient = engine.value_and_grad(params, observable, program.trainable)
    assert_close(value, engine.value(params, observable), tolerance=1e-12)
    expected, slopes = derivatives.value_and_gradient(program, observable, params, program.trainable)
    assert_close(value, expected)
    assert_close(dict(zip(program.trainable, gradient, strict=True)), slopes)
    found = analyze(engine, params, observable)
    counted = interpreter.statistics(program, params)
    assert_close(found.termination_probability, counted.termination_probability)
    assert_close([(loop.evaluations, loop.passes) for loop in found.expected_visits], list(counted.visits))
    assert_close(found.occurrences, {p: counted.occurrences.get(p, 0.0) for p in program.parameters})
    if math.isfinite(found.error_bound):
        # The reference cuts its loops at 1e-15 of the mass, times what its observable can be.
        assert abs(value - expected) <= found.error_bound + 1e-11 * (1 + abs(expected))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reference_cases(case: dict[str, Any]) -> None:
    program = parse(case["program"])
    params = resolve(program, case["params"])
    observable = parse_observable(case["observable"])
    engine = HybridEngine(program)
    value, gradient = engine.value_and_grad(params, observable, program.trainable)
    assert_close(value, case["value"])
    assert_close(dict(zip(program.trainable, gradient, strict=True)), case["gradient"])
    assert_close(analyze(engine, params, observable).termination_probability, case["mass"])


@settings(max_examples=100)
@given(cases())
def test_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    check_engine(HybridEngine(program), observable, params)


@pytest.mark.parametrize("sparse_up_to", [0, 16])
def test_the_other_solvers_agree(sparse_up_to: int) -> None:
    """No loop is solved dense: all are iterated, or all are sparse."""

    @settings(max_examples=30)
    @given(cases())
    def check(case: tuple[Program, Observable, dict[str, float]]) -> None:
        program, observable, params = case
        check_engine(HybridEngine(program), observable, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", 0)
        patch.setattr("qdiff.sim.hybrid.linear.SPARSE_DIMENSION_UP_TO", sparse_up_to)
        check()


@settings(max_examples=30)
@given(cases())
def test_traces_and_their_matrices_agree(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qdiff.sim.hybrid.transfer.LARGEST_DIMENSION", 8)
        patch.setattr("qdiff.sim.hybrid.transfer.WORTHWHILE", 1)
        check_engine(HybridEngine(program), observable, params)


@settings(max_examples=30)
@given(cases())
def test_gates_by_rows_and_as_matrices_agree(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qdiff.sim.hybrid.unitaries.FULL_UP_TO", 0)
        check_engine(HybridEngine(program), observable, params)


@pytest.mark.parametrize(
    ("target", "replacement"),
    [
        ("qdiff.sim.hybrid.unitaries._generator", lambda gate: -gate.record.generator),
        ("qdiff.sim.hybrid.traces.Maps.probability", lambda self, code, toss: 0.5),
        ("qdiff.sim.hybrid.schedule._loop", None),
    ],
)
def test_a_broken_engine_is_caught(target: str, replacement: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if replacement is None:
        from qdiff.sim.hybrid.schedule import Stage

        def replacement(component: set[int], targets: Any) -> Stage:
            return Stage(tuple(sorted(component)), ())  # passes the loop once and forgets the rest

    monkeypatch.setattr(target, replacement)
    count = "c++" if "schedule" not in target else "skip"  # a counter makes of the loop a chain
    text = (
        f"qubit: q para: t, p count: c Ry(t)[q]; while M[q] = 1 do if flip(p) then Ry(2*t)[q] fi; {count} od"
    )
    program = parse(text)
    with pytest.raises((AssertionError, EvaluationError)):
        check_engine(HybridEngine(program), parse_observable("c"), {"t": 0.9, "p": 0.7})


# --- Infinitely many stores ------------------------------------------------------------------------


def test_a_slow_geometric_loop_is_followed_far_enough() -> None:
    value, gradient = solved("qubit: q para: p count: c while not flip(p) do c++ od", "c^2", p=0.02)
    q = 0.98
    assert_close(value, q * (1 + q) / 0.02**2)
    assert_close(gradient["p"], (3 * 0.02 - 4) / 0.02**3)


def test_a_counter_without_a_mean_is_refused() -> None:
    text = """
        qubit: q  para: p  count: c
        c := 1;
        while c > 0 do if flip(p) then c++ else c := c - 1 fi od
    """
    with pytest.raises(EvaluationError, match="decreases too slowly"):
        solved(text, "1", p=0.5)


def test_a_walk_with_drift_is_followed() -> None:
    text = """
        qubit: q  para: p  count: c, n
        c := 1;
        while c > 0 do n++; if flip(p) then c++ else c := c - 1 fi od
    """
    value, gradient = solved(text, "n", p=0.2)
    assert_close(value, 1 / 0.6)
    assert_close(gradient["p"], 2 / 0.6**2)


FLIPPED = "qubit: q  para: p  count: c  if flip(p) then"


@pytest.mark.parametrize(
    ("text", "observable", "p", "slope"),
    [
        (f"{FLIPPED} while c < 1000 do c++ od; X[q] fi", "Z[q]", 0.0, -2.0),
        (f"{FLIPPED} while flip(0.99) do c++ od fi", "c", 0.0, 99.0),
        (f"{FLIPPED} while flip(0.99) do c++ od fi", "c", 1e-15, 99.0),
        (f"{FLIPPED} while flip(0.99) do c++ od else X[q] fi", "Z[q]", 0.0, 2.0),
        (f"{FLIPPED} while flip(0.5) do c++ od; c := c*c fi", "c", 0.0, 3.0),
        (f"{FLIPPED} while flip(0.5) do c++ od fi; Ry(p)[q]", "c", 0.0, 1.0),
    ],
)
def test_a_branch_of_probability_zero_may_carry_all_of_a_derivative(
    text: str, observable: str, p: float, slope: float
) -> None:
    _, gradient = solved(text, observable, p=p)
    assert_close(gradient["p"], slope)


def test_a_rare_branch_behind_a_rotation_is_followed_for_the_derivative() -> None:
    text = "qubit: q para: t count: c Ry(t)[q]; if M[q] = 1 then while flip(0.99) do c++ od fi"
    _, gradient = solved(text, "c", t=1e-7)
    assert_close(gradient["t"], 99 * math.sin(1e-7) / 2, tolerance=1e-12)


def test_the_perturbed_states_bound_the_derivatives() -> None:
    """The trace norm of ∂R at every vertex is at most that of P, for each parameter with slope 1."""
    program = parse(
        "qubit: q, r para: t, p Ry(t)[q]; H[r];"
        "while M[q] = 1 do C_Rx(t)[r][q]; if flip(p) then H[q]; P(t)[r] fi od"
    )
    engine, params = HybridEngine(program), {"t": 0.7, "p": 0.4}
    observable = parse_observable("Z[r]")
    for name in program.trainable:
        solution = engine.solve(params, observable, (name,))
        bound, _ = engine._perturbed(solution, gates=True)
        near = [
            engine.solve({**params, name: params[name] + shift}, observable, (name,)).states
            for shift in (1e-5, -1e-5)
        ]
        assert set(bound) >= set(near[0]) - {0}
        for vertex in bound:
            change = (near[0][vertex][0] - near[1][vertex][0]) / 2e-5
            norm = float(np.abs(np.linalg.eigvalsh(change)).sum())
            assert norm <= np.trace(bound[vertex][0]).real + 1e-6


def test_a_failing_branch_that_a_derivative_needs_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="has no finite real value"):
        solved("qubit: q para: p, s if flip(p) then Ry(sqrt(s - 1))[q] fi", "Z[q]", p=0.0, s=0.5)
    with pytest.raises(EvaluationError, match="counter `c` overflows"):
        solved(f"{FLIPPED} c := 9223372036854775807; c++ fi", "Z[q]", p=0.0)
    program = parse(f"{FLIPPED} c := 9223372036854775807; c++ fi")
    assert HybridEngine(program).value({"p": 0.0}, parse_observable("Z[q]")) == 1.0


# --- Loops that do not end -------------------------------------------------------------------------


def test_trapped_mass_is_refused() -> None:
    with pytest.raises(EvaluationError, match="does not end"):
        solved("qubit: q para: t Ry(t)[q]; while M[q] = 1 do skip od", "1", t=0.3)


def test_a_trap_that_is_not_reached_does_no_harm() -> None:
    value, gradient = solved("qubit: q para: t Rz(t)[q]; while M[q] = 1 do skip od", "Z[q]", t=0.3)
    assert_close(value, 1.0)
    assert_close(gradient, {"t": 0.0})


def test_a_loop_without_end_in_a_counter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.hybrid.engine.LARGEST_GRAPH", 4096)
    with pytest.raises(EvaluationError, match=r"does not end|decreases too slowly"):
        solved("qubit: q para: t count: c while c >= 0 do Ry(t)[q]; c++ od", "1", t=0.3)


# --- Values that do not exist ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("Ry(1/t)[q]", {"t": 0.0}, "<text>:1:31: `1/t` divides by zero."),
        ("Ry(sqrt(t))[q]", {"t": -1.0}, "`sqrt(t)` has no finite real value"),
        ("if flip(t) then X[q] fi", {"t": 1.5}, "the probability `t` is 1.5, outside [0, 1]."),
        ("if flip(2*t) then X[q] fi", {"t": -0.1}, "the probability `2*t` is -0.2, outside [0, 1]."),
        ("Ry(sqrt(t))[q]", {"t": 0.0}, "the derivative of `sqrt(t)` by `t` does not exist here:"),
        ("Ry(abs(t))[q]", {"t": 0.0}, "the derivative of `abs(t)` by `t` does not exist here:"),
        ("if log(t) < c then X[q] fi; Ry(s)[q]", {"t": 0.0, "s": 1.0}, "`log(t)` has no finite real value"),
        (
            "while c >= 0 do c := 9223372036854775807 * c + c + 4611686018427387904 od; Ry(t)[q]",
            {"t": 0.0},
            "counter `c` overflows: ",
        ),
        ("c := 7; Ry(w[c])[q]; Ry(t)[q]", {"t": 0.0, "w[0]": 0.0, "w[1]": 0.0}, "the index of `w[c]` is 7"),
        ("c := 1 div c; Ry(t)[q]", {"t": 0.0}, "`1 div c` divides by zero."),
    ],
)
def test_what_has_no_value_is_an_error_with_its_place(
    text: str, params: dict[str, float], message: str
) -> None:
    names = "t" + (", s" if "s" in params else "") + (", w[2]" if "w[0]" in params else "")
    with pytest.raises(EvaluationError) as caught:
        solved(f"qubit: q para: {names} count: c {text}", "Z[q]", **params)
    assert message in str(caught.value)
    assert str(caught.value).startswith("<text>:1:")


def test_what_is_never_run_need_not_have_a_value() -> None:
    value, gradient = solved(
        "qubit: q para: t count: c if c = 1 then Ry(1/t)[q] fi; if M[q] = 1 and flip(1/t) then X[q] fi",
        "Z[q]",
        t=0.0,
    )
    assert (value, gradient) == (1.0, {"t": 0.0})


def test_a_derivative_is_only_missed_where_it_is_asked_for() -> None:
    program = parse("qubit: q para: s, t Ry(sqrt(t))[q]; Rx(s)[q]")
    _, gradient = HybridEngine(program).value_and_grad({"s": 0.5, "t": 0.0}, parse_observable("Z[q]"), ["s"])
    assert_close(gradient, [-math.sin(0.5)])


def test_a_probability_may_leave_its_range_by_rounding() -> None:
    value, gradient = solved("qubit: q para: p if flip(p) then X[q] fi", "Z[q]", p=1 + 1e-13)
    assert_close(value, -1.0)
    assert_close(gradient["p"], -2.0)


# --- Size ------------------------------------------------------------------------------------------


def test_a_register_too_large_is_refused_before_anything_is_allocated() -> None:
    program = parse("qubit: q[40] para: t Ry(t)[q[0]]")
    with pytest.raises(ResourceError) as caught:
        HybridEngine(program).value({"t": 0.1}, parse_observable("Z[q[0]]"))
    assert "density operators on 40 qubits" in str(caught.value)
    assert "needs at least about 2^56 GiB" in str(caught.value)
    assert "f.estimate(params, shots=…), --shots on the command line" in str(caught.value)


def test_a_register_beyond_all_numbers_is_refused_too() -> None:
    program = parse("qubit: q[2000] para: t Ry(t)[q[0]]")
    with pytest.raises(ResourceError, match=r"at least about 2\^3976 GiB"):
        HybridEngine(program).value({"t": 0.1}, parse_observable("Z[q[0]]"))


def test_the_memory_limit_counts_the_states_of_all_stores() -> None:
    program = parse("qubit: q[4] para: t count: c while c < 50 do Ry(t)[q[0]]; c++ od")
    small = HybridEngine(program, max_memory=16 * 256 * 20)
    with pytest.raises(ResourceError, match="the limit is"):
        small.value({"t": 0.1}, parse_observable("Z[q[0]]"))


def test_the_basis_of_an_iterative_solve_is_counted() -> None:
    text = "qubit: q[4] para: t q := |0>; while M[q[0]] = 1 do Ry(t)[q[0]] od"
    small = HybridEngine(parse(text), max_memory=16 * 256 * 100)
    with pytest.raises(ResourceError, match="the limit is"):
        small.value({"t": 0.1}, parse_observable("Z[q[0]]"))
    assert (
        HybridEngine(parse(text), max_memory=16 * 256 * 200).value({"t": 0.1}, parse_observable("1")) == 1.0
    )


def test_results_do_not_depend_on_what_was_computed_before() -> None:
    program = parse("qubit: q para: p, t count: c while not flip(p) do c++; Rx(t*c)[q] od")
    observable = parse_observable("c + Z[q]")
    used = HybridEngine(program)
    used.value_and_grad({"p": 0.05, "t": 0.4}, observable, ("p", "t"))  # follows many more stores
    again = used.value_and_grad({"p": 0.6, "t": 0.4}, observable, ("p", "t"))
    fresh = HybridEngine(program).value_and_grad({"p": 0.6, "t": 0.4}, observable, ("p", "t"))
    assert again[0] == fresh[0]
    assert np.array_equal(again[1], fresh[1])


def test_a_long_chain_of_counters() -> None:
    value, gradient = solved("qubit: q para: t count: c while c < 3000 do Ry(t)[q]; c++ od", "Z[q]", t=1e-3)
    assert_close(value, math.cos(3.0))
    assert_close(gradient["t"], -3000 * math.sin(3.0))
