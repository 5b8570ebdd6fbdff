"""What the merged backend gives and refuses: outcomes, notes, messages."""

from __future__ import annotations

import numpy as np
import pytest
from reference.interpreter import value
from value_estimates import estimate_expectation

from qdiff.errors import BackendError, EvaluationError, QdiffError, ResourceError
from qdiff.lang.observable import Observable, X, Y, Z, count
from qdiff.lang.text.parser import parse
from qdiff.sampling import sample
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.merged import shares
from qdiff.sim.merged.backend import MergedBackend
from qdiff.sim.protocol import Job, Readout
from qdiff.sim.registry import find_backend, known_backends

LOOP = parse("qubit: q\npara: t\ncount: c\nRy(t)[q]; while M[q] = 1 do c++; Ry(t)[q] od; Ry(t)[q]")


def test_it_is_known_by_name() -> None:
    assert isinstance(find_backend("merged"), MergedBackend)
    assert "merged" in known_backends()


def test_estimates_from_any_number_of_shots() -> None:
    exact = np.cos(1.2)  # E[c] = sin²(t/2) · 1/(1 - cos²(t/2)) = 1, and q ends at angle t
    estimate = estimate_expectation(
        MergedBackend(), LOOP, count("c") * Z("q"), {"t": 1.2}, shots=10**12, seed=3
    )
    assert estimate.shots == 10**12
    assert float(estimate.stderr) < 3e-6
    assert abs(float(estimate.value) - exact) < 4 * float(estimate.stderr)


@pytest.mark.parametrize("shots", [2**53 + 1, 2**62 - 1, 2**63 - 600, 2**63 - 1])
@pytest.mark.parametrize("measured", [count("c"), count("c") + X("q") + 0.3 * Y("q") + Z("q")])
def test_estimates_take_exactly_so_many_shots(shots: int, measured: Observable) -> None:
    estimate = estimate_expectation(MergedBackend(), LOOP, measured, {"t": 1.2}, shots, seed=1)
    assert estimate.shots == shots
    truth = value(LOOP, measured, {"t": 1.2})
    assert abs(estimate.value - truth) < 5 * estimate.stderr + 1e-12


def test_cut_and_aborted_shots_are_counted() -> None:
    program = parse(
        "qubit: q\ncount: c\nif flip(0.25) then abort fi; if flip(0.5) then while c >= 0 do c++ od fi"
    )
    samples = sample(program, shots=10**6, seed=1, backend=MergedBackend(step_limit=100))
    assert abs(samples.aborted - 250_000) < 5 * 433
    assert abs(samples.cut - 375_000) < 5 * 484
    assert samples.counts == {"0": 10**6 - samples.aborted - samples.cut}


def test_an_error_is_one_if_a_shot_comes_there() -> None:
    program = parse("qubit: q\npara: p\ncount: c\nif flip(p) then if flip(1/c) then X[q] fi fi")
    assert sample(program, {"p": 1e-6}, shots=100, seed=1, backend="merged").counts == {"0": 100}
    for shots in (3 * 10**6, 10**9):  # three are expected, or a thousand
        with pytest.raises(EvaluationError, match="1/c"):
            sample(program, {"p": 1e-6}, shots=shots, seed=1, backend="merged")


def test_refusals() -> None:
    prepared = TrajectoryBackend().prepare(LOOP, Readout())
    with pytest.raises(BackendError, match="This was prepared by backend `trajectory`, not by `merged`"):
        MergedBackend().run([Job(prepared, {"t": 1.0}, 10, 1)])
    mine = MergedBackend().prepare(LOOP, Readout())
    with pytest.raises(QdiffError, match=r"counted in 64 bits: at most 2\^63 - 1, got 9223372036854775808"):
        MergedBackend().run([Job(mine, {"t": 1.0}, 2**63, 1)])
    with pytest.raises(ResourceError, match=r"or raise the limit: MergedBackend\(memory_limit=...\)"):
        MergedBackend().prepare(parse("qubit: q[40]\nskip"), Readout())


def test_too_many_shots_of_what_does_not_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "LEAF_EFFORT", 1e30)
    with pytest.raises(ResourceError) as caught:
        sample(LOOP, {"t": 1.2}, shots=2**40, seed=1, backend=MergedBackend(memory_limit=2**20))
    text = str(caught.value)
    assert text.startswith("Merging does not pay: ")
    assert text.endswith(
        "As trajectories: The outcomes of 1099511627776 shots need 12 TiB of memory; the limit is 1 MiB. "
        "Use fewer shots, or raise the limit: MergedBackend(memory_limit=...)."
    )


def test_what_does_not_fit_runs_as_trajectories() -> None:
    program = parse("qubit: q[6]\ncount: c\nfor i in 0..5 do H[q[i]] od; c := M[q[0], q[1], q[2], q[3]]")
    samples = sample(program, shots=20, seed=4, backend=MergedBackend(memory_limit=2**14))
    assert samples.note == ("run as trajectories, merging does not pay: 18 states need 19.8 KiB of memory")
    assert np.array_equal(samples.bits, sample(program, shots=20, seed=4).bits)
    assert repr(samples).endswith(f"; 20 shots, seed 4, {samples.note})")
    estimate = estimate_expectation(
        MergedBackend(memory_limit=2**14), program, Z("q[0]") + Z("q[5]"), {}, 20, seed=4
    )
    assert estimate.note == samples.note  # once, whatever the number of groups
    assert str(estimate).endswith(f"seed 4, interval not trusted: {estimate.reason}, {estimate.note})")
    assert estimate_expectation(MergedBackend(), program, Z("q[0]"), {}, 20, seed=4).note == ""
