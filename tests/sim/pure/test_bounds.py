"""The bounds that the engines over pure states print, against extended precision."""

from __future__ import annotations

import pytest
from bounds.comparison import check_bounds
from bounds.samples import draw_cases
from random_parts import MIXTURES
from reference.truth import TooLong

from qdiff.errors import EvaluationError
from qdiff.sim.pure.branching import BranchingEngine
from qdiff.sim.randomness import what_is_random
from qdiff.sim.static.engine import PureStateEngine


def survey(programs: int) -> tuple[int, int]:
    """Check random programs with every engine that can; return (bounds checked, finite ones)."""
    checked = finite = 0
    for program, observable, params in draw_cases(programs, 4, noise=MIXTURES):
        engines = [BranchingEngine] if what_is_random(program) else [BranchingEngine, PureStateEngine]
        for engine in engines:
            try:
                found = check_bounds(program, observable, params, engine(program))
            except (TooLong, EvaluationError):
                continue
            checked += len(found)
            finite += sum(x.bound < float("inf") for x in found)
    return checked, finite


@pytest.fixture(autouse=True)
def small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random programs with very many branches are given up early."""
    monkeypatch.setattr("qdiff.sim.pure.frontier.LARGEST_UNBOUNDED_TREE", 1000)
    monkeypatch.setattr("qdiff.sim.pure.frontier.LARGEST_TREE", 2000)


def test_true_errors_stay_within_their_bounds() -> None:
    checked, finite = survey(50)
    assert checked > 100
    assert finite > checked / 2


def test_bounds_that_are_too_small_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.pure.bounds.SLACK", 1e-5)
    with pytest.raises(AssertionError, match="is off by"):
        survey(40)
