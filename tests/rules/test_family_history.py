"""Families that record the counters before the replaced occurrence, and weights as tables."""

from __future__ import annotations

import numpy as np
import pytest

import qdiff as qd
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.rules.family import Family
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Job, Outcomes, Readout

LOOP = parse(
    "qubit: q, r para: t count: c, d[2], n, unused\n"
    "Ry(t)[q]; while{3} M[q] = 1 do c := c + 1; d[1] := M[r]; Rx(t*c)[r]; Ry(t + n)[q] od"
)
AT = {"t": 1.2}


def runs(program: Program, inputs: dict[str, int], number: int = 300) -> Outcomes:
    backend = TrajectoryBackend(threads=1)
    prepared = backend.prepare(program, Readout())
    [found] = backend.run([Job(prepared, AT, number, 7, inputs)])
    return found


def column(family: Family, outcomes: Outcomes, counter: str) -> np.ndarray:
    return outcomes.counters[:, family.program.counters.index(counter)]


def test_counters_that_are_assigned_are_recorded() -> None:
    """Those that stand still say nothing that is not known."""
    made = qd.differentiate(LOOP, "t")
    assert dict(made.family_with_history.history) == {"c": "at_c", "d[1]": "at_d_1"}
    assert made.family_with_history is made.family_with_history
    assert len({made.family_with_history, made.family}) == 2  # values like others
    assert dict(made.family.history) == {}
    assert "at_c" in made.family.program.counters  # the coefficient of Rx reads it
    assert "at_d_1" not in made.family.program.counters


def test_names_that_are_taken() -> None:
    program = parse("qubit: q para: t count: c, at_c at_c := 2; c := at_c; Ry(t)[q]")
    history = qd.differentiate(program, "t").family_with_history.history
    assert set(history) == {"c", "at_c"}
    assert len({*history, *history.values()}) == 4


def test_without_sites_or_assignments_there_is_no_history() -> None:
    for text in ("qubit: q para: t count: n Ry(t*n)[q]", "qubit: q para: t, u count: c c := 1; Ry(u)[q]"):
        assert dict(qd.differentiate(parse(text), "t").family_with_history.history) == {}


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_what_is_recorded_is_what_was_before(k: int) -> None:
    """Occurrences: Ry, then Rx and Ry in each pass, after c was counted and r was read."""
    family = qd.differentiate(LOOP, "t").family_with_history
    found = runs(family.program, dict(zip(family.inputs, (k, 0), strict=True)) | {"n": 0})
    came = column(family, found, "hit") != 0
    assert came.sum() > 20
    recorded = column(family, found, family.history["c"])
    assert np.all(recorded[came] == k // 2)
    assert np.all(recorded[~came] == 0)
    if k < 4:  # until r was turned, it reads 0
        assert np.all(column(family, found, family.history["d[1]"]) == 0)
    else:
        assert set(column(family, found, family.history["d[1]"])[came].tolist()) == {0, 1}


def test_what_comes_after_is_not_recorded() -> None:
    """The first occurrence is replaced; the loop goes on counting."""
    family = qd.differentiate(LOOP, "t").family_with_history
    found = runs(family.program, dict(zip(family.inputs, (1, 0), strict=True)))
    assert column(family, found, "c").max() > 1
    assert np.all(column(family, found, family.history["c"]) == 0)


@pytest.mark.parametrize("j", [0, 1])
def test_members_count_the_same_with_and_without_history(j: int) -> None:
    made, observable = qd.differentiate(LOOP, "t"), qd.observable("Z[r] + c")
    for k in (1, 2, 4):
        one, other = (
            qd.expectation(family.at(k, j), observable * family.weight(AT))(AT)
            for family in (made.family, made.family_with_history)
        )
        assert one == pytest.approx(other, abs=1e-12)


def test_without_inputs_the_program_is_what_it_was() -> None:
    family = qd.differentiate(LOOP, "t").family_with_history
    found, right = runs(family.program, {}), runs(LOOP, {})
    for name in LOOP.counters:
        own = right.counters[:, LOOP.counters.index(name)]
        np.testing.assert_array_equal(column(family, found, name), own)


def test_weights_are_the_table_of_the_weight() -> None:
    made = qd.differentiate(LOOP, "t")
    pairs = qd.differentiate(LOOP, ("t", "t"))
    for rendered in (
        made.family,
        made.family_with_history,
        made.self_contained("geometric", 0.5),
        pairs.family,
    ):
        assert rendered.weights.program is rendered.program
        assert rendered.weights.at(AT) == rendered.weight(AT)
        assert set(rendered.weights.readout.counters) <= set(rendered.program.counters)
        assert rendered.weights.cases
