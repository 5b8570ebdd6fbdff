"""The branching engine against the reference interpreter; what merges, what is followed, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amounts import examples
from helpers import assert_close
from hypothesis import HealthCheck, assume, given, settings
from random_parts import MIXTURES
from sim.pure.checks import CASES, check_curvature, check_engine, check_state, prepared
from strategies import cases

from qdiff.errors import EvaluationError, QdiffError, ResourceError
from qdiff.lang.observable import Observable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.flow import lower
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.pure.branching import BranchingEngine
from qdiff.sim.pure.collapse import Collapse
from qdiff.sim.pure.frontier import Frontier
from qdiff.sim.randomness import what_is_random
from qdiff.sim.static.engine import PureStateEngine

Case = tuple[Program, Observable, dict[str, float]]
TOO_MANY = {"nested_loops"}  # passes of the inner loop multiply with those of the outer one


def solved(text: str, observable: str, **params: object) -> tuple[float, dict[str, float]]:
    program, read, values = prepared(text, observable, **params)
    found, slopes = BranchingEngine(program).gradients([values], [read], program.trainable)
    return float(found[0, 0]), dict(zip(program.trainable, slopes[0, 0].tolist(), strict=True))


def follow(text: str, observable: str, **params: object) -> Frontier:
    """The graph that a gradient is computed on."""
    program, read, values = prepared(text, observable, **params)
    return BranchingEngine(program)._follow(values, [read], program.trainable, keep=True)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reference_cases(case: dict[str, Any]) -> None:
    if case["name"] in TOO_MANY:
        with pytest.raises(EvaluationError, match="does not end, or too slowly"):
            solved(case["program"], case["observable"], **case["params"])
        return
    value, gradient = solved(case["program"], case["observable"], **case["params"])
    assert_close(value, case["value"])
    assert_close(gradient, case["gradient"])


def checked_or_refused(
    case: Case, check: Callable[[BranchingEngine, Observable, dict[str, float]], None]
) -> None:
    program, observable, params = case
    try:
        check(BranchingEngine(program), observable, params)
    except EvaluationError as error:
        # Loops inside loops, or counters that grow in them, may have too many distinct branches.
        assume("runs still go on" not in str(error))
        raise


@pytest.fixture
def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random programs with very many branches are given up early."""
    monkeypatch.setattr("qdiff.sim.pure.frontier.LARGEST_UNBOUNDED_TREE", 2000)
    monkeypatch.setattr("qdiff.sim.pure.frontier.LARGEST_TREE", 4000)


@pytest.mark.usefixtures("small_trees")
@settings(
    max_examples=examples(16),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cases(noise=MIXTURES))
def test_random_programs(case: Case) -> None:
    checked_or_refused(case, check_engine)


@pytest.mark.usefixtures("small_trees")
@settings(
    max_examples=examples(10),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cases(growing=False, noise=MIXTURES))
def test_second_derivatives_of_random_programs(case: Case) -> None:
    checked_or_refused(case, check_curvature)


@settings(max_examples=examples(10))
@given(cases(unbounded=False, noise=MIXTURES))
def test_where_nothing_is_random_both_engines_agree(case: Case) -> None:
    program, observable, params = case
    assume(not what_is_random(program))
    mine, other = (
        E(program).gradients([params], [observable], program.trainable)
        for E in (BranchingEngine, PureStateEngine)
    )
    assert_close(mine[0], other[0], 1e-12)
    assert_close(mine[1], other[1], 1e-12)


MIXED = """
    qubit: q, r, s  para: t, u, p  count: c
    Ry(t)[q]; C_Rx(u)[q][r]; c := M[q, r];
    if flip(p^2) then Ry(t*c)[r] else Rzz(u)[q, s]; H[s] fi;
    r := |0>; C_Ry(t)[q][r]; case M[r, s] of 0: X[q] | 3: Rz(p)[q]; H[q] | else: abort esac; Ry(u)[q]
"""


def test_every_kind_of_split() -> None:
    program, observable, params = prepared(MIXED, "Z[q] + 0.5*c*X[q] - P1[s]", t=0.7, u=1.2, p=0.6)
    check_engine(BranchingEngine(program), observable, params)
    check_curvature(BranchingEngine(program), observable, params)
    check_state(BranchingEngine(program), params)


@pytest.mark.parametrize(
    ("target", "replacement"),
    [
        ("qdiff.sim.pure.waiting.Waiting._compare", lambda self, child, other: (1 + 0j, 0.0)),
        ("qdiff.sim.pure.sweep.Sweep._tossed", lambda self, node, coin: None),
        ("qdiff.sim.pure.course.Course.reduced", lambda self, point, store: (0,) * len(store)),
    ],
    ids=["merges what differs", "forgets flips", "forgets counters that are read"],
)
def test_a_broken_engine_is_caught(target: str, replacement: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program, observable, params = prepared(MIXED, "Z[q] + 0.5*c*X[q] - P1[s]", t=0.7, u=1.2, p=0.6)
    if "_compare" in target:
        monkeypatch.setattr("qdiff.sim.pure.waiting.GRID", 1e3)  # all states look alike
    monkeypatch.setattr(target, replacement)
    with pytest.raises(AssertionError):
        check_engine(BranchingEngine(program), observable, params)


def test_a_broken_second_derivative_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    normalise = Collapse.normalise

    def forgets(self: Collapse, *states: Any) -> tuple[list[complex], float]:
        return [0j] * self.along, normalise(self, *states)[1]

    monkeypatch.setattr(Collapse, "normalise", forgets)
    program, observable, params = prepared(MIXED, "Z[q] + 0.5*c*X[q] - P1[s]", t=0.7, u=1.2, p=0.6)
    with pytest.raises(AssertionError):
        check_curvature(BranchingEngine(program), observable, params)


# --- Merging -----------------------------------------------------------------------------------------


def rounds(count: int) -> str:
    """Rounds of turning, measuring and resetting an ancilla: 2^count histories."""
    body = "Ry(t)[a]; C_Ry(u)[a][q]; if M[a] = 1 then Z[q] fi; a := |0>; q := |0>; Ry(u)[q]"
    return "qubit: a, q para: t, u " + "; ".join([body] * count)


def test_rounds_of_measuring_and_resetting_make_a_chain() -> None:
    few, many = (len(follow(rounds(k), "Z[q]", t=0.9, u=0.4).nodes) for k in (5, 30))
    assert many <= 6.5 * few
    assert few <= 12 * 5
    program, observable, params = prepared(rounds(30), "Z[q]", t=0.9, u=0.4)
    engine = BranchingEngine(program)
    check_engine(engine, observable, params)
    directions = np.array([[1.0, -0.5]])
    products = engine.curvature(params, [observable], program.trainable, directions).products[0, 0]
    # After a round only its last rotation matters: f = cos(u).
    assert_close(products, [0.0, 0.5 * math.cos(0.4)])
    along = engine._follow(params, [observable], ("t", "u"), keep=True, directions=directions)
    assert len(along.nodes) <= 2 * many


COUNTING = {
    "nested": (
        "while c < n do c++; d := 0; while d < c do d++; Ry(t/(1+d))[q]; C_Rx(u)[q][r] od; "
        "if M[q] = 1 then e++; X[q] fi od",
        "e*Z[r] + X[q]",
    ),
    "three at once": (
        "while c < n do c++; Ry(t)[q]; Rx(u*(d+1))[r]; CNOT[q, r]; if M[r] = 1 then d++; Ry(u)[r] fi; "
        "if M[q] = 1 then e++; q := |0> fi od",
        "d*Z[r] + e*X[q]",
    ),
    "flips": (
        "while flip(0.7) and c < n do c++; Ry(t*c)[q] od; while not flip(0.6) do d++; Rx(u*d)[r] od",
        "c*X[q] + d*Y[r]",
    ),
}


@pytest.mark.parametrize("name", COUNTING)
def test_a_hessian_needs_one_graph_no_larger_than_that_of_the_gradient(name: str) -> None:
    body, observed = COUNTING[name]
    text = f"qubit: q, r para: t, u, n count: c, d, e Ry(t)[q]; H[r]; {body}"
    program, observable, params = prepared(text, observed, t=0.7, u=0.4, n=4)
    engine, wrt = BranchingEngine(program), program.trainable
    few = engine._follow(params, [observable], wrt, keep=True)
    along = engine._follow(params, [observable], wrt, keep=True, directions=np.eye(2))
    assert len(along.nodes) <= 1.1 * len(few.nodes)
    mine = engine.curvature(params, [observable], wrt, np.eye(2))
    exact = HybridEngine(program).curvature(params, [observable], wrt, np.eye(2))
    assert_close(mine.products, exact.products, 1e-11)
    assert_close(mine.gradients, exact.gradients, 1e-12)


def test_tangents_that_have_grown_still_merge() -> None:
    """Without a measurement nothing gives (ψ, ψ̇) norm 1 again; equal ones merge all the same."""
    loop = "while not flip(0.5) do c++; R_XZ(2*t*c)[q, r] od"
    text = f"qubit: q, r para: t count: c Ry(t)[q]; H[r]; {loop}; {loop}"
    program, observable, params = prepared(text, "c + 0.5*X[q] + Z[r]", t=0.2)
    engine = BranchingEngine(program)
    few = engine._follow(params, [observable], ("t",), keep=True)
    along = engine._follow(params, [observable], ("t",), keep=True, directions=np.eye(1))
    assert len(along.nodes) <= 1.1 * len(few.nodes)
    mine = engine.curvature(params, [observable], ("t",), np.eye(1))
    exact = HybridEngine(program).curvature(params, [observable], ("t",), np.eye(1))
    assert_close(mine.products, exact.products, 1e-9)


def test_little_memory_means_fewer_directions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    program, observable, params = prepared(MIXED, "Z[q] + 0.5*c*X[q]", t=0.7, u=1.2, p=0.6)
    directions = np.vstack([np.eye(3), [[0.3, -1.0, 2.0]]])
    plenty = BranchingEngine(program).curvature(params, [observable], program.trainable, directions)
    used = BranchingEngine(program)._follow(
        params, [observable], program.trainable, keep=True, directions=directions[:2]
    )
    along: list[int] = []
    run = Frontier.run

    def counted(self: Frontier) -> None:
        along.append(self.along)
        run(self)

    monkeypatch.setattr(Frontier, "run", counted)
    little = BranchingEngine(program, max_memory=16 * 8 * (2 * 3 * used.states + 2))
    found = little.curvature(params, [observable], program.trainable, directions)
    assert along == [4, 2, 2]
    assert_close(found.products, plenty.products, 1e-13)
    least = BranchingEngine(program, max_memory=16 * 8 * 6)
    with pytest.raises(ResourceError, match="measure less"):
        least.curvature(params, [observable], program.trainable, directions)


def test_what_nobody_reads_does_not_keep_branches_apart() -> None:
    text = "qubit: q count: c, d for i in 1..12 do H[q]; c := M[q]; d := d + c; if c = 1 then X[q] fi od"
    assert len(follow(text, "Z[q]").nodes) <= 12 * 6
    assert len(follow(text, "d").nodes) <= 12 * 13 * 6
    value, _ = solved(text, "d")
    assert_close(value, 6.0)


def test_a_phase_does_not_keep_branches_apart() -> None:
    same = "Rz(t)[r]; Rz(-t)[r]; R_ZZ(pi)[q, r]; Z[q]; Z[r]"
    text = f"qubit: q, r para: t H[r]; Ry(t)[q]; for i in 1..8 do if flip(0.5) then {same} fi od"
    assert len(follow(text, "X[r]", t=0.4).nodes) <= 8 * 6


def test_close_is_not_equal() -> None:
    """States that differ by more than rounding stay apart; what was merged is in the bound."""
    apart = follow("qubit: q if flip(0.5) then Ry(1e-9)[q] fi; H[q]", "X[q]")
    merged = follow("qubit: q if flip(0.5) then Ry(1e-14)[q] fi; H[q]", "X[q]")
    assert len(apart.nodes) > len(merged.nodes)
    assert (apart.merged, merged.merged > 0) == (0.0, True)
    program, observable, params = prepared("qubit: q para: t if flip(0.5) then Ry(t)[q] fi", "X[q]", t=1e-13)
    found = BranchingEngine(program).analyze(params, observable, ("t",))
    assert "what was merged by its distance" in found.reason
    value, gradient = solved("qubit: q para: t if flip(0.5) then Ry(t)[q] fi", "X[q]", t=1e-13)
    assert abs(value - 0.5e-13) <= found.error_bound
    assert abs(gradient["t"] - 0.5) <= found.grad_error_bound["t"]


def test_the_result_of_a_row_does_not_depend_on_the_others() -> None:
    program, observable, params = prepared(MIXED, "Z[q] + 0.5*c*X[q]", t=0.7, u=1.2, p=0.6)
    rows = [{**params, "t": t} for t in (0.1, 0.7, -2.0)]
    observables = [observable, parse_observable("1"), parse_observable("c^2")]
    engine = BranchingEngine(program)
    values, gradients = engine.gradients(rows, observables, program.trainable)
    assert_close(engine.values(rows, observables), values, 1e-14)
    for p, row in enumerate(rows):
        for k, one in enumerate(observables):
            single = BranchingEngine(program).gradients([row], [one], program.trainable)
            assert_close(values[p, k], single[0][0, 0], 1e-13)
            assert_close(gradients[p, k], single[1][0, 0], 1e-13)


# --- Where derivatives go ------------------------------------------------------------------------------

FLIPPED = "qubit: q  para: p  count: c  if flip(p) then"


@pytest.mark.parametrize(
    ("text", "observable", "p", "slope"),
    [
        (f"{FLIPPED} while c < 1000 do c++ od; X[q] fi", "Z[q]", 0.0, -2.0),
        (f"{FLIPPED} while flip(0.9) do c++ od fi", "c", 0.0, 9.0),
        (f"{FLIPPED} while flip(0.9) do c++ od fi", "c", 1e-15, 9.0),
        (f"{FLIPPED} while flip(0.9) do c++ od else X[q] fi", "Z[q]", 0.0, 2.0),
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
    text = "qubit: q para: t count: c Ry(t)[q]; if M[q] = 1 then while flip(0.95) do c++ od fi"
    _, gradient = solved(text, "c", t=1e-7)
    assert_close(gradient["t"], 19 * math.sin(1e-7) / 2, tolerance=1e-12)


@pytest.mark.parametrize(
    ("body", "second"),
    [
        ("Ry(t)[q]; if M[q] = 1 then c := 7 fi", 3.5),  # 7 sin²(t/2) at 0
        ("if flip(t^2) then c := 7 fi", 14.0),
        ("Ry(t)[q]; if M[q] = 1 and flip(t^2 + 1/2) then c := 7 fi", 1.75),
        ("if flip(t) then if flip(t) then c := 7 fi fi", 14.0),
    ],
)
def test_a_branch_of_probability_zero_matters_to_a_second_derivative(body: str, second: float) -> None:
    program, observable, params = prepared(f"qubit: q para: t count: c {body}", "c", t=0.0)
    found = BranchingEngine(program).curvature(params, [observable], ("t",), np.array([[1.0]]))
    assert_close(found.gradients[0, 0], 0.0)
    assert_close(found.products[0, 0, 0], second)


def test_a_failing_branch_that_a_derivative_needs_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="has no finite real value"):
        solved("qubit: q para: p, s if flip(p) then Ry(sqrt(s - 1))[q] fi", "Z[q]", p=0.0, s=0.5)
    with pytest.raises(EvaluationError, match="counter `c` overflows"):
        solved(f"{FLIPPED} c := 9223372036854775807; c++ fi", "c", p=0.0)
    program = parse(f"{FLIPPED} c := 9223372036854775807; c++ fi")
    assert BranchingEngine(program).values([{"p": 0.0}], [parse_observable("Z[q]")]) == 1.0


# --- What is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "qubit: q para: t Ry(t)[q]; while M[q] = 1 do skip od",
        "qubit: q, r para: t while M[r] = 0 do Ry(t)[q] od",
        "qubit: q para: t count: c while c >= 0 do Ry(t)[q]; c := M[q] od",
        "qubit: q[12] para: t while M[q[1]] = 0 do Ry(t)[q[0]] od",
        "qubit: q para: t if flip(t - 0.3) then X[q]; while M[q] = 1 do skip od fi",
    ],
)
def test_a_loop_that_never_ends_is_refused(text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        solved(text, "1", t=0.3)
    assert "A loop does not end, or too slowly: after following " in str(caught.value)
    assert "estimate from shots: f.estimate(params, shots=…), --shots on the command line." in str(
        caught.value
    )


def test_a_counter_without_a_mean_is_refused() -> None:
    text = "qubit: q para: p count: c c := 1; while c > 0 do if flip(p) then c++ else c := c - 1 fi od"
    with pytest.raises(EvaluationError, match="decreases too slowly"):
        solved(text, "1", p=0.5)


def test_a_tree_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.pure.frontier.LARGEST_TREE", 100)
    body = "Ry(t)[q]; CNOT[q, r]; c := 2*c + 1; if M[q] = 1 then c++ fi"
    text = f"qubit: q, r para: t count: c for i in 1..12 do {body} od"
    with pytest.raises(EvaluationError, match="After following 101 branches, runs still go on to others"):
        solved(text, "c", t=0.3)


@pytest.mark.parametrize(
    ("text", "params", "message"),
    [
        ("H[q]; c := M[q]; Ry(1/t)[q]", {"t": 0.0}, "`1/t` divides by zero."),
        ("q := |0>; Ry(sqrt(t))[q]", {"t": -1.0}, "`sqrt(t)` has no finite real value"),
        ("if flip(t) then X[q] fi", {"t": 1.5}, "<text>:1:35: the probability `t` is 1.5, outside [0, 1]."),
        ("if flip(2*t) then X[q] fi", {"t": -0.1}, "the probability `2*t` is -0.2, outside [0, 1]."),
        ("q := |0>; Ry(sqrt(t))[q]", {"t": 0.0}, "the derivative of `sqrt(t)` by `t` does not exist here:"),
        (
            "H[q]; c := 6 + M[q]; Ry(w[c])[q]; Ry(t)[q]",
            {"t": 0.0, "w": [0.0, 0.0]},
            "the index of `w[c]` is 6",
        ),
        ("q := |0>; c := 1 div c; Ry(t)[q]", {"t": 0.0}, "`1 div c` divides by zero."),
    ],
)
def test_what_has_no_value_is_an_error_with_its_place(
    text: str, params: dict[str, object], message: str
) -> None:
    text = text.replace("c := 6 + M[q]", "c := M[q]; c := c*0 + 6")
    names = "t" + (", w[2]" if "w" in params else "")
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


@pytest.mark.parametrize(("qubits", "size"), [(40, "32 TiB"), (2000, "about 2^1975 GiB")])
def test_a_register_too_large_is_refused_before_anything_is_allocated(qubits: int, size: str) -> None:
    with pytest.raises(ResourceError) as caught:
        solved(f"qubit: q[{qubits}] para: t Ry(t)[q[0]]; q[1] := |0>", "Z[q[0]]", t=0.1)
    assert f"The branching engine needs {size} for 2 pure states on {qubits} qubits" in str(caught.value)


def test_the_states_of_all_branches_are_counted() -> None:
    body = "Ry(t)[q[i]]; c := 2*c + 1; if M[q[i]] = 1 then c++ fi"
    text = f"qubit: q[6] para: t count: c for i in 0..5 do {body} od"
    program, observable, params = prepared(text, "c", t=0.3)
    with pytest.raises(ResourceError, match=r"Raise it .*, measure less, or estimate from shots"):
        BranchingEngine(program, max_memory=16 * 64 * 100).gradients([params], [observable], ("t",))
    # A value alone keeps the frontier only.
    BranchingEngine(program, max_memory=16 * 64 * 100).values([params], [observable])


def test_little_memory_means_fewer_observables_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    program, _, params = prepared(MIXED, "1", t=0.7, u=1.2, p=0.6)
    observables = [parse_observable(text) for text in ("Z[q]", "X[q]", "P1[s]", "c")]
    engine = BranchingEngine(program)
    plenty = engine.gradients([params], observables, program.trainable)
    used = engine._follow(params, observables, program.trainable, keep=True).states
    little = BranchingEngine(program, max_memory=16 * 8 * (2 * used + 4))
    found = little.gradients([params], observables, program.trainable)
    assert_close(found[0], plenty[0], 1e-14)
    assert_close(found[1], plenty[1], 1e-14)


# --- What is known -----------------------------------------------------------------------------------------


def test_the_analysis_says_what_was_followed() -> None:
    program, observable, params = prepared(
        "qubit: q para: t Ry(t)[q]; while M[q] = 1 do q := |0>; Ry(t)[q] od", "Z[q]", t=1.1
    )
    found = BranchingEngine(program).analyze(params, observable, ("t",))
    x = math.sin(0.55) ** 2
    assert_close(found.expected_visits[0].passes, x / (1 - x))
    assert_close(found.occurrences["t"], 1 / (1 - x))
    assert found.engine == "branching"
    assert 0 < found.outside_probability < 1e-14
    assert 0 < found.error_bound < 1e-12
    assert 0 < found.grad_error_bound["t"] < 1e-11
    assert "distinct branches were followed" in found.reason
    assert "was not followed" in found.reason
    assert "nothing is proved" not in found.reason


UNTIL = "qubit: q para: p, t count: c while not flip(p) do"


@pytest.mark.parametrize(
    ("body", "observable", "value", "bound"),
    [
        ("c++", "c", 1.5, 1e-11),
        ("c++", "c^2 + 0.5*c*Z[q]", 6.75, 1e-9),  # variance 3.75
        ("c := c + 3", "c", 4.5, 1e-11),
        ("c++; Ry(t)[q]", "1", 1.0, 1e-11),
    ],
)
def test_what_was_left_is_bounded_where_counters_grow_by_steps(
    body: str, observable: str, value: float, bound: float
) -> None:
    program, read, params = prepared(f"{UNTIL} {body} od", observable, p=0.4, t=0.3)
    engine = BranchingEngine(program)
    found = engine.analyze(params, read, ("p",))
    assert found.outside_probability > 0
    assert 0 < found.error_bound < bound
    assert abs(engine.values([params], [read])[0, 0] - value) <= found.error_bound


def test_the_bound_holds_where_much_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.pure.frontier.LEAST_MASS", 1e-3)
    monkeypatch.setattr("qdiff.sim.pure.frontier.LEAST_MASS_SQUARED", 1e-3)
    program, growing, params = prepared(f"{UNTIL} c++ od", "c", p=0.4, t=0.3)
    engine = BranchingEngine(program)
    off = abs(engine.values([params], [growing])[0, 0] - 1.5)
    assert 1e-4 < off <= engine.analyze(params, growing, ("p",)).error_bound < 0.1
    program, plain, params = prepared(
        "qubit: q para: t Ry(t)[q]; while M[q] = 1 do q := |0>; Ry(t)[q]; Rx(t/5)[q] od", "Z[q]", t=1.1
    )
    engine = BranchingEngine(program)
    _, gradient = engine.gradients([params], [plain], ("t",))
    exact = HybridEngine(program).gradients([params], [plain], ("t",))[1]
    bound = engine.analyze(params, plain, ("t",)).grad_error_bound["t"]
    assert 0 < abs(gradient - exact)[0, 0, 0] <= bound < 1.0


def test_derivatives_of_what_is_repeated_are_bounded_too() -> None:
    program, observable, params = prepared(f"{UNTIL} Ry(t)[q] od", "Z[q]", p=0.4, t=0.3)
    engine = BranchingEngine(program)
    found = engine.analyze(params, observable, program.trainable)
    exact = HybridEngine(program).gradients([params], [observable], program.trainable)[1][0, 0]
    mine = engine.gradients([params], [observable], program.trainable)[1][0, 0]
    for name, one, other in zip(program.trainable, mine, exact, strict=True):
        assert abs(one - other) <= found.grad_error_bound[name] < 1e-9


@pytest.mark.parametrize(
    ("text", "observable", "reason"),
    [
        (
            f"{UNTIL} c := 1 - 2*c od",
            "c",
            "the observable grows with a counter on runs that were not followed; no bound is proved of what "
            "a pass may add to the counters",
        ),
        (
            "qubit: q[7] para: p, t count: c while not flip(p) do c++ od",
            "c",
            "the observable grows with a counter on runs that were not followed; no uniform bound is proved: "
            "more than 6 qubits",
        ),
        (
            "qubit: q[7] para: p, t count: c while not flip(p) do Ry(t)[q[0]] od",
            "Z[q[0]]",
            "nothing is proved of some derivatives behind it: no uniform bound is proved: more than 6 qubits",
        ),
        (
            f"{UNTIL} c++; Ry(t/c)[q] od",
            "Z[q]",
            "nothing is proved of some derivatives behind it: an angle or a probability depends on counters",
        ),
        (
            f"{UNTIL} c++ od",
            "c",
            "nothing is proved of some derivatives behind it: the observable grows with a counter there",
        ),
    ],
)
def test_what_is_not_proved_is_said(text: str, observable: str, reason: str) -> None:
    program, read, params = prepared(text, observable, p=0.7, t=0.3)
    found = BranchingEngine(program).analyze(params, read, ("p", "t"))
    assert reason in found.reason
    assert math.inf in found.grad_error_bound.values()
    assert (found.error_bound == math.inf) == ("runs that were not followed" in reason)


def test_results_do_not_depend_on_what_was_computed_before() -> None:
    program, observable, params = prepared(
        "qubit: q para: p, t count: c while not flip(p) do c++; Rx(t*c)[q] od", "c + Z[q]", p=0.05, t=0.4
    )
    used = BranchingEngine(program)
    used.gradients([params], [observable], ("p", "t"))
    row = resolve(program, {"p": 0.6, "t": 0.4})
    again = used.gradients([row], [observable], ("p", "t"))
    fresh = BranchingEngine(program).gradients([row], [observable], ("p", "t"))
    assert np.array_equal(again[0], fresh[0])
    assert np.array_equal(again[1], fresh[1])


def test_shapes_of_no_directions_and_no_parameters() -> None:
    program, observable, params = prepared(MIXED, "Z[q]", t=0.7, u=1.2, p=0.6)
    engine = BranchingEngine(program)
    found = engine.curvature(params, [observable], program.trainable, np.zeros((0, 3)))
    assert (found.values.shape, found.gradients.shape, found.products.shape) == ((1,), (1, 3), (1, 0, 3))
    assert engine.gradients([params], [observable], ())[1].shape == (1, 1, 0)
    values, along = engine.tangents(params, [observable], program.trainable, np.eye(3))
    assert (values.shape, along.shape) == ((1,), (1, 3))
    assert_close(along[0], found.gradients[0], 1e-14)


# --- Channels -----------------------------------------------------------------------------------------


def test_bounds_with_noise_and_a_drift_where_much_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.pure.frontier.LEAST_MASS", 1e-3)
    monkeypatch.setattr("qdiff.sim.pure.frontier.LEAST_MASS_SQUARED", 1e-3)
    body = "depolarize(p)[q]; dephase(p/2)[q]; D(t)[q]"
    text = f"qubit: q para: p, t gate D(a)[x] = exp(-i (a*X + 0.3*Z)) X[q]; while M[q] = 1 do {body} od"
    program, observable, params = prepared(f"{text}; {body}", "Z[q]", p=0.6, t=0.8)
    engine = BranchingEngine(program)
    found = engine.analyze(params, observable, program.trainable)
    exact = HybridEngine(program).gradients([params], [observable], program.trainable)
    mine = engine.gradients([params], [observable], program.trainable)
    assert 0 < abs(mine[0] - exact[0])[0, 0] <= found.error_bound < 0.1
    for name, one, other in zip(program.trainable, mine[1][0, 0], exact[1][0, 0], strict=True):
        assert 0 < abs(one - other) <= found.grad_error_bound[name] < 1.0


@pytest.mark.parametrize(
    ("text", "expected", "slope"),
    [
        ("H[q]; dephase(p)[q]", 0.4, -2),
        ("H[q]; depolarize(p)[q]", 0.7, -1),
        ("H[q]; X[r]; CNOT[q, r]; depolarize(p)[r]; CNOT[q, r]", 0.7, -1),
    ],
)
def test_mixtures(text: str, expected: float, slope: float) -> None:
    """X[q]; noise on r that is entangled with q for a while becomes noise on q."""
    value, slopes = solved(f"qubit: q, r para: p {text}", "X[q]", p=0.3)
    assert_close(value, expected)
    assert_close(slopes, {"p": slope})


def test_forgotten_noise_merges() -> None:
    """Twenty channels on a qubit that is left with its populations make a chain, not a tree."""
    noise = "; ".join(["depolarize(p)[q]; dephase(p)[q]"] * 20)
    frontier = follow(f"qubit: q, r para: p, t Ry(t)[r]; {noise}", "Z[r]", p=0.3, t=0.7)
    assert len(frontier.nodes) < 400


@pytest.mark.parametrize("name", ["dephase", "depolarize"])
def test_the_message_names_the_channel(name: str) -> None:
    with pytest.raises(EvaluationError, match=rf"the probability `p` of `{name}` is 2.0, outside \[0, 1\]\."):
        solved(f"qubit: q para: p {name}(p)[q]", "Z[q]", p=2)


def test_damping_is_for_another_engine() -> None:
    with pytest.raises(EvaluationError) as caught:
        BranchingEngine(parse("qubit: q\ndamp(0.1)[q]"))
    assert str(caught.value) == (
        "The branching engine cannot follow the channel `damp` (line 2), which is no mixture of gates and "
        "resets. The hybrid engine runs all programs."
    )
    with pytest.raises(QdiffError, match=r"The channel `damp` is no mixture of gates and resets\."):
        lower(parse("qubit: q damp(0.1)[q]"), unravel=True)
