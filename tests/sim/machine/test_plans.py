"""Plans that are kept: for the same program and read-out only."""

from __future__ import annotations

import gc
import weakref

import pytest
from sim.machine.sampled import sampled

from qdiff.errors import EvaluationError
from qdiff.lang.observable import X, Z
from qdiff.lang.text.parser import parse
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.machine.plans import PLANS, plan_of
from qdiff.sim.protocol import Readout

TEXT = "qubit: q, r\npara: t\nRy(t)[q]; CNOT[q, r]"


def test_a_program_is_lowered_once_for_each_read_out() -> None:
    program = parse(TEXT)
    readouts = [Readout(), Readout(("q",)), Readout(("q",), "X"), Readout((), "", (X("q"),))]
    plans = [plan_of(program, readout) for readout in readouts]
    assert len({id(plan) for plan in plans}) == len(plans)
    again = [Readout(), Readout(("q",)), Readout(("q",), "X"), Readout((), "", (X("q"),))]
    assert all(plan_of(program, readout) is plan for readout, plan in zip(again, plans, strict=True))
    assert plan_of(program, Readout((), "", (Z("q"),))) is not plans[-1]
    prepared = TrajectoryBackend(threads=1).prepare(program, Readout(("q",)))
    assert prepared.lowered is plans[1]


def test_equal_programs_have_plans_of_their_own() -> None:
    """Errors point at the text that was run."""
    text = "qubit: q\npara: p\nif flip(p) then X[q] fi"
    other = text.replace("\npara", "\n\n\npara")
    assert parse(text) == parse(other)
    for written, place in ((text, ":3:9:"), (other, ":5:9:")):
        with pytest.raises(EvaluationError, match=f"{place} the probability `p` is 2"):
            sampled(parse(written), {"p": 2.0}, 1)


def test_few_plans_are_kept() -> None:
    program = parse(TEXT)
    first, kept = plan_of(program, Readout()), weakref.ref(program)
    for _ in range(PLANS):
        plan_of(parse(TEXT), Readout())
    assert plan_of(program, Readout()) is not first
    for _ in range(PLANS):
        plan_of(parse(TEXT), Readout())
    del program, first
    gc.collect()
    assert kept() is None
