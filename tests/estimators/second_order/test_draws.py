"""What the runs of a design replace: every pair and way once in the mean, in blocks of any size.

E[Σ_strata mean of scale · g(k, j, l, i)] = Σ over all pairs and ways of g
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from estimators.second_order.pair_tables import a_channel, one_site

from qdiff.estimators.replaced_runs import NOT_REPLACED
from qdiff.estimators.second_order.designs import PairChannel, PairDesign, designed
from qdiff.estimators.second_order.draws import Drawing, placed

CUT = 6


def summed(
    channel: PairChannel, design: PairDesign, g: np.ndarray, seed: int, wrong: float = 1.0
) -> tuple[float, float]:
    """Σ of the means of the strata and its standard error; g float (k, j, l, i), k and l from 0 to CUT."""
    drawing = Drawing(channel, design)
    draws = drawing.draws(0, design.total, np.random.default_rng(seed))
    replaced = draws.k != NOT_REPLACED
    k, l = np.where(replaced, draws.k, 0), np.where(replaced, draws.l, 0)  # noqa: E741
    x = np.where(replaced, draws.scale * g[k, draws.j, l, draws.i], 0.0)
    x = np.where(draws.cell < 0, wrong * x, x)
    number = np.bincount(draws.stratum, minlength=design.strata)
    assert number.tolist() == [*design.shots, design.drawn, design.beyond]
    number = np.maximum(number, 1)
    mean = np.bincount(draws.stratum, x, design.strata) / number
    variance = np.bincount(draws.stratum, x**2, design.strata) / number - mean**2
    return float(mean.sum()), float(np.sqrt((variance / number).sum()))


def every(channel: PairChannel, g: np.ndarray) -> float:
    """Σ g over all pairs and ways."""
    total = 0.0
    for k, l in itertools.product(range(1, CUT + 1), repeat=2):  # noqa: E741
        ways = channel.terms.same if k == l else channel.terms.apart
        total += g[k, ways.j, l, ways.i].sum()
    return total


def some_g(seed: int, symmetric: bool) -> np.ndarray:
    """Values that fall slowly, by occurrence and term."""
    falling = 0.8 ** np.arange(CUT + 1)
    g = np.random.default_rng(seed).normal(1, 0.5, (CUT + 1, 3, CUT + 1, 3))
    g *= falling[:, None, None, None] * falling[None, None, :, None]
    return (g + g.transpose(2, 3, 0, 1)) / 2 if symmetric else g


@pytest.mark.parametrize("shots", [40, 3000, 300_000])
@pytest.mark.parametrize(
    ("symmetric", "apart", "same"),
    [(False, True, True), (True, True, True), (False, True, False), (False, False, True)],
)
def test_every_pair_counts_once(symmetric: bool, apart: bool, same: bool, shots: int) -> None:
    channel = a_channel(one_site(True, symmetric, apart, same), symmetric, cut=CUT)
    g = some_g(1, symmetric)
    [design] = designed([channel], shots)
    number = max(60_000 // shots, 1)
    found = np.array([summed(channel, design, g, seed) for seed in range(number)])
    error = np.sqrt((found[:, 1] ** 2).sum()) / number
    if number > 100:
        error = found[:, 0].std(ddof=1) / np.sqrt(number)
    exact = every(channel, g)
    assert abs(found[:, 0].mean() - exact) < 4.5 * error
    assert error < 0.05 * exact


def test_late_pairs_that_count_too_little_are_caught() -> None:
    channel = a_channel(one_site(True), False, cut=CUT)
    g = some_g(1, False)
    [design] = designed([channel], 300_000)
    mean, error = summed(channel, design, g, 1, wrong=0.8)
    assert abs(mean - every(channel, g)) > 6 * error


def test_baselines_are_those_of_the_pair() -> None:
    channel = a_channel(one_site(True), False, cut=CUT)
    [design] = designed([channel], 3000)
    draws = Drawing(channel, design).draws(0, 3000, np.random.default_rng(1))
    inside, late = draws.cell >= 0, (draws.cell < 0) & (draws.k != NOT_REPLACED)
    assert inside.any()
    assert late.any()
    np.testing.assert_array_equal(draws.baselines[inside], channel.lesson.baselines[draws.cell[inside]])
    later = np.maximum(draws.k, draws.l)[late]
    np.testing.assert_array_equal(draws.baselines[late], channel.lesson.baseline_beyond(later))
    assert later.min() > channel.most
    assert all(each.shape == (3000,) for each in draws.inputs)


def test_strata_stand_in_order_in_blocks_of_any_size() -> None:
    """Which stratum a shot belongs to depends on its number only."""
    channel = a_channel(one_site(True), False, cut=CUT)
    [design] = designed([channel], 500)
    drawing = Drawing(channel, design)
    whole = drawing.draws(0, 500, np.random.default_rng(1))
    parts = [drawing.draws(n, n + 50, np.random.default_rng(1)) for n in range(0, 500, 50)]
    np.testing.assert_array_equal(whole.stratum, np.concatenate([part.stratum for part in parts]))
    own = whole.stratum < len(design.shots)
    np.testing.assert_array_equal(whole.cell[own], np.concatenate([part.cell for part in parts])[own])


def test_places_are_drawn_in_proportion_and_never_where_nothing_is() -> None:
    law = np.array([0.0, 3.0, 0.0, 1.0, 4.0, 0.0])
    number = 80_000
    counts = np.bincount(placed(law, np.random.default_rng(2), number), minlength=6)
    chance = law / law.sum()
    assert np.all(counts[law == 0] == 0)
    assert np.all(np.abs(counts - number * chance) <= 4.5 * np.sqrt(number * chance * (1 - chance)))

    class Last:
        """A generator that draws the largest number there is."""

        def random(self, number: int) -> np.ndarray:
            return np.full(number, np.nextafter(1.0, 0.0))

    assert placed(law, Last(), 2).tolist() == [4, 4]  # type: ignore[arg-type]
