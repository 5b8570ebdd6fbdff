"""The check of derivatives: what it compares, and that it catches engines that are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from exact_reference import ReferenceEngine
from helpers import assert_close
from hypothesis import given, settings
from strategies import cases

import qdiff as qd
from qdiff.errors import EvaluationError, ParameterError, QdiffError
from qdiff.gradient_check import differences, extrapolated
from qdiff.lang.observable import Observable
from qdiff.sim.exact import Floats, Parameters

TEXT = (
    "qubit: q, r para: t, w[2], n count: c Ry(t)[q]; CNOT[q, r]; Rx(w[0]*w[1])[r]; "
    "while M[q] = 1 do c++; q := |0>; Ry(t/2)[q] od; if c < n then H[r] fi"
)
AT = {"t": 1.1, "w": [0.3, 0.8], "n": 2}


def objective(engine: type[ReferenceEngine] = ReferenceEngine, text: str = TEXT) -> qd.Objective:
    program = qd.parse(text)
    return qd.expectation(program, "c + Z[r]", engine=engine(program))


def checked(*args: object, **options: object) -> qd.GradientCheck:
    """Engines and differences only."""
    return qd.check_grad(*args, rules=(), **options)


def test_what_is_right_is_found_right() -> None:
    report = checked(objective(), AT)
    assert report.ok
    assert [line.name for line in report.lines] == ["value", "t", "w[0]", "w[1]"]
    for line, slope in zip(report.lines[1:], objective().grad(AT), strict=True):
        assert line.ok
        assert_close(line.by_engine, {"reference": slope})
        assert abs(line.difference - slope) <= line.uncertainty < 1e-7
    assert report.notes == ("n: left out, it occurs in a comparison, where the objective may jump.",)


def test_the_report_is_a_table() -> None:
    lines = str(checked(objective(), AT, wrt=["w[1]", "n"])).splitlines()
    assert lines[0].split() == ["reference", "differences", "±"]
    assert lines[1].split()[0] == "value"
    assert lines[2].split()[0] == "w[1]"
    assert lines[3:] == [
        "note: n: left out, it occurs in a comparison, where the objective may jump.",
        "all agree",
    ]


@settings(max_examples=10)
@given(cases(unbounded=False))
def test_right_engines_pass(case: tuple[qd.Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    f = qd.expectation(program, observable, engine=ReferenceEngine(program))
    report = checked(f, params)
    assert report.ok, str(report)


# --- Broken engines -------------------------------------------------------------------------------


class WrongSlope(ReferenceEngine):
    """Broken: the derivative by `t` is off by 1e-6, the value is right."""

    name = "wrong slope"

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        values, slopes = super().gradients(rows, observables, wrt)
        if "t" in wrt:
            slopes[:, :, list(wrt).index("t")] += 1e-6
        return values, slopes


class WrongValue(ReferenceEngine):
    """Broken: value and derivatives are those of an objective a little larger."""

    name = "wrong value"

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        values, slopes = super().gradients(rows, observables, wrt)
        return values * (1 + 1e-6), slopes * (1 + 1e-6)


class NotANumber(ReferenceEngine):
    """Broken: a derivative is NaN."""

    name = "not a number"

    def gradients(
        self, rows: Sequence[Parameters], observables: Sequence[Observable], wrt: Sequence[str]
    ) -> tuple[Floats, Floats]:
        values, slopes = super().gradients(rows, observables, wrt)
        return values, slopes * np.nan


@pytest.mark.parametrize("broken", [WrongSlope, NotANumber])
def test_differences_catch_a_wrong_derivative(broken: type[ReferenceEngine]) -> None:
    report = checked(objective(broken), AT)
    assert not report.ok
    bad = [line for line in report.lines if not line.ok]
    assert bad[0].name == "t"
    assert bad[0].remark.startswith(
        "differences disagree by" if broken is WrongSlope else "engines differ by"
    )
    assert str(report).endswith(
        "DISAGREEMENT in t" if broken is WrongSlope else "DISAGREEMENT in t, w[0], w[1]"
    )
    assert bad[0].remark in str(report)


@pytest.mark.parametrize("broken", [WrongSlope, WrongValue, NotANumber])
def test_engines_catch_one_another(broken: type[ReferenceEngine]) -> None:
    f = objective()
    report = checked(f, AT, engines=[f.engines.chosen, broken(f.program)])
    assert not report.ok
    assert list(report.lines[0].by_engine) == ["reference", broken.name]
    assert report.lines[0].ok == (broken is not WrongValue)
    assert not report.lines[1].ok
    assert "engines differ by" in report.lines[1].remark


def test_an_engine_that_gives_no_answer_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(ReferenceEngine):
        name = "branching"

        def gradients(self, *_: object) -> tuple[Floats, Floats]:  # type: ignore[override]
            raise EvaluationError("too many branches")

    monkeypatch.setattr(
        "qdiff.sim.engines._make",
        lambda name, program, memory, *options: (Refusing if name == "branching" else ReferenceEngine)(
            program
        ),
    )
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]; if M[q] = 1 then X[q] fi; Ry(t)[q]"), "Z[q]")
    report = checked(f, [0.4])
    assert report.ok
    assert report.notes == ("branching: no answer. too many branches",)
    with pytest.raises(EvaluationError, match="too many branches"):
        checked(f, [0.4], engines=["branching"])


def test_engines_that_would_work_too_long_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "qdiff.sim.engines._make", lambda name, program, memory, *options: ReferenceEngine(program)
    )
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]; while M[q] = 1 do Ry(t)[q] od"), "1")
    [note] = checked(f, [1.0]).notes
    assert note.startswith("engine left out, branching: work unknown")


def test_engines_that_would_take_long_are_noted_and_answer_if_they_are_named() -> None:
    gates = "; ".join(f"Ry(t)[q[{i}]]; CNOT[q[{i}], q[{i + 1}]]" for i in range(10))
    text = f"qubit: q[11] para: t {gates}; if M[q[8]] = 1 then X[q[0]] fi; {gates}; {gates}"
    f = qd.expectation(qd.parse(text), "Z[q[0]]")
    report = checked(f, [0.4])
    assert report.ok
    assert list(report.lines[0].by_engine) == ["branching"]
    [left_out] = [note for note in report.notes if "hybrid" in note]
    assert left_out.startswith("engine left out, hybrid: about ")
    assert left_out.endswith("; that would take long, it answers if it is named: engines=[…].")
    assert not any("take long" in note for note in checked(f, [0.4], engines=["branching"]).notes)


# --- Differences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "slope"),
    [(math.exp, math.exp(0.7)), (lambda x: math.sin(20 * x), 20 * math.cos(14)), (lambda x: x**3, 1.47)],
)
def test_differences_are_within_their_uncertainty(function: Callable[[float], float], slope: float) -> None:
    steps = np.array([0.05 / 2**level for level in range(6)])
    ahead, behind = (np.array([function(0.7 + sign * h) for h in steps]) for sign in (1, -1))
    found, uncertainty = extrapolated(ahead, behind, steps)
    assert abs(found - slope) <= uncertainty < 1e-4


def test_a_kink_is_uncertain() -> None:
    steps = np.array([0.05 / 2**level for level in range(6)])
    ahead, behind = (np.array([abs(1e-4 + sign * h) for h in steps]) for sign in (1, -1))
    _, uncertainty = extrapolated(ahead, behind, steps)
    assert uncertainty > 1e-4


def test_near_the_end_of_a_domain_steps_are_smaller() -> None:
    f = objective(text="qubit: q, r para: p count: c if flip(p) then c := 3 fi; if flip(p^2) then c++ fi")
    found = differences(f, {"p": 0.99}, ["p"])["p"]
    assert found is not None
    assert abs(found[0] - (3 + 2 * 0.99)) <= found[1] < 1e-6
    assert differences(f, {"p": 1.0}, ["p"]) == {"p": None}
    line = checked(f, {"p": 1.0}).lines[1]
    assert (line.ok, line.remark) == (True, "no differences: the objective has no value nearby")
    assert math.isnan(line.difference)


def test_all_differences_come_from_one_batch_unless_a_value_is_missing() -> None:
    text = "qubit: q, r para: p, t count: c Ry(t)[q]; if flip(p) then X[q] fi"
    asked: list[int] = []

    class Counting(ReferenceEngine):
        def values(self, rows: Sequence[Parameters], observables: Sequence[Observable]) -> Floats:
            asked.append(len(rows))
            return super().values(rows, observables)

    f = objective(Counting, text=text)
    inside = differences(f, {"p": 0.5, "t": 0.3}, ["p", "t"])
    assert asked == [24]
    asked.clear()
    at_the_edge = differences(f, {"p": 1.0, "t": 0.3}, ["p", "t"])
    assert asked == [24, 12, 12, 12, 12]
    assert at_the_edge["p"] is None
    assert inside["t"] is not None
    assert at_the_edge["t"] is not None


# --- What it is asked -----------------------------------------------------------------------------


def test_derived_objectives_are_checked_too() -> None:
    f = objective()
    assert checked(f.variance, AT).ok
    assert not checked(objective(WrongSlope).given_termination, AT).ok


def test_without_parameters() -> None:
    report = checked(objective(text="qubit: q, r count: c H[q]"))
    assert [line.name for line in report.lines] == ["value"]
    assert report.ok


def test_what_does_not_fit() -> None:
    f = objective()
    with pytest.raises(
        ParameterError, match=r"takes an objective with one value, such as f\[0\]; got Vector"
    ):
        checked(qd.expectation(f.program, ["c"]), AT)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no value for n"):
        checked(f, {"t": 1, "w": [0, 0]})
    with pytest.raises(ParameterError, match="wrt: 's' is not a parameter"):
        checked(f, AT, wrt="s")
    with pytest.raises(QdiffError, match="There is no engine `nobody`"):
        checked(f, AT, engines=["nobody"])


# --- Rules ----------------------------------------------------------------------------------------

RULES_TEXT = (
    "qubit: q, r para: t, p, u count: c Ry(t)[q]; "
    "while M[q] = 1 do c++; C_Rx(t*t)[q][r]; q := |0>; if flip(p) then Ry(-t)[q] else Ry(0.7)[q] fi od; "
    "damp(p)[r]"
)
RULES_AT = {"t": 0.6, "p": 0.3, "u": 0.1}


def test_rules_are_held_against_engines() -> None:
    f = qd.expectation(qd.parse(RULES_TEXT), "c + Z[r]")
    for objective in (f, f.variance, f.given_termination):
        report = qd.check_grad(objective, RULES_AT, ["t", "p", "u"])
        assert report.ok, str(report)
        for line in report.lines[1:]:
            assert list(line.by_engine) == ["hybrid", "rule shift", "rule shift-paper", "rule commutator"]
            assert_close(list(line.by_engine.values()), [line.by_engine["hybrid"]] * 4, tolerance=1e-9)
        assert list(report.lines[0].by_engine) == ["hybrid"]
    (hadamard,) = report.notes
    assert hadamard.startswith(
        "rule hadamard: left out. <text>:1:69: the rule `hadamard` does not apply to `C_Rx`"
    )
    table = str(report).splitlines()
    rules = ["rule", "shift", "rule", "shift-paper", "rule", "commutator"]
    assert table[0].split() == ["hybrid", *rules, "differences", "±"]


def test_rules_that_would_take_long_are_noted() -> None:
    loop = "; ".join(f"Ry(t)[q[{i}]]; CNOT[q[{i}], q[{i + 1}]]" for i in range(5))
    program = qd.parse(f"qubit: q[6] para: t {loop}; while M[q[0]] = 1 do {loop} od")
    report = qd.check_grad(qd.expectation(program, "Z[q[5]]"), {"t": 0.6})
    assert report.ok
    (note,) = [note for note in report.notes if note.startswith("rule commutator")]
    assert note.startswith("rule commutator: no answer. It would take about ")
    assert note.endswith(" operations, more than 1e+09; it answers if it is named: rules=[…].")


def test_rules_by_name() -> None:
    f = qd.expectation(qd.parse("qubit: q, r para: t Ry(t)[q]; Rzz(t)[q, r]; H[q]"), "X[q]")
    report = qd.check_grad(f, {"t": 0.6}, rules=["commutator", "hadamard", "shift", "two-term"])
    assert report.ok
    assert list(report.lines[1].by_engine)[-3:] == ["rule commutator", "rule hadamard", "rule shift"]
    assert report.notes == ("rule two-term: left out, it is shift at every site of this program.",)
    with pytest.raises(QdiffError, match="There is no rule 'shft'"):
        qd.check_grad(f, {"t": 0.6}, rules=["shft"])


def test_a_rule_without_an_answer_is_noted() -> None:
    program = qd.parse("qubit: q[12] para: t Ry(t)[q[0]]; H[q[11]]")
    f = qd.expectation(program, "Z[q[0]]", max_memory=5 << 16)
    report = qd.check_grad(f, {"t": 0.6}, rules=["commutator"])
    assert any(
        note.startswith("rule commutator: no answer. No exact engine has room") for note in report.notes
    )
    assert not report.ok
    assert str(report).endswith("\nNO ANSWER by the rules that were asked for: commutator")


def test_a_rule_that_lists_no_terms_does_not_agree() -> None:
    f = qd.expectation(qd.parse("qubit: q para: t Ry(t)[q]"), "Z[q]")
    report = qd.check_grad(f, {"t": 0.6}, rules="riesz")
    assert not report.ok
    assert str(report).endswith("\nNO ANSWER by the rules that were asked for: riesz")
    assert qd.check_grad(f, {"t": 0.6}, rules=["riesz", "shift"]).ok
    assert qd.check_grad(f, {"t": 0.6}, rules=()).ok


def test_a_wrong_engine_is_caught_by_rules() -> None:
    program = qd.parse(RULES_TEXT)
    f = qd.expectation(program, "c + Z[r]", engine=WrongSlope(program))
    report = qd.check_grad(f, RULES_AT)
    by_name = {line.name: line for line in report.lines}
    assert by_name["t"].remark.startswith("rules and engines differ by 1e-06")
    assert by_name["p"].ok
