"""The gradient from trajectories: leave-one-out exactly, means against exact gradients, what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import qdiff as qd
from qdiff.errors import BackendError, EvaluationError, ParameterError, QdiffError
from qdiff.estimators import trajectory
from qdiff.estimators.trajectory import estimate_gradient
from qdiff.lang.parameters import resolve
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Capabilities, Job

CASES = json.loads((Path(__file__).parents[1] / "reference" / "cases.json").read_text())
CASES = CASES if isinstance(CASES, list) else CASES["cases"]
LOOP = qd.parse(
    "qubit: q, r\npara: t, p\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q]; Rx(t*p)[r];"
    " if flip(p) then X[r] fi; if flip(0.05) then abort fi od"
)
PARAMS = {"t": 1.1, "p": 0.3}
OBSERVABLE = qd.observable("c + 2*Z[r]")


@pytest.mark.parametrize("block", [7, 2**16])
def test_each_run_is_compared_with_the_mean_of_the_others(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trajectory, "BLOCK", block)
    backend, shots = TrajectoryBackend(), 50
    found = estimate_gradient(backend, LOOP, OBSERVABLE, PARAMS, ["p", "t"], shots, 5)
    prepared = backend.prepare_gradient(LOOP, [OBSERVABLE], ["p", "t"])
    [rows] = backend.run_gradients([Job(prepared, PARAMS, shots, 5)])
    others = (rows.values.sum() - rows.values) / (shots - 1)
    np.testing.assert_allclose(
        found.value, (rows.slopes[:, 0] - others * rows.scores).mean(axis=0), rtol=1e-12
    )
    spread = (rows.slopes[:, 0] - rows.values.mean() * rows.scores).std(axis=0, ddof=1)
    np.testing.assert_allclose(found.stderr, spread / math.sqrt(shots), rtol=1e-12)
    assert (found.shots, found.seed, found.estimator, found.degrees) == (shots, 5, "trajectory", 49)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_reference_cases(case: dict[str, object]) -> None:
    """Two-sided: within four standard errors of the exact gradient, and not all of them far within one."""
    program = qd.parse(str(case["program"]))
    observable = qd.observable(str(case["observable"]))
    params = resolve(program, case.get("parameters", case.get("params")))
    exact = qd.expectation(program, observable).grad(params, wrt=list(program.trainable))
    errors = []
    for seed in range(6):
        found = estimate_gradient(
            TrajectoryBackend(), program, observable, params, program.trainable, 1000, seed
        )
        for value, stderr, truth in zip(found.value, found.stderr, exact, strict=True):
            if stderr < 1e-12:
                assert value == pytest.approx(truth, abs=1e-9)
            else:
                errors.append((value - truth) / stderr)
    assert np.all(np.abs(errors) < 4.5)
    if len(errors) >= 12:
        assert 0.3 < np.mean(np.square(errors)) < 3


def test_the_interval_holds_its_level() -> None:
    exact = qd.expectation(LOOP, OBSERVABLE).grad(PARAMS)
    inside = np.zeros(2)
    for seed in range(200):
        found = estimate_gradient(TrajectoryBackend(), LOOP, OBSERVABLE, PARAMS, ["t", "p"], 4000, seed)
        low, high = found.interval(0.95)
        inside += (low <= exact) & (exact <= high)
    assert np.all((inside >= 178) & (inside <= 199))  # 190 and four standard deviations; two-sided


def test_a_baseline_that_knows_the_run_is_biased() -> None:
    """With the mean of all runs for b the estimate of few shots is biased: the test above would see it."""
    exact = qd.expectation(LOOP, OBSERVABLE).grad(PARAMS)
    backend = TrajectoryBackend()
    prepared = backend.prepare_gradient(LOOP, [OBSERVABLE], ["t", "p"])
    [rows] = backend.run_gradients([Job(prepared, PARAMS, 60_000, 3)])
    triples = [array.reshape(20_000, 3, -1) for array in (rows.values, rows.slopes[:, 0], rows.scores)]
    values, slopes, scores = triples
    fair, unfair = (values.sum(1, keepdims=True) - values) / 2, values.mean(1, keepdims=True)
    for others in (fair, unfair):
        means = (slopes - others * scores).mean(axis=1)
        error = np.abs(means.mean(axis=0) - exact) / (means.std(axis=0) / math.sqrt(len(means)))
        assert (error < 4).all() if others is fair else (error > 6).any()


def test_cut_runs_are_reported() -> None:
    program = qd.parse("qubit: q\npara: t\nRy(t)[q]; if M[q] = 1 then while flip(1) do skip od fi")
    found = estimate_gradient(
        TrajectoryBackend(step_limit=50), program, qd.observable("Z[q]"), {"t": 1.0}, ["t"], 40, 1
    )
    assert found.bias_bound == math.inf
    assert found.reason.endswith(
        "of 40 runs were cut by the backend's step limit and count 0; what they would have given is unknown"
    )


def test_refusals() -> None:
    class Plain(TrajectoryBackend):
        name = "plain"
        capabilities = Capabilities()

    with pytest.raises(BackendError) as caught:
        estimate_gradient(Plain(), LOOP, OBSERVABLE, PARAMS, ["t"], 10, 1)
    assert str(caught.value) == (
        'Runs of backend `plain` carry no derivatives, which estimator "trajectory" needs: use backend '
        "`trajectory`."
    )
    backend = TrajectoryBackend()
    with pytest.raises(QdiffError, match=r"^One shot is too few for a standard error\. Use at least 2"):
        estimate_gradient(backend, LOOP, OBSERVABLE, PARAMS, ["t"], 1, 1)
    with pytest.raises(ParameterError, match="There is no derivative by `x`"):
        estimate_gradient(backend, LOOP, OBSERVABLE, PARAMS, ["x"], 10, 1)
    with pytest.raises(QdiffError, match="which is not declared"):
        estimate_gradient(backend, LOOP, qd.observable("Z[u]"), PARAMS, ["t"], 10, 1)
    certain = qd.parse("qubit: q\npara: p\nif flip(p) then X[q] fi")
    with pytest.raises(EvaluationError, match="such a choice has no score"):
        estimate_gradient(backend, certain, qd.observable("Z[q]"), {"p": 0.0}, ["p"], 10, 1)
