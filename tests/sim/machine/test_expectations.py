"""Expectations read from the final state of each shot: their mean is ⟨O⟩, and they cost no randomness."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference.interpreter import value
from sim.machine.plain_sampler import PlainSampler
from sim.machine.sampled import ALL, assert_same, executed, sampled

from qdiff.lang.observable import P1, Observable, Term, X, Y, Z, count
from qdiff.lang.text.parser import parse
from qdiff.sim.machine import code as c
from qdiff.sim.machine.lowering import lower
from qdiff.sim.machine.verify import verify
from qdiff.sim.protocol import Readout

SHOTS = 3000


@pytest.mark.parametrize("name", ["aborts and a bounded loop", "and, or, not", "channels", "case"])
def test_the_mean_is_the_exact_value(name: str) -> None:
    program, params = ALL[name]
    first, last = program.qubits[0], program.qubits[-1]
    observables = [X(first), 0.5 * Z(first) * Y(last) - 2, P1(last)]
    observables += [Z(last) * count(name) for name in program.counters]
    result = sampled(program, params, SHOTS, 3, readout=Readout((), "", tuple(observables)))
    assert result.expectations is not None
    assert not result.cut.any()
    for column, observable in zip(result.expectations.T, observables, strict=True):
        error = column.std(ddof=1) / math.sqrt(SHOTS)
        assert abs(column.mean() - value(program, observable, params)) <= 5 * error + 1e-12


def test_one_shot_is_enough_where_nothing_is_random() -> None:
    program, params = ALL["static_vqe"]
    observables = (Z("q[0]") * X("q[1]"), Y("q[3]") + 1)
    result = sampled(program, params, 2, 3, readout=Readout((), "", observables))
    exact = [value(program, observable, params) for observable in observables]
    np.testing.assert_allclose(result.expectations, [exact, exact], atol=1e-12)


def test_aborted_and_cut_runs_count_nothing() -> None:
    program = parse(
        "qubit: q\ncount: c\nc := 3; if flip(0.5) then abort fi; if flip(0.5) then while c > 0 do skip od fi"
    )
    result = sampled(program, {}, 60, 1, readout=Readout((), "", (count("c"),)), step_limit=50)
    assert result.expectations is not None
    assert result.aborted.sum() > 5 < result.cut.sum()
    assert result.expectations[:, 0].tolist() == np.where(result.finished, 3, 0).tolist()


def test_they_are_taken_before_the_read_out_and_change_no_bits() -> None:
    program, params = ALL["channels"]
    bits = Readout(program.qubits, "YX")
    both = Readout(program.qubits, "YX", (X("a"), Z("a") * Z("b")))
    plain = sampled(program, params, 100, 5, readout=both, backend=PlainSampler())
    found = sampled(program, params, 100, 5, readout=both)
    assert_same(found, plain)
    assert np.array_equal(sampled(program, params, 100, 5, readout=bits).bits, found.bits)


def test_complex_coefficients_that_cancel() -> None:
    program = parse("qubit: a, b\npara: t\nRy(t)[a]; Rx(1)[b]; CNOT[a, b]")
    observable = Observable(
        [Term(1 + 2j, (), (("a", "Z"),)), Term(1 - 2j, (), (("a", "Z"),)), Term(0.5, (), (("b", "P0"),))]
    )
    result = sampled(program, {"t": 0.6}, 1, readout=Readout((), "", (observable,)))
    np.testing.assert_allclose(result.expectations, [[value(program, observable, {"t": 0.6})]], atol=1e-12)


def test_operators_are_taken_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On large registers, so that an interrupt is heard; nothing else changes."""
    program = parse(
        "qubit: a, b\npara: t\ncount: c\nRy(t)[a]; CNOT[a, b]; while M[a] = 1 and c < 9 do c++; H[a] od"
    )
    observables = (X("a") + 2 * Z("b"), Z("a") * Z("b"), count("c") * X("b"), X("a") * X("b"))
    readout = Readout(("a",), "X", observables)
    for tree_bytes in (0, 2**20):
        whole = executed(program, {"t": 1.1}, 50, 3, readout=readout, tree_bytes=tree_bytes)
        with monkeypatch.context() as patch:
            patch.setattr("qdiff.sim.machine.lowering.MOST_AMPLITUDES", 8)
            plan = lower(program, readout)
            verify(plan)
            rows = plan.code.instructions[plan.code.instructions[:, c.OP] == c.EXPECT]
            assert rows[:, [c.A, c.B, c.COST]].tolist() == [[0, 2, 1], [2, 4, 0], [4, 5, 0]]
            apart = executed(program, {"t": 1.1}, 50, 3, readout=readout, tree_bytes=tree_bytes)
        for one, other in zip(whole, apart, strict=True):
            assert np.array_equal(one, other)
