"""`qdiff grad` and `qdiff train` from shots: results, JSON, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from cli.programs import AT, COUNTING
from matplotlib.collections import PolyCollection

from qdiff.cli.estimates import in_options
from qdiff.cli.values import UsageError
from qdiff.errors import QdiffError
from qdiff.estimators.estimate import Estimate, with_error
from qdiff.estimators.insertion import Insertion
from qdiff.estimators.methods import METHODS
from qdiff.lang.load import load
from qdiff.objective import Objective, expectation
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.train import Adam, maximize, minimize

VALUES = {"t": 1.4, "w": [0.1, 0.2]}
NAMES = ("t", "w[0]", "w[1]")
GRAD = ("grad", "walk.qprog", "-O", "c", *AT)
TRAIN = ("train", "walk.qprog", "-O", "c", *AT)
SAMPLED = ("--shots", "400", "--seed", "3", "--estimator", "trajectory")


def walk() -> Objective:
    return expectation(load("walk.qprog"), "c")


# --- grad ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trajectory", "insertion", "stratified"])
def test_grad_from_shots(done, name):
    found = walk().estimate_grad(VALUES, shots=400, seed=3, estimator=name)
    words = (*GRAD, "--shots", "400", "--seed", "3", "--estimator", name)
    data = done(*words, "--json").data
    expected = {
        "grad": dict(zip(NAMES, found.value.tolist(), strict=True)),
        "stderr": dict(zip(NAMES, found.stderr.tolist(), strict=True)),
        "shots": 400,
        "seed": 3,
        "estimator": name,
        "interval_trusted": found.interval_trusted,
    }
    assert data == expected | ({"reason": found.reason} if found.reason else {})
    lines = done(*words).out.splitlines()
    pairs = zip(found.value.tolist(), found.stderr.tolist(), strict=True)
    assert lines[:3] == [f"{key:<4} = {with_error(*pair)}" for key, pair in zip(NAMES, pairs, strict=True)]
    assert lines[3] == f'400 shots, seed 3, by "{name}"'
    assert lines[4:] == ([f"interval not trusted: {found.reason}"] if found.reason else [])


def test_stratified_is_the_default(done):
    words = (*GRAD, "--shots", "400", "--seed", "3", "--json")
    assert done(*words).data == done(*words, "--estimator", "stratified").data


def test_grad_by_some_draws_a_seed(done):
    words = (*GRAD, "--wrt", "w[1],t", "--shots", "400", "--estimator", "trajectory", "--json")
    first, second = done(*words).data, done(*words).data
    assert list(first["grad"]) == list(first["stderr"]) == ["w[1]", "t"]
    assert first["seed"] != second["seed"]
    assert done(*words, "--seed", str(first["seed"])).data == first


def test_grad_on_a_backend_and_with_a_law(done):
    words = (*GRAD, "--shots", "400", "--seed", "3", "--json")
    merged = done(*words, "--estimator", "insertion", "--backend", "merged").data
    found = walk().estimate_grad(VALUES, shots=400, seed=3, estimator="insertion", backend="merged")
    assert list(merged["grad"].values()) == found.value.tolist()
    zipf = done(*words, "--estimator", "insertion", "--mu", "zipf").data
    found = walk().estimate_grad(VALUES, shots=400, seed=3, estimator=Insertion(mu="zipf"))
    assert list(zipf["grad"].values()) == found.value.tolist()


def test_grad_is_right(done, folder):
    (folder / "counting.qprog").write_text(COUNTING)
    words = ("grad", "counting.qprog", "-O", "c", "-p", "t=1", "--seed", "5", "--estimator", "trajectory")
    data = done(*words, "--shots", "20000", "--json").data
    exact = math.tan(0.5) / math.cos(0.5) ** 2
    assert abs(data["grad"]["t"] - exact) < 4.5 * data["stderr"]["t"] < 0.15


def test_grad_to_a_precision(done):
    words = (*GRAD, "--wrt", "t", "--precision", "0.05", "--seed", "3", "--estimator", "trajectory")
    data = done(*words, "--json").data
    found = walk().estimate_grad(VALUES, "t", precision=0.05, seed=3, estimator="trajectory")
    assert data["reached"]
    assert data["stderr"]["t"] <= 0.05
    assert (data["grad"]["t"], data["shots"]) == (found.value[0], found.shots)
    few = done(*words[:-6], "--precision", "1e-4", "--max-shots", "2000", *words[-4:], "--json").data
    assert (few["reached"], few["shots"]) == (False, 2000)
    assert few["note"].startswith("precision 0.0001 was not reached: the largest standard error is ")
    text = done(*words[:-6], "--precision", "1e-4", "--max-shots", "2000", *words[-4:]).out
    assert text.splitlines()[-1] == few["note"]


def test_grad_within_seconds(done):
    words = (*GRAD, "--wrt", "t", "--seconds", "0.05", "--seed", "3", "--estimator", "trajectory")
    data = done(*words, "--max-shots", "4000", "--json").data
    assert 0 < data["shots"] <= 4000
    assert "reached" not in data


@pytest.mark.parametrize(("bias", "text"), [(0.125, "bias at most 0.12"), (math.inf, "bias unknown")])
def test_a_bias_is_said(done, monkeypatch, bias, text):
    def biased(self, params, wrt, **asked):
        bounds = np.array([bias, 0.0, 0.0])
        return Estimate(
            np.ones(3), np.full(3, 0.5), 400, 3, "finite-shift", bias_bound=bounds, note="so it is"
        )

    monkeypatch.setattr(Objective, "estimate_grad", biased)
    data = done(*GRAD, *SAMPLED, "--json").data
    assert data["bias_bound"] == {"t": bias if bias < 1 else None, "w[0]": 0, "w[1]": 0}
    assert (data["note"], data["estimator"]) == ("so it is", "finite-shift")
    assert done(*GRAD, *SAMPLED).out.splitlines() == [
        f"t    = 1.00 ± 0.50   {text}",
        "w[0] = 1.00 ± 0.50   bias at most 0",
        "w[1] = 1.00 ± 0.50   bias at most 0",
        '400 shots, seed 3, by "finite-shift"',
        "so it is",
    ]


def test_runs_that_were_cut_are_said(done, folder, monkeypatch):
    (folder / "counting.qprog").write_text(COUNTING)
    monkeypatch.setattr("qdiff.objective.shots.find_backend", lambda name: TrajectoryBackend(step_limit=12))
    words = ("grad", "counting.qprog", "-O", "c", "-p", "t=1", *SAMPLED)
    data = done(*words, "--json").data
    assert data["bias_bound"] == {"t": None}
    assert not data["interval_trusted"]
    assert "of 400 runs were cut by the backend's step limit" in data["reason"]
    lines = done(*words).out.splitlines()
    assert lines[0].endswith("   bias unknown")
    assert f"interval not trusted: {data['reason']}" in lines


def test_what_nothing_depends_on_takes_no_shots(done, folder):
    (folder / "fixed.qprog").write_text("qubit: q\nX[q]")
    words = ("grad", "fixed.qprog", "-O", "Z[q]", "--shots", "10")
    assert done(*words).out == "No parameter is trainable.\n"
    assert done(*words, "--json").data == {"grad": {}, "stderr": {}, "shots": 0}
    (folder / "cancels.qprog").write_text("qubit: q\npara: t\nRy(t - t)[q]")
    words = ("grad", "cancels.qprog", "-O", "Z[q]", "-p", "t=1", "--shots", "10", "--seed", "3")
    data = done(*words, "--estimator", "insertion", "--json").data
    assert (data["grad"], data["stderr"], data["shots"]) == ({"t": 0}, {"t": 0}, 0)


@pytest.mark.parametrize("option", [("--check",), ("--engine", "hybrid")])
@pytest.mark.parametrize("budget", [("--shots", "10"), ("--precision", "0.1"), ("--seconds", "1")])
def test_what_belongs_to_exact_derivatives(refused, option, budget):
    assert refused(*GRAD, *budget, *option) == (
        f"{option[0]} belongs to exact values: leave out {budget[0]}."
    )


@pytest.mark.parametrize(
    "option",
    ["--seed 1", "--backend merged", "--estimator spsa", "--mu zipf", "--max-shots 9", "--assume-finite"],
)
def test_what_belongs_to_shots(refused, option):
    words = option.split()
    assert refused(*GRAD, *words) == (
        f"{words[0]} belongs to --shots or --precision or --seconds: without them derivatives are exact."
    )
    if words[0] != "--max-shots":
        assert refused(*TRAIN, "--log", "run.jsonl", *words) == (
            f"{words[0]} belongs to --shots: without it values and derivatives are exact."
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--shots 0", "--shots must be a positive integer, got 0."),
        (
            "--shots 1 --estimator trajectory",
            '1 shot is too few: the estimator "trajectory" needs at least 2 here. Use --shots 2 or more.',
        ),
        (
            "--shots 5 --estimator insertion",
            '5 shots are too few: the estimator "insertion" needs at least 6 here. Use --shots 6 or more.',
        ),
        ("--precision 0", "--precision is a standard error, a finite number above 0, got 0.0."),
        ("--precision nan", "--precision is a standard error, a finite number above 0, got nan."),
        ("--seconds inf", "--seconds is a time, a finite number above 0, got inf."),
        (
            "--shots 9 --max-shots 9",
            "--max-shots limits --precision or --seconds; use --shots alone to spend a number of them.",
        ),
        ("--shots 9 --backend aer", "There is no backend `aer`. Known: trajectory, merged, arrays."),
        ("--shots 9 --estimator exact", f"There is no estimator 'exact'. Known: {', '.join(METHODS)}."),
        (
            "--shots 9 --estimator insertion --mu cauchy",
            "mu is one of log-power, geometric, zipf, adaptive, not 'cauchy'.",
        ),
        ("--shots 9 --seed 99999999999999999999", "The seed must be an integer from 0 to 2^64 - 1, or None"),
        ("--shots 9 --wrt x", "wrt: 'x' is not a parameter. Parameters: t, w[0], w[1]."),
    ],
)
def test_estimates_that_are_refused(refused, words, message):
    assert refused(*GRAD, *words.split()).startswith(message)


def test_occurrences_without_end(refused, folder):
    (folder / "fair.qprog").write_text(
        "qubit: q\npara: t\ncount: c\nc := 1;\n"
        "while c > 0 do H[q]; Ry(t)[q]; if M[q] = 1 then c := c + 1 else c := c - 1 fi; q := |0> od"
    )
    at = ("fair.qprog", "-O", "Z[q]", "-p", "t=0", *SAMPLED)
    for words in (("grad", *at), ("train", *at, "--log", "run.jsonl")):
        assert refused(*words).endswith("If you know that it is finite, say --assume-finite.")


def test_messages_in_the_words_of_the_command_line():
    with pytest.raises(UsageError) as caught, in_options():
        raise QdiffError("Use shots=40, precision=0.5 or max_shots=; resume=True, assume_finite=True; mu=.")
    assert str(caught.value) == (
        "Use --shots 40, --precision 0.5 or --max-shots; --resume, --assume-finite; --mu."
    )
    with pytest.raises(QdiffError, match="as it is") as other, in_options():
        raise QdiffError("as it is")
    assert type(other.value) is QdiffError


# --- train --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "search", "options"),
    [
        (("--estimator", "trajectory"), minimize, {"estimator": "trajectory"}),
        (("--estimator", "trajectory", "--maximize"), maximize, {"estimator": "trajectory"}),
        (("--estimator", "insertion", "--mu", "zipf"), minimize, {"estimator": Insertion(mu="zipf")}),
        ((), minimize, {}),
        (
            ("--estimator", "trajectory", "--backend", "merged", "--common-random-numbers"),
            minimize,
            {"estimator": "trajectory", "backend": "merged", "common_random_numbers": True},
        ),
    ],
)  # fmt: skip
def test_train_from_shots(qdiff, words, search, options):
    result = search(walk(), VALUES, steps=2, shots=100, seed=3, optimizer=Adam(lr=0.05), **options)
    history = result.history
    ran = qdiff(*TRAIN, "--steps", "2", "--shots", "100", "--seed", "3", "--lr", "0.05", *words, "--json")
    assert ran.status == 0
    assert ran.data == {
        "value": result.value,
        "grad": dict(zip(NAMES, history.grad[-1].tolist(), strict=True)),
        "params": dict(result.params),
        "best": {
            "value": result.best.value,
            "params": dict(result.best.params),
            "value_stderr": result.best.value_stderr,
        },
        "direction": search.__name__,
        "steps": 2,
        "evaluations": 3,
        "converged": False,
        "message": "took all 2 steps",
        "history": {
            "value": history.value.tolist(),
            "params": dict(zip(NAMES, history.x.T.tolist(), strict=True)),
            "value_stderr": history.value_stderr.tolist(),
            "grad": dict(zip(NAMES, history.grad.T.tolist(), strict=True)),
            "stderr": dict(zip(NAMES, history.grad_stderr.T.tolist(), strict=True)),
            "shots": [100, 100, 100],
        },
        "value_stderr": result.value_stderr,
        "stderr": dict(zip(NAMES, history.grad_stderr[-1].tolist(), strict=True)),
        "shots": 300,
        "seed": 3,
        "estimator": result.estimator,
    }


def test_train_from_shots_as_text(qdiff):
    result = minimize(walk(), VALUES, wrt="w", steps=9, shots=400, seed=3, estimator="trajectory")
    ran = qdiff(*TRAIN, "--wrt", "w", "--steps", "9", *SAMPLED)
    assert "±" in ran.err
    lines = ran.out.splitlines()
    assert lines[0].split() == ["step", "value", "shots", "w[0]", "w[1]"]
    history = result.history
    for line in lines[1:9]:
        step, *rest = line.split(maxsplit=1)
        pair = with_error(history.value[int(step)], history.value_stderr[int(step)])
        assert rest[0].split() == [*pair.split(), "400", *(f"{x:.6g}" for x in history.x[int(step)])]
    assert len({len(line) for line in lines[:9]}) == 1
    assert "\n".join(lines[9:]) == str(result)
    assert "(4000 shots, seed 3, trajectory)" in lines[9]


def test_log_and_resume_from_shots(qdiff, refused, folder):
    words = (*TRAIN, "--shots", "60", "--estimator", "trajectory", "--log", "run.jsonl", "--json")
    whole = qdiff(*words, "--steps", "4").data
    log = (folder / "run.jsonl").read_bytes()
    lines = log.splitlines(keepends=True)
    header, *evaluations = [json.loads(line) for line in lines]
    assert (header["shots"], header["seed"], header["estimator"]) == (60, whole["seed"], "Trajectory()")
    assert [entry["value_stderr"] for entry in evaluations] == whole["history"]["value_stderr"]
    (folder / "run.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:30])
    assert qdiff(*words, "--steps", "4", "--resume").data == whole
    assert (folder / "run.jsonl").read_bytes() == log
    assert refused(*words, "--steps", "4", "--resume", "--seed", "1") == (
        "The log `run.jsonl` belongs to another run:\n"
        f"    seed: 1 here, {whole['seed']} in the log\n"
        "Resume with the settings of the log, or give this run another log."
    )


def test_the_picture_of_a_noisy_run(qdiff, folder):
    assert qdiff(*TRAIN, "--steps", "2", *SAMPLED, "--plot", "course.png").status == 0
    assert (folder / "course.png").read_bytes().startswith(b"\x89PNG")
    figure = minimize(walk(), VALUES, steps=2, shots=400, seed=3, estimator="trajectory").plot()
    assert any(isinstance(drawn, PolyCollection) for drawn in figure.axes[0].collections)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--shots 0", "The number of shots must be a positive integer, got 0."),
        (
            "--shots 3 --estimator trajectory",
            "3 shots are too few for an evaluation: the value takes at least 2, the gradient by "
            '"trajectory" 2. Use --shots 4 or more.',
        ),
        (
            "--shots 100 --optimizer l-bfgs-b",
            "Optimizer `l-bfgs-b` searches along lines, where it needs exact values: train with adam or "
            "gradient-descent, or leave out --shots.",
        ),
        ("--shots 100 --estimator exact", f"There is no estimator 'exact'. Known: {', '.join(METHODS)}."),
        (
            "--shots 100 --estimator trajectory --mu zipf",
            'mu is the law of the occurrence that "insertion" draws; "trajectory" has none.',
        ),
        ("--shots 100 --backend aer", "There is no backend `aer`. Known: trajectory, merged, arrays."),
        (
            "--shots 100 --seed 99999999999999999999",
            "The seed must be an integer from 0 to 2^64 - 1, or None",
        ),
        ("--common-random-numbers", "--common-random-numbers belongs to --shots: without it values and"),
    ],
)
def test_training_that_is_refused(refused, words, message):
    assert refused(*TRAIN, "--log", "run.jsonl", *words.split()).startswith(message)
