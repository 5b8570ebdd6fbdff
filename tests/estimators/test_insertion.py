"""Insertion: unbiased and calibrated by every law, by host or program, with every rule; what it refuses."""

from __future__ import annotations

import math
from collections import Counter
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
from qdiff.errors import BackendError, QdiffError
from qdiff.estimators.insertion import FEW, LARGEST_PILOT, PILOT
from qdiff.estimators.occurrence_laws import LogPower
from qdiff.estimators.replaced_runs import Block, Rendering, ReplacedRuns
from qdiff.estimators.term_laws import TermLaw
from qdiff.objective.shots import problem_of
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.seeds import derived_seed

COIN = {"draw": "program"}
HONEST = [
    ("geometric loop", {"mu": "log-power"}, 300),
    ("geometric loop", {"mu": "geometric", "hazard": 0.3}, 300),
    ("geometric loop", {"mu": "zipf", "power": 1.3}, 300),
    ("geometric loop", {"mu": "adaptive"}, 500),
    ("geometric loop", {"mu": "log-power", "delta": 0.6, **COIN}, 300),
    ("geometric loop", {"mu": "geometric", "hazard": 0.3, **COIN}, 300),
    ("geometric loop", {"mu": "log-power"}, 2),
    ("nested loops", {"mu": "log-power", **COIN}, 200),
    ("aborts", {"mu": "adaptive"}, 500),
    ("aborts", {"mu": "zipf"}, 5),
    ("groups", {"mu": "geometric", "hazard": 0.4}, 200),
    ("counters in angles", {"mu": "log-power", **COIN}, 200),
    ("array", {"mu": "zipf", "power": 2}, 200),
    ("flips", {"mu": "log-power", "rule": "shift-paper"}, 200),
    ("channels", {"mu": "geometric", "hazard": 0.3, **COIN}, 200),
    ("U gates", {"mu": "zipf", "rule": "shift-paper"}, 200),
    ("bounded loop", {"mu": "adaptive"}, 500),
    ("no loop", {"mu": "geometric"}, 100),
]


@pytest.mark.parametrize(("name", "options", "shots"), HONEST, ids=[f"{n}, {o}, {s}" for n, o, s in HONEST])
def test_unbiased_and_calibrated(name: str, options: dict[str, Any], shots: int) -> None:
    f, x = SUBJECTS[name]()
    assert_honest(f, x, shots=shots, estimator=qd.Insertion(**options))


def test_a_wrong_normaliser_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Z that a sum of the first terms gives, 2.4885 for 4.7912."""
    f, x = SUBJECTS["geometric loop"]()
    mass = LogPower.mass
    monkeypatch.setattr(LogPower, "mass", lambda law, k: mass(law, k) * 4.791206906872 / 2.488516)
    off, _ = errors(*repeated(f, x, 100, shots=300, estimator="insertion"), f.grad(x))
    assert abs(off[0]) > 6


def test_a_claim_of_half_the_error_is_caught() -> None:
    f, x = SUBJECTS["geometric loop"]()
    values, claimed = repeated(f, x, 150, shots=300, estimator=qd.Insertion(mu="zipf"))
    for share in (1 / 4, 4):
        off, wrong = errors(values, claimed * share, f.grad(x))
        assert abs(off[0]) < 4.5
        assert abs(wrong[0]) > 5


# --- Every rule ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "gate"), RULES)
@pytest.mark.parametrize("draw", ["host", "program"])
def test_every_rule(rule: str, gate: str, draw: Any) -> None:
    f = looped(gate)
    estimator = qd.Insertion(mu="geometric", hazard=0.3, rule=rule, draw=draw)
    if (rule, draw) == ("riesz", "program"):
        with pytest.raises(QdiffError, match="infinitely many"):
            f.estimate_grad([0.8], shots=10, estimator=estimator)
        return
    assert abs(one_error(f, [0.8], shots=8000, seed=3, estimator=estimator)[0]) < 4.5


def test_read_out_errors_and_noise() -> None:
    assert_honest(noisy(), {"t": 1.2}, shots=200, estimator=qd.Insertion(mu="zipf"))


# --- By hand ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [7, 2**16])
def test_the_estimate_is_the_mean_over_its_runs(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.estimators.insertion.BLOCK", block)
    f, x = SUBJECTS["geometric loop"]()
    found = f.estimate_grad(x, shots=50, seed=5, estimator="insertion", backend=SINGLE)
    problem = problem_of(f, [f.quantity], {"t": 1.5}, ("t",), SINGLE, None)
    runs = ReplacedRuns(problem, Rendering(("t",), "shift"))
    random, law, terms = np.random.default_rng([derived_seed(5, 0), 1]), LogPower(), TermLaw((0.5, 0.5), 0.0)
    ks, js = [], []
    for begun in range(0, 50, block):
        k = law.draw(random.random(min(block, 50 - begun)), SINGLE.step_limit)
        ks.append(k[k > 0])
        js.append(terms.draw(random, len(ks[-1])))
    k, j = np.concatenate(ks), np.concatenate(js)
    rows = runs.rows(Block(0, len(k), derived_seed(5, 0), 0, (k, j)))
    x_of_runs = rows.weights * rows.values[:, 0] / law.mass(k.astype(float)) / 0.5
    every = np.append(x_of_runs, np.zeros(50 - len(k)))
    assert found.value[0] == pytest.approx(every.mean(), rel=1e-12)
    assert found.stderr[0] == pytest.approx(every.std(ddof=1) / math.sqrt(50), rel=1e-12)
    assert (found.shots, found.seed, found.estimator) == (50, 5, "insertion")
    assert found.degrees[0] == pytest.approx(49)


class Counting(TrajectoryBackend):
    """Counts the shots that it runs, by the bases in which qubits are read."""

    def __init__(self, **options: Any) -> None:
        super().__init__(threads=1, **options)
        self.by_bases: Counter[str] = Counter()

    def run(self, jobs: Any) -> Any:
        for job in jobs:
            self.by_bases[job.prepared.readout.bases] += job.shots
        return super().run(jobs)


def test_beyond_the_step_limit_nothing_runs_and_the_shots_are_spent() -> None:
    f, x = SUBJECTS["geometric loop"]()
    backend = Counting(step_limit=1000)
    found = f.estimate_grad(x, shots=4000, seed=1, estimator="insertion", backend=backend)
    never = float(LogPower().tail(np.array([1001.0]))[0])
    assert found.shots == 4000
    assert never > 0.5
    assert abs(backend.by_bases.total() - 4000 * (1 - never)) < 5 * math.sqrt(4000 * never * (1 - never))
    assert abs(found.value[0] - f.grad(x)[0]) < 4.5 * found.stderr[0]


def test_seeds() -> None:
    f, x = SUBJECTS["groups"]()
    for estimator in (qd.Insertion(), qd.Insertion(mu="adaptive"), qd.Insertion(draw="program")):
        options = {"shots": 1000, "estimator": estimator, "backend": SINGLE}
        one, again, other = (f.estimate_grad(x, seed=seed, **options) for seed in (1, 1, 2))
        assert one.value.tolist() == again.value.tolist()
        assert one.stderr.tolist() == again.stderr.tolist()
        assert one.value.tolist() != other.value.tolist()
        drawn = f.estimate_grad(x, **options)
        assert f.estimate_grad(x, seed=drawn.seed, **options).value.tolist() == drawn.value.tolist()


def test_other_backends() -> None:
    """Neither derivatives carried by runs nor inputs by shot are needed."""
    f, x = SUBJECTS["aborts"]()
    for options in ({}, {"draw": "program"}):
        found = one_error(f, x, shots=3000, seed=4, estimator=qd.Insertion(**options), backend="merged")
        assert abs(found[0]) < 4.5


# --- The adaptive law ----------------------------------------------------------------------------------


def test_a_learned_law_is_better_and_its_pilot_is_paid_for() -> None:
    f, x = SUBJECTS["geometric loop"]()
    backend = Counting()
    found = f.estimate_grad(x, shots=20_000, seed=1, mu="adaptive", estimator="insertion", backend=backend)
    assert found.shots == 20_000
    assert backend.by_bases.total() <= 20_000
    plain = f.estimate_grad(x, shots=20_000, seed=1, estimator="insertion", backend=SINGLE)
    assert found.stderr[0] ** 2 < 0.8 * plain.stderr[0] ** 2
    assert PILOT * 20_000 == LARGEST_PILOT
    # Without a pilot the law is the floor.
    few = int(FEW / PILOT) - 1
    options: dict[str, Any] = {"shots": few, "seed": 1, "backend": SINGLE}
    assert (
        f.estimate_grad(x, estimator=qd.Insertion(mu="adaptive", delta=0.5), **options).value
        == f.estimate_grad(x, estimator=qd.Insertion(delta=0.5), **options).value
    )


def test_a_warm_start_needs_no_pilot() -> None:
    f, x = SUBJECTS["groups"]()
    adaptive = qd.Insertion(mu="adaptive")
    earlier = f.estimate_grad(x, shots=4000, seed=1, estimator=adaptive, backend=SINGLE)
    pilots: list[int] = []
    pilot = "qdiff.estimators.insertion.profile_of"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pilot, lambda *_: pilots.append(1))
        assert_honest(f, x, number=60, shots=100, estimator=adaptive, warm=earlier)
    assert not pilots


def test_warm_starts_that_do_not_fit() -> None:
    f, x = SUBJECTS["groups"]()
    adaptive = qd.Insertion(mu="adaptive")
    earlier = f.estimate_grad(x, shots=4000, seed=1, estimator=adaptive, backend=SINGLE)
    other = qd.expectation(f.program, "Z[r]")
    with pytest.raises(
        QdiffError, match=r"^warm is an estimate of other derivatives: it has learned nothing"
    ):
        other.estimate_grad(x, shots=100, estimator=adaptive, warm=earlier)
    with pytest.raises(QdiffError) as caught:
        f.estimate_grad(x, shots=100, estimator="insertion", warm=earlier)
    assert str(caught.value) == (
        'warm is an estimate by mu="adaptive", which taught nothing that mu="log-power" can use.'
    )


def test_shares_by_group_and_parameter() -> None:
    """Groups have shots in proportion to their coefficients, parameters equal ones."""
    f = qd.expectation(qd.parse("qubit: q para: t, u Ry(t)[q]; Rz(u)[q]; H[q]"), "0.1*X[q] + 0.9*Z[q]")
    backend = Counting()
    found = f.estimate_grad(
        [0.7, 0.4], shots=1000, seed=1, estimator=qd.Insertion(draw="program"), backend=backend
    )
    assert found.shots == backend.by_bases.total() == 1000
    assert backend.by_bases == {"X": 100, "Z": 900}
    assert [each.shots.sum() for each in found.contributions] == [500, 500]


# --- Bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mu": "logpower"},
            "mu is one of log-power, geometric, zipf, adaptive, not 'logpower'. Did you mean `log-power`?",
        ),
        ({"mu": 3}, "mu is one of log-power, geometric, zipf, adaptive, not 3."),
        ({"mu": "geometric", "hazard": 1}, "The geometric law needs a hazard above 0 and below 1, got 1."),
        ({"mu": "zipf", "power": 1}, "Zipf's law needs a finite power above 1, got 1."),
        ({"draw": "coin"}, 'draw is "host" or "program", not \'coin\'.'),
        (
            {"mu": "zipf", "draw": "program"},
            "A program's own coin follows the laws log-power, geometric, not 'zipf': use one of them, or "
            'draw="host".',
        ),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        qd.Insertion(**options)
    assert str(caught.value) == message


def test_unknown_rules_and_shapes() -> None:
    with pytest.raises(QdiffError, match="There is no rule"):
        qd.Insertion(rule="shifty")
    with pytest.raises(QdiffError, match=r"δ|delta"):
        qd.Insertion(delta=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'hazzard'"):
        qd.Insertion(hazzard=0.3)  # type: ignore[call-arg]


def test_programs_that_a_backend_cannot_run() -> None:
    f, x = SUBJECTS["geometric loop"]()
    with pytest.raises(BackendError, match="backend"):
        f.estimate_grad(x, shots=10, estimator="insertion", backend="no such")


def test_a_law_that_no_run_ends_before() -> None:
    """All runs have 200 occurrences, and none is drawn that late: the hazard is wrong, not the runs."""
    f = qd.expectation(
        qd.parse("qubit: q para: t count: c while c < 200 do c++; q := |0>; Ry(t)[q] od"), "Z[q]"
    )
    found = f.estimate_grad([1.2], shots=4000, seed=1, estimator=qd.Insertion(mu="geometric"), backend=SINGLE)
    assert found.reason.startswith("the variance by `t` is infinite, or may be")
    assert "0 of 0" not in found.reason
