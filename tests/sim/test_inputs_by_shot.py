"""Start values of counters for each shot: on every backend, or refused and split."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from sim.machine.sampled import ALL

from qdiff.errors import BackendError, EvaluationError
from qdiff.lang.observable import X, Z, count
from qdiff.lang.text.parser import parse
from qdiff.sim import registry
from qdiff.sim.jobs_by_inputs import by_inputs
from qdiff.sim.machine import running
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.merged.backend import MergedBackend
from qdiff.sim.protocol import Capabilities, Gradients, Job, Outcomes, Readout
from qdiff.sim.seeds import derived_seed

FAMILY = parse(
    "qubit: q, r\npara: t\ncount: k, j\nRy(t)[q];\n"
    "while M[q] = 1 do k := k - 1; if k = 0 then if j = 1 then X[q] else Ry(t*j)[q] fi fi;"
    "if flip(0.1 + 0.3*t) then Rx(t*k)[r] fi; Ry(t)[q] od; if M[r] = 1 and k < -2 then abort fi"
)
"""Counts down k, and branches on j: gates in the history tree, outside it, and flips."""
PARAMS = {"t": 1.3}
SHOTS, FIRST = 60, 1000
NUMBERS: Mapping[str, int | np.ndarray] = {"k": np.arange(SHOTS) % 5 - 1, "j": 2 - np.arange(SHOTS) % 3}
INPUTS = {"k and j": NUMBERS, "k": {"k": NUMBERS["k"]}, "k, one j": {"k": NUMBERS["k"], "j": 1}}
READOUT = Readout(("r", "q"), "XZ", (Z("q") + count("k") * X("r"), count("j")))


def of_shot(inputs: Mapping[str, int | np.ndarray], row: int) -> dict[str, int]:
    return {n: int(value[row]) if isinstance(value, np.ndarray) else value for n, value in inputs.items()}


def columns(found: Outcomes | Gradients, row: int) -> list[np.ndarray]:
    if isinstance(found, Outcomes):
        assert found.expectations is not None
        return [
            column[row]
            for column in (found.counters, found.bits, found.aborted, found.cut, found.expectations)
        ]
    return [column[row] for column in (found.values, found.slopes, found.scores, found.aborted, found.cut)]


# --- A backend that can ---------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("chunk", [1, 7, 2**14])
@pytest.mark.parametrize("derivatives", [False, True])
@pytest.mark.parametrize("name", INPUTS)
def test_a_shot_is_that_of_a_job_of_its_own(
    name: str, derivatives: bool, chunk: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CHUNK", chunk)
    backend = TrajectoryBackend()
    backend.threads = threads  # as many as there are cores, or more
    if derivatives:
        prepared, run = backend.prepare_gradient(FAMILY, READOUT.expectations, ("t",)), backend.run_gradients
    else:
        prepared, run = backend.prepare(FAMILY, READOUT), backend.run
    inputs = INPUTS[name]
    [together] = run([Job(prepared, PARAMS, SHOTS, 5, inputs, FIRST)])
    alone = run([Job(prepared, PARAMS, 1, 5, of_shot(inputs, row), FIRST + row) for row in range(SHOTS)])
    for row, expected in enumerate(alone):
        for mine, theirs in zip(columns(together, row), columns(expected, 0), strict=True):
            if derivatives:  # summed in another order: where a sweep ends depends on the number of shots
                np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)
            else:
                assert np.array_equal(mine, theirs)
    for row in range(15):
        [expected] = run([Job(prepared, PARAMS, SHOTS, 5, of_shot(inputs, row), FIRST)])
        for same in range(row, SHOTS, 15):  # shots with these inputs
            for mine, theirs in zip(columns(together, same), columns(expected, same), strict=True):
                assert np.array_equal(mine, theirs)
    assert 0 < together.aborted.sum() < SHOTS


@pytest.mark.parametrize("derivatives", [False, True])
def test_equal_inputs_for_each_shot_are_inputs_for_all(derivatives: bool) -> None:
    backend = TrajectoryBackend(threads=1)
    for text, params in ALL.values():
        if not text.counters:
            continue
        name, observables = text.counters[0], (Z(text.qubits[0]),)
        if derivatives:
            prepared = backend.prepare_gradient(text, observables, text.trainable)
        else:
            prepared = backend.prepare(text, Readout(text.qubits, "", observables))
        run = backend.run_gradients if derivatives else backend.run
        jobs = [Job(prepared, params, 9, 3, {name: value}) for value in (0, np.zeros(9, dtype=np.int64))]
        expected, found = run(jobs)
        for row in range(9):
            for mine, theirs in zip(columns(found, row), columns(expected, row), strict=True):
                assert np.array_equal(mine, theirs)


ASKING = parse(
    "qubit: q\npara: t\ncount: k, c\nc := (k * 1000000000000000000) mod 1000003;\nRy(t*c/1000003)[q];\n"
    "if k = 0 then Ry(t/k)[q] fi;\nif k = -1 then c := k + 9223372036854775807; c := c + 2 fi"
)
"""A product beyond 64 bits, which is found outside the compiled loop, as errors are."""


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("derivatives", [False, True])
def test_exact_numbers_and_errors_are_those_of_the_shot(
    derivatives: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CHUNK", 7)
    backend = TrajectoryBackend()
    backend.threads = threads
    observables = count("c"), Z("q")
    if derivatives:
        prepared, run = backend.prepare_gradient(ASKING, observables, ("t",)), backend.run_gradients
    else:
        prepared, run = backend.prepare(ASKING, Readout((), "", observables)), backend.run
    k = 2 + np.arange(50) * 10**14
    [found] = run([Job(prepared, PARAMS, 50, 1, {"k": k})])
    values = found.values if isinstance(found, Gradients) else found.expectations
    exact = [int(number) * 10**18 % 1000003 for number in k]
    assert values is not None
    np.testing.assert_allclose(values[:, 0], exact, rtol=1e-12)
    np.testing.assert_allclose(values[:, 1], np.cos(1.3 * np.array(exact) / 1000003), atol=1e-12)
    for first, second in ((0, -1), (-1, 0)):  # the message is that of the first shot that fails
        k[31], k[38] = first, second
        messages = []
        for job in (
            Job(prepared, PARAMS, 50, 1, {"k": k}),
            Job(prepared, PARAMS, 1, 1, {"k": first}, first=31),
        ):
            with pytest.raises(EvaluationError) as caught:
                run([job])
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
        assert f"<text>:{6 if first == 0 else 7}:" in messages[0]


# --- Backends that cannot -------------------------------------------------------------------------


def test_who_can() -> None:
    assert TrajectoryBackend.capabilities.inputs_by_shot
    assert not MergedBackend.capabilities.inputs_by_shot
    assert str(Capabilities(tangents=True, inputs_by_shot=True)) == "tangents, inputs by shot"


@pytest.mark.parametrize("derivatives", [False, True])
def test_arrays_are_refused(derivatives: bool) -> None:
    backend = MergedBackend()
    if derivatives:
        prepared, run = backend.prepare_gradient(FAMILY, READOUT.expectations, ("t",)), backend.run_gradients
    else:
        prepared, run = backend.prepare(FAMILY, READOUT), backend.run
    fine = Job(prepared, PARAMS, SHOTS, 5, {"k": 2, "j": 1})
    for inputs, names in ((INPUTS["k and j"], "`k`, `j`"), (INPUTS["k, one j"], "`k`")):
        with pytest.raises(BackendError) as caught:
            run([fine, Job(prepared, PARAMS, SHOTS, 5, inputs)])
        assert str(caught.value) == (
            "Backend `merged` cannot run this job. It lacks: inputs by shot (arrays of start values of "
            f"{names}); it has: loops, nested ifs, counters, reset, flip, mid circuit measurement, noise, "
            "expectations, tangents. Backends that would serve: trajectory, arrays; on any other, split the "
            "job with `qdiff.sim.jobs_by_inputs.by_inputs`."
        )
    run([fine])


@pytest.mark.parametrize("name", registry.known_backends())
def test_every_backend_takes_arrays_or_refuses_them(name: str) -> None:
    backend = registry.find_backend(name)
    job = Job(backend.prepare(FAMILY, READOUT), PARAMS, SHOTS, 5, NUMBERS)
    if not backend.capabilities.inputs_by_shot:
        with pytest.raises(
            BackendError, match=f"Backend `{name}` cannot run this job. It lacks: inputs by shot"
        ):
            backend.run([job])
    else:
        [found] = backend.run([job])
        assert found.shots == SHOTS
    outcomes = backend.run([part for _, part in by_inputs(job)])
    assert sum(found.shots for found in outcomes) == SHOTS


# --- Jobs by inputs -------------------------------------------------------------------------------


def split(inputs: Mapping[str, int | np.ndarray], shots: int = 6, seed: int = 9, first: int = 4) -> list[Job]:
    prepared = TrajectoryBackend().prepare(FAMILY, READOUT)
    return [part for _, part in by_inputs(Job(prepared, PARAMS, shots, seed, inputs, first))]


def test_a_job_for_each_combination() -> None:
    prepared = TrajectoryBackend().prepare(FAMILY, READOUT)
    inputs = {"k": np.array([3, -1, 3, 3, -1, 3]), "j": np.array([0, 1, 1, 0, 1, 0])}
    job = Job(prepared, PARAMS, 6, 9, inputs, first=4)
    parts = by_inputs(job)
    assert [(rows.tolist(), part.inputs) for rows, part in parts] == [
        ([1, 4], {"k": -1, "j": 1}),
        ([0, 3, 5], {"k": 3, "j": 0}),
        ([2], {"k": 3, "j": 1}),
    ]
    for number, (rows, part) in enumerate(parts):
        assert rows.dtype == np.int64
        assert (part.prepared, part.params, part.shots) == (prepared, PARAMS, len(rows))
        assert (part.seed, part.first) == (derived_seed(9, 4, number), 0)
        assert not part.inputs_by_shot


def test_inputs_for_all_stay() -> None:
    parts = split({"j": 7, "k": np.array([2, 1, 2, 2, 2, 1])})
    assert [part.inputs for part in parts] == [{"j": 7, "k": 1}, {"j": 7, "k": 2}]


def test_a_job_without_arrays_stays() -> None:
    prepared = TrajectoryBackend().prepare(FAMILY, READOUT)
    job = Job(prepared, PARAMS, 3, 9, {"k": 3}, first=4)
    [(rows, part)] = by_inputs(job)
    assert part is job
    assert (rows.dtype, rows.tolist()) == (np.int64, [0, 1, 2])


def test_each_part_has_its_own_random_numbers() -> None:
    jobs = [
        part for seed in (1, 2) for first in (0, 6) for part in split({"k": np.arange(6)}, 6, seed, first)
    ]
    assert len({part.seed for part in jobs}) == 24
    # Only the seed and the number of a part count: the same twice.
    again = [
        part for seed in (1, 2) for first in (0, 6) for part in split({"k": np.arange(6)}, 6, seed, first)
    ]
    assert [part.seed for part in again] == [part.seed for part in jobs]


def test_parts_have_the_distribution_of_the_whole() -> None:
    """The mean over the shots with each input, together and split, on both backends."""
    shots = 30_000
    inputs = {"k": np.arange(shots) % 3 + 1, "j": 1 + np.arange(shots) // 3 % 2}
    trajectories, merged = TrajectoryBackend(threads=1), MergedBackend()
    prepared = [backend.prepare(FAMILY, READOUT) for backend in (trajectories, merged)]
    [whole] = trajectories.run([Job(prepared[0], PARAMS, shots, 5, inputs)])
    parts = by_inputs(Job(prepared[1], PARAMS, shots, 5, inputs))
    assert len(parts) == 6
    for (rows, _), found in zip(parts, merged.run([part for _, part in parts]), strict=True):
        assert whole.expectations is not None
        assert found.expectations is not None
        mine = whole.expectations[rows, 0]
        mean = float(found.weights @ found.expectations[:, 0]) / found.shots
        square = float(found.weights @ found.expectations[:, 0] ** 2) / found.shots
        error = np.sqrt((mine.var() + square - mean**2) / len(rows))
        assert error > 0
        assert abs(mine.mean() - mean) < 4.5 * error
