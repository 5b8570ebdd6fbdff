"""Stratified insertion: unbiased and calibrated, control variates that pay, warm starts, what it refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from estimators.honesty import (
    RULES,
    SINGLE,
    SUBJECTS,
    assert_honest,
    errors,
    looped,
    noisy,
    one_error,
    repeated,
)

import qdiff as qd
from qdiff.errors import QdiffError
from qdiff.estimators import stratified
from qdiff.estimators.lessons import Lesson
from qdiff.sim.machine.backend import TrajectoryBackend

HONEST = [
    ("geometric loop", {}, 400),
    ("geometric loop", {"control": None}, 400),
    ("geometric loop", {}, 2),
    ("geometric loop", {"pilot": 0.99}, 100),
    ("nested loops", {}, 200),
    ("nested loops", {"control": "constant"}, 600),
    ("aborts", {}, 400),
    ("aborts", {"control": "constant", "rule": "hadamard"}, 400),
    ("groups", {}, 30),
    ("counters in angles", {"rule": "commutator"}, 300),
    ("array", {}, 300),
    ("array", {"rule": "shift-paper"}, 8),
    ("flips", {}, 400),
    ("flips", {"control": None}, 8),
    ("channels", {}, 300),
    ("U gates", {"rule": "shift-paper"}, 200),
    ("U gates", {}, 50),
    ("bounded loop", {"rule": "riesz"}, 300),
    ("no loop", {}, 100),
]


@pytest.mark.parametrize(("name", "options", "shots"), HONEST, ids=[f"{n}, {o}, {s}" for n, o, s in HONEST])
def test_unbiased_and_calibrated(name: str, options: dict[str, Any], shots: int) -> None:
    f, x = SUBJECTS[name]()
    assert_honest(f, x, shots=shots, estimator=qd.Stratified(**options))


def test_a_baseline_that_aborted_runs_do_not_subtract_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """b cancels only in the mean over all runs that came to the occurrence, those that abort later too."""
    f, x = SUBJECTS["aborts"]()
    estimator = qd.Stratified(control="constant")
    made = stratified.made

    def wrong(part: Any, channel: Any, design: Any, seed: int, fit: bool = False) -> Any:
        with monkeypatch.context() as patch:
            run = part.runs.run

            def dropped(blocks: Any) -> Any:
                for rows in run(blocks):
                    rows.weights[rows.values[:, 0] == 0] = 0.0  # here o > 0 unless a run aborts
                    yield rows

            patch.setattr(part.runs, "run", dropped)
            return made(part, channel, design, seed, fit)

    monkeypatch.setattr(stratified, "made", wrong)
    off, _ = errors(*repeated(f, x, 100, shots=400, estimator=estimator), f.grad(x))
    assert abs(off[0]) > 6


# --- Rules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "gate"), RULES)
def test_every_rule(rule: str, gate: str) -> None:
    """Rules with more than eight terms, and infinite ones, draw the term in each run."""
    f = looped(gate)
    for control in ("history", None):
        estimator = qd.Stratified(rule=rule, control=control)  # type: ignore[arg-type]
        assert abs(one_error(f, [0.8], shots=6000, seed=3, estimator=estimator)[0]) < 4.5


def test_sites_with_different_rules() -> None:
    """An infinite rule at one site, flips and channels with their own at others, all by one parameter."""
    f = qd.expectation(
        qd.parse(
            "qubit: q, r para: t count: c H[q]; while M[q] = 1 do c++; Ry(t)[r]; C_Ry(t)[r][q]; "
            "damp(t/3)[r]; if flip(t/2) then X[r] fi; q := |0>; H[q] od"
        ),
        "Z[r] + c",
    )
    for rule in ("shift", "riesz"):
        assert_honest(f, [0.6], number=50, shots=500, estimator=qd.Stratified(rule=rule))


def test_read_out_errors_and_noise() -> None:
    assert_honest(noisy(), {"t": 1.2}, shots=200)


def test_many_parameters() -> None:
    gates = "; ".join(f"Ry(w[{i}])[q]; Rz(w[{i}])[r]; CNOT[q, r]" for i in range(12))
    f = qd.expectation(qd.parse(f"qubit: q, r para: w[12] {gates}"), "Z[q] + X[r]")
    x = {"w": np.linspace(-1, 2, 12)}
    values, claimed = repeated(f, x, 50, shots=600)
    off, wrong = errors(values, claimed, f.grad(x))
    assert np.all(np.abs(off) < 4.5)
    assert np.all(np.abs(wrong) < 5)
    assert 0.6 < np.mean(off**2) < 1.8


def test_several_observables_share_their_shots() -> None:
    f, x = SUBJECTS["nested loops"]()
    several = qd.expectation(f.program, ["c", "Z[s]", "c + Z[s]"])
    found = several.estimate_jacobian(
        x, shots=3000, seed=1, estimator=qd.Stratified(control=None), backend=SINGLE
    )
    assert found.shots == 3000
    assert found.value.shape == (3, 2)
    np.testing.assert_allclose(found.value[0] + found.value[1], found.value[2], atol=1e-9)
    add = np.kron(np.array([[1, 1, -1]]), np.eye(2))
    np.testing.assert_allclose(add @ found.covariance @ add.T, np.zeros((2, 2)), atol=1e-9)
    off = (found.value - several.jacobian(x)) / found.stderr
    assert np.all(np.abs(off) < 4.5)


# --- Control variates ------------------------------------------------------------------------------------


def variance(f: qd.Objective, x: object, control: Any) -> float:
    """Of one shot, from an honest estimate."""
    found = f.estimate_grad(x, shots=20_000, seed=2, estimator=qd.Stratified(control=control), backend=SINGLE)
    assert abs(found.value[0] - f.grad(x)[0]) < 4.5 * found.stderr[0]
    return float(found.stderr[0] ** 2 * found.shots)


def test_constants_pay() -> None:
    f = qd.expectation(SUBJECTS["aborts"]()[0].program, "c + 10")
    assert variance(f, {"t": 1.2}, "constant") < variance(f, {"t": 1.2}, None) / 2


def test_counters_before_the_occurrence_pay() -> None:
    """What was counted before the gate is most of what is read; no constant knows it."""
    program = qd.parse(
        "qubit: q para: t count: c, i while i < 6 do if flip(0.5) then c := c + 1 fi; i := i + 1 od; "
        "while M[q] = 0 do if flip(0.5) then c := c + 1 fi; Ry(t)[q] od"
    )
    f = qd.expectation(program, "10*c + Z[q]")
    x = {"t": 2.0}
    history, constant = (variance(f, x, control) for control in ("history", "constant"))
    assert history < constant / 3
    for control in ("history", "constant"):
        estimator = qd.Stratified(control=control)  # type: ignore[arg-type]
        assert_honest(f, x, number=60, shots=1500, estimator=estimator)


def test_counters_that_explain_nothing_are_left_alone() -> None:
    program = qd.parse(
        "qubit: q para: t count: c, i while i < 4 do if flip(0.5) then c := c + 1 fi; i := i + 1 od; Ry(t)[q]"
    )
    f = qd.expectation(program, "Z[q]")
    options = {"shots": 5000, "seed": 1, "backend": SINGLE}
    found = [
        f.estimate_grad([1.1], estimator=qd.Stratified(control=control), **options)  # type: ignore[arg-type]
        for control in ("history", "constant")
    ]
    assert found[0].value == found[1].value
    [lesson] = found[0].learned  # type: ignore[misc]
    assert not lesson.slopes.size


# --- What is reported --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shots", [4, 31, 3000])
def test_contributions_add_up(shots: int) -> None:
    f, x = SUBJECTS["groups"]()
    if shots == 4:
        f = qd.expectation(f.program, "Z[r] + c")
    found = f.estimate_grad(x, shots=shots, seed=3, backend=SINGLE)
    pilot = int(0.1 * shots) if shots == 3000 else 0
    assert sum(int(each.shots.sum()) for each in found.contributions) + pilot == found.shots == shots
    for place, (value, stderr) in enumerate(zip(found.value, found.stderr, strict=True)):
        own = [each for each in found.contributions if each.place == place]
        assert sum(each.value.sum() for each in own) == pytest.approx(value)
        assert sum((each.stderr**2).sum() for each in own) == pytest.approx(stderr**2)
    assert found.covariance is not None
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), found.stderr)


def test_parameters_have_runs_of_their_own() -> None:
    f, x = SUBJECTS["channels"]()
    found = f.estimate_grad(x, shots=3000, seed=3, backend=SINGLE)
    assert found.covariance is not None
    np.testing.assert_array_equal(found.covariance, np.diag(np.diag(found.covariance)))


def test_shots_go_where_the_error_is() -> None:
    """By t runs count five times as much as by u."""
    f = qd.expectation(qd.parse("qubit: q, r para: t, u Ry(5*t)[q]; Ry(u)[r]"), "Z[q] + Z[r]")
    found = f.estimate_grad([1.2, 0.5], shots=4000, seed=1, backend=SINGLE)
    of_t, of_u = (sum(int(e.shots.sum()) for e in found.contributions if e.place == i) for i in (0, 1))
    assert of_t > 3 * of_u


def test_runs_that_show_no_difference_are_not_trusted() -> None:
    f = qd.expectation(qd.parse("qubit: q, r para: t Rz(t)[r]; while M[q] = 1 do Ry(t)[q] od"), "Z[r]")
    found = f.estimate_grad([1.0], shots=2000, seed=1, backend=SINGLE)
    assert (found.value.tolist(), found.stderr.tolist()) == ([0], [0])
    assert found.reason == "runs that show no difference at all say nothing of their error"


def test_seeds() -> None:
    f, x = SUBJECTS["groups"]()
    for shots in (20, 1000):
        one, again, other = (f.estimate_grad(x, shots=shots, seed=s, backend=SINGLE) for s in (1, 1, 2))
        assert one.value.tolist() == again.value.tolist()
        assert one.stderr.tolist() == again.stderr.tolist()
        assert one.value.tolist() != other.value.tolist()
    drawn = f.estimate_grad(x, shots=500, backend=SINGLE)
    again = f.estimate_grad(x, shots=500, seed=drawn.seed, backend=SINGLE)
    assert again.value.tolist() == drawn.value.tolist()


def test_other_backends_and_runs_that_are_cut() -> None:
    f, x = SUBJECTS["aborts"]()
    assert abs(one_error(f, x, shots=2000, seed=4, backend="merged")[0]) < 4.5
    cut = f.estimate_grad(x, shots=2000, seed=4, backend=TrajectoryBackend(threads=1, step_limit=15))
    assert cut.bias_bound == np.inf
    assert "cut by the backend's step limit" in cut.reason
    assert not cut.interval_trusted


# --- Warm starts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("control", ["history", "constant", None])
def test_a_warm_start_needs_no_replaced_pilot(control: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f, x = SUBJECTS["nested loops"]()
    earlier = f.estimate_grad(x, shots=3000, seed=1, backend=SINGLE)
    estimator = qd.Stratified(control=control)
    close = {"t": x["t"] + 0.1, "u": x["u"] - 0.1}
    cold = f.estimate_grad(close, shots=2000, seed=5, estimator=estimator, backend=SINGLE)
    monkeypatch.setattr(stratified.StratifiedRounds, "_piloted", None)
    warm = f.estimate_grad(close, shots=2000, seed=5, estimator=estimator, backend=SINGLE, warm=earlier)
    assert sum(int(each.shots.sum()) for each in cold.contributions) == 1800
    assert sum(int(each.shots.sum()) for each in warm.contributions) == 1900
    assert warm.shots == 2000  # a twentieth looks at how many occurrences there are
    if control == "constant":
        assert_honest(f, close, number=60, shots=100, estimator=estimator, warm=earlier)
    if control is None:
        assert all(isinstance(each, Lesson) and not each.slopes.size for each in warm.learned)  # type: ignore[attr-defined]


def test_warm_starts_that_do_not_fit() -> None:
    f, x = SUBJECTS["nested loops"]()
    earlier = f.estimate_grad(x, shots=3000, seed=1, backend=SINGLE)
    others = [
        (qd.expectation(f.program, "Z[s]"), {}),  # another number of groups
        (f, {"estimator": qd.Stratified(rule="hadamard")}),  # other terms
        (qd.expectation(f.program, ["c", "Z[s]"])[0], {}),
    ]
    for g, options in others:
        with pytest.raises(QdiffError) as caught:
            g.estimate_grad(x, shots=100, warm=earlier, **options)
        assert str(caught.value) == (
            "warm is an estimate of other derivatives: it has learned nothing about these."
        )


def test_a_warm_start_from_other_counters_does_not_fit() -> None:
    text = (
        "qubit: q para: t count: {} while i < 6 do if flip(0.5) then c := c + 1 fi; i := i + 1 od; Ry(t)[q]"
    )
    f = qd.expectation(qd.parse(text.format("c, i")), "10*c + Z[q]")
    g = qd.expectation(
        qd.parse(text.format("c, i, d").replace("i := i + 1", "d := d + c; i := i + 1")), "d + Z[q]"
    )
    earlier = f.estimate_grad([1.1], shots=3000, seed=1, backend=SINGLE)
    with pytest.raises(QdiffError, match=r"^warm is an estimate of other derivatives"):
        g.estimate_grad([1.1], shots=3000, warm=earlier)


# --- Bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"control": "histroy"}, 'control is "history", "constant" or None, not \'histroy\'.'),
        ({"pilot": 0}, "pilot is a share between 0 and 1, got 0."),
        ({"pilot": 1.0}, "pilot is a share between 0 and 1, got 1.0."),
        ({"pilot": "a tenth"}, "pilot is a share between 0 and 1, got 'a tenth'."),
        ({"pilot": float("nan")}, "pilot is a share between 0 and 1, got nan."),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        qd.Stratified(**options)
    assert str(caught.value) == message


def test_rules_that_do_not_exist_or_apply() -> None:
    with pytest.raises(QdiffError, match="There is no rule"):
        qd.Stratified(rule="shifty")
    f = qd.expectation(qd.parse("qubit: q, r para: t Ry(1)[q]; C_Ry(t)[q][r]"), "Z[r]")
    with pytest.raises(QdiffError, match="hadamard"):
        f.estimate_grad([0.3], shots=100, estimator=qd.Stratified(rule="hadamard"))


# --- What a pilot has not seen -----------------------------------------------------------------------------

LOOP = qd.expectation(
    qd.parse("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od"), "c"
)
RARE = qd.expectation(
    qd.parse(
        "qubit: q para: t count: c Ry(t)[q];"
        "if flip(0.001) then q := |0>; Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od fi"
    ),
    "c + Z[q]",
)


def trusted_and_wrong(f: qd.Objective, x: list[float], found: Sequence[qd.Estimate]) -> float:
    """The share of estimates that are trusted and whose interval does not hold the derivative."""
    exact = f.grad(x)
    missed = [not np.all((e.interval()[0] <= exact) & (exact <= e.interval()[1])) for e in found]
    return float(np.mean([e.interval_trusted and miss for e, miss in zip(found, missed, strict=True)]))


@pytest.mark.parametrize("shots", [17, 50, 200])
def test_too_few_runs_to_know_how_many_occurrences_there_are(shots: int) -> None:
    found = [LOOP.estimate_grad([1.2], shots=shots, seed=s, backend=SINGLE) for s in range(20)]
    assert not any(each.interval_trusted for each in found)
    pilot = shots // 20 if shots >= 80 else 0
    assert found[0].reason.startswith(f"{pilot} pilot runs are too few to show how many occurrences ")
    assert "of `t` there are: use 400 shots or more" in found[0].reason
    assert LOOP.estimate_grad([1.2], shots=4000, seed=1, backend=SINGLE).interval_trusted


@pytest.mark.parametrize("estimator", ["stratified", "insertion"])
def test_a_rare_branch_is_not_taken_for_none(estimator: str) -> None:
    """What most estimates do not see at all carries a tenth of the derivative."""
    options: dict[str, Any] = {"shots": 10_000, "estimator": estimator, "backend": SINGLE}
    found = [RARE.estimate_grad([2.6], seed=s, **options) for s in range(60)]
    assert trusted_and_wrong(RARE, [2.6], found) < 0.1
    assert np.mean([each.interval_trusted for each in found]) < 0.5


def test_all_pilot_runs_alike() -> None:
    f = qd.expectation(
        qd.parse("qubit: q para: t count: c while c < 3 do c++; q := |0>; Ry(t)[q] od"), "Z[q]"
    )
    few, many = (f.estimate_grad([1.2], shots=n, seed=1, backend=SINGLE) for n in (1000, 200_000))
    assert few.reason.startswith("all of 50 pilot runs had equally many occurrences of `t`: one that has ")
    assert many.interval_trusted


def test_few_longer_runs() -> None:
    found = LOOP.estimate_grad([0.5], shots=1000, seed=1, backend=SINGLE)
    assert re.search(r"^only \d of 50 pilot runs had more occurrences of `t` than others, 10 ", found.reason)


@pytest.mark.parametrize("shots", [10, 1000])
def test_a_warm_start_from_far_away(shots: int) -> None:
    """From an estimate without a pilot, or from where runs are short: occurrences are looked at again."""
    far = LOOP.estimate_grad([0.3], shots=shots, seed=9, backend=SINGLE)
    found = [LOOP.estimate_grad([2.0], shots=4000, seed=s, backend=SINGLE, warm=far) for s in range(40)]
    cold = [LOOP.estimate_grad([2.0], shots=4000, seed=s, backend=SINGLE) for s in range(40)]
    spread, usual = (np.std([each.value[0] for each in some]) for some in (found, cold))
    assert spread < 2 * usual
    assert trusted_and_wrong(LOOP, [2.0], found) < 0.15


def test_a_chain_of_warm_starts_follows_the_occurrences() -> None:
    wrong = []
    for r in range(12):
        warm = None
        for i, t in enumerate(np.linspace(0.3, 2.4, 12)):
            warm = LOOP.estimate_grad([t], shots=1000, seed=100 * r + i, backend=SINGLE, warm=warm)
        wrong.append(warm)
    assert trusted_and_wrong(LOOP, [2.4], wrong) < 0.3
    assert np.std([each.value[0] for each in wrong]) < 8  # 4.2 without the chain; 40 with the first table
