"""Designs: shots add up, nothing is left out, and drawn occurrences have the weights that make up for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from estimators.random_lessons import a_lesson
from hypothesis import given
from hypothesis import strategies as st

from qdiff.estimators.designs import (
    DRAWN,
    LEAST,
    LEAST_OF_REST,
    LEAST_OF_STRATUM,
    REST,
    SHARE_OF_REST,
    Channel,
    Design,
    designed,
    drawn_rest,
)
from qdiff.estimators.lessons import untaught
from qdiff.estimators.occurrence_laws import LARGEST_CUT
from qdiff.estimators.pilot import without_loops
from qdiff.estimators.survival import Survival
from qdiff.estimators.term_laws import TermLaw

TWO = TermLaw((0.3, 0.7), 0.0)
INTEGERS = TermLaw((), 1.0)
MIXED = TermLaw((0.5, 0.25, 0.25), 0.5)


def a_channel(
    seed: int, most: int, terms: TermLaw = TWO, cut: int | None = None, columns: int = 1, rate: float = 0.7
) -> Channel:
    """Occurrences that are reached with probability rate^k, with random moments."""
    drawn = terms.unlisted > 0
    hazard = np.full(most, 1e12 * (1 - rate))
    lesson = a_lesson(
        np.random.default_rng(seed),
        (most, 1 if drawn else len(terms.shares), columns),
        survival=Survival(np.full(most, 1e12), hazard, 1 - rate),
    )
    return Channel(lesson, terms, drawn, cut or most, seed % 2 == 0)


@st.composite
def channels(draw: st.DrawFn) -> list[Channel]:
    found = []
    for _ in range(draw(st.integers(1, 4))):
        most = draw(st.integers(1, 30))
        terms = draw(st.sampled_from([TWO, INTEGERS, MIXED, TermLaw((1.0,), 0.0)]))
        cut = draw(st.sampled_from([most, most + 1, LARGEST_CUT]))
        rate = draw(st.sampled_from([0.3, 0.9, 0.999]))
        found.append(a_channel(draw(st.integers(0, 99)), most, terms, cut, draw(st.integers(1, 2)), rate))
    return found


def assert_complete(channel: Channel, design: Design) -> None:
    """Every occurrence has all of its strata, or none and is drawn."""
    most, terms = channel.lesson.most, 1 if channel.drawn else len(channel.terms.shares)
    assert len(design.k) == len(design.j) == len(design.shots)
    assert design.rest.shape == (most,)
    own, numbers = np.unique(design.k[design.k != REST], return_counts=True)
    assert np.all((own >= 1) & (own <= most))
    assert np.all(numbers == terms)
    for k in own.tolist():
        assert sorted(design.j[design.k == k]) == ([DRAWN] if channel.drawn else list(range(terms)))
    assert np.all(design.rest[own - 1] == 0)
    others = np.setdiff1d(np.arange(1, most + 1), own)
    roots = channel.lesson.roots(channel.baselines).sum(axis=1)
    np.testing.assert_allclose(design.rest[others - 1], roots[others - 1])
    rest = design.k == REST
    assert rest.sum() == int(len(others) > 0 or most < channel.cut)
    assert np.all(design.j[rest] == DRAWN)


@given(channels(), st.one_of(st.integers(0, 60), st.integers(0, 10**6)))
def test_all_shots_are_spent_and_nothing_is_left_out(some: list[Channel], more: int) -> None:
    shots = LEAST_OF_STRATUM * len(some) + more
    found = designed(some, shots)
    assert sum(int(design.shots.sum()) for design in found) == shots
    few = all(design.k.tolist() == [REST] for design in found)
    for channel, design in zip(some, found, strict=True):
        assert np.all(design.shots >= LEAST_OF_STRATUM)
        if not few:
            assert_complete(channel, design)
            assert np.all(design.shots[design.k == REST] >= LEAST_OF_REST)


def test_strata_follow_neyman() -> None:
    """Of two channels, shots are as the deviations over all; of those drawn, as the sum of roots."""
    some = [a_channel(1, 6), a_channel(2, 4, cut=LARGEST_CUT)]
    shots = 10**7
    found = designed(some, shots)
    parts = []
    for channel, design in zip(some, found, strict=True):
        inside = design.k != REST
        assert inside.sum() == channel.lesson.most * 2
        deviations = channel.lesson.deviations(channel.baselines)
        parts.append(deviations[design.k[inside] - 1, design.j[inside]])
    wanted = np.concatenate(parts)
    got = np.concatenate([design.shots[design.k != REST] for design in found])
    rest = int(SHARE_OF_REST * shots / 2)
    assert found[1].shots[-1] == rest > LEAST_OF_REST  # nothing is known to be there
    np.testing.assert_allclose(got, (shots - rest) * wanted / wanted.sum(), atol=2)


def test_occurrences_that_deserve_few_shots_are_drawn() -> None:
    channel, shots = a_channel(3, 40, rate=0.6), 1000
    [design] = designed([channel], shots)
    roots = channel.lesson.roots(channel.baselines).sum(axis=1)
    deserved = shots * roots / roots.sum()
    own = np.unique(design.k[design.k != REST])
    np.testing.assert_array_equal(own, np.flatnonzero(deserved >= LEAST * 2) + 1)
    assert 2 < len(own) < 20
    assert design.k[-1] == REST
    assert design.shots[-1] == pytest.approx(shots * design.rest.sum() / roots.sum(), rel=0.5)


def test_few_shots_are_all_drawn() -> None:
    some = [a_channel(4, 10, cut=LARGEST_CUT), a_channel(6, 10, INTEGERS, cut=LARGEST_CUT)]
    found = designed(some, 15)
    for channel, design in zip(some, found, strict=True):
        assert (design.k.tolist(), design.j.tolist()) == ([REST], [DRAWN])
        np.testing.assert_allclose(design.rest, channel.lesson.roots(channel.baselines).sum(axis=1))
    assert sum(int(design.shots.sum()) for design in found) == 15
    assert [int(design.shots.sum()) for design in designed(some, 4)] == [2, 2]


@pytest.mark.parametrize("shots", [2, 100, 10_000])
def test_where_nothing_deviates_shots_are_shared_equally(shots: int) -> None:
    """Say, all that was seen was 0: no occurrence is given up."""
    nothing = np.zeros((5, 2, 1))
    lesson = a_lesson(
        np.random.default_rng(7),
        (5, 2, 1),
        mean=nothing,
        variance=nothing,
        trend=nothing[:, 0],
        spread=np.zeros(1),
    )
    channel = Channel(lesson, TWO, False, LARGEST_CUT, True)
    [design] = designed([channel], shots)
    assert design.shots.sum() == shots
    assert np.all(design.rest == 0)
    if shots > 100:
        assert_complete(channel, design)
        assert np.unique(design.k).tolist() == [0, 1, 2, 3, 4, 5]
    number = 1000
    k, j, weights = drawn_rest(design, channel, np.random.default_rng(8), number)
    own = design.k[design.k != REST]
    assert not np.isin(k, own).any()
    assert len(k) == len(j) == len(weights) == number
    assert np.all(np.isfinite(weights) & (weights > 0))


# --- The weights of what is drawn ------------------------------------------------------------------------


def sum_over_rest(design: Design, cut: int, terms: Sequence[int], rate: float) -> float:
    k = np.arange(1, min(cut, 3000) + 1)
    k = k[~np.isin(k, design.k[design.k != REST])]
    return float((rate**k).sum() * sum(of_term(np.array([j]))[0] for j in terms))


def of_term(j: np.ndarray) -> np.ndarray:
    return np.where(j % 3 == 0, 1.0, -0.4) / (1 + j**2)


@pytest.mark.parametrize("shots", [40, 400, 4000])
@pytest.mark.parametrize("cut", [30, 31, 1000, LARGEST_CUT])
@pytest.mark.parametrize("terms", [TWO, INTEGERS, MIXED], ids=["two", "integers", "mixed"])
def test_weights_make_up_for_what_is_drawn(terms: TermLaw, cut: int, shots: int) -> None:
    """E[weight · g(K, J)] = Σ g over all occurrences without strata and all terms."""
    channel, rate, number = a_channel(9, 30, terms, cut), 0.6, 100_000
    [design] = designed([channel], shots)
    assert_complete(channel, design)
    if shots == 4000:
        assert len(np.unique(design.k)) > 5
    k, j, weights = drawn_rest(design, channel, np.random.default_rng(shots + cut % 97), number)
    assert k.min() >= 1
    assert k.max() <= cut
    listed = range(len(terms.shares)) if not terms.unlisted else range(-4000, 4000)
    found = weights * rate**k * of_term(j)
    right = sum_over_rest(design, cut, listed, rate)
    error = found.std() / math.sqrt(number)
    assert abs(found.mean() - right) < 4.5 * error
    assert error < 0.1 * (rate ** np.arange(1, 31))[design.rest > 0].sum()  # it would notice


def test_every_occurrence_is_drawn() -> None:
    """Also those that were thought not to matter, and those after all that were seen."""
    channel = a_channel(10, 5, cut=LARGEST_CUT)
    [design] = designed([channel], 12)
    k, j, _ = drawn_rest(design, channel, np.random.default_rng(9), 200_000)
    assert set(range(1, 40)) <= set(k.tolist())
    assert k.max() > 10**6
    assert set(j.tolist()) == {0, 1}


def test_without_runs_every_occurrence_of_a_straight_line_has_its_share() -> None:
    lesson = untaught(without_loops(8, 1), np.array([0.5, 0.5]))
    [design] = designed([Channel(lesson, TermLaw((0.5, 0.5), 0.0), False, 8, True)], 1600)
    assert design.k.tolist() == np.arange(1, 9).repeat(2).tolist()
    assert design.shots.tolist() == [100] * 16
