"""Programs that only toss coins: exact derivatives and every estimator against closed forms.

A geometric loop, its generating function, a gambler with one barrier and with two, and a branching walk. The
closed forms are textbook ones (Feller, "An introduction to probability theory and its applications", vol. 1,
chapters XII and XIV; Harris, "The theory of branching processes", for several types); SymPy differentiates
them. Where a loop compares a counter without end, the stores are infinitely many.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import sympy
from estimators.honesty import LARGEST_MEAN, LARGEST_SPREAD, SINGLE, assert_honest, errors, repeated
from numpy.typing import NDArray

import qdiff as qd
from qdiff.errors import EvaluationError, QdiffError
from qdiff.estimators import trajectory
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.method import Estimator
from qdiff.lang.expr import ONE
from qdiff.objective.shots import problem_of
from qdiff.rules.mixtures import MINUS, ForcedFlip
from qdiff.sim.protocol import Gradients, Job

Floats = NDArray[np.float64]
p, z, b, s = sympy.symbols("p z b s")


@dataclass(frozen=True)
class Study:
    """A program, what it reads, where, and the closed form of its mean."""

    text: str
    observable: str
    at: Mapping[str, float]
    closed: sympy.Expr

    @cached_property
    def f(self) -> qd.Objective:
        return qd.expectation(qd.parse(self.text), self.observable)

    @property
    def names(self) -> list[sympy.Symbol]:
        return [sympy.Symbol(name) for name in self.at]

    def number(self, form: sympy.Expr, **other: float) -> float:
        return float(form.subs({**self.at, **other}))

    def gradient(self, **other: float) -> Floats:
        return np.array([self.number(self.closed.diff(name), **other) for name in self.names])

    def hessian(self) -> Floats:
        pairs = itertools.product(self.names, repeat=2)
        found = [self.number(self.closed.diff(one, two)) for one, two in pairs]
        return np.array(found).reshape(len(self.at), -1)

    def differences(self, h: float, directions: Floats) -> Floats:
        """Σ_Δ Δ (f(θ+hΔ) - f(θ-hΔ))/2h over the rows Δ."""
        names, x, total = list(self.at), np.array(list(self.at.values())), np.zeros(len(self.at))
        for direction in directions:
            up, down = (
                self.number(self.closed, **dict(zip(names, x + way * direction, strict=True)))
                for way in (h, -h)
            )
            total += direction * (up - down) / (2 * h)
        return total


# A gambler who owns 3 plays for 1 until nothing or 8 is left; r^0 + … + r^2 over r^0 + … + r^7 is P(win).
ratio = (1 - p) / p
won = sum(ratio**j for j in range(3)) / sum(ratio**j for j in range(8))
GAMBLER = "while x > 0 and x < 8 do n++; if flip(p) then x++ else x := x - 1 fi od"
# Each of those who are here or there has two children with probability b, each of whom goes across with
# probability s: (1, -1) is an eigenvector of the mean, with 2b(1 - 2s).
WALK = """
while here + there > 0 do
    if here > 0 then
        here := here - 1;
        if flip(b) then for i in 1..2 do if flip(s) then there++ else here++ fi od fi
    else
        there := there - 1; n++;
        if flip(b) then for i in 1..2 do if flip(s) then here++ else there++ fi od fi
    fi
od"""

STUDIES = {
    "geometric": Study("qubit: q para: p count: n while flip(p) do n++ od", "n", {"p": 0.6}, p / (1 - p)),
    "squared": Study(
        "qubit: q para: p count: n while flip(p) do n++ od", "n^2", {"p": 0.4}, p * (1 + p) / (1 - p) ** 2
    ),
    "generating": Study(
        "qubit: q para: p, z count: n while flip(p) do n++ od; if not flip(z^n) then abort fi",
        "1",
        {"p": 0.6, "z": 0.7},
        (1 - p) / (1 - p * z),
    ),
    "ruin": Study(f"qubit: q para: p count: x, n x := 3; {GAMBLER}", "1 - x/8", {"p": 0.45}, 1 - won),
    "duration": Study(
        f"qubit: q para: p count: x, n x := 3; {GAMBLER}", "n", {"p": 0.4}, (3 - 8 * won) / (1 - 2 * p)
    ),
    "one barrier": Study(
        f"qubit: q para: p count: x, n x := 3; {GAMBLER.replace(' and x < 8', '')}",
        "n",
        {"p": 0.25},
        3 / (1 - 2 * p),
    ),
    "branching walk": Study(
        f"qubit: q para: b, s count: here, there, n here := 1; {WALK}",
        "n",
        {"b": 0.12, "s": 0.3},
        (1 / (1 - 2 * b) - 1 / (1 - 2 * b * (1 - 2 * s))) / 2,
    ),
}
INFINITE = ("generating", "one barrier", "branching walk")


# --- Exact -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STUDIES)
def test_exact_derivatives(name: str) -> None:
    study = STUDIES[name]
    f, at = study.f, dict(study.at)
    near = 1e-9 if name in INFINITE else 1e-12
    value, gradient = f.value_and_grad(at)
    assert value == pytest.approx(study.number(study.closed), rel=near)
    np.testing.assert_allclose(gradient, study.gradient(), rtol=near)


@pytest.mark.parametrize("name", ["geometric", "squared", "generating", "ruin", "duration"])
def test_exact_second_derivatives(name: str) -> None:
    study = STUDIES[name]
    near = 1e-9 if name in INFINITE else 1e-11
    np.testing.assert_allclose(study.f.hessian(dict(study.at)), study.hessian(), rtol=near)


@pytest.mark.parametrize("name", ["geometric", "squared", "generating", "ruin", "duration"])
def test_bounds_of_the_error_hold(name: str) -> None:
    study = STUDIES[name]
    f, at = study.f, dict(study.at)
    analysis = f.analyze(at)
    value, gradient = f.value_and_grad(at)
    exact = study.number(study.closed)
    rounding = 1e-15
    assert abs(value - exact) <= analysis.error_bound + rounding * abs(exact)
    assert analysis.error_bound < 1e-10
    bounds = [analysis.grad_error_bound[each] for each in at]
    assert np.all(np.abs(gradient - study.gradient()) <= bounds + rounding * np.abs(study.gradient()))
    assert bounds[0] < 1e-10


def test_no_bound_is_made_up() -> None:
    """The mean of a counter without end, on infinitely many stores: exact to rounding, but not proved."""
    study = STUDIES["one barrier"]
    analysis = study.f.analyze(dict(study.at))
    assert analysis.error_bound == math.inf
    assert "infinitely many counter values are reachable and the observable grows" in analysis.reason


def test_a_fair_game() -> None:
    """At p = ½ the closed form of the duration is 0/0; its limits are 3 (8 - 3) and a slope."""
    ruin, duration = STUDIES["ruin"], STUDIES["duration"]
    assert ruin.f([0.5]) == pytest.approx(5 / 8, rel=1e-12)
    np.testing.assert_allclose(ruin.f.grad([0.5]), ruin.gradient(p=0.5), rtol=1e-12)
    assert duration.f([0.5]) == pytest.approx(15, rel=1e-12)
    slope = sympy.cancel(duration.closed).diff(p).subs(p, sympy.Rational(1, 2))
    np.testing.assert_allclose(duration.f.grad([0.5]), [float(slope)], rtol=1e-11)


# --- Every estimator -------------------------------------------------------------------------------------

ESTIMATORS: dict[str, Estimator] = {
    "log-power": qd.Insertion(mu="log-power"),
    "geometric law": qd.Insertion(mu="geometric", hazard=0.05),
    "zipf": qd.Insertion(mu="zipf", power=1.3),
    "adaptive": qd.Insertion(mu="adaptive"),
    "coin in the program": qd.Insertion(draw="program"),
    "stratified": qd.Stratified(),
    "constant": qd.Stratified(control="constant"),
    "strata only": qd.Stratified(control=None),
    "trajectory": qd.Trajectory(),
}


def one(study: Study, estimator: Estimator, shots: int = 3000, seed: int = 1) -> Estimate:
    return study.f.estimate_grad(
        dict(study.at), shots=shots, seed=seed, estimator=estimator, backend=SINGLE, assume_finite=True
    )


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", STUDIES)
def test_every_estimator_agrees_with_the_closed_form(name: str, estimator: str) -> None:
    study = STUDIES[name]
    found = one(study, ESTIMATORS[estimator])
    assert np.all(np.abs(found.value - study.gradient()) < LARGEST_MEAN * found.stderr)
    assert found.shots == 3000
    assert found.bias_bound == 0


HONEST = [
    ("geometric", "log-power", 200),
    ("geometric", "coin in the program", 200),
    ("one barrier", "geometric law", 200),
    ("generating", "zipf", 200),
    ("ruin", "adaptive", 500),
    ("generating", "stratified", 300),
    ("branching walk", "strata only", 2000),
    ("generating", "trajectory", 200),
    ("duration", "trajectory", 4000),
    ("branching walk", "trajectory", 1000),
]


@pytest.mark.parametrize(("name", "estimator", "shots"), HONEST)
def test_unbiased_and_calibrated(name: str, estimator: str, shots: int) -> None:
    study = STUDIES[name]
    assert_honest(
        study.f,
        dict(study.at),
        exact=study.gradient(),
        shots=shots,
        estimator=ESTIMATORS[estimator],
        assume_finite=name in INFINITE,
    )


@pytest.mark.parametrize("estimator", [qd.FiniteShift(h=0.03), qd.SPSA(h=0.03, directions=25)])
@pytest.mark.parametrize("name", ["geometric", "generating", "ruin"])
def test_shifts_are_differences_of_the_closed_form(name: str, estimator: Estimator) -> None:
    """Unbiased for the difference; for the derivative within the bound of the bias."""
    study = STUDIES[name]
    size = len(study.at)
    if isinstance(estimator, qd.SPSA):
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=size)))
        difference = study.differences(0.03, signs) / len(signs)
    else:
        difference = study.differences(0.03, np.eye(size))
    problem = problem_of(study.f, [study.f.quantity], dict(study.at), tuple(study.at), SINGLE, None)
    rounds = estimator.on(problem)
    found = [rounds.round(800, seed) for seed in range(40)]
    off, wrong = errors(
        np.array([each.value for each in found]), np.array([each.covariance for each in found]), difference
    )
    assert np.all(np.abs(off) < LARGEST_MEAN)
    assert np.all(np.abs(wrong) < LARGEST_SPREAD)
    bias = np.broadcast_to(found[0].bias, difference.shape)
    assert np.all(np.abs(difference - study.gradient()) <= bias)
    # Proved where the observable and the stores are bounded.
    assert bool(np.all(np.isfinite(bias))) == (name == "ruin")


def test_several_observables_from_the_same_plays() -> None:
    """Ruin and duration of one game."""
    ruin, duration = STUDIES["ruin"], STUDIES["duration"]
    both = qd.expectation(ruin.f.program, [ruin.observable, duration.observable])
    exact = np.array([ruin.gradient(p=0.4), duration.gradient()])
    for estimator in ("stratified", "trajectory"):
        found = both.estimate_jacobian([0.4], shots=5000, seed=2, estimator=estimator, backend=SINGLE)
        assert found.shots == 5000
        assert np.all(np.abs(found.value - exact) < LARGEST_MEAN * found.stderr)


@pytest.mark.parametrize(("name", "shots"), [("geometric", 200), ("ruin", 300)])
def test_second_derivatives_from_shots(name: str, shots: int) -> None:
    study = STUDIES[name]
    found = [
        study.f.estimate_hessian(dict(study.at), shots=shots, seed=seed, backend=SINGLE) for seed in range(40)
    ]
    values = np.array([np.ravel(each.value) for each in found])
    off, wrong = errors(values, np.array([each.covariance for each in found]), study.hessian().ravel())
    assert np.all(np.abs(off) < LARGEST_MEAN)
    assert np.all(np.abs(wrong) < LARGEST_SPREAD)


@pytest.mark.parametrize(("name", "wrt"), [("generating", "p"), ("generating", "z"), ("one barrier", "p")])
def test_second_derivatives_on_infinitely_many_stores(name: str, wrt: str) -> None:
    study = STUDIES[name]
    found = study.f.estimate_hessian(
        dict(study.at), wrt, shots=6000, seed=1, backend=SINGLE, assume_finite=True
    )
    place = list(study.at).index(wrt)
    assert abs(found.value - study.hessian()[place, place]) < LARGEST_MEAN * found.stderr


# --- Infinitely many stores --------------------------------------------------------------------------------


def test_occurrences_are_proved_finite_where_they_can_be() -> None:
    """A bounded observable: what was not followed is bounded, and nobody's word is needed."""
    study = STUDIES["generating"]
    options: dict[str, Any] = {"shots": 2000, "seed": 1, "backend": SINGLE}
    proved = study.f.estimate_grad(dict(study.at), "p", **options)
    assert abs(proved.value[0] - study.gradient()[0]) < LARGEST_MEAN * proved.stderr[0]
    taken = study.f.estimate_grad(dict(study.at), "p", assume_finite=True, **options)
    assert proved.value == taken.value


@pytest.mark.parametrize(("chance", "why"), [(0.25, "were not followed"), (0.6, "decreases too slowly")])
def test_what_cannot_be_proved_is_refused(chance: float, why: str) -> None:
    """With one barrier E[n] = 3/(1 - 2p) below ½, and is infinite from there on: neither is proved."""
    f = STUDIES["one barrier"].f
    for estimator in ("insertion", "trajectory"):
        with pytest.raises(QdiffError, match=f"^Could not prove .* {why}.* say assume_finite=True"):
            f.estimate_grad([chance], shots=100, estimator=estimator)
    if chance > 0.5:
        with pytest.raises(EvaluationError, match="which decreases too slowly"):
            f([chance])


# --- What they are -----------------------------------------------------------------------------------------


def test_a_run_carries_its_score() -> None:
    """Nothing but coins: the slope of a run is what it reads times its score, n/p - 1/(1-p) here."""
    study = STUDIES["geometric"]
    prepared = SINGLE.prepare_gradient(study.f.program, [study.f.observable], ["p"])
    [found] = SINGLE.run_gradients([Job(prepared, dict(study.at), 1000, 1)])
    n = found.values[:, 0]
    np.testing.assert_allclose(found.scores[:, 0], n / 0.6 - 1 / 0.4, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.slopes[:, 0, 0], n * found.scores[:, 0], rtol=1e-9, atol=1e-9)


def test_replacing_the_kth_coin_by_hand() -> None:
    """Σ_k P(N ≥ k) (E[n | k-th true] - E[n | k-th false]): = Σ_k p^(k-1) (1 + p/(1-p) - 0)."""
    study = STUDIES["geometric"]
    found = one(study, qd.Stratified(control=None), 20_000)
    by_hand = sum(0.6 ** (k - 1) / 0.4 for k in range(1, 400))
    assert by_hand == pytest.approx(study.gradient()[0], rel=1e-12)
    [each] = found.contributions
    listed = slice(1, 8)
    k = each.occurrence[listed]
    assert k.tolist() == [1, 2, 3, 4, 5, 6, 7]
    off = (each.value[listed] - 0.6 ** (k - 1) / 0.4) / each.stderr[listed]
    assert np.all(np.abs(off) < LARGEST_MEAN)


def test_a_coin_that_is_certain_has_no_score() -> None:
    """At p = 0 the loop ends at once; its first coin, forced true, counts one pass."""
    f = STUDIES["geometric"].f
    for estimator in (qd.Insertion(mu="zipf"), qd.Insertion(mu="geometric", draw="program")):
        assert_honest(f, [0.0], exact=np.ones(1), shots=100, estimator=estimator)
    found = f.estimate_grad([0.0], shots=100, seed=1, backend=SINGLE)
    assert (found.value.tolist(), f.grad([0.0]).tolist()) == ([1.0], [1.0])
    with pytest.raises(EvaluationError, match="such a choice has no score"):
        f.estimate_grad([0.0], shots=100, estimator="trajectory")


# --- Broken subjects ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [qd.Insertion(mu="zipf"), qd.Stratified()])
def test_a_rule_with_a_wrong_sign_is_caught(estimator: Estimator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForcedFlip, "coefficients", lambda rule, kind, argument: (MINUS, ONE))
    study = STUDIES["ruin"]
    # A name of its own: what was derived for it is kept.
    text = study.text.replace("flip(p)", "flip(of_wrong_sign)").replace("para: p", "para: of_wrong_sign")
    f = qd.expectation(qd.parse(text), study.observable)
    values, claimed = repeated(f, [0.45], 30, shots=600, estimator=estimator)
    off, wrong = errors(values, claimed, study.gradient())
    assert off[0] > 6  # the derivative is below 0
    assert abs(wrong[0]) < LARGEST_SPREAD


@pytest.mark.parametrize("ended", [1, 0])
def test_a_score_without_the_coin_that_ended_the_loop_is_caught(
    ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """n/p - 1/(1-p) is the score; who counts the passes only, takes n/p."""

    def plain(found: Gradients) -> Floats:
        n = found.values[:, 0]
        return np.array([n * (n / 0.6 - ended / 0.4)])

    monkeypatch.setattr(trajectory, "contributions", plain)
    study = STUDIES["geometric"]
    values, claimed = repeated(study.f, dict(study.at), 50, shots=1000, estimator="trajectory")
    off, wrong = errors(values, claimed, study.gradient())
    assert abs(off[0]) < LARGEST_MEAN if ended else abs(off[0]) > 6
    assert abs(wrong[0]) < LARGEST_SPREAD
