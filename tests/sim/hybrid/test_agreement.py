"""The engine against the reference interpreter, whatever it computes with: values, gradients, curvature."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amounts import examples
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from sim.hybrid.agreement import check_engine, engine_for, value_and_gradient
from strategies import cases, observables

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.hybrid.engine import HybridEngine

Case = tuple[Program, Observable, dict[str, float]]

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "reference" / "cases.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reference_cases(case: dict[str, Any]) -> None:
    program = parse(case["program"])
    row = resolve(program, case["params"])
    observable = parse_observable(case["observable"])
    engine = HybridEngine(program)
    value, gradient = value_and_gradient(engine, row, observable)
    assert_close(value, case["value"])
    assert_close(gradient, case["gradient"])
    found = engine.analyze(row, observable, program.trainable)
    assert_close(found.termination_probability, case["mass"])
    assert abs(value - case["value"]) <= found.error_bound + 1e-8


@settings(max_examples=examples(12))
@given(cases())
def test_random_programs(case: Case) -> None:
    program, observable, row = case
    check_engine(HybridEngine(program), observable, row)


# --- Switches --------------------------------------------------------------------------------------

DENSE, DIMENSION, FULL, CHAIN, BASIS, BY_GATES = (
    "qdiff.sim.hybrid.linear.DENSE_UP_TO",
    "qdiff.sim.hybrid.steps.LARGEST_DIMENSION",
    "qdiff.sim.hybrid.runs.FULL_UP_TO",
    "qdiff.sim.hybrid.schedule.LEAST_CHAIN",
    "qdiff.sim.hybrid.krylov.BASIS",
    "qdiff.sim.hybrid.steps.longest_by_gates",
)
SWITCHES: dict[str, dict[str, object]] = {
    "matrices, dense": {DIMENSION: 8},
    "matrices, sparse": {DIMENSION: 8, DENSE: 0},
    "operations, dense": {DIMENSION: 0},
    "operations, Krylov": {DIMENSION: 0, DENSE: 0},
    "Krylov with restarts": {DIMENSION: 0, DENSE: 0, BASIS: 20},
    "gate after gate": {DIMENSION: 0, BY_GATES: lambda dimension: 1000},
    "rows of gates": {FULL: 0},
    "rows of gates, Krylov": {FULL: 0, DIMENSION: 0, DENSE: 0},
    "no chains": {CHAIN: 1 << 30},
    "chains of two": {CHAIN: 2, DIMENSION: 8},
}


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_every_way_of_solving_agrees(switches: dict[str, object]) -> None:
    @settings(max_examples=4)
    @given(cases(growing=False))
    def check(case: Case) -> None:
        program, observable, row = case
        check_engine(HybridEngine(program), observable, row)

    with pytest.MonkeyPatch.context() as patch:
        for target, value in switches.items():
            patch.setattr(target, value)
        check()


CHAIN_TEXT = """
    qubit: q, r  para: t, u  count: c, k
    while c < 12 do Ry(t)[q]; if M[q] = 1 then Rx(u*c)[r] fi; k := k + 2; c++ od; Rz(t)[r]; H[r]
"""
WALK_TEXT = """
    qubit: q, r  para: t, u  count: c
    c := 2; H[q];
    while c > 0 and c < 5 do
        Ry(t)[q]; C_Rx(u)[q][r]; if M[q] = 1 then c := c + 1 else c := c - 1 fi; Rz(u)[r]
    od
"""


@pytest.mark.parametrize("switches", [{}, *SWITCHES.values()], ids=["as it is", *SWITCHES])
@pytest.mark.parametrize(
    ("text", "observable"), [(CHAIN_TEXT, "c*Z[r] + k^2*X[r]"), (WALK_TEXT, "c*Z[r] + Y[r]*X[q]")]
)
def test_every_way_of_solving_agrees_on_chains_and_walks(
    text: str, observable: str, switches: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for target, value in switches.items():
        monkeypatch.setattr(target, value)
    check_engine(engine_for(text), parse_observable(observable), {"t": 0.8, "u": -0.6})


def test_a_long_chain_of_counters() -> None:
    engine = engine_for("qubit: q para: t count: c while c < 3000 do Ry(t)[q]; c++ od")
    value, gradient = value_and_gradient(engine, {"t": 1e-3}, parse_observable("Z[q]"))
    assert_close(value, np.cos(3.0))
    assert_close(gradient["t"], -3000 * np.sin(3.0))
    found = engine.curvature({"t": 1e-3}, [parse_observable("Z[q]")], ["t"], np.ones((1, 1)))
    assert_close(found.products[0, 0, 0], -9e6 * np.cos(3.0))


# --- Broken subjects -------------------------------------------------------------------------------

SUBJECT = """
    qubit: q para: t, p count: c
    Ry(t)[q]; while M[q] = 1 do if flip(p) then Ry(2*t)[q] fi; {count} od
"""


def _half(self: object, code: int, toss: int) -> float:
    return 0.5


def _not_a_loop(component: set[int], targets: object) -> object:
    from qdiff.sim.hybrid.schedule import Stage

    return Stage(tuple(sorted(component)), ())  # passes the loop once and forgets the rest


@pytest.mark.parametrize(
    ("target", "replacement"),
    [
        ("qdiff.sim.hybrid.runs.Runs.generator", lambda self, k: -self.records[k].generator),
        ("qdiff.sim.hybrid.traces.Maps.probability", _half),
        ("qdiff.sim.hybrid.schedule._loop", _not_a_loop),
        ("qdiff.sim.hybrid.second_order.Tangents._add_second", lambda *args: None),
        ("qdiff.sim.hybrid.trace_tangents.TraceTangents.omega", lambda self, run: None),
        ("qdiff.sim.hybrid.trace_tangents.TraceTangents._tossed", lambda *args: None),
        ("qdiff.sim.hybrid.angles.Numbers.second_chain_rule", lambda self, a, b, v: 0.0),
        ("qdiff.sim.hybrid.counted.Counted.matrix", lambda self, *args: np.eye(len(self.basis))),
    ],
)
def test_a_broken_engine_is_caught(
    target: str, replacement: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, replacement)
    text = SUBJECT.format(count="c++").replace("2*t", "2*t^2")
    with pytest.raises((AssertionError, EvaluationError)):
        check_engine(engine_for(text), parse_observable("c + 0.5*Z[q]"), {"t": 0.9, "p": 0.7})


# --- Several at once -------------------------------------------------------------------------------


@st.composite
def several(draw: st.DrawFn) -> tuple[Program, list[Observable], list[dict[str, float]]]:
    """A program with three observables and four rows, in which compared parameters may differ."""
    program, first, row = draw(cases())
    others = [draw(observables(program)) for _ in range(2)]
    shifts = [draw(st.sampled_from([0.0, 0.01, -0.03])) for _ in range(3)]
    rows = [row]
    for i, shift in enumerate(shifts):
        moved = {name: x if name == "n" else x + shift for name, x in row.items()}
        rows.append(moved | ({"n": row["n"] + 1} if "n" in row and i == 1 else {}))
    return program, [first, *others], rows


@settings(max_examples=examples(5))
@given(several())
def test_several_observables_and_rows_at_once_are_one_by_one(
    case: tuple[Program, list[Observable], list[dict[str, float]]],
) -> None:
    program, asked, rows = case
    wrt = program.trainable
    engine, other = HybridEngine(program), HybridEngine(program)
    values, gradients = engine.gradients(rows, asked, wrt)
    assert_close(engine.values(rows, asked), values, tolerance=1e-10)
    for p, row in enumerate(rows):
        for k, observable in enumerate(asked):
            single, slopes = other.gradients([row], [observable], wrt)
            assert_close(values[p, k], single[0, 0], tolerance=1e-10)
            assert_close(gradients[p, k], slopes[0, 0], tolerance=1e-9)
    directions = np.linspace(-1.0, 1.5, 2 * len(wrt)).reshape(2, -1)
    together = engine.curvature(rows[0], asked, wrt, directions)
    along, slopes = engine.tangents(rows[0], asked, wrt, directions)
    assert_close(along, values[0], tolerance=1e-10)
    assert_close(slopes, gradients[0] @ directions.T)
    for k, observable in enumerate(asked):
        for v in range(2):
            single_one = other.curvature(rows[0], [observable], wrt, directions[v : v + 1])
            assert_close(together.products[k, v], single_one.products[0, 0])


@pytest.mark.parametrize("operations", [False, True])
def test_a_batch_that_is_split_gives_the_same(operations: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if operations:
        monkeypatch.setattr("qdiff.sim.hybrid.steps.LARGEST_DIMENSION", 0)
    text = SUBJECT.format(count="if c < n then c++ fi").replace("t, p", "t, p, n")
    rows = [{"t": 0.5 + 0.1 * i, "p": 0.6, "n": float(i % 3)} for i in range(20)]
    asked = [parse_observable("c"), parse_observable("Z[q]")]
    whole = engine_for(text).gradients(rows, asked, ("t", "p"))
    solves: list[int] = []
    solve = HybridEngine.solve

    def counting(self: HybridEngine, some: list[dict[str, float]], *args: Any, **more: Any) -> Any:
        solves.append(len(some))
        return solve(self, some, *args, **more)

    monkeypatch.setattr(HybridEngine, "solve", counting)
    again = engine_for(text).gradients(rows, asked, ("t", "p"))
    assert sorted(solves) == [6, 7, 7]  # as many as there are values of n
    monkeypatch.setattr("qdiff.sim.hybrid.engine.BATCH_MEMORY", 1)
    split = engine_for(text).gradients(rows, asked, ("t", "p"))
    assert solves[3:] == [1] * 20
    for one, two, three in zip(whole, again, split, strict=True):
        assert_close(two, one, tolerance=1e-13)
        assert_close(three, one, tolerance=1e-12)


def test_no_rows_no_observables_no_parameters() -> None:
    engine = engine_for("qubit: q para: t Ry(t)[q]")
    asked, row = [parse_observable("Z[q]")], {"t": 0.3}
    assert engine.values([], asked).shape == (0, 1)
    assert engine.values([row], []).shape == (1, 0)
    values, gradients = engine.gradients([row], asked, [])
    assert gradients.shape == (1, 1, 0)
    assert_close(values[0, 0], np.cos(0.3))
    found = engine.curvature(row, asked, ["t"], np.zeros((0, 1)))
    assert found.products.shape == (1, 0, 1)
    assert_close(found.gradients[0, 0], -np.sin(0.3))
    along, slopes = engine.tangents(row, asked, ["t"], np.zeros((0, 1)))
    assert along.shape == (1,)
    assert slopes.shape == (1, 0)


def test_a_parameter_that_does_not_matter_has_derivative_zero() -> None:
    engine = engine_for("qubit: q para: t, s while M[q] = 1 do Ry(s)[q] od; Ry(t)[q]")
    row = {"t": 0.3, "s": 0.4}
    found = engine.curvature(row, [parse_observable("Z[q]")], ["t", "s"], np.eye(2))
    assert_close(found.gradients[0], [-np.sin(0.3), 0.0])
    assert_close(found.products[0], [[-np.cos(0.3), 0.0], [0.0, 0.0]])


def test_the_order_of_wrt_is_kept() -> None:
    engine = engine_for("qubit: q para: w[3] Ry(w[0])[q]; Rx(w[1])[q]; Ry(w[2])[q]")
    row = {"w[0]": 0.3, "w[1]": 0.5, "w[2]": -0.4}
    names = ("w[2]", "w[0]", "w[1]")
    asked = [parse_observable("Z[q]")]
    _, ordered = engine.gradients([row], asked, names)
    _, declared = engine.gradients([row], asked, engine.program.trainable)
    assert_close(ordered[0, 0], declared[0, 0][[2, 0, 1]])


def test_results_do_not_depend_on_what_was_computed_before() -> None:
    text = "qubit: q para: p, t count: c while not flip(p) do c++; Rx(t*c)[q] od"
    asked = [parse_observable("c + Z[q]")]
    used = engine_for(text)
    used.gradients([{"p": 0.05, "t": 0.4}], asked, ("p", "t"))  # follows many more stores
    again = used.gradients([{"p": 0.6, "t": 0.4}], asked, ("p", "t"))
    fresh = engine_for(text).gradients([{"p": 0.6, "t": 0.4}], asked, ("p", "t"))
    for one, other in zip(again, fresh, strict=True):
        assert np.array_equal(one, other)
