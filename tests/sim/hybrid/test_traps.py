"""Loops that do not end on a part of the space: trapped mass counts 0, and derivatives end where it jumps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import assert_close
from sim.hybrid.agreement import check_curvature, engine_for, solved, value

from qdiff.errors import EvaluationError
from qdiff.lang.text.observable_text import parse_observable
from qdiff.sim.analysis import Analysis
from qdiff.sim.hybrid.coordinates import decode, encode, identity
from qdiff.sim.hybrid.traps import leaving_spaces

ONE = parse_observable("1")

WAYS: list[dict[str, object]] = [
    {},
    {"qdiff.sim.hybrid.linear.DENSE_UP_TO": 0},
    {"qdiff.sim.hybrid.linear.DENSE_UP_TO": 0, "qdiff.sim.hybrid.steps.LARGEST_DIMENSION": 0},
]


@pytest.fixture(params=WAYS, ids=["dense", "sparse", "Krylov"])
def _solving(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for target, setting in request.param.items():
        monkeypatch.setattr(target, setting)


def analysis(text: str, observable: str = "1", **params: float) -> Analysis:
    engine = engine_for(text)
    return engine.analyze(params, parse_observable(observable), engine.program.trainable)


CAUGHT = "qubit: q, r para: t, u Ry(t)[q]; Ry(u)[r]; if M[q] = 1 then while M[q] = 1 do Rz(u)[q] od fi"


@pytest.mark.usefixtures("_solving")
def test_mass_in_a_trap_counts_zero() -> None:
    t, u = 0.9, 0.4
    found, gradient = solved(CAUGHT, "Z[r]", t=t, u=u)
    assert_close(found, math.cos(t / 2) ** 2 * math.cos(u))
    assert_close(gradient, {"t": -math.sin(t) / 2 * math.cos(u), "u": -(math.cos(t / 2) ** 2) * math.sin(u)})
    check_curvature(engine_for(CAUGHT), [parse_observable("Z[r]"), ONE], {"t": t, "u": u})


@pytest.mark.usefixtures("_solving")
def test_the_analysis_reports_what_never_ends() -> None:
    t = 0.9
    found = analysis(CAUGHT, t=t, u=0.4)
    assert_close(found.trapped_probability, math.sin(t / 2) ** 2)
    assert_close(found.termination_probability, math.cos(t / 2) ** 2)
    assert found.outside_probability == 0.0
    (loop,) = found.expected_visits
    assert (loop.evaluations, loop.passes) == (math.inf, math.inf)
    assert_close(found.occurrences["t"], 1.0)
    assert found.occurrences["u"] == math.inf
    assert f"never ends               {found.trapped_probability:.12g} (counts 0)" in str(found)


def test_only_what_is_repeated_for_ever_is_infinite() -> None:
    text = """
        qubit: q, r para: t
        Ry(t)[q]; H[r];
        while M[q] = 1 do
            while M[r] = 1 do H[r] od
        od
    """
    found = analysis(text, t=0.9)
    outer, inner = found.expected_visits
    caught = math.sin(0.45) ** 2
    assert (outer.evaluations, outer.passes) == (math.inf, math.inf)
    assert inner.evaluations == math.inf  # the inner guard is read in every pass of the outer one …
    assert_close(inner.passes, caught * 1.0)  # … but r is 0 for good after a few of its own
    assert_close(found.trapped_probability, caught)


def test_a_loop_nobody_is_caught_in_has_finite_visits() -> None:
    found = analysis("qubit: q para: t Rz(t)[q]; while M[q] = 1 do skip od", t=0.3)
    assert found.trapped_probability == 0.0
    (loop,) = found.expected_visits
    assert_close((loop.evaluations, loop.passes), (1.0, 0.0))
    assert found.error_bound < 1e-12


@pytest.mark.usefixtures("_solving")
def test_a_trap_that_is_not_reached_does_no_harm() -> None:
    found, gradient = solved("qubit: q para: t Rz(t)[q]; while M[q] = 1 do skip od", "Z[q]", t=0.3)
    assert_close(found, 1.0)
    assert_close(gradient, {"t": 0.0})


@pytest.mark.usefixtures("_solving")
def test_half_of_an_entangled_pair_is_caught() -> None:
    """Only the singlet is invariant under the same rotation of both, whatever the angle."""
    text = """
        qubit: a, b, g para: t, u
        Ry(u)[a]; X[b]; CNOT[a, b];
        X[g];
        while M[g] = 1 do
            Rx(t)[a]; Rx(t)[b]; Rz(0.7)[a]; Rz(0.7)[b];
            g := |0>; CCNOT[a, b, g]; X[g]
        od
    """
    # The state is cos(u/2)|a=0, b=1> + sin(u/2)|10>; the singlet part of it is (1 - sin u)/2.
    u = 0.6
    found = analysis(text, u=u, t=0.5)
    caught = (1 - math.sin(u)) / 2
    assert_close(found.trapped_probability, caught)
    ended, gradient = solved(text, "1", u=u, t=0.5)
    assert_close(ended, 1 - caught)
    assert_close(gradient["u"], math.cos(u) / 2)
    assert_close(gradient["t"], 0.0)
    check_curvature(
        engine_for(text), [ONE, parse_observable("P1[a]"), parse_observable("X[a]")], {"u": u, "t": 0.5}
    )


@pytest.mark.usefixtures("_solving")
def test_what_leaves_beside_a_trap_is_solved_as_usual() -> None:
    """Qubit r says whether the loop ends: in one half it is geometric, in the other for ever."""
    text = """
        qubit: q, r para: t, s count: c
        Ry(s)[r]; X[q];
        while M[q] = 1 do c++; C_Ry(t)[r][q] od
    """
    t, s = 1.1, 0.8
    p, ends = math.sin(t / 2) ** 2, math.sin(s / 2) ** 2
    ended, _ = solved(text, "1", t=t, s=s)
    assert_close(ended, ends)
    mean, gradient = solved(text, "c", t=t, s=s)
    assert_close(mean, ends / p)
    assert_close(gradient["s"], math.sin(s) / 2 / p)
    assert_close(gradient["t"], -ends / p**2 * math.sin(t) / 2)
    asked = [parse_observable("c^2"), parse_observable("c*X[q]"), parse_observable("Z[r]")]
    check_curvature(engine_for(text), asked, {"t": t, "s": s})


AT_ZERO = "qubit: q para: t, s Ry(s)[q]; while M[q] = 1 do Ry(t)[q] od"


@pytest.mark.usefixtures("_solving")
def test_a_trap_at_one_angle_only_has_a_value_and_no_derivative() -> None:
    assert_close(value(AT_ZERO, "1", t=0.0, s=0.8), math.cos(0.4) ** 2)
    assert_close(value(AT_ZERO, "1", t=0.1, s=0.8), 1.0)
    with pytest.raises(EvaluationError) as caught:
        solved(AT_ZERO, "1", t=0.0, s=0.8)
    share = math.sin(0.4) ** 2
    assert str(caught.value) == (
        "The derivative does not exist here: at these parameters a part of the states never leaves a loop "
        f"(with probability {share:.3g}; or not within 10¹³ passes), but it does where `t`, `s` differ. "
        "The objective may jump here."
    )
    with pytest.raises(EvaluationError, match="The derivative does not exist here"):
        engine_for(AT_ZERO).curvature({"t": 0.0, "s": 0.8}, [ONE], ["t"], np.ones((1, 1)))


def test_a_trap_at_one_angle_stays_for_the_other_parameters() -> None:
    """∂/∂s is asked for at t = 0, where t stays: the trap is the same nearby."""
    engine = engine_for(AT_ZERO)
    _, gradients = engine.gradients([{"t": 0.0, "s": 0.8}], [ONE], ["s"])
    assert_close(gradients[0, 0, 0], -math.sin(0.8) / 2)
    found = engine.curvature({"t": 0.0, "s": 0.8}, [ONE], ["s"], np.ones((1, 1)))
    assert_close(found.products[0, 0, 0], -math.cos(0.8) / 2)


def test_a_trap_that_only_a_second_derivative_touches() -> None:
    """At s = 0 nothing is caught at first order: f = 1 - O(s²) at t = 0, and 1 elsewhere."""
    engine, row = engine_for(AT_ZERO), {"t": 0.0, "s": 0.0}
    values, gradients = engine.gradients([row], [ONE], ["t", "s"])
    assert_close(values[0, 0], 1.0)
    assert_close(gradients[0, 0], [0.0, 0.0])
    with pytest.raises(EvaluationError, match="The derivative does not exist here"):
        engine.curvature(row, [ONE], ["t", "s"], np.eye(2))


def test_a_flip_may_lead_into_a_trap_at_probability_zero() -> None:
    text = "qubit: q para: p, t if flip(p) then X[q] fi; while M[q] = 1 do Ry(t)[q] od"
    assert_close(value(text, "1", p=0.0, t=0.0), 1.0)
    with pytest.raises(EvaluationError, match="The derivative does not exist here"):
        solved(text, "1", p=0.0, t=0.0)
    # The trap of a loop that changes nothing is there at all parameters.
    _, gradient = solved(text.replace("Ry(t)[q]", "Rz(t)[q]"), "1", p=0.0, t=0.3)
    assert_close(gradient, {"p": -1.0, "t": 0.0})


def test_a_batch_may_have_a_trap_in_some_rows() -> None:
    engine = engine_for(AT_ZERO)
    rows = [{"t": 0.5, "s": 0.8}, {"t": 0.0, "s": 0.8}, {"t": -0.2, "s": 0.3}]
    assert_close(engine.values(rows, [ONE])[:, 0], [1.0, math.cos(0.4) ** 2, 1.0])
    fine = [rows[0], rows[2]]
    _, gradients = engine.gradients(fine, [parse_observable("Z[q]")], ["t", "s"])
    assert_close(gradients, np.zeros((2, 1, 2)))
    with pytest.raises(EvaluationError, match="The derivative does not exist here"):
        engine.gradients(rows, [ONE], ["t"])


@pytest.mark.parametrize(
    "body",
    [
        "while flip(1) do Ry(t)[q] od",
        "while c = 0 do Ry(t)[q] od",
        "X[q]; while M[q] = 1 do Rz(t)[q] od",
        "while c < 2 do if c = 0 then c := 1 else c := 0 fi; Ry(t)[q] od",
        "while flip(1) do while flip(0.5) do Ry(t)[q] od od",
    ],
)
@pytest.mark.usefixtures("_solving")
def test_a_program_that_never_ends_is_worth_zero(body: str) -> None:
    text = f"qubit: q para: t count: c Ry(t)[q]; {body}" if "X[q]" not in body else (
        f"qubit: q para: t count: c {body}"
    )  # fmt: skip
    found, gradient = solved(text, "Z[q] + 2", t=0.3)
    assert_close(found, 0.0)
    assert_close(gradient, {"t": 0.0})
    report = analysis(text, t=0.3)
    assert_close(report.trapped_probability, 1.0)
    assert_close(report.termination_probability, 0.0)
    assert report.expected_visits[0].evaluations == math.inf
    assert report.error_bound <= 1e-9


def test_runs_that_abort_are_not_trapped() -> None:
    text = "qubit: q para: t Ry(t)[q]; if M[q] = 1 then while flip(1) do skip od else abort fi"
    found = analysis(text, t=0.7)
    assert_close(found.trapped_probability, math.sin(0.35) ** 2)
    assert_close(found.termination_probability, 0.0)


def test_counters_in_and_before_a_trap() -> None:
    text = "qubit: q para: t count: c Ry(t)[q]; c++; if M[q] = 1 then while M[q] = 1 do c++ od fi"
    found, gradient = solved(text, "c", t=0.7)  # the caught runs' counter grows for ever, and counts 0
    assert_close(found, math.cos(0.35) ** 2)
    assert_close(gradient["t"], -math.sin(0.7) / 2)


@pytest.mark.parametrize(
    "body",
    [
        "while c >= 0 do Ry(t)[q]; c++ od",
        "c := 1; while c > 0 do if flip(0.5) then c++ else c := c + 2 fi; Ry(t)[q] od",
        "while c < 1 do c := c - 1; Ry(t)[q] od",
    ],
)
def test_counting_for_ever_is_worth_zero(body: str) -> None:
    text = f"qubit: q para: t count: c {body}"
    found, gradient = solved(text, "Z[q] + 2 + c", t=0.3)
    assert (found, gradient) == (0.0, {"t": 0.0})
    report = analysis(text, t=0.3)
    assert_close(report.trapped_probability, 1.0)
    assert (report.termination_probability, report.outside_probability) == (0.0, 0.0)
    assert report.expected_visits[0].evaluations == math.inf
    assert report.occurrences["t"] == math.inf
    assert report.error_bound == 0.0


def test_a_part_may_count_for_ever() -> None:
    text = "qubit: q para: t count: c Ry(t)[q]; if M[q] = 1 then c++; while c > 0 do c++ od fi"
    found, gradient = solved(text, "Z[q] + 2", t=0.7)
    assert_close(found, 3 * math.cos(0.35) ** 2)
    assert_close(gradient["t"], -3 * math.sin(0.7) / 2)
    check_curvature(engine_for(text), [ONE], {"t": 0.7})
    report = analysis(text, t=0.7)
    assert_close(report.trapped_probability, math.sin(0.35) ** 2)
    assert_close(report.termination_probability, math.cos(0.35) ** 2)


def test_counting_for_ever_without_a_proof_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.hybrid.engine.LARGEST_GRAPH", 2048)
    with pytest.raises(EvaluationError) as caught:
        value("qubit: q para: t count: c, k while c * c = k * c do Ry(t)[q]; c++; k++ od", "1", t=0.3)
    assert str(caught.value) == (
        "After following 2048 combinations of loop and counters, runs still go on to others with "
        "probability 1.0e+00, which decreases too slowly. If the program ends at all, estimate from shots: "
        "f.estimate(params, shots=…), --shots on the command line."
    )


# --- Spaces ----------------------------------------------------------------------------------------


def test_leaving_spaces_of_a_channel() -> None:
    """One head, two qubits; the sweep keeps |00> and |01>, moves |10> to |11>, and lets |11> go."""
    move = np.zeros((4, 4))
    move[0, 0] = move[1, 1] = move[3, 2] = 1.0

    def pull_back(y: np.ndarray) -> np.ndarray:
        return encode(move.T @ decode(y, 4) @ move)

    found = leaving_spaces(pull_back, 1, 4, 1)
    assert found.ranks.tolist() == [2]
    assert not found.everything
    np.testing.assert_allclose(found.projectors[0, 0], np.diag([0.0, 0.0, 1.0, 1.0]), atol=1e-14)
    y = np.arange(16.0).reshape(1, 1, 16)
    kept, rest = found.project(y), found.rest(y)
    np.testing.assert_allclose(kept.reshape(4, 4)[2:, 2:], y.reshape(4, 4)[2:, 2:])
    np.testing.assert_allclose(rest.reshape(4, 4)[:2, :2], y.reshape(4, 4)[:2, :2])
    np.testing.assert_allclose(kept + rest, y)  # coherences with the trap are kept
    assert not kept.reshape(4, 4)[:2, :2].any()
    gone = leaving_spaces(lambda y: np.zeros_like(y), 1, 4, 1)
    assert gone.everything
    np.testing.assert_allclose(gone.project(identity(4)[None, None]), identity(4)[None, None])
