"""Hessians and their products with vectors from shots: unbiased, calibrated, spent to the last shot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from estimators.honesty import LARGEST_MEAN, LARGEST_SPREAD, SINGLE, SUBJECTS, errors

import qdiff as qd
from qdiff.errors import EvaluationError, QdiffError
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.second_order import draws, rounds
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Capabilities, Job, Outcomes, Prepared, Readout

CASES = {
    case["name"]: case
    for case in json.loads((Path(__file__).parents[2] / "reference" / "cases.json").read_text())
}
AT = {
    "geometric": ["t"],
    "conditions": ["t"],
    "bounded_aborts": ["t"],
    "sign_cancels": ["a"],
    "repeat_until_success": ["t1", "t2"],
    "static_vqe": ["w[0]", "w[1]", "w[5]"],
    "multi_outcome_case": ["w"],
    "nested_loops": ["a", "b"],
    "all_parametrised_gates": ["t", "u"],
    "amplitude_amplification_10": ["t"],
    "quantum_walk_at_2": ["t1"],
    "flip_loop": ["p", "t"],
}


def of(text: str, observable: str) -> qd.Objective:
    return qd.expectation(qd.parse(text), observable)


def many(found: Sequence[Estimate], shots: int) -> tuple[np.ndarray, np.ndarray]:
    """Values (number, D) and covariances (number, D, D)."""
    assert all(one.shots == shots and one.bias_bound == 0 for one in found)
    return np.array([np.ravel(one.value) for one in found]), np.array([one.covariance for one in found])


def assert_honest(found: Sequence[Estimate], shots: int, exact: np.ndarray) -> None:
    off, wrong = errors(*many(found, shots), exact.ravel())
    assert np.all(np.abs(off) < LARGEST_MEAN), f"the mean is off by {off} standard errors"
    assert np.all(np.abs(wrong) < LARGEST_SPREAD), f"the claimed variance is off by {wrong} standard errors"


# --- Unbiased and calibrated ---------------------------------------------------------------------

HONEST = [
    ("geometric loop", 400, {}),
    ("geometric loop", 40, {}),
    ("aborts", 400, {}),
    ("flips", 400, {}),
    ("array", 400, {}),
    ("bounded loop", 600, {"rule": "hadamard"}),
    ("U gates", 300, {"rule": "shift-paper"}),
    ("no loop", 100, {"rule": "commutator"}),
    ("no loop", 2000, {}),
]


@pytest.mark.parametrize(
    ("name", "shots", "options"), HONEST, ids=[f"{name}, {shots}, {o}" for name, shots, o in HONEST]
)
def test_hessians_are_unbiased_and_calibrated(name: str, shots: int, options: dict[str, Any]) -> None:
    f, x = SUBJECTS[name]()
    found = [f.estimate_hessian(x, shots=shots, seed=s, backend=SINGLE, **options) for s in range(60)]
    assert_honest(found, shots, f.hessian(x))


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("qubit: q para: p, z count: n while flip(p) do n++ od; if flip(z) then n := 2*n fi", [0.5, 0.3]),
        ("qubit: q para: p, z count: n if flip(z) then n := 2 fi; while flip(p) do n++ od", [0.5, 0.3]),
        (
            "qubit: q, r para: p, z count: n"
            " Ry(p)[q]; while M[q] = 0 do Ry(p)[q]; n++ od; Ry(z)[r]; if M[r] = 1 then n := 2*n fi",
            [2.2, 0.7],
        ),
    ],
    ids=["flips, behind", "flips, before", "gates, behind"],
)
def test_pairs_inside_and_outside_of_a_loop(text: str, x: list[float]) -> None:
    """The occurrence outside has any number behind a loop: it is not taken for one that never happens."""
    f = of(text, "n")
    found = [f.estimate_hessian(x, shots=2000, seed=s, backend=SINGLE) for s in range(40)]
    assert_honest(found, 2000, f.hessian(x))
    assert np.mean([one.stderr[0, 1] == 0 for one in found]) < 0.1


@pytest.mark.parametrize(("name", "v"), [("groups", [1.0, -0.4]), ("no loop", [0.0, 2.0])])
def test_products_are_unbiased_and_calibrated(name: str, v: list[float]) -> None:
    f, x = SUBJECTS[name]()
    found = [f.estimate_hvp(x, v, shots=400, seed=s, backend=SINGLE) for s in range(60)]
    assert_honest(found, 400, f.hvp(x, v))


@pytest.mark.parametrize("name", AT)
def test_reference_cases(name: str) -> None:
    case = CASES[name]
    f = of(case["program"], case["observable"])
    exact = f.hessian(case["params"], AT[name])
    for seed in (1, 2):
        found = f.estimate_hessian(case["params"], AT[name], shots=4000, seed=seed)
        apart = np.abs(found.value - exact)
        assert np.all(apart <= 4.5 * np.asarray(found.stderr) + 1e-9)


def test_a_baseline_that_knows_the_replacement_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    f, x = SUBJECTS["no loop"]()
    whole = draws.Drawing.draws

    def wrong(self: draws.Drawing, *arguments: Any) -> draws.Draws:
        found = whole(self, *arguments)
        return replace(found, baselines=found.baselines + 2.0 * found.way)

    monkeypatch.setattr(draws.Drawing, "draws", wrong)
    found = [f.estimate_hessian(x, shots=400, seed=s, backend=SINGLE) for s in range(60)]
    off, _ = errors(*many(found, 400), f.hessian(x).ravel())
    assert np.max(np.abs(off)) > 2 * LARGEST_MEAN


def test_a_lost_order_of_the_pair_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    f = of("qubit: q para: t Ry(t)[q]; Ry(t)[q]", "Z[q]")
    whole = draws.Drawing.draws

    def wrong(self: draws.Drawing, *arguments: Any) -> draws.Draws:
        found = whole(self, *arguments)
        return replace(found, scale=np.where(found.k < found.l, 1.0, found.scale))

    for caught in (False, True):
        found = [f.estimate_hessian([0.4], shots=100, seed=s, backend=SINGLE) for s in range(60)]
        off, _ = errors(*many(found, 100), f.hessian([0.4]).ravel())
        assert abs(off[0]) > 2 * LARGEST_MEAN if caught else abs(off[0]) < LARGEST_MEAN
        monkeypatch.setattr(draws.Drawing, "draws", wrong)


def test_the_chain_rule_has_a_curvature() -> None:
    f = of("qubit: q para: t Ry(t*t)[q]; Rx(sin(t))[q]", "Z[q]")
    for t in (0.0, 0.9):
        found = f.estimate_hessian([t], shots=4000, seed=3)
        assert abs(found.value - f.hessian([t])) <= 4.5 * found.stderr
        assert found.stderr < 0.2


def test_strata_do_better_than_equal_shares_of_shifted_runs() -> None:
    """The shift rule by hand: four evaluations an entry off the diagonal and two on it, with equal shots."""
    case = CASES["static_vqe"]
    f = of(case["program"], "Z[q[0]]*Z[q[1]] + Z[q[1]]*Z[q[2]]")  # read together
    wrt = ["w[0]", "w[1]", "w[5]"]
    variance = f.variance
    x = dict(zip(f.program.trainable, case["params"]["w"], strict=True))
    by_hand = 0.0
    for a, first in enumerate(wrt):
        for second in wrt[a:]:
            moves = (
                [{first: np.pi}, {}]
                if first == second
                else [{first: s * np.pi / 2, second: r * np.pi / 2} for s in (1, -1) for r in (1, -1)]
            )
            sizes = 1 / len(moves)
            spread = sum(variance({p: x[p] + move.get(p, 0) for p in x}) for move in moves)
            # 6 entries share the shots, and those off the diagonal stand twice in the result.
            by_hand += (1 + (first != second)) * sizes**2 * spread * 6 * len(moves)
    ours = np.mean([np.sum(f.estimate_hessian(x, wrt, shots=6000, seed=s).stderr ** 2) for s in range(3)])
    assert ours * 6000 < 1.1 * by_hand


# --- The result ----------------------------------------------------------------------------------


def test_a_hessian_is_symmetric_and_the_copies_of_an_entry_vary_together() -> None:
    f, x = SUBJECTS["no loop"]()
    found = f.estimate_hessian(x, shots=500, seed=4)
    assert found.value.shape == found.stderr.shape == (2, 2)
    np.testing.assert_array_equal(found.value, found.value.T)
    c = found.covariance
    assert c[1, 2] == c[1, 1] == c[2, 2] > 0
    assert c[0, 1] == c[0, 3] == c[1, 3] == 0
    np.testing.assert_allclose(found.stderr.ravel() ** 2, np.diag(c))
    assert (found.estimator, found.seed, found.learned) == ("second-order", 4, None)
    low, high = found.interval(0.9)
    assert low.shape == (2, 2)
    assert np.all(low < high)


def test_components_of_a_product_vary_together() -> None:
    f, x = SUBJECTS["no loop"]()
    v = np.array([0.7, -1.5])
    found = f.estimate_hvp(x, v, shots=900, seed=4)
    assert found.value.shape == (2,)
    # H_tu is in both: v_u H_tu in the first, v_t H_tu in the second.
    between = found.covariance[0, 1] / (v[0] * v[1])
    assert between > 0
    assert found.covariance[0, 0] > v[1] ** 2 * between
    every = [f.estimate_hvp(x, v, shots=60, seed=s, backend=SINGLE) for s in range(150)]
    values = np.array([one.value for one in every])
    claimed = np.mean([one.covariance for one in every], axis=0)
    seen = np.corrcoef(values.T)[0, 1]
    assert seen == pytest.approx(claimed[0, 1] / np.sqrt(claimed[0, 0] * claimed[1, 1]), abs=4 / np.sqrt(150))
    assert seen < -0.2


def test_what_cannot_depend_is_exactly_zero_and_takes_no_shots() -> None:
    f = of("qubit: q, r para: p, t, u if flip(p) then X[q] fi; Ry(t)[q]; Ry(u - u)[r]", "Z[q]")
    x = {"p": 0.3, "t": 0.8, "u": 0.2}
    backend = Counted()
    found = f.estimate_hessian(x, shots=600, seed=1, backend=backend)
    exact = f.hessian(x)
    assert np.all(found.value[[0, 2, 0, 2], [0, 2, 2, 0]] == 0)  # flips are linear; u cancels
    assert np.all(found.stderr[2] == 0)
    assert found.reason == ""
    assert np.all(np.abs(found.value - exact) <= 4.5 * found.stderr + 1e-12)
    assert backend.shots == found.shots == 600
    for nothing in (
        f.estimate_hessian(x, "p", shots=50),
        f.estimate_hessian(x, ["p", "u"], shots=50),
        f.estimate_hvp(x, [0, 0, 3.0], shots=50),
        f.estimate_hvp(x, [0, 0, 0], shots=50),
    ):
        assert (nothing.shots, nothing.reason) == (0, "")
        assert not np.any(nothing.value)
        assert not np.any(nothing.stderr)


def test_coefficients_that_vanish_here_leave_what_is_left() -> None:
    """At t = 0 the slope of t*t is 0, and only its curvature counts."""
    f = of("qubit: q para: t Ry(t*t + 1)[q]; Rx(t*t)[q]", "Z[q]")
    backend = Counted()
    found = f.estimate_hessian([0.0], shots=1000, seed=2, backend=backend)
    assert abs(found.value - f.hessian([0.0])) <= 4.5 * found.stderr
    assert {int(k) for inputs in backend.inputs for k in np.unique(inputs[0] - inputs[2])} == {0}


# --- Budgets, seeds, executors, backends ---------------------------------------------------------


class Counted:
    """The simulator, counting."""

    name = "trajectory"

    def __init__(self, capabilities: Capabilities = TrajectoryBackend.capabilities) -> None:
        self.inner = TrajectoryBackend(threads=1)
        self.capabilities = capabilities
        self.shots = 0
        self.inputs: list[tuple[np.ndarray, ...]] = []

    @property
    def step_limit(self) -> int:
        return self.inner.step_limit

    def prepare(self, program: qd.Program, readout: Readout) -> Prepared:
        return self.inner.prepare(program, readout)

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        self.shots += sum(job.shots for job in jobs)
        self.inputs += [tuple(np.asarray(each) for each in job.inputs.values()) for job in jobs]
        return self.inner.run(jobs)


@pytest.mark.parametrize("shots", [18, 100, 1777])
@pytest.mark.parametrize("name", ["groups", "no loop"])
def test_every_shot_is_spent_and_counted(name: str, shots: int) -> None:
    f, x = SUBJECTS[name]()
    backend = Counted()
    assert f.estimate_hessian(x, shots=shots, seed=1, backend=backend).shots == shots == backend.shots


def test_a_precision_is_reached_in_rounds_and_lessons_are_kept() -> None:
    f, x = SUBJECTS["no loop"]()
    found = f.estimate_hessian(x, precision=0.03, seed=5)
    assert found.reached
    assert found.stderr.max() <= 0.03
    assert len(found.course) > 1
    assert np.all(np.abs(found.value - f.hessian(x)) <= 4.5 * found.stderr)
    short = f.estimate_hvp(x, [1, 0], precision=1e-3, max_shots=3000, seed=5)
    assert (short.reached, short.shots) == (False, 3000)
    assert "precision 0.001 was not reached" in short.note
    assert f.estimate_hessian(x, "t", seconds=0.05, seed=5).shots >= 2000


def test_seeds_repeat_and_differ() -> None:
    f, x = SUBJECTS["groups"]()
    first, again, other = (f.estimate_hessian(x, shots=500, seed=s).value for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert f.estimate_hessian(x, shots=100).seed != f.estimate_hessian(x, shots=100).seed


def test_workers_and_backends_without_inputs_by_shot_give_the_same_kind_of_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    f, x = SUBJECTS["no loop"]()
    monkeypatch.setattr("qdiff.estimators.second_order.runs.BLOCK", 50)
    here = f.estimate_hessian(x, shots=700, seed=3)
    with ThreadPoolExecutor(2) as pool:
        there = f.estimate_hessian(x, shots=700, seed=3, executor=pool)
    np.testing.assert_array_equal(here.value, there.value)
    np.testing.assert_array_equal(here.covariance, there.covariance)
    plain = Counted(replace(TrajectoryBackend.capabilities, inputs_by_shot=False))
    found = f.estimate_hessian(x, shots=700, seed=3, backend=plain)
    assert np.all(np.abs(found.value - f.hessian(x)) <= 4.5 * found.stderr)
    assert plain.shots == 700


def test_cut_runs_are_reported() -> None:
    f = of("qubit: q para: t Ry(t)[q]; if M[q] = 1 then while flip(1) do skip od fi", "Z[q]")
    found = f.estimate_hessian([1.0], shots=60, seed=1, backend=TrajectoryBackend(step_limit=50))
    assert found.bias_bound == np.inf
    assert "runs were cut by the backend's step limit" in found.reason


def test_occurrences_beyond_the_grid_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    f, x = SUBJECTS["geometric loop"]()
    monkeypatch.setattr(rounds, "GRID", 3)
    found = [f.estimate_hessian(x, shots=600, seed=s, backend=SINGLE) for s in range(60)]
    assert_honest(found, 600, f.hessian(x))
    long = of("qubit: q para: t, u " + "Ry(t)[q]; Rx(u)[q]; " * 4, "Z[q]")
    found = [long.estimate_hessian([0.3, 0.2], shots=600, seed=s, backend=SINGLE) for s in range(60)]
    assert_honest(found, 600, long.hessian([0.3, 0.2]))


# --- Bad input -----------------------------------------------------------------------------------


def test_refusals() -> None:
    f, x = SUBJECTS["no loop"]()
    with pytest.raises(QdiffError) as caught:
        f.estimate_hessian(x, shots=3)
    assert str(caught.value) == (
        '3 shots are too few: the estimator "second-order" needs at least 6 here. Use shots=6 or more.'
    )
    with pytest.raises(QdiffError, match=r"^An estimate needs a budget: shots=10_000"):
        f.estimate_hvp(x, [1, 1])
    with pytest.raises(QdiffError, match=r"^shots must be a positive integer, got 0\.$"):
        f.estimate_hessian(x, shots=0)
    with pytest.raises(QdiffError, match=r"There is no rule 'shft'.*Did you mean `shift`"):
        f.estimate_hessian(x, shots=100, rule="shft")
    with pytest.raises(QdiffError, match=r"The rule `riesz` has infinitely many terms"):
        f.estimate_hessian(x, shots=100, rule="riesz")
    with pytest.raises(TypeError, match="estimator"):
        f.estimate_hessian(x, shots=100, estimator="trajectory")  # type: ignore[call-arg]
    with pytest.raises(QdiffError, match=r"is not the mean of anything that a shot shows"):
        f.variance.estimate_hessian(x, shots=100)
    with pytest.raises(EvaluationError, match="has no value"):
        of("qubit: q para: t Ry(sqrt(t))[q]", "Z[q]").estimate_hessian([0.0], shots=100)


def test_too_many_parameters() -> None:
    f = of("qubit: q para: w[51] for i in 0..50 do Ry(w[i])[q] od", "Z[q]")
    x = {"w": [0.1] * 51}
    with pytest.raises(qd.QdiffError) as caught:
        f.estimate_hessian(x, shots=10_000)
    assert str(caught.value) == (
        "A Hessian by 51 parameters has 1326 entries with runs of their own, and a covariance with 6765201 "
        "numbers; 50 parameters are the most. Name some with wrt=, or take f.estimate_hvp(params, v)."
    )
    v = np.zeros(51)
    v[:1] = 1
    found = f.estimate_hvp(x, v, shots=3000, seed=1)
    assert np.all(np.abs(found.value - f.hvp(x, v)) <= 5 * found.stderr)


def test_endless_occurrences() -> None:
    f = of("qubit: q para: t Ry(t)[q]; if M[q] = 1 then while flip(1) do Ry(t)[q] od fi", "Z[q]")
    with pytest.raises(QdiffError, match=r"with `t` that a run executes is infinite: a run never ends"):
        f.estimate_hvp([1.0], [1.0], shots=100)
    backend = TrajectoryBackend(step_limit=100)
    found = f.estimate_hvp([1.0], [1.0], shots=100, seed=1, assume_finite=True, backend=backend)
    assert found.bias_bound == np.inf


def test_too_few_runs_to_know_how_many_occurrences_there_are() -> None:
    f = of("qubit: q para: t count: c Ry(t)[q]; while M[q] = 1 do c++; q := |0>; Ry(t)[q] od", "c")
    few, enough = (f.estimate_hessian([1.2], shots=n, seed=1, backend=SINGLE).reason for n in (200, 4000))
    assert few.startswith("8 pilot runs are too few to show how many occurrences there are: use more shots")
    assert "pilot runs" not in enough
