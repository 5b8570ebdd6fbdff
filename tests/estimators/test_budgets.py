"""Budgets: what is spent, when rounds end, and what is said where a precision is not reached."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from qdiff.errors import QdiffError
from qdiff.estimators.budgets import FIRST, LARGEST_GROWTH, MOST_SHOTS, Budget, spend
from qdiff.estimators.estimate import Estimate
from qdiff.estimators.rounds import Round
from qdiff.sim.seeds import derived_seed


@dataclass
class Clock:
    """Tells what it is told."""

    time: float = 0.0

    def __call__(self) -> float:
        return self.time


@dataclass
class Toy:
    """Numbers with known spreads: a shot has variance spread², and takes some time.

    Attributes:
        exact: bool (D,), what needs no runs. asked: (shots, seed, learned) of every round.
    """

    spread: tuple[float, ...] = (1.0,)
    least: int = 2
    exact: Any = False
    clock: Clock = field(default_factory=Clock)
    seconds_a_shot: float = 0.0
    seconds_a_round: float = 0.0
    name: str = "toy"
    asked: list[tuple[int, int, object]] = field(default_factory=list)

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        self.asked.append((shots, seed, learned))
        self.clock.time += self.seconds_a_round + self.seconds_a_shot * shots
        size = len(self.spread)
        variance = np.diag(np.square(self.spread)) / max(shots, 1)
        degrees = np.full(size, max(shots - 1.0, 1.0))
        return Round(
            np.zeros(size),
            variance,
            np.zeros(size),
            degrees,
            shots,
            exact=self.exact,
            learned=f"after {len(self.asked)}",
        )

    @property
    def shots(self) -> list[int]:
        return [shots for shots, _, _ in self.asked]


def spent(toy: Toy, seed: int = 3, learned: object = None, **budget: Any) -> Estimate:
    return spend(toy, Budget(**budget), seed, (len(toy.spread),), learned, toy.clock)


# --- What a budget may be ----------------------------------------------------------------------------


def test_a_budget_is_needed() -> None:
    with pytest.raises(QdiffError) as caught:
        Budget()
    assert str(caught.value) == "An estimate needs a budget: shots=10_000, precision=0.01 or seconds=5."


@pytest.mark.parametrize("given", [0, -3, 1.5, "many", True, math.nan])
def test_shots_are_positive_integers(given: object) -> None:
    for name, others in (("shots", {}), ("max_shots", {"precision": 0.1})):
        with pytest.raises(QdiffError) as caught:
            Budget(**{name: given}, **others)  # type: ignore[arg-type]
        assert str(caught.value) == f"{name} must be a positive integer, got {given!r}."


@pytest.mark.parametrize("given", [0, -0.5, math.inf, math.nan, "small", True])
def test_precision_and_seconds_are_positive_numbers(given: object) -> None:
    for name, unit in (("precision", "a standard error"), ("seconds", "a time")):
        with pytest.raises(QdiffError) as caught:
            Budget(**{name: given})  # type: ignore[arg-type]
        assert str(caught.value) == f"{name} is {unit}, a finite number above 0, got {given!r}."


def test_max_shots_limits_something_else() -> None:
    with pytest.raises(QdiffError) as caught:
        Budget(max_shots=100)
    assert str(caught.value) == ("An estimate needs a budget: shots=10_000, precision=0.01 or seconds=5.")
    with pytest.raises(QdiffError) as caught:
        Budget(shots=100, max_shots=100)
    assert str(caught.value) == (
        "max_shots limits precision= or seconds=; use shots= alone to spend a number of them."
    )
    for goal in ({"precision": 0.1}, {"seconds": 1.0}):
        with pytest.raises(QdiffError) as caught:
            Budget(shots=100, max_shots=100, **goal)  # type: ignore[arg-type]
        assert str(caught.value) == (
            "shots and max_shots say the same beside precision= or seconds=: give one of them."
        )


def test_integers_and_numbers_of_any_kind() -> None:
    budget = Budget(shots=np.int64(100), precision=np.float32(0.5))  # type: ignore[arg-type]
    assert type(budget.shots) is int
    assert budget.most == 100
    assert Budget(precision=1, max_shots=7).most == 7
    assert Budget(seconds=1).most == MOST_SHOTS


# --- A number of shots ---------------------------------------------------------------------------------


def test_shots_are_spent_in_one_round() -> None:
    toy = Toy()
    found = spent(toy, shots=12_345, learned="before")
    assert toy.asked == [(12_345, 3, "before")]
    assert (found.shots, found.seed, found.estimator, found.reached) == (12_345, 3, "toy", True)
    assert found.learned == "after 1"
    assert np.shape(found.value) == (1,)


def test_a_seed_is_drawn_and_recorded() -> None:
    seeds = set()
    for _ in range(2):
        toy = Toy()
        found = spend(toy, Budget(100), None, ())
        assert toy.asked == [(100, found.seed, None)]
        assert isinstance(found.value, float)
        seeds.add(found.seed)
    assert len(seeds) == 2
    with pytest.raises(QdiffError, match=r"^The seed must be an integer from 0 "):
        spend(Toy(), Budget(100), -1, ())


def test_too_few_shots() -> None:
    for budget, start, limit in (
        ({"shots": 1}, "1 shot is", "shots"),
        ({"shots": 9}, "9 shots are", "shots"),
        ({"precision": 0.1, "shots": 9}, "9 shots are", "shots"),
        ({"seconds": 0.1, "max_shots": 9}, "9 shots are", "max_shots"),
    ):
        toy = Toy(least=10)
        with pytest.raises(QdiffError) as caught:
            spent(toy, **budget)  # type: ignore[arg-type]
        assert str(caught.value) == (
            f'{start} too few: the estimator "toy" needs at least 10 here. Use {limit}=10 or more.'
        )
        assert not toy.asked
    assert spent(Toy(least=10), shots=10).shots == 10


@pytest.mark.parametrize("budget", [{"shots": 1}, {"precision": 1e-9}, {"seconds": 1.0}])
def test_where_there_is_nothing_to_run_nothing_is_spent(budget: dict[str, Any]) -> None:
    toy = Toy(spread=(0.0,), least=0)
    found = spent(toy, **budget)
    assert toy.asked == [(0, 3, None)]
    assert (found.shots, found.reason, found.reached, found.note) == (0, "", True, "")


# --- A precision ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [0.5, 0.02, 0.01, 1e-3])
def test_rounds_until_a_precision_is_reached(precision: float) -> None:
    toy = Toy(spread=(0.3, 1.0, 0.0), exact=np.array([False, False, True]))
    found = spent(toy, precision=precision)
    assert found.reached
    assert found.note == ""
    assert np.max(found.stderr) <= precision
    # A margin of a twentieth, and no round is smaller than a tenth of those before.
    assert found.shots <= max(FIRST, 1.2 / precision**2)
    assert found.shots == sum(toy.shots)
    assert toy.shots[0] == FIRST


def test_rounds_grow_by_a_limited_factor() -> None:
    toy = Toy()
    found = spent(toy, precision=1e-3)
    totals = np.cumsum(toy.shots)
    assert len(totals) > 4
    assert np.all(np.array(toy.shots[1:]) <= LARGEST_GROWTH * totals[:-1])
    assert toy.shots[1] == LARGEST_GROWTH * FIRST
    assert found.shots < 1.06e6  # what was predicted, with its margin
    assert [shots for shots, _, _ in found.course] == totals.tolist()


def test_seeds_and_lessons_of_rounds() -> None:
    toy = Toy()
    spent(toy, precision=0.002, learned="before")
    seeds = [seed for _, seed, _ in toy.asked]
    assert seeds == [3, *(derived_seed(3, n) for n in range(1, len(seeds)))]
    assert [learned for _, _, learned in toy.asked][:3] == ["before", "after 1", "after 2"]


def test_a_precision_that_is_not_reached() -> None:
    for limit in ("shots", "max_shots"):
        toy = Toy()
        found = spent(toy, precision=0.001, **{limit: 50_000})
        assert sum(toy.shots) == found.shots == 50_000
        assert not found.reached
        assert found.interval_trusted
        # 1/0.001² and a twentieth
        assert found.note == (
            "precision 0.001 was not reached: the largest standard error is 0.0045, about 1050000 shots "
            "would do"
        )


def test_as_many_shots_as_were_named_would_do() -> None:
    found = spent(Toy(spread=(1.0, 3.0)), precision=0.01, max_shots=10_000)
    would = int(found.note.split("about ")[1].split()[0])
    assert spent(Toy(spread=(1.0, 3.0)), precision=0.01, max_shots=would).reached


@dataclass
class Learning(Toy):
    """After the first round a shot has variance 1 in place of 100."""

    def round(self, shots: int, seed: int, learned: object = None) -> Round:
        found = super().round(shots, seed, learned)
        return found if learned is None else replace(found, covariance=found.covariance / 100)


def test_what_would_do_is_said_of_later_rounds() -> None:
    """n² 0.01² = 2000 · 100 + (n - 2000) · 1: n = 49 777, where the first round alone says 1 000 000."""
    toy = Learning(spread=(10.0,))
    found = spent(toy, precision=0.01, max_shots=3000)
    n = (1e4 + math.sqrt(1e8 + 4 * 1e4 * 2000 * 99)) / 2
    assert f"about {math.ceil(1.05 * n)} shots would do" in found.note
    whole = spent(Learning(spread=(10.0,)), precision=0.01)
    assert whole.reached
    assert n < whole.shots < 1.2 * n
    # One later round of a hundred shots tells nothing.
    few = spent(Learning(spread=(10.0,)), precision=0.01, max_shots=2100)
    assert f"about {math.ceil(1.05 * 2100 * (few.stderr[0] / 0.01) ** 2)} shots" in few.note


def test_rounds_of_so_many_shots_at_most() -> None:
    toy = Toy()
    found = spend(toy, Budget(shots=25_003), 3, (1,), "before", toy.clock, largest=10_000)
    assert found.shots == 25_003
    assert [shots for shots, _, _ in toy.asked] == [8334, 8334, 8335]
    assert [learned for _, _, learned in toy.asked] == ["before", "after 1", "after 2"]
    assert len({seed for _, seed, _ in toy.asked}) == 3
    assert toy.asked[0][1] == 3
    toy = Toy(least=10)
    assert spend(toy, Budget(shots=19), 3, (1,), None, toy.clock, largest=5).shots == 19
    assert toy.shots == [19]
    toy = Toy()
    spend(toy, Budget(precision=0.005), 3, (1,), None, toy.clock, largest=10_000)
    assert max(toy.shots) == 10_000
    assert toy.shots[:3] == [2000, 8000, 10_000]


def test_shots_without_end() -> None:
    with pytest.raises(QdiffError) as caught:
        Budget(shots=20 * 10**18)
    assert str(caught.value) == (
        "shots=20000000000000000000 are more than anyone can make. Say precision=0.01 for as many as an "
        "error takes, or seconds=5 for as many as the time allows."
    )
    assert Budget(shots=2**63 - 1).most == 2**63 - 1
    assert Budget(seconds=1.0, max_shots=10**30).most == 10**30


def test_a_precision_out_of_reach_of_any_number() -> None:
    for precision in (1e-200, 5e-324):
        for spread in (1.0, 0.0):
            found = spent(Toy(spread=(spread,)), precision=precision, max_shots=3000)
            assert not found.reached
            assert found.note.endswith("no number of shots would do")


def test_few_shots_that_may_be_spent() -> None:
    toy = Toy()
    assert spent(toy, precision=0.1, max_shots=30).shots == 30
    assert toy.shots == [30]


def test_runs_that_are_all_alike_are_repeated() -> None:
    """n of them leave 3/n open: a precision of 0.001 takes 3000."""
    toy = Toy(spread=(0.0,))
    found = spent(toy, precision=1e-3)
    assert found.shots >= 3000
    assert found.reached
    assert not found.interval_trusted
    found = spent(Toy(spread=(0.0,)), precision=1e-3, max_shots=2500)
    assert not found.reached
    assert found.note == (
        "precision 0.001 was not reached: the largest standard error is 0, about 3000 shots would do"
    )


def test_an_exact_zero_beside_others_is_not_waited_for() -> None:
    toy = Toy(spread=(0.0, 0.001), exact=np.array([True, False]))
    assert spent(toy, precision=1e-4).shots == FIRST
    toy = Toy(spread=(0.0, 0.001), exact=False)
    assert spent(toy, precision=1e-4).shots >= 30_000


def test_no_round_has_less_than_the_least() -> None:
    """Though few shots are missing."""
    toy = Toy(spread=(1.0,), least=1500)
    found = spent(toy, precision=0.0222)
    assert toy.shots == [FIRST, 1500]
    assert found.reached
    # What is left of the budget is too little for a round.
    toy = Toy(spread=(1.0,), least=1500)
    found = spent(toy, precision=0.0222, max_shots=3000)
    assert toy.shots == [FIRST]
    assert not found.reached
    toy = Toy(least=5000)
    spent(toy, precision=1.0)
    assert toy.shots == [5000]


# --- Some seconds ----------------------------------------------------------------------------------------


def test_rounds_until_the_time_is_over() -> None:
    toy = Toy(seconds_a_shot=1e-5)
    found = spent(toy, seconds=3.0)
    assert toy.shots[:3] == [FIRST, 4 * FIRST, 20 * FIRST]
    assert toy.clock.time == pytest.approx(3.0, rel=0.01)
    assert toy.clock.time <= 3.0 + 1e-9
    assert found.shots == pytest.approx(3e5, rel=0.01)
    assert found.reached
    assert found.note == ""


def test_the_first_round_is_always_made() -> None:
    toy = Toy(seconds_a_round=10.0)
    assert spent(toy, seconds=0.5).shots == FIRST
    assert toy.shots == [FIRST]


def test_seconds_end_at_the_most_shots() -> None:
    toy = Toy()
    assert spent(toy, seconds=1.0, max_shots=10**5).shots == 10**5
    toy = Toy()
    assert spent(toy, seconds=1.0).shots == MOST_SHOTS  # the clock stands still


def test_precision_or_seconds_whichever_is_first() -> None:
    toy = Toy(seconds_a_shot=1e-5)
    found = spent(toy, seconds=100.0, precision=0.01)
    assert found.reached
    assert toy.clock.time < 1
    toy = Toy(seconds_a_shot=1e-5)
    found = spent(toy, seconds=0.1, precision=1e-4)
    assert not found.reached
    assert toy.clock.time <= 0.1 + 1e-9
    assert found.note.startswith(
        "precision 0.0001 was not reached: the largest standard error is 0.01, about 1"
    )
