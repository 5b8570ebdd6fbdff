"""Merged shots have the distribution of trajectories, whatever their number, and repeat."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from chi_square import ABORTED, assert_drawn_from, exact_distribution, p_value
from hypothesis import given, settings
from scipy.stats import chi2
from sim.machine.sampled import ALL, PROGRAMS, sampled
from sim.merged.exactly import frontier
from strategies import cases

from qdiff.lang.observable import Observable, Z, count
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.merged import shares
from qdiff.sim.merged.backend import MergedBackend
from qdiff.sim.merged.frontier import TooManyStates
from qdiff.sim.protocol import Job, Outcomes, Readout

MERGED = MergedBackend()


def shared(
    program: Program, params: Mapping[str, float], shots: int, seed: int = 1, **options: object
) -> Outcomes:
    return sampled(program, params, shots, seed, **{"backend": MERGED, **options})  # type: ignore[arg-type]


def weighed(result: Outcomes) -> dict[Hashable, int]:
    """How often each (store, basis state) came, and `ABORTED`."""
    bits = result.bits @ (1 << np.arange(result.bits.shape[1]))
    found: dict[Hashable, int] = {}
    for aborted, store, basis, number in zip(
        result.aborted, result.counters.tolist(), bits.tolist(), result.weights.tolist(), strict=True
    ):
        key = ABORTED if aborted else (tuple(store), basis)
        found[key] = found.get(key, 0) + number
    return found


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("shots", [2000, 10**9])
def test_shots_follow_the_exact_distribution(name: str, shots: int) -> None:
    program, params = ALL[name]
    result = shared(program, params, shots, seed=5)
    assert (result.shots, result.note, result.cut.any()) == (shots, "", False)
    assert_drawn_from(weighed(result), exact_distribution(program, params))


@pytest.mark.parametrize("name", ALL)
def test_means_of_reference_cases(name: str) -> None:
    """Counters and bits of a million shots agree with 1500 trajectories, and rows are unique."""
    program, params = ALL[name]
    result, few = shared(program, params, 10**6), sampled(program, params, 1500)
    assert result.shots == 10**6
    assert bool(result.note) == (result.counts is None) == (name == "nested_loops")
    columns = np.column_stack([result.aborted, result.cut, result.counters, result.bits])
    assert result.note or len(np.unique(columns, axis=0)) == len(columns)
    alone = np.column_stack([few.aborted, few.cut, few.counters, few.bits]).astype(float)
    mean = result.weights @ columns / 10**6
    spread = np.sqrt(result.weights @ (columns - mean) ** 2 / 10**6 / 1500)
    assert (np.abs(alone.mean(0) - mean) < 5 * spread + 1e-9).all()


@settings(max_examples=40)
@given(cases())
def test_random_programs(case: tuple[Program, Observable, dict[str, float]]) -> None:
    program, _, params = case
    exact = exact_distribution(program, params)
    result = shared(program, params, 3000, seed=len(str(program)))
    assert result.shots == 3000
    assert p_value(weighed(result), exact) > 1e-6 if len(exact) > 2 else True


def test_few_shots_at_a_time_go_on_from_leaves() -> None:
    """Where seven shots end, many times over: each time the rest of the loop is a leaf."""
    program = parse(
        "qubit: q, r\npara: t\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q]; CNOT[q, r] od; H[r]"
    )
    exact = exact_distribution(program, {"t": 2.4})
    total: dict[Hashable, int] = {}
    for seed in range(400):
        for key, number in weighed(shared(program, {"t": 2.4}, 7, seed)).items():
            total[key] = total.get(key, 0) + number
    assert_drawn_from(total, exact)


def test_leaves_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that do not fit are drawn, and go on on their own."""
    monkeypatch.setattr(shares, "SMALL_EFFORT", 10**30)
    turns = (f"Ry({i})[q]; CNOT[q, r]; Ry({i})[r]" for i in range(1, 7))
    text = "; ".join(f"{turn}; if M[q] = 1 then c := 2*c + 1 else c := 2*c fi" for turn in turns)
    program = parse(f"qubit: q, r\ncount: c\n{text}")
    result = shared(program, {}, 10**6, backend=MergedBackend(memory_limit=2**12))
    assert (result.shots, result.note) == (10**6, "")
    assert_drawn_from(weighed(result), exact_distribution(program, {}))


def test_p_values_of_many_seeds_are_spread_evenly() -> None:
    program = parse(
        "qubit: q, r\npara: t\ncount: c\nwhile{4} flip(0.6) do Ry(t)[q]; if M[q] = 1 then c++ fi od; H[r]"
    )
    exact = exact_distribution(program, {"t": 1.0})
    values = [p_value(weighed(shared(program, {"t": 1.0}, 5000, seed)), exact) for seed in range(40)]
    tenths = np.histogram(values, bins=5, range=(0, 1))[0]
    assert 1e-3 < chi2.sf(((tenths - 8) ** 2 / 8).sum(), 4) < 1 - 1e-3


def test_more_bits_than_shots() -> None:
    """A read-out with more outcomes than shots is drawn from the state."""
    text = "; ".join(f"Ry({0.4 + 0.2 * i})[q[{i}]]" for i in range(12))
    program = parse(f"qubit: q[12]\ncount: c\nc := 3; {text}; if flip(0.5) then X[q[0]] fi")
    result = shared(program, {}, 1000, readout=Readout(program.qubits[::-1]))
    assert result.shots == 1000
    assert 400 < len(result.weights) < 600
    assert (result.counters == 3).all()
    chances = np.sin((0.4 + 0.2 * np.arange(12)) / 2) ** 2
    chances[0] = 0.5
    errors = (result.weights @ result.bits[:, ::-1] / 1000 - chances) / np.sqrt(
        chances * (1 - chances) / 1000
    )
    assert 3 < (errors**2).sum() < 33  # chi-square with 12 degrees of freedom


# --- What is repeatable ---------------------------------------------------------------------------


def test_the_seed_and_the_first_shot_say_it_all() -> None:
    program, params = ALL["loop with a counter"]
    same = [
        shared(program, params, 1000, 7),
        shared(program, params, 1000, 7, backend=MergedBackend(threads=1)),
    ]
    assert np.array_equal(same[0].weights, same[1].weights)
    for other in (shared(program, params, 1000, 8), shared(program, params, 1000, 7, first=1000)):
        assert not np.array_equal(other.weights, same[0].weights)


def test_inputs() -> None:
    program = parse("qubit: q\ncount: k, j\nwhile flip(0.5) do k++ od; j := j*k")
    result = shared(program, {}, 10**6, inputs={"k": 3, "j": -2})
    assert (result.counters[:, 1] == -2 * result.counters[:, 0]).all()
    assert result.counters[:, 0].min() == 3
    mean = result.weights @ result.counters[:, 0] / 10**6
    assert abs(mean - 4) < 5 * np.sqrt(2 / 10**6)


def test_expectations() -> None:
    program = parse("qubit: q\npara: t\ncount: c\nwhile M[q] = 0 do Ry(t)[q]; c++ od; Ry(t*c)[q]")
    observable = count("c") * Z("q")
    readout = Readout(("q",), expectations=(observable, Z("q")))
    result = shared(program, {"t": 0.8}, 10**6, readout=readout)
    assert result.expectations is not None
    counter = result.counters[:, 0]
    expected = -np.cos(0.8 * counter)
    np.testing.assert_allclose(
        result.expectations, np.column_stack([counter * expected, expected]), atol=1e-12
    )
    # The bits are drawn from the same states.
    chance = (1 - result.weights @ expected / 10**6) / 2
    assert abs(result.weights @ result.bits[:, 0] / 10**6 - chance) < 5 * 0.5e-3


# --- Trajectories instead -------------------------------------------------------------------------

SPREADING = parse(
    "qubit: q[3]\npara: w[16]\n"
    + "; ".join(
        f"Ry(w[{i}])[q[{i % 3}]]; CNOT[q[{i % 3}], q[{(i + 1) % 3}]]; Rx(w[{i}])[q[{(i + 1) % 3}]];"
        f"damp(0.5)[q[{i % 3}]]; damp(0.4)[q[{(i + 1) % 3}]]"
        for i in range(16)
    )
)
ANGLES = {f"w[{i}]": 0.3 + 0.17 * i for i in range(16)}


def test_where_states_hardly_meet_trajectories_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "SMALL_EFFORT", 10**4)
    result = shared(SPREADING, ANGLES, 2000, seed=9)
    assert result.counts is None
    assert result.note.startswith("run as trajectories, merging does not pay: ")
    assert result.note.endswith("% of the shots would still go on to others")
    assert np.array_equal(result.bits, sampled(SPREADING, ANGLES, 2000, 9).bits)


def wide(qubits: int, measured: int) -> Program:
    """Three passes of gates and of a measurement with many outcomes."""
    some = ", ".join(f"q[{i}]" for i in range(measured))
    return parse(
        f"qubit: q[{qubits}]\ncount: s\nwhile s < 3 do s++; for i in 0..{qubits - 1} do "
        f"Ry(0.3*(i + 1))[q[i]]; CNOT[q[i], q[(i + 1) mod {qubits}]] od; "
        f"case M[{some}] of 1: X[q[{measured}]] | else: skip esac od"
    )


def test_many_outcomes_and_few_shots_are_trajectories() -> None:
    """One entry would cost as much as 128 trajectories: it is left before all its outcomes were followed."""
    program = wide(14, 7)
    result = shared(program, {}, 10, seed=4)
    assert result.counts is None
    assert result.note == (
        "run as trajectories, merging does not pay: 128 outcomes of one instruction would be followed; "
        "shots expected there: 10"
    )
    assert np.array_equal(result.bits, sampled(program, {}, 10, 4).bits)


@pytest.mark.parametrize("shots", [1, 10**6])
def test_a_program_that_only_reads(shots: int) -> None:
    result = shared(parse("qubit: q[12]\nskip"), {}, shots)
    assert (result.shots, result.note, result.bits.tolist()) == (shots, "", [[0] * 12])


def test_many_outcomes_and_many_shots_are_merged() -> None:
    result = shared(wide(6, 4), {}, 10**5, seed=4)
    assert (result.shots, result.note) == (10**5, "")
    assert result.counts is not None


def test_what_a_leaf_takes_is_judged_by_what_the_start_took() -> None:
    """A hundred of 2000 shots go on from a leaf: 8 times a trajectory for each is worth it, 50 times not."""
    made = frontier(parse("qubit: q, r\nH[q]; X[r]; while M[q] = 1 do H[q]; Ry(0.1)[r] od"), {})
    found = made.expand(made.start, 2000)
    leaf = next(kept for kept in found.kept if not made.is_ending(kept))

    def judged(ahead: float, mass: float) -> None:
        masses = {"masses": np.full(1, 1 - mass), "kept_masses": np.full(1, mass)}
        shares._refuse(
            made, replace(found, kept=np.array([leaf]), alone=1e6, effort=ahead * 1e6, **masses), 2000
        )

    judged(8, 0.05)
    with pytest.raises(TooManyStates, match=r"5\.0% of the shots would still go on to others"):
        judged(50, 0.05)
    made.branches = 1  # then at most 64 entries of one outcome are followed at a time
    judged(1e6, 0.01)


def test_jobs_of_one_call_and_readouts_in_other_bases() -> None:
    program = parse("qubit: a, b, c\nH[a]; Z[a]; Rx(-pi/2)[b]; X[c]")
    prepared = MERGED.prepare(program, Readout(("c", "b", "a"), "ZYX"))
    first, second = MERGED.run([Job(prepared, {}, 20, seed=1), Job(prepared, {}, 2**62, seed=1)])
    assert first.bits.tolist() == second.bits.tolist() == [[1, 0, 1]]
    assert (first.shots, second.shots) == (20, 2**62)
