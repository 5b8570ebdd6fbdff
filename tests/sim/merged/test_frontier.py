"""The frontier finds the exact distribution of what a program leaves behind, in few distinct states."""

from __future__ import annotations

import numpy as np
import pytest
from amounts import examples
from chi_square import exact_distribution
from hypothesis import given, settings
from reference.interpreter import value
from sim.machine.sampled import ALL, PROGRAMS
from sim.merged.exactly import CUT_RUNS, distance, distribution, frontier
from strategies import cases

from qdiff.errors import EvaluationError, ResourceError
from qdiff.lang.observable import Observable, Z
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.rules.derivative import differentiate
from qdiff.sim.machine.backend import expected
from qdiff.sim.machine.tables import CUT
from qdiff.sim.merged import frontier as merged
from qdiff.sim.merged.entries import MERGE_DISTANCE
from qdiff.sim.protocol import Readout

MANY = 10**13
"""Shots: what fewer than 1/64 of them come to is left, 1e-15 of the mass each."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_rows_have_the_exact_probabilities(name: str) -> None:
    program, params = ALL[name]
    front = frontier(program, params)
    found = front.expand(front.start, MANY)
    assert found.ready
    assert found.masses.sum() + found.kept_masses.sum() == pytest.approx(1, abs=1e-12)
    assert distance(distribution(found), exact_distribution(program, params)) < 1e-11
    keys = np.column_stack([found.status, found.stores, found.bits])
    assert len(np.unique(keys, axis=0)) == len(keys)


@settings(max_examples=examples(24))
@given(cases(declared=True))
def test_so_have_those_of_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, observable, params = case
    front = frontier(program, params, readout=Readout(program.qubits, expectations=(observable,)))
    found = front.expand(front.start, 10**6)
    left = found.kept_masses.sum()
    assert found.masses.sum() + left == pytest.approx(1, abs=1e-12)
    assert distance(distribution(found), exact_distribution(program, params)) < 1e-11 + left
    status = found.status.astype(np.uint8)
    means = found.masses @ expected(front.plan, found.stores, status, found.values)
    if left == 0:
        assert means == pytest.approx([value(program, observable, params)], abs=1e-8)


@pytest.mark.parametrize(("occurrence", "term"), [(1, 0), (1, 1), (3, 1), (9, 0)])
def test_inputs_of_a_family_of_derivatives(occurrence: int, term: int) -> None:
    program = parse("qubit: q\npara: t\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q] od")
    family = differentiate(program, "t", rule="shift").family
    front = frontier(family.program, {"t": 1.3}, inputs={"k": occurrence, "j": term})
    found = distribution(front.expand(front.start, MANY))
    assert distance(found, exact_distribution(family.at(occurrence, term), {"t": 1.3})) < 1e-11


WIDE = parse(
    "qubit: q[4]\npara: t\ncount: c\n"
    "for i in 0..3 do Ry(t*(i+1))[q[i]] od; CNOT[q[0], q[1]];\n"
    "for i in 0..24 do H[q[0]]; CNOT[q[0], q[2]]; Ry(t)[q[2]]; q[0] := |0>; q[2] := |0>;"
    "if flip(0.5) then X[q[2]] fi od"
)


def test_branches_that_meet_are_one() -> None:
    front = frontier(WIDE, {"t": 0.4})
    found = front.expand(front.start, MANY)
    assert found.ready  # 2^75 histories
    assert len(front.entries.slots) == merged.FIRST_ENTRIES
    assert 0 <= found.apart < 1e-12
    assert found.masses.sum() == pytest.approx(1, abs=1e-11)


def test_what_is_close_is_not_the_same() -> None:
    """States with equal fingerprints are compared; what differs by 1e-9 stays apart, up to a phase.

    A tolerance that is too wide is noticed.
    """
    program = parse(
        "qubit: q, r\nif flip(0.5) then Rx(1)[q] else Rx(-1)[q] fi; if flip(0.5) then H[r] fi; Rx(1)[q]"
    )
    exact = exact_distribution(program, {})
    for tolerance, error in ((MERGE_DISTANCE, 0.0), (1.0, 0.2)):
        front = frontier(program, {}, tolerance=tolerance)
        found = front.expand(front.start, MANY)
        assert distance(distribution(found), exact) == pytest.approx(error, abs=0.1 if error else 1e-13)
    program = parse("qubit: q\nif flip(0.5) then Rz(1)[q] else Ry(1e-9)[q] fi; if flip(0.5) then X[q] fi")
    for tolerance, merged_mass in ((MERGE_DISTANCE, 0.0), (1e-8, 0.5)):
        front = frontier(program, {}, tolerance=tolerance)
        assert front.expand(front.start, MANY).apart == pytest.approx(
            merged_mass * 5e-10, rel=1e-6, abs=1e-15
        )


# --- Limits --------------------------------------------------------------------------------------


def test_what_hardly_a_shot_comes_to_is_kept() -> None:
    program = parse("qubit: q\ncount: c\nwhile flip(0.5) do c++; H[q] od")
    front = frontier(program, {})
    found = front.expand(front.start, 4)
    assert found.ready
    assert found.kept_masses.tolist() == [2.0**-9] * 2  # the first below 1 / (4 · 64)
    assert [front.is_ending(kept) for kept in found.kept] == [True, False]
    leaf = front.entry(int(found.kept[1]))
    assert leaf.store.tolist() == [9]
    assert np.hypot(*leaf.state) == pytest.approx([np.sqrt(0.5)] * 2)
    again = front.expand(leaf, 4)
    assert again.masses[0] == pytest.approx(0.25)  # the two bits after no further pass
    assert again.stores[0].tolist() == [9]


def test_a_read_out_with_more_outcomes_than_shots_is_an_ending() -> None:
    program = parse("qubit: q[12]\nfor i in 0..11 do H[q[i]] od")
    front = frontier(program, {})
    few = front.expand(front.start, 100)
    assert (len(few.masses), few.kept_masses.tolist()) == (0, [1.0])
    assert front.is_ending(few.kept[0])
    many = front.expand(front.start, 1 << 20)
    assert many.masses == pytest.approx(np.full(1 << 12, 2.0**-12))
    assert len(many.kept) == 0


def test_room_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    program, params = ALL["measured into counters, parameters picked by a counter"]
    monkeypatch.setattr(merged, "FIRST_ENTRIES", 1)
    monkeypatch.setattr(merged, "FIRST_ROWS", 1)
    for name in ("measured into counters, parameters picked by a counter", "channels", "nested loops"):
        program, params = ALL[name]
        front = frontier(program, params)
        found = front.expand(front.start, MANY)
        assert distance(distribution(found), exact_distribution(program, params)) < 1e-11


def test_where_there_is_no_room_the_rest_is_kept() -> None:
    turns = (f"Ry({i})[q]; CNOT[q, r]; Ry({i})[r]" for i in range(1, 9))
    text = "; ".join(f"{turn}; if M[q] = 1 then c := 2*c + 1 else c := 2*c fi" for turn in turns)
    program = parse(f"qubit: q, r\ncount: c\n{text}")
    exact = exact_distribution(program, {})
    front = frontier(program, {}, room=2**13)
    found = front.expand(front.start, MANY)
    assert not found.ready
    assert len(found.kept) > 2
    assert found.masses.sum() + found.kept_masses.sum() == pytest.approx(1, abs=1e-12)
    entries = [front.entry(int(kept)) for kept in found.kept]
    total = distribution(found)
    for entry, mass in zip(entries, found.kept_masses.tolist(), strict=True):
        large = frontier(program, {})
        for key, probability in distribution(large.expand(entry, MANY)).items():
            total[key] = total.get(key, 0.0) + mass * probability
    assert distance(total, exact) < 1e-11
    assert frontier(program, {}, room=2**9).too_large == "6 states need 0.984 KiB of memory"
    wide = frontier(parse("qubit: q[11]\nfor i in 0..10 do H[q[i]] od"), {}, room=2**19)
    with pytest.raises(ResourceError) as caught:
        wide.expand(wide.start, MANY)
    assert str(caught.value) == (
        "Merged shots end in more than 1024 different ways, which need more than 128 KiB of memory. "
        "Use fewer shots, or raise the limit: MergedBackend(memory_limit=...)."
    )


def test_it_stops_where_trajectories_do_as_much() -> None:
    program, params = ALL["nested loops"]
    front = frontier(program, params)
    assert front.expand(front.start, 10**6, 0.0).ready
    assert not front.expand(front.start, 1, 0.0).ready


def test_counters_too_large_for_a_number_ask() -> None:
    program = parse(
        f"qubit: q\ncount: c\nc := {2**62}; if flip(0.25) then c := 3*c - 2*c fi; if 3*c > 5 then X[q] fi"
    )
    front = frontier(program, {})
    assert distribution(front.expand(front.start, MANY)) == {((2**62,), 1): 1.0}


# --- Steps ---------------------------------------------------------------------------------------


def test_runs_are_cut_at_the_step_limit() -> None:
    program = parse("qubit: q\ncount: c\nif flip(0.5) then while c >= 0 do c++ od fi")
    front = frontier(program, {}, step_limit=100)
    found = distribution(front.expand(front.start, MANY))
    assert found == {((0,), 0): 0.5, (CUT_RUNS, (49,)): 0.5}  # if, while, 49 · (c++, guard)


@pytest.mark.parametrize("limit", [*range(12), 30, 41])
def test_histories_of_different_lengths_are_cut_one_by_one(limit: int) -> None:
    """Two ways to the same state, of 2 and of 5 steps; then a coin, a read-out and the end."""
    program = parse("qubit: q\ncount: c\nwhile flip(0.5) do if flip(0.25) then X[q]; X[q]; X[q]; X[q] fi od")
    found = frontier(program, {}, step_limit=limit + 1)
    ends = found.expand(found.start, MANY)
    cut = ends.masses[ends.status == CUT].sum()
    lengths = {1: 1.0}  # steps up to the guard, itself included, to probability
    lost = 0.0
    for length in range(1, limit + 2):
        mass = lengths.pop(length, 0.0)
        lost += 0.5 * mass if length + 2 > limit + 1 else 0.0
        lengths[length + 2] = lengths.get(length + 2, 0.0) + 0.5 * 0.75 * mass
        lengths[length + 6] = lengths.get(length + 6, 0.0) + 0.5 * 0.25 * mass
    assert cut == pytest.approx(lost + sum(lengths.values()), abs=1e-12)


# --- Errors --------------------------------------------------------------------------------------


def test_what_has_no_value_is_an_error_where_shots_come() -> None:
    program = parse("qubit: q\npara: p\ncount: c\nif flip(p) then if flip(1/c) then X[q] fi fi")
    for p in (1.0, 0.5):
        front = frontier(program, {"p": p})
        with pytest.raises(EvaluationError, match="1/c"):
            front.expand(front.start, 100)
    front = frontier(program, {"p": 1e-3})
    found = front.expand(front.start, 100)
    assert found.kept_masses.tolist() == [1e-3]
    with pytest.raises(EvaluationError, match="1/c"):
        front.expand(front.entry(int(found.kept[0])), 1)


def test_rows_of_a_run_that_is_cut_have_no_expectations() -> None:
    program = parse("qubit: q\nX[q]")
    readout = Readout(("q",), expectations=(Z("q"),))
    front = frontier(program, {}, readout=readout, step_limit=2)
    found = front.expand(front.start, 10)
    assert (found.status.tolist(), found.bits.tolist(), found.values.tolist()) == ([CUT], [0], [[0.0]])
