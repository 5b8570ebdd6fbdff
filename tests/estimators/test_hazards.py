"""The check of a geometric law's hazard: what runs tell of the decay of occurrences, and when it is said."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from estimators.honesty import SINGLE, SUBJECTS

import qdiff as qd
from qdiff.estimators.hazards import ENOUGH, LISTED, decay_rate, hazard_reason, lived, nothing_lived
from qdiff.estimators.occurrence_laws import Geometric
from qdiff.estimators.problem import Problem
from qdiff.estimators.replaced_runs import Block, Rendering, ReplacedRuns
from qdiff.estimators.survival import Survival, survival

SAID = "the variance by `t` is infinite, or may be"


def loop(guard: str = "Ry(t)", sites: str = "") -> qd.Objective:
    """N of t: one before the loop and one in each pass."""
    return qd.expectation(
        qd.parse(f"qubit: q, r para: t count: c Ry(t)[q]; while M[q] = 1 do c++; {sites} {guard}[q] od"), "c"
    )


# --- What runs tell ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ["host", "program"])
def test_runs_are_counted_as_far_as_they_tell(draw: str) -> None:
    f, hazard, shots = loop(), 0.3, 4000
    problem = Problem(SINGLE, f.program, (f.observable,), {"t": 1.9}, ("t",))
    k: np.ndarray[Any, np.dtype[np.int64]] | None = None
    if draw == "host":
        runs = ReplacedRuns(problem, Rendering(("t",), "shift"))
        k = Geometric(hazard).draw(np.random.default_rng(1).random(shots), 10**6)
        rows = runs.rows(Block(0, shots, 7, 0, (k, np.zeros(shots, dtype=np.int64))))
    else:
        runs = ReplacedRuns(problem, Rendering(("t",), "shift", ("geometric", hazard)))
        rows = runs.rows(Block(0, shots, 7, 0))
    seen = lived(runs, rows, k)
    # Without a replacement P(N ≥ 2) = sin², then cos² go on; a run is at risk with probability (1-h)^(k-1).
    on = np.append([1.0, math.sin(0.95) ** 2], np.full(4, math.cos(0.95) ** 2))
    at_risk = shots * np.cumprod(np.append(1.0, on[:-1])) * (1 - hazard) ** np.arange(6)
    assert np.all(np.abs(seen.risk[:6] - at_risk) < 5 * np.sqrt(at_risk) + 1e-9)
    falls = at_risk * (1 - on)
    assert np.all(np.abs(seen.falls[:6] - falls) < 5 * np.sqrt(falls) + 1e-9)
    assert len(seen.risk) == LISTED


def test_runs_that_were_cut_tell_no_end() -> None:
    f = loop()
    problem = Problem(SINGLE, f.program, (f.observable,), {"t": 1.9}, ("t",))
    runs = ReplacedRuns(problem, Rendering(("t",), "shift"))
    k = np.full(500, 9)
    rows = runs.rows(Block(0, 500, 7, 0, (k, np.zeros(500, dtype=np.int64))))
    rows.cut[:] = True
    assert not lived(runs, rows, k).falls.any()


def synthetic(random: np.random.Generator, shots: int, hazard: float, on: Any) -> Survival:
    """Runs that go on to occurrence k with probability on(k)."""
    k = random.geometric(hazard, shots)
    executed = np.zeros(shots, dtype=np.int64)
    alive = np.ones(shots, dtype=bool)
    for i in range(1, int(k.max()) + 1):
        alive &= (i <= k) & (random.random(shots) < on(i))
        executed += alive
    return survival(executed, executed == k, LISTED, 0.0)


@pytest.mark.parametrize(
    ("on", "together", "rate"),
    [
        (lambda k: 0.4, 1, 0.4),
        (lambda k: 0.7, 1, 0.7),
        (lambda k: 0.05 if k == 2 else 0.9, 1, 0.9),  # few come into the loop
        (lambda k: 1.0 if k % 2 else 0.36, 2, 0.6),  # two occurrences a pass
        (lambda k: 1.0 if k % 3 else 0.2, 3, 0.2 ** (1 / 3)),
    ],
)
@pytest.mark.parametrize("hazard", [0.1, 0.3])
def test_the_rate_is_estimated_and_rather_too_large(
    on: Any, together: int, rate: float, hazard: float
) -> None:
    found = np.array(
        [decay_rate(synthetic(np.random.default_rng(seed), 3000, hazard, on), together) for seed in range(30)]
    )
    assert (found > rate - 0.02).mean() > 0.9
    assert np.median(found) < rate + 0.15
    assert np.all(found <= 1)


def test_nothing_known_is_the_worst() -> None:
    assert decay_rate(nothing_lived(), 1) == 1
    few = Survival(np.array([3.0, 1.0]), np.array([1.0, 1.0]), 0.0)
    assert decay_rate(few, 1) > 0.9
    certain = Survival(np.array([1e4, 1e4, 5e3]), np.array([0.0, 0.0, 5e3]), 0.0)
    assert decay_rate(certain, 1) < 0.05


# --- What is said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ["host", "program"])
def test_a_law_that_falls_too_fast_is_never_silent(draw: Any) -> None:
    """r = cos²(0.65) = 0.63: above 1 - h = 0.5, below 0.8."""
    f = loop()
    for hazard, said in ((0.5, True), (0.8, True), (0.2, False)):
        estimator = qd.Insertion(mu="geometric", hazard=hazard, draw=draw)
        for seed in range(8):
            found = f.estimate_grad([1.3], shots=3000, seed=seed, estimator=estimator, backend=SINGLE)
            assert (SAID in found.reason) is said
            assert found.interval_trusted is (not found.reason)


def test_the_reason() -> None:
    estimator = qd.Insertion(mu="geometric")
    found = loop().estimate_grad([0.5], shots=3000, seed=1, estimator=estimator, backend=SINGLE)
    assert found.reason.startswith(
        "the variance by `t` is infinite, or may be: of runs that come to a late occurrence up to 0."
    )
    assert " come to the next, which must be below 1 - hazard = 0.5: use hazard=0.0" in found.reason
    assert ' or mu="log-power"' in found.reason
    site = next(iter(qd.differentiate(loop().program, "t").sites[1:]))
    assert hazard_reason("t", [site], nothing_lived(), 0.5).endswith('1 - hazard = 0.5: use mu="log-power"')


def test_the_hazard_that_is_proposed_is_small_enough() -> None:
    f = loop()
    found = f.estimate_grad([1.3], shots=3000, seed=1, estimator=qd.Insertion(mu="geometric"), backend=SINGLE)
    proposed = float(found.reason.partition("use hazard=")[2].split()[0])
    assert 0 < proposed < 1 - math.cos(0.65) ** 2
    estimator = qd.Insertion(mu="geometric", hazard=proposed)
    again = f.estimate_grad([1.3], shots=3000, seed=2, estimator=estimator, backend=SINGLE)
    assert SAID not in again.reason


def test_programs_without_loops_need_their_last_site() -> None:
    """Five sites are drawn often enough by h = 0.5, thirty are not: the last are never seen."""
    for sites, said in ((5, False), (30, True)):
        program = qd.parse("qubit: q para: t " + "; ".join(["Ry(t/9)[q]; H[q]"] * sites))
        f = qd.expectation(program, "Z[q]")
        options: dict[str, Any] = {
            "shots": 3000,
            "estimator": qd.Insertion(mu="geometric"),
            "backend": SINGLE,
        }
        found = f.estimate_grad([0.7], seed=1, **options)
        assert (SAID in found.reason) is said
        assert (3000 * 0.5**sites >= ENOUGH) is not said


def test_several_parameters_are_named_once() -> None:
    f, x = SUBJECTS["groups"]()
    estimator = qd.Insertion(mu="geometric", hazard=0.8)
    found = f.estimate_grad(x, shots=12_000, seed=1, estimator=estimator, backend=SINGLE)
    assert found.reason.count("the variance by `t`") == found.reason.count("the variance by `u`") == 1


@pytest.mark.parametrize("mu", ["log-power", "zipf", "adaptive"])
def test_laws_with_heavy_tails_are_not_checked(mu: str) -> None:
    found = loop().estimate_grad([0.5], shots=3000, seed=1, mu=mu, estimator="insertion", backend=SINGLE)
    assert SAID not in found.reason
