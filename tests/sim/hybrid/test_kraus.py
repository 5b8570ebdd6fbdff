"""Loops with one way back as Kraus operators, against the sweeps they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import assert_close
from reference import derivatives
from sim.hybrid.agreement import check_curvature, engine_for, value_and_gradient

from qdiff.errors import EvaluationError
from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.hybrid import krylov
from qdiff.sim.hybrid.compression import Compression
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.kraus import Kraus
from qdiff.sim.hybrid.loops import Loops

# Guard, body, and the unknowns at the narrowest place.
LOOPS = {
    "only measured": ("M[q[0]] = 1", "Rxx(t)[q[0], q[1]]; Ry(u)[q[2]]; CNOT[q[1], q[2]]; Rx(1)[q[0]]", 16),
    "a reset": ("M[q[0]] = 1", "Rxx(t)[q[0], q[2]]; q[0] := |0>; Ry(u + 1)[q[0]]; CNOT[q[0], q[1]]", 16),
    "a reset at the end": ("M[q[1]] = 0", "Ry(t)[q[1]]; CNOT[q[1], q[2]]; Rx(u)[q[1]]; q[2] := |0>", 16),
    "several resets": (
        "M[q[0]] = 1",
        "q[0] := |0>; Ry(t)[q[0]]; CNOT[q[0], q[1]]; q[2] := |0>; q[1] := |0>; Ry(u)[q[1]]; Rx(1.2)[q[0]]",
        4,
    ),
    "everything reset": ("M[q[0]] = 1", "q := |0>; Ry(t)[q[0]]; Rxx(u)[q[0], q[1]]", 1),
    "known before a reset": ("M[q[0]] = 1", "q[0] := |0>; q[2] := |0>; Ry(t)[q[0]]; Rxx(u)[q[1], q[2]]", 4),
    "some outcomes": ("not M[q[0], q[1]] = 3", "q[2] := |0>; Ry(t)[q[0]]; Rxx(u)[q[1], q[2]]", 9),
    "a measurement of what is known": (
        "M[q[0]] = 1",
        "Rxx(t)[q[0], q[1]]; q[0] := |0>; q[1] := |0>; CNOT[q[2], q[1]]; Ry(u)[q[2]]; Ry(1.2)[q[0]]",
        4,
    ),
    "noise": (
        "M[q[0]] = 1",
        "damp(u^2/2)[q[0]]; q[0] := |0>; q[2] := |0>; dephase(0.1)[q[1]]; damp(t/2)[q[1]]; "
        "dephase(0.2)[q[2]]; depolarize(u^2/4)[q[0]]; Ry(t)[q[0]]; Rxx(u)[q[1], q[2]]; depolarize(t/3)[q[2]]",
        4,
    ),
    "flips": ("flip(0.5 + 0.3*t)", "Ry(t)[q[1]]; Rxx(u)[q[1], q[2]]; q[1] := |0>; Rx(0.3)[q[0]]", 16),
}
ROW = {"t": 0.8, "u": -0.7}
OBSERVABLES = ["Z[q[0]]*X[q[1]] + P1[q[2]]", "c^2*Z[q[1]]"]


def text_of(name: str) -> str:
    guard, body, _ = LOOPS[name]
    return (
        "qubit: q[3] para: t, u count: c X[q[0]]; H[q[1]]; Ry(0.3)[q[2]]; Rxx(0.5)[q[0], q[2]];"
        f"while {guard} do c++; {body} od; Ry(u)[q[1]]"
    )


def loops_of(engine: HybridEngine, *rows: dict[str, float], observable: str = "Z[q[0]]") -> Loops:
    return engine.solve(rows or [ROW], [parse_observable(observable)], ("t", "u")).solver.loops


def operators(loops: Loops) -> Kraus:
    (found,) = loops._kraus.values()
    assert found is not None
    return found


@pytest.fixture(params=["dense", "iterated"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "iterated":
        monkeypatch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", 0)


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Kraus operators nor a compression."""
    monkeypatch.setattr(Kraus, "of", lambda *args: None)
    monkeypatch.setattr(Compression, "of", lambda *args: None)


@pytest.mark.parametrize("name", LOOPS)
def test_cut_in_two_it_is_one_sweep(name: str) -> None:
    loops = loops_of(engine_for(text_of(name)), ROW, {"t": 0.3, "u": 1.1})
    kraus = operators(loops)
    assert kraus.unknowns == LOOPS[name][2]
    (stage,) = [stage for stage in loops.graph.stages if stage.heads]
    y = np.random.default_rng(1).normal(size=(2, 3, 64))
    z = np.random.default_rng(2).normal(size=(2, 3, kraus.unknowns))
    for adjoint in (False, True):
        there = kraus.narrowed(y, adjoint=adjoint)
        assert there.shape == z.shape
        swept = loops._sweep(stage, y, adjoint, 0)
        np.testing.assert_allclose(kraus.widened(there, adjoint=adjoint), swept, atol=1e-13)
        around = kraus.narrowed(kraus.widened(z, adjoint=adjoint), adjoint=adjoint)
        np.testing.assert_allclose(kraus.turned(z, adjoint=adjoint), around, atol=1e-13)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("observable", OBSERVABLES)
def test_the_same_as_without(name: str, observable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [parse_observable(observable)]
    found = engine_for(text_of(name)).curvature(ROW, asked, ("t", "u"), np.eye(2))
    without(monkeypatch)
    engine = engine_for(text_of(name))
    assert list(loops_of(engine)._kraus.values()) == [None]
    full = engine.curvature(ROW, asked, ("t", "u"), np.eye(2))
    assert_close(found.values, full.values)
    assert_close(found.gradients, full.gradients)
    assert_close(found.products, full.products)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["several resets", "some outcomes", "flips", "noise"])
def test_against_the_reference(name: str) -> None:
    engine, observable = engine_for(text_of(name)), parse_observable("Z[q[0]]*X[q[1]] + c*P1[q[2]]")
    value, gradient = value_and_gradient(engine, ROW, observable)
    expected, slopes = derivatives.value_and_gradient(engine.program, observable, ROW, ("t", "u"))
    assert_close(value, expected)
    assert_close(gradient, slopes)
    check_curvature(engine, [observable], ROW)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["a reset", "flips"])
def test_rows_of_parameters(name: str) -> None:
    engine, asked = engine_for(text_of(name)), [parse_observable(o) for o in OBSERVABLES]
    rows = [ROW, {"t": 0.3, "u": 1.1}, {"t": 1.2, "u": 0.4}]
    values, gradients = engine.gradients(rows, asked, ("t", "u"))
    for i, row in enumerate(rows):
        alone, slopes = engine.gradients([row], asked, ("t", "u"))
        assert_close(values[i], alone[0])
        assert_close(gradients[i], slopes[0])


def test_only_what_is_at_the_cut_is_solved_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    gmres = krylov.gmres

    def watched(apply: krylov.Apply, b: np.ndarray) -> krylov.Solved:
        sizes.append(b.shape[1])
        return gmres(apply, b)

    monkeypatch.setattr(krylov, "gmres", watched)
    engine = engine_for(text_of("several resets"))
    assert loops_of(engine).applications == 0  # a small matrix: nothing to iterate
    assert sizes == []
    monkeypatch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", 3)
    assert 2 <= loops_of(engine).applications <= 7
    assert sizes == [4]


@pytest.mark.parametrize(
    "loop",
    [
        "while M[q[0]] = 1 do q[2] := |0>; if M[q[1]] = 1 then Ry(t)[q[0]] else Rx(u)[q[0]] fi od",
        "while M[q[0]] = 1 do q[1] := |0>; case M[q[0], q[1]] of 0: Ry(t)[q[0]] | 1: Rx(u)[q[0]] esac od",
        "while flip(0.5) do Ry(t)[q[0]]; Rxx(u)[q[0], q[2]] od",
    ],
    ids=["several vertices", "outcomes", "nothing gained"],
)
def test_other_loops_are_swept(loop: str) -> None:
    engine = engine_for(f"qubit: q[3] para: t, u X[q[0]]; H[q[1]]; {loop}")
    assert list(loops_of(engine)._kraus.values()) == [None]
    observable = parse_observable("Z[q[0]] + X[q[2]]*Z[q[1]]")
    value, gradient = value_and_gradient(engine, ROW, observable)
    expected, slopes = derivatives.value_and_gradient(engine.program, observable, ROW, ("t", "u"))
    assert_close(value, expected)
    assert_close(gradient, slopes)


def test_two_ways_back_of_one_vertex_are_swept() -> None:
    """Nobody reads d: both outcomes go back to the same store."""
    engine = engine_for(
        "qubit: q[3] para: t, u count: d X[q[0]]; while M[q[0]] = 1 do "
        "d := M[q[1]]; Ry(t)[q[0]]; Rxx(u)[q[0], q[1]]; q[2] := |0> od; d := 0"
    )
    loops = loops_of(engine)
    (stage,) = [stage for stage in loops.graph.stages if stage.heads]
    assert [t in stage.heads for v in stage.order for t in loops.graph.targets[v]].count(True) == 2
    assert list(loops._kraus.values()) == [None]
    observable = parse_observable("Z[q[1]]")
    expected, slopes = derivatives.value_and_gradient(engine.program, observable, ROW, ("t", "u"))
    value, gradient = value_and_gradient(engine, ROW, observable)
    assert_close(value, expected)
    assert_close(gradient, slopes)


@pytest.mark.usefixtures("way")
def test_columns_are_turned_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, asked = engine_for(text_of("some outcomes")), [parse_observable("Z[q[1]]")]
    at_once = engine.gradients([ROW], asked, ("t", "u"))
    monkeypatch.setattr("qdiff.sim.hybrid.kraus.CHUNK", 2 * 64)  # of 9 columns
    found = engine.gradients([ROW], asked, ("t", "u"))
    assert_close(found[0], at_once[0])
    assert_close(found[1], at_once[1])


@pytest.mark.usefixtures("way")
def test_what_stays_in_a_loop_is_left_to_the_traps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where q[1] is 0 nothing turns q[0], and the run never ends."""
    text = (
        "qubit: q[3] para: t, u Ry(0.9)[q[1]]; X[q[0]];"
        "while M[q[0]] = 1 do C_Ry(t)[q[1]][q[0]]; q[2] := |0>; Ry(u)[q[2]] od"
    )
    asked = [parse_observable("Z[q[1]] + X[q[2]]")]
    engine = engine_for(text)
    loops = loops_of(engine)
    assert loops.traps
    found = engine.gradients([ROW], asked, ("t", "u"))
    without(monkeypatch)
    full = engine_for(text).gradients([ROW], asked, ("t", "u"))
    assert_close(found[0], full[0])
    assert_close(found[1], full[1])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("method", ["turned", "widened"])
def test_wrong_operators_are_caught(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(Kraus, method)
    monkeypatch.setattr(Kraus, method, lambda self, z, *, adjoint: 0.999 * right(self, z, adjoint=adjoint))
    engine, observable = engine_for(text_of("a reset")), parse_observable("Z[q[1]]")
    expected, _ = derivatives.value_and_gradient(engine.program, observable, ROW, ("t", "u"))
    with pytest.raises((AssertionError, EvaluationError)):
        assert_close(value_and_gradient(engine, ROW, observable)[0], expected)


@pytest.mark.parametrize(
    "loop",
    [
        "while M[q] = 0 do if M[q] = 0 then Ry(t)[r]; abort fi od",
        "while not flip(0.5) and M[q] = 1 do q := |0> od",
        "while M[q] = 1 do q := |0>; Ry(t)[r]; r := |0> od",
    ],
)
def test_ways_back_that_no_run_takes_or_takes_once(loop: str) -> None:
    text = f"qubit: q, r, s para: t Ry(t)[q]; {loop}"
    check_curvature(engine_for(text), [parse_observable("Z[r] + X[q] + Z[q]")], {"t": 0.8})
