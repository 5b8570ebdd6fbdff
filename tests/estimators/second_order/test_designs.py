"""How shots are shared out over pairs: every shot once, every pair once; the law of draws has no holes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from estimators.second_order.pair_tables import a_channel, one_site

from qdiff.estimators.second_order.designs import (
    DESERVED,
    FLOOR,
    LEAST,
    SHARES,
    PairChannel,
    PairDesign,
    designed,
)
from qdiff.estimators.second_order.lessons import ways_of


def channels() -> list[PairChannel]:
    return [
        a_channel(one_site(True, True), True),
        a_channel(one_site(True), False, weight=2.0),
        a_channel(one_site(False), False, grid=1, cut=1),
        a_channel(one_site(True, same=False), False, grid=2),
    ]


@pytest.mark.parametrize("pilot", [False, True])
@pytest.mark.parametrize("shots", [16, 100, 3000, 10**6])
def test_every_shot_and_every_cell_once(shots: int, pilot: bool) -> None:
    every = channels()
    designs = designed(every, shots, pilot)
    assert sum(design.total for design in designs) == shots
    for channel, design in zip(every, designs, strict=True):
        assert design.total >= LEAST
        assert np.all(design.shots >= LEAST)
        there = ways_of(channel.cells, channel.terms) > 0
        listed = np.unique(design.cell)
        assert sorted([*listed, *design.others]) == list(range(len(channel.cells)))
        own = set(zip(design.cell.tolist(), design.way.tolist(), strict=True))
        assert own == {(c, t) for c, t in np.argwhere(there).tolist() if c in listed}
        assert (design.drawn > 0) == (len(design.others) > 0)
        assert (design.beyond > 0) == (not channel.ends and not pilot)
        assert design.strata == len(design.shots) + 2


def test_many_shots_list_every_cell_and_few_list_none() -> None:
    every = channels()
    for channel, design in zip(every, designed(every, 10**7), strict=True):
        assert len(np.unique(design.cell)) == len(channel.cells)
    assert all(not len(design.cell) for design in designed(every, 2 * LEAST * len(every)))


def test_shots_go_by_what_spreads() -> None:
    """Neyman: twice the spread, twice the shots; an entry that counts double, double."""
    channel = a_channel(one_site(False), False, grid=1, cut=1)
    [one] = designed([channel], 10**6)
    spreads = channel.lesson.spreads[one.cell, one.way]
    np.testing.assert_allclose(one.shots / one.shots.sum(), spreads / spreads.sum(), rtol=1e-3)
    both = designed([channel, replace(channel, weight=2.0)], 10**6)
    assert both[1].total / both[0].total == pytest.approx(2, rel=1e-3)


def test_a_cell_has_strata_where_it_deserves_a_few_shots_for_each() -> None:
    channel = a_channel(one_site(True), False)
    for shots in (200, 1000):
        [design] = designed([channel], shots, pilot=True)
        deserved = (shots - 2 * LEAST) * channel.lesson.of_cells / channel.lesson.of_cells.sum()
        ways = (ways_of(channel.cells, channel.terms) > 0).sum(axis=1)
        assert np.unique(design.cell).tolist() == np.flatnonzero(deserved > DESERVED * ways).tolist()


def drawing_all(channel: PairChannel) -> PairDesign:
    nothing, every = np.zeros(0, dtype=np.int64), np.arange(len(channel.cells))
    return PairDesign(nothing, nothing, nothing, every, 10, 0)


@pytest.mark.parametrize("taught", [True, False])
def test_the_law_of_drawn_cells_has_no_holes(taught: bool) -> None:
    """A cell that is thought to count nothing is drawn nevertheless."""
    channel = a_channel(one_site(True), False)
    sizes = channel.lesson.sizes.copy()
    sizes[: 2 if taught else None] = 0.0
    channel = replace(channel, lesson=replace(channel.lesson, sizes=sizes))
    sizes, flat = channel.lesson.sizes, ways_of(channel.cells, channel.terms)
    law = drawing_all(channel).law(channel)
    assert law.sum() == pytest.approx(1)
    assert np.all((law > 0) == (flat > 0))
    least = SHARES[2] if taught else 1.0
    assert np.all(law >= least * flat / (flat.sum(axis=1, keepdims=True) * len(flat)) * (1 - 1e-12))
    if taught:
        assert np.all(law >= SHARES[0] * sizes / sizes.sum())


def test_beyond_there_is_a_floor() -> None:
    channel = a_channel(one_site(True), False)
    assert channel.beyond.above == 3
    floor = channel.beyond.law
    assert getattr(floor, "share", None) == FLOOR
    nothing = replace(channel, lesson=replace(channel.lesson, beyond=np.zeros(0)))
    assert type(nothing.beyond.law).__name__ == "LogPower"
