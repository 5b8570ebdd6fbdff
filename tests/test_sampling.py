"""`sample`: counts, counters, what was lost, and how it is seeded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from chi_square import assert_drawn_from
from reference.interpreter import run

from qdiff.errors import BackendError, ParameterError, QdiffError, ResourceError
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sampling import Samples, sample
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Job, Outcomes, Prepared, Readout

LOOP = parse(
    "qubit: q, r[2]\npara: t, w[2]\ncount: c, d\n"
    "Ry(t)[q]; Rx(w[0])[r[0]]; Rx(w[1])[r[1]];\n"
    "while{4} M[q] = 1 do c++; Ry(t)[q]; CNOT[q, r[1]] od; d := M[r[1], r[0]]"
)
PARAMS = {"t": 1.5, "w": [0.5, 2.0]}


def test_counts_follow_the_exact_probabilities() -> None:
    samples = sample(LOOP, PARAMS, shots=2000, seed=4)
    exact: dict[str, float] = {}
    for rho in run(LOOP, {"t": 1.5, "w[0]": 0.5, "w[1]": 2.0}).values():
        for basis_state, probability in enumerate(np.diagonal(rho).real):
            key = format(basis_state, "03b")  # qubit 0 is the rightmost digit
            exact[key] = exact.get(key, 0) + float(probability)
    exact["lost"] = 1 - sum(exact.values())
    assert samples.aborted > 0
    assert samples.cut == 0
    assert_drawn_from(samples.counts | {"lost": samples.aborted}, exact)


def test_what_samples_hold() -> None:
    samples = sample(LOOP, PARAMS, shots=300, seed=5)
    finished = ~samples.aborted_mask
    assert (samples.shots, samples.seed, samples.qubits) == (300, 5, ("q", "r[0]", "r[1]"))
    assert (samples.bits.shape, samples.bits.dtype) == ((300, 3), np.uint8)
    assert samples.aborted == int(samples.aborted_mask.sum())
    assert sum(samples.counts.values()) == 300 - samples.aborted
    assert list(samples.counts) == sorted(samples.counts)
    assert set(samples.counters) == {"c", "d"}
    values, numbers = np.unique(samples.counters["c"][finished], return_counts=True)
    assert samples.counter_counts["c"] == dict(zip(values.tolist(), numbers.tolist(), strict=True))
    assert samples.counters["c"].dtype == np.int64
    assert np.array_equal(
        samples.counters["d"][finished], (samples.bits[:, 2] + 2 * samples.bits[:, 1])[finished]
    )


def test_first_declared_qubit_is_rightmost() -> None:
    samples = sample(parse("qubit: a, b, c\nX[a]; X[b]"), shots=3)
    assert samples.counts == {"011": 3}
    assert samples.bits.tolist() == [[1, 1, 0]] * 3
    assert samples.counters == {}


def test_nothing_left() -> None:
    samples = sample(parse("qubit: q\nabort"), shots=4, seed=1)
    assert (samples.counts, samples.aborted) == ({}, 4)
    assert repr(samples) == "Samples(; 4 shots, seed 1, 4 aborted)"


def test_cut_runs_are_reported() -> None:
    program = parse("qubit: q\nwhile flip(1) do skip od")
    samples = sample(program, shots=4, seed=1, backend=TrajectoryBackend(step_limit=9))
    assert (samples.counts, samples.aborted, samples.cut) == ({}, 0, 4)
    assert samples.cut_mask.all()
    assert repr(samples) == "Samples(; 4 shots, seed 1, 4 cut at the step limit)"


def test_text() -> None:
    samples = sample(parse("qubit: q[2]\nX[q[1]]"), shots=10, seed=2)
    assert repr(samples) == "Samples(10: 10; 10 shots, seed 2)"
    wide = sample(parse("qubit: q[5]\n" + "; ".join(f"H[q[{i}]]" for i in range(5))), shots=200, seed=2)
    assert f"and {len(wide.counts) - 8} more; 200 shots, seed 2)" in repr(wide)


def test_seeds() -> None:
    first, second = sample(LOOP, PARAMS, shots=50), sample(LOOP, PARAMS, shots=50)
    assert first.seed != second.seed
    again = sample(LOOP, PARAMS, shots=70, seed=first.seed)
    assert np.array_equal(again.bits[:50], first.bits)  # shot i depends on seed and i only
    assert np.array_equal(again.counters["c"][:50], first.counters["c"])


class Merged:
    """Hands out unique rows with counts."""

    name = "merged"
    capabilities = TrajectoryBackend.capabilities

    def prepare(self, program: Program, readout: Readout) -> Prepared:
        return Prepared(self.name, program, readout)

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        aborted = np.array([False, True])
        bits = np.array([[1], [0]], dtype=np.uint8)
        counters = np.array([[5], [6]])
        return [Outcomes(jobs[0].seed, counters, bits, aborted, ~aborted & False, counts=np.array([3, 2]))]


def test_backends() -> None:
    program = parse("qubit: q\ncount: c\nskip")
    samples = sample(program, shots=5, seed=3, backend=Merged())
    assert samples.counts == {"1": 3}
    assert (samples.shots, samples.aborted, samples.cut) == (5, 2, 0)
    assert samples.counter_counts == {"c": {5: 3}}
    assert sample(program, shots=5, seed=3, backend="trajectory").counts == {"0": 5}
    with pytest.raises(BackendError, match="There is no backend `aer`"):
        sample(program, shots=5, backend="aer")


@pytest.mark.parametrize("name", ["bits", "counters", "aborted_mask", "cut_mask"])
def test_merged_shots_have_no_values_of_their_own(name: str) -> None:
    samples = sample(parse("qubit: q\ncount: c\nskip"), shots=5, seed=3, backend=Merged())
    with pytest.raises(QdiffError) as caught:
        getattr(samples, name)
    assert str(caught.value) == (
        f"`{name}` has a value for each shot, but these 5 shots were merged: they are 2 unique rows "
        "with counts. "
        'Use counts, counter_counts or outcomes, or sample with backend="trajectory".'
    )


def test_merged_shots_in_any_number() -> None:
    samples = sample(LOOP, PARAMS, shots=10**9, seed=3, backend="merged")
    few = sample(LOOP, PARAMS, shots=10**4, seed=3)
    assert samples.shots == 10**9
    assert sum(samples.counts.values()) == 10**9 - samples.aborted
    assert set(samples.counts) == set(few.counts)
    assert {c: list(n) for c, n in samples.counter_counts.items()} == {
        c: list(n) for c, n in few.counter_counts.items()
    }
    assert samples.note == ""


def test_a_note_is_shown() -> None:
    outcomes = sample(LOOP, PARAMS, shots=2, seed=3, backend=TrajectoryBackend(step_limit=1)).outcomes
    samples = Samples(LOOP.qubits, LOOP.counters, replace(outcomes, note="by hand"))
    assert repr(samples) == "Samples(; 2 shots, seed 3, 2 cut at the step limit, by hand)"


def test_threads_change_no_result() -> None:
    expected = sample(LOOP, PARAMS, shots=300, seed=5, threads=1)
    found = sample(LOOP, PARAMS, shots=300, seed=5, backend="trajectory")
    assert np.array_equal(found.bits, expected.bits)
    cores = len(os.sched_getaffinity(0))
    for threads in (0, -1, cores + 1, 1.5, "2"):
        with pytest.raises(QdiffError) as caught:
            sample(LOOP, PARAMS, shots=3, threads=threads)  # type: ignore[arg-type]
        assert str(caught.value) == (
            f"The number of threads is an integer from 1 to the {cores} cores here, got {threads!r}."
        )
    with pytest.raises(QdiffError) as caught:
        sample(LOOP, PARAMS, shots=3, threads=1, backend="merged")
    assert str(caught.value) == (
        "`threads` is an option of the trajectory sampler, not of backend `merged`: build the backend with "
        "the threads that it is to use."
    )


def test_refusals() -> None:
    for shots in (0, -1, 2.5, "10"):
        with pytest.raises(QdiffError, match="The number of shots must be a positive integer, got"):
            sample(LOOP, PARAMS, shots=shots)  # type: ignore[arg-type]
    with pytest.raises(QdiffError, match="The seed must be an integer from 0 to 2"):
        sample(LOOP, PARAMS, shots=10, seed=1.5)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no value for "):
        sample(LOOP, {"t": 1.0}, shots=10)
    with pytest.raises(ResourceError, match="One run on 50 qubits needs"):
        sample(parse("qubit: q[50]\nskip"), shots=10)
    with pytest.raises(ResourceError, match='Use fewer shots, or backend="merged" '):
        sample(LOOP, PARAMS, shots=10**12)
