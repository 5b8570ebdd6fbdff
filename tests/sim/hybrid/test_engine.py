"""What the engine follows and what it refuses: infinitely many stores, values that do not exist."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import assert_close
from sim.hybrid.agreement import check_curvature, engine_for, solved, value

from qdiff.errors import EvaluationError
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.hybrid.checks import Checks

# --- Infinitely many stores ------------------------------------------------------------------------


def test_a_slow_geometric_loop_is_followed_far_enough() -> None:
    # `c < 0` is never true, but it makes c a part of the store.
    text = "qubit: q para: p count: c while not flip(p) do c++; if c < 0 then abort fi od"
    found, gradient = solved(text, "c^2", p=0.02)
    q = 0.98
    assert_close(found, q * (1 + q) / 0.02**2)
    assert_close(gradient["p"], (3 * 0.02 - 4) / 0.02**3)


def test_a_walk_with_drift_is_followed() -> None:
    text = """
        qubit: q  para: p  count: c, n
        c := 1;
        while c > 0 do n++; if flip(p) then c++ else c := c - 1 fi od
    """
    found, gradient = solved(text, "n", p=0.2)
    assert_close(found, 1 / 0.6)
    assert_close(gradient["p"], 2 / 0.6**2)
    check_curvature(engine_for(text), [parse_observable("n^2")], {"p": 0.08})


def test_a_counter_without_a_mean_is_refused() -> None:
    text = """
        qubit: q  para: p  count: c
        c := 1;
        while c > 0 do if flip(p) then c++ else c := c - 1 fi od
    """
    with pytest.raises(EvaluationError) as caught:
        solved(text, "1", p=0.5)
    assert "combinations of loop and counters, runs still go on to others with probability" in str(
        caught.value
    )
    assert "decreases too slowly. If the program ends at all, estimate from shots: f.estimate" in str(
        caught.value
    )


def test_an_angle_that_follows_a_counter() -> None:
    text = "qubit: q para: t, p count: c while not flip(p) do c++; Ry(t*c)[q] od"
    found, gradient = solved(text, "Z[q]", t=0.7, p=0.4)
    n = np.arange(200)
    weights, angles = 0.4 * 0.6**n, n * (n + 1) / 2
    assert_close(found, weights @ np.cos(0.7 * angles))
    assert_close(gradient["t"], -(weights * angles) @ np.sin(0.7 * angles))
    by_p = 0.6**n - 0.4 * n * 0.6 ** np.maximum(n - 1, 0)
    assert_close(gradient["p"], by_p @ np.cos(0.7 * angles))


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
    loop = "while flip(0.99) do c++; if c < 0 then abort fi od"
    text = f"qubit: q para: t count: c Ry(t)[q]; if M[q] = 1 then {loop} fi"
    _, gradient = solved(text, "c", t=1e-7)
    assert_close(gradient["t"], 99 * math.sin(1e-7) / 2, tolerance=1e-12)


def test_a_rare_branch_is_followed_for_the_second_derivative() -> None:
    loop = "while flip(0.99) do c++; if c < 0 then abort fi od"
    engine = engine_for(f"qubit: q para: t count: c Ry(t)[q]; if M[q] = 1 then {loop} fi")
    for t in (0.0, 1e-7):
        found = engine.curvature({"t": t}, [parse_observable("c")], ["t"], np.ones((1, 1)))
        assert_close(found.products[0, 0, 0], 99 / 2)


def test_what_derivatives_carry_bounds_them() -> None:
    """The trace norm of ∂R at every vertex is at most that of P, for each parameter with slope 1."""
    engine = engine_for(
        "qubit: q, r para: t, p Ry(t)[q]; H[r];"
        "while M[q] = 1 do C_Rx(t)[r][q]; if flip(p) then H[q]; P(t)[r] fi od"
    )
    row, asked = {"t": 0.7, "p": 0.4}, [parse_observable("Z[r]")]
    for name in engine.program.trainable:
        solution = engine.solve([row], asked, (name,))
        size = solution.solver.dimension
        carried = Checks(solution).carried(gates=True).states
        near = [
            engine.solve([{**row, name: row[name] + shift}], asked, (name,)).masses()
            for shift in (1e-5, -1e-5)
        ]
        assert set(carried) >= set(near[0]) - {0}
        for vertex in carried:
            change = (near[0][vertex][0, 0] - near[1][vertex][0, 0]) / 2e-5
            norm = float(np.abs(np.linalg.eigvalsh(change)).sum())
            assert norm <= carried[vertex][0, 0, :: size + 1].sum() + 1e-6


def test_a_failing_branch_that_a_derivative_needs_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="has no finite real value"):
        solved("qubit: q para: p, s if flip(p) then Ry(sqrt(s - 1))[q] fi", "Z[q]", p=0.0, s=0.5)
    overflowing = f"{FLIPPED} c := 9223372036854775807; c++ fi"
    with pytest.raises(EvaluationError, match="counter `c` overflows"):
        solved(overflowing, "Z[q]", p=0.0)
    assert value(overflowing, "Z[q]", p=0.0) == 1.0


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


def test_a_second_derivative_that_does_not_exist() -> None:
    text = "qubit: q para: t if flip(0.5) then Ry(t*abs(t))[q] fi"
    engine, asked = engine_for("qubit: q para: t, s Ry(t^1.5)[q]; Ry(s)[q]"), [parse_observable("Z[q]")]
    row = {"t": 0.0, "s": 0.4}
    _, gradients = engine.gradients([row], asked, ["t", "s"])
    assert_close(gradients[0, 0], [0.0, -math.sin(0.4)])
    with pytest.raises(EvaluationError) as caught:
        engine.curvature(row, asked, ["t", "s"], np.eye(2))
    assert "the second derivative of `t^1.5` by `t` and `t` does not exist here:" in str(caught.value)
    assert str(caught.value).startswith("<text>:1:24: ")
    alone = engine.curvature(row, asked, ["s"], np.ones((1, 1)))
    assert_close(alone.products[0, 0, 0], -math.cos(0.4))
    with pytest.raises(EvaluationError, match="does not exist here"):
        engine_for(text).curvature({"t": 0.0}, asked, ["t"], np.ones((1, 1)))


def test_what_is_never_run_need_not_have_a_value() -> None:
    found, gradient = solved(
        "qubit: q para: t count: c if c = 1 then Ry(1/t)[q] fi; if M[q] = 1 and flip(1/t) then X[q] fi",
        "Z[q]",
        t=0.0,
    )
    assert (found, gradient) == (1.0, {"t": 0.0})


def test_a_derivative_is_only_missed_where_it_is_asked_for() -> None:
    engine = engine_for("qubit: q para: s, t Ry(sqrt(t))[q]; Rx(s)[q]")
    row = {"s": 0.5, "t": 0.0}
    _, gradients = engine.gradients([row], [parse_observable("Z[q]")], ["s"])
    assert_close(gradients[0, 0], [-math.sin(0.5)])


def test_the_row_of_a_batch_that_has_no_value_is_found() -> None:
    engine = engine_for("qubit: q para: t Ry(sqrt(t))[q]")
    rows = [{"t": 0.5}, {"t": -1.0}, {"t": 0.7}]
    with pytest.raises(EvaluationError, match=r"`sqrt\(t\)` has no finite real value"):
        engine.values(rows, [parse_observable("Z[q]")])
    found = engine.values([rows[0], rows[2]], [parse_observable("Z[q]")])
    assert_close(found[:, 0], np.cos(np.sqrt([0.5, 0.7])))


def test_a_probability_may_leave_its_range_by_rounding() -> None:
    found, gradient = solved("qubit: q para: p if flip(p) then X[q] fi", "Z[q]", p=1 + 1e-13)
    assert_close(found, -1.0)
    assert_close(gradient["p"], -2.0)


def test_arrays_are_resolved_by_element() -> None:
    engine = engine_for("qubit: q para: w[2] Ry(w[0])[q]; Ry(w[1])[q]")
    row = resolve(engine.program, {"w": [0.2, 0.5]})
    assert_close(engine.values([row], [parse_observable("Z[q]")])[0, 0], math.cos(0.7))


def test_a_graph_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.hybrid.engine.LARGEST_GRAPH", 4096)
    with pytest.raises(EvaluationError, match="After following 4096 combinations of loop and counters"):
        value("qubit: q para: t count: c while c < 10000 do Ry(t)[q]; c++ od", "1", t=0.3)


@pytest.mark.parametrize("p", [1e-9, 1e-11])
def test_a_loop_that_rounding_cannot_see_the_end_of(p: float) -> None:
    text = "qubit: q para: p while not flip(p) do X[q] od"
    with pytest.raises(
        EvaluationError, match="takes so many passes on average at these parameters"
    ) as caught:
        solved(text, "1", p=p)
    assert "rounding hides its end" in str(caught.value)
    assert_close(value(text, "1", p=1e-6), 1.0)


def test_what_rounding_cannot_tell_from_a_trap_has_no_proof() -> None:
    engine = engine_for("qubit: q para: p while not flip(p) do X[q] od")
    found = engine.analyze({"p": 1e-15}, parse_observable("1"), ("p",))
    assert found.error_bound >= 1.0  # the true value is 1
    assert found.grad_error_bound["p"] == math.inf
    assert "is known up to rounding only" in found.reason


def test_explorers_are_kept_for_a_few_values_of_compared_parameters() -> None:
    engine = engine_for("qubit: q para: t, n count: c while c < n do Ry(t)[q]; c++ od")
    rows = [{"t": 0.1, "n": float(n)} for n in range(40)]
    found = engine.values(rows, [parse_observable("Z[q]")])
    assert_close(found[:, 0], np.cos(0.1 * np.arange(40)))
    assert len(engine._explorers) == 16


def test_a_program_without_loops_is_followed_to_its_end() -> None:
    # A tenth is over at once, and the rest only after many combinations: no loop, and nothing is endless.
    steps = "; ".join(f"if c = 0 then if flip(0.002) then c := {i} fi fi" for i in range(1, 150))
    found = engine_for(f"qubit: q count: c if flip(0.1) then abort fi; {steps}")
    assert_close(found.values([{}], [parse_observable("1")]), [[0.9]])
