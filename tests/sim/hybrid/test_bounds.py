"""Printed bounds hold where the truth is known; where nothing is proved they are inf, with the reason."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from sim.hybrid.agreement import engine_for

from qdiff.lang import expr as ex
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Gate
from qdiff.sim.analysis import Analysis
from qdiff.sim.hybrid import krylov
from qdiff.sim.hybrid.coordinates import decode
from qdiff.sim.hybrid.dominating import UNIT, Dominating, most_operations, rounding
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.linear import DenseSystem
from qdiff.sim.hybrid.passage import longest, operator_norms, trace_norms
from qdiff.sim.hybrid.polynomials import polynomial_bound


def analysis(text: str, observable: str = "1", **params: float) -> Analysis:
    engine = engine_for(text)
    return engine.analyze(params, parse_observable(observable), engine.program.trainable)


# --- Truth -----------------------------------------------------------------------------------------

COIN = "qubit: q para: p while flip(p) do X[q] od"
COUNT = "qubit: q para: p count: c while flip(p) do c++ od"
FOLLOWED = "qubit: q para: p count: c while flip(p) do c++; if c < 0 then abort fi od"
TURNED = "qubit: q para: p count: c H[q]; while M[q] = 1 do q := |0>; Ry(2*asin(sqrt(p)))[q]; c++ od"
CHAIN = "qubit: q para: p count: c while c < 40 do Ry(p)[q]; c++ od"
# Value and derivative, closed forms in p.
TRUTHS: dict[str, tuple[str, str, Any]] = {
    "a coin": (COIN, "Z[q]", lambda p: ((1 - p) / (1 + p), -2 / (1 + p) ** 2)),
    "a mean": (COUNT, "c", lambda p: (p / (1 - p), 1 / (1 - p) ** 2)),
    "a square": (COUNT, "c^2", lambda p: (p * (1 + p) / (1 - p) ** 2, (1 + 3 * p) / (1 - p) ** 3)),
    "a followed mean": (FOLLOWED, "c", lambda p: (p / (1 - p), 1 / (1 - p) ** 2)),
    "a followed coin": (FOLLOWED, "2*P0[q]", lambda p: (2.0, 0.0)),
    "a turned qubit": (TURNED, "c", lambda p: (0.5 / (1 - p), 0.5 / (1 - p) ** 2)),
    "a chain": (CHAIN, "Z[q]", lambda p: _turned(40, p)),
}


def check_bounds(
    engine: HybridEngine, observable: str, p: float, truth: tuple[float, float], found: Analysis | None = None
) -> Analysis:
    """Value and derivative are within what the analysis says, and a little for the closed form."""
    asked = parse_observable(observable)
    found = found or engine.analyze({"p": p}, asked, ("p",))
    values, gradients = engine.gradients([{"p": p}], [asked], ("p",))
    for computed, true, bound in (
        (values[0, 0], truth[0], found.error_bound),
        (gradients[0, 0, 0], truth[1], found.grad_error_bound["p"]),
    ):
        assert abs(computed - true) <= bound + 4e-16 * abs(true), f"{computed} is not {true} within {bound}"
    return found


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", TRUTHS)
def test_bounds_hold_where_the_truth_is_known(name: str, p: float) -> None:
    text, observable, truth = TRUTHS[name]
    p = min(p, 0.95) if "followed" in name else p  # thousands of stores
    found = check_bounds(engine_for(text), observable, p, truth(p))
    assert found.error_bound < 1e-6 * max(1.0, abs(truth(p)[0])) / (1 - p) ** 2
    assert math.isfinite(found.grad_error_bound["p"])
    assert found.error_bound > 0


@pytest.mark.parametrize("name", TRUTHS)
def test_a_result_that_is_off_by_ten_bounds_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, observable, truth = TRUTHS[name]
    engine, true = engine_for(text), truth(0.5)
    found = check_bounds(engine, observable, 0.5, true)
    gradients = HybridEngine.gradients

    def off(of_value: float, of_gradient: float) -> Any:
        def moved(self: HybridEngine, *args: Any) -> Any:
            values, slopes = gradients(self, *args)
            return values + of_value, slopes + of_gradient

        return moved

    for change in (
        off(10 * found.error_bound + 1e-14 * abs(true[0]), 0.0),
        off(0.0, 10 * found.grad_error_bound["p"] + 1e-14 * abs(true[1])),
    ):
        monkeypatch.setattr(HybridEngine, "gradients", change)
        with pytest.raises(AssertionError, match=r"is not .* within"):
            check_bounds(engine, observable, 0.5, true, found)
        # The bound is of what the engine returns, so that it tells how far off that is.
        check_bounds(engine, observable, 0.5, true)


@pytest.mark.parametrize(("dense", "dimension"), [(0, 16), (0, 0)])
def test_bounds_hold_for_every_solver(dense: int, dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", dense)
    monkeypatch.setattr("qdiff.sim.hybrid.steps.LARGEST_DIMENSION", dimension)
    for text, observable, truth in TRUTHS.values():
        check_bounds(engine_for(text), observable, 0.6, truth(0.6))


def test_a_bad_solution_has_a_large_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Residuals are part of the bound: a sloppy iteration is not hidden."""
    monkeypatch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", 0)
    monkeypatch.setattr("qdiff.sim.hybrid.steps.LARGEST_DIMENSION", 0)
    text = "qubit: q, r para: p X[q]; while M[q] = 1 do Ry(p)[r]; Rxx(p)[q, r]; Rx(0.4)[q] od"
    observable = parse_observable("Z[r]")
    engine = engine_for(text)
    exact = float(engine.values([{"p": 0.6}], [observable])[0, 0])
    fine = engine.analyze({"p": 0.6}, observable, ("p",))
    gmres = krylov.gmres

    def careless(apply: Any, b: np.ndarray) -> krylov.Solved:
        solved = gmres(apply, b)
        return replace(solved, x=solved.x * (1 + 1e-8))

    monkeypatch.setattr(krylov, "gmres", careless)
    monkeypatch.setattr("qdiff.sim.hybrid.engine.LOST_MASS", 1e-2)
    sloppy = engine_for(text)
    value = float(sloppy.values([{"p": 0.6}], [observable])[0, 0])
    found = sloppy.analyze({"p": 0.6}, observable, ("p",))
    assert found.error_bound > 100 * fine.error_bound
    assert abs(value - exact) <= found.error_bound + fine.error_bound


@pytest.mark.parametrize("scale", [1e4, 1e8])
def test_the_rounding_of_an_angle_is_part_of_the_bound(scale: float) -> None:
    """a = scale · p is rounded before the gate is made of it."""
    engine = engine_for(f"qubit: q para: p Ry({scale:.0f}*p)[q]")
    p = 0.3
    exact, _ = _turned(int(scale), p)
    observable = parse_observable("Z[q]")
    value = float(engine.values([{"p": p}], [observable])[0, 0])
    found = engine.analyze({"p": p}, observable, ("p",))
    assert abs(value - exact) <= found.error_bound + 1e-15


def _turned(scale: int, p: float) -> tuple[float, float]:
    """cos(scale · p) and its derivative, of the exact product."""
    with mpmath.workdps(60):
        angle = mpmath.mpf(scale) * mpmath.mpf(p)
        return float(mpmath.cos(angle)), float(-scale * mpmath.sin(angle))


# --- Where nothing is proved -----------------------------------------------------------------------


def test_a_growing_observable_without_a_proof() -> None:
    text = "qubit: q para: p count: c while flip(p) do c := 2*c + 1 od"
    found = analysis(text.replace("2*c + 1", "c + 1; if c > 100000 then c := 2*c fi"), "c", p=0.5)
    assert found.error_bound == math.inf
    assert "infinitely many counter values are reachable and the observable grows with them" in found.reason
    assert "no bound is proved" in found.reason
    assert found.grad_error_bound == {"p": math.inf}


def test_a_walk_without_a_uniform_bound_has_no_bound_for_derivatives() -> None:
    text = "qubit: q para: p count: c c := 1; while c > 0 do if flip(p) then c++ else c := c - 1 fi od"
    found = analysis(text, "Z[q]", p=0.2)
    assert found.error_bound < 1e-9
    assert found.grad_error_bound == {"p": math.inf}
    assert "none is proved for derivatives: no uniform bound is proved" in found.reason


def test_a_trap_known_up_to_rounding() -> None:
    """Rx(π) brings q back to 1 up to 6e-17: the caught mass is part of the bound."""
    text = "qubit: q para: t Ry(t)[q]; while M[q] = 1 do X[q]; Rx(pi)[q] od"
    found = analysis(text, "2*Z[q]", t=0.9)
    caught = math.sin(0.45) ** 2
    assert abs(found.trapped_probability - caught) < 1e-9
    assert 2 * caught <= found.error_bound <= 2 * caught + 1e-9
    assert found.grad_error_bound == {"t": math.inf}
    assert "is known up to rounding only" in found.reason
    growing = analysis(text.replace("para: t", "para: t count: c").replace("X[q];", "X[q]; c++;"), "c", t=0.9)
    assert growing.error_bound == math.inf


def test_a_trap_of_zeros_and_ones_is_exact() -> None:
    text = "qubit: q para: t Ry(t)[q]; while M[q] = 1 do Rz(t)[q] od"
    found = analysis(text, "Z[q]", t=0.9)
    assert found.error_bound < 1e-12
    assert found.grad_error_bound["t"] < 1e-11


# --- Dominating ------------------------------------------------------------------------------------


def test_upper_bounds_of_what_is_pulled_back() -> None:
    engine = engine_for("qubit: q para: p count: c while flip(p) do c++; Ry(p)[q] od")
    for observable, bound in (("Z[q]", 1.0), ("3*Z[q] + 1", 4.0), ("c", None)):
        asked = parse_observable(observable)
        solution = engine.solve([{"p": 0.75}], [asked], ())
        (end,) = solution.graph.ends
        n = solution.solver.moments
        norms = np.zeros((1, n))
        norms[0, n - 1] = bound or 1.0
        found = Dominating(solution).upper({end: norms}, {})
        assert found is not None
        pulled = engine.pull_back(solution)
        for vertex in solution.graph.followed:
            for moment in range(n):
                true = float(np.abs(np.linalg.eigvalsh(_matrix(pulled[vertex][0, moment]))).max())
                assert found[vertex][0, moment] >= true - 1e-9
        if bound is None:  # E[c] from here, with c passes behind: 3 + c
            # All through the trace it may be after c++ as well: 4 + c.
            np.testing.assert_allclose(found[0][0], [4.0, 1.0], rtol=1e-4)


def _matrix(y: np.ndarray) -> np.ndarray:
    return decode(y, math.isqrt(len(y)))


def test_visits_are_bounded_from_above() -> None:
    """V = 1 + T†(V): E[visits] = 1 / (1 - p) from everywhere."""
    engine = engine_for("qubit: q para: p while flip(p) do Ry(p)[q] od")
    solution = engine.solve([{"p": 0.75}], [parse_observable("1")], ())
    (end,) = solution.graph.ends
    found = Dominating(solution).upper({end: np.zeros((1, 1))}, {0: np.ones((1, 1))})
    assert found is not None
    assert 4.0 <= found[0][0, 0] <= 4.0 * (1 + 1e-4)


def test_a_wrong_solution_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for("qubit: q para: p while flip(p) do Ry(p)[q] od")
    solution = engine.solve([{"p": 0.75}], [parse_observable("Z[q]")], ())
    (end,) = solution.graph.ends
    solve = DenseSystem.solve
    monkeypatch.setattr(DenseSystem, "solve", lambda self, b, adjoint: 0.99 * solve(self, b, adjoint=adjoint))
    assert Dominating(solution).upper({end: np.ones((1, 1))}, {}) is None
    monkeypatch.setattr("qdiff.sim.hybrid.engine.LOST_MASS", 1.0)
    found = engine.analyze({"p": 0.75}, parse_observable("Z[q]"), ("p",))
    assert found.error_bound == math.inf
    assert found.grad_error_bound == {"p": math.inf}
    assert "no bound is proved: too many passes for the rounding of a check" in found.reason


def test_operations_on_the_longest_way() -> None:
    engine = engine_for("qubit: q para: p H[q]; if M[q] = 1 then Ry(p)[q]; X[q] fi; Rx(p)[q]")
    graph = engine.solve([{"p": 0.3}], [parse_observable("Z[q]")], ()).graph
    trace = graph.traces[graph.trace[0]]
    assert most_operations(graph) >= 4
    assert longest(trace, lambda code, arg: 1.0) >= 4
    assert longest(trace, lambda code, arg: 0.0) == 0.0


@pytest.mark.parametrize("dimension", [2, 8, 64])
def test_rounding_covers_a_product(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    u = np.linalg.qr(rng.normal(size=(dimension,) * 2) + 1j * rng.normal(size=(dimension,) * 2))[0]
    x = rng.normal(size=(dimension,) * 2) + 1j * rng.normal(size=(dimension,) * 2)
    x = x @ x.conj().T
    short = (u @ x @ u.conj().T).astype(complex)
    long = u.astype(np.clongdouble) @ x.astype(np.clongdouble) @ u.conj().T.astype(np.clongdouble)
    error = np.linalg.svd((short - long).astype(complex), compute_uv=False).sum()
    assert error <= rounding(dimension, UNIT) * np.trace(x).real


def test_trace_norms() -> None:
    x = np.diag([1.0, -2.0, 0.5, 0.0]).astype(complex)
    stack = np.stack([x, 1e-30 * np.eye(4, dtype=complex), np.zeros((4, 4))])
    np.testing.assert_allclose(trace_norms(stack), [3.5, 4e-30, 0.0])
    np.testing.assert_allclose(operator_norms(stack), [2.0, 1e-30, 0.0])


# --- Polynomials in counters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("angle", "bound"),
    [
        ("t", [0.5]),
        ("t*c", [0.0, 0.5]),
        ("-t*c + 2*k*c - 3", [3.0, 0.5, 2.0]),
        ("sin(t*c)*4 + cos(c)", [5.0]),
        ("w[c]", [0.7]),
        ("2*w[c]*c", [0.0, 1.4]),
        ("exp(t)", [math.exp(0.5)]),
        ("1/t", [2.0]),
        ("c/2", [0.0, 0.5]),
        ("c^2 + t", [0.5, 0.0, 1.0]),
        ("sqrt(1 + c^2)", [2.0, 0.0, 1.0]),
        ("log(1 + c^2)", [1.0, 0.0, 1.0]),
        ("c/(1 + c^2)", [0.0, 1.0]),
        ("abs(c)", [0.0, 1.0]),
    ],
)
def test_polynomial_bounds(angle: str, bound: list[float]) -> None:
    (gate,) = parse(f"qubit: q para: t, w[2] count: c, k Ry({angle})[q]").body
    assert isinstance(gate, Gate)
    row = {"t": 0.5, "w[0]": -0.7, "w[1]": 0.2}
    found = polynomial_bound(gate.angles[0], row)
    assert found is not None
    np.testing.assert_allclose(found, bound, atol=1e-12)
    for c, k in ((0, 1), (1, -1), (1, 0)):
        value = abs(gate.angles[0].evaluate(row, {"c": c, "k": k}))
        largest = max(abs(c), abs(k))
        assert value <= sum(a * largest**d for d, a in enumerate(found)) + 1e-12


@pytest.mark.parametrize("angle", ["exp(c)", "1/(1 + c)", "log(c)", "t^c", "tan(c)"])
def test_no_polynomial_is_known(angle: str) -> None:
    (gate,) = parse(f"qubit: q para: t count: c Ry({angle})[q]").body
    assert isinstance(gate, Gate)
    assert polynomial_bound(gate.angles[0], {"t": 0.5}) is None


def test_an_indicator_is_at_most_one() -> None:
    assert polynomial_bound(ex.Indicator(ex.Counter("c"), 3), {}) == pytest.approx([1.0])
    modulo = ex.multiply(ex.Modulo(ex.Counter("c"), ex.Number(3)), ex.Counter("c"))
    assert polynomial_bound(modulo, {}) == pytest.approx([0.0, 2.0])
