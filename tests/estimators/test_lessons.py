"""Lessons: what runs teach, the best baselines, moments of contributions, and numbers that are remembered."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from estimators.random_lessons import OFTEN, a_lesson
from scipy.optimize import minimize_scalar

from qdiff.errors import QdiffError
from qdiff.estimators.lessons import MOST_REMEMBERED, Lesson, observed, untaught
from qdiff.estimators.pilot import profiled, without_loops
from qdiff.estimators.survival import Survival, survival


def assert_same(one: Lesson, other: Lesson, tolerance: float = 0.0) -> None:
    for name, part in one.to_json().items():
        np.testing.assert_allclose(part, other.to_json()[name], rtol=tolerance, atol=tolerance, err_msg=name)


# --- What runs show --------------------------------------------------------------------------------------


def some_runs(random: np.random.Generator, number: int) -> tuple[np.ndarray, ...]:
    k, j = random.integers(1, 9, number), random.integers(0, 3, number)
    lengths = random.geometric(0.2, number) - 1
    left = np.maximum(k - lengths, 0)
    weights = np.where(left == 0, random.normal(1, 0.3, number), 0.0)
    values = random.normal(k[:, None] * (j + 1.0)[:, None], 1.0, (number, 2))
    return k, j, left, weights, values


def test_what_runs_showed() -> None:
    k, j, left, weights, values = some_runs(np.random.default_rng(1), 2000)
    found = observed(k, j, left, weights, values, (6, 3))
    for occurrence in range(1, 7):
        for term in range(3):
            own = (k == occurrence) & (j == term) & (left == 0)
            place = occurrence - 1, term
            assert found.met[place] == own.sum() > 0
            assert found.w[place] == pytest.approx(weights[own].mean())
            assert found.square[place] == pytest.approx((weights[own] ** 2).mean())
            np.testing.assert_allclose(found.mean[place], values[own].mean(axis=0))
            np.testing.assert_allclose(found.variance[place], values[own].var(axis=0))
    alone = survival(k - left, left == 0, 6, 0.0)
    np.testing.assert_array_equal(found.survival.risk, alone.risk)
    np.testing.assert_array_equal(found.survival.falls, alone.falls)


def test_places_that_no_run_showed_hold_zeros() -> None:
    some = (
        np.array([2, 2]),
        np.array([0, 1]),
        np.array([0, 1]),
        np.array([0.5, 0.0]),
        np.array([[3.0], [4.0]]),
    )
    found = observed(*some, (3, 2))
    assert found.met.tolist() == [[0, 0], [1, 0], [0, 0]]
    assert found.mean[..., 0].tolist() == [[0, 0], [3, 0], [0, 0]]
    assert np.all(found.variance == 0)


def test_lessons_are_joined_as_if_from_all_runs() -> None:
    runs = some_runs(np.random.default_rng(2), 3000)
    lesson = untaught(profiled(np.arange(300) % 7, np.ones((300, 2))), np.ones(3))
    size = lesson.most, 3
    same = lesson.slopes, lesson.centres, np.ones(2)
    by_parts = lesson
    for part in np.array_split(np.arange(3000), [400, 401, 2000]):
        by_parts = by_parts.taught(observed(*(x[part] for x in runs), size), *same)
    assert_same(by_parts, lesson.taught(observed(*runs, size), *same), 1e-9)
    assert np.all(by_parts.trend == lesson.trend)


def test_what_the_history_explains_is_no_spread() -> None:
    seen = observed(*some_runs(np.random.default_rng(4), 50), (4, 3))
    lesson = a_lesson(np.random.default_rng(3), (4, 3, 2))
    slopes, centres = np.ones((1, 2)), np.ones((4, 1))
    found = lesson.taught(seen, slopes, centres, np.array([0.5, 1.0]))
    np.testing.assert_allclose(found.spread, lesson.spread * [0.5, 1.0])
    assert found.slopes is slopes
    assert found.centres is centres


# --- What is concluded -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_baselines_are_the_best(seed: int) -> None:
    """Σ_j √Var X is least there, of all constants."""
    random = np.random.default_rng(seed)
    lesson = a_lesson(random, (6, [1, 2, 2, 4][seed % 4], 1))

    def cost(b: np.ndarray) -> np.ndarray:
        return lesson.deviations(b[:, None]).sum(axis=1)

    found = cost(lesson.baselines[:, 0])
    for k in range(6):
        at = lesson.baselines[:, 0].copy()

        def of_one(x: float, k: int = k, at: np.ndarray = at) -> float:
            at[k] = x
            return float(cost(at)[k])

        means = lesson.mean[k, :, 0]
        near = [of_one(x) for x in np.linspace(means.min() - 0.1, means.max() + 0.1, 41)]
        best = minimize_scalar(of_one, bounds=(means.min() - 0.1, means.max() + 0.1), method="bounded")
        assert found[k] <= 1.01 * min(best.fun, *near)


def test_baselines_of_observables_are_their_own() -> None:
    lesson = a_lesson(np.random.default_rng(20), (5, 3, 2))
    for m in range(2):
        one = {
            name: getattr(lesson, name)[..., m : m + 1] for name in ("trend", "spread", "mean", "variance")
        }
        alone = a_lesson(np.random.default_rng(20), (5, 3, 2), **one, slopes=np.zeros((0, 1)))
        np.testing.assert_allclose(lesson.baselines[:, m], alone.baselines[:, 0])


def test_where_a_baseline_changes_nothing_it_is_the_mean() -> None:
    """w = ±1 at every occurrence of every run: Var X is the same for every b."""
    size = (2, 2, 1)
    ones = np.tile([1.0, -1.0], (2, 1))
    lesson = a_lesson(
        np.random.default_rng(5),
        size,
        survival=Survival(np.full(2, OFTEN), np.zeros(2), 0.0),
        w=ones,
        square=ones**2,
        mean=np.array([[[1.0], [3.0]], [[0.0], [0.0]]]),
        variance=np.ones(size),
    )
    np.testing.assert_allclose(lesson.baselines[:, 0], [2, 0], atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_moments_of_contributions_against_simulation(seed: int) -> None:
    """X = w (o - b) on runs that come to k, 0 on others; w and o are drawn with their moments."""
    random, number = np.random.default_rng(seed), 200_000
    lesson = a_lesson(random, (3, 2, 2))
    baselines = random.normal(size=(3, 2))
    roots, deviations = lesson.roots(baselines), lesson.deviations(baselines)
    for k in range(3):
        for j in range(2):
            came = random.random(number) < lesson.reach[k]
            spread = math.sqrt(lesson.square[k, j] - lesson.w[k, j] ** 2)
            w = lesson.w[k, j] + spread * random.choice([-1, 1], number)
            noise = np.sqrt(lesson.variance[k, j]) * random.choice([-1, 1], (number, 2))
            x = np.where(came, w, 0.0)[:, None] * (lesson.mean[k, j] + noise - baselines[k])
            square, around = (x**2).sum(axis=1), ((x - x.mean(axis=0)) ** 2).sum(axis=1)
            for found, of in ((roots, square), (deviations, around)):
                assert abs(found[k, j] ** 2 - of.mean()) < 4.5 * of.std() / math.sqrt(number)


def test_deviations_are_below_roots() -> None:
    lesson = a_lesson(np.random.default_rng(6), (9, 3, 2), met=3.0)
    baselines = lesson.baselines
    assert np.all(lesson.deviations(baselines) <= lesson.roots(baselines))
    assert np.all(lesson.deviations(baselines) > 0)
    # A baseline pays: without one the deviations are larger, all in all.
    assert lesson.deviations(baselines).sum() < lesson.deviations(np.zeros_like(baselines)).sum()


def test_before_any_replacement_the_pilot_is_all_there_is() -> None:
    lesson = untaught(without_loops(3, 1), np.array([0.5, 0.25]))
    assert lesson.most == 3
    np.testing.assert_allclose(lesson.baselines, 0)
    roots = lesson.roots(lesson.baselines)
    np.testing.assert_allclose(roots, np.tile([0.5, 0.25], (3, 1)))  # |w| as its share, o² = 1
    np.testing.assert_allclose(lesson.deviations(lesson.baselines), roots)
    # With a trend: the mean of unmodified runs is the baseline.
    lengths = np.random.default_rng(7).geometric(0.3, 1000) - 1
    lesson = untaught(profiled(lengths, 5.0 + np.random.default_rng(8).normal(size=(1000, 1))), np.ones(2))
    np.testing.assert_allclose(lesson.baselines, lesson.trend)
    assert lesson.roots(lesson.baselines)[0, 0] == pytest.approx(math.sqrt(lesson.reach[0]), rel=0.1)


def test_rare_occurrences_borrow_from_earlier_ones() -> None:
    """Nine occurrences that many runs came to, one that a single run came to, and others that none did."""
    random, most = np.random.default_rng(9), 60
    met = np.where(np.arange(most) < 9, 400.0, np.where(np.arange(most) == 9, 1.0, 0.0))[:, None]
    mean = np.where(met > 1, 2.0, np.where(met == 1, 50.0, 0.0))[:, :, None]
    lesson = a_lesson(
        random,
        (most, 1, 1),
        trend=np.zeros((most, 1)),
        spread=np.array([4.0]),
        **{"met": met, "mean": mean, "variance": np.where(met > 1, 1.0, 0.0)[:, :, None]},
    )
    found = lesson.baselines[:, 0]
    np.testing.assert_allclose(found[:9], 2, atol=0.1)
    assert 2 < found[9] < 9  # one run moves it a little
    np.testing.assert_allclose(found[10:], found[9])  # what none showed goes on as before
    spread = lesson.deviations(lesson.baselines)[:, 0] / np.sqrt(lesson.reach * lesson.square[:, 0])
    np.testing.assert_allclose(spread[3:9], 1, rtol=0.2)
    assert np.all(spread[10:] > 0.5)  # alike by chance is not alike


# --- As numbers -------------------------------------------------------------------------------------------


def test_lessons_go_through_json() -> None:
    for size in ((4, 2, 1), (1, 1, 3), (5, 4, 2)):
        lesson = a_lesson(np.random.default_rng(10), size)
        again = Lesson.from_json(json.loads(json.dumps(lesson.to_json())))
        assert_same(again, lesson)
        history = a_lesson(
            np.random.default_rng(11), size, slopes=np.ones((2, size[2])), centres=np.ones((size[0], 2))
        )
        again = Lesson.from_json(json.loads(json.dumps(history.to_json())))
        assert_same(again, history)
        assert again.slopes.shape == (2, size[2])
    without = Lesson.from_json(untaught(without_loops(3, 2), np.ones(4)).to_json())
    assert (without.slopes.shape, without.centres.shape) == ((0, 2), (3, 0))


@pytest.mark.parametrize("met", [3.0, 1e5])
def test_what_is_remembered_is_what_the_log_holds(met: float) -> None:
    """Six digits, and no more runs than MOST_REMEMBERED: exactly the numbers that JSON gives back."""
    lesson = a_lesson(np.random.default_rng(12), (6, 2, 2), met=met)
    found = lesson.remembered()
    again = Lesson.from_json(json.loads(json.dumps(found.to_json())))
    assert again.to_json() == found.to_json()
    assert found.remembered().to_json() == found.to_json()
    for name in ("mean", "variance", "w", "trend", "spread", "shares"):
        np.testing.assert_allclose(getattr(found, name), getattr(lesson, name), rtol=5.1e-6)
        assert all(len(f"{x:.12g}".lstrip("-0.").replace(".", "")) <= 6 for x in getattr(found, name).ravel())
    most = max(found.survival.risk.max(), found.met.max())
    assert most == pytest.approx(MOST_REMEMBERED, rel=1e-5)
    by = MOST_REMEMBERED / OFTEN
    np.testing.assert_allclose(found.survival.falls, lesson.survival.falls * by, rtol=5.1e-6)
    np.testing.assert_allclose(found.met, met * by, rtol=5.1e-6)


def test_few_runs_are_remembered_as_they_are() -> None:
    lesson = untaught(profiled(np.arange(300) % 7, np.ones((300, 1))), np.ones(2))
    found = lesson.remembered()
    assert found.survival.risk.tolist() == lesson.survival.risk.tolist()
    assert found.survival.falls.tolist() == lesson.survival.falls.tolist()


def test_a_memory_weighs_less_than_many_new_runs() -> None:
    old = a_lesson(
        np.random.default_rng(13), (2, 1, 1), mean=np.zeros((2, 1, 1)), variance=np.zeros((2, 1, 1))
    )
    old = old.remembered()
    number = 50_000
    some = np.ones(number, dtype=np.int64), np.zeros(number, dtype=np.int64)
    seen = observed(*some, some[1], np.ones(number), np.full((number, 1), 7.0), (2, 1))
    found = old.taught(seen, old.slopes, old.centres, np.ones(1))
    assert found.mean[0, 0, 0] == pytest.approx(7, rel=0.03)
    assert found.mean[1, 0, 0] == 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"met": None}, "float() argument must be a string or a real number, not 'NoneType'"),
        ({"met": [[1.0]]}, "cannot reshape array of size 1 into shape (2,2)"),
        ({"late": "soon"}, "could not convert string to float: 'soon'"),
        ({"risk": [], "falls": []}, "there is nothing in it"),
        ({"spread": []}, "there is nothing in it"),
        ({"falls": [1.0]}, "its parts are of different sizes"),
        ({"slopes": [[1.0]]}, "its parts are of different sizes"),
        ({"w": [[math.nan, 1], [1, 1]]}, "some of its numbers are not finite"),
        ({"late": math.inf}, "some of its numbers are not finite"),
    ],
)
def test_bad_memories(change: dict[str, Any], why: str) -> None:
    good = a_lesson(np.random.default_rng(14), (2, 2, 1)).to_json()
    Lesson.from_json(good)
    with pytest.raises(QdiffError) as caught:
        Lesson.from_json(good | change)
    message = str(caught.value)
    assert message.startswith("This is no memory of how shots were shared out: ")
    if "NoneType" not in why:
        assert message == f"This is no memory of how shots were shared out: {why}."


@pytest.mark.parametrize("data", [{}, {"late": 1.0}, [], None, "lesson"])
def test_what_is_no_memory(data: Any) -> None:
    with pytest.raises(QdiffError, match=r"^This is no memory of how shots were shared out: .*\.$"):
        Lesson.from_json(data)
