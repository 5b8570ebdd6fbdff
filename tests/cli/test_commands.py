"""What check, show, run, value and grad say, to people and as JSON."""

from __future__ import annotations

import math

import mpmath
import pytest
from cli.programs import AT, COUNTING, DOUBLING

from qdiff.lang.load import load
from qdiff.objective import expectation
from qdiff.sampling import sample
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.machine.listing import program_listing
from qdiff.sim.merged.frontier import TooManyStates

VALUES = {"t": 1.4, "w": [0.1, 0.2]}


# --- check --------------------------------------------------------------------------------------


def test_check(done):
    assert done("check", "walk.qprog").out == (
        "walk.qprog: a correct program.\n"
        "  qubits      2: q, r\n"
        "  parameters  3: t, w[0], w[1]\n"
        "  trainable   3: t, w[0], w[1]\n"
        "  counters    1: c\n"
    )
    assert done("check", "walk.qprog", "--json").data == {
        "file": "walk.qprog",
        "ok": True,
        "qubits": ["q", "r"],
        "parameters": ["t", "w[0]", "w[1]"],
        "trainable": ["t", "w[0]", "w[1]"],
        "counters": ["c"],
        "warnings": [],
    }


def test_check_of_a_program_that_declares_little_or_much(done, folder):
    (folder / "little.qprog").write_text("qubit: q\nH[q]")
    assert done("check", "little.qprog").out.splitlines()[1:] == [
        "  qubits      1: q",
        "  parameters  none",
        "  trainable   none",
        "  counters    none",
    ]
    (folder / "much.qprog").write_text("qubit: q[60]\npara: n\nif 1 < n then H[q[0]] fi")
    names = ", ".join(f"q[{i}]" for i in range(12))
    assert f"  qubits      60: {names} and 48 more\n" in done("check", "much.qprog").out
    data = done("check", "much.qprog", "--json").data
    assert len(data["qubits"]) == 60
    assert (data["parameters"], data["trainable"]) == (["n"], [])


def test_check_warns(done, folder):
    (folder / "mix.qprog").write_text("qubit: q\nif M[q] = 1 or flip(1) and flip(0) then skip fi")
    text = done("check", "mix.qprog").out
    warning = "mix.qprog:2:4: `and` binds tighter than `or`. Brackets would make it plain."
    assert f"\nwarning: {warning}\n    if M[q] = 1 or flip(1)" in text
    [found] = done("check", "mix.qprog", "--json").data["warnings"]
    assert found.startswith(warning)


# --- show ---------------------------------------------------------------------------------------


def test_show(done, folder):
    text = str(load("walk.qprog"))
    assert done("show", "walk.qprog").out == text
    assert done("show", "walk.qprog", "--format", "text").out == text
    (folder / "again.qprog").write_text(text)
    assert done("show", "again.qprog").out == text
    assert done("show", "walk.qprog", "--json").data == {"format": "text", "text": text}


def test_show_in_a_format_that_nobody_writes(refused):
    message = refused("show", "walk.qprog", "--format", "txt")
    assert message == "There is no writer `txt`. Known: plan, qasm3, qiskit, text. Did you mean `text`?"


def test_show_a_plan(done):
    plan = program_listing(load("walk.qprog"))
    assert done("show", "walk.qprog", "--format", "plan").out == str(plan)
    data = done("show", "walk.qprog", "--format", "plan", "--json").data
    assert data["format"] == "plan"
    assert data["qubits"] == ["q", "r"]
    assert [line["operation"] for line in data["lines"]] == [line.operation for line in plan.lines]
    assert data["totals"] == plan.totals


# --- run ----------------------------------------------------------------------------------------


def test_run(done):
    samples = sample(load("walk.qprog"), VALUES, shots=200, seed=7)
    ended = ~samples.aborted_mask
    data = done("run", "walk.qprog", *AT, "--shots", "200", "--seed", "7", "--json").data
    counter = data["counters"]["c"]
    assert (data["shots"], data["seed"], data["qubits"]) == (200, 7, ["q", "r"])
    assert data["counts"] == samples.counts
    assert list(data["counts"]) == sorted(data["counts"])
    assert (data["aborted"], data["cut"]) == (samples.aborted, 0)
    assert 0 < data["aborted"] < 200
    assert counter["mean"] == pytest.approx(samples.counters["c"][ended].mean())
    assert sum(counter["values"].values()) == 200 - samples.aborted
    assert list(counter["values"]) == sorted(counter["values"])


def test_run_on_a_backend(done, refused):
    words = ("run", "turn.qprog", "-p", "t=1", "--shots", "50", "--seed", "3", "--json")
    assert done(*words, "--backend", "trajectory").data == done(*words).data
    assert refused(*words, "--backend", "quantum").startswith("There is no backend `quantum`.")
    assert done(*words, "--threads", "1").data == done(*words).data
    assert refused(*words, "--threads", "0").startswith("The number of threads is an integer from 1 to the ")


def test_run_merged(done, monkeypatch):
    words = ("run", "walk.qprog", *AT, "--seed", "3", "--backend", "merged", "--shots")
    many = done(*words, "1000000000", "--json").data
    assert sum(many["counts"].values()) == 10**9 - many["aborted"]
    assert sum(many["counters"]["c"]["values"].values()) == 10**9 - many["aborted"]
    assert "note" not in many
    monkeypatch.setattr("qdiff.sim.merged.shares.shared", too_many_states)
    assert done(*words, "9", "--json").data["note"] == "run as trajectories, merging does not pay: by hand"
    assert "  run as trajectories, merging does not pay: by hand" in done(*words, "9").out.splitlines()


def test_more_shots_than_fit(refused):
    message = refused("run", "turn.qprog", "-p", "t=1", "--shots", "1000000000000")
    assert message.startswith("The outcomes of 1000000000000 shots need ")
    assert 'Use fewer shots, or backend="merged" (`--backend merged`), which counts equal ' in message


def test_the_note_of_an_estimate(done, monkeypatch):
    words = ("value", "walk.qprog", *AT, "-O", "c", "--seed", "3", "--backend", "merged", "--shots", "9")
    assert "note" not in done(*words, "--json").data
    monkeypatch.setattr("qdiff.sim.merged.shares.shared", too_many_states)
    note = "run as trajectories, merging does not pay: by hand"
    assert done(*words, "--json").data["note"] == note
    assert note in done(*words).out


def too_many_states(*_):
    raise TooManyStates("by hand")


def test_run_as_text(done, folder):
    (folder / "step.qprog").write_text(
        "qubit: q, r\ncount: c, wide\n"
        "if flip(1/4) then abort fi; if flip(2/3) then X[r]; c := 2 fi;\n"
        "while{60} flip(9/10) do wide++ od"
    )
    words = ("run", "step.qprog", "--shots", "300", "--seed", "5")
    data, lines = done(*words, "--json").data, done(*words).out.splitlines()
    assert lines[:3] == ["300 shots, seed 5", f"  {data['aborted']} aborted", "counts (r, q)"]
    [often, rare] = sorted(data["counts"].items(), key=lambda pair: -pair[1])
    assert lines[3] == f"  {often[0]}  {often[1]}  {often[1] / 300:.4f}"
    assert lines[4] == f"  {rare[0]}  {rare[1]:>{len(str(often[1]))}}  {rare[1] / 300:.4f}"
    assert (often[0], rare[0]) == ("10", "00")
    mean = 2 * often[1] / (often[1] + rare[1])
    assert lines[5] == "counters where a run ended"
    assert lines[6] == f"  c     mean {mean:.6g}   0: {rare[1]}, 2: {often[1]}"
    wide = data["counters"]["wide"]
    values = list(map(int, wide["values"]))
    assert values == sorted(values)
    assert lines[7] == (
        f"  wide  mean {wide['mean']:.6g}   from {values[0]} to {values[-1]}, {len(values)} values"
    )
    assert len(lines) == 8


def test_run_shows_the_most_frequent_of_many_outcomes(done, folder):
    gates = "; ".join(f"Ry(1.4)[q[{i}]]" for i in range(7))
    (folder / "many.qprog").write_text(f"qubit: q[7]\n{gates}")
    words = ("run", "many.qprog", "--shots", "300", "--seed", "1")
    counts, lines = done(*words, "--json").data["counts"], done(*words).out.splitlines()
    rows = [line.split() for line in lines[2:-1]]
    assert len(rows) == 64
    assert [int(row[1]) for row in rows] == sorted(counts.values(), reverse=True)[:64]
    assert all(counts[row[0]] == int(row[1]) for row in rows)
    assert lines[-1] == f"  and {len(counts) - 64} more, all with --json"


def test_run_where_no_run_ends(done, folder):
    (folder / "lost.qprog").write_text("qubit: q\ncount: c\nabort")
    words = ("run", "lost.qprog", "--shots", "4", "--seed", "1")
    assert done(*words).out == "4 shots, seed 1\n  4 aborted\n"
    data = done(*words, "--json").data
    assert (data["counts"], data["counters"]) == ({}, {"c": {"mean": None, "values": {}}})


def test_run_says_what_was_cut(done, folder, monkeypatch):
    monkeypatch.setattr(
        "qdiff.sampling.backend_on_threads", lambda backend, threads: TrajectoryBackend(step_limit=50)
    )
    (folder / "loop.qprog").write_text("qubit: q\nH[q]; while M[q] = 1 do skip od")
    words = ("run", "loop.qprog", "--shots", "40", "--seed", "2")
    data = done(*words, "--json").data
    assert 0 < data["cut"] < 40
    assert data["counts"] == {"0": 40 - data["cut"]}
    assert done(*words).out.splitlines()[1] == (
        f"  {data['cut']} cut at the step limit: what they would have given is unknown"
    )


def test_run_draws_and_reports_a_seed(done):
    words = ("run", "turn.qprog", "-p", "t=1", "--json")
    first, second = done(*words).data, done(*words).data
    assert first["shots"] == 1000
    assert first["seed"] != second["seed"]
    assert done(*words, "--seed", str(first["seed"])).data == first


# --- value --------------------------------------------------------------------------------------


def test_value(done):
    data = done("value", "turn.qprog", "-O", "Z[q]", "-p", "t=pi/3", "--json").data
    assert set(data) == {"value", "error_bound", "termination_probability"}
    exact = mpmath.cos(mpmath.mpf(math.pi / 3))  # of the float, not of π/3
    assert abs(data["value"] - exact) <= data["error_bound"] < 1e-12
    assert data["termination_probability"] == pytest.approx(1)


def test_value_as_text(done):
    objective = expectation(load("walk.qprog"), "c * P1[r]")
    analysis = objective.analyze(VALUES)
    assert done("value", "walk.qprog", "-O", "c * P1[r]", *AT).out == (
        f"value                    {objective(VALUES)!r}\n"
        f"error bound              {analysis.error_bound:.2g}\n"
        f"termination probability  {analysis.termination_probability:.12g}\n"
    )


def test_a_bound_that_is_not_proved_is_null(done, folder):
    (folder / "doubling.qprog").write_text(DOUBLING)
    words = ("value", "doubling.qprog", "-O", "c", "-p", "t=1")
    analysis = expectation(load("doubling.qprog"), "c").analyze({"t": 1.0})
    data = done(*words, "--json").data
    assert analysis.error_bound == math.inf
    x = math.sin(0.5) ** 2  # c = 2^k - 1 after k passes
    assert data["value"] == pytest.approx((1 - x) / (1 - 2 * x) - 1, abs=1e-9)
    assert (data["error_bound"], data["reason"]) == (None, analysis.reason)
    assert f"error bound              unknown: {analysis.reason}\n" in done(*words).out
    words = ("grad", *words[1:])
    data = done(*words, "--json").data
    assert (data["grad_error_bound"], data["reason"]) == ({"t": None}, analysis.reason)
    lines = done(*words).out.splitlines()
    assert lines[0].endswith("   error bound unknown")
    assert lines[1:] == [f"unknown: {analysis.reason}"]


def test_runs_that_never_end_are_said(done, folder):
    (folder / "trap.qprog").write_text("qubit: q\npara: t\nRy(t)[q]; while M[q] = 1 do skip od")
    words = ("value", "trap.qprog", "-O", "1", "-p", "t=pi/2")
    data = done(*words, "--json").data
    assert data["value"] == pytest.approx(0.5)
    assert data["trapped_probability"] == pytest.approx(0.5)
    assert done(*words).out.splitlines()[-1] == "never ends               0.5 (counts 0)"


def test_value_with_the_analysis(done):
    analysis = expectation(load("walk.qprog"), "c").analyze(VALUES)
    words = ("value", "walk.qprog", "-O", "c", *AT, "--analyze")
    value = expectation(load("walk.qprog"), "c")(VALUES)
    assert done(*words).out == f"value                    {value!r}\n{analysis}\n"
    data = done(*words, "--json").data
    found = data["analysis"]
    assert set(found) >= {"engine", "reason", "memory", "occurrences", "grad_error_bound"}
    [loop] = found["expected_visits"]
    assert loop == {
        "line": 5,
        "evaluations": analysis.expected_visits[0].evaluations,
        "passes": analysis.expected_visits[0].passes,
    }
    assert data["error_bound"] == found["error_bound"] == analysis.error_bound


def test_an_engine_by_name(done, refused):
    words = ("value", "turn.qprog", "-O", "Z[q]", "-p", "t=1", "--json", "--engine")
    for name in ("hybrid", "pure-state", "branching"):
        assert done(*words, name).data["value"] == pytest.approx(math.cos(1))
        grad = done("grad", *words[1:], name).data
        assert grad["grad"]["t"] == pytest.approx(-math.sin(1))
    assert refused(*words, "pure") == (
        "There is no engine `pure`. Engines: hybrid, pure-state, branching. Did you mean `pure-state`?"
    )
    message = refused("grad", "walk.qprog", "-O", "c", *AT, "--engine", "pure-state")
    assert message.startswith(
        "The pure-state engine cannot answer for this program: the program has a measurement (line 5)."
    )


@pytest.mark.parametrize("option", [("--engine", "hybrid"), ("--analyze",)])
@pytest.mark.parametrize("budget", [("--shots", "10"), ("--precision", "0.1"), ("--seconds", "1")])
def test_shots_have_no_engine(refused, option, budget):
    message = refused("value", "turn.qprog", "-O", "Z[q]", "-p", "t=1", *budget, *option)
    assert message == f"{option[0]} belongs to exact values: leave out {budget[0]}."


def test_value_from_shots(done):
    estimate = expectation(load("turn.qprog"), "Z[q]").estimate({"t": 1.4}, shots=300, seed=3)
    words = ("value", "turn.qprog", "-O", "Z[q]", "-p", "t=1.4", "--shots", "300", "--seed", "3")
    assert done(*words).out == f"{estimate}\n"
    assert done(*words, "--json").data == {
        "value": estimate.value,
        "stderr": estimate.stderr,
        "shots": 300,
        "seed": 3,
        "bias_bound": 0,
        "interval_trusted": True,
    }
    assert done(*words, "--backend", "trajectory").out == f"{estimate}\n"
    drawn = done(*words[:-2], "--json").data
    assert done(*words[:-2], "--seed", str(drawn["seed"]), "--json").data == drawn


def test_value_to_a_precision(done):
    words = ("value", "turn.qprog", "-O", "Z[q]", "-p", "t=1.4", "--seed", "3", "--precision")
    estimate = expectation(load("turn.qprog"), "Z[q]").estimate({"t": 1.4}, precision=0.015, seed=3)
    data = done(*words, "0.015", "--json").data
    assert data == {
        "value": estimate.value,
        "stderr": estimate.stderr,
        "shots": estimate.shots,
        "seed": 3,
        "bias_bound": 0,
        "reached": True,
        "interval_trusted": True,
    }
    assert data["stderr"] <= 0.015
    assert done(*words, "0.015").out == f"{estimate}\n"
    short = (*words, "1e-4", "--max-shots", "2500")
    few = done(*short, "--json").data
    assert (few["reached"], few["shots"]) == (False, 2500)
    assert few["note"].startswith("precision 0.0001 was not reached: the largest standard error is ")
    assert few["note"] in done(*short).out


def test_value_within_seconds(done):
    words = ("value", "turn.qprog", "-O", "Z[q]", "-p", "t=1.4", "--seconds", "0.05", "--max-shots", "4000")
    data = done(*words, "--json").data
    assert 0 < data["shots"] <= 4000
    assert "reached" not in data


def test_an_interval_that_is_not_trusted(done):
    words = ("value", "turn.qprog", "-O", "Z[q]", "-p", "t=0", "--shots", "100", "--seed", "1")
    data = done(*words, "--json").data
    assert (data["value"], data["stderr"], data["interval_trusted"]) == (1, 0, False)
    assert data["reason"] in done(*words).out


# --- grad ---------------------------------------------------------------------------------------


def test_grad(done):
    objective = expectation(load("walk.qprog"), "c")
    value, grad = objective.value_and_grad(VALUES)
    analysis = objective.analyze(VALUES)
    bounds = analysis.grad_error_bound
    data = done("grad", "walk.qprog", "-O", "c", *AT, "--json").data
    assert data == {
        "value": value,
        "grad": dict(zip(("t", "w[0]", "w[1]"), grad.tolist(), strict=True)),
        "error_bound": analysis.error_bound,
        "grad_error_bound": bounds,
    }
    lines = done("grad", "walk.qprog", "-O", "c", *AT).out.splitlines()
    for line, name, slope in zip(lines, ("t   ", "w[0]", "w[1]"), grad.tolist(), strict=True):
        assert line.startswith(f"{name} = {slope!r} ")
        assert line.endswith(f"   error bound {bounds[name.strip()]:.2g}")
    assert len({line.index("error bound") for line in lines}) == 1


def test_a_check_that_finds_nothing(done):
    words = ("grad", "walk.qprog", "-O", "c", *AT, "--wrt", "t,w[1]", "--check")
    lines = done(*words).out.splitlines()
    assert lines[2] == ""
    assert lines[3].split()[-2:] == ["differences", "±"]
    assert [line.split()[0] for line in lines[4:7]] == ["value", "t", "w[1]"]
    assert lines[-1] == "all agree"
    check = done(*words, "--json").data["check"]
    assert check["ok"]
    assert [line["name"] for line in check["lines"]] == ["value", "t", "w[1]"]
    assert set(check["lines"][0]["by_engine"]) >= {"hybrid", "branching"}
    assert check["lines"][0]["difference"] is None
    assert abs(check["lines"][1]["difference"] - check["lines"][1]["by_engine"]["hybrid"]) < 1e-8


def test_a_check_that_finds_a_wrong_engine(refused, monkeypatch):
    from qdiff.sim.hybrid.engine import HybridEngine

    right = HybridEngine.gradients

    def wrong(self, rows, observables, wrt):
        values, slopes = right(self, rows, observables, wrt)
        return values, slopes + 1e-6

    monkeypatch.setattr(HybridEngine, "gradients", wrong)
    message = refused("grad", "turn.qprog", "-O", "Z[q]", "-p", "t=1", "--check")
    lines = message.splitlines()
    assert lines[0] == "The derivatives disagree."
    assert lines[-1] == "DISAGREEMENT in t"
    assert "engines differ by 1e-06" in message


def test_grad_by_some(done):
    words = ("grad", "walk.qprog", "-O", "c", *AT, "--json")
    every = done(*words).data["grad"]
    for wrt, names in [("t", ["t"]), ("w", ["w[0]", "w[1]"]), ("w[1], t", ["w[1]", "t"])]:
        found = done(*words, "--wrt", wrt).data["grad"]
        assert list(found) == names
        assert found == pytest.approx({name: every[name] for name in names})


def test_grad_of_a_closed_form(done, folder):
    (folder / "counting.qprog").write_text(COUNTING)
    data = done("grad", "counting.qprog", "-O", "c", "-p", "t=1", "--json").data
    assert data["value"] == pytest.approx(math.tan(0.5) ** 2, abs=1e-9)
    assert data["grad"]["t"] == pytest.approx(math.tan(0.5) / math.cos(0.5) ** 2, abs=1e-9)


def test_grad_where_nothing_can_be_trained(done, folder):
    (folder / "fixed.qprog").write_text("qubit: q\nX[q]")
    assert done("grad", "fixed.qprog", "-O", "Z[q]").out == "No parameter is trainable.\n"
    assert done("grad", "fixed.qprog", "-O", "Z[q]", "--json").data == {
        "value": -1,
        "grad": {},
        "error_bound": expectation(load("fixed.qprog"), "Z[q]").analyze().error_bound,
        "grad_error_bound": {},
    }
