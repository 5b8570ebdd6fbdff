"""Training from shots: what is spent and from which seeds, what is kept, that resuming changes nothing."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from estimators.random_lessons import a_lesson

import qdiff as qd
from qdiff.errors import BackendError, ParameterError, QdiffError, TrainingError
from qdiff.estimators import insertion
from qdiff.estimators.estimate import Estimate, with_error
from qdiff.estimators.insertion import Insertion
from qdiff.estimators.lessons import Lesson
from qdiff.estimators.methods import METHODS
from qdiff.estimators.trajectory import Trajectory
from qdiff.objective import Objective
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.seeds import derived_seed
from qdiff.train import LBFGSB, Adam, GradientDescent, maximize, minimize

REFERENCE = Path(__file__).parents[1] / "reference" / "cases.json"
LOOP = """\
qubit: q
para: t, u
count: c
Ry(t)[q];
while M[q] = 1 do c++; q := |0>; Ry(t)[q]; Rz(u)[q] od"""
AT = {"t": 1.1, "u": 0.4}
ESTIMATORS = ["trajectory", "insertion", Insertion(mu="adaptive"), "stratified"]


@pytest.fixture
def loop() -> Objective:
    return qd.expectation(qd.parse(LOOP), "c")


class Plain(TrajectoryBackend):
    """A backend whose runs carry no derivatives."""

    capabilities = replace(TrajectoryBackend.capabilities, tangents=False)


class Recording(Objective):
    """An objective that answers estimates of its exact values, and keeps what it was asked."""

    def __init__(self, text: str = "Z[q]", learned=lambda number: None) -> None:
        f = qd.expectation(qd.parse("qubit: q para: t, u Ry(t)[q]; Ry(u)[q]"), text)
        super().__init__(f.program, f.quantity, f.engines)
        self.learned = learned
        self.values, self.grads = [], []

    def estimate(self, params, *, shots, seed, backend):
        self.values.append({"params": params, "shots": shots, "seed": seed, "backend": backend})
        return Estimate(self(params), 0.125, shots, seed, "shots")

    def estimate_grad(self, params, wrt, **asked):
        self.grads.append({"params": params, "wrt": wrt, **asked})
        grad = self.grad(params, wrt)
        learned = self.learned(len(self.grads) - 1)
        return Estimate(
            grad,
            np.full(len(grad), 0.25),
            asked["shots"],
            asked["seed"],
            asked["estimator"].name,
            learned=learned,
        )


def a_memory(number: int) -> Lesson:
    """What an evaluation may have learned: numbers that are long in decimals, and very small."""
    return a_lesson(np.random.default_rng(number), (2, 2, 1), met=1e-300)


def same(one, other) -> bool:
    """Whether two results are the same bit for bit."""
    arrays = ("x", "value", "grad", "shots", "value_stderr", "grad_stderr")
    return all(
        getattr(one.history, name).tobytes() == getattr(other.history, name).tobytes() for name in arrays
    ) and str(one) == str(other)


def entries(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- What is asked of the objective -------------------------------------------------------------


def test_each_evaluation_spends_its_shots_from_its_own_seed():
    f = Recording()
    result = minimize(
        f, AT, wrt="u", steps=3, shots=205, estimator="trajectory", seed=7, backend="trajectory"
    )
    assert [asked["shots"] for asked in f.values] == [20] * 4
    assert [asked["shots"] for asked in f.grads] == [185] * 4
    assert [asked["seed"] for asked in f.grads] == [derived_seed(7, i) for i in range(4)]
    assert [asked["seed"] for asked in f.values] == [derived_seed(7, i, 1) for i in range(4)]
    assert len({asked["seed"] for asked in f.values + f.grads}) == 8
    assert all(asked["backend"] == "trajectory" for asked in f.values + f.grads)
    assert f.grads[0]["params"] == f.values[0]["params"] == AT
    for asked in f.grads:
        assert (asked["wrt"], asked["estimator"], asked["assume_finite"]) == (["u"], Trajectory(), False)
        assert asked["params"]["t"] == AT["t"]
    assert [asked["params"]["u"] for asked in f.grads] == result.history.x[:, 0].tolist()
    assert (result.shots, result.evaluations) == (4 * 205, 4)


@pytest.mark.parametrize(
    ("text", "shots", "spent"),
    [("Z[q]", 4, 2), ("Z[q]", 21, 2), ("Z[q]", 300, 30), ("X[q] + Z[q]", 30, 4), ("1", 30, 3)],
)
def test_the_value_gets_a_tenth_or_what_it_needs(text, shots, spent):
    f = Recording(text)
    minimize(f, AT, steps=0, shots=shots, estimator="trajectory", seed=1)
    assert (f.values[0]["shots"], f.grads[0]["shots"]) == (spent, shots - spent)


def test_the_gradient_gets_what_it_needs():
    f = Recording()
    minimize(f, AT, steps=0, shots=6, estimator="insertion", seed=1)  # two parameters, two runs each
    assert (f.values[0]["shots"], f.grads[0]["shots"]) == (2, 4)


def test_common_random_numbers():
    f = Recording(learned=lambda number: (a_memory(number),))
    minimize(f, AT, steps=2, shots=20, estimator="stratified", seed=7, common_random_numbers=True)
    assert {asked["seed"] for asked in f.grads} == {derived_seed(7, 0)}
    assert {asked["seed"] for asked in f.values} == {derived_seed(7, 0, 1)}
    # What was learned knows the random numbers that it would be used on.
    assert [asked["warm"] for asked in f.grads] == [None] * 3


def test_a_seed_is_drawn_and_recorded():
    f = Recording()
    one = minimize(f, AT, steps=0, shots=20, estimator="trajectory")
    two = minimize(f, AT, steps=0, shots=20, estimator="trajectory")
    assert one.seed != two.seed
    assert [asked["seed"] for asked in f.grads] == [derived_seed(one.seed, 0), derived_seed(two.seed, 0)]


def test_what_an_evaluation_learned_warms_the_next(tmp_path):
    f = Recording(learned=lambda number: (a_memory(number),) if number != 1 else None)
    log = tmp_path / "run.jsonl"
    result = minimize(f, AT, steps=3, shots=20, estimator="stratified", seed=7, log=log)
    first, second, third, fourth = [asked["warm"] for asked in f.grads]
    assert first is third is None  # nothing before it; nothing that was learned
    assert [lesson.to_json() for lesson in second.learned] == [a_memory(0).to_json()]
    assert [lesson.to_json() for lesson in fourth.learned] == [a_memory(2).to_json()]
    assert fourth.value.tolist() == result.history.grad[2].tolist()
    assert fourth.stderr.tolist() == [0.25, 0.25]
    assert (fourth.shots, fourth.seed, fourth.estimator) == (18, derived_seed(7, 2), "stratified")
    assert [line.get("learned") for line in entries(log)[1:]] == [
        [a_memory(0).to_json()], None, [a_memory(2).to_json()], [a_memory(3).to_json()],
    ]  # fmt: skip


def test_a_resumed_run_is_warmed_by_its_log(tmp_path):
    def trained(f, log, **options):
        return minimize(f, AT, steps=4, shots=20, estimator="stratified", seed=7, log=log, **options)

    def told(estimate):
        return [lesson.to_json() for lesson in estimate.learned]

    log = tmp_path / "run.jsonl"
    whole = Recording(learned=lambda number: (a_memory(number),))
    result = trained(whole, log)
    lines = log.read_bytes().splitlines(keepends=True)
    for kept in range(1, 6):
        log.write_bytes(b"".join(lines[:kept]))
        f = Recording(learned=lambda number, before=kept - 1: (a_memory(number + before),))
        assert same(trained(f, log, resume=True), result)
        assert log.read_bytes() == b"".join(lines)
        rest = whole.grads[kept - 1 :]
        assert [asked["seed"] for asked in f.grads] == [asked["seed"] for asked in rest]
        for here, there in zip(f.grads, rest, strict=True):
            if there["warm"] is None:
                assert here["warm"] is None
            else:
                assert told(here["warm"]) == told(there["warm"])
                assert here["warm"].seed == there["warm"].seed


# --- What is kept -------------------------------------------------------------------------------


def test_the_history_has_shots_and_errors():
    seen = []
    f = Recording()
    result = minimize(f, AT, steps=2, shots=20, estimator="trajectory", seed=7, callback=seen.append)
    history = result.history
    assert history.shots.tolist() == [20, 20, 20]
    assert history.value_stderr.tolist() == [0.125] * 3
    assert history.grad_stderr.tolist() == [[0.25, 0.25]] * 3
    assert (result.seed, result.estimator, result.value_stderr) == (7, "trajectory", 0.125)
    assert (result.best.value_stderr, result.bias_bound) == (0.125, 0)
    for record in seen:
        assert (record.shots, record.value_stderr, record.grad_stderr.tolist()) == (20, 0.125, [0.25, 0.25])


def test_exact_runs_have_none():
    seen = []
    result = minimize(Recording(), AT, steps=1, callback=seen.append)
    history = result.history
    assert (history.shots, history.value_stderr, history.grad_stderr) == (None, None, None)
    assert (result.shots, result.seed, result.estimator, result.value_stderr) == (None, None, None, None)
    assert (seen[0].shots, seen[0].value_stderr, seen[0].grad_stderr) == (None, None, None)
    assert result.best.value_stderr is None


def test_what_is_in_a_log(tmp_path):
    log = tmp_path / "run.jsonl"
    result = minimize(Recording(), AT, steps=1, shots=20, estimator=Insertion(mu="zipf"), seed=7, log=log)
    header, *rest = entries(log)
    told = {key: header[key] for key in ("shots", "estimator", "backend", "common_random_numbers", "seed")}
    assert told == {
        "shots": 20,
        "estimator": repr(Insertion(mu="zipf")),
        "backend": "trajectory",
        "common_random_numbers": False,
        "seed": 7,
    }
    for line in rest:
        line.pop("crc32")
    assert rest == [
        {
            "evaluation": k,
            "x": result.history.x[k].tolist(),
            "value": result.history.value[k],
            "grad": result.history.grad[k].tolist(),
            "shots": 20,
            "value_stderr": 0.125,
            "grad_stderr": [0.25, 0.25],
        }
        for k in range(2)
    ]


def test_printing_a_result():
    result = minimize(Recording(), AT, steps=1, shots=20, estimator="trajectory", seed=7)
    lines = str(result).splitlines()
    start, end = (with_error(float(value), 0.125) for value in result.history.value)
    assert lines == [
        "Minimised Z[q] with 1 steps and 2 evaluations (40 shots, seed 7, trajectory): took 1 step.",
        f"    value  {end}   (start {start}, best {end})",
        f"    t      {result.params['t']:.10g}",
        f"    u      {result.params['u']:.10g}",
    ]


def test_the_bar_shows_the_error(capsys):
    minimize(Recording(), AT, steps=2, shots=20, estimator="trajectory", seed=7, progress=True)
    text = capsys.readouterr().err
    assert "training: 100%" in text
    assert "± 0.12" in text


def test_runs_that_are_cut_are_a_bias_without_a_bound(loop, tmp_path):
    log = tmp_path / "run.jsonl"
    options = {
        "steps": 2,
        "shots": 200,
        "estimator": "trajectory",
        "seed": 7,
        "backend": TrajectoryBackend(step_limit=12),
        "log": log,
    }
    result = minimize(loop, AT, wrt="t", **options)
    assert result.bias_bound == math.inf
    assert str(result).splitlines()[-1] == "    bias of values and derivatives: unknown"
    assert [line["bias_bound"] for line in entries(log)[1:]] == [None] * 3
    resumed = minimize(loop, AT, wrt="t", resume=True, **options)
    assert same(resumed, result)
    assert resumed.bias_bound == math.inf


# --- Real estimates -----------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_an_interrupted_run_resumes_to_the_identical_result(loop, tmp_path, estimator):
    def trained(log, **more):
        optimizer = Adam(lr=0.05)
        options = {"optimizer": optimizer, "steps": 4, "shots": 400, "estimator": estimator, "log": log}
        return minimize(loop, AT, **options, **more)

    def interrupt(record):
        if record.step == 2:
            raise KeyboardInterrupt

    whole = trained(tmp_path / "whole.jsonl", seed=11)
    log = tmp_path / "run.jsonl"
    with pytest.raises(KeyboardInterrupt):
        trained(log, seed=11, callback=interrupt)
    assert len(entries(log)) == 4
    with log.open("ab") as file:
        file.write(b'{"evaluation": 3, "x": [')
    assert same(trained(log, resume=True), whole)  # the seed is that of the log
    assert log.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert same(trained(log, seed=11, resume=True), whole)
    assert ("learned" in entries(log)[1]) == (estimator == "stratified")


def test_an_adaptive_law_is_learned_anew_by_every_evaluation(loop, monkeypatch):
    """A law of parameters long left would be far worse than a pilot is dear."""
    pilots = []
    first = insertion.profile_of
    monkeypatch.setattr(insertion, "profile_of", lambda *of: pilots.append(1) or first(*of))
    options = {"steps": 3, "shots": 2000, "estimator": Insertion(mu="adaptive"), "seed": 11}
    minimize(loop, AT, wrt="t", **options)
    assert len(pilots) == 4


def test_maximize_from_shots(loop, tmp_path):
    options = {"steps": 3, "shots": 200, "estimator": "trajectory", "seed": 3, "log": tmp_path / "run.jsonl"}
    up = maximize(loop, AT, wrt="t", **options)
    assert up.direction == "maximize"
    assert up.x[0] > AT["t"]
    assert same(maximize(loop, AT, wrt="t", resume=True, **options), up)


def test_evaluations_are_independent_unbiased_and_calibrated(loop):
    still = GradientDescent(lr=1e-13)
    result = minimize(
        loop, AT, wrt="t", optimizer=still, steps=159, shots=300, estimator="trajectory", seed=5
    )
    exact_value, exact_grad = loop.value_and_grad(AT, "t")
    for found, errors, exact in (
        (result.history.value, result.history.value_stderr, exact_value),
        (result.history.grad[:, 0], result.history.grad_stderr[:, 0], exact_grad[0]),
    ):
        spread = found.std(ddof=1)
        assert abs(found.mean() - exact) < 4.5 * spread / math.sqrt(len(found))
        assert abs(np.sqrt((errors**2).mean()) / spread - 1) < 0.15
        assert len(set(found.tolist())) > 10
    # Shots of one evaluation do not come back in the next, nor those of the value in the gradient.
    grads, values = result.history.grad[:, 0], result.history.value
    for one, other in ((grads[1:], grads[:-1]), (values, grads), (values[1:], values[:-1])):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / math.sqrt(len(one))


def test_common_random_numbers_repeat_themselves(loop):
    still = GradientDescent(lr=1e-13)
    options = {"optimizer": still, "steps": 3, "shots": 100, "seed": 5, "common_random_numbers": True}
    for estimator in ("trajectory", "insertion", "stratified"):
        history = minimize(loop, AT, estimator=estimator, **options).history
        assert np.ptp(history.value) == 0
        assert np.ptp(history.grad, axis=0).max() < 1e-9


@pytest.mark.parametrize(("estimator", "shots"), [("trajectory", 200), ("stratified", 1000)])
def test_amplitude_amplification_is_trained_with_few_shots(estimator, shots):
    [case] = [
        case
        for case in json.loads(REFERENCE.read_text(encoding="utf-8"))
        if case["name"] == "amplitude_amplification_10"
    ]
    f = qd.expectation(qd.parse(case["program"]), case["observable"])
    start = case["params"] | {"t": 1.0}
    result = minimize(
        f, start, wrt="t", optimizer=Adam(lr=0.05), steps=20, shots=shots, estimator=estimator, seed=1
    )
    assert f(start) > 0.87
    assert f(result.params) < 0.70  # the least is 0.645; 28 seeds ended between 0.647 and 0.671
    assert result.shots == 21 * shots


def test_parameters_on_which_nothing_depends_take_no_shots():
    f = qd.expectation(qd.parse("qubit: q para: t, u Ry(t)[q]; Ry(u - u)[q]"), "Z[q]")
    result = minimize(f, AT, wrt="u", steps=1, shots=30, estimator="insertion", seed=1)
    assert result.history.shots.tolist() == [3, 3]
    assert result.x.tolist() == [AT["u"]]


# --- Logs of other runs -------------------------------------------------------------------------

SAMPLED = {"steps": 2, "shots": 40, "estimator": "trajectory", "seed": 7}


@pytest.fixture
def path(tmp_path) -> Path:
    """A log with a header and three evaluations from shots."""
    minimize(Recording(), AT, log=tmp_path / "run.jsonl", **SAMPLED)
    return tmp_path / "run.jsonl"


def refusal(path: Path, **options) -> str:
    """The message of a run that must be refused before it estimates or writes anything."""
    content = path.read_bytes()
    f = Recording()
    with pytest.raises(TrainingError) as caught:
        minimize(f, AT, log=path, resume=True, **options)
    assert not f.grads
    assert path.read_bytes() == content
    return str(caught.value)


def different(path: Path, *what: str) -> str:
    lines = "".join(f"    {line}\n" for line in what)
    return (
        f"The log `{path}` belongs to another run:\n{lines}"
        "Resume with the settings of the log, or give this run another log."
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"seed": 8}, "seed: 8 here, 7 in the log"),
        ({"shots": 50}, "shots: 50 here, 40 in the log"),
        ({"shots": 50, "seed": None}, "shots: 50 here, 40 in the log"),
        ({"backend": "merged", "estimator": "insertion"}, None),
        ({"common_random_numbers": True}, "common_random_numbers: True here, False in the log"),
    ],
)
def test_a_log_of_another_run(path, options, what):
    message = refusal(path, **SAMPLED | options)
    if what is not None:
        assert message == different(path, what)
    else:
        estimator = f"{repr(Insertion())[:77]}..."
        assert message == different(
            path,
            f"estimator: {estimator} here, Trajectory() in the log",
            "backend: merged here, trajectory in the log",
        )


def test_a_log_of_exact_values(path, tmp_path):
    assert refusal(path, steps=2) == different(
        path,
        "shots: none here, 40 in the log",
        "estimator: none here, Trajectory() in the log",
        "backend: none here, trajectory in the log",
        "common_random_numbers: none here, False in the log",
        "seed: none here, 7 in the log",
    )
    exact = tmp_path / "exact.jsonl"
    minimize(Recording(), AT, steps=1, log=exact)
    assert "shots: 40 here, none in the log\n" in refusal(exact, **SAMPLED)
    message = refusal(exact, **SAMPLED | {"seed": None})
    assert "shots: 40 here, none in the log\n" in message
    assert "seed" not in message


def test_a_log_without_evaluations_gives_its_seed_too(tmp_path):
    log = tmp_path / "run.jsonl"
    minimize(Recording(), AT, log=log, **SAMPLED)
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert minimize(Recording(), AT, log=log, resume=True, **SAMPLED | {"seed": None}).seed == 7
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert minimize(Recording(), AT, log=log, **SAMPLED | {"seed": 9}).seed == 9
    assert entries(log)[0]["seed"] == 9


def test_an_exact_evaluation_in_a_log_from_shots_is_damage(path):
    lines = path.read_bytes().splitlines(keepends=True)
    record = {
        key: entry for key, entry in json.loads(lines[2]).items() if key in ("evaluation", "x", "value")
    }
    body = json.dumps(record | {"grad": [1.0, 2.0]}).encode()
    sealed = body[:-1] + b', "crc32": "%08x"}\n' % zlib.crc32(body)
    path.write_bytes(b"".join([*lines[:2], sealed, *lines[3:]]))
    assert refusal(path, **SAMPLED) == (
        f"{path}:3: this line of the log is damaged: it is no evaluation. "
        "Cut the file before that line to resume from evaluation 1."
    )


# --- Refusals -----------------------------------------------------------------------------------


def refused(f, kind=TrainingError, x0=AT, **options) -> str:
    with pytest.raises(kind) as caught:
        minimize(f, x0, **options)
    return str(caught.value)


def test_a_function_must_sample_itself():
    expected = (
        "shots= is for objectives, qd.expectation(program, observable). A function must do its own sampling: "
        "leave out shots=, and return its estimates as (value, gradient)."
    )
    assert refused(lambda x: (x @ x, 2 * x), x0=[1.0], shots=10) == expected
    assert refused("f", x0=[1.0], shots=10) == expected


def test_several_observables(loop):
    f = qd.expectation(loop.program, ["c", "Z[q]"])
    assert refused(f, shots=10) == (
        "The objective must be one real number: train a single observable, or a weighted sum of several."
    )


def test_what_no_shot_shows(loop):
    message = refused(loop.variance, QdiffError, shots=100, estimator="trajectory")
    assert message.startswith("Var(c) is not the mean of anything that a shot shows.")


def test_line_searches_need_exact_values():
    f = Recording()
    for optimizer in (LBFGSB(), "l-bfgs-b"):
        assert refused(f, optimizer=optimizer, shots=100, common_random_numbers=True) == (
            "Optimizer `l-bfgs-b` searches along lines, where it needs exact values: train with adam or "
            "gradient-descent, or leave out shots=."
        )


@pytest.mark.parametrize(
    ("shots", "estimator", "message"),
    [
        (
            3,
            "trajectory",
            "3 shots are too few for an evaluation: the value takes at least 2, the gradient by "
            '"trajectory" 2. Use shots=4 or more.',
        ),
        (
            1,
            "insertion",
            "1 shot is too few for an evaluation: the value takes at least 2, the gradient by "
            '"insertion" 4. Use shots=6 or more.',
        ),
    ],
)
def test_too_few_shots(shots, estimator, message):
    f = Recording()
    assert refused(f, shots=shots, estimator=estimator) == message
    assert not f.values


@pytest.mark.parametrize("shots", [0, -1, 2.5, "10", True, math.nan])
def test_shots_that_are_no_number(shots):
    assert refused(Recording(), QdiffError, shots=shots) == (
        f"The number of shots must be a positive integer, got {shots!r}."
    )


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"seed": 0}, "seed"),
        ({"estimator": "trajectory"}, "estimator"),
        ({"estimator": Trajectory()}, "estimator"),
        ({"backend": "merged"}, "backend"),
        ({"common_random_numbers": True}, "common_random_numbers"),
        ({"assume_finite": True}, "assume_finite"),
    ],
)
def test_what_means_nothing_without_shots(options, name):
    expected = f"{name}= belongs to shots=: without it values and gradients are exact."
    assert refused(Recording(), **options) == expected
    assert refused(lambda x: (x @ x, 2 * x), x0=[1.0], **options) == expected


def test_other_bad_input_leaves_no_log(loop, tmp_path):
    options = {"shots": 100, "estimator": "trajectory", "log": tmp_path / "run.jsonl", "progress": True}
    known = ", ".join(METHODS)
    assert refused(loop, QdiffError, **options | {"estimator": "exact"}).startswith(
        f"There is no estimator 'exact'. Known: {known}."
    )
    assert refused(loop, BackendError, **options, backend=Plain()).startswith(
        'Runs of backend `trajectory` carry no derivatives, which estimator "trajectory" needs'
    )
    assert refused(loop, BackendError, **options, backend="aer").startswith("There is no backend `aer`.")
    assert refused(loop, QdiffError, **options, seed=-1).startswith(
        "The seed must be an integer from 0 to 2^64 - 1, or None to draw one, got -1."
    )
    assert refused(loop, ParameterError, x0={"t": 1.0}, **options).startswith("Parameter values: no value")
    assert refused(loop, ParameterError, wrt="x", **options).startswith("wrt: 'x' is not a parameter.")
    flip = qd.expectation(qd.parse("qubit: q para: p if flip(p) then X[q] fi"), "Z[q]")
    assert "the probability `p` is 1.5" in refused(flip, QdiffError, x0=[1.5], **options)
    assert not list(tmp_path.iterdir())


def test_a_start_that_is_refused_shows_no_bar(capsys):
    flip = qd.expectation(qd.parse("qubit: q para: p if flip(p) then X[q] fi"), "Z[q]")
    for options in ({}, {"shots": 100, "estimator": "trajectory"}):
        refused(flip, QdiffError, x0=[1.5], progress=True, **options)
        assert capsys.readouterr() == ("", "")


def test_occurrences_without_end(tmp_path):
    fair = "qubit: q para: t count: c c := 1; while c > 0 do H[q]; Ry(t)[q]; if M[q] = 1 then c := c + 1 else"
    f = qd.expectation(qd.parse(f"{fair} c := c - 1 fi; q := |0> od"), "Z[q]")
    log = tmp_path / "run.jsonl"
    options = {"x0": [0.0], "shots": 100, "estimator": "trajectory", "log": log}
    assert refused(f, QdiffError, **options).endswith("say assume_finite=True.")
    assert not log.exists()
    short = TrajectoryBackend(step_limit=200)
    found = minimize(f, [0.0], steps=1, shots=40, estimator="trajectory", assume_finite=True, backend=short)
    assert found.steps == 1
