"""Counters that are only counted: closed forms, and the same as with their values followed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from sim.hybrid.agreement import check_engine, engine_for, solved, value, value_and_gradient

from qdiff.errors import EvaluationError
from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.flow import Flow
from qdiff.sim.hybrid.counted import Counted
from qdiff.sim.hybrid.engine import HybridEngine


def vertices(engine: HybridEngine, row: dict[str, float], *observables: str) -> int:
    """How many combinations of program point and counters are followed."""
    asked = [parse_observable(o) for o in observables]
    return len(engine.solve([row], asked, engine.program.trainable).graph.followed)


def moment(degree: int, stop: float) -> tuple[float, float]:
    """E[c^degree] and its derivative by `stop`, P(c = n) = stop (1 - stop)ⁿ."""
    n = np.arange(3000.0)
    weights = stop * (1 - stop) ** n
    slope = (1 - stop) ** n - stop * n * (1 - stop) ** np.maximum(n - 1, 0)
    return float(weights @ n**degree), float(slope @ n**degree)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_powers_of_a_counter(degree: int) -> None:
    engine = engine_for("qubit: q para: p count: c while not flip(p) do c++ od")
    observable = parse_observable(f"c^{degree}")
    found, gradient = value_and_gradient(engine, {"p": 0.3}, observable)
    expected, slope = moment(degree, 0.3)
    assert_close(found, expected)
    assert_close(gradient["p"], slope)
    assert vertices(engine, {"p": 0.3}, f"c^{degree}") <= 2
    check_engine(engine, observable, {"p": 0.3})


LOOP = "qubit: q para: t, p count: c, k while not flip(p) do Ry(t)[q]; {body} od; Ry(2*t)[q]"


@pytest.mark.parametrize(
    ("body", "observable"),
    [
        ("c := c - 2", "c^2*Z[q]"),
        ("c++; c := -c", "c + c^2"),
        ("c++; c := -c; c := 3 - c", "c^3*X[q]"),
        ("c++; if M[q] = 1 then c := 0 fi", "c^2 + c*Z[q]"),
        ("c++; if M[q] = 1 then c := 5 fi; c++", "c^4"),
        ("k++; c := c + k", "c^2 + k*c*Z[q]"),
        ("k++; c := c + 3*k - 1", "c^2*k"),
        ("c := M[q]; k := k + c", "k^2 + c*k"),
        ("c := M[q]; c := c + 4", "c^2*X[q]"),
        ("c++; k := k - 3", "c*k*Z[q] + c^2*k^2"),
        ("k := c; c++", "c*k"),
        ("if c = 0 then c++ fi; k := k + c", "k^2"),
        ("c++; c := c mod 3; k := k + c", "k^2 + c"),
        ("if M[q] = 1 then c++ else k++ fi", "c^2*k^2 + c*k*Y[q]"),
        ("while{2} flip(p) do c++; H[q] od; k++", "c*k^2 + c^2"),
        ("c := 2*k; k++", "c^2 + c*k"),
    ],
)
def test_assignments_in_a_loop(body: str, observable: str) -> None:
    check_engine(engine_for(LOOP.format(body=body)), parse_observable(observable), {"t": 0.6, "p": 0.5})


def _nothing_counted(flow: Flow, observables: Iterable[Observable]) -> Counted:
    return Counted()


AFFINE = [
    "c++",
    "k++",
    "c := c + k",
    "c := c - 2",
    "c := -c",
    "c := 0",
    "k := 2 - k",
    "c := M[q]",
    "k := 2*c",
    "c := c + 2*k - 1",
    "c := k",
]


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(AFFINE), min_size=1, max_size=4),
    st.lists(st.sampled_from(AFFINE), min_size=1, max_size=3),
    st.sampled_from(["c^2*Z[q] + k", "c*k", "c^3 + k^2*X[q]", "k^4", "Z[q]", "c*P1[q]"]),
)
def test_moments_are_what_the_values_give(body: list[str], after: list[str], asked: str) -> None:
    """A bounded loop has finitely many values, so that both ways are exact; some bodies use neither."""
    text = (
        "qubit: q para: t, p count: c, k "
        f"while{{4}} not flip(p) do Ry(t)[q]; {'; '.join(body)} od;"
        f"if M[q] = 1 then {'; '.join(after)} fi; H[q]"
    )
    row, observable = {"t": 0.7, "p": 0.4}, parse_observable(asked)
    check_engine(engine_for(text), observable, row)
    counted = engine_for(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qdiff.sim.hybrid.engine.counted_counters", _nothing_counted)
        followed = engine_for(text)
        wrt = followed.program.trainable
        by_value = followed.curvature(row, [observable], wrt, np.eye(2))
        assert not followed.solve([row], [observable], wrt).graph.counted.counters
    by_moment = counted.curvature(row, [observable], wrt, np.eye(2))
    assert_close(by_moment.values, by_value.values)
    assert_close(by_moment.gradients, by_value.gradients)
    assert_close(by_moment.products, by_value.products)


@pytest.mark.parametrize(("dense", "dimension"), [(256, 0), (0, 0), (0, 16)])
def test_every_solver_solves_moments(dense: int, dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", dense)
    monkeypatch.setattr("qdiff.sim.hybrid.steps.LARGEST_DIMENSION", dimension)
    body = "c++; if M[q] = 1 then c := -c fi; k := 2*c; if flip(0.3) then c := 0 fi"
    observable = parse_observable("c^2 + k*c*Z[q]")
    check_engine(engine_for(LOOP.format(body=body)), observable, {"t": 0.6, "p": 0.5})


def test_counters_nobody_reads_do_not_multiply_stores() -> None:
    silent = engine_for("qubit: q para: t while M[q] = 1 do Ry(t)[q] od")
    text = "qubit: q para: t count: m[12] while M[q] = 1 do Ry(t)[q]; {} od"
    counting = engine_for(text.format("; ".join(f"m[{i}] := M[q]" for i in range(12))))
    row = {"t": 0.4}
    assert vertices(counting, row, "Z[q]") == vertices(silent, row, "Z[q]")
    check_engine(
        engine_for("qubit: q para: t count: m[2] while M[q] = 1 do Ry(t)[q]; m[0]++; m[1] := M[q] od"),
        parse_observable("Z[q]"),
        row,
    )


def test_only_the_counters_of_the_observables_are_followed() -> None:
    engine = engine_for(LOOP.format(body="c++; k++; k := k + c"))
    row, wrt = {"t": 0.6, "p": 0.5}, ("t", "p")
    solved_for = {
        asked: engine.solve([row], [parse_observable(asked)], wrt).graph.counted.basis
        for asked in ("Z[q]", "c^2", "k")
    }
    assert [len(basis) for basis in solved_for.values()] == [1, 3, 3]  # 1; 1, c, c²; 1, c, k


def test_doubling_is_followed_as_a_value() -> None:
    text = "qubit: q para: t count: c c := 1; while{5} M[q] = 0 do Ry(t)[q]; c := 2*c od; H[q]"
    engine = engine_for(text)
    assert not engine.solve([{"t": 0.9}], [parse_observable("c")], ()).graph.counted.tracked
    check_engine(engine, parse_observable("c^2*Z[q]"), {"t": 0.9})
    with pytest.raises(EvaluationError, match="counter `c` overflows: "):
        value(text.replace("while{5} M[q] = 0", "while not flip(0.001)"), "c", t=0.9)


STEPS = "qubit: q para: p count: c while{{3}} flip(p) do c := c + {step} od"


@pytest.mark.parametrize("step", [2**31, 2**31 + 1, 2**40])
def test_large_steps_are_exact_too(step: int) -> None:
    text = STEPS.format(step=step)
    engine, p = engine_for(text), 0.4
    found, gradient = value_and_gradient(engine, {"p": p}, parse_observable("c"))
    expected = (p * (1 - p) + 2 * p**2 * (1 - p)) * step
    assert abs(found / expected - 1) < 1e-9
    assert abs(gradient["p"] / ((1 - 2 * p + 4 * p - 6 * p**2) * step) - 1) < 1e-9
    tracked = engine.solve([{"p": p}], [parse_observable("c")], ()).graph.counted.tracked
    assert bool(tracked) == (step <= 2**31)


@pytest.mark.parametrize("asked", ["c", "Z[q]"])
def test_a_counter_that_overflows_is_an_error_whoever_reads_it(asked: str) -> None:
    text = STEPS.format(step=2**62)
    with pytest.raises(EvaluationError, match="counter `c` overflows: "):
        solved(text, asked, p=0.4)


def test_counters_that_grow_together_are_followed_as_values() -> None:
    """c := c + k; k := k + c grows like a power: values are followed, and overflow is an error."""
    text = "qubit: q para: p count: c, k k := 1; while{4} flip(p) do c := c + k; k := k + c od"
    engine = engine_for(text)
    assert not engine.solve([{"p": 0.7}], [parse_observable("c")], ()).graph.counted.tracked
    check_engine(engine, parse_observable("c*k"), {"p": 0.7})
    with pytest.raises(EvaluationError, match=r"counter `[ck]` overflows: "):
        value(text.replace("while{4}", "while").replace("flip(p)", "not flip(0.001)"), "Z[q]", p=0.7)


def test_hidden_counters_of_bounded_loops() -> None:
    text = """
        qubit: q, r para: t count: c
        H[q];
        while{3} M[q] = 1 do Ry(t)[q]; while{2} M[r] = 0 do Rx(t)[r]; c++ od; q := |0>; H[q] od
    """
    check_engine(engine_for(text), parse_observable("c^2 + Z[r]"), {"t": 1.1})
    many = engine_for("qubit: q para: t while{500} M[q] = 1 do Ry(t)[q] od; Ry(t)[q]")
    check_engine(many, parse_observable("Z[q]"), {"t": 0.8})


def test_a_hidden_counter_is_not_one_of_the_programs() -> None:
    engine = engine_for("qubit: q para: t count: c while{3} flip(t) do c++ od; if c = 2 then X[q] fi")
    t = 0.6
    found, gradient = value_and_gradient(engine, {"t": t}, parse_observable("c*P1[q]"))
    assert_close(found, 2 * t**2 * (1 - t))
    assert_close(gradient["t"], 4 * t - 6 * t**2)


def test_a_read_counter_beside_a_counted_one() -> None:
    text = """
        qubit: q para: t, n count: c, k
        while c < n do Ry(t*c)[q]; k := k + c + 1; if M[q] = 1 then k++ fi; c++ od
    """
    check_engine(engine_for(text), parse_observable("k^2*Z[q] + c*k"), {"t": 0.5, "n": 4.0})


def test_moments_of_infinitely_many_stores() -> None:
    """c is read (a drifting walk), n is counted beside it."""
    text = """
        qubit: q para: p count: c, n
        c := 1; while c > 0 do n := n + c; if flip(p) then c++ else c := c - 1 fi od
    """
    found, gradient = solved(text, "n", p=0.25)
    # a(h) = h + p a(h+1) + (1-p) a(h-1): a(h) = αh² + βh, α = 1/2(1-2p), β = α/(1-2p)
    # drift d = 1 - 2p: -1 = -2αd + α ... solved for h = 1: a = 1/(2d) + 1/(2d²)
    d = 0.5
    assert_close(found, 1 / (2 * d) + 1 / (2 * d**2))
    assert_close(gradient["p"], 1 / d**2 + 2 / d**3)


def test_no_observable_follows_no_counter() -> None:
    engine = engine_for("qubit: q para: p count: c while not flip(p) do c++ od")
    assert engine.values([{"p": 0.1}], []).shape == (1, 0)
    assert math.isclose(float(engine.values([{"p": 0.1}], [parse_observable("1")])[0, 0]), 1.0)


@pytest.mark.parametrize(
    ("after", "observable", "expected"),
    [
        ("c := 2*c", "c", lambda n, _: 2 * n),
        ("d := c; c := d - 3", "c + d", lambda n, _: 2 * n - 3),
        ("c := 5*c - 1; c := -3*c", "c^2", lambda n, s: 225 * s - 90 * n + 9),
    ],
)
def test_outside_of_loops_counters_may_be_multiplied(
    after: str, observable: str, expected: Callable[[float, float], float]
) -> None:
    p = 0.02
    engine = engine_for(f"qubit: q para: p count: c, d while not flip(p) do c++ od; {after}")
    asked = [parse_observable(observable)]
    assert_close(engine.values([{"p": p}], asked)[0, 0], expected((1 - p) / p, (1 - p) * (2 - p) / p**2))
    assert len(engine.solve([{"p": p}], asked, ("p",)).graph.followed) <= 2


def test_factors_that_may_overflow_are_followed_as_values() -> None:
    engine = engine_for("qubit: q count: c c := 1; " + "; ".join(["c := 4*c"] * 33))
    with pytest.raises(EvaluationError, match="counter `c` overflows"):
        engine.values([{}], [parse_observable("Z[q]")])
